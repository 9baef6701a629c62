"""Train on several hosts that are processes of this machine, kill one, go on, and hold all to one process's run.

    python benchmarks/loopback_hosts.py [--hosts 2 4]

The photos are those of the drawn set, the net a small one. Writes measurements/loopback-hosts.json: how far losses are
from those of one process, and how many photos each host read. The tests of several hosts start theirs by it too.
"""

import argparse
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
NET = "conv 8 /2 | fire 8 16 | gap"
EPOCHS = 2
PYTHON = [sys.executable]  # tests put one in its place that has imported all
ENVIRONMENT = {
    "FIREWEED_CACHE_GB": "0",  # no photo was decoded by an earlier run
    "JAX_PLATFORMS": "cpu",
    "KERAS_BACKEND": "jax",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # most of the time is compilation
}


class NoTensorFlow:
    """Keeps TensorFlow from being found: several hosts do without, and start sooner."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")


def start(
    *asked: dict[str, Any], killed_in: int = 0, by: int = signal.SIGKILL, batch: int = 64
) -> subprocess.Popen[str]:
    """Start trainings after one another in a process that finds no photo decoded.

    asked:     options of each `TrainRequest`; with `is_judged` false its run ends where training does.
    killed_in: the epoch in which the process sends itself a signal; 0: none.
    by:        the signal.
    """
    told = json.dumps({"asked": asked, "killed_in": killed_in, "by": int(by), "batch": batch})
    return subprocess.Popen(
        [*PYTHON, __file__, "--child", told], text=True, env=os.environ | ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ends(processes: Sequence[subprocess.Popen[str]]) -> list[dict[str, Any] | None]:
    """Return what each process told at its end, None of one that a signal ended.

    Raises:
        RuntimeError: one ended otherwise.
    """
    texts = [one.communicate(timeout=900) for one in processes]
    for one, (out, errors) in zip(processes, texts, strict=True):
        if "RAN " not in out and one.returncode >= 0:
            raise RuntimeError(errors[-3000:])
    return [json.loads(out.split("RAN ")[1]) if "RAN " in out else None for out, _ in texts]


def train_on(
    hosts: int, out: Path, data: str, killed_in: int = 0, by: int = signal.SIGKILL
) -> list[dict[str, Any] | None]:
    """Train on so many hosts, of which only host 0 has the run's folder; the last one may get a signal in an epoch."""
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    common = {"coordinator": f"127.0.0.1:{port}", "hosts": hosts, "data": data}
    return ends([
        start(
            {"out": str(out if host == 0 else out.with_name("nowhere")), "host": host, **common},
            killed_in=killed_in if host == hosts - 1 else 0, by=by,
        )
        for host in range(hosts)
    ])  # fmt: skip


def history(out: Path) -> np.ndarray:
    """Return losses and accuracies of a run's epochs, of shape (epochs, 4)."""
    lines = (out / "history.csv").read_text(encoding="utf-8").splitlines()
    names = lines[0].split(",")
    return figures([dict(zip(names, line.split(","), strict=True)) for line in lines[1:]])


def figures(rows: list[dict[str, Any]]) -> np.ndarray:
    return np.array([[float(row[name]) for name in FIGURES] for row in rows])


def main() -> None:
    from machine_facts import machine_facts

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--hosts", type=int, nargs="+", default=[2, 4])
    arguments.add_argument("--data", default="drawn")
    arguments.add_argument("--child", help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.child:
        run_child(**json.loads(asked.child))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = [measured(hosts, asked.data, Path(folder) / str(hosts)) for hosts in asked.hosts]
    found = {"machine": machine_facts(), "net": NET, "data": asked.data, "epochs": EPOCHS, "results": results}
    (ROOT / "measurements" / "loopback-hosts.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=1))


def measured(hosts: int, data: str, folder: Path) -> dict[str, Any]:
    """Train on several hosts, one of them killed in the second epoch, go on, and return what came of it."""
    folder.mkdir()
    began = time.monotonic()
    stopped = train_on(hosts, folder / "cut", data, killed_in=2)
    killed_seconds = time.monotonic() - began
    epochs_before = len(history(folder / "cut"))
    (whole,) = ends([start({"out": str(folder / "whole"), "data": data})])
    ended = train_on(hosts, folder / "cut", data)
    assert whole is not None
    ours = [figures(one["rows"]) for one in ended if one is not None]
    return {
        "hosts": hosts,
        "seconds_until_all_had_stopped": round(killed_seconds, 1),
        "others_said": sorted({one["error"].partition(":")[0] for one in stopped if one is not None}),
        "epochs_before_the_kill": epochs_before,
        "greatest_difference_between_hosts": float(max(np.abs(one - ours[0]).max() for one in ours)),
        "greatest_difference_to_one_process": float(np.abs(ours[0] - history(folder / "whole")).max()),
        "photos_surveyed": [len(one["surveyed"]) for one in ended if one is not None],
        "photos_decoded": [decoded(one) for one in ended if one is not None],
        "photos_looked_at_twice": [len(one["looked_at"]) for one in ended if one is not None],
        "one_process": {"photos_surveyed": len(whole["surveyed"]), "photos_decoded": decoded(whole)},
    }


def decoded(told: dict[str, Any]) -> dict[str, int]:
    """Return how many photos of each part a process decoded to train and validate."""
    return {part: sum(name == part for name, _ in told["decoded"]) for part in ("train", "validation")}


def run_child(asked: list[dict[str, Any]], killed_in: int, by: int, batch: int) -> None:
    """Carry out trainings in this process, and tell on standard output which photos it read for what."""
    sys.meta_path.insert(0, NoTensorFlow())  # type: ignore[arg-type]
    from rich.console import Console

    from fireweed.api import training
    from fireweed.api.training import TrainRequest, train_run
    from fireweed.data import squares, survey, twins
    from fireweed.errors import FireweedError
    from fireweed.reporting import Reporter
    from fireweed.stopping import Terminated
    from fireweed.training import recording, shared_stops

    shared_stops.SECONDS_BETWEEN_LOOKS = 0.0  # the whole training may take less than a second
    surveyed, looked_at, in_training = [], [], set()
    survey.read_bytes = _noted(survey.read_bytes, lambda photo: surveyed.append(photo.name))
    twins.read_bytes = _noted(twins.read_bytes, lambda photo: looked_at.append(photo.name))
    squares.read_bytes = _noted(squares.read_bytes, lambda photo: in_training.add((photo.part, photo.key)))
    begin, told = recording.Recorder.on_epoch_begin, {}

    def begin_or_die(self: Any, epoch: int, logs: Any = None) -> None:
        if epoch + 1 == killed_in:
            os.kill(os.getpid(), by)
        begin(self, epoch, logs)

    def tell(self: Any, logs: Any = None) -> None:
        told.update(decoded=sorted(in_training), rows=list(self.rows))  # host 0 alone reads more, to judge the net

    recording.Recorder.on_epoch_begin, recording.Recorder.on_train_end = begin_or_die, tell
    said, error, finish = io.StringIO(), None, training._finish
    try:
        for options in asked:
            training._finish = finish if options.pop("is_judged", True) else lambda *given: None
            request = TrainRequest(
                model=NET, backend="jax", device="cpu", epochs=EPOCHS, side=32,
                settings=(f"training.batch={batch}",), **options,
            )  # fmt: skip
            train_run(request, Reporter(Console(file=said, width=300)))
    except (FireweedError, Terminated) as raised:
        error = f"{type(raised).__name__}: {raised}"
    text = json.dumps({"error": error, "said": said.getvalue(), "surveyed": surveyed, "looked_at": looked_at, **told})
    print("RAN", text)


def _noted(read: Any, note: Any) -> Any:
    def read_and_note(photo: Any) -> bytes:
        note(photo)
        return read(photo)

    return read_and_note


if __name__ == "__main__":
    main()
