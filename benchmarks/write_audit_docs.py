"""Write the figures of docs/audit.md, between its marks, from measurements/audit.json.

    python benchmarks/write_audit_docs.py [--check]

With --check nothing is written, and the exit code is 1 when the page is not up to date.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from marked import fill, told
from speed_tables import table

ROOT = Path(__file__).parents[1]
MARKS = re.compile(r"(<!-- audit -->\n).*?(<!-- /audit -->)", re.DOTALL)
DOCUMENT = ROOT / "docs" / "audit.md"


def main() -> int:
    result = json.loads((ROOT / "measurements" / "audit.json").read_text(encoding="utf-8"))
    stale = fill(DOCUMENT, MARKS, lambda _: text(result))
    return told([DOCUMENT.name] if stale else [], "audit figures up to date")


def text(result: dict[str, Any]) -> str:
    planted = result["planted"]
    rows = [(what, f"{planted[what]['found']} of {planted[what]['planted']}", kinds(planted[what]["of each kind"]))
            for what in ("corrupt", "duplicates across parts")]  # fmt: skip
    if "labels" in result:
        labels = result["labels"]
        found = labels["found in the first 5% of the photos"]
        rows.append(("wrong labels, in the first 5% of the photos", f"{found} of {labels['planted']}",
                     f"{labels['planted among the likely']} among the {labels['called likely']} called likely; "
                     f"{labels['seconds']:,.0f} s in all"))  # fmt: skip
    speed = result["speed"]
    rate = speed["photos/s"]
    lines = [
        table(("planted", "found", "of each kind"), rows).rstrip("\n"),
        "",
        f"{planted['sound photos called broken']} sound photos were called broken. Without a model "
        f"{rate['median']:,} photos/s ({rate['min']:,} to {rate['max']:,}, n = {rate['n']}), start-up included, of "
        f"{speed['photos']:,} photos; {speed['CPU seconds of both cores']} s of processor time, "
        f"{speed['peak memory, MB']:,} MB at most.",
    ]
    if "many" in result:
        many = result["many"]
        lines.append(
            f"{many['photos']:,} photos of {many['side_px']} px: {many['seconds']:,.0f} s, "
            f"{many['CPU seconds of both cores']:,.0f} s of processor time, {many['peak memory, MB']:,} MB at most."
        )
    versions = planted["versions"]
    lines += ["", f"{planted['chip']}, {planted['cores']} cores; opencv {versions['opencv-python-headless']}, "
                  f"pillow {versions['pillow']}; {planted['date']}."]  # fmt: skip
    return "\n".join(lines) + "\n"


def kinds(found: dict[str, str]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in found.items())


if __name__ == "__main__":
    sys.exit(main())
