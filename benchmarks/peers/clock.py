"""What every measured program does alike: run the command it is given, and say what it found as one line of JSON."""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STARTED = "BENCH_STARTED"  # set by the driver: seconds of the wall clock at which this process was asked for
Command = Callable[..., dict[str, Any]]


def run_command(commands: dict[str, Command]) -> None:
    """Carry out `PROGRAM COMMAND '{"argument": ...}'`, print the result with the peak memory, and leave at once."""
    result = commands[sys.argv[1]](**json.loads(sys.argv[2]))
    print(json.dumps({**result, "peak_bytes": peak_memory_bytes()}), flush=True)
    os._exit(0)  # neither tf.data's nor PyTorch's threads are waited for


def since_start_seconds() -> float:
    """Return the seconds since the driver asked for this process: Python's start and all imports included."""
    return time.time() - float(os.environ[STARTED])


def step_facts(batch: int, seconds: list[float], warm: int) -> dict[str, Any]:
    """Return photos/s of the median step, and the steps' own seconds, the first `warm` left out."""
    timed = seconds[warm:]
    return {"rate": batch / statistics.median(timed), "step_seconds": [round(s, 4) for s in timed]}


def peak_memory_bytes() -> int:
    """Return the most memory this process has held; `ru_maxrss` would count the process that started it."""
    held = memory_status_bytes("VmHWM")
    return held or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def memory_status_bytes(name: str) -> int:
    """Return a figure of Linux's /proc/self/status in bytes, such as VmHWM or RssAnon; 0 elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
