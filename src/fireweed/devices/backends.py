"""Which backend can drive which device with the packages installed here, and what to install where none can."""

import importlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

from fireweed.devices.machine import Found, Machine
from fireweed.errors import DeviceError, nearest

Backend = Literal["tensorflow", "jax"]

WORDS = {"tpu": "TPU", "gpu": "GPU", "cpu": "CPU"}
TITLES = {"tensorflow": "TensorFlow", "jax": "JAX"}
TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu", "tf-nightly", "tensorflow-intel", "tensorflow-macos")
PACKAGES = {"tensorflow": TENSORFLOWS, "jax": ("jax",)}
CUDNN_PACKAGES = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
OLDEST_DRIVER = {"12": 525, "13": 580}  # https://docs.jax.dev/en/latest/installation.html
_redirecting = threading.RLock()  # standard error is all threads' own


def wanted_backend(backend: str | None, machine: Machine) -> tuple[Backend | None, str]:
    """Return the backend that the user set, if any, and by what.

    A keras that this process imported before has settled it. Keras's own keras.json does not count, since Keras writes
    "tensorflow" into it by itself.

    Raises:
        DeviceError: a backend that Fireweed does not use, that is not installed, or not the one keras has taken.
    """
    source = "--backend"
    if backend is None:
        backend, source = machine.environ.get("KERAS_BACKEND") or None, "KERAS_BACKEND"
    if backend is not None:
        if backend not in TITLES:
            raise DeviceError(f"{source} is {backend!r}, which Fireweed does not use; {nearest(backend, TITLES)}")
        if not is_installed(backend, machine):
            raise DeviceError(f"{source} is {backend!r}, which is not installed; {install_line('cpu', backend)}")
    imported = machine.backend_in_use()
    if imported is None:
        return cast(Backend | None, backend), f"{source} says so" if backend else ""
    if imported not in TITLES or backend not in (None, imported):
        raise DeviceError(other_backend(imported, backend or "tensorflow or jax"))
    return cast(Backend, imported), "keras was imported with it before"


def other_backend(imported: str, wanted: str) -> str:
    """Say that keras runs on another backend in this process, and what to do."""
    return (
        f"keras was imported with the backend {imported!r} before, and {wanted} is needed; start Python again "
        "(restart the notebook's kernel) and call fireweed before anything imports keras"
    )


def backend_for(found: Found, wanted: Backend | None, machine: Machine) -> tuple[Backend | None, str]:
    """Return the backend to use on a device; or None, what is in the way, and what mends it.

    JAX drives accelerators, TensorFlow the CPU (it has oneDNN, and JAX's weight gradients are far slower there); the
    other one only where the first is not installed for the device.
    """
    if found.blocked:
        return None, found.blocked
    order: tuple[Backend, ...] = ("tensorflow", "jax") if found.kind == "cpu" else ("jax", "tensorflow")
    obstacles = []
    for backend in order if wanted is None else (wanted,):
        obstacle = _obstacle(found, backend, machine)
        if not obstacle:
            return backend, ""
        obstacles.append(obstacle)
    return None, obstacles[0]


def is_installed(backend: str, machine: Machine) -> bool:
    """Return whether a backend is installed, without importing it."""
    return any(machine.version_of(package) for package in PACKAGES[backend])


def install_line(kind: str, backend: str) -> str:
    """Return the command that installs a backend for a kind of device."""
    if backend == "tensorflow":
        return "pip install 'tensorflow[and-cuda]'" if kind == "gpu" else "pip install tensorflow"
    extra = {"tpu": "tpu", "gpu": "cuda", "cpu": "jax"}[kind]
    return f"pip install 'fireweed[{extra}]'"


def _obstacle(found: Found, backend: str, machine: Machine) -> str:
    """Return what keeps the installed packages from driving a device through a backend; "" when nothing does."""
    if found.kind == "gpu" and machine.system == "Windows":
        return "neither JAX nor TensorFlow drives NVIDIA GPUs on Windows itself; run Fireweed inside WSL2"
    if found.kind == "tpu" and backend == "tensorflow":
        return tpu_obstacle_for_tensorflow(machine)
    if not is_installed(backend, machine):
        return f"{TITLES[backend]} is not installed; {install_line(found.kind, backend)}"
    platforms = machine.environ.get("JAX_PLATFORMS", "")
    names = {"gpu", "cuda"} if found.kind == "gpu" else {found.kind}
    if backend == "jax" and platforms and not names & set(platforms.split(",")):
        return f"JAX_PLATFORMS={platforms!r} hides it from JAX; unset it"
    if found.kind == "tpu" and not machine.version_of("libtpu"):
        return f"the installed JAX has no libtpu; {install_line('tpu', 'jax')}"
    if found.kind == "gpu":
        return _jax_gpu_obstacle(found, machine) if backend == "jax" else _tensorflow_gpu_obstacle(machine)
    return ""


def tpu_obstacle_for_tensorflow(machine: Machine) -> str:
    """Return what keeps the installed TensorFlow from driving TPUs; "" when nothing does."""
    if re.match(r"2\.1?\d\.", machine.version_of("tensorflow-tpu") or ""):
        return ""
    return (
        "TensorFlow 2.19 was the last that drives TPUs, as the package tensorflow-tpu in an environment of its own "
        "(docs/devices.md); leave the backend to Fireweed or take jax"
    )


def _jax_gpu_obstacle(found: Found, machine: Machine) -> str:
    cuda = next((version for version in ("13", "12") if machine.version_of(f"jax-cuda{version}-plugin")), None)
    if cuda is None:
        return f"the installed JAX has no CUDA; {install_line('gpu', 'jax')}"
    driver = re.match(r"\d+", found.driver)
    if driver and int(driver[0]) < OLDEST_DRIVER[cuda]:
        return (
            f"NVIDIA's driver {found.driver} is too old for CUDA {cuda}; install driver {OLDEST_DRIVER[cuda]} or newer"
        )
    if cuda == "13" and found.capability and found.capability < (7, 5):
        return f"CUDA 13 left out GPUs this old; pip uninstall jax-cuda13-plugin, then {install_line('gpu', 'jax')}"
    return ""


def _tensorflow_gpu_obstacle(machine: Machine) -> str:
    install = install_line("gpu", "tensorflow")
    if machine.version_of("tensorflow-cpu") and not machine.version_of("tensorflow"):
        return f"the installed TensorFlow is its CPU build; {install}"
    if any(machine.version_of(package) for package in CUDNN_PACKAGES):
        return ""
    libraries = machine.run(["ldconfig", "-p"]) or machine.run(["/sbin/ldconfig", "-p"]) or ""
    return "" if "libcudnn" in libraries else f"the installed TensorFlow finds no CUDA libraries; {install}"


def take_backend(backend: Backend) -> None:
    """Make keras use a backend in this process.

    Raises:
        DeviceError: keras was imported with another one.
    """
    imported = Machine().backend_in_use()
    if imported is None:
        os.environ["KERAS_BACKEND"] = backend
    elif imported != backend:
        raise DeviceError(other_backend(imported, backend))


@contextmanager
def quietly() -> Iterator[None]:
    """Keep back what TensorFlow's C++ side writes to standard error while it is imported, which no log level stops.

    It is shown after all when the block fails, or when the user set TF_CPP_MIN_LOG_LEVEL to see more. What other
    threads write meanwhile is kept back too; only one thread at a time is in such a block.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") not in ("2", "3"):
        yield
        return
    with _redirecting, tempfile.TemporaryFile() as kept:
        if sys.stderr is not None:
            sys.stderr.flush()
        terminal = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except Exception:
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def import_framework(name: str, needed_by: str = "") -> Any:
    """Import TensorFlow or JAX, its messages held back, and return the module.

    needed_by: what needs it, in words, for the error.

    Raises:
        DeviceError: it is not installed, or is damaged and cannot be imported.
    """
    try:
        if sys.modules.get(name) is None:
            with quietly():
                return importlib.import_module(name)
        return importlib.import_module(name)  # it is there, or another thread is at it, which is waited for
    except ImportError as error:
        if error.name == name:
            what = f"{needed_by} need {TITLES[name]}, which is" if needed_by else f"{TITLES[name]} is"
            raise DeviceError(f"{what} not installed; {install_line('cpu', name)}") from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DeviceError(f"{TITLES[name]} cannot be imported ({reason}); {install_line('cpu', name)}") from error


def tensorflow() -> Any:
    """Return the module of TensorFlow, which reads and writes shards and buckets, and feeds itself.

    Where JAX computes it leaves the GPUs alone, whoever imported it first.

    Raises:
        DeviceError: it is not installed, is damaged, or has taken a GPU that JAX needs.
    """
    module = import_framework("tensorflow", needed_by="TFRecord shards and addresses in gs://")
    if os.environ.get("KERAS_BACKEND") == "jax":
        hide_gpus_from_tensorflow()
    return module


def split_cpu(backend: Backend, parts: int) -> None:
    """Make the backend take the CPU for so many devices, before it starts.

    Raises:
        DeviceError: it has started in this process, with fewer.
    """
    try:
        (_split_for_jax if backend == "jax" else _split_for_tensorflow)(parts)
    except RuntimeError as error:
        raise DeviceError(
            f"{TITLES[backend]} has started in this process, and can no longer take the CPU for {parts} devices; "
            "start Python again (restart the notebook's kernel) and call fireweed first"
        ) from error


def _split_for_jax(parts: int) -> None:
    import jax

    try:
        jax.config.update("jax_num_cpu_devices", parts)
    except RuntimeError:
        if len(jax.local_devices()) < parts:
            raise


def _split_for_tensorflow(parts: int) -> None:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or ()) < parts:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * parts)


def seen_by_jax(kind: str) -> tuple[list[str], str, tuple[int, int] | None]:
    """Return the chips of a kind that JAX can use in this process, what it sees at all, and NVIDIA's capability.

    Raises:
        DeviceError: JAX cannot start at all, such as on a TPU that another process holds.
    """
    import jax

    if kind == "cpu":
        jax.config.update("jax_platforms", "cpu")  # no effect where JAX has started; then the devices tell
    try:
        devices: list[Any] = jax.local_devices()
    except RuntimeError as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise DeviceError(f"JAX cannot use the {WORDS[kind]}: {lines[0]}") from error
    platform = {"cuda": "gpu"}.get(devices[0].platform, devices[0].platform)
    chips = [device.device_kind for device in devices] if platform == kind else []
    version = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(devices[0], "compute_capability", "")))
    return chips, platform, (int(version[1]), int(version[2])) if version else None


def seen_by_tensorflow(kind: str) -> tuple[list[str], str, tuple[int, int] | None]:
    """Return the chips of a kind that TensorFlow can use, what it sees at all, and NVIDIA's compute capability."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices(kind.upper())
    kinds = ", ".join(sorted({device.device_type for device in tf.config.list_physical_devices()}))
    details = [tf.config.experimental.get_device_details(device) for device in devices] if kind == "gpu" else []
    if kind == "gpu":
        chips = [str(one.get("device_name", "")) for one in details]
    else:
        chips = [kind for device in devices for _ in tf.config.get_logical_device_configuration(device) or (None,)]
    return chips, kinds, details[0].get("compute_capability") if details else None


def computes_on_cpu() -> bool:
    """Return whether the backend of Keras, which has chosen its devices, computes on a CPU."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    config = tensorflow().config
    return not (config.list_logical_devices("GPU") or config.list_logical_devices("TPU"))


def hide_gpus_from_tensorflow() -> None:
    """Keep TensorFlow from taking a GPU that it would only hold: when JAX computes, or when the CPU was chosen.

    Raises:
        DeviceError: this process's TensorFlow has taken one already.
    """
    import tensorflow as tf

    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError as error:
        if tf.config.list_logical_devices("GPU"):
            raise DeviceError(
                "TensorFlow has taken the GPU in this process before, and Fireweed needs it to leave it alone; "
                "start Python again (restart the notebook's kernel) and call fireweed first"
            ) from error
