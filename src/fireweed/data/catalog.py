"""Catalog and Photo: what there is to learn from, before any pixel is read."""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import natsort
import numpy as np

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Photo:
    """One labelled photo: a file, or one record in a TFRecord shard.

    path:   the file, or the shard that holds the record (a local path or a gs:// address).
    label:  position of its class in `Catalog.classes`.
    key:    SHA-256 (hexadecimal) of the file, or of the record's image bytes; empty until the photo was read.
    part:   "train", "validation" or "test" when given or decided; else empty.
    offset: where the record starts in its shard, in bytes; -1 for a photo that is a file.
    length: bytes of the record's payload (the serialized tf.train.Example); 0 for a file.
    name:   what to call it to people: the path below the data's top folder, or shard#number for a record.
    """

    path: str
    label: int
    key: str = ""
    part: str = ""
    offset: int = -1
    length: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A photo that was left out, and why in a few words."""

    name: str
    reason: str


@dataclass(frozen=True)
class Catalog:
    """The photos there are, with the names of their classes in natural order (1, 2, 10).

    title:      what the user called the data, for display.
    notes:      sentences the user should see once (what was left out, adapted or doubtful).
    unreadable: photos left out because they cannot be read.
    """

    classes: tuple[str, ...]
    photos: tuple[Photo, ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    def __len__(self) -> int:
        return len(self.photos)

    def part(self, name: str) -> "Catalog":
        """Return the catalog of only the photos whose part is `name`, same classes."""
        return dataclasses.replace(self, photos=tuple(p for p in self.photos if p.part == name))

    def labels(self) -> np.ndarray:
        """Return the labels of all photos, int64 of shape (photos,)."""
        return np.fromiter((p.label for p in self.photos), np.int64, len(self.photos))

    def counts(self) -> np.ndarray:
        """Return how many photos each class has, int64 of shape (classes,)."""
        return np.bincount(self.labels(), minlength=len(self.classes))

    def digest(self) -> str:
        """Return a SHA-256 over classes, keys, labels and parts: equal for the same photos, whatever their paths."""
        hasher = hashlib.sha256("\0".join(self.classes).encode())
        for row in sorted(f"{p.key} {p.label} {p.part}" for p in self.photos):
            hasher.update(row.encode() + b"\n")
        return hasher.hexdigest()

    def noting(self, *notes: str) -> "Catalog":
        """Return the catalog with more notes."""
        return dataclasses.replace(self, notes=self.notes + notes)


def in_natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct names in natural order: a2 before a10; ties by the plain string."""
    return tuple(natsort.natsorted(sorted(set(names))))


def catalog_of(rows: Sequence[tuple[str, str, str, str]], title: str = "") -> Catalog:
    """Make a catalog of rows (path, display name, class name, part or "")."""
    classes = in_natural_order(label for _, _, label, _ in rows)
    index = {label: i for i, label in enumerate(classes)}
    photos = tuple(Photo(path, index[label], part=part, name=name) for path, name, label, part in rows)
    return Catalog(classes, photos, title)
