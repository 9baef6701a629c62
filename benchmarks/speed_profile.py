"""The table of where a step's time goes, from measurements/step-profile.json."""

from typing import Any

HEAD = ("ms a step", "with the kernels", "share", "without them", "share")


def profile_table(result: dict[str, Any]) -> str:
    """Return a table for each net: milliseconds of each kind of work, median and range, and its share of the step."""
    lines = []
    for name, engines in result["figures"].items():
        lines += [f"{name}:", "", row(HEAD), row(("---",) * len(HEAD))]
        for kind in engines["kernels"]:
            cells = [kind if kind != "step" else "**the step**"]
            for engine in ("kernels", "none"):
                found, step = engines[engine][kind], engines[engine]["step"]["median"]
                cells += [f"{found['median']:,.0f} ({found['min']:,.0f} to {found['max']:,.0f})",
                          f"{found['median'] / step:.0%}"]  # fmt: skip
            lines.append(row(cells))
        lines.append("")
    count = next(iter(result["figures"].values()))["kernels"]["step"]["n"]
    lines.append(
        f"{result['chip']}, {result['cores']} cores; {result['date']}, commit {result['commit']}; n = {count}."
    )
    return "\n".join(lines) + "\n"


def row(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"
