"""A run killed with SIGKILL and started again ends with the history and the weights of one never killed."""

import io
import os
import signal
import subprocess
import time
import zipfile

import h5py
import numpy as np
import pytest

import warm
from fireweed.run import TIME_COLUMNS, open_run

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
NET = "conv 8 | pool | conv 8 | drop 0.2 | gap"
ASK = ["train", "--data", "drawn", "--model", NET, "--side", "32", "--epochs", "5", "--deterministic",
       "--set", "training.average=0.9"]  # fmt: skip


def start(out) -> subprocess.Popen:
    command = [*warm.python(), "-m", "fireweed", *ASK, "--out", str(out)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def lasting(run):
    return [{k: v for k, v in row.items() if k not in TIME_COLUMNS} for row in open_run(run).history()]


def weights(run):
    found = {}
    with h5py.File(io.BytesIO(zipfile.ZipFile(run / "model.keras").read("model.weights.h5"))) as file:
        file.visititems(lambda n, item: found.__setitem__(n, item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def test_killed_in_its_third_epoch(tmp_path):
    whole = start(tmp_path / "whole")
    said, _ = whole.communicate(timeout=200)
    assert whole.returncode == 0, said
    killed = start(tmp_path / "killed")
    history = tmp_path / "killed" / "history.csv"
    for _ in range(4000):
        if killed.poll() is not None or (history.exists() and history.read_text().count("\n") >= 3):
            break
        time.sleep(0.03)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    done = history.read_text().count("\n") - 1
    assert 2 <= done < 5, f"it was to be killed in its third epoch, {done} are done"
    again = start(tmp_path / "killed")
    said, _ = again.communicate(timeout=200)
    assert again.returncode == 0 and f"resuming after epoch {done} of 5" in said, said
    assert lasting(tmp_path / "killed") == lasting(tmp_path / "whole")
    ours, theirs = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
