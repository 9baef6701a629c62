import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireweed.data.catalog import Catalog, Photo
from fireweed.data.changes import AugmentSettings
from fireweed.data.plan import Plan
from fireweed.data.split import crossings, group_number, split, thinned
from fireweed.errors import RecipeError


def key_of(content: object) -> str:
    return hashlib.sha256(str(content).encode()).hexdigest()


def catalog_with(contents: list[object], labels: list[int], parts: list[str] | None = None) -> Catalog:
    classes = tuple(f"class {label}" for label in range(max(labels) + 1))
    given_parts = parts or [""] * len(contents)
    rows = zip(contents, labels, given_parts, strict=True)
    photos = [
        Photo(f"/photos/{i}.jpg", label, key_of(c), part, name=f"{i}.jpg") for i, (c, label, part) in enumerate(rows)
    ]
    return Catalog(classes, tuple(photos))


def each_alone(catalog: Catalog) -> np.ndarray:
    return np.arange(len(catalog))


def part_by_key(catalog: Catalog) -> dict[str, str]:
    return {photo.key: photo.part for photo in catalog.photos}


def keys_below(limit: float, from_limit: float, count: int) -> list[str]:
    """Contents whose group numbers lie in [from_limit, limit)."""
    found = (f"photo {i}" for i in range(10_000) if from_limit <= group_number(key_of(f"photo {i}")) < limit)
    return [next(found) for _ in range(count)]


def test_shares_are_as_asked() -> None:
    catalog = catalog_with(list(range(5000)), [0] * 5000)
    counts = [len(split(catalog, each_alone(catalog)).part(part)) for part in ("train", "validation", "test")]
    assert counts[1] / 5000 == pytest.approx(0.19, abs=0.02)
    assert counts[2] / 5000 == pytest.approx(0.10, abs=0.02)
    assert sum(counts) == 5000


def test_the_part_is_the_hash_of_the_smallest_key() -> None:
    catalog = split(catalog_with(list(range(200)), [0] * 200), np.arange(200) // 2)
    for first, second in zip(catalog.photos[::2], catalog.photos[1::2], strict=True):
        digest = hashlib.sha256(min(first.key, second.key).encode()).hexdigest()
        number = int(digest, 16) / 16**64
        assert first.part == second.part == ("validation" if number < 0.19 else "test" if number < 0.29 else "train")


def test_renaming_and_reordering_moves_nothing() -> None:
    catalog = catalog_with(list(range(100)), [i % 2 for i in range(100)])
    before = part_by_key(split(catalog, each_alone(catalog)))
    renamed = tuple(dataclasses.replace(p, path=f"/other/{99 - i}.png", name="x") for i, p in enumerate(catalog.photos))
    other = dataclasses.replace(catalog, photos=renamed[::-1])
    assert part_by_key(split(other, each_alone(other))) == before


def test_new_photos_move_no_old_ones() -> None:
    old = catalog_with(list(range(100)), [i % 2 for i in range(100)])
    new = catalog_with(list(range(110)), [i % 2 for i in range(110)])
    before, after = part_by_key(split(old, each_alone(old))), part_by_key(split(new, each_alone(new)))
    assert {key: after[key] for key in before} == before


def test_training_never_meets_a_validation_photo_whatever_seed_and_epoch() -> None:
    catalog = catalog_with(list(range(100)), [i % 2 for i in range(100)])
    result = split(catalog, each_alone(catalog))
    training, validation = result.part("train"), result.part("validation")
    keys = [photo.key for photo in training.photos]
    for seed in range(3):
        plan = Plan(seed, keys, training.labels(), 16, AugmentSettings(mixup=0.2))
        for epoch in range(3):
            rows = plan.rows(epoch)
            met = {keys[i] for i in (*rows.index.flat, *rows.partner.flat)}
            assert met == set(keys)
            assert met.isdisjoint(photo.key for photo in validation.photos)


def test_a_share_of_zero_makes_no_such_part() -> None:
    catalog = catalog_with(list(range(300)), [0] * 300)
    assert len(split(catalog, each_alone(catalog), test=0.0).part("test")) == 0
    without = split(catalog, each_alone(catalog), validation=0.0, test=0.0)
    assert len(without.part("train")) == 300
    assert without.notes == ()


def test_larger_test_share_keeps_validation() -> None:
    catalog = catalog_with(list(range(300)), [0] * 300)
    one, other = split(catalog, each_alone(catalog)), split(catalog, each_alone(catalog), test=0.3)
    assert [p.key for p in one.part("validation").photos] == [p.key for p in other.part("validation").photos]


@pytest.mark.parametrize("shares", [(0.6, 0.4), (-0.1, 0.1), (float("nan"), 0.1)])
def test_shares_that_leave_nothing_are_refused(shares: tuple[float, float]) -> None:
    catalog = catalog_with([1, 2], [0, 0])
    with pytest.raises(RecipeError, match="sum is below 1"):
        split(catalog, each_alone(catalog), *shares)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), classes=st.integers(1, 5), photos=st.integers(1, 40), salt=st.integers(0, 10**6))
def test_no_class_lacks_what_it_can_have(data: st.DataObject, classes: int, photos: int, salt: int) -> None:
    """Random sets with twins, equal photos under two labels among them."""
    contents: list[object] = [f"{salt} {data.draw(st.integers(0, 30))}" for _ in range(photos)]
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=photos, max_size=photos))
    catalog = catalog_with(contents, labels)
    by_key: dict[str, int] = {}
    groups = np.array([by_key.setdefault(photo.key, i) for i, photo in enumerate(catalog.photos)])
    merged = np.where(groups % 3 == 0, groups.min(), groups)  # nearly equal photos besides
    result = split(catalog, merged)
    parts = np.array([photo.part for photo in result.photos])
    for group in np.unique(merged):
        assert len(set(parts[merged == group])) == 1
    groups_of_class = {label: set(merged[np.array(labels) == label]) for label in set(labels)}
    for label, own in groups_of_class.items():
        of_class = parts[np.array(labels) == label]
        assert "train" in of_class
        shares_groups = any(own & other for other_label, other in groups_of_class.items() if other_label != label)
        if len(own) > 1 and not shares_groups:
            assert "validation" in of_class
    assert part_by_key(split(catalog, merged)) == part_by_key(result)


def test_a_class_of_one_photo_stays_in_training_with_a_warning() -> None:
    alone = keys_below(0.19, 0, 1)
    rest: list[object] = list(range(60))
    result = split(catalog_with([*alone, *alone, *rest], [0, 0] + [1] * 60), np.array([0, 0, *range(2, 62)]))
    assert [photo.part for photo in result.photos[:2]] == ["train", "train"]
    assert [note for note in result.notes if "'class 0'" in note and "stays in training" in note]


def test_a_class_without_validation_moves_its_nearest_photo_and_says_so() -> None:
    contents = [*keys_below(0.9, 0.5, 3), *keys_below(0.45, 0.4, 1)]
    result = split(catalog_with([*contents, *range(60)], [0] * 4 + [1] * 60), np.arange(64))
    assert [photo.part for photo in result.photos[:4]] == ["train", "train", "train", "validation"]
    assert [note for note in result.notes if "'class 0'" in note and "validation" in note]


def test_a_class_without_training_moves_its_nearest_photo() -> None:
    contents = [*keys_below(0.1, 0.0, 2), *keys_below(0.18, 0.15, 1)]
    result = split(catalog_with([*contents, *range(60)], [0] * 3 + [1] * 60), np.arange(63))
    assert [photo.part for photo in result.photos[:3]] == ["validation", "validation", "train"]


def test_a_twin_with_two_labels_is_not_taken_from_the_class_that_trains_on_it() -> None:
    shared = keys_below(0.4, 0.3, 1)
    others = keys_below(0.9, 0.8, 1)
    result = split(catalog_with([*shared, *shared, *others], [0, 1, 1]), np.array([0, 0, 2]), test=0.0)
    assert [photo.part for photo in result.photos] == ["train", "train", "validation"]


def test_many_small_classes_share_a_note() -> None:
    catalog = catalog_with(list(range(40)), list(range(40)))
    result = split(catalog, each_alone(catalog))
    assert len(result.part("train")) == 40
    assert len(result.notes) == 1
    assert "and 35 more" in result.notes[0]


def test_given_parts_are_kept_and_crossing_twins_counted() -> None:
    """Three training photos copied to validation, two to test, a sixth saved again to test at a lower quality."""
    contents: list[object] = [*range(10), 0, 1, 2, 10, 11, 3, 4, "5 saved again", 12]
    parts = ["train"] * 10 + ["validation"] * 5 + ["test"] * 4
    catalog = catalog_with(contents, [i % 2 for i in range(19)], parts)
    groups = np.array([*range(10), 0, 1, 2, 13, 14, 3, 4, 5, 18])
    result = split(catalog, groups)
    assert [photo.part for photo in result.photos] == parts
    found = crossings(result, groups)
    assert [(c.first, c.second, c.equal) for c in found] == [
        (0, 10, True),
        (1, 11, True),
        (2, 12, True),
        (3, 15, True),
        (4, 16, True),
        (5, 17, False),
    ]
    assert [note for note in result.notes if note.startswith("6 photos") and "(5 equal, 1 nearly equal)" in note]
    assert crossings(split(catalog_with(contents, [0] * 19), groups), groups) == []


def test_a_missing_validation_part_is_cut_from_training_by_the_same_numbers() -> None:
    contents: list[object] = list(range(200))
    whole = part_by_key(split(catalog_with(contents, [0] * 200), np.arange(200)))
    result = split(catalog_with(contents, [0] * 200, ["train"] * 150 + ["test"] * 50), np.arange(200))
    for photo in result.photos[:150]:
        assert photo.part == ("validation" if whole[photo.key] == "validation" else "train")
    assert {photo.part for photo in result.photos[150:]} == {"test"}
    assert [note for note in result.notes if "no validation part was given" in note]


def test_a_test_part_is_never_made_beside_a_given_one() -> None:
    parts = ["train"] * 80 + ["validation"] * 20
    result = split(catalog_with(list(range(100)), [0] * 100, parts), np.arange(100))
    assert [photo.part for photo in result.photos] == parts
    assert result.notes == ()


def test_photos_without_a_part_beside_given_ones_are_for_training() -> None:
    parts = [""] * 50 + ["validation"] * 10
    result = split(catalog_with(list(range(60)), [0] * 60, parts), np.arange(60))
    assert len(result.part("train")) == 50
    assert [note for note in result.notes if note.startswith("50 photos without a part")]


def test_thinning_leaves_so_many_training_photos_of_each_class_and_adds_to_them() -> None:
    catalog = split(catalog_with(list(range(300)), [i % 3 for i in range(300)]), groups := np.arange(300))
    few, few_groups = thinned(catalog, groups, 5)
    more, _ = thinned(catalog, groups, 8)
    assert few.part("train").counts().tolist() == [5, 5, 5]
    assert [few.part(part).photos for part in ("validation", "test")] == [
        catalog.part(part).photos for part in ("validation", "test")
    ]
    assert {photo.key for photo in few.photos} < {photo.key for photo in more.photos}
    assert [catalog.photos[i] for i in few_groups] == list(few.photos)  # here a photo's group is its place
    assert few.notes == catalog.notes  # what was asked for needs no warning


def test_thinning_leaves_small_classes_and_all_photos_where_none_are_too_many() -> None:
    catalog = split(catalog_with(list(range(60)), [0] * 50 + [1] * 10), groups := np.arange(60))
    few, _ = thinned(catalog, groups, 12)
    assert few.part("train").counts().tolist() == [12, catalog.part("train").counts()[1]]
    for most in (0, 1000):
        assert thinned(catalog, groups, most)[0] is catalog
