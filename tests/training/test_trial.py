"""A trial in a child process measures both ways, and is given up at its limit with what it had by then."""

import json
import subprocess
import time

from fireweed.recipe import checked
from fireweed.training import trial
from fireweed.training.trial import run_trial

RECIPE = checked({"model": {"name": "conv 8 | gap"}, "training": {"batch": 4, "precision": "float32"}})


def test_a_child_measures_both_ways():
    found = run_trial(RECIPE, 3, 8, 240.0, {"CUDA_VISIBLE_DEVICES": "-1"})
    assert set(found) == {"step none", "step xla", "first none", "first xla", "tried seconds"}
    assert all(value > 0 for value in found.values())


def test_a_child_is_given_up_at_the_limit():
    started = time.monotonic()
    assert run_trial(RECIPE, 3, 8, 0.3, {}) == {"tried seconds": 0.3}
    assert time.monotonic() - started < 20


def test_what_a_killed_child_had_measured_counts(monkeypatch):
    whole = json.dumps({"step none": 20.0, "first none": 4.0})

    def run(*arguments, timeout, **options):
        raise subprocess.TimeoutExpired("trial", timeout, output=f'{whole}\n{{"step xla": 1'.encode())

    monkeypatch.setattr(trial.subprocess, "run", run)
    assert run_trial(RECIPE, 3, 8, 50.0, {}) == {"step none": 20.0, "first none": 4.0, "tried seconds": 50.0}
