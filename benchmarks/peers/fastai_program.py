"""fastai's Learner with the nearest nets at hand: torchvision's SqueezeNet 1.1, and timm's Xception."""

import time
from typing import Any

import timm
import torch
from fastai.vision.all import (
    Callback,
    CrossEntropyLossFlat,
    DataLoader,
    DataLoaders,
    FlipItem,
    ImageDataLoaders,
    Learner,
    Resize,
    Saturation,
)
from torchvision.models import squeezenet1_1

from peers import torch_nets
from peers.clock import run_command, since_start_seconds, step_facts
from peers.squares import read_squares


class StepTimes(Callback):
    """Keeps the seconds from the end of one training step to the end of the next."""

    def before_train(self):
        self.seconds, self.first_step_seconds, self._before = [], 0.0, time.perf_counter()

    def after_batch(self):
        if not self.training:
            return
        now = time.perf_counter()
        self.seconds.append(now - self._before)
        self._before = now
        self.first_step_seconds = self.first_step_seconds or since_start_seconds()


def step(net: str, side_px: int, batch: int, warm: int, timed: int, photos: str) -> dict[str, Any]:
    """Time training steps on one batch of photos that lies ready."""
    model = nearest(net)
    times = fitted(model, ready(photos, batch, side_px, warm + timed))
    return {
        **step_facts(batch, times.seconds, warm),
        "first_step_seconds": times.first_step_seconds,
        "parameters": torch_nets.count_parameters(model),
        "multiply_adds": torch_nets.multiply_adds(model, side_px),
    }


def epoch(net: str, side_px: int, batch: int, warm: int, photos: str) -> dict[str, Any]:
    """Time the first epoch on a folder of photos, input included, and steps alone before it."""
    model = nearest(net)
    alone = fitted(model, ready(photos, batch, side_px, 2 * warm)).seconds
    loaders = ImageDataLoaders.from_folder(
        photos, valid_pct=0.01, seed=0, bs=batch, item_tfms=[Resize(side_px), FlipItem()],
        batch_tfms=[Saturation(max_lighting=0.9)], num_workers=2,
    )  # fmt: skip
    whole = fitted(model, loaders).seconds
    return {"rate": len(whole) * batch / sum(whole), "step_rate": step_facts(batch, alone, warm)["rate"]}


def nearest(net: str) -> torch.nn.Module:
    """Return the nearest net that its users have: timm's Xception is the same net, SqueezeNet 1.1 a cheaper one."""
    torch.manual_seed(0)
    return squeezenet1_1(num_classes=5) if net == "squeezenet" else timm.create_model("legacy_xception", num_classes=5)


def ready(photos: str, batch: int, side_px: int, steps: int) -> DataLoaders:
    images, labels = read_squares(photos, batch, side_px)
    x, y = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0, torch.from_numpy(labels)
    training = DataLoader([0] * steps, bs=1, create_batch=lambda items: (x, y), num_workers=0)
    return DataLoaders(training, DataLoader([0], bs=1, create_batch=lambda items: (x[:1], y[:1]), num_workers=0))


def fitted(model: torch.nn.Module, loaders: DataLoaders) -> StepTimes:
    times = StepTimes()
    learner = Learner(loaders, model, loss_func=CrossEntropyLossFlat(), cbs=[times])
    with learner.no_bar(), learner.no_logging():
        learner.fit(1, 1e-3)
    return times


if __name__ == "__main__":
    run_command({"step": step, "epoch": epoch})
