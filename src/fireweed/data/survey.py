"""Read and decode every photo once, before anything is learned: its key, its looks as a hash, whether it is blank."""

import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fireweed.data.catalog import Catalog, Photo, Unreadable
from fireweed.data.decode import read_photo_and_size
from fireweed.data.headers import format_of
from fireweed.data.jpegs import JpegSquares
from fireweed.data.modes import colour_mode
from fireweed.data.parallel import in_order
from fireweed.data.records import read_bytes
from fireweed.devices.hosts import ALONE, Hosts
from fireweed.errors import DataError, PhotoError

Progress = Callable[[int, int], None]

# Grey levels, standard deviation over the photo in small. Of 3,670 photos of flowers the plainest has 12; an empty
# sheet, its light falling off to one side, stays below 3.
BLANK_BELOW = 4.0
TINY_PX = 8
_HASH_PX, _FREQUENCIES = 32, 8
_PHOTOS_AT_ONCE = 16


@dataclass(frozen=True)
class Survey:
    """What one look at every photo told.

    catalog: the photos that can be read, with their keys; the others are in `catalog.unreadable`.
    hashes:  perceptual hashes, uint64 of shape (photos,): pictures that look alike differ in few bits.
    blank:   bool of shape (photos,): nearly one colour, so that the hash says nothing.
    sizes:   height and width in pixels, upright, int32 of shape (photos, 2).
    formats: what each file is, whatever it is called: JPEG, PNG ...
    modes:   how each keeps its colours, see `colour_mode`.
    damages: of the photos that can be read only in part, by position, what is wrong.
    """

    catalog: Catalog
    hashes: np.ndarray
    blank: np.ndarray
    sizes: np.ndarray
    formats: tuple[str, ...]
    modes: tuple[str, ...]
    damages: dict[int, str]


@dataclass(frozen=True, slots=True)
class _Seen:
    key: str
    bits: int
    blank: bool
    size: tuple[int, int]
    format: str
    mode: str
    damage: str


def survey(
    catalog: Catalog,
    progress: Progress | None = None,
    workers: int | None = None,
    least_classes: int = 2,
    squares: JpegSquares | None = None,
    hosts: Hosts = ALONE,
) -> Survey:
    """Read and fully decode every photo of the catalog once, in a pool of threads; leave out what cannot be read.

    A photo's key is the SHA-256 of its file; a record keeps the key that its shard gave it. Classes of which no photo
    can be read are left out, and said in a note. Few photos are in memory at any time.

    Args:
        progress: told photos.
        workers: threads; None is the number of processors.
        least_classes: with fewer classes left there is nothing to tell apart, which is an error; 0 is content with
            no photo at all.
        squares: given the square of each photo that can be read, in the order of the result's catalog, so that nobody
            need decode it again. The hashes are then of larger pictures and may differ in a bit or two.
        hosts: of several, each reads its share of the photos, which all list in the same order, and tells the others.

    Raises:
        DataError: no photo can be read, or too few classes are left.
        FireweedError: the squares find no room.
    """
    import cv2

    cv2.setNumThreads(1)  # each photo is one thread's work; OpenCV's own threads would only add to those here
    photos = catalog.photos
    looks = _looks_of_all(photos, progress, workers, squares, hosts)
    seen = [look for look in looks if isinstance(look, _Seen)]
    kept = tuple(
        dataclasses.replace(photo, key=look.key)
        for photo, look in zip(photos, looks, strict=True)
        if isinstance(look, _Seen)
    )
    unreadable = tuple(look for look in looks if isinstance(look, Unreadable))
    result = _without_lost_classes(_left_after(catalog, kept, unreadable, least_classes))
    _check_classes(result, least_classes)
    tiny = [(photo, look.size) for photo, look in zip(kept, seen, strict=True) if min(look.size) < TINY_PX]
    return Survey(
        result.noting(*_note_on_tiny(tiny)),
        np.array([look.bits for look in seen], np.uint64),
        np.array([look.blank for look in seen], bool),
        np.array([look.size for look in seen], np.int32).reshape(-1, 2),
        tuple(look.format for look in seen),
        tuple(look.mode for look in seen),
        {position: look.damage for position, look in enumerate(seen) if look.damage},
    )


def _looks_of_all(
    photos: tuple[Photo, ...], progress: Progress | None, workers: int | None, squares: JpegSquares | None, hosts: Hosts
) -> list[_Seen | Unreadable]:
    """Return what is to be seen of each photo; this host has looked at its own share of successive ones."""
    if hosts.count == 1:
        return _looks(photos, progress, workers, squares)
    first, last = (len(photos) * index // hosts.count for index in (hosts.index, hosts.index + 1))

    def look() -> list[tuple[Any, ...]]:
        return [dataclasses.astuple(one) for one in _looks(photos[first:last], progress, workers, None)]

    return [_told(row) for row in itertools.chain.from_iterable(hosts.gather(look))]


def _told(row: tuple[Any, ...]) -> _Seen | Unreadable:
    """Return what a host told of a photo, all tuples of which came as lists."""
    if len(row) == len(dataclasses.fields(Unreadable)):
        return Unreadable(*row)
    key, bits, blank, (height, width), kind, mode, damage = row
    return _Seen(key, bits, blank, (height, width), kind, mode, damage)


def _looks(
    photos: tuple[Photo, ...], progress: Progress | None, workers: int | None, squares: JpegSquares | None
) -> list[_Seen | Unreadable]:
    chunks = [photos[start : start + _PHOTOS_AT_ONCE] for start in range(0, len(photos), _PHOTOS_AT_ONCE)]
    looks: list[_Seen | Unreadable] = []
    results = in_order(functools.partial(_look_at_all, squares), chunks, workers)
    for look, square in itertools.chain.from_iterable(results):
        looks.append(look)
        if squares is not None and square is not None:
            squares.add(square)
        if progress and (len(looks) % _PHOTOS_AT_ONCE == 0 or len(looks) == len(photos)):
            progress(len(looks), len(photos))
    return looks


def perceptual_hash(rgb: np.ndarray) -> tuple[int, float]:
    """Return the 64-bit hash of a picture, and how much its grey varies: a standard deviation in levels.

    It is imagehash's `phash` but for how the picture is made small, which is seven times as fast: the signs, against
    their median, of the 8 x 8 lowest frequencies of the picture in 32 x 32 pixels (after Krawetz, "Looks like it",
    hackerfactor.com, 2011).

    Args:
        rgb: uint8 of shape (height, width, 3).
    """
    import cv2

    small = rgb
    while min(small.shape[:2]) >= 3 * _HASH_PX:
        high, wide = small.shape[0] // 2, small.shape[1] // 2
        small = cv2.resize(small[: 2 * high, : 2 * wide], (wide, high), interpolation=cv2.INTER_AREA)
    grey = cv2.resize(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (_HASH_PX, _HASH_PX), interpolation=cv2.INTER_AREA)
    waves = _waves()
    low = (waves @ grey.astype(np.float64) @ waves.T).ravel()
    below, above = np.sort(low)[low.size // 2 - 1 : low.size // 2 + 1]
    bits = np.packbits(low > (below + above) / 2)
    return int.from_bytes(bits.tobytes(), "big"), float(cv2.meanStdDev(grey)[1][0, 0])


@functools.cache
def _waves() -> np.ndarray:
    """Return the lowest cosines of the discrete cosine transform (type II), float64 of shape (8, 32)."""
    place = np.arange(_HASH_PX) + 0.5
    return 2 * np.cos(np.pi / _HASH_PX * np.arange(_FREQUENCIES)[:, None] * place)


def _look_at_all(
    squares: JpegSquares | None, photos: tuple[Photo, ...]
) -> list[tuple[_Seen | Unreadable, bytes | None]]:
    return [_look_at(photo, squares) for photo in photos]


def _look_at(photo: Photo, squares: JpegSquares | None) -> tuple[_Seen | Unreadable, bytes | None]:
    damages: list[str] = []
    try:
        data = read_bytes(photo)
        # A JPEG is decoded in small, whose pixels suffice for the hash; all its bytes are read all the same.
        rgb, size = read_photo_and_size(data, _HASH_PX if squares is None else squares.side_px, damages)
    except PhotoError as error:
        return Unreadable(photo.name or photo.path, str(error)), None
    bits, variation = perceptual_hash(rgb)
    key = photo.key if photo.offset >= 0 and photo.key else hashlib.sha256(data).hexdigest()
    square = squares.encode(rgb) if squares is not None else None
    name = format_of(data)
    mode = colour_mode(data, name)
    return _Seen(key, bits, variation < BLANK_BELOW, size, name, mode, "; ".join(damages)), square


def _left_after(
    catalog: Catalog, kept: tuple[Photo, ...], unreadable: tuple[Unreadable, ...], least_classes: int
) -> Catalog:
    all_unreadable = catalog.unreadable + unreadable
    if not kept and least_classes:
        first = all_unreadable[0] if all_unreadable else None
        why = f"; the first: {first.name}: {first.reason}" if first else ""
        raise DataError(f"none of the {len(all_unreadable):,} photos in {catalog.title} can be read{why}")
    return dataclasses.replace(catalog, photos=kept, unreadable=all_unreadable)


def _without_lost_classes(catalog: Catalog) -> Catalog:
    counts = catalog.counts()
    lost = [name for name, count in zip(catalog.classes, counts, strict=True) if not count]
    if not lost:
        return catalog
    classes = tuple(name for name in catalog.classes if name not in lost)
    label_of = {catalog.classes.index(name): label for label, name in enumerate(classes)}
    photos = tuple(dataclasses.replace(photo, label=label_of[photo.label]) for photo in catalog.photos)
    names = ", ".join(f"'{name}'" for name in lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
    note = f"no photo of {'class' if len(lost) == 1 else 'classes'} {names} can be read: left out"
    return dataclasses.replace(catalog, classes=classes, photos=photos).noting(note)


def _check_classes(catalog: Catalog, least: int) -> None:
    if len(catalog.classes) >= least:
        return
    names = ", ".join(f"'{name}'" for name in catalog.classes)
    left_out = f", {len(catalog.unreadable)} photos that cannot be read aside" if catalog.unreadable else ""
    raise DataError(
        f"{catalog.title} has only the class {names}{left_out}; at least {least} classes are needed to tell apart"
    )


def _note_on_tiny(tiny: list[tuple[Photo, tuple[int, int]]]) -> list[str]:
    if not tiny:
        return []
    photo, (height, width) = tiny[0]
    what = "1 photo is" if len(tiny) == 1 else f"{len(tiny):,} photos are"
    return [
        f"{what} below {TINY_PX} pixels a side and can teach little: {photo.name or photo.path} ({width} x {height})"
    ]
