"""docs/audit.md says what measurements/audit.json says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_figures_are_those_of_the_measurements():
    command = [sys.executable, "benchmarks/write_audit_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
