"""Compare how fast two states of Fireweed train on one CPU: a commit's, and the one that is checked out.

    python benchmarks/one_device.py [COMMIT] [--rounds 5]

COMMIT is by default the last one that knew one device only. Both are installed from their commits, kernels and all,
each in a folder of its own, and train the same net on the drawn set in turns, each in a process of its own. Writes
measurements/one-device.json: the images a second of every run, medians, and how they compare.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machine_facts import machine_facts

ROOT = Path(__file__).parents[1]
OUT = ROOT / "measurements" / "one-device.json"
LAST_OF_ONE_DEVICE = "052951b"
WARM_EPOCHS = 1  # the first one traces, compiles and decodes


@contextmanager
def installed(commit: str) -> Iterator[Path]:
    """Give a folder in which the package of a commit is installed, its kernels compiled; it is removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        tree, target = Path(folder) / "tree", Path(folder) / "installed"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], cwd=ROOT, check=True)
        try:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--target", str(target), str(tree)], check=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
        yield target


def rate(package: Path, asked: argparse.Namespace) -> float:
    """Return the images a second of one training in a process of its own: the median over its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            sys.executable, "-m", "fireweed", "train", "--data", "drawn", "--recipe", "demo", "--model", asked.model,
            "--side", str(asked.side), "--epochs", str(asked.epochs), "--set", f"training.batch={asked.batch}",
            "--device", "cpu", "--backend", asked.backend, "--precision", "float32", "--compile", "none",
            "--out", str(run),
        ]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(package)}
        subprocess.run(command, env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with open(run / "history.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    return statistics.median(float(row["images_per_second"]) for row in rows[WARM_EPOCHS:])


def compared(before: list[float], now: list[float]) -> dict[str, Any]:
    """Return medians and ratios of two series of rates that were measured in turns."""
    ratios = [one / other for one, other in zip(now, before, strict=True)]
    return {
        "before": {"median": round(statistics.median(before), 2), "images_per_second": before},
        "now": {"median": round(statistics.median(now), 2), "images_per_second": now},
        "ratio_of_medians": round(statistics.median(now) / statistics.median(before), 4),
        "ratio_by_round": {"least": round(min(ratios), 4), "most": round(max(ratios), 4)},
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("commit", nargs="?", default=LAST_OF_ONE_DEVICE)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--model", default="squeezenet")
    arguments.add_argument("--side", type=int, default=96)
    arguments.add_argument("--batch", type=int, default=32)
    arguments.add_argument("--epochs", type=int, default=5)
    arguments.add_argument("--backend", default="tensorflow")
    arguments.add_argument("--out", type=Path, default=OUT)
    asked = arguments.parse_args()
    rates: dict[str, list[float]] = {"before": [], "now": []}
    with installed(asked.commit) as before, installed("HEAD") as now:
        packages = [("before", before), ("now", now)]
        for turn in range(asked.rounds):
            for name, package in packages[:: 1 if turn % 2 == 0 else -1]:  # neither is always the first
                rates[name].append(rate(package, asked))
                print(name, rates[name][-1], flush=True)
    net = {"net": asked.model, "side": asked.side, "batch": asked.batch, "backend": asked.backend}
    found = {"commit_before": asked.commit, **net, **compared(rates["before"], rates["now"]), **machine_facts()}
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
