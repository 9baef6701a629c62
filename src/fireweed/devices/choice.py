"""Chooses the device, the backend and the precision of a training, says why, and checks that the framework agrees.

The choice is made before keras, tensorflow or jax is imported, from what `machine.py` sees and `backends.py` allows.
`DeviceChoice.count` says how many devices this process uses; `layout.py` says how a training lies on them.
"""

import dataclasses
import json
import re
import sys
from dataclasses import dataclass
from typing import Any, cast, get_args

from fireweed.devices.backends import (
    TITLES,
    WORDS,
    Backend,
    backend_for,
    hide_gpus_from_tensorflow,
    import_framework,
    install_line,
    seen_by_jax,
    seen_by_tensorflow,
    split_cpu,
    take_backend,
    wanted_backend,
)
from fireweed.devices.machine import Found, Kind, Machine, look
from fireweed.devices.precision import Precision, choose_precision
from fireweed.devices.tpu_strategy import BY_NAME, TpuAddress, connect, with_named
from fireweed.errors import DeviceError, nearest
from fireweed.text import counted

MOST_CPU_PARTS = 64  # that a CPU may be taken for, to try data-parallel training without accelerators


@dataclass(frozen=True)
class DeviceChoice:
    """Where and how a training computes.

    count:    devices of this kind that this process uses; for the CPU 1, or so many parts of it, each a device of its
              own to the backend, with which data-parallel training can be tried.
    name:     the chip in words.
    reasons:  sentences that say why this device, this backend and this precision.
    warnings: what the user should be told once, without a full stop.
    found:    all that the machine shows, chosen or not.
    precision_asked: "auto", or the precision that the user named.
    devices_asked: how many devices the user named, or None.
    is_wide:       whether the net does most of its work in wide 1x1 convolutions, which matters for the precision.
    tpu:           where the TPU is that TensorFlow 2.19 drives; None of all else.
    """

    kind: Kind
    count: int
    name: str
    backend: Backend
    precision: Precision
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    found: tuple[Found, ...] = ()
    precision_asked: str = "auto"
    devices_asked: int | None = None
    is_wide: bool = False
    tpu: TpuAddress | None = None

    @property
    def cores(self) -> int:
        """Cores of the CPU that this process may use."""
        return next((found.cores for found in self.found if found.kind == "cpu"), 1)

    def facts(self) -> dict[str, Any]:
        """Return the choice as plain values, as JSON holds them."""
        return cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(self) | {"cores": self.cores})))


@dataclass(frozen=True)
class _Wish:
    """The kind of device asked for (None: whatever there is), by what, and the TPU's name and place."""

    kind: Kind | None = None
    by: str = ""
    tpu: str = ""
    zone: str = ""
    project: str = ""


def choose_device(
    device: str = "auto",
    backend: str | None = None,
    precision: str = "auto",
    tpu: str | None = None,
    zone: str | None = None,
    project: str | None = None,
    machine: Machine | None = None,
    devices: int | None = None,
    is_wide: bool = False,
) -> DeviceChoice:
    """Choose the TPU, else the GPU, else the CPU, or the one asked for, with its backend and precision.

    device:  "auto", "tpu", "gpu" or "cpu".
    backend: "tensorflow" or "jax"; None: KERAS_BACKEND where set, else what suits the device.
    tpu:     a TPU's name ("local": the one in this machine); None: TPU_NAME where set. `zone`, `project`: where it is.
    devices: how many devices to use; None: all TPUs or GPUs, and the CPU as one.
    is_wide: whether the net to train does most of its work in wide 1x1 convolutions.

    Raises:
        DeviceError: what was asked for is not here or cannot be used; it never falls back to the CPU in silence.
    """
    machine = machine or Machine()
    if device not in ("auto", *get_args(Kind)):
        raise DeviceError(f"unknown device {device!r}; {nearest(device, ('auto', *get_args(Kind)))}")
    if precision not in ("auto", *get_args(Precision)):
        raise DeviceError(f"unknown precision {precision!r}; there are: auto, {', '.join(get_args(Precision))}")
    wanted, why_backend = wanted_backend(backend, machine)
    wish = _wish(device, tpu, zone, project, machine)
    address = TpuAddress(wish.tpu or "local", wish.zone, wish.project)
    seen = with_named(look(machine), address, wanted, machine)
    kinds = get_args(Kind) if wish.kind is None else (wish.kind,)
    passed: list[str] = []  # why each faster kind of device is not used
    warnings: list[str] = []
    for kind in kinds:
        found = next((one for one in seen if one.kind == kind), None)
        chosen, obstacle = backend_for(found, wanted, machine) if found else (None, "")
        if found and chosen:
            reasons = (_why_device(wish, found, passed), _why_backend(found, chosen, why_backend))
            count = _count(found, devices)
            choice = DeviceChoice(
                kind,
                count,
                found.name,
                chosen,
                "float32",
                reasons,
                tuple(warnings),
                seen,
                precision,
                devices,
                is_wide,
                address if (kind, chosen) == ("tpu", "tensorflow") else None,
            )
            return _with_precision(choice, found)
        if wish.kind:
            raise DeviceError(_not_to_be_had(wish, found, obstacle, seen, machine))
        if found and not found.by_choice:
            warnings.append(f"{_in_words(found)} is here but cannot be used: {obstacle}")
        passed.append(f"the {WORDS[kind]} is left out, since {obstacle}" if found else f"no {_sought(kind)} was found")
    raise DeviceError(f"no backend can be used: {obstacle}")


def describe(choice: DeviceChoice) -> list[str]:
    """Return sentences: which TPU, GPU and CPU were found, what is used and why; warnings last."""
    lines = []
    for kind in get_args(Kind):
        found = next((one for one in choice.found if one.kind == kind), None)
        lines.append(f"{WORDS[kind]}: {_details(found)}." if found else f"{WORDS[kind]}: none found.")
    lines += choice.reasons
    if choice.count > 1:
        lines.append(f"A training shares each batch among {choice.count} {WORDS[choice.kind]} devices.")
    return lines + [f"Warning: {warning}." for warning in choice.warnings]


def confirm(choice: DeviceChoice) -> DeviceChoice:
    """Import the backend and check that it sees the chosen device; return the choice with the count that it sees.

    TensorFlow, where it is imported, gives up every GPU where JAX computes, or where the CPU was chosen. The precision
    is chosen again where only the framework knows the GPU's compute capability.

    Raises:
        DeviceError: the framework does not see the device, or keras runs on another backend already.
    """
    take_backend(choice.backend)
    import_framework(choice.backend)
    if "tensorflow" in sys.modules and (choice.backend == "jax" or choice.kind == "cpu"):
        hide_gpus_from_tensorflow()
    if choice.kind == "cpu" and choice.count > 1:
        split_cpu(choice.backend, choice.count)
    if choice.tpu is not None:
        return _confirm_strategy(choice, choice.tpu)
    look_through = seen_by_jax if choice.backend == "jax" else seen_by_tensorflow
    chips, platform, capability = look_through(choice.kind)
    if not chips:
        remedy = f"{install_line(choice.kind, choice.backend)} once more, or train on the CPU with --device cpu"
        if choice.kind == "cpu":
            remedy = "start Python again and call fireweed first"
        raise DeviceError(
            f"the {WORDS[choice.kind]} ({choice.name}) was to be used, but {TITLES[choice.backend]} sees only "
            f"{WORDS.get(platform, platform)}; {remedy}"
        )
    if choice.kind == "cpu":  # XLA_FLAGS may have made several devices of it
        return dataclasses.replace(choice, count=choice.devices_asked or len(chips))
    found = next(
        (one for one in choice.found if one.kind == choice.kind), Found(choice.kind, choice.name, choice.count)
    )
    name = chips[0] if choice.name in ("TPU", "NVIDIA GPU") and chips[0] else choice.name
    choice = dataclasses.replace(choice, count=min(choice.devices_asked or len(chips), len(chips)), name=name)
    if capability is None or found.capability is not None:
        return choice
    kept = tuple(reason for reason in choice.reasons if not reason.startswith("Precision"))
    return _with_precision(dataclasses.replace(choice, reasons=kept), dataclasses.replace(found, capability=capability))


def _confirm_strategy(choice: DeviceChoice, address: TpuAddress) -> DeviceChoice:
    """Start the TPU that TensorFlow drives; return the choice with its number of cores, all of which are used."""
    cores = connect(address).num_replicas_in_sync
    if choice.devices_asked not in (None, cores):
        raise DeviceError(
            f"TensorFlow uses all {cores} cores of a TPU, received --devices {choice.devices_asked}; leave it out"
        )
    return dataclasses.replace(choice, count=cores)


def _count(found: Found, devices: int | None) -> int:
    """Return how many devices are used.

    Raises:
        DeviceError: so many are not here.
    """
    if devices is None:
        return found.count
    is_elsewhere = BY_NAME in found.evidence  # how many cores it has shows when it is started
    if devices < 1 or (found.kind != "cpu" and devices > found.count and not is_elsewhere) or devices > MOST_CPU_PARTS:
        here = f"1 to {MOST_CPU_PARTS} parts of the CPU" if found.kind == "cpu" else _in_words(found)
        raise DeviceError(f"--devices must be one of what is here, received {devices}; there are {here}")
    return devices


def _wish(device: str, tpu: str | None, zone: str | None, project: str | None, machine: Machine) -> _Wish:
    if tpu is not None and device in ("gpu", "cpu"):
        raise DeviceError(f"--tpu {tpu!r} and --device {device} exclude each other; leave one of them out")
    from_environment = machine.environ.get("TPU_NAME", "")
    name = from_environment if tpu is None else tpu
    if (zone or project) and not name:
        raise DeviceError(f"--zone and --project say where a TPU is, received {zone or project!r}; name it with --tpu")
    place = ("" if name == "local" else name, zone or "", project or "")
    if tpu is not None:
        return _Wish("tpu", f"--tpu {tpu!r}", *place)
    if from_environment and device in ("auto", "tpu"):
        return _Wish("tpu", f"TPU_NAME={from_environment!r}", *place)
    if device != "auto":
        return _Wish(cast(Kind, device), f"--device {device}")
    return _Wish()


def _not_to_be_had(wish: _Wish, found: Found | None, obstacle: str, seen: tuple[Found, ...], machine: Machine) -> str:
    """Say in one line what was asked for, what was found and what to do."""
    asked = f"{wish.by} asks for a {WORDS[cast(str, wish.kind)]}"
    if found:
        return f"{asked}; {_in_words(found)} is here but cannot be used: {obstacle}"
    others = " and ".join(f"the {WORDS[one.kind]} {_in_words(one)}" for one in seen)
    text = f"{asked}, but this machine shows only {others}"
    if wish.kind == "gpu":
        return f"{text}; check that nvidia-smi lists the GPU, or leave out {wish.by} to use what is here"
    if not wish.tpu:
        return f"{text}; start this on a machine with a TPU in it, or leave out {wish.by} to use what is here"
    host = wish.tpu.removeprefix("grpc://").partition(":")[0]
    address = machine.resolve(host)
    known = f"answers at {address}, but JAX uses only TPUs in its own machine" if address else "is no host known here"
    name = wish.tpu if re.fullmatch(r"[\w.-]+", wish.tpu) else "NAME"
    ssh = f"gcloud compute tpus tpu-vm ssh {name} --zone {wish.zone or 'ZONE'}"
    ssh += f" --project {wish.project}" if wish.project else ""
    undo = "unset TPU_NAME" if wish.by.startswith("TPU_NAME") else "leave out --tpu"
    return (
        f"{text}, and {wish.tpu!r} {known}; start this on the TPU's own machine ({ssh}), or {undo} to use what is here"
    )


def _why_device(wish: _Wish, found: Found, passed: list[str]) -> str:
    start = f"The {WORDS[found.kind]} is used"
    if wish.tpu:
        taken = found.name if BY_NAME in found.evidence else "the one in this machine"
        return f"{start}: {wish.by} asks for one, and {taken} is taken for it."
    if wish.kind:
        return f"{start}: {wish.by} asks for it."
    return f"{start}: {', and '.join(passed)}." if passed else f"{start}: nothing here is faster."


def _why_backend(found: Found, backend: Backend, why: str) -> str:
    if not why:
        why = {
            ("cpu", "tensorflow"): "on a CPU it is the faster one, by oneDNN",
            ("cpu", "jax"): "TensorFlow, which is faster on a CPU, is not installed",
            ("gpu", "tensorflow"): "the installed JAX cannot use this GPU",
        }.get((found.kind, backend), f"it is the one to drive a {WORDS[found.kind]} with")
    return f"Keras computes with {TITLES[backend]}: {why}."


def _with_precision(choice: DeviceChoice, found: Found) -> DeviceChoice:
    """Return the choice with its precision: the one asked for, else what the device computes fastest."""
    precision, why, warnings = choose_precision(found, choice.precision_asked, choice.is_wide)
    reasons = (*choice.reasons, f"Precision is {precision}: {why}.")
    return dataclasses.replace(choice, precision=precision, reasons=reasons, warnings=(*choice.warnings, *warnings))


def _sought(kind: str) -> str:
    return "NVIDIA GPU" if kind == "gpu" else WORDS[kind]


def _in_words(found: Found) -> str:
    if found.kind == "cpu":
        return f"{found.name} ({counted(found.cores, 'core')})"
    return f"{found.count} x {found.name}" if found.count > 1 else found.name


def _details(found: Found) -> str:
    words = [_in_words(found), *found.features]
    if found.capability:
        words.append(f"compute capability {found.capability[0]}.{found.capability[1]}")
    if found.driver:
        words.append(f"driver {found.driver}")
    seen = f" (seen by {', '.join(found.evidence)})" if found.evidence else ""
    return ", ".join(words) + seen + (f"; not usable: {found.blocked}" if found.blocked else "")
