import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireweed.data.catalog import Catalog, Photo
from fireweed.data.dealing import deal, shards_per_part
from fireweed.errors import DataError


def _catalog(counts: dict[str, list[int]]) -> Catalog:
    """A catalog of so many photos of each class in each part."""
    classes = max(len(of_class) for of_class in counts.values())
    photos = [
        Photo(f"{part}/{label}/{i}", label, hashlib.sha256(f"{part} {label} {i}".encode()).hexdigest(), part)
        for part, of_class in counts.items()
        for label, count in enumerate(of_class)
        for i in range(count)
    ]
    return Catalog(tuple("abcdefghij"[:classes]), tuple(photos))


def test_training_gets_the_largest_power_of_two_within_its_share() -> None:
    assert shards_per_part({"train": 2606, "validation": 692, "test": 372}, 16) == {
        "train": 8,
        "validation": 5,
        "test": 3,
    }
    assert shards_per_part({"train": 81, "validation": 19}, 16) == {"train": 8, "validation": 8}
    assert shards_per_part({"train": 71, "validation": 19, "test": 10}, 3) == {"train": 1, "validation": 1, "test": 1}


def test_photos_that_were_not_split_get_all_the_shards() -> None:
    assert shards_per_part({"": 100}, 13) == {"": 13}
    assert shards_per_part({"train": 100}, 13) == {"train": 13}


def test_fewer_shards_than_parts_are_refused() -> None:
    with pytest.raises(DataError, match="2 shards are too few for the 3 parts"):
        shards_per_part({"train": 71, "validation": 19, "test": 10}, 2)


@given(
    st.dictionaries(st.sampled_from(["train", "validation", "test"]), st.integers(1, 300), min_size=1),
    st.integers(3, 100),
)
def test_no_shard_is_empty_and_no_more_are_made_than_asked_for(photos: dict[str, int], count: int) -> None:
    shards = shards_per_part(photos, count)
    assert sum(shards.values()) <= count
    assert all(1 <= shards[part] <= photos[part] for part in photos)
    if "train" in photos and len(photos) > 1:
        assert shards["train"].bit_count() == 1


def test_every_photo_is_dealt_once_and_shards_hold_one_part_each() -> None:
    catalog = _catalog({"train": [40, 50], "validation": [12, 9], "test": [5, 6]})
    plans = deal(catalog, 12)
    assert sorted(np.concatenate([plan.photos for plan in plans])) == list(range(len(catalog)))
    for plan in plans:
        assert {catalog.photos[i].part for i in plan.photos} == {plan.part}


def test_shards_of_a_large_training_part_are_whole_lanes() -> None:
    catalog = _catalog({"train": [900, 700, 400], "validation": [100, 100, 100]})
    keys = sorted(photo.key for photo in catalog.photos if photo.part == "train")
    plans = [plan for plan in deal(catalog, 16) if plan.part == "train"]
    assert len(plans) == 8
    for shard, plan in enumerate(plans):
        assert [catalog.photos[i].key for i in plan.photos] == keys[shard::8]
        assert plan.lanes == tuple(range(shard, 64, 8))


def test_every_shard_of_a_small_part_holds_every_class() -> None:
    catalog = _catalog({"": [8, 9, 30, 11]})
    plans = deal(catalog, 8)
    for plan in plans:
        assert {catalog.photos[i].label for i in plan.photos} == {0, 1, 2, 3}
    sizes = [len(plan.photos) for plan in plans]
    assert max(sizes) - min(sizes) <= 1


def test_a_class_too_rare_for_all_shards_lies_in_as_many_as_it_has_photos() -> None:
    catalog = _catalog({"": [40, 3]})
    held = [sum(catalog.photos[i].label == 1 for i in plan.photos) for plan in deal(catalog, 8)]
    assert sorted(held, reverse=True) == [1, 1, 1, 0, 0, 0, 0, 0]


def test_equal_photos_are_all_dealt() -> None:
    twin = Photo("a/1", 0, "f" * 64)
    catalog = Catalog(("a", "b"), (twin, twin, twin, Photo("b/1", 1, "0" * 64)))
    assert sorted(np.concatenate([plan.photos for plan in deal(catalog, 2)])) == [0, 1, 2, 3]
