"""Files written whole or not at all, hashes of files, and where Fireweed keeps what can be made again."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from fireweed.errors import FireweedError


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, sync it and rename it to `path`.

    A reader sees the old file or the new one, never half of one, even when the machine loses power. When the
    block fails the temporary file is removed and `path` is as it was. The temporary name keeps the suffix, since
    writers such as Keras choose the format by it, and begins with a dot.

    Raises:
        FireweedError: the disk is full or the folder cannot be written; says how much room there is.
    """
    aside = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield aside
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise explained(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # the disk may be broken altogether; the next start removes scraps
            aside.unlink(missing_ok=True)


def remove_scraps(folder: Path) -> None:
    """Remove the temporary files that a killed process left in `folder`."""
    for path in folder.glob(".????????.*"):
        if re.fullmatch(r"\.[0-9a-f]{8}\..+", path.name):
            path.unlink(missing_ok=True)


@contextmanager
def held_alone(path: Path) -> Iterator[bool]:
    """Hold a lock on the file `path`, made if need be; give False at once when another process holds it.

    The system lets go of it when the process ends, however it ends.

    Raises:
        FireweedError: the file cannot be made.
    """
    try:
        opened = open(path, "ab")  # noqa: SIM115 - closed below
    except OSError as error:
        raise explained(error, path) from error
    with opened as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                yield True  # a file system without locks
            else:
                yield False
            return
        yield True


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_bytes(data)


def explained(error: OSError, path: Path) -> FireweedError:
    """Say in one line what the operating system's error on `path` means for the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
        return FireweedError(
            f"disk full: {path} could not be written, {_free_bytes(path):,} bytes are free; make room and start again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FireweedError(f"no permission to write {path}; choose another folder or change its rights")
    return FireweedError(f"{path} could not be written: {error.strerror or error}")


def disk_full(error: Exception, path: Path) -> FireweedError | None:
    """Return what to tell the user when a framework's error means a full disk at `path`, else None."""
    if os.strerror(errno.ENOSPC) in str(error):
        return explained(OSError(errno.ENOSPC, ""), path)
    return None


def absolute(path: str | Path) -> Path:
    """Return a path that holds from any folder; ~ is the home folder."""
    return Path(path).expanduser().absolute()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def cache_folder(*parts: str) -> Path:
    """Return a folder, made if need be, for what can be made again (downloads, unpacked archives, drawn photos).

    It is FIREWEED_CACHE if set, else the user's cache folder, else, where that cannot be written, a temporary one.
    """
    asked = os.environ.get("FIREWEED_CACHE")
    top = Path(asked) if asked else Path(platformdirs.user_cache_dir("fireweed", appauthor=False))
    folder = top.joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if asked:
            raise explained(error, folder) from error
        folder = _temporary_cache().joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _temporary_cache() -> Path:
    """Return this user's own folder among the temporary ones; a new one where its name is taken by somebody else.

    What lies there is believed, compiled programs too, so that no other user may have made it or write to it.
    """
    if not hasattr(os, "getuid"):
        folder = Path(tempfile.gettempdir(), "fireweed-cache")
        folder.mkdir(exist_ok=True)
        return folder
    folder = Path(tempfile.gettempdir(), f"fireweed-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
    return folder if is_ours else Path(tempfile.mkdtemp(prefix="fireweed-"))


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _free_bytes(path: Path) -> int:
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows has no way to sync a folder; the rename itself is journalled there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
