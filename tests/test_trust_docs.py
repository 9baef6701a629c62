"""The promises in docs/trust.md: each names tests that are there, and figures are those of the measurements."""

import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[1]


def test_every_test_and_file_that_a_promise_names_is_there():
    text = (TOP / "docs" / "trust.md").read_text(encoding="utf-8")
    written = "\n".join(path.read_text(encoding="utf-8") for path in (TOP / "tests").rglob("*.py"))
    named = re.findall(r"\btest_\w+(?!\.py|\w)", text)
    assert len(named) > 20
    missing = [
        name for name in named if f"def {name}(" not in written and not list((TOP / "tests").rglob(f"{name}.py"))
    ]
    missing += [path for path in re.findall(r"`(tests/[\w/.]+)", text) if not (TOP / path).exists()]
    assert not missing


def test_figures_are_those_of_the_measurements():
    command = [sys.executable, "benchmarks/write_trust_docs.py", "--check"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
