"""How long the photos of a part take to decode on this machine, less those that an earlier run decoded already."""

import time
from collections.abc import Sequence
from contextlib import closing

from fireweed.data.catalog import Photo
from fireweed.data.decode import Fit, decode_square
from fireweed.data.parallel import processors
from fireweed.data.records import read_bytes
from fireweed.data.store import open_store
from fireweed.errors import FireweedError

SAMPLE_PHOTOS = 8


class PartDecoding:
    """The photos of a part as something to decode.

    each: seconds of one photo, with all processors at work on others too.
    """

    def __init__(self, photos: Sequence[Photo], fit: Fit, each: float) -> None:
        self.photos, self._fit, self._each = photos, fit, each
        self._seconds: dict[int, float] = {}

    def seconds(self, side: int) -> float:
        """Return how long it takes to decode the photos whose squares at `side` no earlier run has kept."""
        if side not in self._seconds:
            self._seconds[side] = self._each * number_to_decode(self.photos, side, self._fit)
        return self._seconds[side]


def seconds_to_decode(photos: Sequence[Photo], side: int, fit: Fit) -> float:
    """Return about how long one photo takes to decode, with all processors at work on others too; by a few of them."""
    sample = photos[:: max(1, len(photos) // SAMPLE_PHOTOS)][:SAMPLE_PHOTOS]
    began = time.monotonic()
    for photo in sample:
        try:
            decode_square(read_bytes(photo), side, fit)
        except (FireweedError, OSError):
            continue  # whoever needs this photo will say what is wrong
    return (time.monotonic() - began) / len(sample) / processors()


def number_to_decode(photos: Sequence[Photo], side: int, fit: Fit) -> int:
    """Return how many photos have no square of this side and fit that an earlier run has kept."""
    store = open_store()
    if store is None:
        return len(photos)
    with closing(store):
        kept = store.find(side, fit, (photo.key for photo in photos))
        return sum(photo.offset >= 0 or photo.key not in kept for photo in photos)
