"""Features of photos in a file, block by block, each with its checksum: what is missing or damaged is known.

A block is that of one batch: a CRC-32 and numbers. Each is written in its place when it is there, and nothing
needs to be synced or renamed: a block that was never written, was cut off or spoilt has another checksum, and only that
one is made anew. Features stay in the precision they come in, so that the head learns what it would in a net run whole.
"""

import os
import zlib
from pathlib import Path

import ml_dtypes
import numpy as np

from fireweed.files import explained


class FeatureFile:
    """A file of the features of some photos, in an order that its user knows.

    Args:
        path: the file, made or made anew if there is none of this size.
        kind: all that the features depend on, in words; those of another kind count as missing.
        photos: how many rows there are.
        batch: rows of a block; the last one is filled up.
        shape: of a row: (channels,), or (height, width, channels).
        dtype: that of a net that computes the features: "float32", "bfloat16" or "float16".

    Raises:
        FireweedError: the file cannot be written.
    """

    def __init__(
        self, path: Path, kind: str, photos: int, batch: int, shape: tuple[int, ...], dtype: str = "float32"
    ) -> None:
        self.path, self.photos, self.batch, self.shape = path, photos, batch, shape
        self.blocks = -(-photos // batch)
        self._dtype = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
        raw = f"<u{self._dtype.itemsize}"  # numpy has no bfloat16 of its own to be mapped from a file
        self._block = np.dtype([("crc", "<u4"), ("rows", raw, (batch, *shape))])
        self._kind = zlib.crc32(kind.encode())
        try:
            with open(path, "ab") as file:
                size = self.blocks * self._block.itemsize
                if os.fstat(file.fileno()).st_size != size:
                    file.truncate(0)
                    file.truncate(size)
        except OSError as error:
            raise explained(error, path) from error

    @property
    def block_bytes(self) -> int:
        """Bytes of one block on disk."""
        return self._block.itemsize

    def missing(self) -> list[int]:
        """Return the blocks that are not there or are not what was written."""
        size = self._block.itemsize
        with open(self.path, "rb") as file:
            return [number for number in range(self.blocks) if not self._is_sound(number, file.read(size))]

    def write(self, number: int, rows: np.ndarray) -> None:
        """Write a block, float32 (batch, *shape).

        Raises:
            FireweedError: the disk is full, or cannot be written.
        """
        data = np.ascontiguousarray(rows, self._dtype).tobytes()
        try:
            with open(self.path, "rb+") as file:
                file.seek(number * self._block.itemsize)
                file.write(self._crc(number, data).to_bytes(4, "little") + data)
        except OSError as error:
            raise explained(error, self.path) from error

    def read(self, places: np.ndarray) -> np.ndarray:
        """Return the rows at `places`, float32 (places, *shape); all blocks have been written.

        The file is mapped anew each time, in a tenth of a millisecond: a training may have more of them than a process
        may hold open.
        """
        mapped = np.memmap(self.path, self._block, "r", shape=(self.blocks,))
        rows: np.ndarray = mapped["rows"][places // self.batch, places % self.batch]
        return np.ascontiguousarray(rows).view(self._dtype).astype(np.float32)

    def _crc(self, number: int, data: bytes) -> int:
        return zlib.crc32(data, self._kind ^ number)

    def _is_sound(self, number: int, block: bytes) -> bool:
        return int.from_bytes(block[:4], "little") == self._crc(number, block[4:])
