"""Write the tables of docs/accuracy.md, between its marks, from measurements/accuracy.

    python benchmarks/write_accuracy_docs.py [--check]

With --check nothing is written, and the exit code is 1 when the page is not up to date.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from fireweed.text import counted
from marked import fill, told
from speed_tables import NONE, table

ROOT = Path(__file__).parents[1]
MARKS = re.compile(r"(<!-- study: ([\w-]+) -->\n).*?(<!-- /study -->)", re.DOTALL)
DOCUMENT = ROOT / "docs" / "accuracy.md"
GOALS = {  # validation accuracy, mean over the seeds
    "squeezenet": 0.88, "xception": 0.965, "frozen": 0.93, "fast": 0.80, "few": 0.88,
    "squeezenet-codelab": (0.76, 0.83),
}  # fmt: skip
HEAD = ("variant", "validation accuracy", "over seeds", "95% interval, by the number of photos", "test accuracy",
        "T multiply-adds a run", "minutes a run")  # fmt: skip


def main() -> int:
    is_stale = fill(DOCUMENT, MARKS, lambda marks: study_text(read(marks[2])))
    return told([DOCUMENT.name] if is_stale else [], "accuracy figures up to date")


def read(study: str) -> dict[str, Any]:
    return json.loads((ROOT / "measurements" / "accuracy" / f"{study}.json").read_text(encoding="utf-8"))


def study_text(study: dict[str, Any]) -> str:
    """Return a study's table, and a line on what it ran with."""
    variants = study["variants"]
    runs = [run for variant in variants for run in variant["runs"]]
    device, packages = runs[0]["device"], runs[0]["packages"]
    versions = ", ".join(f"{package} {packages[package]}" for package in ("keras", device["backend"]))
    precisions = " and ".join(dict.fromkeys(run["device"]["precision"] for run in runs))
    line = (
        f"{runs[0]['validation']['photos']} validation photos; {device['name']}, {precisions}; {versions}; "
        f"{max(run['date'] for run in runs)}."
    )
    head, rows = HEAD, [row(variant) for variant in variants]
    if study["study"] == "recipes":
        head = ("recipe", "goal", *HEAD[1:])
        rows = [(name(variant), goal(variant), *cells[1:]) for variant, cells in zip(variants, rows, strict=True)]
    return f"{table(head, rows)}\n{line}\n"


def name(variant: dict[str, Any]) -> str:
    settings = ", ".join(variant["set"])
    return f"`{variant['recipe']}`" + (f", {settings}" if settings else "")


def goal(variant: dict[str, Any]) -> str:
    """Return what a recipe should reach, and whether it did."""
    wanted, found = GOALS[variant["recipe"]], variant["validation"]["mean"]
    if isinstance(wanted, tuple):
        low, high = wanted
        return f"{low:.0%} to {high:.0%}: {'reached' if low <= found <= high else 'not reached'}"
    return f"{wanted:.1%}: {'reached' if found >= wanted else 'not reached'}"


def row(variant: dict[str, Any]) -> tuple[str, ...]:
    validation, runs = variant["validation"], variant["runs"]
    seeds = counted(validation["seeds"], "seed")
    low, high = validation["interval_95"]
    test = variant.get("test")
    return (
        variant["name"],
        f"{validation['mean']:.1%}",
        f"{validation['least']:.1%} to {validation['most']:.1%}, {seeds}" if validation["seeds"] > 1 else seeds,
        f"{low:.1%} to {high:.1%}",
        f"{test['mean']:.1%} ({test['interval_95'][0]:.1%} to {test['interval_95'][1]:.1%})" if test else NONE,
        f"{max(run['tera_multiply_adds'] for run in runs):.1f}",
        f"{sum(run['training_seconds'] for run in runs) / len(runs) / 60:.1f}",
    )


if __name__ == "__main__":
    sys.exit(main())
