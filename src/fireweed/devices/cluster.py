"""What says that several hosts train together: the options of the command, or the environment of a cluster."""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass

from fireweed.errors import DeviceError


@dataclass(frozen=True)
class HostCall:
    """What says that several hosts train together.

    coordinator: HOST:PORT of host 0; None: JAX finds it, and all else, out.
    count, index: how many hosts, and which this one is, from 0; None: JAX finds it out.
    by:          what says so, in words.
    """

    coordinator: str | None = None
    count: int | None = None
    index: int | None = None
    by: str = ""


def call_of(
    coordinator: str | None = None, hosts: int | None = None, host: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> HostCall | None:  # fmt: skip
    """Return what says that several hosts train together: the options, else the environment; None: one does alone.

    environ: of this process; None: os.environ.

    Raises:
        DeviceError: only some of the options are given, or they do not fit together.
    """
    environ = os.environ if environ is None else environ
    if hosts == 1 and coordinator is None and host in (None, 0):
        return None
    given = {"--coordinator": coordinator, "--hosts": hosts, "--host": host}
    missing = [name for name, value in given.items() if value is None]
    if not missing:
        return _given(str(coordinator), int(hosts or 0), int(host or 0))
    by = _cluster(environ)
    if hosts is not None and hosts > 1 and host is None and coordinator is None:
        return HostCall(count=hosts, by=by or f"--hosts {hosts}")
    if len(missing) < len(given):
        raise DeviceError(
            "several hosts need --coordinator HOST:PORT, --hosts N and --host I, received no "
            f"{' and no '.join(missing)}; give all three on every host (--hosts alone on TPU pods and under SLURM)"
        )
    return HostCall(by=by) if by else None


def _given(coordinator: str, hosts: int, host: int) -> HostCall:
    """Return the call that the three options make."""
    name, colon, port = coordinator.rpartition(":")
    if not (name and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise DeviceError(
            f"--coordinator is where host 0 can be reached, such as 10.0.0.1:1234, received {coordinator!r}"
        )
    if hosts < 2 or not 0 <= host < hosts:
        raise DeviceError(
            f"--host counts from 0 to below --hosts, which is 2 or more, received --hosts {hosts} --host {host}"
        )
    return HostCall(coordinator, hosts, host, by=f"--hosts {hosts}")


def _cluster(environ: Mapping[str, str]) -> str:
    """Return what in the environment says that this is one of several processes that JAX can find out about."""

    def count(name: str) -> int:
        value = environ.get(name, "")
        return int(value) if value.isdecimal() else 0

    # a shell or a batch script within SLURM is a step of one task, whatever the job has
    if "SLURM_PROCID" in environ and min(count("SLURM_STEP_NUM_TASKS"), count("SLURM_NTASKS")) > 1:
        return "SLURM"
    if "OMPI_MCA_orte_hnp_uri" in environ and count("OMPI_COMM_WORLD_SIZE") > 1:
        return "Open MPI"
    workers = environ.get("TPU_PROCESS_ADDRESSES") or environ.get("TPU_WORKER_HOSTNAMES", "")
    if "," in workers or count("MEGASCALE_NUM_SLICES") > 1:
        return "the Cloud TPU's environment"
    is_indexed = {"KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"} <= environ.keys()
    return "the Kubernetes job" if is_indexed and importlib.util.find_spec("kubernetes") else ""
