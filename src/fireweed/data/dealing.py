"""Which photo goes to which shard: whole parts, whole lanes where they are large, every class everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fireweed.data.catalog import PARTS, Catalog
from fireweed.data.plan import MAX_LANES, lane_count
from fireweed.errors import DataError


@dataclass(frozen=True)
class ShardPlan:
    """One shard to be written.

    part:   the part of the split its photos are of, or "".
    photos: positions in the catalog, int64, in the order of their keys.
    lanes:  lanes of the part that these photos are of, in order.
    """

    part: str
    photos: np.ndarray
    lanes: tuple[int, ...]


def deal(catalog: Catalog, count: int) -> list[ShardPlan]:
    """Deal the photos of a split catalog to `count` shards, or to as many as there are photos, none of them empty.

    A shard holds photos of one part only. Training gets the largest power of two of shards within its share, so that
    its shards are whole lanes of the epoch's plan and each host reads only its own; the other parts get the rest.
    Within a part, photos are dealt by the rank of their key or, where a shard would miss a class that has photos for
    all of them, class by class within as many lanes as that allows.

    Raises:
        DataError: there are more parts than shards.
    """
    parts = [name for name in (*PARTS, "") if any(photo.part == name for photo in catalog.photos)]
    members = {name: np.flatnonzero([photo.part == name for photo in catalog.photos]) for name in parts}
    shards_of = shards_per_part({name: len(members[name]) for name in parts}, count)
    labels = catalog.labels()
    plans = []
    for name in parts:
        keys = [catalog.photos[i].key for i in members[name]]
        by_rank = members[name][np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)]
        shard_of = shard_of_rank(labels[by_rank], shards_of[name])
        lane_of = np.arange(len(by_rank)) % lanes_of(len(by_rank))
        for shard in range(shards_of[name]):
            own = shard_of == shard
            plans.append(ShardPlan(name, by_rank[own], tuple(np.unique(lane_of[own]).tolist())))
    return plans


def lanes_of(photos: int) -> int:
    """Return the number of lanes that a part of so many photos is dealt to at the finest; coarser ones nest in them."""
    return lane_count(photos, MAX_LANES)


def shards_per_part(photos: dict[str, int], count: int) -> dict[str, int]:
    """Return how many shards each part gets, given its number of photos; at least one, and none that would be empty.

    Raises:
        DataError: there are more parts than shards.
    """
    if count < len(photos):
        raise DataError(
            f"{count} shards are too few for the {len(photos)} parts ({', '.join(photos)}), "
            f"each of which has its own; ask for {len(photos)} or more"
        )
    count = min(count, sum(photos.values()))
    result = dict.fromkeys(photos, 1)
    others = [name for name in photos if name != "train"]
    if "train" in photos and others:
        share = min(count * photos["train"] // sum(photos.values()), count - len(others), photos["train"])
        result["train"] = 1 << max(share, 1).bit_length() - 1
    growing = others or list(photos)
    for _ in range(count - sum(result.values())):
        open_to_more = [name for name in growing if result[name] < photos[name]]
        if not open_to_more:
            break
        result[max(open_to_more, key=lambda name: photos[name] / result[name])] += 1
    return result


def shard_of_rank(labels: Sequence[int] | np.ndarray, shards: int) -> np.ndarray:
    """Return the shard of each photo of a part, int64, given the labels in the order of the photos' keys.

    Whole lanes are tried from the finest on; with one lane every class is dealt evenly, so that ends it.
    """
    labels = np.asarray(labels)
    classes = int(labels.max()) + 1
    in_all = np.bincount(labels, minlength=classes) >= shards
    rank = np.arange(len(labels))
    lanes = MAX_LANES
    while True:
        if shards % lanes == 0:
            lane = rank % lanes
            order = np.lexsort((rank, labels, lane))
            place_in_lane = np.empty(len(labels), np.int64)
            place_in_lane[order] = rank - np.searchsorted(lane[order], lane[order])
            shard = lane + lanes * (place_in_lane % (shards // lanes))
            held = np.bincount(shard * classes + labels, minlength=shards * classes).reshape(shards, classes) > 0
            if lanes == 1 or (held.any(axis=1).all() and held[:, in_all].all()):
                return shard
        lanes //= 2
