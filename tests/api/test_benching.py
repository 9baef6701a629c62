"""`fireweed bench` measures what it says, remembers it, fits a terminal, and shows what it had when it is stopped."""

import json
import os
import signal
import subprocess
import time

import pytest

import warm
from fireweed.api import BenchRequest, TrainRequest, bench, bench_text
from fireweed.api.bench_table import best_batch
from fireweed.api.limits import matrix_rate, memory_rate
from fireweed.errors import FireweedError
from fireweed.remembered import remembered
from fireweed.reporting import Reporter

NET = "conv 4 | pool | fire 4 8 | gap"
QUIET = Reporter(is_silent=True)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "cache"))


def measured(**options):
    request = BenchRequest(TrainRequest("drawn", model=NET), **{"sides": (16, 24), "batches": (4, 8), **options})
    return list(bench(request, QUIET))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """What came of each pair of sides and batches, and the rates that were remembered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIREWEED_CACHE", str(tmp_path_factory.mktemp("cache")))
        return measured(photos=1000, tries_xla=False), [figures["step none"] for figures in remembered().values()]


def test_every_pair_is_measured_told_and_remembered(pairs):
    results, rates = pairs
    assert [result["complete"] for result in results] == [False] * 6 + [True]
    last = results[-1]
    json.dumps(last, allow_nan=False)
    assert [(row["side"], row["batch"]) for row in last["training"]] == [(16, 4), (16, 8), (24, 4), (24, 8)]
    assert [(row["side"], row["batch"]) for row in last["prediction"]] == [(16, 1), (16, 32), (24, 1), (24, 32)]
    for row in last["training"]:
        assert row["epoch_seconds"] == pytest.approx(1000 / row["images_per_second"])
        used = row["images_per_second"] * 3 * row["multiply_adds"]
        assert row["share_of_matrix_rate"] == pytest.approx(used / last["limits"]["multiply_adds_per_second"])
        assert 0 < row["share_of_memory_rate"] < 20 and row["peak_memory_bytes"] > 1e8
    assert sorted(rates) == sorted(row["images_per_second"] for row in last["training"])
    text = bench_text(last)
    assert max(map(len, text.splitlines())) <= 80
    assert "24 px" in text and last["device"]["name"] in text and "keras" in text


def test_half_a_result_is_shown_too(pairs):
    assert "training steps" in bench_text(pairs[0][0])


def test_xla_is_tried_and_the_verdict_shown(monkeypatch):
    from fireweed.api import compiling

    found = {"step none": 27.0, "step xla": 12.0, "first none": 1.0, "first xla": 9.0, "tried seconds": 90.0}
    monkeypatch.setattr(compiling, "run_trial", lambda *arguments: found)
    last = measured(sides=(16,), batches=(4,))[-1]
    assert last["engine"]["compile"] == "none" and last["engine"]["step xla"] == 12.0
    assert "engine: no XLA (27 against 12 images/s, measured now)" in bench_text(last)
    assert next(iter(remembered().values()))["step xla"] == 12.0


def test_photos_of_data_are_counted(make_photos):
    last = measured(sides=(16,), batches=(4,), data=str(make_photos({"a": 60, "b": 40})), tries_xla=False)[-1]
    assert last["photos"] == 71  # what the recipe's split leaves for training


@pytest.mark.parametrize(
    ("options", "word"), [({"sides": (1,)}, "side 1 px"), ({"batches": (0,)}, "batch"), ({"photos": 0}, "--photos"),
                          ({"photos": 5, "data": "drawn"}, "--data")]
)  # fmt: skip
def test_wrong_wishes_are_told(options, word):
    with pytest.raises(FireweedError, match=word):
        measured(**options)


def test_the_smallest_of_the_quick_batches_is_advised():
    def rows(**rates):
        return [{"side": side, "batch": int(name[1:]), "images_per_second": rate}
                for name, at in rates.items() for side, rate in at.items()]  # fmt: skip

    assert best_batch(rows(b8={32: 50.0}, b16={32: 99.0}, b32={32: 100.0})) == 16
    assert best_batch(rows(b8={32: 99.0, 64: 10.0}, b16={32: 100.0, 64: 20.0})) == 16
    assert best_batch(rows(b8={32: 50.0})) is None and best_batch([]) is None
    assert best_batch(rows(b8={32: 50.0}, b16={64: 50.0})) is None, "nothing to compare"


def test_limits_are_rates_a_machine_can_have():
    assert 1e8 < matrix_rate() < 1e14 and 1e8 < memory_rate() < 1e13


@pytest.mark.skipif(os.name != "posix", reason="sends a signal as a terminal does")
def test_stopped_it_shows_what_it_had(tmp_path):
    command = [*warm.python(), "-m", "fireweed", "bench", "--model", NET, "--side", "16", "--no-xla", "--json"]
    for batch in range(1, 60):
        command += ["--batch", str(batch)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = tmp_path / "cache" / "measured.json"
    while not store.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in errors and "stopped" in errors
    if said:  # stopped between the file and the first result there is none yet
        assert json.loads(said)["complete"] is False
