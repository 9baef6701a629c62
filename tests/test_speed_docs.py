"""docs/speed.md says what measurements/speed.json says, and ratios and verdicts are drawn from it rightly."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from peers.summary import Goal, Spread, nets_of, quotient, ratio, values  # noqa: E402


def run(program: str, number: int, **found: object) -> dict:
    return {"case": "step", "program": program, "round": number, **found}


def test_tables_and_plots_are_those_of_the_measurements():
    command = [sys.executable, "benchmarks/write_speed_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_ratio_pairs_rounds_and_takes_the_best_peer_of_each():
    runs = [run("Fireweed", 0, rate=10.0), run("Fireweed", 1, rate=30.0), run("Fireweed", 2, rate=99.0)]
    runs += [run("a", 0, rate=5.0), run("b", 0, rate=4.0), run("a", 1, rate=6.0), run("b", 1, rate=10.0)]
    runs += [run("a", 2, error="failed")]
    assert ratio(runs, "step", "rate", ("a", "b")) == Spread(2.5, 2.0, 3.0, 2)
    assert ratio(runs, "step", "rate", ("c",)) is None
    assert quotient({0: 4.0, 1: 9.0}, {0: 2.0}) == Spread(2.0, 2.0, 2.0, 1)


def test_of_several_epochs_a_round_counts_its_median():
    assert values([run("a", 0, later_rates=[1.0, 5.0])], "step", "a", "later_rates") == {0: 3.0}


def test_a_goal_says_when_noise_hides_it():
    assert Goal("x", 1.2, Spread(1.3, 1.25, 1.4, 3)).verdict == "reached"
    assert Goal("x", 1.2, Spread(1.3, 1.1, 1.4, 3)).verdict == "reached, within noise"
    assert Goal("x", 1.2, Spread(1.1, 1.0, 1.15, 3)).verdict == "not reached"
    assert Goal("x", 16, Spread(12, 11, 17, 3), is_at_least=False).verdict == "reached, within noise"
    assert Goal("x", 1.2, None).verdict == "not measured"


def test_nets_that_should_be_equal_are_held_to_it():
    runs = [run("Fireweed", 0, parameters=9, multiply_adds=7), run("fastai", 0, parameters=1, multiply_adds=1)]
    assert nets_of(runs)["step"]["fastai"] == {"parameters": 1, "multiply_adds": 1}
    with pytest.raises(ValueError, match="same net"):
        nets_of([*runs, run("PyTorch eager", 0, parameters=9, multiply_adds=8)])
