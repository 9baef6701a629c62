"""Where the command begins: Ctrl-C is told in one line from the first moment on, also while the rest is imported."""

import os
import sys


def main() -> None:
    """Run the command line."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open as long as the process
    try:
        from fireweed.cli import main as run
    except KeyboardInterrupt:
        print("fireweed: stopped", file=sys.stderr)
        os._exit(130)
    run()
