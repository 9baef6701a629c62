"""Where the command begins: Ctrl-C and SIGTERM are told in one line from the first moment on, also during imports."""

import os
import signal
import sys

from fireweed.stopping import ENDING, end_early


def main() -> None:
    """Run the command line."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open as long as the process
    for name in ENDING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end_early)
    try:
        from fireweed.cli import main as run
    except KeyboardInterrupt:
        print("fireweed: stopped", file=sys.stderr)
        os._exit(130)
    run()
