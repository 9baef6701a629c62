"""The compiled kernels, which make training on a CPU faster; without a C compiler Fireweed installs and works as well.

The same sources are compiled for each set of instructions, and the best that the machine has is taken when it runs.
"""

import os
import platform
import sys
from pathlib import Path

from setuptools import Extension, setup

FOLDER = Path("src/fireweed/kernels")
FLAGS = ["-O3", "-std=gnu11", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
         "-Wno-psabi"]  # fmt: skip
INSTRUCTIONS = {
    "x86_64": {"avx512": ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mfma"], "avx2": ["-mavx2", "-mfma"]},
    "aarch64": {"neon": []},
    "arm64": {"neon": []},
}


def files(pattern: str) -> list[str]:
    return sorted(str(path) for path in FOLDER.glob(pattern))


targets = INSTRUCTIONS.get(platform.machine(), {}) if sys.platform in ("linux", "darwin") else {}
if sys.platform == "darwin":  # a Python for both kinds of Macs would compile for both, and the flags fit one
    os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
setup(
    ext_modules=[
        Extension(f"fireweed.kernels._{name}", files("*.c"), depends=files("*.h"), extra_compile_args=FLAGS + flags,
                  libraries=["pthread"], optional=True)
        for name, flags in targets.items()
    ]
)  # fmt: skip
