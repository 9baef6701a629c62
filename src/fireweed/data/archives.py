"""Unpack zip and tar archives of photos into one folder: whole or not at all, confined to it, within limits."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from fireweed.data.archive_entries import CHUNK_BYTES, Entry, EntryError, kind_of_archive, tar_entries, zip_entries
from fireweed.data.names import alike, quoted, shown
from fireweed.errors import DataError, FireweedError
from fireweed.files import explained
from fireweed.zips import ListingError

Progress = Callable[[int, int], None]

_BAD_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold at most; photos hardly compress, so an archive beyond these is a trap or a mistake.

    ratio:         unpacked bytes for each byte of the archive, all entries together.
    grace_bytes:   unpacked bytes for which the ratio is not asked.
    packed_bytes:  of the archive for each entry, on average; the first 10,000 entries are free.
    name_bytes:    of an entry's whole path. depth: folders in it, the file's own name too.
    """

    members: int = 4_000_000
    folders: int = 100_000
    member_bytes: int = 2 << 30
    total_bytes: int = 1 << 40
    ratio: int = 100
    grace_bytes: int = 64 << 20
    packed_bytes: int = 100
    grace_members: int = 10_000
    name_bytes: int = 1_000
    depth: int = 32


def unpack(archive: Path, into: Path, limits: Limits = Limits(), progress: Progress | None = None) -> Path:
    """Unpack a zip or tar (plain, gz, bz2, xz) to the new folder `into`, and return that.

    Everything is written to a folder beside `into`, which takes its name at the end, so `into` is whole or not there;
    where it is there already it is taken as it is. Only plain files and folders are made, under names that stay
    inside and that no file system takes for one another.

    Raises:
        DataError: an entry would lie outside, is a link or device, has the name of another, or breaks a limit (the
            message names it); or the archive is damaged. Nothing is left behind.
        FireweedError: the disk is full or may not be written.
    """
    if into.is_dir() and any(into.iterdir()):
        return into
    aside = into.with_name(f".{into.name[:16]}.{secrets.token_hex(4)}")
    try:
        aside.mkdir(parents=True)
        _unpack_all(archive, aside, limits, progress)
        if hasattr(os, "sync"):
            os.sync()  # one call for all files, so that a power cut cannot leave empty ones under the final name
        _rename(aside, into)
    except OSError as error:
        if error.errno is None:  # gzip and bz2 tell damage so
            raise DataError(f"archive {quoted(archive.name)} is damaged: {error}; fetch or pack it again") from error
        raise explained(error, into) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return into


def _rename(aside: Path, into: Path) -> None:
    try:
        aside.replace(into)
    except OSError:
        if not (into.is_dir() and any(into.iterdir())):  # else another process was first, with the same archive
            raise


def _unpack_all(archive: Path, top: Path, limits: Limits, progress: Progress | None) -> None:
    packed = archive.stat().st_size
    allowance = _Allowance(limits, packed)
    entries = zip_entries(archive) if kind_of_archive(archive) == "zip" else tar_entries(archive, allowance.check)
    names = _Names(limits)
    try:
        with contextlib.closing(entries):
            for entry in entries:
                allowance.admit(entry)
                _write(entry, top.joinpath(*names.place(entry.name, entry.is_folder)), allowance)
                if progress is not None:
                    progress(min(entry.packed_at, packed), packed)
    except EntryError as error:
        raise DataError(
            f"archive {quoted(archive.name)}: entry {quoted(allowance.entry)} {error}; nothing was unpacked"
        ) from error
    except ListingError as error:
        raise DataError(f"archive {quoted(archive.name)}: {error}; pack it as tar") from error
    except (OSError, FireweedError):
        raise
    except Exception as error:  # a damaged archive makes the readers raise nearly anything
        at = f"at entry {quoted(allowance.entry)}" if allowance.entry else "or holds no files"
        raise DataError(
            f"archive {quoted(archive.name)} is damaged or cut off {at} ({_in_brief(error)}); fetch or pack it again"
        ) from error


def _in_brief(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    if isinstance(error, RecursionError):
        return "headers without end"
    return shown(" ".join(str(error).split())[:120]) or type(error).__name__


def _write(entry: Entry, path: Path, allowance: "_Allowance") -> None:
    try:
        if entry.is_folder:
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with entry.open() as source, open(path, "xb") as target:
            while chunk := source.read(CHUNK_BYTES):
                allowance.spend(len(chunk))
                target.write(chunk)
    except FileExistsError as error:
        raise EntryError("has the name of another entry") from error
    except OSError as error:
        if error.errno not in _BAD_NAME:
            raise
        raise EntryError(f"cannot be written under its name ({error.strerror})") from error
    except ValueError as error:
        raise EntryError(f"cannot be written under its name ({error})") from error


class _Allowance:
    """What is left of the limits; knows the entry that is being unpacked."""

    def __init__(self, limits: Limits, packed_bytes: int) -> None:
        self.entry = ""
        self._limits = limits
        self._members = 0
        self._spent = 0
        self._most_members = min(limits.members, limits.grace_members + packed_bytes // limits.packed_bytes)
        self._most = min(limits.total_bytes, max(limits.grace_bytes, limits.ratio * packed_bytes))

    def admit(self, entry: Entry) -> None:
        self.entry = entry.name
        self._members += 1
        if self._members > self._most_members:
            raise EntryError(f"is one more than the {self._most_members:,} that an archive of this size may hold")
        if entry.fault:
            raise EntryError(entry.fault)
        if entry.size > self._limits.member_bytes:
            raise EntryError(f"says it has {entry.size:,} bytes, more than {self._limits.member_bytes:,}")
        self.check(self._spent + entry.size)

    def spend(self, count: int) -> None:
        self._spent += count
        self.check(self._spent)

    def check(self, total: int) -> None:
        if total > self._most:
            raise EntryError(f"brings the unpacked bytes above {self._most:,}, too much for an archive of this size")


class _Names:
    """The names unpacked so far, so that no two are one on a file system that ignores case or Unicode form.

    Of files only a hash is kept: there may be millions.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._folders: dict[str, str] = {}
        self._files: set[int] = set()

    def place(self, name: str, is_folder: bool) -> list[str]:
        """Return the steps from the top folder to the entry, all of them plain names."""
        if len(name) > self._limits.name_bytes or len(name.encode("utf-8", "replace")) > self._limits.name_bytes:
            raise EntryError(f"has a path of more than {self._limits.name_bytes:,} bytes")
        text = name.replace("\\", "/")  # some Windows programs pack with backslashes
        if text.startswith("/") or PureWindowsPath(name).drive:
            raise EntryError("has an absolute path")
        steps = [step for step in text.split("/") if step not in ("", ".")]
        if any(not step.strip(". ") for step in steps):  # Windows takes '.. ' and '...' for '..'
            raise EntryError("lies outside the archive's own folder, or has a name of dots and blanks")
        if len(steps) > self._limits.depth:
            raise EntryError(f"lies more than {self._limits.depth} folders deep")
        for depth in range(1, len(steps) + is_folder):
            self._note_folder("/".join(steps[:depth]))
        if not is_folder:
            self._note_file("/".join(steps))
        return steps

    def _note_folder(self, path: str) -> None:
        key = alike(path)
        if hash(key) in self._files:
            raise EntryError("is in a folder that has the name of a file")
        spelled = self._folders.setdefault(key, path)
        if spelled != path:
            raise EntryError(f"differs from {quoted(spelled)} only in case")
        if len(self._folders) > self._limits.folders:
            raise EntryError(f"is in one folder more than the {self._limits.folders:,} that are unpacked")

    def _note_file(self, path: str) -> None:
        key = alike(path)
        if not path or hash(key) in self._files or key in self._folders:
            raise EntryError("has the name of another entry, or one that differs only in case")
        self._files.add(hash(key))
