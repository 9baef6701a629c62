"""Several hosts that are threads of this process, for what they tell one another without a framework."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from fireweed.devices.hosts import Hosts
from fireweed.errors import DeviceError


@dataclass(frozen=True)
class HostInThread(Hosts):
    """One of several threads; what each tells the others goes through `told`."""

    told: list[Any] = field(default_factory=list)
    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def gather(self, work: Callable[[], Any]) -> list[Any]:
        self.told[self.index] = work()
        self.meeting.wait(60)
        everyone = list(self.told)
        self.meeting.wait(60)
        return everyone

    def settle(self, decide: Callable[[], Any]) -> Any:
        return self.gather(lambda: decide() if self.is_first else None)[0]

    def require_alike(self, facts: Any) -> None:
        for host, theirs in enumerate(everyone := self.gather(lambda: dict(facts))):
            odd = [name for name in facts if theirs[name] != everyone[0][name]]
            if odd:
                raise DeviceError(f"host {host} has another {odd[0]} than host 0")


def on_all(count: int, work: Callable[[Hosts], Any]) -> list[Any]:
    """Carry out `work` on so many hosts at once and return what it gave on each."""
    told, meeting = [None] * count, threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, [HostInThread(count, index, told, meeting) for index in range(count)]))
