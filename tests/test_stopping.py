"""Signals are noted at once, carried out where nothing is lost, and obeyed in the end where Python is not asked."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from fireweed.stopping import Terminated, signals_noted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
PROGRAM = """
import sys, time
from fireweed import stopping
stopping.GRACE_SECONDS = 0.5
stopping.own_process()
with stopping.signals_noted() as stops, stops.deferred():
    print("ready", flush=True)
    time.sleep(60)  # as a step that does not end
"""


def begun(*options: str, program: str = PROGRAM) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, *options, "-c", program], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_sigterm_that_a_step_keeps_waiting_ends_the_process_with_a_message():
    process = begun()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143 and "without saving" in said and "goes on from the last checkpoint" in said


def test_a_second_ctrl_c_ends_the_process_at_once_and_the_first_is_told():
    process = begun()
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "\n" and "Ctrl-C again stops at once" in process.stderr.readline()
    time.sleep(0.4)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "stopped at once" in said


def test_a_second_ctrl_c_in_a_process_of_somebody_else_is_an_exception_at_once():
    with pytest.raises(KeyboardInterrupt), signals_noted() as stops, stops.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
        raise AssertionError("it was to be obeyed")


def test_a_key_that_comes_twice_since_a_wrapper_passes_it_on_counts_once():
    process = begun()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.kill()
    process.communicate()


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_is_carried_out_at_once_or_at_the_end_of_what_must_not_be_cut(number, kind):
    done = []
    with pytest.raises(kind), signals_noted():
        os.kill(os.getpid(), number)
        time.sleep(10)
    with pytest.raises(kind) as raised, signals_noted() as stops, stops.deferred():
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        done.append(stops.number)
    assert done == [number]
    if kind is Terminated:
        assert raised.value.code == 143
    assert signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL)


def test_handlers_of_others_and_other_threads_are_left_alone():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with signals_noted() as outer, signals_noted() as inner:
            assert inner is outer and signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    found = []

    def elsewhere():
        with signals_noted() as stops:
            found.append(stops.number)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [None]


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_whose_exception_python_drops_is_obeyed_all_the_same_and_nothing_is_shown(capfd, number, kind):
    class Dropping:
        def __del__(self) -> None:  # as a callback of the garbage collector
            os.kill(os.getpid(), number)
            time.sleep(0.1)

    began = time.monotonic()
    with pytest.raises(kind), signals_noted():
        Dropping()
        time.sleep(30)
        raise AssertionError("it was to be obeyed")
    assert time.monotonic() - began < 20
    assert capfd.readouterr().err == ""


def test_a_signal_whose_exception_python_drops_is_no_second_one():
    program = PROGRAM.replace(", stops.deferred()", "").replace(
        "    time.sleep(60)",
        "    class Dropping:\n        def __del__(self): time.sleep(1)\n    Dropping()\n    time.sleep(60)",
    )
    process = begun(program=program)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert "stopped at once" not in said and "Exception ignored" not in said and "KeyboardInterrupt" in said
