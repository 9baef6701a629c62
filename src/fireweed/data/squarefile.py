"""One file of uint8 squares, found by their photos' keys: written once from end to end, then only read, and checked.

The layout: a head, the squares one after the other from byte 4096 on, then the index, a key and a CRC-32 a square.
The head's own CRC-32 covers head and index, so that a file cut off, half written or of another kind is known before
a square is read; a square's is looked at when it is first read. Nothing needs to be synced: what a power cut spoils
is noticed.
"""

import os
import secrets
import struct
import zlib
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from fireweed.files import sha256_of_bytes

SUFFIX = ".squares"
_MAGIC = b"fireweed squares 1\n\0"
_HEAD = struct.Struct("<20s32sIQI")  # magic, SHA-256 of the kind, side, squares, CRC-32 of the fields before and index
_SQUARES_AT = 4096
_ENTRY = np.dtype([("key", np.uint8, 32), ("crc", "<u4")])


class DamagedSquaresError(Exception):
    """A file of squares, or one square in it, is not what was written; the file is of no use."""


class SquareFile:
    """A finished file of squares, memory-mapped.

    Args:
        path: the file.
        kind: what all its squares have in common, as given to the writer.
        side_px: side of a square.

    Raises:
        DamagedSquaresError: the file is no sound file of squares of this kind.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, kind: str, side_px: int) -> None:
        self.path = path
        with open(path, "rb") as file:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                raise DamagedSquaresError(path)
            magic, digest, side, count, crc = _HEAD.unpack(head)
            if (magic, digest, side) != (_MAGIC, _digest(kind), side_px) or not count:
                raise DamagedSquaresError(path)
            index_at = _SQUARES_AT + count * square_bytes(side_px)
            if os.fstat(file.fileno()).st_size != index_at + count * _ENTRY.itemsize:
                raise DamagedSquaresError(path)
            file.seek(index_at)
            index = file.read()
            if zlib.crc32(index, zlib.crc32(head[:-4])) != crc:
                raise DamagedSquaresError(path)
            entries = np.frombuffer(index, _ENTRY)
            self._squares = np.memmap(file, np.uint8, "r", _SQUARES_AT, (count, side_px, side_px, 3))
        self._crcs = entries["crc"]
        self._is_checked = np.zeros(count, bool)
        keys = entries["key"].tobytes().hex()
        self.rows = {keys[64 * row : 64 * row + 64]: row for row in range(count)}

    def read(self, key: str) -> np.ndarray:
        """Return the square of a photo that is in `rows`, uint8 (side, side, 3), not to be written to.

        Raises:
            DamagedSquaresError: the square is not what was written.
        """
        row = self.rows[key]
        square: np.ndarray = self._squares[row]
        if not self._is_checked[row]:
            if zlib.crc32(square.data) != self._crcs[row]:
                raise DamagedSquaresError(self.path)
            self._is_checked[row] = True
        return square


class SquareWriter:
    """A file of squares being written, beside the name that it gets when it is finished; one thread at a time.

    Raises:
        OSError: the disk is full, or cannot be written.
    """

    def __init__(self, path: Path, kind: str, side_px: int) -> None:
        self.path = path
        self.keys: dict[str, int] = {}
        self._kind, self._side_px = kind, side_px
        self._aside = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
        self._file = FileIO(self._aside, "x")
        self._file.seek(_SQUARES_AT)

    def add(self, key: str, square: np.ndarray) -> None:
        """Write the square of the photo whose key (64 hexadecimal digits) is not in `keys` yet."""
        _write(self._file, square)
        self.keys[key] = zlib.crc32(square.data)

    def finish(self) -> None:
        """Write the index and give the file its name."""
        index = np.zeros(len(self.keys), _ENTRY)
        index["key"] = np.frombuffer(bytes.fromhex("".join(self.keys)), np.uint8).reshape(-1, 32)
        index["crc"] = list(self.keys.values())
        entries = index.tobytes()
        head = _HEAD.pack(_MAGIC, _digest(self._kind), self._side_px, len(self.keys), 0)[:-4]
        try:
            self._file.seek(_SQUARES_AT + len(self.keys) * square_bytes(self._side_px))  # before a square cut off
            _write(self._file, entries)
            self._file.truncate()
            self._file.seek(0)
            _write(self._file, head + struct.pack("<I", zlib.crc32(entries, zlib.crc32(head))))
            self._file.close()
            self._aside.replace(self.path)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Remove what was written and not finished."""
        self._file.close()
        self._aside.unlink(missing_ok=True)


def square_bytes(side_px: int) -> int:
    """Return the bytes of one square."""
    return side_px * side_px * 3


def file_bytes(squares: int, side_px: int) -> int:
    """Return the bytes of a file of so many squares."""
    return _SQUARES_AT + squares * (square_bytes(side_px) + _ENTRY.itemsize)


def _digest(kind: str) -> bytes:
    return bytes.fromhex(sha256_of_bytes(kind.encode()))


def _write(file: FileIO, data: Any) -> None:
    """Write all of `data`: an unbuffered file may take less at once, as when the disk fills up."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[file.write(rest) :]
