"""Training on several hosts gives what one gives; here the hosts are two processes of this machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fireweed.api import TrainRequest, train_run
from fireweed.errors import DeviceError
from fireweed.reporting import Reporter

NET = "conv 8 /2 | fire 8 16 | gap"
SCRIPT = """
import io, json, os, signal, sys

class NoTensorFlow:  # several hosts do without, and the test is quicker
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

sys.meta_path.insert(0, NoTensorFlow())
from rich.console import Console
from fireweed.api.training import TrainRequest, train_run
from fireweed.data.squares import SquareCache
from fireweed.errors import FireweedError
from fireweed.reporting import Reporter
from fireweed.training import recording, train

asked, killed_in = json.loads(sys.argv[1]), int(sys.argv[2])
decode, begin, fit = SquareCache._decode, recording.Recorder.on_epoch_begin, train._fit_stretches
decoded, fitted, said, error = set(), {}, io.StringIO(), None

def noted(self, photo, out):
    decoded.add((photo.part, photo.key))
    return decode(self, photo, out)

def killed(self, epoch, logs=None):
    if epoch + 1 == killed_in:
        os.kill(os.getpid(), signal.SIGKILL)
    begin(self, epoch, logs)

def fit_and_note(*given):
    fit(*given)
    fitted.update(decoded=sorted(decoded), rows=given[-1][2].rows)

SquareCache._decode, recording.Recorder.on_epoch_begin, train._fit_stretches = noted, killed, fit_and_note
try:
    for options in asked:
        request = TrainRequest(data="drawn", model="NET", backend="jax", device="cpu", epochs=2, side=32,
                               settings=("training.batch=64",), **options)
        train_run(request, Reporter(Console(file=said, width=300)))
except FireweedError as raised:
    error = f"{type(raised).__name__}: {raised}"
print("RAN", json.dumps({"error": error, "said": said.getvalue(), **fitted}))
""".replace("NET", NET)


def start(*asked: dict, killed_in: int = 0) -> subprocess.Popen:
    """Start trainings after one another in a process that finds no photo decoded."""
    environ = {"FIREWEED_CACHE_GB": "0", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
    environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # most of the time is compilation
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(asked), str(killed_in)], text=True, env=os.environ | environ,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ends(*processes: subprocess.Popen) -> list[dict]:
    """Return what each process printed last, None of one that was killed."""
    texts = [one.communicate(timeout=200) for one in processes]
    for one, (out, errors) in zip(processes, texts, strict=True):
        assert "RAN " in out or one.returncode == -9, errors[-3000:]
    return [json.loads(out.split("RAN ")[1]) if "RAN " in out else None for out, _ in texts]


def pair(folder: Path, port: int, out: Path, killed_in: int = 0) -> list[dict]:
    """Train on two hosts, of which the second one has no folder of the run and may be killed in an epoch."""
    common = {"coordinator": f"127.0.0.1:{port}", "hosts": 2}
    first = start({"out": str(out), "host": 0, **common})
    second = start({"out": str(folder / "nowhere"), "host": 1, **common}, killed_in=killed_in)
    return ends(first, second)


def history(out: Path) -> np.ndarray:
    lines = (out / "history.csv").read_text(encoding="utf-8").splitlines()
    names = lines[0].split(",")
    return figures([dict(zip(names, line.split(","), strict=True)) for line in lines[1:]])


def figures(rows: list[dict]) -> np.ndarray:
    return np.array([[float(row[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")] for row in rows])


def test_two_hosts_train_as_one_does_and_go_on_after_one_was_killed(tmp_path, free_port):
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    first, second = pair(tmp_path, free_port, cut, killed_in=2)
    assert second is None and "HostLostError: a host was lost" in first["error"]
    assert len(history(cut)) == 1
    shutil.copytree(cut, tmp_path / "cut-one")
    first, second = pair(tmp_path, free_port, cut)  # the same command
    assert (first["error"], second["error"]) == (None, None)
    (one,) = ends(start({"out": str(tmp_path / "cut-one")}, {"out": str(whole)}))
    assert one["error"] is None

    assert np.allclose(history(cut), history(whole), rtol=1e-4, atol=1e-4)
    assert np.allclose(history(tmp_path / "cut-one"), history(whole), rtol=1e-4, atol=1e-4)
    assert (figures(first["rows"]) == figures(second["rows"])).all()
    losses = [json.loads((out / "evaluation-validation.json").read_text())["loss"] for out in (cut, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # with norm statistics that host 0 computed alone

    assert "resuming after epoch 1" in first["said"] and "shared by 2 hosts with 1 CPU device each" in first["said"]
    assert all(line.startswith("warning: ") for line in second["said"].splitlines())
    assert (cut / "report.html").is_file() and not (tmp_path / "nowhere").exists()
    check_shares(first["decoded"], second["decoded"], one["decoded"])


def check_shares(first: list, second: list, whole: list) -> None:
    """Each host has decoded its half, and both together all; places that fill up a last batch are its own too."""
    for part in ("train", "validation"):
        own, others, everyone = ({key for name, key in share if name == part} for share in (first, second, whole))
        assert own | others == everyone
        assert not own & others and abs(len(own) - len(others)) <= 1


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"minutes": 1.0}, "--minutes goes on one host only"),
        ({"model": "mobilenetv2", "weights": "none", "freeze": True}, "frozen net goes on one host only"),
        ({"backend": "tensorflow"}, "--backend jax"),
    ],
)
def test_what_several_hosts_cannot_do_is_refused_at_once(asked, says, free_port, tmp_path):
    given = {"model": NET, "hosts": 2, "host": 1, "coordinator": f"127.0.0.1:{free_port}", "out": str(tmp_path / "run")}
    with pytest.raises(DeviceError, match=says):
        train_run(TrainRequest("drawn", **given | asked), Reporter(is_silent=True))
    assert not (tmp_path / "run").exists()
