"""One of several hosts trains in a child process, whose end is told in a line.

JAX ends a process from C++ when another host is gone: no exception, no last word, only a trace that says little.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from fireweed.devices.hosts import LOST
from fireweed.devices.process import is_command_line

PARENT = "FIREWEED_PARENT"
PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP")
PR_SET_PDEATHSIG = 1  # of Linux's prctl


def run_in_child() -> int | None:
    """Run this command line again in a child process and return its exit code, having said what a signal meant.

    Returns None, having done nothing, in that child, on Windows, or where the running program is not Fireweed's
    command line. Ctrl-C, SIGTERM and SIGHUP are passed on; the child ends with its parent.
    """
    if os.environ.get(PARENT) == str(os.getppid()):
        return None
    if os.name != "posix" or not sys.executable or not is_command_line():
        return None
    # a group of its own, so that the terminal's Ctrl-C comes once
    child = subprocess.Popen(
        [sys.executable, *sys.orig_argv[1:]], env={**os.environ, PARENT: str(os.getpid())}, process_group=0,
        preexec_fn=_ends_with_parent(),
    )  # fmt: skip

    passed_on: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        passed_on.append(number)
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)

    for name in PASSED_ON:
        if signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), pass_on)
    code, text = end_of(child.wait(), passed_on)
    if text:
        print(f"fireweed: {text}", file=sys.stderr)
    return code


def end_of(returncode: int, passed_on: Sequence[int]) -> tuple[int, str]:
    """Return the exit code of one of several hosts, and what its child has not said itself.

    returncode: of the child; below 0 where a signal ended it.
    passed_on:  the signals that it was sent.
    """
    if returncode >= 0:
        return returncode, ""
    number = passed_on[-1] if passed_on else -returncode  # when host 0 ends by a signal, JAX aborts the others
    name = signal.Signals(number).name
    if name in PASSED_ON:
        return 128 + number, "stopped"
    if name == "SIGABRT":
        return 1, LOST
    return 1, f"{name} ended the training on this host, so that all hosts stop; the same command on every host goes on"


def _ends_with_parent() -> Callable[[], None] | None:
    """Return what asks Linux to end a child when its parent does, also when that is killed; None elsewhere."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)  # a child that was just forked had better load nothing
    return lambda: library.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
