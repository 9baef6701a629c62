"""Squares kept on disk between runs, so that a second run need not decode: found by content, bounded, checked.

What the first run decodes goes into a file; later runs map it and add files of their own for photos that are new.
Files are never changed once they have their name. Which pixels a run sees does not depend on any of this.
"""

import contextlib
import functools
import math
import os
import platform
import secrets
import shutil
import threading
from collections.abc import Iterable
from importlib import metadata, resources
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import features

from fireweed.data.decode import Fit
from fireweed.data.squarefile import SUFFIX, DamagedSquaresError, SquareFile, SquareWriter, file_bytes
from fireweed.errors import FireweedError
from fireweed.files import cache_folder, held_alone, remove_scraps, sha256_of_bytes

LIMIT_VARIABLE = "FIREWEED_CACHE_GB"
DEFAULT_LIMIT_GB = 5.0
DISK_SHARE = 0.25  # of the disk's free space, what the store holds counted as free, that it takes at most


class SquareStore:
    """A folder of files of squares, of any photos, sides and fits.

    Only one process at a time writes to the folder or removes from it; others read what is there.

    Args:
        folder: where the files lie; made by the caller, and nothing else lies there.
        limit_bytes: what all files together may take. Those not used for longest go first; those used now stay.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._used: set[Path] = set()
        self._pending: dict[Path, int] = {}
        self._held = contextlib.ExitStack()
        try:
            self.may_write = limit_bytes > 0 and self._held.enter_context(held_alone(folder / ".lock"))
            if self.may_write:
                remove_scraps(folder)  # no other process writes here, so a killed one left them
        except OSError:
            self.may_write = False

    def find(self, side_px: int, fit: Fit, keys: Iterable[str]) -> "StoredSquares":
        """Return the store's view of the photos with these keys (SHA-256 of their files) at a side and fit."""
        return StoredSquares(self, side_px, fit, keys)

    def files_of(self, kind: str, side_px: int, keys: set[str]) -> list[SquareFile]:
        """Open the sound files that hold some of the keys and mark them as used; remove those that are damaged."""
        found = []
        for path in sorted(self.folder.glob(f"{_stem(kind)}-*{SUFFIX}")):
            try:
                file = SquareFile(path, kind, side_px)
                if not keys.isdisjoint(file.rows):
                    found.append(file)
                    self._used.add(path)
                    os.utime(path)
            except DamagedSquaresError:
                self.remove(path)
            except OSError:  # removed by another process, or not ours to touch
                continue
        return found

    def begin(self, kind: str, side_px: int, squares: int) -> tuple[SquareWriter, int] | None:
        """Make room and return a writer and how many of the squares it may take; None where there is no room.

        Raises:
            OSError: the folder cannot be written.
        """
        with self._lock:
            needed = file_bytes(squares, side_px)
            room = self._room(needed) if self.may_write else 0
            each = file_bytes(1, side_px) - file_bytes(0, side_px)
            squares = min(squares, (room - file_bytes(0, side_px)) // each)
            if squares < 1:
                return None
            path = self.folder / f"{_stem(kind)}-{secrets.token_hex(4)}{SUFFIX}"
            writer = SquareWriter(path, kind, side_px)
            self._pending[path] = file_bytes(squares, side_px)
            return writer, squares

    def end(self, writer: SquareWriter) -> None:
        """Finish a writer's file, and let go of the room kept for it. A file that cannot be finished is dropped."""
        with self._lock:
            self._pending.pop(writer.path, None)
            try:
                if writer.keys:
                    writer.finish()
                    self._used.add(writer.path)
                else:
                    writer.abandon()
            except OSError:
                return

    def remove(self, path: Path) -> None:
        """Remove a file, if this process is the one that may."""
        if self.may_write:
            with contextlib.suppress(OSError):  # on Windows a file that another process has mapped stays
                path.unlink()

    def close(self) -> None:
        """Let other processes write here."""
        self.may_write = False
        self._held.close()

    def most_bytes(self) -> int:
        """Return the bytes that all files together may take, on a disk as full as it is now."""
        return self._most_bytes(sum(path.stat().st_size for path in self.folder.glob(f"*{SUFFIX}")))

    def _most_bytes(self, total: int) -> int:
        return min(self.limit_bytes, int(DISK_SHARE * (shutil.disk_usage(self.folder).free + total)))

    def _room(self, needed: int) -> int:
        """Return the bytes that a new file may take, having removed the longest unused ones while that helps."""
        sizes = {path: path.stat() for path in self.folder.glob(f"*{SUFFIX}")}
        total = sum(found.st_size for found in sizes.values())
        room = self._most_bytes(total) - total - sum(self._pending.values())
        for path in sorted(sizes.keys() - self._used, key=lambda path: sizes[path].st_mtime_ns):
            if room >= needed:
                break
            self.remove(path)
            room += sizes[path].st_size if not path.exists() else 0
        return room


class StoredSquares:
    """The squares of some photos at one side and fit, as far as the store has them or has room for them."""

    def __init__(self, store: SquareStore, side_px: int, fit: Fit, keys: Iterable[str]) -> None:
        self._store, self._side_px = store, side_px
        self._kind = f"{side_px} px, {fit}, {decoder_digest()}"
        self._lock = threading.Lock()
        wanted = set(keys)
        self._file_of: dict[str, SquareFile] = {}
        for file in store.files_of(self._kind, side_px, wanted):
            self._file_of |= dict.fromkeys(wanted & file.rows.keys(), file)
        self._missing = len(wanted) - len(self._file_of)
        self._writer: SquareWriter | None = None
        self._room = 0
        self._is_full = not self._missing or not store.may_write

    def __contains__(self, key: str) -> bool:
        return key in self._file_of

    def get(self, key: str) -> np.ndarray | None:
        """Return the square of a photo, uint8 (side, side, 3), not to be written to; None where it is not there."""
        file = self._file_of.get(key)
        if file is None:
            return None
        try:
            return file.read(key)
        except DamagedSquaresError:
            self._drop(file)
            return None

    def put(self, key: str, data: bytes, square: np.ndarray) -> None:
        """Keep the square that was decoded from `data`, if there is room and the key is the SHA-256 of `data`."""
        if self._is_full or sha256_of_bytes(data) != key:  # the photo was replaced since its key was made
            return
        with self._lock:
            if self._is_full or key in self._file_of:
                return
            try:
                self._write(key, square)
            except OSError:  # what was written before the disk was full is sound
                self._end()

    def close(self) -> None:
        """Finish what was begun."""
        with self._lock:
            self._end()

    def _write(self, key: str, square: np.ndarray) -> None:
        if self._writer is None:
            begun = self._store.begin(self._kind, self._side_px, self._missing)
            if begun is None:
                self._is_full = True
                return
            self._writer, self._room = begun
        if key not in self._writer.keys:
            self._writer.add(key, square)
        if len(self._writer.keys) == self._room:
            self._end()

    def _end(self) -> None:
        self._is_full = True
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        self._store.end(writer)
        with contextlib.suppress(OSError, DamagedSquaresError):  # then these squares are decoded anew
            file = SquareFile(writer.path, self._kind, self._side_px)
            self._file_of = self._file_of | dict.fromkeys(file.rows, file)

    def _drop(self, file: SquareFile) -> None:
        """Use a damaged file no more, and keep its squares anew as they come."""
        with self._lock:
            lost = {key for key, where in self._file_of.items() if where is file}
            self._file_of = {key: where for key, where in self._file_of.items() if where is not file}
            if lost and self._writer is None and self._store.may_write:
                self._missing, self._is_full = len(lost), False
        self._store.remove(file.path)


def open_store() -> SquareStore | None:
    """Open the user's store in the cache folder; None where FIREWEED_CACHE_GB=0 turns it off.

    Raises:
        FireweedError: FIREWEED_CACHE_GB is no number of gigabytes, or FIREWEED_CACHE cannot be written.
    """
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    try:
        limit = float(text) if text else DEFAULT_LIMIT_GB
    except ValueError:
        limit = math.nan
    if not 0 <= limit < math.inf:
        raise FireweedError(f"{LIMIT_VARIABLE} is '{text}'; give gigabytes of disk for decoded photos, 0 for none")
    return SquareStore(cache_folder("squares"), int(limit * 1e9)) if limit else None


@functools.cache
def decoder_digest() -> str:
    """Return a digest of all that decides a square's pixels: our own code, and the libraries that decode and resize."""
    sources = [resources.files("fireweed.data").joinpath(name).read_bytes() for name in ("decode.py", "headers.py")]
    versions = [PIL.__version__, cv2.__version__, metadata.version("simplejpeg"), platform.machine(), *(
        str(features.version(name)) for name in ("jpg", "libjpeg_turbo", "webp"))]  # fmt: skip
    return sha256_of_bytes(b"\0".join([*sources, *(version.encode() for version in versions)]))[:16]


def _stem(kind: str) -> str:
    return sha256_of_bytes(kind.encode())[:16]
