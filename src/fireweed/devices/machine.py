"""What this machine shows of TPUs, GPUs and its CPU, in files, environment and drivers; no framework is imported."""

import math
import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["tpu", "gpu", "cpu"]

# https://github.com/jax-ml/jax/blob/main/jax/_src/hardware_utils.py. Google's vendor number alone is not enough:
# the network card and the disks of every Google Cloud machine carry it too.
TPU_CHIPS = {
    "0x0027": "TPU v3",
    "0x005e": "TPU v4",
    "0x0062": "TPU v5p",
    "0x0063": "TPU v5e",
    "0x006f": "TPU v6e",
    "0x0076": "TPU7x",
}
NETWORK_TPU_VARIABLES = ("KUBE_GOOGLE_CLOUD_TPU_ENDPOINTS", "COLAB_TPU_ADDR", "XRT_TPU_CONFIG")
NVIDIA_FIELDS = ("name", "uuid", "driver_version", "compute_cap")
COMMAND_TIMEOUT_SECONDS = 6.0  # nvidia-smi wakes every GPU, which takes seconds where no daemon keeps them awake
NAME_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Found:
    """One kind of device that the machine shows.

    name:       the chip in words.
    count:      how many of them this process may use; 1 for the CPU.
    evidence:   where it was seen.
    blocked:    why no program can use it here (no driver, hidden, over the network); empty when nothing is in the way.
    by_choice:  the user hid it, so that `blocked` is no fault.
    capability: NVIDIA's compute capability, (9, 0) for 9.0, the lowest of all; None where unknown.
    driver:     version of NVIDIA's driver, or empty.
    cores:      cores of the CPU that this process may use; 0 for accelerators.
    features:   instruction sets of the CPU that decide how fast it trains.
    """

    kind: Kind
    name: str
    count: int
    evidence: tuple[str, ...] = ()
    blocked: str = ""
    by_choice: bool = False
    capability: tuple[int, int] | None = None
    driver: str = ""
    cores: int = 0
    features: tuple[str, ...] = ()


def run_command(command: Sequence[str]) -> str | None:
    """Return what a command prints, or None when it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def installed_version(package: str) -> str | None:
    """Return the version of an installed distribution, or None; the package is not imported."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def imported_backend() -> str | None:
    """Return the backend of a keras that this process has imported already, or None."""
    keras = sys.modules.get("keras")
    return str(keras.config.backend()) if keras is not None and hasattr(keras, "config") else None


def resolve_name(name: str) -> str:
    """Return the network address of a host name, or "" when it has none or no answer comes in time."""
    import socket

    answers: list[str] = []

    def ask() -> None:
        try:
            answers.append(str(socket.getaddrinfo(name, None)[0][4][0]))
        except (OSError, UnicodeError):
            return

    asking = threading.Thread(target=ask, daemon=True)  # the resolver itself knows no time limit
    asking.start()
    asking.join(NAME_TIMEOUT_SECONDS)
    return answers[0] if answers else ""


def allowed_cores() -> int:
    """Return how many cores the scheduler lets this process use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Machine:
    """The machine as its files, environment, commands and installed packages show it; tests put a made-up one here.

    joins_hosts: whether this process will join those of other machines, as the machines of a TPU slice have to.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    system: str = field(default_factory=platform.system)
    architecture: str = field(default_factory=platform.machine)
    run: Callable[[Sequence[str]], str | None] = run_command
    version_of: Callable[[str], str | None] = installed_version
    resolve: Callable[[str], str] = resolve_name
    cores: Callable[[], int] = allowed_cores
    backend_in_use: Callable[[], str | None] = imported_backend
    joins_hosts: bool = False

    def read(self, path: str | Path) -> str:
        """Return the text of a file below the root, stripped; "" when it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip("\0 \n\t")
        except OSError:
            return ""

    def glob(self, pattern: str) -> list[Path]:
        """Return the paths below the root that fit a pattern, in order."""
        return sorted(self.root.glob(pattern))


def look(machine: Machine) -> tuple[Found, ...]:
    """Return what the machine shows: a TPU and a GPU where there is one, and always the CPU, in this order."""
    seen = (find_tpu(machine), find_gpu(machine), find_cpu(machine))
    return tuple(found for found in seen if found is not None)


def find_tpu(machine: Machine) -> Found | None:
    """Return the TPU chips attached to this machine, else a TPU that its environment names on the network."""
    chips = [name for name in map(_tpu_name, _pci_devices(machine, "0x1ae0")) if name]
    # Older chips have /dev/accel0; /dev/accel is the folder of other makers' accelerators. Newer ones are vfio groups,
    # which any passed-through device may be, so that they count only beside a chip on the bus.
    files = machine.glob("dev/accel[0-9]*") or (machine.glob("dev/vfio/[0-9]*") if chips else [])
    if not chips and not files:
        return _network_tpu(machine)
    evidence = [f"{len(chips)} on the PCI bus"] if chips else []
    evidence += [f"/dev/{files[0].relative_to(machine.root / 'dev')}"] if files else []
    name = chips[0] if chips else "TPU"
    count = min(len(chips), len(files)) if chips and files else len(chips) or len(files)
    visible = machine.environ.get("TPU_VISIBLE_CHIPS") or machine.environ.get("TPU_VISIBLE_DEVICES") or ""
    if visible:
        count = min(count, len(visible.split(",")))
    blocked = ""
    hosts = [host for host in machine.environ.get("TPU_WORKER_HOSTNAMES", "").split(",") if host.strip()]
    if not files:
        blocked = (
            "its device files /dev/accel* or /dev/vfio/* are not here; in a container, pass them in (--privileged)"
        )
    elif len(hosts) > 1 and not visible and not machine.joins_hosts:
        blocked = (
            f"this is one of {len(hosts)} machines of a slice, which start only together: train with the same command "
            "on all of them, or take a slice of one machine"
        )
    return Found("tpu", name, count, tuple(evidence), blocked)


def find_gpu(machine: Machine) -> Found | None:
    """Return the NVIDIA GPUs, told by nvidia-smi, else by the driver's files, else by the PCI bus."""
    rows = _nvidia_smi(machine)
    evidence = "nvidia-smi"
    if not rows:
        texts = [machine.read(path) for path in machine.glob("proc/driver/nvidia/gpus/*/information")]
        rows = [_driver_row(text) for text in texts if text]
        evidence = "/proc/driver/nvidia"
        if not rows:
            on_bus = [pci for pci in _pci_devices(machine, "0x10de") if pci[1].startswith("0x03")]
            rows = [{"name": "NVIDIA GPU"} for _ in on_bus]
            evidence = "the PCI bus"
        if not rows:
            return None
    blocked = ""
    if evidence != "nvidia-smi" and not (machine.glob("dev/nvidia*") or machine.glob("dev/dxg")):
        blocked = (
            "its device files /dev/nvidia* are not here; install or load NVIDIA's driver, "
            "or start the container with --gpus all"
        )
    hidden = machine.environ.get("CUDA_VISIBLE_DEVICES")
    used = rows if hidden is None else _visible(rows, hidden)
    if not used:
        return Found(
            "gpu", rows[0]["name"], 0, (evidence,), f"CUDA_VISIBLE_DEVICES={hidden!r} hides it", by_choice=True
        )
    capabilities = [_capability(row.get("compute_cap", "")) for row in used]
    known = [capability for capability in capabilities if capability]
    lowest = min(known) if len(known) == len(capabilities) else None
    driver = used[0].get("driver_version", "")
    return Found("gpu", used[0]["name"], len(used), (evidence,), blocked, capability=lowest, driver=driver)


def find_cpu(machine: Machine) -> Found:
    """Return the CPU: its name, the cores this process may use, the instruction sets that matter."""
    text = machine.read("proc/cpuinfo")
    name = _line(text, "model name") or _line(text, "Hardware")
    if not name and machine.system == "Darwin":
        name = (machine.run(["sysctl", "-n", "machdep.cpu.brand_string"]) or "").strip()
    flags = set(_line(text, "flags").split()) | set(_line(text, "Features").split())
    wanted = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx_vnni": "VNNI", "amx_tile": "AMX",
              "avx512_bf16": "BF16", "amx_bf16": "BF16"}  # fmt: skip
    features = tuple(dict.fromkeys(word for flag, word in wanted.items() if flag in flags))
    cores = max(1, min(machine.cores(), _quota(machine)))
    return Found("cpu", name or platform.processor() or machine.architecture, 1, cores=cores, features=features)


def _pci_devices(machine: Machine, vendor: str) -> list[tuple[str, str]]:
    """Return (device number, class) of each PCI device of a vendor, as sysfs writes them: 0x0063, 0x030200."""
    folders = [path.parent for path in machine.glob("sys/bus/pci/devices/*/vendor") if machine.read(path) == vendor]
    return [(machine.read(folder / "device"), machine.read(folder / "class")) for folder in folders]


def _tpu_name(pci: tuple[str, str]) -> str:
    number, kind = pci
    return TPU_CHIPS.get(number, "TPU" if kind.startswith("0x12") else "")  # 0x12: processing accelerators


def _network_tpu(machine: Machine) -> Found | None:
    for variable in NETWORK_TPU_VARIABLES:
        value = machine.environ.get(variable)
        if value:
            blocked = f"{variable}={value} is on the network, and JAX uses only TPUs attached to its own machine"
            return Found("tpu", "network TPU", 1, (variable,), blocked)
    return None


def _nvidia_smi(machine: Machine) -> list[dict[str, str]]:
    started = time.monotonic()
    for program in ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"):
        for fields in (NVIDIA_FIELDS, NVIDIA_FIELDS[:3]):  # older drivers do not know compute_cap
            if time.monotonic() - started > 2:
                return []  # it hangs; the driver's files still tell the names
            text = machine.run([program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader"])
            rows = [[cell.strip() for cell in line.split(",")] for line in (text or "").splitlines()]
            found = [dict(zip(fields, row, strict=True)) for row in rows if len(row) == len(fields)]
            if found:
                return found
    return []


def _driver_row(text: str) -> dict[str, str]:
    return {"name": _line(text, "Model") or "NVIDIA GPU", "uuid": _line(text, "GPU UUID")}


def _visible(rows: list[dict[str, str]], value: str) -> list[dict[str, str]]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES leaves: as CUDA does, those before the first entry that is none."""
    used: list[dict[str, str]] = []
    for word in (part.strip() for part in value.split(",")):
        if word.isdecimal() and int(word) < len(rows):
            used.append(rows[int(word)])
        elif word.startswith("MIG-"):
            used.append(rows[0])  # a slice of a GPU; which one only the driver knows
        elif word.startswith("GPU-") and any(row.get("uuid", "").startswith(word) for row in rows):
            used.append(next(row for row in rows if row.get("uuid", "").startswith(word)))
        else:
            break
    return used


def _capability(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _line(text: str, key: str) -> str:
    match = re.search(rf"^{re.escape(key)}[ \t]*:[ \t]*(.*)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def _quota(machine: Machine) -> int:
    """Return the cores that control groups (containers) allow, rounded up; a large number where there is no limit."""
    limits = [math.inf]
    for line in machine.read("proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        top = Path("sys/fs/cgroup") if not controllers else Path("sys/fs/cgroup", controllers)
        if controllers and "cpu" not in controllers.split(","):
            continue
        place = Path(path.lstrip("/"))
        for folder in {top, *(top / part for part in (place, *place.parents))}:
            words = machine.read(folder / "cpu.max").split()
            words = words or [machine.read(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
            if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]) > 0:
                limits.append(int(words[0]) / int(words[1]))
    smallest = min(limits)
    return 1_000_000 if smallest == math.inf else math.ceil(smallest)
