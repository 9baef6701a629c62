"""Write the tables of docs/speed.md, between its marks, and its plots, from measurements/speed.json,
step-profile.json and held-to-avx2.json.

    python benchmarks/write_speed_docs.py [--check]

With --check nothing is written, and the exit code is 1 when something is not up to date.
"""

import json
import re
import sys
from pathlib import Path

from speed_plots import draw, is_current
from speed_profile import profile_table
from speed_tables import held_table, tables

ROOT = Path(__file__).parents[1]
MARKS = re.compile(r"(<!-- speed: (\w+) -->\n).*?(<!-- /speed -->)", re.DOTALL)
DOCUMENT, IMAGES = ROOT / "docs" / "speed.md", ROOT / "docs" / "images"


def main() -> int:
    result = json.loads((ROOT / "measurements" / "speed.json").read_text(encoding="utf-8"))
    made = {name: table(result) for name, table in tables().items()}
    profile = json.loads((ROOT / "measurements" / "step-profile.json").read_text(encoding="utf-8"))
    made["profile"] = profile_table(profile)
    made["held"] = held_table(json.loads((ROOT / "measurements" / "held-to-avx2.json").read_text(encoding="utf-8")))
    text = DOCUMENT.read_text(encoding="utf-8")
    filled = MARKS.sub(lambda marks: marks[1] + made[marks[2]] + marks[3], text)
    stale = [DOCUMENT.name] if filled != text else []
    stale += [] if is_current(result, IMAGES) else ["plots"]
    if "--check" not in sys.argv:
        DOCUMENT.write_text(filled, encoding="utf-8")
        if not is_current(result, IMAGES):
            draw(result, IMAGES)
    print("out of date: " + ", ".join(stale) if stale else "speed figures up to date")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
