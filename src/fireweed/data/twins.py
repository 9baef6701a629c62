"""Twins: photos that are equal, or show the same picture saved, scaled or toned another way."""

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fireweed.data.catalog import Photo
from fireweed.data.decode import read_photo
from fireweed.data.records import read_bytes
from fireweed.errors import PhotoError

if TYPE_CHECKING:
    from fireweed.data.survey import Survey

# Found on 3,670 photos of flowers: of all 6.7 million pairs, 23 have a likeness of 0.77 or more, and each is one shot,
# edited; the next has 0.64 and shows two flowers. Saved again at quality 70, a photo has 0.94 of itself or more.
MOST_BITS_APART = 10
LEAST_LIKENESS = 0.75
# In small pictures, such as handwritten digits, different ones are that alike, so they must be nearly the same pixels.
SMALL_PX = 64
LEAST_LIKENESS_OF_SMALL = 0.95
MOST_DIFFERENCE_OF_SMALL = 6.0

LOOK_PX = 32
_BANDS, _BAND_BITS = 4, 16
_FLIPS = (0, *(1 << bit for bit in range(_BAND_BITS)))
_LOOKS_KEPT = 8192  # of 8 kB each
# Of so many pictures alike in the large, such as pages of one form, only those of the nearest hashes are looked at: a
# photo saved anew differs in few bits. Of 3,670 photos of flowers none has more than two so near.
MOST_LOOKED_AT = 64
_MANY_CANDIDATES = 2048  # from which on comparing all hashes at once is faster


def group_twins(survey: "Survey") -> np.ndarray:
    """Return the group of each photo, int64 of shape (photos,): the position of the group's first photo.

    Photos are taken in the order of their keys, so the groups are the same whatever the files are called. A photo joins
    the first group whose first photo it equals or nearly equals, else it begins one. It is compared with first photos
    only, so there are no chains of small differences. Blank photos, which all look alike, are twins only if equal. A
    mirrored photo is no twin. Time grows little faster than the number of photos: hashes that differ in few bits are
    found by equal or nearly equal quarters, and only the photos behind them are looked at; of very many, the nearest.
    """
    photos = survey.catalog.photos
    groups = np.arange(len(photos))
    look = functools.lru_cache(maxsize=_LOOKS_KEPT)(lambda i: _look_at(photos[i]))
    firsts = _NearHashes()
    before = -1
    for i in sorted(range(len(photos)), key=lambda i: photos[i].key):
        if before >= 0 and photos[i].key == photos[before].key:
            groups[i] = groups[before]
            continue
        before = i
        if survey.blank[i]:
            continue
        bits = int(survey.hashes[i])
        twin = next((first for first in firsts.near(bits) if _alike(look(first), look(i))), None)
        if twin is None:
            firsts.add(bits, i)
        else:
            groups[i] = twin
    return groups


class _NearHashes:
    """Photos by 64-bit hash, to be found by hashes that differ in few bits.

    Up to 7 differing bits leave at least one quarter with one bit at most, so those are all found; of those with 8 to
    10 most are.
    """

    def __init__(self) -> None:
        self._photos: list[int] = []
        self._hashes = np.empty(1024, np.uint64)  # grows; as many as photos count
        self._places: dict[int, list[int]] = {}  # by quarter, and which of the four it is

    def add(self, bits: int, photo: int) -> None:
        for quarter in _quarters(bits):
            self._places.setdefault(quarter, []).append(len(self._photos))
        if len(self._photos) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._hashes[len(self._photos)] = bits
        self._photos.append(photo)

    def near(self, bits: int) -> list[int]:
        """Return the photos whose hash is near, in the order they were added; of very many, the nearest."""
        alike = [quarter ^ flipped for quarter in _quarters(bits) for flipped in _FLIPS]
        lists = [found for place in alike if (found := self._places.get(place))]
        if sum(map(len, lists)) < _MANY_CANDIDATES:
            places = np.array(sorted(set(itertools.chain.from_iterable(lists))), np.int64)
        else:
            places = self._with_a_near_quarter(bits)
        apart = _bits_apart(self._hashes[places], bits).sum(axis=1)
        is_near = apart <= MOST_BITS_APART
        places, apart = places[is_near], apart[is_near]
        if len(places) > MOST_LOOKED_AT:
            places = np.sort(places[np.argsort(apart, kind="stable")[:MOST_LOOKED_AT]])
        return [self._photos[place] for place in places.tolist()]

    def _with_a_near_quarter(self, bits: int) -> np.ndarray:
        """Return the places that the quarters lead to, by comparing all hashes at once."""
        return np.flatnonzero((_bits_apart(self._hashes[: len(self._photos)], bits) <= 1).any(axis=1))


def _bits_apart(hashes: np.ndarray, bits: int) -> np.ndarray:
    """Return how many bits differ in each quarter, uint8 of shape (hashes, 4)."""
    return _ones()[(hashes ^ np.uint64(bits)).view(np.uint16).reshape(-1, _BANDS)]


@functools.cache
def _ones() -> np.ndarray:
    """Return how many bits are set in each number of 16 bits; numpy counts them itself from 2.0 on only."""
    return np.array([number.bit_count() for number in range(1 << _BAND_BITS)], np.uint8)


def _quarters(bits: int) -> list[int]:
    """Return the four 16-bit quarters, each with its number above it."""
    return [bits >> band * _BAND_BITS & 0xFFFF | band << _BAND_BITS for band in range(_BANDS)]


@dataclass(frozen=True, slots=True)
class _Look:
    """A photo in small.

    grey:   float32 of shape (32, 32), 0 to 255.
    detail: float32 of shape (1024,) and length 1: what stands out from its surroundings, evened out over the picture,
        so that other tones, colours and contrasts change it little.
    small:  whether the photo itself has a side below 64 pixels.
    """

    grey: np.ndarray
    detail: np.ndarray
    small: bool


def _look_at(photo: Photo) -> _Look | None:
    """Return a small picture of the photo; None if it cannot be read any more, which leaves it without twins."""
    import cv2

    try:
        rgb = read_photo(read_bytes(photo), at_least_px=2 * LOOK_PX)
    except PhotoError:
        return None
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (LOOK_PX, LOOK_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), 2)
    detail /= np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2) + 4)  # 4: below two levels it counts as noise
    detail -= detail.mean()
    detail /= np.linalg.norm(detail) + 1e-9
    return _Look(grey, detail.ravel(), min(rgb.shape[:2]) < SMALL_PX)


def _alike(one: _Look | None, other: _Look | None) -> bool:
    if one is None or other is None:
        return False
    likeness = float(one.detail @ other.detail)
    if one.small or other.small:
        difference = float(np.abs(one.grey - other.grey).mean())
        return likeness >= LEAST_LIKENESS_OF_SMALL and difference <= MOST_DIFFERENCE_OF_SMALL
    return likeness >= LEAST_LIKENESS
