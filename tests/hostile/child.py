"""Give all hostile inputs of one kind to the program, each under watch, and write what came of it as lines of JSON.

python -m hostile.child KIND FOLDER
"""

import contextlib
import importlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

KINDS = ("images", "archives", "shards", "bundles", "recipes", "tables")
WITHOUT_FRAMEWORK = ("images", "archives", "recipes", "tables")
ADDRESS_SPACE = 3 << 30
MOST_MB, MOST_SECONDS, MOST_TOLD = 1_000, 10, 1_500  # of the processor: others may be at work on this machine too
_FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn", "socket.connect")
_WRITING = ("os.mkdir", "os.rename", "os.remove", "os.symlink", "os.link", "os.truncate", "os.rmdir")
_REMOVING = ("os.remove", "os.rmdir")


class Watch:
    """Notes, while it is on, every program started, connection made, and file written outside a folder."""

    def __init__(self) -> None:
        self.inside: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, values: tuple[Any, ...]) -> None:
        if self.inside is None:
            return
        if event in _FORBIDDEN:
            self.seen.append(event)
        elif (event == "open" and isinstance(values[0], str | bytes) and _writes(values)) or (
            event in _WRITING and not (event in _REMOVING and values[1] != -1)
        ):
            self._note(event, values[0])

    def _note(self, event: str, path: Any) -> None:
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if name and not os.path.abspath(name).startswith((str(self.inside), "/dev/", "/proc/")):  # noqa: PTH100
            self.seen.append(f"{event} {name}")


def _writes(values: tuple[Any, ...]) -> bool:
    mode, flags = values[1], values[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def peak_mb() -> int:
    """Return the most memory that this process has had since `forget_peak`, in megabytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) // 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def forget_peak() -> None:
    with contextlib.suppress(OSError):  # then the peak is that of all inputs so far, which is held to the same bound
        Path("/proc/self/clear_refs").write_text("5")


def judged(kind: Any, case: Any, top: Path, watch: Watch) -> dict[str, Any]:
    """Give one input to the program; return what came of it."""
    from fireweed.errors import FireweedError

    folder = top / "case"
    folder.mkdir()
    given = case.make(folder)
    before = _tree(folder)
    forget_peak()
    watch.seen, watch.inside = [], str(top)
    began, busy = time.monotonic(), time.process_time()
    try:
        message, outcome = kind.give(given), "read"
    except FireweedError as error:
        message, outcome = str(error), "refused"
    except BaseException:
        message, outcome = traceback.format_exc(), "crashed"
    watch.inside = None
    result: dict[str, Any] = {
        "name": case.name,
        "outcome": outcome,
        "message": message,
        "seconds": round(time.monotonic() - began, 3),
        "cpu_seconds": round(time.process_time() - busy, 3),
        "peak_mb": peak_mb(),
        "strays": watch.seen[:5] + sorted(_tree(folder) ^ before)[:5] + [str(path) for path in (top / "tmp").iterdir()],
    }
    shutil.rmtree(folder)
    result["faults"] = faults(case, result)
    return result


def faults(case: Any, result: dict[str, Any]) -> list[str]:
    """Return in what ways an input did not come to what it must."""
    expected = "read" if case.is_harmless else "refused"
    message = result["message"]
    found = {
        f"was {result['outcome']}, not {expected}": result["outcome"] != expected,
        f"told nothing of: {', '.join(case.words)}": not any(words in message for words in case.words),
        "told more than one line": "\n" in message or len(message) > MOST_TOLD,
        "left traces": bool(result["strays"]),
        f"took more than {MOST_MB} MB": result["peak_mb"] > MOST_MB,
        f"took more than {MOST_SECONDS} s": result["cpu_seconds"] > MOST_SECONDS,
    }
    return [fault for fault, is_found in found.items() if is_found]


def _tree(folder: Path) -> set[str]:
    """Return what lies in a folder, but for the unpacked archives that were found good."""
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.relative_to(folder).parts[:1] != ("cache",)
    }


def main(name: str, folder: str) -> None:
    """Give all inputs of a kind to the program."""
    top = Path(folder).resolve()
    (top / "tmp").mkdir(parents=True)
    tempfile.tempdir = str(top / "tmp")
    os.environ["TMPDIR"] = str(top / "tmp")
    kind = importlib.import_module(f"hostile.{name}")
    if hasattr(kind, "prepare"):
        kind.prepare()
    if name in WITHOUT_FRAMEWORK:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    watch = Watch()
    for case in kind.CASES:
        print(json.dumps(judged(kind, case, top, watch)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
