"""A Python that has imported all: for tests that need a process of their own, but not one that imports the framework.

`python()` gives the command to begin a program with, in place of sys.executable. It takes -c PROGRAM, -m MODULE or a
file, with arguments, as Python does; streams, environment, folder, exit code and signals are those of a process started
alone. Where what is tested is how Fireweed prepares a process (what it imports and when, its allocator, its start), or
is the environment that the framework reads when it is imported, use sys.executable.
"""

import atexit
import functools
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).parent
_STARTING = threading.Lock()


def python(backend: str = "tensorflow") -> list[str]:
    """Return the command that runs a program in a child of a process that has imported Keras with this backend."""
    if not hasattr(os, "pidfd_open"):  # Linux has it
        return [sys.executable]
    with _STARTING:
        return [sys.executable, "-I", "-S", str(HERE / "asking.py"), _server(backend)]


@functools.cache
def _server(backend: str) -> str:
    """Start the process, which ends with this one, and return the address that it listens at."""
    folder = tempfile.TemporaryDirectory(prefix="fw")
    address = str(Path(folder.name) / "socket")
    command = [sys.executable, str(HERE / "serving.py"), address, backend]
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(Path(folder.name) / "compiled"),  # programs share what XLA compiled
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def end() -> None:
        server.communicate()  # it ends when its standard input does
        folder.cleanup()

    atexit.register(end)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n", "it has told why"
    return address
