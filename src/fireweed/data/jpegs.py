"""The squares of photos as JPEGs: made while the photos are surveyed, kept until it is known which shard gets which."""

import tempfile
import threading
from pathlib import Path
from typing import IO

import numpy as np

from fireweed.data.decode import Fit, to_square
from fireweed.files import explained

MEMORY_BYTES = 256 << 20  # ten thousand squares of 192 pixels


class JpegSquares:
    """JPEGs in the order they are added: in memory up to a budget, the others in a temporary file without a name.

    Args:
        side_px: side of the squares.
        fit: how a photo is made square.
        quality: of the JPEGs, 1 to 100; colours are kept at full resolution.
        folder: where the temporary file lies if one is needed.
        memory_bytes: the budget.
    """

    def __init__(self, side_px: int, fit: Fit, quality: int, folder: Path, memory_bytes: int = MEMORY_BYTES) -> None:
        self.side_px, self.fit, self.quality = side_px, fit, quality
        self._folder, self._room = folder, memory_bytes
        self._in_memory: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._ends = [0]  # in the file
        self._one_at_a_time = threading.Lock()

    def __len__(self) -> int:
        return len(self._in_memory) + len(self._ends) - 1

    def encode(self, rgb: np.ndarray) -> bytes:
        """Return the JPEG of a photo's square. rgb: uint8 of shape (height, width, 3)."""
        import simplejpeg

        square = to_square(rgb, self.side_px, self.fit)
        return simplejpeg.encode_jpeg(square, self.quality, colorspace="RGB", colorsubsampling="444", fastdct=False)

    def add(self, jpeg: bytes) -> None:
        """Keep one more.

        Raises:
            FireweedError: the disk is full, or the folder cannot be written.
        """
        if self._file is None and len(jpeg) <= self._room:
            self._room -= len(jpeg)
            self._in_memory.append(jpeg)
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - open as long as the squares
            self._file.write(jpeg)
        except OSError as error:
            raise explained(error, self._folder) from error
        self._ends.append(self._ends[-1] + len(jpeg))

    def __getitem__(self, position: int) -> bytes:
        """Return one JPEG by its place in the order; any thread may ask once all have been added."""
        if position < len(self._in_memory):
            return self._in_memory[position]
        start, end = (self._ends[position - len(self._in_memory) + i] for i in (0, 1))
        assert self._file is not None
        with self._one_at_a_time:
            self._file.seek(start)
            return self._file.read(end - start)

    def __enter__(self) -> "JpegSquares":
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of them; the file goes with its last user."""
        self._in_memory.clear()
        if self._file is not None:
            self._file.close()
