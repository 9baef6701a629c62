"""Photos in TFRecord shards, here or in a bucket: index them once, then read any photo's bytes, file or record."""

import functools
import glob
import hashlib
import os
import re
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireweed.data.buckets import BucketReader, explained, is_remote, matching, read_if_there
from fireweed.data.catalog import Catalog, Photo, in_natural_order
from fireweed.data.framing import FOOT_BYTES, HEAD_BYTES, longest_record, why_lost
from fireweed.data.manifest import MANIFEST, MAX_MANIFEST_BYTES, ListedShard, listed_shards
from fireweed.data.names import MAX_CLASSES, check_distinct, class_name, quoted, shown
from fireweed.devices.backends import tensorflow
from fireweed.devices.hosts import ALONE, Hosts
from fireweed.errors import DataError, PhotoError
from fireweed.files import sha256_of

Progress = Callable[[int, int], None]

MAX_PHOTO_BYTES = 256 << 20
_BATCH_BYTES = 16 << 20
_RECORDS_AT_ONCE = 64
_SHARDS_AT_ONCE = 8
# NAME00-230.tfrec holds 230 records. Dates (2024-01-05) and Apache's 00000-of-00010 are no counts.
_COUNT_IN_NAME = re.compile(r"(?<![-\d])\d+-(\d+)\.tfrec$")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BUCKETS = BucketReader()


@dataclass(frozen=True)
class _Record:
    offset: int
    length: int
    key: str
    label: str


def index_shards(pattern: str, progress: Progress | None = None, hosts: Hosts = ALONE) -> Catalog:
    """Make a catalog of the records of all shards that match a pattern, local or gs://, reading each shard once.

    Records are tf.train.Example with the codelab's features; all but `image` may be missing. The text in `label` is the
    class, else the number in `class`, else the place of the one in `one_hot_class`. The key is our feature `key`, which
    holds that of the photo the record was made of, else the SHA-256 of the image bytes. Parts are those that our
    manifest beside the shards gives; without one they stay empty, for the split by content to decide, since how the
    makers of other shards dealt photos, and twins, to files is not known. TensorFlow checks each record's checksum.

    Args:
        pattern: a path with * ? [] or the path of one shard.
        progress: told shards, not photos.
        hosts: of several, each reads its share of the shards and tells the others what is in them.

    Raises:
        DeviceError: the hosts see other shards.
        DataError: no shard matches; a shard is cut off, corrupt, compressed, not of photos, or not what its name or
            the manifest says; a bucket cannot be read.
    """
    paths = _matching(pattern)
    listed, notes = _listed(paths)
    hosts.require_alike({"set of shards": "\n".join(map(_file_name, paths))})
    found = _read_by_all(paths, listed, progress, hosts)
    classes = in_natural_order({record.label for records in found.values() for record in records})
    check_distinct(classes, pattern)
    label_of = {name: label for label, name in enumerate(classes)}
    photos = []
    for path, records in found.items():
        part = listed[path].part if path in listed else ""
        for number, record in enumerate(records):
            name = f"{_file_name(path)}#{number}"
            photos.append(Photo(path, label_of[record.label], record.key, part, record.offset, record.length, name))
    if not photos:
        raise DataError(f"no shard that matches '{pattern}' holds a record ({len(paths)} found, all empty)")
    return Catalog(classes, tuple(photos), pattern, notes)


def read_bytes(photo: Photo) -> bytes:
    """Return the encoded image bytes of a photo: its file's, or those in the feature `image` of its record.

    Raises:
        PhotoError: the file cannot be opened, or is larger than 256 MB.
        DataError: the shard is gone, or is not what it was when it was indexed.
    """
    if photo.offset < 0:
        return _read_file(photo.path)
    size = HEAD_BYTES + photo.length
    try:
        record = (_BUCKETS.read if is_remote(photo.path) else _read_local)(photo.path, photo.offset, size)
    except OSError as error:
        raise DataError(f"shard {photo.path} cannot be read any more: {error.strerror or error}") from error
    whole = len(record) == size and int.from_bytes(record[:8], "little") == photo.length
    features = _features(record[HEAD_BYTES:]) if whole else None
    image = b"" if features is None else _bytes(features, "image")
    if not image:
        raise DataError(f"shard {photo.path} has changed since it was indexed; start again")
    return image


def _matching(pattern: str) -> list[str]:
    if is_remote(pattern):
        found = matching(pattern)
    elif Path(pattern).is_file():
        found = [pattern]
    else:
        found = [path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()]  # noqa: PTH207 - absolute too
    if not found:
        raise DataError(f"no shard matches '{pattern}'; give the pattern of the files, such as 'folder/*.tfrec'")
    return list(in_natural_order(found))


def _read_by_all(
    paths: list[str], listed: dict[str, ListedShard], progress: Progress | None, hosts: Hosts
) -> dict[str, list[_Record]]:
    """Return the records of each shard, of which this host has read every so manieth."""
    if hosts.count == 1:
        return _read_shards(paths, listed, progress)

    def read() -> list[list[tuple[int, int, str, str]]]:
        found = _read_shards(paths[hosts.index :: hosts.count], listed, progress)
        return [[(one.offset, one.length, one.key, one.label) for one in records] for records in found.values()]

    shares = hosts.gather(read)
    return {
        path: [_Record(*row) for row in shares[number % hosts.count][number // hosts.count]]
        for number, path in enumerate(paths)
    }


def _read_shards(
    paths: list[str], listed: dict[str, ListedShard], progress: Progress | None
) -> dict[str, list[_Record]]:
    """Read the shards, several at a time; return the records of each, by path in the order of the paths."""
    found: dict[str, list[_Record]] = {}
    stop = threading.Event()
    with ThreadPoolExecutor(_SHARDS_AT_ONCE) as pool:
        try:
            for path, records in zip(
                paths, pool.map(lambda p: _read_shard(p, listed.get(p), stop), paths), strict=True
            ):
                found[path] = records
                if progress:
                    progress(len(found), len(paths))
        except BaseException:  # Ctrl-C among them: the shards under way may have gigabytes to go
            stop.set()
            raise
    return found


def _read_shard(path: str, listed: ListedShard | None, stop: threading.Event) -> list[_Record]:
    tf = tensorflow()

    records: list[_Record] = []
    offset = 0
    at_once = (
        _RECORDS_AT_ONCE if is_remote(path) else max(1, min(_RECORDS_AT_ONCE, _BATCH_BYTES // longest_record(path)))
    )
    try:
        for payloads in tf.data.TFRecordDataset(path).batch(at_once).as_numpy_iterator():
            if stop.is_set():
                return []
            for payload in payloads:
                records.append(_record(path, len(records), offset, payload))
                offset += HEAD_BYTES + len(payload) + FOOT_BYTES
    except tf.errors.DataLossError as error:
        raise DataError(why_lost(path, error)) from error
    except tf.errors.OpError as error:
        raise explained(error, path) from error
    _check_count(path, records, listed)
    return records


def _check_count(path: str, records: list[_Record], listed: ListedShard | None) -> None:
    """Refuse a shard that is not what its name or the manifest says."""
    in_name = _COUNT_IN_NAME.search(path)
    if in_name and int(in_name[1]) != len(records):
        raise DataError(
            f"{path} holds {len(records):,} records and its name says {int(in_name[1]):,}: it is cut off or was "
            "renamed; copy it again or mend its name"
        )
    if listed and listed.records != len(records):
        raise DataError(
            f"{path} holds {len(records):,} records and the {MANIFEST} beside it says {listed.records:,}; "
            "copy both again"
        )
    held = Counter(record.label for record in records)
    if listed and listed.counts and held != Counter(listed.counts):
        name = max(held.keys() | listed.counts.keys(), key=lambda name: abs(held[name] - listed.counts.get(name, 0)))
        raise DataError(
            f"{path} holds {held[name]:,} records of {quoted(name)} and the {MANIFEST} beside it says "
            f"{listed.counts.get(name, 0):,}; copy both again"
        )
    if listed and listed.sha256 and not is_remote(path) and sha256_of(Path(path)) != listed.sha256:
        raise DataError(f"{path} is not the file that the {MANIFEST} beside it names (SHA-256); copy both again")


def _record(path: str, number: int, offset: int, payload: bytes) -> _Record:
    features = _features(payload)
    if features is None:
        raise DataError(f"record {number} of {path} is no tf.train.Example; give shards of photos")
    image = _bytes(features, "image")
    if not image:
        held = ", ".join(shown(name[:40]) for name in sorted(features)[:10]) or "nothing"
        raise DataError(f"record {number} of {path} has no feature 'image' with the bytes of a photo; it holds: {held}")
    try:
        label = _label(features)
    except DataError as error:
        raise DataError(f"record {number} of {path}: {error}") from error
    if not label:
        raise DataError(f"record {number} of {path} has neither 'label' nor 'class'; nothing says what is on the photo")
    key = _bytes(features, "key").decode("ascii", "replace")
    if not _SHA256.fullmatch(key):
        key = hashlib.sha256(image).hexdigest()
    return _Record(offset, len(payload), key, label)


def _label(features: Any) -> str:
    """Return the name of a record's class, or "" if it has none."""
    for name in ("label", "class"):
        text = _bytes(features, name).decode("utf-8", "backslashreplace").strip()
        if text:
            return class_name(text)
        if name in features and features[name].int64_list.value:
            return str(features[name].int64_list.value[0])
    one_hot = features["one_hot_class"].float_list.value if "one_hot_class" in features else []
    if len(one_hot) > MAX_CLASSES:
        raise DataError(f"'one_hot_class' has {len(one_hot):,} places, at most {MAX_CLASSES:,} classes are told apart")
    one_hot = list(one_hot)
    return str(one_hot.index(max(one_hot))) if one_hot else ""


def _bytes(features: Any, name: str) -> bytes:
    value = features[name].bytes_list.value if name in features else ()
    return value[0] if value else b""


def _features(payload: bytes) -> Any | None:
    """Return the map of names to tf.train.Feature in a serialized tf.train.Example; None if it is none."""
    example, error = _protobuf()
    try:
        return example.FromString(payload).features.feature
    except error:
        return None


@functools.cache
def _protobuf() -> tuple[Any, type[Exception]]:
    """Return tf.train.Example and what it raises; looking them up takes longer than reading a record."""
    tf = tensorflow()
    from google.protobuf.message import DecodeError

    return tf.train.Example, DecodeError


def _listed(paths: list[str]) -> tuple[dict[str, ListedShard], tuple[str, ...]]:
    """Return what the manifests beside the shards say of them, by path, and notes on shards that were not asked for."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(path[: -len(_file_name(path))], []).append(path)
    listed: dict[str, ListedShard] = {}
    notes = []
    for folder, here in folders.items():
        text = read_if_there(folder + MANIFEST, MAX_MANIFEST_BYTES)
        entries = {} if text is None else listed_shards(text, folder + MANIFEST)
        known = {path: entries[_file_name(path)] for path in here if _file_name(path) in entries}
        listed |= known
        absent = len(entries) - len(known)
        if absent:
            notes.append(f"{absent} of the {len(entries)} shards in {folder}{MANIFEST} are not among those read")
    return listed, tuple(notes)


def _file_name(path: str) -> str:
    return re.split(r"[/\\]" if not is_remote(path) else "/", path)[-1]


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_PHOTO_BYTES:
                raise PhotoError("larger than 256 MB; scale the photo down")
            return file.read()
    except OSError as error:
        raise PhotoError(f"cannot be opened: {error.strerror or error}") from error


def _read_local(path: str, offset: int, size: int) -> bytes:
    # Opening takes some microseconds, far less than decoding, and spares a table of open files. A file object would ask
    # the system for more, each time giving away Python's lock.
    if hasattr(os, "pread"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return os.pread(descriptor, size, offset)
        finally:
            os.close(descriptor)
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        return file.read(size)
