"""On JAX everything from photos to an evaluation works where TensorFlow is not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import warm

QUICKLY = "--xla_backend_optimization_level=0"  # most of the time is compilation
JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICKLY}
WITHOUT_TENSORFLOW = """
import importlib.abc, sys, threading, traceback

class Absent(importlib.abc.MetaPathFinder):
    asked = []

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            Absent.asked.append("".join(traceback.format_stack()))
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

sys.meta_path.insert(0, Absent())
from fireweed.cli import run
"""
PROGRAM = """
photos, out, missing = sys.argv[1:]
options = ["--backend", "jax", "--epochs", "2", "--side", "32", "--model", "conv 8 | pool | fire 8 16 | gap"]
training = ["train", "--data", photos, *options, "--out", out]
assert run([*training, "--set", "training.average=0.9", "--set", "training.average_every=1"]) == 0
assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
assert run(["predict", out, photos, "--json"]) == 0
assert run(["evaluate", out, "--part", "validation"]) == 0
# where TensorFlow is installed, only Keras itself imports it, as it saves a model: to tell its types from others
assert all("serialize_keras_object" in stack for stack in Absent.asked), Absent.asked[0]
assert run(["train", "--data", missing, "--backend", "jax"]) == 2
"""


def test_training_predicting_and_evaluating_need_no_tensorflow(make_photos, tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed")
    photos = make_photos({"a": 24, "b": 24}, side=32)
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "a-00000-of-00001-8.tfrec").write_bytes(b"0")
    program = WITHOUT_TENSORFLOW + PROGRAM
    command = [sys.executable, "-c", program, str(photos), str(tmp_path / "run"), f"{shards}/*.tfrec"]
    done = subprocess.run(command, env={**os.environ, **JAX}, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "need TensorFlow, which is not installed; pip install tensorflow" in done.stderr
    run = tmp_path / "run"
    assert len((run / "history.csv").read_text().splitlines()) == 3
    written = {"report.html", "model.keras", "fireweed.json", "evaluation-validation.json"}
    assert written <= {path.name for path in run.iterdir()}
    assert list(Path(run, "logs", "validation").iterdir())


FROZEN = """
photos, out = sys.argv[1:]
options = ["--backend", "jax", "--model", "mobilenetv2", "--weights", "none", "--freeze"]
options += ["--epochs", "3", "--side", "32"]
assert run(["train", "--data", photos, *options, "--set", "training.views=2", "--out", out]) == 0
"""


def test_a_frozen_nets_head_learns_from_features_without_tensorflow(make_photos, tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed")
    photos, run = make_photos({"a": 24, "b": 24}, side=32), tmp_path / "run"
    command = [*warm.python("jax"), "-c", WITHOUT_TENSORFLOW + FROZEN, str(photos), str(run)]
    done = subprocess.run(command, env={**os.environ, **JAX}, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len((run / "history.csv").read_text().splitlines()) == 4 and "features: " in done.stdout
    assert (run / "report.html").exists() and not (run / "features").exists()
