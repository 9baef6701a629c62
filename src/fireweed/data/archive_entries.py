"""Read zip and tar archives entry by entry, in one pass, without trusting what they say."""

import bz2
import contextlib
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from fireweed.zips import open_zip

CHUNK_BYTES = 1 << 20
MAX_LISTING_BYTES = 48 << 20  # of a zip: half a million photos
MAX_HEADER_BYTES = 1 << 20  # of a tar, before one entry: its long name, its attributes
MAX_XZ_BYTES = 256 << 20  # memory of the unpacker; xz -9 asks for 65 MB
_MAGIC = ((b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"))


class EntryError(Exception):
    """An entry breaks a rule; the message is the end of a sentence that begins with the entry."""


@dataclass(frozen=True)
class Entry:
    """One entry: `fault` says why it cannot be unpacked at all; `packed_at` is how far into the archive it lies."""

    name: str
    size: int
    is_folder: bool
    fault: str
    packed_at: int
    open: Callable[[], IO[bytes]]


def kind_of_archive(path: Path) -> str:
    """Return "zip", "tar", or how a tar is compressed ("gz", "bz2", "xz") by the first bytes; "" for no archive."""
    with open(path, "rb") as file:
        start = file.read(512)
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    return "tar" if start[257:262] == b"ustar" or (path.suffix.lower() == ".tar" and start) else ""


def zip_entries(archive: Path) -> Generator[Entry, None, None]:
    """Yield the entries of a zip."""
    with open_zip(archive, MAX_LISTING_BYTES) as file:
        packed_at = 0
        for info in file.infolist():
            packed_at += info.compress_size
            name = _zip_name(info)
            is_folder = name.endswith(("/", "\\"))

            def opened(info: zipfile.ZipInfo = info) -> IO[bytes]:
                return file.open(info)

            yield Entry(name, info.file_size, is_folder, _zip_fault(info), packed_at, opened)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name, also where it is UTF-8 but not marked so, as the Mac's own packer leaves it."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    with contextlib.suppress(UnicodeError):
        return info.filename.encode("cp437").decode("utf-8")
    return info.filename


def _zip_fault(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if kind == stat.S_IFLNK else "is a device or pipe, not a file"
    if info.flag_bits & 0x1:
        return "is encrypted; pack it without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        return f"is packed by method {info.compress_type}, which is not read here; pack it as plain zip"
    return ""


def tar_entries(archive: Path, check_unpacked: Callable[[int], None]) -> Generator[Entry, None, None]:
    """Yield the entries of a tar, plain or compressed.

    `check_unpacked` is called with the bytes that the whole stream has unpacked to so far, headers and skipped entries
    included, and raises when they are too many.
    """
    openers: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": _unpacked_xz}
    with open(archive, "rb") as packed, contextlib.ExitStack() as stack:
        opener = openers.get(kind_of_archive(archive))
        plain = packed if opener is None else stack.enter_context(opener(packed))
        stream = _ForwardOnly(plain, check_unpacked)
        tar = stack.enter_context(tarfile.TarFile(fileobj=cast(IO[bytes], stream), mode="r"))
        while (member := _next(tar, stream)) is not None:

            def opened(member: tarfile.TarInfo = member) -> IO[bytes]:
                return cast(IO[bytes], tar.extractfile(member))

            yield Entry(member.name, member.size, member.isdir(), _tar_fault(member), packed.tell(), opened)
            tar.members.clear()  # type: ignore[attr-defined]  # else a million entries stay in memory
        if stream.last_read.strip(b"\0") or not stream.last_read:
            raise tarfile.ReadError("no end mark")  # tarfile itself takes a broken header for the end
        while stream.read(CHUNK_BYTES):
            pass  # the checksum of a compressed tar comes last


def _next(tar: tarfile.TarFile, stream: "_ForwardOnly") -> tarfile.TarInfo | None:
    stream.header_bytes, stream.is_in_header = 0, True
    try:
        return tar.next()
    except RecursionError as error:  # tarfile reads a header before a header by calling itself
        raise EntryError("is followed by headers without end") from error
    finally:
        stream.is_in_header = False


def _tar_fault(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "is a link"
    if member.issparse() or not (member.isreg() or member.isdir()):
        return "is a device, a pipe or a sparse file, not a plain one"
    return "" if member.size >= 0 else "has a negative size"


class _ForwardOnly:
    """An unpacked stream that only goes forward, counts its bytes, and hands out no more than a chunk at once."""

    def __init__(self, stream: IO[bytes], check_unpacked: Callable[[int], None]) -> None:
        self.last_read = b""
        self.header_bytes = 0
        self.is_in_header = True
        self._stream = stream
        self._check_unpacked = check_unpacked
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        if position < self._position:
            raise tarfile.ReadError("an entry points backwards")
        while self._position < position and self._read(min(CHUNK_BYTES, position - self._position)):
            pass
        return self._position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= CHUNK_BYTES:
            raise EntryError(f"is followed by a header of {size:,} bytes")  # tarfile would hold it in memory
        if self.is_in_header:
            self.header_bytes += size
            if self.header_bytes > MAX_HEADER_BYTES:
                raise EntryError(f"is followed by headers of more than {MAX_HEADER_BYTES:,} bytes")
        return self._read(size)

    def _read(self, size: int) -> bytes:
        self.last_read = self._stream.read(size)
        self._position += len(self.last_read)
        self._check_unpacked(self._position)
        return self.last_read


def _unpacked_xz(packed: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(_Xz(packed)))


class _Xz(io.RawIOBase):
    """The bytes of an xz file, whose unpacker may not take the gigabytes of memory that a file can ask for."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._unpacker = self._new()

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data = b""
        while not (unpacked := b"" if self._unpacker.eof else self._unpacker.decompress(data, len(target))):
            if self._unpacker.eof:
                data = (self._unpacker.unused_data or self._packed.read(CHUNK_BYTES)).lstrip(b"\0")
                if not data:
                    return 0
                self._unpacker = self._new()  # a file may be several streams, with zeros between them
            else:
                data = self._packed.read(CHUNK_BYTES) if self._unpacker.needs_input else b""
                if self._unpacker.needs_input and not data:
                    raise EOFError("the xz stream is cut off")
        target[: len(unpacked)] = unpacked
        return len(unpacked)

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_BYTES)
