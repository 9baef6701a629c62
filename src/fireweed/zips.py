"""Open a zip without trusting how long a list of entries it says it has."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

_END_BYTES, _ELSEWHERE = 22, 0xFFFF


class ListingError(Exception):
    """The list of entries at a zip's end is longer than allowed; the message says by how much."""


@contextmanager
def open_zip(path: Path, most_listing_bytes: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose list of entries has so many bytes at most; each entry takes ten times as much memory.

    Raises:
        ListingError: it is longer.
        zipfile.BadZipFile: it is no zip, or a damaged one.
    """
    with open(path, "rb") as file:
        guarded = _Guarded(file, most_listing_bytes)
        with zipfile.ZipFile(cast(IO[bytes], guarded)) as archive:
            guarded.most_bytes = None
            _check_count(archive, file)
            yield archive


def _check_count(archive: zipfile.ZipFile, file: IO[bytes]) -> None:
    """Refuse a list of which a damaged length hides some entries: it has no checksum, but its end says their number.

    Source: APPNOTE.TXT, 4.3.16; the number is kept in 16 bits, and elsewhere too where it has more.
    """
    file.seek(-_END_BYTES - len(archive.comment) + 10, os.SEEK_END)
    said, found = int.from_bytes(file.read(2), "little"), len(archive.infolist())
    if said not in (_ELSEWHERE, found & 0xFFFF):
        raise zipfile.BadZipFile(f"its list has {found:,} entries, its end says {said:,}")


class _Guarded:
    """A file that hands out no more at once than `most_bytes`: zipfile reads the whole list in one piece."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        self.most_bytes: int | None = most_bytes
        self._file = file
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        if self.most_bytes is not None and size > self.most_bytes:
            raise ListingError(f"its list of entries has {size:,} bytes, at most {self.most_bytes:,} are read")
        return self._file.read(size)
