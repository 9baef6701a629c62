"""Give the whole corpus of hostile inputs to the program and write what came of it: measurements/hostile.json.

python benchmarks/hostile_corpus.py
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from machine_facts import machine_facts

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests"))

from hostile.child import KINDS, MOST_MB, MOST_SECONDS  # noqa: E402
from hostile.running import run_kind  # noqa: E402


def summed(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of one kind: outcomes, and the slowest and largest of its inputs."""
    slowest = max(results, key=lambda one: one["cpu_seconds"])
    largest = max(results, key=lambda one: one["peak_mb"])
    return {
        "inputs": len(results),
        "outcomes": dict(Counter(one["outcome"] for one in results)),
        "not_as_they_must": [one["name"] for one in results if one["faults"]],
        "most_cpu_seconds": slowest["cpu_seconds"],
        "most_seconds": max(one["seconds"] for one in results),
        "slowest": slowest["name"],
        "most_memory_mb": largest["peak_mb"],
        "least_memory_mb": min(one["peak_mb"] for one in results),
        "largest": largest["name"],
    }


def main() -> None:
    """Run all kinds, one after the other."""
    kinds = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            kinds[kind] = summed(run_kind(kind, Path(folder, kind), timeout_seconds=1800))
        print(kind, kinds[kind], flush=True)
    result = {
        "machine": machine_facts(),
        "inputs": sum(one["inputs"] for one in kinds.values()),
        "bounds": {"memory_mb": MOST_MB, "cpu_seconds": MOST_SECONDS},
        "kinds": kinds,
    }
    text = json.dumps(result, indent=1) + "\n"
    (TOP / "measurements" / "hostile.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
