"""A signal to any of several hosts stops the training after a checkpoint: host 0, which writes it, gets to know."""

import contextlib
import time

from fireweed.devices.coordination import leave_word, words_left
from fireweed.devices.hosts import Hosts
from fireweed.stopping import Stops

ASKED = "fireweed/asked-to-stop"
SECONDS_BETWEEN_LOOKS = 1.0  # of host 0 at what the others were asked; a look is a call within its own process


class SharedStops:
    """Says whether this host is to save and stop.

    Clusters signal all hosts at once, but these are not at the same line of the same step. Were each to end after its
    own step, host 0 could stand in one that another host never makes, and save nothing. So only host 0 ends by itself.
    The others leave it word and go on making steps; when it is gone they end, as they do when any host is.
    """

    def __init__(self, hosts: Hosts, stops: Stops) -> None:
        self._hosts = hosts
        self._stops = stops
        self._looked_at = float("-inf")
        self._has_told = False

    def is_due(self) -> bool:
        """Return whether this host is to save, where it is the one that does, and then to carry out the stop."""
        if self._hosts.is_first:
            if self._hosts.count > 1 and self._stops.number is None:
                self._look()
            return self._stops.number is not None
        if self._stops.number is not None and not self._has_told:
            self._has_told = True
            with contextlib.suppress(RuntimeError):  # host 0 is gone already, which ends this one too
                leave_word(f"{ASKED}/{self._hosts.index}", str(int(self._stops.number)))
        return False

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at >= SECONDS_BETWEEN_LOOKS:
            self._looked_at = now
            asked = words_left(ASKED)
            self._stops.number = int(asked[0]) if asked else None
