"""Where JAX keeps what XLA compiled, so that a second training starts sooner; bounded, since JAX's own bound is not.

JAX bounds the folder itself only where the package filelock is installed, and refuses to work with a bound without.
TensorFlow has such a cache too (--tf_xla_persistent_cache_directory); see docs/speed.md for why it is not used.
"""

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
    files = [(path, path.stat()) for path in folder.iterdir() if path.is_file()]
    left = sum(status.st_size for _, status in files)
    for path, status in sorted(files, key=lambda file: max(file[1].st_atime, file[1].st_mtime)):
        if left <= most_bytes:
            return
        path.unlink(missing_ok=True)
        left -= status.st_size
