"""The command of one of several hosts runs in a child process, whose end is told in a line."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from fireweed.devices.supervision import end_of

GOES_ON = "the same command on every host goes on"
LONGEST = 120  # seconds that a command may take to start its child, on a machine that is busy


@pytest.fixture(scope="module")
def commands():
    """Commands that wait for a host 0 which never comes, started all at once, one for each test."""
    command = [sys.executable, "-m", "fireweed", "train", "--data", "drawn", "--backend", "jax", "--device", "cpu",
               "--coordinator", "127.0.0.1:9", "--hosts", "2", "--host", "1"]  # fmt: skip
    environ = os.environ | {"KERAS_BACKEND": "jax"}
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ) for _ in range(5)]
    yield iter(started)
    for one in started:
        if one.poll() is None:
            one.kill()
        one.wait()


@pytest.fixture
def waiting(commands):
    """A command that waits, and its child, which is past its start; at the end both are gone."""
    parent = next(commands)
    end = time.monotonic() + LONGEST
    child = None
    while child is None and time.monotonic() < end:
        time.sleep(0.05)
        with contextlib.suppress(psutil.Error):  # short-lived ones look for devices, and have its words as they begin
            children = psutil.Process(parent.pid).children()
            child = next((o for o in children if "--coordinator" in o.cmdline() and o.cpu_times().user >= 0.2), None)
    assert child is not None
    yield parent, child
    if parent.poll() is None:
        parent.kill()
    _, left = psutil.wait_procs([child], timeout=20)
    assert not left


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (signal.SIGABRT, 1, f"a host was lost, or did not come, so all hosts have stopped; {GOES_ON}"),
        (signal.SIGKILL, 1, f"SIGKILL ended the training on this host, so that all hosts stop; {GOES_ON}"),
    ],
)
def test_a_child_that_a_signal_ended_is_told_in_one_line(waiting, number, code, says):
    parent, child = waiting
    child.send_signal(number)
    assert parent.communicate(timeout=30)[1].splitlines()[-1] == f"fireweed: {says}"
    assert parent.returncode == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_are_passed_on(waiting, number, code):
    parent, child = waiting
    parent.send_signal(number)
    assert parent.wait(30) == code
    child.wait(30)


def test_a_child_that_jax_aborts_since_host_0_was_stopped_is_told_as_stopped():
    assert end_of(-signal.SIGABRT, [signal.SIGTERM]) == (143, "stopped")
    assert end_of(-signal.SIGABRT, [])[0] == 1 and end_of(143, [signal.SIGTERM]) == (143, "")


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to end a child with its parent")
def test_the_child_ends_with_a_parent_that_is_killed(waiting):
    parent, _ = waiting
    parent.kill()
    parent.wait(30)
