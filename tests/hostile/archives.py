"""Archives that reach outside, hold what is no file, grow without end, or are wrecks."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from hostile.cases import Case, of_bytes

OUTSIDE = ("outside the archive's own folder", "absolute path")
NAMES = {
    "above": "../evil.jpg",
    "above, in its middle": "a/../../evil.jpg",
    "above, by Windows": "..\\evil.jpg",
    "absolute": "/tmp/evil.jpg",
    "absolute, with slashes": "//server/share/evil.jpg",
    "absolute, by Windows": "C:\\evil.jpg",
    "on another machine, by Windows": "\\\\server\\share\\evil.jpg",
    "of a drive": "C:evil.jpg",
    "of dots that Windows takes for above": "a/.. /.. /evil.jpg",
    "of three dots": "a/.../evil.jpg",
}
KINDS = {"link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "device": tarfile.CHRTYPE, "disk": tarfile.BLKTYPE,
         "pipe": tarfile.FIFOTYPE, "contiguous file": b"7", "sparse file": tarfile.GNUTYPE_SPARSE}  # fmt: skip


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        warnings.simplefilter("ignore")  # of a name that comes twice
        for name, data in entries:
            file.writestr(name, data)
    return out.getvalue()


def tarred(*entries: tuple[str | tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as file:
        for name, data in entries:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return out.getvalue()


def special(kind: bytes) -> bytes:
    member = tarfile.TarInfo("a/thing.jpg")
    member.type, member.linkname = kind, "../../outside"
    return tarred(("a/1.jpg", b"1"), (member, b""))


def unix(name: str, mode: int, data: bytes = b"../../outside") -> bytes:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return zipped(("a/1.jpg", b"1"), (info, data))


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    """Return a zip with its first entry's record in the list at the end changed."""
    at = data.index(b"PK\x01\x02") + offset
    return data[:at] + value + data[at + len(value) :]


def overlapping() -> bytes:
    """Return a zip of 200 entries that are all the same 8 MB of zeros."""
    data = zipped(("a/0.jpg", bytes(8 << 20)))
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    record = data[at:end]
    records = b"".join(record.replace(b"a/0.jpg", f"{i:03d}.jpg".encode()) for i in range(200))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 200, 200, len(records), at, 0)
    return data[:at] + records + tail


def long_list() -> bytes:
    """Return a zip that is little but a list of 1.3 million entries."""
    record = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    records = record * 1_300_000
    start = zipped(("a/1.jpg", b"1")).partition(b"PK\x01\x02")[0]
    return start + records + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, len(records), len(start), 0)


def deep_headers(count: int) -> bytes:
    """Return a tar of headers before headers."""
    member = tarfile.TarInfo("a/1.jpg")
    member.pax_headers = {"comment": "x"}
    pair = member.tobuf(tarfile.PAX_FORMAT)[:1024]
    return pair * count + tarred(("a/1.jpg", b"1"))


def many(count: int, name: Callable[[int], str] = lambda i: f"a/{i}.jpg") -> bytes:
    return gzip.compress(tarred(*((name(i), b"") for i in range(count)), form=tarfile.GNU_FORMAT), 1)


def long_name(size: int) -> bytes:
    member = tarfile.TarInfo("a/1.jpg")
    member.pax_headers = {"path": "a" * size}
    return gzip.compress(tarred((member, b"1")))


def sparse_map() -> bytes:
    member = tarfile.TarInfo("a/1.jpg")
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    return gzip.compress(tarred((member, b"9999999\n" + b"1\n" * 20_000_000)), 1)


def negative() -> bytes:
    member = tarfile.TarInfo("a/1.jpg")
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\x00"  # -256 in base 256
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def hungry_xz() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    small = lzma.compress(tarred(("a/1.jpg", b"1")), filters=filters)
    at = small.index(b"\x21\x01") + 2
    header = bytearray(small[12 : 12 + (small[12] + 1) * 4])
    header[at - 12] = 38  # a dictionary of 2 GB; source: the .xz file format, 5.3.1
    header[-4:] = struct.pack("<I", zlib.crc32(header[:-4]))
    return small[:12] + bytes(header) + small[12 + len(header) :]


def _bombs() -> list[Case]:
    zeros = bytes(100 << 20)
    tar = tarred(("a/1.jpg", b""), ("b/zeros.jpg", zeros))
    big = ("too much for an archive of this size", "more than 2,147,483,648")
    lie = patched(zipped(("a/1.jpg", bytes(99))), 24, struct.pack("<I", 0xFFFFFFF0))
    return [
        of_bytes("zip bomb", lambda: zipped(("a/1.jpg", zeros)), *big, file="x.zip"),
        of_bytes("zip of overlapping bombs", overlapping, "too much", "damaged", file="x.zip"),
        of_bytes("tar.gz bomb", lambda: gzip.compress(tar, 1), *big, file="x.tgz"),
        of_bytes("tar.bz2 bomb", lambda: bz2.compress(tar, 1), *big, file="x.tar.bz2"),
        of_bytes("tar.xz bomb", lambda: lzma.compress(tar, preset=0), *big, file="x.tar.xz"),
        of_bytes("tar.xz that asks for 2 GB of memory", hungry_xz, "emory usage limit", file="x.tar.xz"),
        of_bytes("gzip of gzip", lambda: gzip.compress(gzip.compress(tar, 1)), "damaged or cut off", file="x.tgz"),
        of_bytes("entry that says it has 4 GB", lie, *big, file="x.zip"),
        of_bytes("zip that is a list of a million entries", long_list, "its list of entries has", file="x.zip"),
        of_bytes("12,000 empty files in a small archive", lambda: many(12_000), "may hold", file="x.tgz"),
        of_bytes("path 1,000 folders deep", tarred(("a/" * 300 + "x.jpg", b"")), "folders deep", file="x.tar"),
        of_bytes("path of 900,000 letters", long_name(900_000), "path of more than", file="x.tgz"),
        of_bytes("header of 30 MB", long_name(30 << 20), "header", file="x.tgz"),
        of_bytes("headers without end", deep_headers(900), "headers without end", "headers of more", file="x.tar"),
        of_bytes("sparse map of 10 million pieces", sparse_map, "header", file="x.tgz"),
        of_bytes("negative size", negative(), "negative", "damaged", "backwards", file="x.tar"),
    ]


def _entries() -> list[Case]:
    good = ("a/1.jpg", b"1")
    pairs = {"twice": "a/1.jpg", "in another case": "A/1.JPG", "as a folder": "a/1.jpg/x.jpg"}
    named = {**NAMES, **pairs}
    cases = [
        of_bytes(f"{kind} with a path {name}", pack(good, (path, b"evil")), *OUTSIDE, "name of", "in case", file=file)
        for name, path in named.items()
        for kind, file, pack in (("zip", "x.zip", zipped), ("tar", "x.tar", tarred))
    ]
    cases += [
        of_bytes(f"tar with a {kind}", special(code), "is a link", "is a device", file="x.tar")
        for kind, code in KINDS.items()
        if kind != "contiguous file"
    ]
    cases += [
        of_bytes(f"zip with a {kind}", unix("a/x.jpg", mode | 0o644), "is a link", "is a device", file="x.zip")
        for kind, mode in {"link": stat.S_IFLNK, "pipe": stat.S_IFIFO, "device": stat.S_IFCHR}.items()
    ]
    return cases


def _wrecks() -> list[Case]:
    zip_, tar = zipped(("a/1.jpg", bytes(range(256)) * 99)), tarred(("a/1.jpg", bytes(range(256)) * 99))
    damaged = ("damaged or cut off", "is damaged", "none of what is read")
    kinds = {"x.zip": zip_, "x.tar": tar, "x.tgz": gzip.compress(tar), "x.tar.bz2": bz2.compress(tar),
             "x.tar.xz": lzma.compress(tar)}  # fmt: skip
    cases = [
        of_bytes(f"{file} cut off after {share:.0%}", data[: int(len(data) * share)], *damaged, file=file)
        for file, data in kinds.items()
        for share in (0.3, 0.6)
    ]
    encrypted = patched(zip_, 8, b"\x01\x00")
    return [
        *cases,
        of_bytes("encrypted zip", encrypted, "is encrypted", file="x.zip"),
        of_bytes("zip of an unknown method", patched(zip_, 10, b"\x63\x00"), "packed by method 99", file="x.zip"),
        of_bytes("zip by LZMA, whose memory has no bound", patched(zip_, 10, b"\x0e\x00"), "method 14", file="x.zip"),
        of_bytes("zip with changed pixels", zip_.replace(zip_[60:70], bytes(10)), *damaged, file="x.zip"),
        of_bytes("zip of nothing", b"PK\x05\x06" + bytes(18), "empty", "no photos", "damaged", file="x.zip"),
        of_bytes("tar of nothing", bytes(10_240), "empty", "no photos", "damaged", file="x.tar"),
        of_bytes("tar whose numbers are words", tar[:124] + b"manybytes!!\0" + tar[136:], *damaged, file="x.tar"),
        of_bytes("tar with a NUL in a name", long_nul(), "cannot be written under its name", file="x.tar"),
    ]


def long_nul() -> bytes:
    member = tarfile.TarInfo("a/1.jpg")
    member.pax_headers = {"path": "a/\0/1.jpg"}
    return tarred((member, b"1"))


CASES = [*_entries(), *_bombs(), *_wrecks()]


def give(given: str) -> str:
    """Give an archive to the program."""
    from fireweed.data.sources import open_data

    return f"read as {len(open_data(given, cache=Path(given).parent / 'cache'))} photos"
