"""TPUs through TensorFlow 2.19, the last that drives them, and `tf.distribute.TPUStrategy`; apart from all else.

JAX is what drives TPUs here. This way is for those who are bound to TensorFlow, in an environment of its own that
docs/devices.md describes. It was written from TensorFlow's documentation and has never been run on a TPU.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol, cast

from fireweed.devices.backends import Backend, import_framework, tpu_obstacle_for_tensorflow
from fireweed.devices.machine import Found, Machine
from fireweed.errors import DeviceError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


BY_NAME = "its name"  # the evidence of a TPU that is elsewhere


@dataclass(frozen=True)
class TpuAddress:
    """Where a TPU is.

    name:    as Google Cloud knows it, or grpc://ADDRESS; "local" is the one in this machine.
    zone, project: of a name; empty: as the environment says.
    """

    name: str = "local"
    zone: str = ""
    project: str = ""


class Strategy(Protocol):
    """What is used of a TPUStrategy."""

    num_replicas_in_sync: int

    def scope(self) -> "AbstractContextManager[object]": ...


def with_named(
    seen: tuple[Found, ...], address: TpuAddress, wanted: Backend | None, machine: Machine
) -> tuple[Found, ...]:
    """Return what a machine shows, with a TPU elsewhere that is named and that the installed TensorFlow can reach.

    wanted: the backend that the user set; only TensorFlow reaches TPUs outside of its machine.
    """
    is_here = any(found.kind == "tpu" and not found.blocked for found in seen)
    is_named = wanted == "tensorflow" and address.name not in ("", "local")
    if is_here or not is_named or tpu_obstacle_for_tensorflow(machine):
        return seen
    return Found("tpu", f"TPU {address.name}", 1, (BY_NAME,)), *(found for found in seen if found.kind != "tpu")


@cache
def connect(address: TpuAddress) -> Strategy:
    """Start a TPU and return TensorFlow's strategy for all of its cores, the same one throughout this process.

    Raises:
        DeviceError: there is no such TPU, it cannot be reached, or another process holds it.
    """
    tf = import_framework("tensorflow")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(
            tpu=address.name, zone=address.zone or None, project=address.project or None
        )
        return cast(Strategy, tf.distribute.TPUStrategy(resolver))
    except Exception as error:  # the resolver asks Google's servers, the metadata of the machine and the TPU itself
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise DeviceError(
            f"TensorFlow cannot start the TPU {address.name!r}: {reason}; check --tpu, --zone and --project, and that "
            "no other process uses it, or leave --backend out to use JAX"
        ) from error
