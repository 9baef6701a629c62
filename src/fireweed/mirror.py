"""A run in an object store, such as gs://bucket/run: worked on in a folder here, of which the store has a copy.

A store replaces objects whole, but only one at a time, and knows no rename. So files go up under names that were not
there before; the manifest, which says which object is which file, goes last, and is the only object that is replaced.
A reader sees the run as it was after one push, never half of two.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from fireweed.errors import RunError, StoreError
from fireweed.files import absolute, cache_folder, held_alone, sha256_of, sha256_of_bytes, write_bytes, write_text

MANIFEST, OBJECTS, NOTE = "manifest.json", "objects", ".mirror.json"
NOT_MIRRORED = ("features",)  # can be made again, and is gone when a run has finished
LAST_FILE = "report.html"  # that a training writes
_NAME = re.compile(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)*")


class _Object(BaseModel):
    object: str
    bytes: int
    sha256: str


class _Manifest(BaseModel):
    """What manifest.json holds: a number that grows with each push, who pushed, and the object of each file."""

    version: int = 1
    push: int = 0
    writer: str = ""
    files: dict[str, _Object] = {}

    @property
    def state(self) -> tuple[str, int]:
        return self.writer, self.push


def is_address(path: str) -> bool:
    """Say whether a path is an address in an object store rather than a folder of this machine."""
    return re.match(r"[a-z][a-z0-9+.-]+://", path) is not None


def working_folder(address: str) -> Path:
    """Return the folder of this machine in which the run at an address is worked on."""
    return cache_folder("remote-runs") / sha256_of_bytes(address.rstrip("/").encode())[:16]


def place_of(path: str | Path) -> Path:
    """Return the folder of this machine for a path of it, or for an address in an object store."""
    return working_folder(str(path)) if is_address(str(path)) else absolute(path)


@contextmanager
def mirrored(address: str) -> Iterator["Mirror"]:
    """Give the mirror of a run, its working folder as new as the store, while no other process here works on it.

    Raises:
        RunError: another process works on it, or what is there is damaged.
        StoreError: the store cannot be read.
    """
    folder = working_folder(address)
    with held_alone(folder.with_suffix(".lock")) as is_ours:
        if not is_ours:
            raise RunError(f"another process works on {address}; wait for it, or give --out another address")
        mirror = Mirror(address, folder)
        mirror.pull()
        yield mirror


class Mirror:
    """A run in an object store and its working folder here.

    Raises:
        StoreError: what reads and writes such addresses is not installed.
    """

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address.rstrip("/"), folder
        self._store, self._root = _opened(self.address)
        self._writer = secrets.token_hex(4)
        self._last = _Manifest()
        self._marks: dict[str, tuple[int, int]] = {}  # size and time of each file when it was last pushed or pulled

    def pull(self) -> None:
        """Make the working folder what the store has, unless it is newer: where the last push failed.

        Raises:
            RunError: an object is damaged or missing, or the manifest is none.
            StoreError: the store cannot be read.
        """
        self._last = self._manifest()
        if self._noted() == self._last.state:
            return
        known = self._last.files
        for name in self._names():
            if name not in known:
                (self.folder / name).unlink()
        for name in NOT_MIRRORED:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name, entry in known.items():
            path = self.folder / name
            if not (path.is_file() and path.stat().st_size == entry.bytes and sha256_of(path) == entry.sha256):
                self._fetch(name, entry)
            self._marks[name] = _mark(path)
        self._note()

    def push(self) -> bool:
        """Bring the store up to the working folder; return whether there was anything to bring.

        Raises:
            RunError: another process has written there since.
            StoreError: the store cannot be written just now.
        """
        marks = {name: _mark(self.folder / name) for name in self._names()}
        if marks == self._marks:
            return False
        before = self._manifest()
        if before.state != self._last.state:
            raise RunError(f"another process writes to {self.address}; stop one of the two, or give --out another name")
        manifest = _Manifest(push=before.push + 1, writer=self._writer)
        for name, mark in marks.items():
            is_as_before = self._marks.get(name) == mark and name in before.files
            manifest.files[name] = before.files[name] if is_as_before else self._sent(name, manifest, before)
        if manifest.files == before.files:
            self._marks = marks
            return False
        if LAST_FILE in marks:
            self._publish(manifest)
        self._write(MANIFEST, manifest.model_dump_json(indent=1).encode())
        self._last, self._marks = manifest, marks
        self._note()
        self._sweep({entry.object for one in (before, manifest) for entry in one.files.values()})
        return True

    def _sent(self, name: str, manifest: _Manifest, before: _Manifest) -> _Object:
        """Send a file under a new name, or name the object that has it already."""
        data = (self.folder / name).read_bytes()
        digest = sha256_of_bytes(data)
        if name in before.files and before.files[name].sha256 == digest:
            return before.files[name]
        place = f"{OBJECTS}/{manifest.push:06d}-{manifest.writer}/{name}"
        self._write(place, data)
        return _Object(object=place, bytes=len(data), sha256=digest)

    def _publish(self, manifest: _Manifest) -> None:
        """Lay the files at the top of a finished run where people look for them; nothing is read from there."""
        before = self._last.files if LAST_FILE in self._last.files else {}
        for name, entry in manifest.files.items():
            if "/" not in name and before.get(name) != entry:
                self._write(name, (self.folder / name).read_bytes())

    def _fetch(self, name: str, entry: _Object) -> None:
        data = self._read(entry.object)
        if data is None or sha256_of_bytes(data) != entry.sha256:
            what = "missing" if data is None else "damaged"
            raise RunError(f"{self.address}/{entry.object} ({name}) is {what}; give --out another address")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)

    def _manifest(self) -> _Manifest:
        """Return what the store says it has; an empty one where no run has begun."""
        data = self._read(MANIFEST)
        if data is None:
            return _Manifest()
        try:
            manifest = _Manifest.model_validate_json(data)
        except ValidationError as error:
            raise RunError(f"{self.address}/{MANIFEST} is damaged, or that of something else") from error
        for name in [*manifest.files, *(entry.object for entry in manifest.files.values())]:
            if not _NAME.fullmatch(name):
                raise RunError(f"{self.address}/{MANIFEST} holds the name {name!r}, which is no file of a run")
        return manifest

    def _names(self) -> list[str]:
        """Return the files of the working folder that are mirrored, in the order of their names."""
        paths = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        names = [path.relative_to(self.folder).as_posix() for path in paths]
        return [name for name in names if _NAME.fullmatch(name) and name.partition("/")[0] not in NOT_MIRRORED]

    def _noted(self) -> tuple[str, int]:
        """Return the state of the store that the working folder goes back to, by default that of an empty one."""
        try:
            writer, push = json.loads((self.folder / NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            return _Manifest().state
        return str(writer), int(push)

    def _note(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / NOTE, json.dumps(self._last.state))

    def _read(self, name: str) -> bytes | None:
        with _in_words(f"{self.address} cannot be read"):
            try:
                return bytes(self._store.cat_file(f"{self._root}/{name}"))
            except FileNotFoundError:
                return None

    def _write(self, name: str, data: bytes) -> None:
        with _in_words(f"{self.address} cannot be written"):
            self._store.pipe_file(f"{self._root}/{name}", data)

    def _sweep(self, kept: set[str]) -> None:
        """Remove the objects of earlier pushes, and of such as were cut off; the last two pushes' stay for readers."""
        with suppress(StoreError), _in_words(f"{self.address} cannot be tidied"):  # the next push will
            self._store.invalidate_cache()
            for path in self._store.find(f"{self._root}/{OBJECTS}"):
                name = path[path.rindex(f"{OBJECTS}/") :]
                if name not in kept:
                    self._store.rm_file(path)


def _opened(address: str) -> tuple[Any, str]:
    """Return the file system of an address and the path in it."""
    # gcsfs asks another service about each bucket first, for kinds of buckets that nothing here needs
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        import fsspec

        with _in_words(f"{address} cannot be opened"):
            store, root = fsspec.url_to_fs(address)
    except ImportError as error:
        raise StoreError(f"{address} needs packages that are not installed; pip install 'fireweed[cloud]'") from error
    return store, str(root).rstrip("/")


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Turn whatever a store's library raises into an error in one line; what it means differs from store to store."""
    try:
        yield
    except (ImportError, RunError):
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        hint = "; sign in with 'gcloud auth application-default login'" if _is_refusal(reason) else ""
        raise StoreError(f"{what}: {type(error).__name__} {reason}".rstrip() + hint) from error


def _is_refusal(reason: str) -> bool:
    return re.search(r"\b40[13]\b|[Cc]redentials|[Aa]nonymous caller|[Ff]orbidden", reason) is not None


def _mark(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
