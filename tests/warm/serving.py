"""Import all, and run the programs that `asking.py` asks for, each in a process forked from this one.

serving.py ADDRESS BACKEND. The framework has been imported and has not yet computed anything, so a fork is sound.
"""

import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import types
import warnings
from pathlib import Path
from typing import Any

from fireweed.devices import choose_device, prepare_process


def main(address: str, backend: str) -> None:
    """Serve until standard input ends."""
    prepare_process(choose_device("cpu", backend=backend))
    names = ["keras", "fireweed.api.featuring", "fireweed.api.finishing", "fireweed.cli", "fireweed.teaching"]
    for name in [*names, "IPython", "ipykernel.ipkernel", "ipykernel.kernelapp", "matplotlib_inline.backend_inline"]:
        importlib.import_module(name)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    print("ready", flush=True)
    children: set[int] = set()
    while True:
        ready, _, _ = select.select([listening, 0], [], [], 1.0 if children else None)
        children = {child for child in children if not os.waitpid(child, os.WNOHANG)[0]}
        if listening in ready:
            connection, _ = listening.accept()
            child = _fork()
            if not child:
                listening.close()
                return _attend(connection)
            children.add(child)
            connection.close()
        elif ready:
            for child in children:
                os.waitpid(child, 0)
            return None


def _attend(connection: socket.socket) -> None:
    """Run one program in a child, and kill it when whoever asked for it is gone."""
    size, streams, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as lines:
        asked = json.loads(lines.read(int.from_bytes(size, "big")))
    child = _fork()
    if not child:
        connection.close()
        return _become(asked, streams)
    for stream in (0, 1, 2, *streams):
        os.close(stream)
    ended = os.pidfd_open(child)
    while True:
        ready, _, _ = select.select([ended, connection], [], [])
        if ended in ready:
            break
        sent = connection.recv(1)
        os.kill(child, sent[0] if sent else signal.SIGKILL)
        if not sent:
            break
    _, status = os.waitpid(child, 0)
    try:
        connection.send(b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # threads there are, but they wait for work
        return os.fork()


def _become(asked: dict[str, Any], streams: list[int]) -> None:
    """Be the program that was asked for; what it raises ends this process, as it would end Python."""
    os.setsid()
    for stream, given in enumerate(streams):
        os.dup2(given, stream)
        os.close(given)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.environ["KERAS_BACKEND"] = _backend()
    first, *others = asked["arguments"]
    is_file = first not in ("-c", "-m")
    added = [str(Path(first).resolve().parent) if is_file else ""]
    added += [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.path[:] = added + [part for part in sys.path if part != str(Path(__file__).parent) and part not in added]
    if first == "-c":
        sys.argv = ["-c", *others[1:]]
        program = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(others[0], "<string>", "exec"), program.__dict__)
    elif first == "-m":
        sys.argv = ["-m", *others[1:]]
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = asked["arguments"]
        runpy.run_path(first, run_name="__main__")


def _backend() -> str:
    return str(sys.modules["keras"].backend.backend())


if __name__ == "__main__":
    main(*sys.argv[1:])
