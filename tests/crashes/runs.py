"""Runs Fireweed's command line in children forked from it, with faults and kills; `Runs` in test_crash.py asks it to.

The framework is imported once, which is most of what a small training takes; it must not have started anything yet.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from fireweed.cli import run
from fireweed.devices import choose_device, prepare_process

MOST_CALLS = 1_000_000


def main() -> None:
    """Answer requests, a line of JSON each: arguments, folder, fault, mode (0, 1: kill, 2: full disk), kill_after."""
    prepare_process(choose_device("cpu", backend="tensorflow"))
    import fireweed.api.featuring
    import fireweed.api.finishing  # noqa: F401 - what a training imports, so that no child has to

    faults = ctypes.CDLL(None)
    kinds = ctypes.create_string_buffer(MOST_CALLS)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        faults.faults_begin(asked["folder"].encode(), ctypes.c_long(asked["fault"]), asked["mode"])
        said = Path(asked["said"])
        began = time.monotonic()
        child = os.fork()
        if not child:
            _carry_out(asked["arguments"], said)
        if asked["kill_after"] is not None:
            timer = threading.Timer(asked["kill_after"], _kill, [child])
            timer.start()
        _, status = os.waitpid(child, 0)
        if asked["kill_after"] is not None:
            timer.cancel()
        faults.faults_seen.restype = ctypes.c_long
        count = faults.faults_seen(kinds, ctypes.c_long(MOST_CALLS))
        answer = {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began,
                  "calls": kinds.raw[:count].decode()}  # fmt: skip
        print(json.dumps(answer), file=answers, flush=True)


def _carry_out(arguments: list[str], said: Path) -> None:
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    code = 99
    try:
        code = run(arguments)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
