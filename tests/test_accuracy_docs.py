"""docs/accuracy.md says what measurements/accuracy says, and a study's summary counts seeds and photos rightly."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from accuracy import read_study, summary  # noqa: E402


def result(seed: int, right: int, photos: int = 100, **parts: dict) -> dict:
    return {"seed": seed, "validation": {"photos": photos, "accuracy": right / photos}, **parts}


def test_tables_are_those_of_the_measurements():
    command = [sys.executable, "benchmarks/write_accuracy_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_summary_has_the_mean_the_spread_and_the_interval_of_the_photos():
    test = {"photos": 50, "accuracy": 0.5}
    found = summary([result(0, 80), result(1, 90, test=test)])
    assert found["validation"]["mean"] == 0.85 and found["validation"]["seeds"] == 2
    assert (found["validation"]["least"], found["validation"]["most"]) == (0.8, 0.9)
    low, high = found["validation"]["interval_95"]
    assert 0.76 < low < 0.78 and 0.90 < high < 0.92
    assert (found["test"]["seeds"], found["test"]["photos"]) == (1, 50), "of the runs that were judged on it"


def test_a_study_runs_the_first_seed_of_every_variant_before_the_second_of_any(tmp_path: Path):
    path = tmp_path / "study.toml"
    path.write_text(
        'set = ["training.batch=16"]\n[[variant]]\nname = "a"\nrecipe = "demo"\nseeds = [0, 1]\n'
        '[[variant]]\nname = "b"\nrecipe = "demo"\nseeds = [5]\nset = ["training.batch=8"]\n'
    )
    jobs = read_study(path)
    assert [job.name for job in jobs] == ["a-0", "b-5", "a-1"]
    assert jobs[1].settings == ("training.batch=16", "training.batch=8"), "a variant's own setting comes last and wins"
