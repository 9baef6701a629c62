"""Ask the process at an address to run a program, and be that program for whoever started this one.

asking.py ADDRESS -c PROGRAM | -m MODULE | FILE, and arguments. Little is imported, so that it begins at once.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path


def main(address: str, arguments: list[str]) -> None:
    """Hand over streams, environment and folder; pass signals on; end as the program ends."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda sent, _: connection.send(bytes([sent])))
    asked = json.dumps({"arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())}).encode()
    socket.send_fds(connection, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    connection.sendall(asked)
    for stream in (0, 1, 2):
        os.close(stream)  # they are at their end when the program's are
    with connection.makefile("rb") as answer:
        code = int(answer.readline() or -signal.SIGKILL)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)


main(sys.argv[1], sys.argv[2:])
