"""The engine's choice is frozen in the run, and a repeatable run rests on nothing that was timed."""

import pytest

from fireweed.api import TrainRequest, compiling, train_run
from fireweed.api.compiling import with_compile
from fireweed.api.timing import speed_name
from fireweed.devices import DeviceChoice, choose_device
from fireweed.recipe import checked
from fireweed.remembered import remember, remembered
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved

CPU = DeviceChoice("cpu", 1, "Plain CPU", "tensorflow", "float32")
QUIET = Reporter(is_silent=True)
RECIPE = checked({"model": {"name": "conv 8 | gap"}, "training": {
    "phases": [{"side": 16, "epochs": 1}], "batch": 8, "precision": "float32"}})  # fmt: skip
FASTER = {"step none": 10.0, "step xla": 40.0, "first none": 1.0, "first xla": 2.0, "tried seconds": 60.0}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "cache"))


def chosen(photos=1000, is_repeatable=False, may_try=True):
    resolved = with_compile(Resolved(RECIPE, None, ("first",)), 5, photos, 0, CPU, is_repeatable, may_try, QUIET)
    assert resolved.notes[0] == "first" and resolved.notes[1].startswith("engine: ")
    return resolved.recipe.training.compile


def test_remembered_figures_decide_but_not_in_a_repeatable_run():
    assert chosen() == "none"
    remember(speed_name(RECIPE, 16, CPU), FASTER)
    assert chosen() == "xla"
    assert chosen(is_repeatable=True) == "none"


def test_a_long_training_tries_and_remembers(monkeypatch):
    asked = []

    def run_trial(recipe, classes, side, limit, environment):
        asked.append((classes, side, limit))
        return FASTER

    monkeypatch.setattr(compiling, "run_trial", run_trial)
    remember(speed_name(RECIPE, 16, CPU), {"run none": 1.0})
    assert chosen(3600, is_repeatable=True) == "none" and not asked
    assert chosen(3600, may_try=False) == "none" and not asked
    assert chosen(3600) == "xla" and asked == [(5, 16, pytest.approx(72.0, rel=1e-3))]
    assert remembered()[speed_name(RECIPE, 16, CPU)] == FASTER | {"run none": 1.0}
    assert chosen(3600) == "xla" and len(asked) == 1, "the second time it is remembered"


def test_the_run_keeps_what_was_chosen(make_photos, tmp_path):
    request = TrainRequest(str(make_photos({"a": 12, "b": 12})), model="conv 8 | gap", side=16, epochs=4,
                           compile="xla", out=str(tmp_path / "run"))  # fmt: skip
    folder = train_run(request, QUIET)
    assert folder.resolved().training.compile == "xla" and folder.facts().asked.training.compile == "xla"
    assert 0 <= folder.history()[0]["val_loss"] < 100
    name = speed_name(folder.resolved(), 16, choose_device())
    assert set(remembered()[name]) == {"run xla"}
