"""A lock that a forked process takes anew: nobody there holds the old one, though it may be locked for ever."""

import os
from threading import Lock
from typing import Any
from weakref import WeakSet


class ForkedLock:
    """A lock for `with`; after a fork the child's is open, whoever held it in the parent."""

    def __init__(self) -> None:
        self._lock = Lock()
        _ALL.add(self)

    def begin_anew(self) -> None:
        """Open the lock, in a process where no other thread runs."""
        self._lock = Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: Any) -> None:
        self._lock.release()


_ALL: WeakSet[ForkedLock] = WeakSet()


def _begin_all_anew() -> None:
    for lock in _ALL:
        lock.begin_anew()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_begin_all_anew)
