"""Write the tables of docs/speed.md, between its marks, and its plots, from measurements/speed.json,
step-profile.json and held-to-avx2.json.

    python benchmarks/write_speed_docs.py [--check]

With --check nothing is written, and the exit code is 1 when something is not up to date.
"""

import json
import re
import sys
from pathlib import Path

from marked import fill, told
from speed_plots import redraw_speed
from speed_profile import profile_table
from speed_tables import held_table, tables

ROOT = Path(__file__).parents[1]
MARKS = re.compile(r"(<!-- speed: (\w+) -->\n).*?(<!-- /speed -->)", re.DOTALL)
DOCUMENT = ROOT / "docs" / "speed.md"


def main() -> int:
    result = json.loads((ROOT / "measurements" / "speed.json").read_text(encoding="utf-8"))
    made = {name: table(result) for name, table in tables().items()}
    profile = json.loads((ROOT / "measurements" / "step-profile.json").read_text(encoding="utf-8"))
    made["profile"] = profile_table(profile)
    made["held"] = held_table(json.loads((ROOT / "measurements" / "held-to-avx2.json").read_text(encoding="utf-8")))
    stale = [DOCUMENT.name] if fill(DOCUMENT, MARKS, lambda marks: made[marks[2]]) else []
    return told([*stale, *redraw_speed(result)], "speed figures up to date")


if __name__ == "__main__":
    sys.exit(main())
