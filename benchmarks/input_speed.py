"""Measure how fast photos become shards and batches.

    python benchmarks/input_speed.py PHOTOS [--repeats 5]

Writes measurements/input-speed.json: photos/s of `shards` (survey, twins, split and writing; start-up not), of the
first epoch of the training pipeline (decode, flip, saturation, batch, 192 px), and of later epochs from the cache.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from fireweed.api.sharding import make_shards
from fireweed.data.changes import AugmentSettings
from fireweed.data.pipeline import Batches
from fireweed.data.plan import Plan
from fireweed.data.sources import open_data
from fireweed.data.squares import SquareCache
from fireweed.reporting import Reporter
from machine_facts import machine_facts
from peers.summary import Spread

SIDE_PX, BATCH = 192, 32
OUT = Path(__file__).parents[1] / "measurements" / "input-speed.json"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("photos")
    arguments.add_argument("--repeats", type=int, default=5)
    asked = arguments.parse_args()
    import tensorflow as tf  # noqa: F401 - start-up is not measured

    rates: dict[str, list[float]] = {"shards": [], "first epoch": [], "later epochs": []}
    for _ in range(asked.repeats):
        rates["shards"].append(shard_rate(asked.photos))
        first, later = pipeline_rates(asked.photos)
        rates["first epoch"].append(first)
        rates["later epochs"] += later
    figures = {name: Spread.of(values).row(round) for name, values in rates.items()}
    OUT.parent.mkdir(exist_ok=True)
    result = {"unit": "photos/s", "side_px": SIDE_PX, "figures": figures, **machine_facts()}
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def shard_rate(photos: str) -> float:
    """Return photos/s of everything that `fireweed shards` does once it has started."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        make_shards(photos, str(Path(folder) / "shards"), SIDE_PX, 16, "crop", 95, Reporter(is_silent=True))
        taken = time.perf_counter() - started
    return len(open_data(photos)) / taken


def pipeline_rates(photos: str) -> tuple[float, list[float]]:
    """Return photos/s of the first epoch and of the two after it, to the last batch of each."""
    catalog = open_data(photos)
    keys = [f"{i:064x}" for i in range(len(catalog))]
    plan = Plan(0, keys, catalog.labels(), BATCH, AugmentSettings(flip=True, saturation=(0.0, 2.0)))
    cache = SquareCache(catalog.photos, SIDE_PX, "crop")
    batches = Batches(cache, catalog.labels(), len(catalog.classes), BATCH)
    rates = []
    for epoch in range(3):
        started = time.perf_counter()
        for _ in batches.training(plan, SIDE_PX, epoch * plan.steps, (epoch + 1) * plan.steps):
            ended = time.perf_counter()
        rates.append(len(catalog) / (ended - started))
    cache.close()
    return rates[0], rates[1:]


if __name__ == "__main__":
    main()
