"""Several hosts: the processes, usually one a machine, that train one net together through `jax.distributed`.

Host 0 decides what all do and alone writes; `Hosts.settle` and `Hosts.broadcast` tell the others. One host has nothing
to join or to tell, and imports nothing here.
"""

import atexit
import inspect
import json
import os
import socket
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fireweed.devices.backends import import_framework
from fireweed.devices.choice import DeviceChoice
from fireweed.devices.cluster import HostCall
from fireweed.devices.coordination import joined
from fireweed.errors import DeviceError, FireweedError, HostLostError

JOIN_SECONDS = 300  # in which all hosts have to have started
HEARTBEAT_SECONDS = 30  # after which a silent host is taken for dead, and the others end
FINISHING_SECONDS = 7 * 24 * 3600  # that the others wait for host 0 to finish the run; its heartbeat says it lives
PIECE_BYTES = 4 << 20  # that each host tells all others at a time
LOST = "a host was lost, or did not come, so all hosts have stopped; the same command on every host goes on"
SIGNS_OF_LOSS = ("gloo", "connection closed by peer", "connection reset", "coordination service", "heartbeat",
                 "unavailable", "nccl", "barrier")  # fmt: skip

Value = TypeVar("Value")


@dataclass(frozen=True)
class Hosts:
    """The hosts that train together, and which of them this process is."""

    count: int = 1
    index: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is host 0, which decides, writes and speaks."""
        return self.index == 0

    def broadcast(self, data: bytes) -> bytes:
        """Return on every host the bytes that host 0 gives; those of the others do not count."""
        if self.count == 1:
            return data
        size = int.from_bytes(
            _from_first(np.frombuffer(len(data).to_bytes(8, "little"), np.uint32)).tobytes(), "little"
        )
        words = np.zeros(-(-size // 4), np.uint32)
        if self.is_first:
            words.view(np.uint8)[:size] = np.frombuffer(data, np.uint8)
        return _from_first(words).tobytes()[:size]

    def settle(self, decide: Callable[[], Value]) -> Value:
        """Return on every host what `decide` gives on host 0, the only one to call it; it must be JSON-ready.

        Raises:
            FireweedError: on every host, what `decide` raised.
        """
        if self.count == 1:
            return decide()
        told: dict[str, Any] = {}
        failure = None
        if self.is_first:
            try:
                told = {"value": decide()}
            except FireweedError as error:
                told, failure = {"error": str(error)}, error
        told = json.loads(self.broadcast(json.dumps(told).encode()))
        if "error" in told:
            raise failure or FireweedError(told["error"])
        value: Value = told["value"]
        return value

    def gather(self, work: Callable[[], Value]) -> list[Value]:
        """Return on every host what `work` gives on each of them, host by host; it must be JSON-ready.

        Raises:
            FireweedError: on every host, what `work` raised on one of them.
        """
        if self.count == 1:
            return [work()]
        mine: dict[str, Any] = {}
        failure = None
        try:
            mine = {"value": work()}
        except FireweedError as error:
            mine, failure = {"error": str(error)}, error
        everyone = [json.loads(data) for data in _from_all(json.dumps(mine).encode())]
        failed = [(host, told["error"]) for host, told in enumerate(everyone) if "error" in told]
        if failed:
            raise failure or FireweedError(f"host {failed[0][0]}: {failed[0][1]}")
        return [told["value"] for told in everyone]

    def require_alike(self, facts: Mapping[str, str]) -> None:
        """Make sure that all hosts were asked for the same, on the same photos.

        Raises:
            DeviceError: on every host, where one of the facts differs on one of them.
        """
        if self.count == 1:
            return
        from jax.experimental import multihost_utils

        # CRC is no proof against malice, which nothing here is, but two differing facts in 4 billion look alike
        sums = np.array([_checksum(value) for value in facts.values()], np.uint32)
        everyone = np.asarray(multihost_utils.process_allgather(sums))
        for place, name in enumerate(facts):
            odd = np.flatnonzero(everyone[:, place] != everyone[0, place])
            if len(odd):
                raise DeviceError(
                    f"host {odd[0]} has another {name} than host 0; start the same command, on the same photos, on "
                    f"all {self.count} hosts (or with --hosts 1 where each is to train alone)"
                )

    def check_devices(self) -> None:
        """Make sure that JAX, which has started, has found all hosts, each with as many devices.

        Raises:
            DeviceError: it has not.
        """
        if self.count == 1:
            return
        import jax

        found = [sum(one.process_index == host for one in jax.devices()) for host in range(jax.process_count())]
        if len(found) != self.count or len(set(found)) > 1:
            raise DeviceError(
                f"{self.count} hosts with equally many devices were expected, and JAX found "
                f"{len(found)}, with {', '.join(map(str, found))}; start the same command on equal machines"
            )

    def device_numbers(self, count: int) -> list[int]:
        """Return the backend's numbers of the first `count` devices of each host, host by host."""
        if self.count == 1:
            return list(range(count))
        import jax

        of_host = [[one.id for one in jax.devices() if one.process_index == host] for host in range(self.count)]
        return [number for numbers in of_host for number in sorted(numbers)[:count]]

    def leave(self) -> None:
        """Wait until all hosts have come to this point, however long host 0 takes, and part."""
        if self.count > 1:
            import jax

            jax.distributed.shutdown()

    @contextmanager
    def losses_noticed(self) -> Iterator[None]:
        """Turn what a framework raises when another host is gone into an error that says so.

        After any error the process ends without a farewell, for which JAX would wait, as the others do for this one.
        """
        try:
            yield
        except BaseException as error:
            if self.count == 1:
                raise
            atexit.register(_end_at_once)
            text = f"{type(error).__name__}: {error}".lower()
            is_ours = isinstance(error, FireweedError) or not isinstance(error, Exception)
            if not is_ours and any(sign in text for sign in SIGNS_OF_LOSS):
                raise HostLostError(LOST) from error
            raise


ALONE = Hosts()


def join(call: HostCall | None, choice: DeviceChoice) -> Hosts:
    """Join the other hosts, before JAX starts; return which of them this process is.

    Raises:
        DeviceError: another backend is used, JAX has started, or the coordinator cannot be reached.
    """
    if call is None:
        return ALONE
    if choice.backend != "jax":
        raise DeviceError(
            f"{call.by} says that several hosts train together, which only JAX can, and {choice.backend} is used; "
            "add --backend jax, or --hosts 1 to train on this one alone"
        )
    if call.coordinator is not None:
        _check_coordinator(call.coordinator, is_first=call.index == 0)
    jax = import_framework("jax")
    if "shutdown_timeout_seconds" not in inspect.signature(jax.distributed.initialize).parameters:
        raise DeviceError(f"JAX {jax.__version__} is too old for several hosts; pip install -U 'jax>=0.8'")
    if choice.kind == "cpu":
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if hasattr(jax.config, "jax_enable_preemption_service"):
        jax.config.update("jax_enable_preemption_service", False)  # it would keep SIGTERM from ending the process
    try:
        jax.distributed.initialize(
            call.coordinator, call.count, call.index,
            initialization_timeout=JOIN_SECONDS, heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=FINISHING_SECONDS,
        )  # fmt: skip
    except Exception as error:  # what finds out about a cluster asks servers, files and packages
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        has_started = "before any JAX calls" in reason
        remedy = (
            "start Python again (restart the notebook's kernel) and call fireweed first" if has_started
            else "give --coordinator HOST:PORT, --hosts N and --host I on every host"
        )  # fmt: skip
        raise DeviceError(f"the hosts cannot be joined: {reason}; {remedy}") from error
    return Hosts(*joined())


def _check_coordinator(coordinator: str, is_first: bool) -> None:
    """Find out what JAX would end the process for: that host 0 cannot be reached, or cannot take the port.

    Raises:
        DeviceError: so it is.
    """
    name, _, port = coordinator.rpartition(":")
    name = name.strip("[]")
    if is_first:
        try:
            socket.create_server(("", int(port))).close()
        except OSError as error:
            raise DeviceError(
                f"port {port} of --coordinator cannot be taken ({error.strerror}); give another"
            ) from error
        return
    end = time.monotonic() + JOIN_SECONDS
    while True:
        try:
            socket.create_connection((name, int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise DeviceError(
                    f"the coordinator {coordinator} could not be reached in {JOIN_SECONDS} s ({error}); is host 0 "
                    "started, with the same --coordinator, and does no firewall lie between?"
                ) from error
        time.sleep(0.2)


def _from_first(array: np.ndarray) -> np.ndarray:
    """Return host 0's array; those of the others have the same shape."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(array))


def _from_all(data: bytes) -> list[bytes]:
    """Return the bytes of every host, sent in pieces so that devices hold little of them at a time."""
    from jax.experimental import multihost_utils

    sizes = np.asarray(
        multihost_utils.process_allgather(np.frombuffer(len(data).to_bytes(8, "little"), np.uint32))
    ).copy().view(np.uint64)[:, 0]  # fmt: skip
    piece = min(PIECE_BYTES, -(-int(sizes.max()) // 4) * 4)
    everyone = [bytearray() for _ in sizes]
    for start in range(0, int(sizes.max()), piece):
        words = np.zeros(piece // 4, np.uint32)
        mine = np.frombuffer(data[start : start + piece], np.uint8)
        words.view(np.uint8)[: len(mine)] = mine
        for host, found in enumerate(np.asarray(multihost_utils.process_allgather(words))):
            everyone[host] += found.tobytes()
    return [bytes(one[: int(size)]) for one, size in zip(everyone, sizes, strict=True)]


def _end_at_once() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode())
