"""Write the figures of docs/trust.md, between its marks, from measurements.

    python benchmarks/write_trust_docs.py [--check]

With --check nothing is written, and the exit code is 1 when the page is not up to date.
"""

import sys
from collections.abc import Callable
from typing import Any

from marked import ROOT, fill_measured
from speed_tables import measured_on, table

DOCUMENT = ROOT / "docs" / "trust.md"


def main() -> int:
    return fill_measured(DOCUMENT, WRITERS)


def crashes_text(found: dict[str, Any]) -> str:
    """Return at how many moments and calls runs were stopped, and how many of them ended otherwise."""
    kills, calls = sum(found["random kills"].values()), found["faults by call"]
    faults = {name: sum(places.values()) for name, places in found["faults"].items()}
    stopped = ", ".join(f"{failed:,} of {made:,} calls of {call}" for call, (failed, made) in calls.items())
    return (
        f"{kills} runs of six epochs were killed at random moments, {faults['killed']} in a call that writes, and in "
        f"{faults['disk full']} such calls the disk was full ({stopped}). Of those {kills + sum(faults.values())} runs "
        f"{found['unequal ends']} ended otherwise than the one that nothing happened to. {measured_on(found)}"
    )


def checkpoints_text(found: dict[str, Any]) -> str:
    """Return the share of a training's time that its checkpoints take."""
    saving, epoch = found["checkpoint_seconds"], found["epoch_seconds"]
    return (
        f"Of the time of `squeezenet` on `flowers` checkpoints take {found['share']:.2%}: one of "
        f"{found['checkpoint_bytes'] / 1e6:.1f} MB takes {saving['median']:.2f} s (at most {saving['most']:.2f}, n = "
        f"{saving['n']}), an epoch {epoch['median']:.0f} s. {measured_on(found)}"
    )


def hostile_text(found: dict[str, Any]) -> str:
    """Return what came of the corpus of hostile inputs, by kind."""
    rows = [
        (kind, f"{one['inputs']}", ", ".join(f"{count} {outcome}" for outcome, count in one["outcomes"].items()),
         f"{len(one['not_as_they_must'])}", f"{one['most_cpu_seconds']:.1f} s", f"{one['most_memory_mb']:,} MB")
        for kind, one in found["kinds"].items()
    ]  # fmt: skip
    head = ("hostile", "inputs", "what came of them", "not as they must", "most processor time", "most memory")
    return f"{table(head, rows)}\n{found['inputs']} inputs in all. {measured_on(found['machine'])}"


WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "crash-test": crashes_text,
    "checkpoint-cost": checkpoints_text,
    "hostile": hostile_text,
}

if __name__ == "__main__":
    sys.exit(main())
