"""What is wrong with photos, as far as it can be told without a model: broken, twins, leakage, balance, oddities."""

import os
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from fireweed.data.catalog import PARTS, Catalog, Unreadable
from fireweed.data.split import Crossing, crossings
from fireweed.data.survey import TINY_PX, Survey

# Small beside the others, and small: of small pictures only, such as icons or digits, none is.
SMALL_PX, SMALL_SHARE = 64, 0.5
# So many pixels that reading them takes long, or many and far more than usual.
HUGE_MEGAPIXELS, LARGE_MEGAPIXELS, LARGE_TIMES = 50, 12, 16
NARROW_TIMES = 3.0
RARE_SHARE = 0.1
FEW_PHOTOS = 20
MUCH_IMBALANCE = 5.0

_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"},
    "PNG": {".png", ".apng"},
    "WEBP": {".webp"},
    "BMP": {".bmp"},
    "GIF": {".gif"},
}


@dataclass(frozen=True, slots=True)
class Remark:
    """What there is to say of one photo: its position in the catalog, and in a few words what."""

    photo: int
    detail: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Twins with different labels: their positions, and whether two of these are equal byte for byte."""

    photos: tuple[int, ...]
    equal: bool


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Photos of a class: those that can be read, of each given part too, and those that cannot."""

    name: str
    photos: int
    parts: dict[str, int]
    unreadable: int


@dataclass(frozen=True)
class Audit:
    """What was found; photos are positions in `catalog`, which holds those that can be read, and the unreadable ones.

    exact_twins: groups of photos that are equal byte for byte.
    near_twins:  groups of photos that show the same picture, not all of them equal.
    conflicts:   groups of either kind with more than one label.
    leaks:       photos with a twin in an earlier one of the given parts.
    remarks:     kind -> photos: damaged, wrong_endings, blank, tiny, huge, narrow, odd_modes.
    classes:     in natural order, those of which no photo can be read among them.
    missing:     (class, part) where a given part has photos, but none of that class.
    formats, modes: how many photos have which, the most common first.
    sizes:       height and width, int32 of shape (photos, 2).
    """

    catalog: Catalog
    exact_twins: tuple[tuple[int, ...], ...]
    near_twins: tuple[tuple[int, ...], ...]
    conflicts: tuple[Conflict, ...]
    leaks: tuple[Crossing, ...]
    remarks: dict[str, tuple[Remark, ...]]
    classes: tuple[ClassCount, ...]
    missing: tuple[tuple[str, str], ...]
    formats: dict[str, int]
    modes: dict[str, int]
    sizes: np.ndarray

    @property
    def imbalance(self) -> float | None:
        """How many times as many photos the largest class has as the smallest; None with fewer than two classes."""
        counts = [row.photos for row in self.classes if row.photos]
        return max(counts) / min(counts) if len(counts) > 1 else None

    @property
    def few(self) -> tuple[ClassCount, ...]:
        """The classes with few photos."""
        return tuple(row for row in self.classes if row.photos < FEW_PHOTOS)

    @property
    def is_unbalanced(self) -> bool:
        return (self.imbalance or 1.0) >= MUCH_IMBALANCE


def audit_of(opened: Catalog, found: Survey, groups: np.ndarray) -> Audit:
    """Return what is wrong with photos that were read once.

    Args:
        opened: the catalog before the survey, which leaves out what cannot be read.
        found: the survey of it.
        groups: what `group_twins` returns for it.
    """
    catalog = _with_whole_parts(found.catalog)
    exact, near = _twin_groups(catalog, groups)
    is_parted = any(photo.part for photo in catalog.photos)
    classes = _class_counts(opened, catalog, is_parted)
    return Audit(
        catalog=catalog,
        exact_twins=exact,
        near_twins=near,
        conflicts=_conflicts(catalog, exact, near),
        leaks=tuple(crossings(catalog, groups)) if is_parted else (),
        remarks=remarks_on(found),
        classes=classes,
        missing=_missing(classes),
        formats=dict(Counter(found.formats).most_common()),
        modes=dict(Counter(found.modes).most_common()),
        sizes=found.sizes,
    )


def remarks_on(found: Survey) -> dict[str, tuple[Remark, ...]]:
    """Return what there is to say of single photos, kind -> photos; a kind without any is there and empty."""
    return {
        "damaged": tuple(Remark(i, reason) for i, reason in sorted(found.damages.items())),
        "wrong_endings": _wrong_endings(found),
        "blank": tuple(Remark(int(i), "nearly one colour") for i in np.flatnonzero(found.blank)),
        "tiny": _tiny(found),
        "huge": _huge(found),
        "narrow": _narrow(found),
        "odd_modes": _odd_modes(found),
    }


def is_cut_off(photo: Unreadable) -> bool:
    """Say whether a photo cannot be read because its file ends too early."""
    return photo.reason.startswith(("cut off", "the file is empty"))


def _with_whole_parts(catalog: Catalog) -> Catalog:
    """Return the catalog with every photo in a part, if any is: those without one are trained on."""
    has_part = [bool(photo.part) for photo in catalog.photos]
    if all(has_part) or not any(has_part):
        return catalog
    return replace(catalog, photos=tuple(replace(p, part=p.part or PARTS[0]) for p in catalog.photos))


def _twin_groups(
    catalog: Catalog, groups: np.ndarray
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Return the groups of equal photos, and those of photos that are not all equal; in the order of the catalog."""
    by_group: dict[int, list[int]] = {}
    for photo, group in enumerate(groups.tolist()):
        by_group.setdefault(group, []).append(photo)
    exact, near = [], []
    for members in by_group.values():
        if len(members) == 1:
            continue
        by_key: dict[str, list[int]] = {}
        for photo in members:
            by_key.setdefault(catalog.photos[photo].key, []).append(photo)
        exact += [tuple(equal) for equal in by_key.values() if len(equal) > 1]
        if len(by_key) > 1:
            near.append(tuple(members))
    return tuple(sorted(exact)), tuple(near)


def _conflicts(
    catalog: Catalog, exact: tuple[tuple[int, ...], ...], near: tuple[tuple[int, ...], ...]
) -> tuple[Conflict, ...]:
    """Return the twins with more than one label, equal ones first; a group of near twins holds its equal ones."""

    def differ(members: tuple[int, ...]) -> bool:
        return len({catalog.photos[photo].label for photo in members}) > 1

    found = {members: Conflict(members, equal=False) for members in near if differ(members)}
    around = {photo: members for members in found for photo in members}
    for members in filter(differ, exact):
        whole = around.get(members[0], members)
        found[whole] = Conflict(whole, equal=True)
    return tuple(sorted(found.values(), key=lambda conflict: (not conflict.equal, conflict.photos)))


def _class_counts(opened: Catalog, catalog: Catalog, is_parted: bool) -> tuple[ClassCount, ...]:
    there = Counter(photo.label for photo in opened.photos)  # not by names: two may be shown alike
    read = Counter((catalog.classes[photo.label], photo.part) for photo in catalog.photos)
    parts = [part for part in PARTS if any(photo.part == part for photo in catalog.photos)] if is_parted else []
    rows = []
    for label, name in enumerate(opened.classes):
        by_part = {part: read[name, part] for part in parts}
        count = sum(by_part.values()) if is_parted else read[name, ""]
        rows.append(ClassCount(name, count, by_part, there[label] - count))
    return tuple(rows)


def _missing(classes: tuple[ClassCount, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((row.name, part) for row in classes for part, count in row.parts.items() if not count)


def _wrong_endings(found: Survey) -> tuple[Remark, ...]:
    remarks = []
    for i, (photo, kind) in enumerate(zip(found.catalog.photos, found.formats, strict=True)):
        ending = os.path.splitext(photo.path)[1].lower()  # noqa: PTH122  # PurePath takes several times as long
        if photo.offset < 0 and ending and ending not in _SUFFIXES[kind]:
            remarks.append(Remark(i, f"is a {kind}, called {ending}"))
    return tuple(remarks)


def _tiny(found: Survey) -> tuple[Remark, ...]:
    if not len(found.sizes):
        return ()
    short = found.sizes.min(axis=1)
    limit = max(TINY_PX, min(SMALL_PX, SMALL_SHARE * float(np.median(short))))
    return _sized(found, short < limit)


def _huge(found: Survey) -> tuple[Remark, ...]:
    if not len(found.sizes):
        return ()
    megapixels = found.sizes.astype(np.float64).prod(axis=1) / 1e6
    usual = float(np.median(megapixels))
    is_large = (megapixels >= LARGE_MEGAPIXELS) & (megapixels >= LARGE_TIMES * usual)
    return _sized(found, is_large | (megapixels >= HUGE_MEGAPIXELS))


def _narrow(found: Survey) -> tuple[Remark, ...]:
    if not len(found.sizes):
        return ()
    return _sized(found, found.sizes.max(axis=1) >= NARROW_TIMES * np.maximum(1, found.sizes.min(axis=1)))


def _sized(found: Survey, chosen: np.ndarray) -> tuple[Remark, ...]:
    return tuple(
        Remark(int(i), f"{found.sizes[i, 1]:,} x {found.sizes[i, 0]:,} pixels") for i in np.flatnonzero(chosen)
    )


def _odd_modes(found: Survey) -> tuple[Remark, ...]:
    """Return the photos that keep their colours as few others do."""
    counts = Counter(found.modes)
    rare = {mode for mode, count in counts.items() if count < RARE_SHARE * len(found.modes)}
    return tuple(Remark(i, mode) for i, mode in enumerate(found.modes) if mode in rare)
