"""An epoch as a table: which photos in which order, and how each is changed, planned before it runs.

Every number comes from Philox, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", 2011), keyed by seed and epoch with the position in the epoch as the counter. So any row can be made alone,
on any machine, and equals the same row of the whole epoch. Only raw bits are taken from numpy, since it promises
the same bits in every version, but not the same `Generator.permutation`.
"""

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fireweed.data.changes import DRAWS, AugmentSettings, drawn_changes, no_changes
from fireweed.errors import RecipeError

MAX_LANES = 64
MIN_PHOTOS_PER_LANE = 16
BLOCK_THRESHOLD = 250_000
BLOCK_PHOTOS = 32
BLOCKS_IN_WINDOW = 8
KEYS_AT_ONCE = 1 << 16  # turned into numbers: millions at once would take a gigabyte for a moment

_AUGMENT_STREAM = 0  # the lanes' orders are streams 1 to 64


@dataclass(frozen=True)
class Rows:
    """Steps of an epoch: all arrays of shape (steps, batch), or (steps, batch, 4) for boxes.

    A box is y0, x0, y1, x1 in fractions of the photo's sides; all zeros where there is none. The values that leave a
    photo as it is: factors and `mix` 1, `brightness` 0, `crop` (0, 0, 1, 1), the other boxes zero.

    index:       int32, position of the photo in the list the plan was made of.
    weight:      float32, 1, or 0 for the repeats that fill the last batch: what metrics count.
    loss_weight: float32, `weight` times the weights of the classes, mixed like the labels: what the loss counts.
    partner:     int32, position of the photo that is mixed in.
    mix:         float32, the photo's share of the label; the rest is the partner's.
    cutmix:      box taken from the partner; where it is zero and `mix` is below 1, the photos are blended.
    """

    index: np.ndarray
    weight: np.ndarray
    loss_weight: np.ndarray
    flip: np.ndarray
    saturation: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    crop: np.ndarray
    cutout: np.ndarray
    partner: np.ndarray
    mix: np.ndarray
    cutmix: np.ndarray

    def __len__(self) -> int:
        return len(self.index)


class Plan:
    """The order and the changes of all epochs of one training phase, as seen by one host.

    Photos are dealt to lanes by the rank of their key; position p of an epoch takes the next photo of lane p mod lanes,
    each lane in an order of its own, so every batch draws from every lane. Every photo comes once an epoch with
    weight 1. Host h carries out the positions p with p mod hosts = h of the same global table.

    Args:
        seed: any integer.
        keys: SHA-256 of each training photo, hexadecimal. Equal keys and seeds give equal tables.
        labels: class of each photo, integers.
        batch: photos a step, over all hosts together.
        augment: how photos are changed.
        weights_per_class: float of shape (classes,); None weighs all alike.
        block_threshold: with more photos than this a lane permutes blocks of 32 successive ranks, and photos within 8
            neighbouring blocks, so that shards written in rank order are read in sequence and little memory is held.

    by_rank: the photos in the order of their keys, int32 of shape (photos,).

    Raises:
        RecipeError: the hosts cannot share the batch equally.
    """

    def __init__(
        self,
        seed: int,
        keys: Sequence[str],
        labels: Sequence[int] | np.ndarray,
        batch: int,
        augment: AugmentSettings | None = None,
        weights_per_class: Sequence[float] | np.ndarray | None = None,
        hosts: int = 1,
        host: int = 0,
        block_threshold: int = BLOCK_THRESHOLD,
    ) -> None:
        if batch < 1 or batch % hosts:
            raise RecipeError(f"a batch of {batch} cannot be shared by {hosts} hosts; choose a multiple of {hosts}")
        if len(keys) == 0:
            raise RecipeError("no photos to plan an epoch of; give at least one training photo")
        self.photos, self.batch, self.hosts, self.host = len(keys), batch, hosts, host
        self.augment = augment or AugmentSettings.none()
        self.lanes = lane_count(self.photos, batch)
        self.steps = -(-self.photos // batch)
        self._seed = seed % 2**64
        words = _key_words(keys)
        self.by_rank = np.lexsort(words.T[::-1]).astype(np.int32)
        self._coins = _scrambled(np.bitwise_xor.reduce(words, axis=1) ^ np.uint64(self._seed)) & np.uint64(1)
        class_weights = None if weights_per_class is None else np.asarray(weights_per_class, np.float32)
        self._class_weights = None if class_weights is None else class_weights[np.asarray(labels)]
        self._by_blocks = self.photos > block_threshold
        # Two epochs, since the next one's first batches are prefetched while the last of this one are carried out.
        self._order = functools.lru_cache(maxsize=2)(self._plan_order)

    def rows(self, epoch: int, first_step: int = 0, last_step: int | None = None) -> Rows:
        """Make the rows of the steps from `first_step` up to, not including, `last_step` (None: the epoch's end).

        They have batch / hosts columns. A photo's row takes about 0.3 kB; plan large sets some steps at a time.
        """
        last_step = self.steps if last_step is None else min(last_step, self.steps)
        steps = np.arange(first_step, last_step, dtype=np.int64)[:, None]
        positions = steps * self.batch + np.arange(self.host, self.batch, self.hosts)
        order = self._order(epoch)
        turn, lane = np.divmod(positions, self.lanes)
        lane_photos = (self.photos - lane + self.lanes - 1) // self.lanes
        turn %= lane_photos
        turn_before = np.where(turn > 0, turn - 1, np.minimum(1, lane_photos - 1))
        index = order[turn * self.lanes + lane]
        partner = order[turn_before * self.lanes + lane]
        changes = self._changes(epoch, first_step, len(steps))
        weight = (positions < self.photos).astype(np.float32)
        loss_weight = weight * self.class_weights(index, partner, changes["mix"])
        if self.augment.flip:
            changes["flip"] = ((self._coins[index] + np.uint64(epoch)) & np.uint64(1)).astype(bool)
        return Rows(index=index, weight=weight, loss_weight=loss_weight, partner=partner, **changes)

    def class_weights(self, index: np.ndarray, partner: np.ndarray, mix: np.ndarray) -> np.ndarray:
        """Return the weights of photos' classes, float32, mixed as the labels are; all arrays of one shape."""
        if self._class_weights is None:
            return np.ones_like(mix)
        own, other = self._class_weights[index], self._class_weights[partner]
        return other + mix * (own - other)

    def of_host(self, host: int) -> "Plan":
        """Return the same table as another host sees it."""
        other = copy.copy(self)
        other.host = host
        return other

    def unmixed(self) -> "Plan":
        """Return the same plan with no photo mixed with another."""
        other = copy.copy(self)
        other.augment = replace(self.augment, mixup=0.0, cutmix=0.0)
        return other

    def own_photos(self) -> np.ndarray:
        """Return the photos that this host ever needs, partners included: int32, in the order of their rank.

        They are the photos of whole lanes, 1 / hosts of all where the number of hosts divides the lanes.
        """
        shared = int(np.gcd(self.hosts, self.lanes))
        ranks = np.arange(self.photos)
        return self.by_rank[ranks % self.lanes % shared == self.host % shared]

    def _plan_order(self, epoch: int) -> np.ndarray:
        order = np.empty(self.photos, np.int32)
        for lane in range(self.lanes):
            members = self.by_rank[lane :: self.lanes]
            order[lane :: self.lanes] = members[_shuffled(len(members), self._bits(epoch, 1 + lane), self._by_blocks)]
        return order

    def _changes(self, epoch: int, first_step: int, steps: int) -> dict[str, np.ndarray]:
        columns = slice(self.host, None, self.hosts)
        if self.augment == AugmentSettings(flip=self.augment.flip):
            return no_changes((steps, self.batch // self.hosts))
        bits = self._bits(epoch, _AUGMENT_STREAM, first_step * self.batch * DRAWS)
        draws = _fractions(bits.random_raw(steps * self.batch * DRAWS)).reshape(steps, self.batch, DRAWS)
        return drawn_changes(self.augment, np.moveaxis(draws[:, columns], -1, 0))

    def _bits(self, epoch: int, stream: int, start: int = 0) -> np.random.Philox:
        # Philox makes four numbers for each step of its counter, and `start` is a multiple of four.
        counter = np.array([start // 4, 0, stream, 0], np.uint64)
        return np.random.Philox(key=np.array([self._seed, epoch], np.uint64), counter=counter)


def evaluation_rows(photos: int, batch: int, hosts: int = 1, host: int = 0) -> Rows:
    """Plan one pass over `photos` in the order given, unchanged, each once with weight 1.

    Places left over in the last batch repeat the first photos at weight 0, so every host has equally many full steps;
    each host repeats photos that it has anyway.
    """
    if batch < 1 or batch % hosts:
        raise RecipeError(f"a batch of {batch} cannot be shared by {hosts} hosts; choose a multiple of {hosts}")
    steps = -(-photos // batch)
    positions = np.arange(steps * batch).reshape(steps, batch)[:, host::hosts]
    shared = photos - photos % hosts or max(photos, 1)
    index = np.where(positions < photos, positions, positions % shared).astype(np.int32)
    weight = (positions < photos).astype(np.float32)
    return Rows(index=index, weight=weight, loss_weight=weight, partner=index, **no_changes(index.shape))


def default_batch(photos: int, devices: int = 1) -> int:
    """Return the batch for a training set of this size: a power of two, at most a quarter of it, at least 1.

    It is 32 at most, which suits what people have on their disks, and 128 from 100,000 photos on, where an epoch has
    steps enough and accelerators are kept busier; so many for each of the devices that share it.
    """
    largest = (32 if photos < 100_000 else 128) * devices
    return 1 << (max(1, min(photos // 4, largest)).bit_length() - 1)


def lane_count(photos: int, batch: int) -> int:
    """Return the number of lanes: the largest power of two up to 64 that divides the batch and gives each 16 photos."""
    lanes = 1
    while lanes < MAX_LANES and batch % (2 * lanes) == 0 and photos // (2 * lanes) >= MIN_PHOTOS_PER_LANE:
        lanes *= 2
    return lanes


def _shuffled(count: int, bits: np.random.Philox, by_blocks: bool) -> np.ndarray:
    """Return a random order of 0 .. count-1, int64; by blocks: of the blocks, then within a few neighbouring ones."""
    if not by_blocks:
        return _permutation(count, count, bits)
    blocks = -(-count // BLOCK_PHOTOS)
    order = (_permutation(blocks, blocks, bits)[:, None] * BLOCK_PHOTOS + np.arange(BLOCK_PHOTOS)).ravel()
    order = order[order < count]
    return order[_permutation(count, BLOCKS_IN_WINDOW * BLOCK_PHOTOS, bits)]


def _permutation(count: int, within: int, bits: np.random.Philox) -> np.ndarray:
    """Return 0 .. count-1, int64, each stretch of `within` numbers in random order, the stretches in their own.

    Numbers are sorted that hold, from the highest bit down, the stretch, random bits and the place. All are distinct,
    so the result is the same whatever way of sorting a machine has; and it is faster than sorting places by them.
    """
    places = np.arange(count, dtype=np.uint64)
    place_bits = (count - 1).bit_length()
    stretch_bits = ((count - 1) // within).bit_length()
    numbers = (bits.random_raw(count) >> np.uint64(stretch_bits + place_bits) << np.uint64(place_bits)) | places
    if stretch_bits:
        numbers |= places // np.uint64(within) << np.uint64(64 - stretch_bits)
    numbers.sort()
    return (numbers & np.uint64((1 << place_bits) - 1)).astype(np.int64)


def _fractions(raw: np.ndarray) -> np.ndarray:
    """Return float64 in [0, 1) from raw 64-bit numbers: their upper 53 bits."""
    return (raw >> np.uint64(11)) * 2.0**-53


def _key_words(keys: Sequence[str]) -> np.ndarray:
    """Return the keys as numbers, uint64 of shape (keys, 4), most significant first."""
    words = np.empty((len(keys), 4), np.uint64)
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = keys[start : start + KEYS_AT_ONCE]
        data = bytes.fromhex("".join(some))
        if len(data) != 32 * len(some):
            raise ValueError("a key is a SHA-256 of 64 hexadecimal digits")
        words[start : start + len(some)] = np.frombuffer(data, ">u8").reshape(-1, 4)
    return words


def _scrambled(numbers: np.ndarray) -> np.ndarray:
    """Return numbers all of whose bits depend on all bits of the given ones: splitmix64's last step, on uint64."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))
