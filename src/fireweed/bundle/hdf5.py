"""Weight files from strangers: HDF5 that holds plain arrays, and nothing that leads elsewhere or grows on reading."""

import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fireweed.bundle.config import shortened
from fireweed.errors import BundleError

MAX_OBJECTS = 50_000
MAX_DEPTH = 24
MAX_BYTES = 4 << 30  # of all arrays together
MAX_EXPANSION = 100  # bytes read for each byte stored
_SMALL = 16 << 20  # arrays up to this may be stored as a fill value alone
DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError)
"""What h5py raises on reading a file with wrong bytes in it."""

_PLAIN_FILTERS = {h5py.h5z.FILTER_DEFLATE}


@dataclass(frozen=True)
class Array:
    """One array of a file: its shape and its NumPy type."""

    shape: tuple[int, ...]
    dtype: np.dtype


def plain_arrays(file: h5py.File) -> dict[str, Array]:
    """Return the arrays of an open HDF5 file by their path, after checking that it holds only plain ones.

    Nothing is read but headers. Refused are links that are not hard ones (soft, external, user-defined), an object
    reached twice, arrays kept in other files or put together from them, filters other than gzip, types other than
    plain numbers, and arrays much larger than what is stored of them.

    Raises:
        BundleError: names the object and what is wrong with it.
    """
    try:
        return _plain_arrays(file)
    except DAMAGE as error:
        raise BundleError(f"damaged HDF5 ({error})") from None


def open_hdf5(path: Path) -> h5py.File:
    """Open a HDF5 file for reading; one that h5py cannot read is called damaged."""
    try:
        return h5py.File(path, "r")
    except DAMAGE as error:
        raise BundleError(f"not a HDF5 file, or a damaged one ({error})") from None


def longest_text(path: Path) -> int:
    """Return how many bytes a text of variable length in a HDF5 file has at most.

    Thousands of places may name the same text, each to be read as a copy of it. They lie in collections: GCOL, version
    1, three zeros, the size in 8 bytes; then objects: number and references in 2 bytes each, four zeros, the size in 8
    bytes, the text up to a multiple of 8. Source: HDF5 file format, III.E, global heap.
    """
    longest, start = 0, -1
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while (start := data.find(b"GCOL\x01\0\0\0", start + 1)) >= 0:
            end = start + int.from_bytes(data[start + 8 : start + 16], "little")
            at = start + 16
            while at + 16 <= min(end, len(data)) and data[at : at + 2] != b"\0\0":
                size = int.from_bytes(data[at + 8 : at + 16], "little")
                longest = max(longest, min(size, end - start))
                at += 16 + size + -size % 8
    return longest


def _plain_arrays(file: h5py.File) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    total, most = 0, min(MAX_BYTES, MAX_EXPANSION * file.id.get_filesize() + 4 * _SMALL)
    for path, item in _objects(file):
        if isinstance(item, h5py.Group):
            continue
        if not isinstance(item, h5py.Dataset):
            raise BundleError(f"{shortened(path)} is neither a group nor an array")
        arrays[path] = _plain(path, item)
        total += math.prod(item.shape) * item.dtype.itemsize
        if total > most:
            raise BundleError(
                f"the arrays up to {shortened(path)} hold {total:,} bytes, at most {most:,} for a file of this size"
            )
    return arrays


def _objects(file: h5py.File) -> Iterator[tuple[str, Any]]:
    """Go through all objects below the top, each one once, depth first, links looked at before they are followed."""
    seen = {h5py.h5o.get_info(file.id).addr}
    waiting: list[tuple[str, Any, int]] = [("", file, 0)]
    count = 0
    while waiting:
        prefix, group, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise BundleError(f"{shortened(prefix)} is nested more than {MAX_DEPTH} groups deep")
        count += len(group)
        if count > MAX_OBJECTS:
            raise BundleError(f"more than {MAX_OBJECTS:,} objects")
        for name in group:
            path = f"{prefix}{name}"
            item = _linked(group, name, path)
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise BundleError(f"{shortened(path)} is an object that has another name too")
            seen.add(address)
            yield path, item
            if isinstance(item, h5py.Group):
                waiting.append((f"{path}/", item, depth + 1))


def _linked(group: Any, name: str | bytes, path: str) -> Any:
    if not isinstance(name, str):  # h5py gives bytes where a name is not UTF-8
        raise BundleError(f"{shortened(path)} has a name that is not UTF-8")
    if group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type != h5py.h5l.TYPE_HARD:
        raise BundleError(f"{shortened(path)} is a link to another place, not an array or group of this file")
    return group[name]


def _plain(path: str, dataset: Any) -> Array:
    where = f"array {shortened(path)}"
    made = dataset.id.get_create_plist()
    layout = made.get_layout()
    if layout not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
        raise BundleError(f"{where} is put together from other arrays or files")
    if made.get_external_count():
        other = made.get_external(0)[0].decode("utf-8", "replace")
        raise BundleError(f"{where} is kept in another file, {shortened(other)}")
    filters = {made.get_filter(i)[0] for i in range(made.get_nfilters())}
    if filters - _PLAIN_FILTERS:
        raise BundleError(f"{where} is stored with a filter other than gzip (number {min(filters - _PLAIN_FILTERS)})")
    kind = dataset.id.get_type()
    if kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT) or kind.committed():
        raise BundleError(f"{where} holds something other than plain numbers")
    if dataset.shape is None or len(dataset.shape) > 8:
        raise BundleError(f"{where} has the shape {dataset.shape}")
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if size > _SMALL and size > MAX_EXPANSION * stored:
        raise BundleError(f"{where} grows from {stored:,} stored bytes to {size:,}")
    if layout == h5py.h5d.CHUNKED and math.prod(made.get_chunk()) * dataset.dtype.itemsize > max(4 * size, _SMALL):
        raise BundleError(f"{where} is stored in chunks of {made.get_chunk()}, far larger than itself")
    return Array(dataset.shape, dataset.dtype)
