"""Data-parallel training gives what one device gives; each process here takes the CPU for several devices."""

import json
import os
import subprocess

import numpy as np
import pytest

import warm

QUICKLY = "--xla_backend_optimization_level=0"  # most of the time is compilation
SCRIPT = """
import json, sys
from fireweed.api import training
from fireweed.reporting import Reporter
backend, data, out, trainings = sys.argv[1:]
for name, asked in json.loads(trainings).items():
    settings = ("training.batch=64", *asked.pop("settings", ()))
    request = training.TrainRequest(
        data=data, model="conv 8 /2 | fire 8 16 | gap", backend=backend, epochs=2, side=32, settings=settings,
        compile=None if backend == "jax" else "none", out=f"{out}/{name}", **asked,
    )
    print("RUN", json.dumps({name: training.train_run(request, Reporter(is_silent=True)).history()}))
    training._finish = lambda *given: None  # the first run, on all devices, is judged and reported on; that is enough
"""


def histories(backend, data, out, **trainings):
    """Carry out trainings after one another in one process; the first must take the most devices."""
    done = subprocess.run(
        [*warm.python(backend), "-c", SCRIPT, backend, str(data), str(out), json.dumps(trainings)],
        capture_output=True, text=True, env=os.environ | {"KERAS_BACKEND": backend, "XLA_FLAGS": QUICKLY}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith("RUN "):
            found |= json.loads(line[4:])
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return {name: np.array([[row[figure] for figure in names] for row in rows]) for name, rows in found.items()}


@pytest.fixture(scope="module")
def on_jax(shared_photos, tmp_path_factory):
    return histories(
        "jax", shared_photos, tmp_path_factory.mktemp("jax"), eight={"devices": 8}, one={"devices": 1},
        resident={"devices": 8, "resident": "on"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def on_tensorflow(shared_photos, tmp_path_factory):
    return histories(
        "tensorflow", shared_photos, tmp_path_factory.mktemp("tensorflow"), two={"devices": 2}, one={"devices": 1},
        apart={"devices": 2, "settings": ["training.norms=replica"]},
    )  # fmt: skip


def test_eight_devices_train_as_one_does_on_jax(on_jax):
    assert np.allclose(on_jax["eight"], on_jax["one"], rtol=1e-4, atol=1e-4)


def test_two_devices_train_as_one_does_on_tensorflow(on_tensorflow):
    assert np.allclose(on_tensorflow["two"], on_tensorflow["one"], rtol=1e-4, atol=1e-4)


def test_photos_on_the_devices_train_as_streamed_ones_do(on_jax):
    assert np.allclose(on_jax["resident"], on_jax["eight"], rtol=2e-3, atol=2e-3)
    assert not np.array_equal(on_jax["resident"], on_jax["eight"])  # other rounding: it was not streamed after all


def test_norms_of_each_devices_share_are_others_on_tensorflow(on_tensorflow):
    losses, others = on_tensorflow["two"][:, 0], on_tensorflow["apart"][:, 0]
    assert abs(others[-1] - losses[-1]) > 1e-4
    assert np.allclose(others, losses, rtol=0.2)


def test_devices_that_xla_was_told_to_make_are_used():
    script = (
        "from fireweed.devices import choose_device, confirm\n"
        "from fireweed.devices.layout import lay_out\n"
        "layout = lay_out(confirm(choose_device('cpu', backend='jax')), 12)\n"
        "print(layout.replicas, layout.notes)\n"
    )
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    done = subprocess.run([*warm.python("jax"), "-c", script], capture_output=True, text=True, env=os.environ | flags)
    assert done.stdout.strip() == "6 ('each batch of 12 is shared by 6 of 8 CPU devices, 2 photos each',)", done.stderr
