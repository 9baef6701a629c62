"""What a run was made with: versions, chip, code, data, settings of the process; written into every run."""

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from fireweed.devices import DeviceChoice
from fireweed.devices.machine import installed_version
from fireweed.devices.process import ALLOCATOR, TUNABLES
from fireweed.kernels.native import SWITCH, library_name
from fireweed.version import __version__

PACKAGES = ("keras", "tensorflow", "jax", "jaxlib", "numpy", "pillow", "simplejpeg", "opencv-python-headless",
            "h5py")  # fmt: skip
VARIABLES = ("KERAS_BACKEND", SWITCH, "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "JAX_PLATFORMS", "OMP_NUM_THREADS",
             *ALLOCATOR, TUNABLES)  # fmt: skip


def environment_facts(choice: DeviceChoice, hosts: int = 1, data: str | None = None) -> dict[str, Any]:
    """Return versions, code, machine, device, number of hosts and the variables that matter, ready for JSON.

    data: the digest of the photos, where there are any.
    """
    return {
        "fireweed": __version__,
        "git": git_state(Path(__file__).parent),
        "data": data,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: installed_version(name) for name in PACKAGES},
        "device": choice.facts(),
        "hosts": hosts,
        "kernels": library_name(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def git_state(folder: Path) -> str | None:
    """Return the commit that the code in `folder` is of, and whether it was changed since; None outside a checkout."""
    commit = _git(folder, "rev-parse", "HEAD") if _git(folder, "ls-files", ".") else None
    if commit is None:
        return None
    return f"{commit}, changed since" if _git(folder, "status", "--porcelain", "--untracked-files=no") else commit


def _git(folder: Path, *words: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]  # what the user does there is not to wait
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
