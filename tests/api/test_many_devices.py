"""Data-parallel training gives what one device gives; each process here takes the CPU for several devices."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

NET = "conv 8 /2 | fire 8 16 | gap"
SCRIPT = """
import json, sys
from fireweed.api.training import TrainRequest, train_run
from fireweed.reporting import Reporter
backend, out, *counts = sys.argv[1:]
for count in counts:
    request = TrainRequest(
        data="drawn", model={net!r}, backend=backend, devices=int(count), epochs=2, side=32, compile={compile!r},
        settings=("training.batch=64", {settings}), out=f"{{out}}/{{count}}", resident={resident!r},
    )
    print("RUN", json.dumps(train_run(request, Reporter(is_silent=True)).history()))
"""


def histories(backend, out, *counts, settings="", resident="auto", **environ):
    """Train on so many devices after one another, in one process that has the largest number first."""
    script = SCRIPT.format(net=NET, compile=None if backend == "jax" else "none", settings=settings, resident=resident)
    done = subprocess.run(
        [sys.executable, "-c", script, backend, str(out), *map(str, counts)],
        capture_output=True, text=True, env=os.environ | {"KERAS_BACKEND": backend} | environ, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("RUN ")]


def figures(history):
    return np.array([[row[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")] for row in history])


@pytest.mark.parametrize(("backend", "count"), [("jax", 8), ("tensorflow", 2)])
def test_several_devices_train_as_one_does(backend, count, tmp_path):
    many, one = histories(backend, tmp_path, count, 1)
    assert np.allclose(figures(many), figures(one), rtol=1e-4, atol=1e-4)


def test_photos_on_the_devices_train_as_streamed_ones_do(tmp_path):
    (resident,) = histories("jax", tmp_path / "on", 2, resident="on")
    (streamed,) = histories("jax", tmp_path / "off", 2, resident="off")
    assert np.allclose(figures(resident), figures(streamed), rtol=2e-3, atol=2e-3)
    assert not np.array_equal(figures(resident), figures(streamed))  # other rounding: it was not streamed after all


def test_norms_of_each_devices_share_are_others_on_tensorflow(tmp_path):
    apart, together = histories("tensorflow", tmp_path / "apart", 2, settings="'training.norms=replica'"), None
    together = histories("tensorflow", tmp_path / "together", 2)
    assert abs(figures(apart[0])[-1, 0] - figures(together[0])[-1, 0]) > 1e-4
    assert np.allclose(figures(apart[0])[:, 0], figures(together[0])[:, 0], rtol=0.2)


def test_devices_that_xla_was_told_to_make_are_used(tmp_path):
    script = (
        "from fireweed.devices import choose_device, confirm\n"
        "from fireweed.devices.layout import lay_out\n"
        "layout = lay_out(confirm(choose_device('cpu', backend='jax')), 12)\n"
        "print(layout.replicas, layout.notes)\n"
    )
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | flags)
    assert done.stdout.strip() == "6 ('each batch of 12 is shared by 6 of 8 CPU devices, 2 photos each',)", done.stderr
