"""The compiled kernels, which make training on a CPU faster; without a C compiler Fireweed installs and works as well.

The same source is compiled for each set of instructions, and the best that the machine has is taken when it runs.
"""

import platform
import sys

from setuptools import Extension, setup

SOURCE = "src/fireweed/kernels/kernels.c"
FLAGS = ["-O3", "-std=gnu11", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
         "-Wno-psabi"]  # fmt: skip
INSTRUCTIONS = {
    "x86_64": {"avx512": ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mfma"], "avx2": ["-mavx2", "-mfma"]},
    "aarch64": {"neon": []},
    "arm64": {"neon": []},
}

targets = INSTRUCTIONS.get(platform.machine(), {}) if sys.platform in ("linux", "darwin") else {}
setup(
    ext_modules=[
        Extension(f"fireweed.kernels._{name}", [SOURCE], extra_compile_args=FLAGS + flags, libraries=["pthread"],
                  optional=True)
        for name, flags in targets.items()
    ]
)  # fmt: skip
