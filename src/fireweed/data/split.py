"""The split into training, validation and test photos: decided by what the photos show, never by names or order."""

import dataclasses
import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from fireweed.data.catalog import PARTS, Catalog
from fireweed.errors import RecipeError
from fireweed.text import some_of

VALIDATION_SHARE = 0.19
TEST_SHARE = 0.10

TRAIN, VALIDATION, TEST = range(len(PARTS))


@dataclass(frozen=True, slots=True)
class Crossing:
    """Two photos of one twin group that lie in different parts.

    first, second: positions in the catalog; the first lies in the earlier part (train, validation, test).
    equal: whether they are equal byte for byte; else nearly equal.
    """

    first: int
    second: int
    equal: bool


def split(
    catalog: Catalog, groups: np.ndarray, validation: float = VALIDATION_SHARE, test: float = TEST_SHARE
) -> Catalog:
    """Give every photo of the catalog its part, with notes on what the user should know about it.

    A group's number is the SHA-256 of its smallest key as a fraction: below `validation` the group is for validation,
    below `validation + test` for test, else for training. So twins stay together, every machine agrees, renaming moves
    nothing, and a new photo moves no old one. Then classes without training or validation photos are repaired. Parts
    that photos bring along are kept; if validation is not among them, it is cut from training by the same numbers.

    Args:
        catalog: photos with their keys.
        groups: int64 of shape (photos,), equal for twins.
        validation: share of the groups for validation; 0 makes no such part.
        test: share for test; 0 makes no such part. Never made beside parts that photos bring along.

    Raises:
        RecipeError: the shares are no shares, or leave nothing to train on.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise RecipeError(
            f"shares of {validation:g} for validation and {test:g} for test leave nothing to train on; "
            "choose shares from 0 on whose sum is below 1"
        )
    given = {photo.part for photo in catalog.photos if photo.part}
    if given:
        return _split_as_given(catalog, groups, given, validation)
    parts, notes = _split_by_content(catalog, groups, np.arange(len(catalog)), validation, test)
    return _with_parts(catalog, parts).noting(*notes)


def thinned(catalog: Catalog, groups: np.ndarray, photos_per_class: int) -> tuple[Catalog, np.ndarray]:
    """Return the catalog and the groups with at most so many training photos of each class; 0 leaves all.

    The photos of the smallest numbers (see `group_number`) stay, so that every machine agrees, and a larger figure adds
    photos to those of a smaller one.
    """
    if not photos_per_class:
        return catalog, groups
    training = [i for i, photo in enumerate(catalog.photos) if photo.part == PARTS[TRAIN]]
    kept = np.ones(len(catalog), bool)
    taken: Counter[int] = Counter()
    for i in sorted(training, key=lambda i: (group_number(catalog.photos[i].key), i)):
        label = catalog.photos[i].label
        taken[label] += 1
        kept[i] = taken[label] <= photos_per_class
    if kept.all():
        return catalog, groups
    photos = tuple(photo for photo, is_kept in zip(catalog.photos, kept.tolist(), strict=True) if is_kept)
    return dataclasses.replace(catalog, photos=photos), groups[kept]


def crossings(catalog: Catalog, groups: np.ndarray) -> list[Crossing]:
    """List the photos that have a twin in an earlier part (train, validation, test), each with one such twin.

    An equal twin is named before a nearly equal one. The list is in the order of the catalog.
    """
    photos = catalog.photos
    order = sorted(range(len(photos)), key=lambda i: (PARTS.index(photos[i].part), photos[i].key, i))
    first_with_key: dict[str, int] = {}
    first_in_group: dict[int, int] = {}
    found = []
    for i in order:
        equal = first_with_key.setdefault(photos[i].key, i)
        alike = first_in_group.setdefault(int(groups[i]), i)
        if photos[equal].part != photos[i].part:
            found.append(Crossing(equal, i, equal=True))
        elif photos[alike].part != photos[i].part:
            found.append(Crossing(alike, i, equal=False))
    return sorted(found, key=lambda crossing: crossing.second)


def group_number(smallest_key: str) -> float:
    """Return the number in [0, 1] that decides the part of a group: the SHA-256 of the key's hexadecimal digits."""
    return int.from_bytes(hashlib.sha256(smallest_key.encode("ascii")).digest()[:8]) / 2**64


def _split_as_given(catalog: Catalog, groups: np.ndarray, given: set[str], validation: float) -> Catalog:
    """Keep the parts given; cut a missing validation part from training; say what crosses."""
    unknown = sum(not photo.part for photo in catalog.photos)
    parts = np.array([PARTS.index(photo.part or "train") for photo in catalog.photos], np.int64)
    notes = []
    if unknown:
        notes.append(f"{_photos(unknown)} without a part beside photos with one: taken for training")
    if "validation" not in given and validation > 0:
        members = np.flatnonzero(parts == TRAIN)
        parts[members], cut_notes = _split_by_content(catalog, groups, members, validation, 0.0)
        cut = int(np.sum(parts == VALIDATION))
        notes += [f"no validation part was given: {_photos(cut)} were taken from training for it", *cut_notes]
    result = _with_parts(catalog, parts)
    found = crossings(result, groups)
    if found:
        equal = sum(crossing.equal for crossing in found)
        notes.append(
            f"{_photos(len(found))} of the given parts with a twin in another part ({equal} equal, "
            f"{len(found) - equal} nearly equal): that flatters the result; the parts were kept as given"
        )
    return result.noting(*notes)


def _split_by_content(
    catalog: Catalog, groups: np.ndarray, members: np.ndarray, validation: float, test: float
) -> tuple[np.ndarray, list[str]]:
    """Return the part of each of `members` (positions in the catalog), int64 positions in PARTS, and notes."""
    _, group_of = np.unique(groups[members], return_inverse=True)
    smallest: dict[int, str] = {}
    for group, i in zip(group_of.tolist(), members.tolist(), strict=True):
        key = catalog.photos[i].key
        smallest[group] = min(key, smallest.get(group, key))
    numbers = np.array([group_number(smallest[group]) for group in range(len(smallest))])
    parts = np.full(len(numbers), TRAIN)
    parts[numbers < validation + test] = TEST
    parts[numbers < validation] = VALIDATION
    groups_of_class: dict[int, set[int]] = {}
    for label, group in zip(catalog.labels()[members].tolist(), group_of.tolist(), strict=True):
        groups_of_class.setdefault(label, set()).add(group)
    in_order = {label: sorted(groups_of_class[label], key=lambda g: numbers[g]) for label in sorted(groups_of_class)}
    moved_to_training = _repair_training(parts, in_order)
    moved_to_validation = _repair_validation(parts, in_order) if validation > 0 else []
    alone = [label for label, own in in_order.items() if len(own) == 1]
    lacking = [label for label, own in in_order.items() if len(own) > 1 and not np.any(parts[own] == VALIDATION)]
    notes = [
        (alone, "of a single photo, twins not counted: it stays in training and nothing tests the class; add photos"),
        (moved_to_training, "without a training photo by content: the nearest photo, with its twins, was moved"),
        (
            moved_to_validation,
            "without a validation photo by content: the nearest photo, with its twins, was moved",
        ),
        (lacking if validation > 0 else [], "without a validation photo, since other classes train on all its photos"),
    ]
    return parts[group_of], [_note(catalog.classes, labels, text) for labels, text in notes if labels]


def _repair_training(parts: np.ndarray, groups_of_class: dict[int, list[int]]) -> list[int]:
    """Give each class a training photo, in place; return the classes of two groups or more that had none.

    Comes before the repair of validation, which then sees which groups training needs. The training interval is the
    uppermost, so the group nearest to it is the one with the largest number, which is the class's last.
    """
    repaired = []
    for label, own in groups_of_class.items():
        if not np.any(parts[own] == TRAIN):
            parts[own[-1]] = TRAIN
            if len(own) > 1:
                repaired.append(label)
    return repaired


def _repair_validation(parts: np.ndarray, groups_of_class: dict[int, list[int]]) -> list[int]:
    """Give each class of two groups or more a validation photo, in place; return the classes that had none.

    The nearest group is the one with the smallest number. No move takes the last training photo of a class, the
    photos of twins with two labels included.
    """
    classes_of_group: dict[int, list[int]] = {}
    for label, own in groups_of_class.items():
        for group in own:
            classes_of_group.setdefault(group, []).append(label)
    in_training = {label: int(np.sum(parts[own] == TRAIN)) for label, own in groups_of_class.items()}
    repaired = []
    for label, own in groups_of_class.items():
        if len(own) == 1 or np.any(parts[own] == VALIDATION):
            continue
        for group in own:
            trains = parts[group] == TRAIN
            if trains and any(in_training[other] == 1 for other in classes_of_group[group]):
                continue
            for other in classes_of_group[group] if trains else ():
                in_training[other] -= 1
            parts[group] = VALIDATION
            repaired.append(label)
            break
    return repaired


def _note(classes: tuple[str, ...], labels: list[int], text: str) -> str:
    names = some_of([f"'{classes[label]}'" for label in labels])
    return f"{'class' if len(labels) == 1 else 'classes'} {names} {text}"


def _photos(count: int) -> str:
    return f"{count:,} photo" if count == 1 else f"{count:,} photos"


def _with_parts(catalog: Catalog, parts: np.ndarray) -> Catalog:
    photos = tuple(
        dataclasses.replace(photo, part=PARTS[part]) for photo, part in zip(catalog.photos, parts.tolist(), strict=True)
    )
    return dataclasses.replace(catalog, photos=photos)
