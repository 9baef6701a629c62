"""A run that is killed at any moment, or whose disk is full at any write, ends like one that nothing happened to."""

import contextlib
import datetime
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from fireweed.run import TIME_COLUMNS, RunFolder, open_run
from fireweed.training.checkpoints import read_checkpoint

HERE = Path(__file__).parent
RESULT = HERE.parents[1] / "measurements" / "crash-test.json"
COMPILER = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
COUNT, KILL, FULL = 0, 1, 2
NET = "conv 8 | drop 0.2 | gap"
# in each step a checkpoint, so that every kill meets some step of some epoch
ASK = ["train", "--data", "drawn", "--model", NET, "--side", "16", "--deterministic", "--compile", "none",
       "--checkpoint-minutes", "1e-9", "--set", "training.average=0.9", "--set", "training.batch=64"]  # fmt: skip
SHORT_EPOCHS, LONG_EPOCHS = 2, 6
SHORT_KILLS, LONG_KILLS = 5, 50
WRITES_APART = 20  # of which one is failed in the long test; opens, syncs and renames are failed one and all

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or COMPILER is None, reason="faults are injected with a C compiler, on Linux"
)


class Runs:
    """Runs the command line with faults, in processes forked from one that has imported all."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self.epochs = epochs
        library = folder / "faults.so"
        subprocess.run([COMPILER, "-O1", "-shared", "-fPIC", "-o", library, HERE / "faults.c", "-ldl"], check=True)
        self._folder = folder
        self._errors = open(folder / "errors.txt", "w+")  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            [sys.executable, HERE / "runs.py"], env={**os.environ, "LD_PRELOAD": str(library)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip

    def run(self, out: Path, fault: int = 0, mode: int = COUNT, kill_after: float | None = None) -> dict:
        said = self._folder / "said.txt"
        arguments = [*ASK, "--epochs", str(self.epochs), "--out", str(out)]
        asked = {"arguments": arguments, "folder": str(out), "fault": fault, "mode": mode, "said": str(said),
                 "kill_after": kill_after}  # fmt: skip
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, (self._folder / "errors.txt").read_text()[-2000:]
        return json.loads(answer) | {"said": said.read_text()}

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._errors.close()


@pytest.fixture(scope="module", params=[pytest.param(SHORT_EPOCHS, id="short")])
def runs(request, tmp_path_factory):
    started = Runs(tmp_path_factory.mktemp("runs"), request.param)
    yield started
    started.close()


@pytest.fixture(scope="module")
def whole(runs, tmp_path_factory):
    """A run that nothing happens to: its folder, its seconds, and the calls that wrote its files."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    first = runs.run(folder)
    assert first["code"] == 0, first["said"]
    shutil.rmtree(folder)
    again = runs.run(folder)  # photos are decoded now, as in all that follow
    return folder, again["seconds"], again["calls"]


def lasting(folder: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in TIME_COLUMNS} for row in open_run(folder).history()]


def weights(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(io.BytesIO(zipfile.ZipFile(folder / "model.keras").read("model.weights.h5"))) as file:
        file.visititems(lambda n, item: found.__setitem__(n, item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def check_left(folder: Path, epochs: int) -> str:
    """Make sure that what a stopped run left is whole; return where it stopped."""
    checkpoints = sorted((folder / "checkpoints").glob("epoch-*.npz"))
    for path in checkpoints:
        read_checkpoint(path)
    if not RunFolder(folder).is_started:
        return "before it began"
    assert len(checkpoints) <= 3, "a third may be there for the moment in which the oldest is removed"
    if not checkpoints:
        return "before its first checkpoint"
    newest = max((read_checkpoint(path) for path in checkpoints), key=lambda one: (one.epoch, one.step))
    if newest.epoch == epochs:
        return "after its last epoch"
    return "within an epoch" if newest.step else "between epochs"


def check_end(runs: Runs, folder: Path, whole: Path) -> None:
    """Start the run again, without faults, and compare it with the one that nothing happened to."""
    again = runs.run(folder)
    assert again["code"] == 0, again["said"]
    assert lasting(folder) == lasting(whole)
    ours, theirs = weights(folder), weights(whole)
    assert ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert [path.name for path in folder.rglob(".*")] == [".lock"], "scraps are left"
    shutil.rmtree(folder)


def killed_at_random(runs: Runs, whole: tuple, folder: Path, kills: int, seed: int) -> Counter:
    """Kill so many runs, each at some moment of the time that a run takes, and go on with each to its end."""
    places: Counter = Counter()
    moments, seconds = np.random.default_rng(seed), whole[1]
    while places.total() < kills:
        stopped = runs.run(folder, kill_after=float(moments.uniform(0, seconds)))
        if stopped["code"] == 0:  # the machine is quicker now, and the run had ended
            seconds = stopped["seconds"]
        else:
            assert stopped["code"] == -9, stopped["said"]
            places[check_left(folder, runs.epochs)] += 1
        check_end(runs, folder, whole[0])
    return places


def failed_at(runs: Runs, whole: tuple, folder: Path, number: int, mode: int) -> str:
    """Let a run fail at one of its writes, and go on with it to its end; return where it stopped."""
    stopped = runs.run(folder, fault=number, mode=mode)
    if mode == FULL:
        assert stopped["code"] in (0, 2), stopped["said"]
        assert stopped["code"] == 0 or "disk full" in stopped["said"], stopped["said"]
        assert "Traceback" not in stopped["said"], stopped["said"]
    else:
        assert stopped["code"] in (-9, 0), stopped["said"]
    place = "after it had ended" if stopped["code"] == 0 else check_left(folder, runs.epochs)
    check_end(runs, folder, whole[0])
    return place


def test_killed_at_some_moments_and_at_some_writes(runs, whole, tmp_path):
    killed_at_random(runs, whole, tmp_path / "run", SHORT_KILLS, seed=0)
    calls = whole[2]
    renames = [number for number, kind in enumerate(calls, 1) if kind == "r"]
    failed_at(runs, whole, tmp_path / "run", renames[len(renames) // 2], KILL)
    failed_at(runs, whole, tmp_path / "run", renames[len(renames) // 3] - 2, FULL)
    failed_at(runs, whole, tmp_path / "run", renames[-1] - 2, KILL)  # in the report


@pytest.mark.long
@pytest.mark.parametrize("runs", [pytest.param(LONG_EPOCHS, id="long")], indirect=True)
@pytest.mark.timeout(6 * 3600)
def test_killed_at_fifty_moments_and_at_each_write(runs, whole, tmp_path):
    from machine_facts import machine_facts

    folder = tmp_path / "run"
    by_moment = killed_at_random(runs, whole, folder, LONG_KILLS, seed=1)
    calls = whole[2]
    points = [n for n, kind in enumerate(calls, 1) if kind != "w" or n % WRITES_APART == 0]
    by_fault: dict[str, Counter] = {"killed": Counter(), "disk full": Counter()}
    failed: Counter = Counter()
    for place, number in enumerate(points):
        name, mode = ("killed", KILL) if place % 2 else ("disk full", FULL)
        by_fault[name][failed_at(runs, whole, folder, number, mode)] += 1
        failed[calls[number - 1]] += 1
    names = {"o": "open", "w": "write", "s": "fsync", "r": "rename", "m": "mkdir"}
    RESULT.write_text(json.dumps({
        "what": "runs of six epochs on the drawn set that were killed or met a full disk, and were started again; each "
                "ended with the history (time columns aside) and the weights of one that nothing happened to",
        "random kills": dict(by_moment), "faults": {name: dict(found) for name, found in by_fault.items()},
        "faults by call": {names[kind]: [count, calls.count(kind)] for kind, count in failed.items()},
        "unequal ends": 0, "seconds of a run": round(whole[1], 2), "date": datetime.date.today().isoformat(),
        **machine_facts(),
    }, indent=1) + "\n")  # fmt: skip


@pytest.fixture(autouse=True)
def with_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE.parents[1] / "benchmarks"))


def test_faults_strike_where_they_are_asked_to(runs, whole, tmp_path):
    folder = tmp_path / "run"
    number = whole[2].index("r") + 1
    stopped = runs.run(folder, fault=number, mode=KILL)
    assert stopped["code"] == -9 and len(stopped["calls"]) == number and stopped["calls"][-1] == "r"
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
