"""Measure which share of a training's time its checkpoints take; writes measurements/checkpoint-cost.json.

    python benchmarks/checkpoint_cost.py [PHOTOS] [--recipe squeezenet] [--epochs 3]

The recipe's own net, sides, batch and optimizer are trained for some epochs. The share is reckoned from the seconds of
a checkpoint and of an epoch here: one checkpoint at the end of each epoch, and those within epochs every five minutes.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from machine_facts import machine_facts

RESULT = Path(__file__).parents[1] / "measurements" / "checkpoint-cost.json"


def main() -> None:
    """Train, with a clock on each checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?", default="drawn")
    parser.add_argument("--recipe", default="squeezenet")
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()

    import fireweed
    from fireweed.run import open_run
    from fireweed.training import saving

    seconds: list[float] = []
    save = saving.Saver._save

    def timed(self: saving.Saver, *given: object, **named: object) -> bool:
        began = time.perf_counter()
        has_saved = save(self, *given, **named)
        seconds.append(time.perf_counter() - began)
        return has_saved

    saving.Saver._save = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        out = Path(folder) / "run"
        run = fireweed.train(asked.photos, recipe=asked.recipe, epochs=asked.epochs, out=str(out))
        size = max(path.stat().st_size for path in (out / "checkpoints").glob("epoch-*.npz"))
        epochs = [row["seconds"] for row in run.history]
        batch = open_run(out).resolved().training.batch
    warm = epochs[1:] or epochs  # in the first one photos are decoded and steps compiled
    within = statistics.median(warm) / (60 * saving.MINUTES_BETWEEN)  # checkpoints in an epoch, but for its end
    RESULT.write_text(json.dumps({
        "what": f"share of the time of recipe {asked.recipe} that its checkpoints take",
        "share": (1 + within) * statistics.median(seconds) / (statistics.median(warm) + statistics.median(seconds)),
        "checkpoint_seconds": {"median": statistics.median(seconds), "most": max(seconds), "n": len(seconds)},
        "epoch_seconds": {"median": statistics.median(warm), "n": len(warm)},
        "checkpoint_bytes": size, "batch": batch, "photos": "drawn" if asked.photos == "drawn" else "given",
        **machine_facts(),
    }, indent=1) + "\n")  # fmt: skip
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
