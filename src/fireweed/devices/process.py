"""Prepares the process for the backend before it is imported: its environment, and how the C library keeps memory.

On a CPU these settings, with oneDNN and a fused norm, made training three times as fast: TensorFlow asks for and gives
back every large array of every step, and glibc gives the pages back to the kernel, which then clears them again.
"""

import ctypes
import os
import platform
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from fireweed.devices.choice import DeviceChoice
from fireweed.devices.compile_cache import DIRECTORY, jax_cache_folder
from fireweed.devices.machine import Machine

MARKER = "FIREWEED_PREPARED"
TUNABLES = "GLIBC_TUNABLES"
HUGE_PAGES = "glibc.malloc.hugetlb"
# variable: (value, glibc's tunable of the same meaning, number and value for mallopt from malloc.h). A threshold of -1
# never gives memory back; the environment has no way to say that, so it names more than any training holds.
ALLOCATOR = {
    "MALLOC_ARENA_MAX": ("1", "glibc.malloc.arena_max", -8, 1),
    "MALLOC_MMAP_MAX_": ("0", "glibc.malloc.mmap_max", -4, 0),
    "MALLOC_TRIM_THRESHOLD_": ("16000000000", "glibc.malloc.trim_threshold", -1, -1),
}
OLDEST_HUGE_PAGES = (2, 35)  # https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html
READ_AT_IMPORT = {
    "TF_ENABLE_ONEDNN_OPTS": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "tensorflow",
    "JAX_PLATFORMS": "jax",
    "XLA_FLAGS": "jax",
    DIRECTORY: "jax",
}


def needed_environment(
    choice: DeviceChoice,
    environ: Mapping[str, str] | None = None,
    deterministic: bool = False,
    machine: Machine | None = None,
) -> dict[str, str]:
    """Return the variables, and their values, that the process should have and does not.

    What the user has set is kept, apart from KERAS_BACKEND where --backend says otherwise; lists such as XLA_FLAGS are
    appended to. The allocator is set for training on a CPU under Linux with glibc only. `deterministic` adds what only
    the environment can ask for (XLA on GPUs); TensorFlow's own switch belongs to the training.

    environ: what the process has; None: os.environ.
    """
    environ = os.environ if environ is None else environ
    machine = machine or Machine()
    on_cpu = choice.kind == "cpu"
    wanted = {"TF_CPP_MIN_LOG_LEVEL": "3" if on_cpu else "2"}  # without a GPU, 2 still prints that CUDA does not start
    if choice.backend == "tensorflow" and on_cpu:
        wanted["TF_ENABLE_ONEDNN_OPTS"] = "1"  # TensorFlow leaves it off on chips without VNNI
    if choice.backend == "jax":
        if on_cpu:
            wanted["JAX_PLATFORMS"] = "cpu"
        folder = None if DIRECTORY in environ else jax_cache_folder(machine)
        if folder is not None:
            wanted[DIRECTORY] = str(folder)
    missing = {name: value for name, value in wanted.items() if name not in environ}
    if environ.get("KERAS_BACKEND") != choice.backend:
        missing["KERAS_BACKEND"] = choice.backend
    flag = "--xla_gpu_deterministic_ops"
    if deterministic and choice.backend == "jax" and choice.kind == "gpu" and flag not in environ.get("XLA_FLAGS", ""):
        missing["XLA_FLAGS"] = f"{environ.get('XLA_FLAGS', '')} {flag}=true".strip()
    if on_cpu:
        missing |= _allocator(environ, machine)
    return missing


def prepare_process(choice: DeviceChoice, deterministic: bool = False, may_restart: bool = False) -> list[str]:
    """Prepare this process for `choice`; return sentences on what could not be set.

    may_restart: the command line sets this; the program then executes itself again, once, where only the environment of
                 a new process can hold a setting. Nothing that matters may have been written or opened before.
    """
    missing = needed_environment(choice, deterministic=deterministic)
    if may_restart:
        restart_with(missing)
    return prepare_in_process(missing)


def restart_with(environment: Mapping[str, str]) -> bool:
    """Execute this command line again, as the same process, with the allocator's variables in its environment.

    The others are left to `prepare_in_process`, so that the new start does not take them for the user's wishes.
    Returns False, having changed nothing, where that is not needed (no allocator setting is missing), was done before,
    or is not possible: on Windows, under a debugger, or when the running program is not Fireweed's command line.
    Otherwise it does not return.
    """
    needed = {name: value for name, value in environment.items() if name in ALLOCATOR or name == TUNABLES}
    done = os.environ.get(MARKER) == str(os.getpid())  # the process number stays; a child process may restart itself
    if not needed or done or os.name != "posix" or not sys.executable or not is_command_line():
        return False
    if sys.gettrace() is not None or "pydevd" in sys.modules:
        return False
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = [sys.executable, *sys.orig_argv[1:]]
    try:
        os.execve(sys.executable, arguments, {**os.environ, **needed, MARKER: str(os.getpid())})
    except OSError:
        return False


def began() -> float:
    """Return when this process began, by time.monotonic(); executing itself again began none."""
    import psutil

    age = time.time() - psutil.Process().create_time()
    return time.monotonic() - max(0.0, age)


def prepare_in_process(environment: Mapping[str, str]) -> list[str]:
    """Set in the running process what can still be set; return sentences on what could not."""
    late = []
    for name, value in environment.items():
        if name in ALLOCATOR or name == TUNABLES:
            continue
        os.environ[name] = value
        reader = READ_AT_IMPORT.get(name)
        if reader in sys.modules and name not in (DIRECTORY, "TF_CPP_MIN_LOG_LEVEL"):
            late.append(f"{name}={value} came too late, since {reader} was imported before; call fireweed first.")
    refused = [name for name in ALLOCATOR if name in environment and not _mallopt(*ALLOCATOR[name][2:])]
    if refused:
        late.append(f"The C library did not take {', '.join(refused)}; training is slower without.")
    if TUNABLES in environment:
        late.append(
            f"Huge pages can only be asked for when Python starts; for somewhat faster training start it with "
            f"{TUNABLES}={environment[TUNABLES]}."
        )
    return late


def _allocator(environ: Mapping[str, str], machine: Machine) -> dict[str, str]:
    """Return what is missing so that malloc keeps its memory in one arena, on huge pages where they are allowed."""
    version = _glibc_version()
    if machine.system != "Linux" or version is None or "malloc" in environ.get("LD_PRELOAD", ""):
        return {}  # another C library, or another allocator put in its place
    tunables = environ.get(TUNABLES, "")
    missing = {
        name: value
        for name, (value, tunable, _, _) in ALLOCATOR.items()
        if name not in environ and f"{tunable}=" not in tunables
    }
    allowed = re.search(r"\[(\w+)\]", machine.read("sys/kernel/mm/transparent_hugepage/enabled"))
    huge = allowed is not None and allowed[1] in ("madvise", "always") and version >= OLDEST_HUGE_PAGES
    if huge and f"{HUGE_PAGES}=" not in tunables:
        missing[TUNABLES] = f"{tunables}:{HUGE_PAGES}=1".lstrip(":")
    return missing


def _glibc_version() -> tuple[int, int] | None:
    """Return the version of the glibc that this Python runs on, or None on any other C library."""
    if platform.system() != "Linux":
        return None
    try:
        ask = ctypes.CDLL(None).gnu_get_libc_version
    except AttributeError:
        return None  # musl
    ask.restype = ctypes.c_char_p
    major, minor, *_ = ask().decode().split(".")
    return int(major), int(minor)


def _mallopt(parameter: int, value: int) -> bool:
    if _glibc_version() is None:
        return False
    return ctypes.CDLL(None).mallopt(ctypes.c_int(parameter), ctypes.c_int(value)) == 1


def is_command_line() -> bool:
    """Return whether this is the `fireweed` script or `python -m fireweed`, so that it can be started again alike.

    A program or a test that calls our functions, even with a made-up sys.argv, is not.
    """
    count = len(sys.orig_argv) - len(sys.argv) + 1
    if count < 1 or sys.orig_argv[count:] != sys.argv[1:]:
        return False
    started = sys.orig_argv[count - 1]  # the script, or the module after -m
    is_script = started == sys.argv[0] and Path(started).name == "fireweed"
    is_module = started == "fireweed" and Path(sys.argv[0]).parent == Path(__file__).parents[1]
    return is_script or is_module
