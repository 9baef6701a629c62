"""Photos as squares, each decoded once where there is room: in memory, else in a file of an earlier epoch or run."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

from fireweed.data.catalog import Photo
from fireweed.data.decode import Fit, decode_square
from fireweed.data.parallel import processors
from fireweed.data.records import read_bytes
from fireweed.data.squarefile import square_bytes
from fireweed.data.store import SquareStore
from fireweed.errors import DataError, PhotoError

MEMORY_SHARE = 0.4  # of the memory free at the start that the cached squares of one part may take
CGROUP_LIMIT, CGROUP_USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


class SquareCache:
    """The photos of one part as uint8 squares, decoded when first asked for.

    Memory holds as many squares as its budget allows: those asked for first, which stay, since in a random order
    no photo is more likely to come next than another. What is beyond comes from the store, memory-mapped, and what the
    store has no room for is decoded anew each time. Only photos that are files go to the store: a record's key may be
    that of the photo it was made of, which has other pixels.

    Args:
        photos: the photos, in the order that indices count.
        side_px: side of a square.
        fit: how a photo is made square.
        memory_bytes: budget; None takes a share of what is free now.
        store: squares kept on disk between runs; None keeps none.
        own: indices of the photos that will be asked for, such as those of this one of several hosts; None: all. Others
            are given too, but no room is kept for them.

    asked: how many photos will be asked for.
    found: how many of these need no decoding, since an earlier run did it.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        side_px: int,
        fit: Fit,
        memory_bytes: int | None = None,
        store: SquareStore | None = None,
        own: np.ndarray | None = None,
    ) -> None:
        self.photos, self.side_px, self.fit = photos, side_px, fit
        budget = free_memory_bytes() * MEMORY_SHARE if memory_bytes is None else memory_bytes
        asked = photos if own is None else [photos[index] for index in own.tolist()]
        self.asked = len(asked)
        self.in_memory = min(self.asked, int(budget) // square_bytes(side_px))
        keys = [photo.key for photo in asked if _is_file(photo)]
        self._stored = None if store is None else store.find(side_px, fit, keys)
        self.found = 0 if self._stored is None else sum(key in self._stored for key in keys)
        self._squares = np.empty((self.in_memory, side_px, side_px, 3), np.uint8)
        self._row_of = np.full(len(photos), -1, np.int64)
        self._has_row: set[int] = set()  # also those whose row is just being filled
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(processors(), thread_name_prefix="decode")

    def gather(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return the squares of the photos at `indices`, each uint8 (side, side, 3), not to be written to.

        Raises:
            DataError: a photo that could be read when the run began cannot be read any more.
        """
        wanted = np.unique(indices)
        missing = wanted[self._row_of[wanted] < 0].tolist()
        fetched = self._fetch_all(missing) if missing else {}
        return [fetched[i] if i in fetched else self._squares[self._row_of[i]] for i in indices.tolist()]

    def close(self) -> None:
        """Let go of the squares, and finish the file that keeps them."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._stored is not None:
            self._stored.close()
        self._squares = np.empty((0, self.side_px, self.side_px, 3), np.uint8)

    def _fetch_all(self, missing: list[int]) -> dict[int, np.ndarray]:
        """Return the squares of some photos by their index, decoded by all workers, each of which takes one share.

        One task a photo would hand over Python's lock more often, for about a tenth of the time.
        """
        workers = processors()
        shares = [missing[first::workers] for first in range(min(workers, len(missing)))]
        fetched = self._pool.map(lambda share: [(index, self._fetch(index)) for index in share], shares)
        return {index: square for share in fetched for index, square in share}

    def _fetch(self, index: int) -> np.ndarray:
        photo = self.photos[index]
        stored = self._stored if _is_file(photo) else None
        square = None if stored is None else stored.get(photo.key)
        if square is not None and self.in_memory < self.asked:
            return square  # memory is for those that are nowhere else
        if square is None:
            row = self._row_for(index)
            data, square = self._decode(photo, None if row is None else self._squares[row])
            if row is not None:
                self._row_of[index] = row  # once it is there, since others read it from now on
            if stored is not None:
                stored.put(photo.key, data, square)
        elif (row := self._row_for(index)) is not None:
            self._squares[row] = square
            self._row_of[index] = row
        return square

    def _row_for(self, index: int) -> int | None:
        """Give a photo a row in memory; None where there is no room, or another thread is filling its row."""
        with self._lock:
            if index in self._has_row or len(self._has_row) == len(self._squares):
                return None
            self._has_row.add(index)
            return len(self._has_row) - 1

    def _decode(self, photo: Photo, out: np.ndarray | None) -> tuple[bytes, np.ndarray]:
        try:
            data = read_bytes(photo)
            return data, decode_square(data, self.side_px, self.fit, out)
        except (PhotoError, OSError, DataError) as error:
            raise DataError(
                f"{photo.name or photo.path} could be read when the run began and cannot any more: {error}"
            ) from error


def free_memory_bytes() -> int:
    """Return the memory that this process may still take: the machine's, or its container's where that is less."""
    available = psutil.virtual_memory().available
    try:
        return min(available, int(CGROUP_LIMIT.read_text()) - int(CGROUP_USED.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return available


def _is_file(photo: Photo) -> bool:
    return photo.offset < 0 and bool(photo.key)
