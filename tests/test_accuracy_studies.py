"""What a study of accuracies keeps of its runs is what they gave and spent."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import accuracy

VALIDATION = {"photos": 100, "accuracy": 0.9}


def test_a_part_that_only_a_later_seed_was_judged_on_is_summed_up():
    judged = {"validation": VALIDATION, "test": {"photos": 50, "accuracy": 0.8}}
    found = accuracy.summary([{"validation": VALIDATION}, judged])
    assert found["validation"]["seeds"] == 2
    assert (found["test"]["mean"], found["test"]["seeds"], found["test"]["photos"]) == (0.8, 1, 50)


def test_what_a_run_spent_is_counted_by_the_epochs_that_it_ran():
    history = [{"epoch": 1.0, "side": 96.0}, {"epoch": 2.0, "side": 96.0}, {"epoch": 3.0, "side": 192.0}]
    costs = {96: 10**9, 192: 4 * 10**9, 256: 7 * 10**9}  # the phase at 256 px never began
    assert accuracy.spent(history, 1000, costs) == {"photos_trained_on": 3000, "tera_multiply_adds": 6.0}


def test_keep_takes_all_variants_of_a_study(monkeypatch, tmp_path, capsys):
    study = tmp_path / "study.toml"
    study.write_text("".join(f'[[variant]]\nname = "{name}"\nrecipe = "demo"\nseeds = [1]\n' for name in ("a", "b")))
    kept = []
    monkeypatch.setattr(accuracy, "keep", lambda name, jobs, runs: kept.append([job.name for job in jobs]))
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "keep", str(study)])
    accuracy.main()
    assert kept == [["a-1", "b-1"]]
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "keep", str(study), "--only", "a"])
    with pytest.raises(SystemExit):
        accuracy.main()
    assert len(kept) == 1 and "--only goes with train" in capsys.readouterr().err
