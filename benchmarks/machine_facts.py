"""What every measurement says of where it was made."""

import datetime
import platform
import subprocess
from typing import Any

from fireweed.devices import choose_device
from fireweed.devices.machine import installed_version

PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pillow", "opencv-python-headless")


def machine_facts() -> dict[str, Any]:
    """Return chip, cores, versions, date and commit, ready for JSON."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    choice = choose_device("cpu")
    return {
        "chip": choice.name,
        "cores": choice.cores,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := installed_version(name))},
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
    }
