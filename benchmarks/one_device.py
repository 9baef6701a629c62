"""Compare how fast two states of Fireweed train on one CPU: a commit's, and this tree's.

    python benchmarks/one_device.py [COMMIT] [--rounds 5]

COMMIT is by default the last one that knew one device only. It is checked out beside this tree, its kernels are
compiled anew, and both train the same net on the drawn set in turns, each in a process of its own. Writes
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
def checked_out(commit: str) -> Iterator[Path]:
    """Give a folder with the tree of a commit and its compiled kernels; it is removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", str(tree), commit], cwd=ROOT, check=True)
        try:
            yield built(tree)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


def built(tree: Path) -> Path:
    """Compile the kernels of a tree in place, as an installation does."""
    subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=tree, check=True)
    return tree


def rate(tree: Path, asked: argparse.Namespace) -> float:
    """Return the images a second of one training in a process of its own: the median over its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [
            sys.executable, "-m", "fireweed", "train", "--data", "drawn", "--recipe", "demo", "--model", asked.model,
            "--side", str(asked.side), "--epochs", str(asked.epochs), "--set", f"training.batch={asked.batch}",
            "--device", "cpu", "--backend", asked.backend, "--precision", "float32", "--compile", "none",
            "--out", str(run),
        ]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(tree / "src")}
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
    with checked_out(asked.commit) as tree:
        trees = [("before", tree), ("now", built(ROOT))]
        for turn in range(asked.rounds):
            for name, place in trees[:: 1 if turn % 2 == 0 else -1]:  # neither is always the first
                rates[name].append(rate(place, asked))
                print(name, rates[name][-1], flush=True)
    net = {"net": asked.model, "side": asked.side, "batch": asked.batch, "backend": asked.backend}
    found = {"commit_before": asked.commit, **net, **compared(rates["before"], rates["now"]), **machine_facts()}
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
