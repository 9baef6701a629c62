"""Train one small net with batches from 32 to 1024, with Adam, SGD and LARS, for the same epochs.

    python benchmarks/batch_study.py [--smoke]

The photos are drawn by program as those of the set "drawn" are, more of them. Of three learning rates each optimizer
keeps the one that was best on validation at the smallest batch; larger batches scale it as Fireweed does on several
devices: in proportion for SGD and LARS, with the root for Adam, after a warm-up. The largest batch is also trained
without scaling, and without warm-up. About ten minutes on two cores; --smoke makes an epoch or two of little, and
writes to a temporary folder. Writes measurements/accuracy/batch-size.json.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireweed.api.building import TrainingParts, build_for_training, seed_everything
from fireweed.api.preparing import PreparedData, prepare_data
from fireweed.api.starting import start_measuring
from fireweed.data.blooms import KINDS
from fireweed.data.drawn import draw_photo
from fireweed.devices import choose_device
from fireweed.files import cache_folder
from fireweed.recipe import read_recipe
from fireweed.reporting import Reporter
from fireweed.resolving import rate_factor
from fireweed.settings import DataSettings
from machine_facts import machine_facts

ROOT = Path(__file__).parents[1]
OUT = ROOT / "measurements" / "accuracy" / "batch-size.json"
NET = "conv 16 /2 | fire 12 24 | pool | fire 16 32 | pool | fire 24 48 | gap"
SIDE_PX = 32
RATES = {"adam": (1e-3, 3e-3, 1e-2), "sgd": (0.02, 0.06, 0.2), "lars": (0.1, 0.3, 1.0)}
WARM_UP = 0.2  # of all steps
SILENT = Reporter(is_silent=True)


@dataclass(frozen=True)
class Size:
    """How much is trained."""

    photos_a_class: int = 480
    epochs: int = 36
    batches: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    optimizers: tuple[str, ...] = ("adam", "sgd", "lars")
    rates: int = 3


SMOKE = Size(photos_a_class=24, epochs=2, batches=(8, 32), optimizers=("lars",), rates=2)


def photos_folder(photos_a_class: int) -> Path:
    """Return a folder of drawn photos, the first of which are those of the set "drawn"; they are drawn once."""
    import cv2

    folder = cache_folder(f"drawn-{photos_a_class}-a-class")
    for name in KINDS:
        (folder / name).mkdir(exist_ok=True)
        for number in range(photos_a_class):
            place = folder / name / f"{name}-{number:04d}.jpg"
            if not place.exists():
                pixels = draw_photo(name, number)
                place.write_bytes(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    return folder


def study(size: Size) -> dict[str, Any]:
    """Return what each training gave."""
    choice = start_measuring(choose_device("cpu", precision="float32"), SILENT)
    prepared = prepare_data(str(photos_folder(size.photos_a_class)), DataSettings(), SILENT)
    rows: list[dict[str, Any]] = []

    def train(optimizer: str, batch: int, rate: float, warm_up: float, kind: str) -> dict[str, Any]:
        row = {"optimizer": optimizer, "batch": batch, "rate": rate, "warm_up": warm_up, "kind": kind}
        rows.append(row | trained(prepared, size.epochs, row))
        print(json.dumps(rows[-1]), flush=True)
        return rows[-1]

    least, most = size.batches[0], size.batches[-1]
    for optimizer in size.optimizers:
        tried = [train(optimizer, least, rate, WARM_UP, "search") for rate in RATES[optimizer][: size.rates]]
        best = max(tried, key=lambda row: row["accuracy"])
        best["kind"] = "scaled"
        for batch in size.batches[1:]:
            train(optimizer, batch, best["rate"] * rate_factor(optimizer, batch / least), WARM_UP, "scaled")
        train(optimizer, most, best["rate"], WARM_UP, "not scaled")
        train(optimizer, most, best["rate"] * rate_factor(optimizer, most / least), 0.0, "no warm-up")
    parts = {part: len(prepared.catalog.part(part)) for part in ("train", "validation")}
    return {"net": NET, "side": SIDE_PX, "epochs": size.epochs, "photos": parts, "seed": 0, "runs": rows,
            "device": choice.name, "backend": choice.backend, **machine_facts()}  # fmt: skip


def trained(prepared: PreparedData, epochs: int, row: dict[str, Any]) -> dict[str, Any]:
    """Return validation accuracy, loss, steps and seconds of one training."""
    import keras

    from fireweed.errors import RunError
    from fireweed.training.train import train

    recipe = read_recipe("demo", [
        f"model.name={json.dumps(NET)}", f"training.phases=[{{side={SIDE_PX},epochs={epochs}}}]",
        f"training.batch={row['batch']}", f"training.optimizer={row['optimizer']}", "training.average=0",
        f"training.weight_decay={0.0 if row['optimizer'] == 'adam' else 1e-4}", "training.precision=float32",
        "training.compile=none", f"training.schedule.peak={row['rate']}", f"training.schedule.warmup={row['warm_up']}",
    ])  # fmt: skip
    keras.backend.clear_session()
    seed_everything(0, False, "float32")
    model, _ = build_for_training(recipe, len(prepared.catalog.classes))
    parts = TrainingParts(recipe, prepared.catalog, None)
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            outcome = train(model, recipe, parts.input(), Path(folder), SILENT)
    except RunError:  # the loss is not a number
        return {"accuracy": 0.0, "loss": None, "steps": parts.steps * epochs, "seconds": None}
    finally:
        parts.close()
    last = outcome.history[-1]
    return {
        "accuracy": round(last["val_accuracy"], 4), "loss": round(last["val_loss"], 4), "steps": parts.steps * epochs,
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--smoke", action="store_true", help="only see that it works")
    is_smoke = arguments.parse_args().smoke
    began = time.perf_counter()
    found = study(SMOKE if is_smoke else Size())
    found["seconds"] = round(time.perf_counter() - began, 1)
    out = Path(tempfile.mkdtemp(), OUT.name) if is_smoke else OUT
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
