"""Batches of features in the place of photos: each epoch in the order that the plan has for it, from views kept."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fireweed.data.feature_file import FeatureFile
from fireweed.data.pipeline import Batches
from fireweed.data.plan import Plan, evaluation_rows

VIEWS_IN_USE = 8  # batches made ahead are of several epochs where an epoch has few


@dataclass(frozen=True)
class _View:
    """How the photos were changed in the epoch whose features are kept: arrays of shape (photos,), by photo."""

    file: FeatureFile
    place: np.ndarray
    partner: np.ndarray
    mix: np.ndarray
    loss_weight: np.ndarray


class FeatureBatches:
    """Training batches of features, as `Batches` gives those of photos.

    The features of a view are those of the photos as the plan changes them in one epoch, in that epoch's order. Another
    epoch has the same features, labels and weights of each photo in its own order, so it draws from every lane as well.

    Args:
        photos: the batches of photos that the features were made of.
        plan: the plan of all epochs.
        files: the epoch of a view -> its features.
        views: for each epoch the one whose features it takes.
    """

    def __init__(self, photos: Batches, plan: Plan, files: Mapping[int, FeatureFile], views: Sequence[int]) -> None:
        self._photos, self._plan, self._files, self._views = photos, plan, files, views
        self._view = functools.lru_cache(maxsize=VIEWS_IN_USE)(self._changed_photos)

    def training(self, first_step: int, last_step: int) -> Any:
        """Return the steps of a phase from `first_step` up to `last_step`, counted from the start of the training."""
        shape = self._files[self._views[first_step // self._plan.steps]].shape
        return self._photos.dataset(self.make_batch, first_step, last_step, np.float32, shape)

    def make_batch(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return features, targets and weights of a step."""
        epoch, row = divmod(int(step), self._plan.steps)
        rows = self._plan.rows(epoch, row, row + 1)
        index, view = rows.index[0], self._view(self._views[epoch])
        loss_weight = view.loss_weight[index] * rows.weight[0]
        targets = self._photos.targets_and_weights(index, view.partner[index], view.mix[index], loss_weight)
        return view.file.read(view.place[index]), *targets

    def _changed_photos(self, epoch: int) -> _View:
        rows = self._plan.rows(epoch)
        order = rows.index.ravel()[: self._plan.photos]

        def by_photo(values: np.ndarray) -> np.ndarray:
            result = np.empty(self._plan.photos, values.dtype)
            result[order] = values.ravel()[: self._plan.photos]
            return result

        place = by_photo(np.arange(rows.index.size))
        return _View(
            self._files[epoch], place, by_photo(rows.partner), by_photo(rows.mix), by_photo(rows.loss_weight)
        )  # fmt: skip


def evaluation_features(photos: Batches, file: FeatureFile) -> Any:
    """Return one pass over features in their order, as `Batches.evaluation` gives one over photos."""
    rows = evaluation_rows(file.photos, file.batch)

    def make(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        index = rows.index[int(step)]
        targets = photos.targets_and_weights(index, index, rows.mix[int(step)], rows.loss_weight[int(step)])
        return file.read(index), *targets

    return photos.dataset(make, 0, file.blocks, np.float32, file.shape)
