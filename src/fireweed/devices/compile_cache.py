"""Where JAX keeps what XLA compiled, so that a second training starts sooner; bounded, since JAX's own bound is not.

Squeezenet's first step at 96 px on two CPU cores took 2.3 and 2.9 s of processor time in place of 9.4 (3 runs). JAX
bounds the folder itself only where the package filelock is installed, and refuses to work with a bound without.
TensorFlow 2.21 has such a cache too (--tf_xla_persistent_cache_directory, with --tf_xla_persistent_cache_device_types
=CPU): 4.2 and 4.5 s in place of 12.2. It is not used, since a file cut short by a crash stops every later training
with "Read less bytes than requested"; JAX warns and compiles again.
"""

import contextlib
import hashlib
from pathlib import Path

from fireweed.devices.machine import Machine
from fireweed.errors import FireweedError
from fireweed.files import cache_folder

MOST_BYTES = 1 << 30
DIRECTORY = "JAX_COMPILATION_CACHE_DIR"


def jax_cache_folder(machine: Machine) -> Path | None:
    """Return a folder for programs compiled on this chip, the ones longest unused removed; None where there is none.

    Programs for a CPU use what instructions it has. JAX only warns when they come from another chip, as they would
    in a home folder that machines share; so each chip has its own.
    """
    chip = hashlib.sha256(_chip(machine).encode()).hexdigest()[:8]
    try:
        folder = cache_folder("jax", chip)
        _prune(folder, MOST_BYTES)
    except (OSError, FireweedError):
        return None
    return folder


def _chip(machine: Machine) -> str:
    """Return the lines of /proc/cpuinfo that name the first core and what it can do."""
    first = machine.read("proc/cpuinfo").partition("\n\n")[0]
    kept = ("vendor_id", "model", "cpu family", "flags", "Features")
    return machine.architecture + "".join(line for line in first.splitlines() if line.startswith(kept))


def _prune(folder: Path, most_bytes: int) -> None:
    files = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process has just removed it
            if path.is_file():
                files.append((path, path.stat()))
    left = sum(status.st_size for _, status in files)
    for path, status in sorted(files, key=lambda file: max(file[1].st_atime, file[1].st_mtime)):
        if left <= most_bytes:
            return
        path.unlink(missing_ok=True)
        left -= status.st_size
