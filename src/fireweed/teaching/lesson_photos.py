"""The photos of a lab as plain arrays, split as every training of Fireweed splits them."""

from dataclasses import dataclass

import numpy as np

from fireweed.data.catalog import Catalog
from fireweed.data.decode import decode_square
from fireweed.data.parallel import in_order
from fireweed.data.records import read_bytes
from fireweed.data.sources import open_data
from fireweed.data.split import split, thinned
from fireweed.data.survey import survey
from fireweed.data.twins import group_twins


@dataclass(frozen=True)
class LessonPhotos:
    """Photos small enough to lie in memory.

    train, validation:               RGB, uint8 of shape (photos, side, side, 3).
    train_labels, validation_labels: the class of each, a position in `classes`, int64 of shape (photos,).
    """

    train: np.ndarray
    train_labels: np.ndarray
    validation: np.ndarray
    validation_labels: np.ndarray
    classes: tuple[str, ...]


def load_photos(data: str | Catalog, side: int, photos_per_class: int | None = None) -> LessonPhotos:
    """Read all photos as squares of `side` px; a quarter is for validation, decided by what the photos show.

    data:             what `fireweed.open_data` takes, or the catalog that it gave.
    photos_per_class: keep only so many training photos of each class; None keeps all.

    Photos that are equal or nearly so stay on one side of the split, those that cannot be read are left out.

    Raises:
        DataError: no photo can be read, or fewer than two classes are left.
    """
    found = survey(open_data(data) if isinstance(data, str) else data)
    groups = group_twins(found)
    catalog = split(found.catalog, groups, validation=0.25, test=0.0)
    if photos_per_class is not None:
        catalog, _ = thinned(catalog, groups, photos_per_class)
    training, validation = catalog.part("train"), catalog.part("validation")
    return LessonPhotos(
        _squares(training, side), training.labels(), _squares(validation, side), validation.labels(), catalog.classes
    )


def _squares(catalog: Catalog, side: int) -> np.ndarray:
    squares = list(in_order(lambda photo: decode_square(read_bytes(photo), side), catalog.photos))
    return np.stack(squares) if squares else np.empty((0, side, side, 3), np.uint8)
