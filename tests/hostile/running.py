"""Run the corpus of a kind in a process of its own, and one input through the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fireweed

_SOURCES = [str(Path(fireweed.__file__).parents[1]), str(Path(__file__).parents[1])]
_QUIET = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def _environment() -> dict[str, str]:
    return {**os.environ, **_QUIET, "PYTHONPATH": os.pathsep.join(_SOURCES), "PYTHONWARNINGS": "ignore"}


def run_kind(kind: str, folder: Path, timeout_seconds: float = 280) -> list[dict[str, Any]]:
    """Return what came of each hostile input of a kind; see `hostile.child.judged`."""
    done = subprocess.run(
        [sys.executable, "-m", "hostile.child", kind, str(folder)],
        capture_output=True, text=True, timeout=timeout_seconds, env=_environment(), check=False,
    )  # fmt: skip
    results = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:
        after = results[-1]["name"] if results else "none"
        raise AssertionError(f"the process ended with {done.returncode} after '{after}': {done.stderr[-2000:]}")
    return results


def run_command(arguments: list[str], folder: Path, timeout_seconds: float = 120) -> tuple[int, str, str]:
    """Return the exit code, the output and the errors of a command line, run in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "fireweed", *arguments],
        capture_output=True, text=True, timeout=timeout_seconds, env=_environment(), cwd=folder, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr
