"""The command line: parse, call one function of the api, print. Nothing heavy is imported before a command needs it."""

import contextlib
import io
import os
import sys

import typer

from fireweed.cli import training, using  # noqa: F401 - they add their commands
from fireweed.cli.options import Interrupted, app
from fireweed.errors import FireweedError, HostLostError
from fireweed.stopping import Terminated


def run(arguments: list[str] | None = None) -> int:
    """Run a command line (None: the process's own) and return its exit code.

    Errors that a user can cause are one line on standard error and exit code 2; Ctrl-C is 130, SIGTERM 143.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its notes on chips and drivers would bury our one line
    try:
        return app(arguments, standalone_mode=False) or 0
    except FireweedError as error:
        return _failed(str(error), 1 if isinstance(error, HostLostError) else 2)
    except (typer.Abort, KeyboardInterrupt, Interrupted):
        print("fireweed: stopped", file=sys.stderr)
        return 130
    except Terminated as end:
        print("fireweed: stopped", file=sys.stderr)
        return int(end.code or 0)
    except BrokenPipeError:
        return 141  # whoever read our output has gone, as with `| head`
    except OSError as error:
        return _failed(f"{error.filename or 'the system'}: {error.strerror or error}")
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own complaints have it
            raise
        if "NoArgs" in type(error).__name__:
            print(error.format_message())
            return 2
        return _failed(f"{error.format_message().rstrip('.')}; see --help")


def main() -> None:
    """Run the command line and leave at once: a framework's threads can hold up a normal exit for seconds."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of any script, whatever the terminal or pipe was set to
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    code = run()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _failed(text: str, code: int = 2) -> int:
    from fireweed.reporting import printable

    print("fireweed: " + printable(" ".join(text.split())), file=sys.stderr)
    return code
