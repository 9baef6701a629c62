"""The check of devices: what it measures, and what it says of it."""

import dataclasses
import os
import subprocess

import pytest

import warm
from fireweed.api.checking import Checked, in_words
from fireweed.devices import DeviceChoice

GPU = DeviceChoice("gpu", 8, "NVIDIA H100", "jax", "mixed_bfloat16")
ONE = Checked(1, 32, 1000.0, 0.1, 0.0, 4000.0)


def test_several_devices_are_held_against_one():
    many = Checked(8, 256, 6000.0, 0.075, 2e6, 4000.0)
    assert in_words(many, ONE, GPU) == (
        "8 GPUs: 6,000 images/s in batches of 256, 7.5% of the peak, 6.00 times one device (75% of 8); each sends 2 MB "
        "of gradients a step; input: 4,000 photos/s, holds training up"
    )


def test_one_device_is_held_against_nothing():
    assert in_words(ONE, ONE, GPU) == (
        "1 GPU: 1,000 images/s in batches of 32, 10.0% of the peak; input: 4,000 photos/s, keeps up"
    )


def test_what_is_not_measured_is_not_claimed():
    cores = Checked(8, 256, 6000.0, 0.075, 2e6, 4000.0)  # of a TPU that TensorFlow can only take whole
    assert "times one device" not in in_words(cores, cores, GPU)
    fitting = dataclasses.replace(ONE, input_per_second=500.0, fits_on_device=True)
    assert in_words(fitting, fitting, GPU).endswith("holds training up, if photos did not fit on the device as they do")


def test_two_devices_are_checked():
    script = (
        "from fireweed.api import checking, TrainRequest\n"
        "from fireweed.reporting import Reporter\n"
        "checking.SIDE_PX, checking.LEAST_STEPS, checking.ENOUGH_SECONDS = 32, 2, 0.0\n"
        "request = TrainRequest(data='drawn', device='cpu', devices=2, backend='jax')\n"
        "for one in checking.check_devices(request, Reporter(is_silent=True)):\n"
        "    print(one.devices, one.batch, one.images_per_second > 0, one.input_per_second > 0, one.exchanged_bytes)\n"
    )
    environ = os.environ | {"XLA_FLAGS": "--xla_backend_optimization_level=0"}  # most of the time is compilation
    done = subprocess.run([*warm.python("jax"), "-c", script], capture_output=True, text=True, env=environ)
    # 2 (n - 1) / n times the gradients' bytes, of which there are four for each of the 119,173 trained numbers
    assert done.stdout.splitlines()[0] == "1 32 True True 0.0", done.stderr[-2000:]
    devices, batch, trains, feeds, sent = done.stdout.splitlines()[1].split()
    assert (devices, batch, trains, feeds) == ("2", "64", "True", "True")
    assert float(sent) == pytest.approx(4 * 119_173, rel=0.02)
