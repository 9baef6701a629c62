"""Plain PyTorch: eager as a newcomer writes it, or with torch.compile and channels last."""

import time
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from peers import torch_nets
from peers.clock import run_command, since_start_seconds, step_facts
from peers.squares import read_squares


def step(
    net: str, side_px: int, batch: int, warm: int, timed: int, photos: str, is_compiled: bool = False,
    is_half: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Time training steps on one batch of photos that lies ready; `is_half`: under autocast to bfloat16."""
    trainer = Trainer(net, side_px, is_compiled, is_half)
    images, labels = ready_batch(photos, batch, side_px)
    seconds, first = [], 0.0
    for _ in range(warm + timed):
        started = time.perf_counter()
        trainer.step(images, labels)
        seconds.append(time.perf_counter() - started)
        first = first or since_start_seconds()
    return {**step_facts(batch, seconds, warm), **trainer.facts, "first_step_seconds": first}


def epoch(net: str, side_px: int, batch: int, warm: int, photos: str, is_compiled: bool = False) -> dict[str, Any]:
    """Time the first epoch on a folder of photos, input included, and steps alone before it."""
    trainer = Trainer(net, side_px, is_compiled)
    ready = ready_batch(photos, batch, side_px)
    alone = []
    for _ in range(2 * warm):
        started = time.perf_counter()
        trainer.step(*ready)
        alone.append(time.perf_counter() - started)
    change = transforms.Compose([
        transforms.Resize(side_px), transforms.CenterCrop(side_px), transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(saturation=(0, 2)), transforms.ToTensor(),
    ])  # fmt: skip
    loader = DataLoader(datasets.ImageFolder(photos, change), batch, shuffle=True, num_workers=2, drop_last=True)
    started = ended = time.perf_counter()
    count = 0
    for images, labels in loader:
        trainer.step(images, labels)
        count += len(labels)
        ended = time.perf_counter()
    return {"rate": count / (ended - started), "step_rate": step_facts(batch, alone, warm)["rate"]}


class Trainer:
    """A net with its optimizer, and what it costs."""

    def __init__(self, net: str, side_px: int, is_compiled: bool, is_half: bool = False) -> None:
        torch.manual_seed(0)
        model = torch_nets.build(net)
        self.facts = {
            "parameters": torch_nets.count_parameters(model),
            "multiply_adds": torch_nets.multiply_adds(model, side_px),
        }
        self._is_compiled, self._is_half = is_compiled, is_half
        if is_compiled:
            model = torch.compile(model.to(memory_format=torch.channels_last))
        self._model = model.train()
        self._optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        if self._is_compiled:
            images = images.contiguous(memory_format=torch.channels_last)
        self._optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self._is_half):
            loss = F.cross_entropy(self._model(images), labels)
        loss.backward()
        self._optimizer.step()
        return loss.item()


def ready_batch(photos: str, batch: int, side_px: int) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = read_squares(photos, batch, side_px)
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255.0, torch.from_numpy(labels)


if __name__ == "__main__":
    run_command({"step": step, "epoch": epoch})
