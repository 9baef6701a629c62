"""Plant faults among a copy of photos and count how many `fireweed audit` finds, and how fast.

    python benchmarks/audit_planted.py PHOTOS [--weights FILE] [--repeats 3] [--many 100000]

Plants 1% each of corrupt photos (cut off, zeros, overwritten, empty, web pages, noise), copies in another part (equal,
saved again, scaled) and wrong labels. Writes measurements/audit.json: found of planted, photos/s of the whole command
without a model, its peak memory, and with --weights the wrong labels in the first 5% of the photos. --many measures
time and memory of so many small photos instead. What is not measured stays in the file, with its own machine.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireweed.data.sources import open_data
from machine_facts import machine_facts
from peers.summary import Spread
from planted import Planted, many_photos, plant

SHARE, FIRST = 0.01, 0.05
SMALL_PX = 96
OUT = Path(__file__).parents[1] / "measurements" / "audit.json"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("photos")
    arguments.add_argument("--weights")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--many", type=int, default=0)
    asked = arguments.parse_args()
    result: dict[str, Any] = json.loads(OUT.read_text()) if OUT.is_file() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        parts = many(folder, asked.many) if asked.many else planted_parts(asked, folder)
        for name, figures in parts:
            result[name] = {**figures, **machine_facts()}
            OUT.parent.mkdir(exist_ok=True)
            OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def planted_parts(asked: argparse.Namespace, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Plant faults; yield what was found of them, the speed, and with weights the wrong labels that were found."""
    planted = plant(open_data(asked.photos), folder, SHARE, asked.seed)
    before, _ = audited(asked.photos)
    runs = [audited(str(folder)) for _ in range(asked.repeats)]
    yield "planted", found_of(planted, runs[0][0], before)
    yield (
        "speed",
        {
            "unit": "photos/s of the whole command, start-up included",
            "photos": planted.photos,
            "photos/s": Spread.of([planted.photos / cost.seconds for _, cost in runs]).row(round),
            "CPU seconds of both cores": round(min(cost.cpu_seconds for _, cost in runs), 1),
            "peak memory, MB": round(max(cost.memory_mb for _, cost in runs)),
        },
    )
    if asked.weights:
        found, cost = audited(str(folder), "--weights", asked.weights)
        yield "labels", {**labels_found(planted, found), **cost.rounded()}


def many(folder: Path, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the time and the memory for so many small photos."""
    many_photos(folder, count, side_px=SMALL_PX)
    found, cost = audited(str(folder))
    rate = round(found["photos"] / cost.seconds)
    yield "many", {"photos": found["photos"], "side_px": SMALL_PX, "photos/s": rate, **cost.rounded()}


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    memory_mb: float

    def rounded(self) -> dict[str, float]:
        return {"seconds": round(self.seconds, 1), "CPU seconds of both cores": round(self.cpu_seconds, 1),
                "peak memory, MB": round(self.memory_mb)}  # fmt: skip


def audited(data: str, *options: str) -> tuple[dict[str, Any], Cost]:
    """Return what `fireweed audit --json` says of photos, and what it took."""
    with tempfile.TemporaryFile() as out:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "fireweed", "audit", data, "--json", *options], stdout=out, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"fireweed audit {data} exited {process.returncode}")
        out.seek(0)
        cost = Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
        return json.loads(out.read()), cost


def found_of(planted: Planted, found: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Count what was found of what was planted, by kind."""
    broken = {row["path"] for kind in ("unreadable", "damaged") for row in found[kind]}
    leaks = {frozenset(row["paths"]) for row in found["leakage"]}
    groups = [set(group) for kind in ("exact_twins", "near_twins") for group in found[kind]]

    def is_found(copy: str, original: str) -> bool:
        return frozenset((copy, original)) in leaks or (
            any({copy, original} <= group for group in groups)
            and any(copy in pair or original in pair for pair in leaks)
        )

    corrupt = {kind: [path in broken for path, how in planted.corrupt.items() if how == kind]
               for kind in dict.fromkeys(planted.corrupt.values())}  # fmt: skip
    copies = {kind: [is_found(copy, original) for copy, (original, how) in planted.duplicates.items() if how == kind]
              for kind in dict.fromkeys(how for _, how in planted.duplicates.values())}  # fmt: skip
    touched = {path for copy, (original, _) in planted.duplicates.items() for path in (copy, original)}
    return {
        "photos": planted.photos,
        "corrupt": counted(corrupt),
        "duplicates across parts": counted(copies),
        "sound photos called broken": len(broken - set(planted.corrupt)),
        "twin groups without a planted copy": sum(not group & touched for group in groups),
        "twin groups before planting": len(before["exact_twins"]) + len(before["near_twins"]),
    }


def labels_found(planted: Planted, found: dict[str, Any]) -> dict[str, Any]:
    """Count the planted wrong labels in the first 5% of the photos, as the audit ranks them, and among the likely."""
    first = math.ceil(FIRST * planted.photos)
    ranked = [row["path"] for row in found["label_errors"]]
    likely = [row["path"] for row in found["label_errors"] if row["likely"]]
    hits = [path for path in ranked[:first] if path in planted.mislabelled]
    return {
        "basis": found["label_errors_by"],
        "planted": len(planted.mislabelled),
        f"found in the first {FIRST:.0%} of the photos": len(hits),
        "photos looked at for that": min(first, len(ranked)),
        "called likely": len(likely),
        "planted among the likely": sum(path in planted.mislabelled for path in likely),
        "true class suggested": sum(planted.mislabelled.get(row["path"]) == row["suggested"] for row in
                                    found["label_errors"] if row["path"] in hits),
    }  # fmt: skip


def counted(found: dict[str, list[bool]]) -> dict[str, Any]:
    return {
        "planted": sum(map(len, found.values())),
        "found": sum(map(sum, found.values())),
        "of each kind": {kind: f"{sum(ones)} of {len(ones)}" for kind, ones in found.items()},
    }


if __name__ == "__main__":
    main()
