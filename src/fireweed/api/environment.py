"""What a run was made with: versions, chip, settings of the process; written into every run."""

import datetime
import os
import platform
from importlib import metadata
from typing import Any

from fireweed.devices import DeviceChoice
from fireweed.devices.process import ALLOCATOR, TUNABLES
from fireweed.kernels.native import SWITCH, library_name
from fireweed.version import __version__

PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pillow", "simplejpeg", "opencv-python-headless", "h5py")
VARIABLES = ("KERAS_BACKEND", SWITCH, "TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS", *ALLOCATOR, TUNABLES)


def environment_facts(choice: DeviceChoice, hosts: int = 1) -> dict[str, Any]:
    """Return versions, machine, device, number of hosts and the variables that matter, ready for JSON."""
    return {
        "fireweed": __version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": choice.facts(),
        "hosts": hosts,
        "kernels": library_name(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
