"""Where the command begins: Ctrl-C and SIGTERM are told in one line from the first moment on, also during imports."""

import os
import sys

from fireweed.stopping import own_process


def main() -> None:
    """Run the command line."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open as long as the process
    own_process()
    try:
        from fireweed.cli import main as run
    except KeyboardInterrupt:
        print("fireweed: stopped", file=sys.stderr)
        os._exit(130)
    run()
