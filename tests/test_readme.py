"""The READMEs say what the measurements say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_figures_are_those_of_the_measurements():
    command = [sys.executable, "benchmarks/fill_figures.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_both_readmes_lead_to_what_is_there():
    for name in ("README.md", "README.zh-TW.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for words in ("make demo", "make test", "fireweed train --data", "docs/images/report.png", "measurements/"):
            assert words in text
    assert (ROOT / "docs" / "images" / "report.png").stat().st_size < 700_000
