"""Batches of features in the place of photos: each epoch in the order that the plan has for it, from views kept."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fireweed.data.augment import pixel_box
from fireweed.data.feature_file import FeatureFile
from fireweed.data.pipeline import Batches
from fireweed.data.plan import Plan, evaluation_rows

VIEWS_IN_USE = 8  # batches made ahead are of several epochs where an epoch has few


class FeatureBatches:
    """Training batches of features, as `Batches` gives those of photos.

    The features of a view are those of the photos as the plan changes them in one epoch, in that epoch's order. Another
    epoch has the same features of each photo in its own order, so it draws from every lane as well. Photos are mixed
    here, by their features, and so anew in every epoch: manifold mixup (Verma et al. 2019,
    https://arxiv.org/abs/1806.05236).

    Args:
        photos: the batches of photos that the features were made of.
        plan: the plan of all epochs.
        files: the epoch of a view -> its features.
        views: for each epoch the one whose features it takes.
    """

    def __init__(self, photos: Batches, plan: Plan, files: Mapping[int, FeatureFile], views: Sequence[int]) -> None:
        self._photos, self._plan, self._files, self._views = photos, plan, files, views
        self._places = functools.lru_cache(maxsize=VIEWS_IN_USE)(self._places_in)

    def training(self, first_step: int, last_step: int) -> Any:
        """Return the steps of a phase from `first_step` up to `last_step`, counted from the start of the training."""
        shape = self._files[self._views[first_step // self._plan.steps]].shape
        return self._photos.dataset(self.make_batch, first_step, last_step, np.float32, shape)

    def make_batch(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return features, targets and weights of a step."""
        epoch, row = divmod(int(step), self._plan.steps)
        rows = self._plan.rows(epoch, row, row + 1)
        index, partner, mix = rows.index[0], rows.partner[0], rows.mix[0]
        file, places = self._files[self._views[epoch]], self._places(self._views[epoch])
        features = file.read(places[index])
        if self._plan.augment.mixes:
            features, mix = mixed(features, file.read(places[partner]), mix, rows.cutmix[0])
        loss_weight = rows.weight[0] * self._plan.class_weights(index, partner, mix)
        return features, *self._photos.targets_and_weights(index, partner, mix, loss_weight)

    def _places_in(self, epoch: int) -> np.ndarray:
        """Return where each photo's features are in the view of an epoch."""
        index = self._plan.rows(epoch).index
        places = np.empty(self._plan.photos, np.int64)
        places[index.ravel()[: self._plan.photos]] = np.arange(self._plan.photos)
        return places


def mixed(
    features: np.ndarray, others: np.ndarray, share: np.ndarray, boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return features mixed with those of other photos, and the share of the first in each label.

    features, others: float32 (batch, channels) or (batch, height, width, channels).
    share:            float32 (batch,), of the first photo.
    boxes:            (batch, 4), y0, x0, y1, x1 in fractions: what of a map is the other's; all zeros, and where
                      features have no place, both are blended.
    """
    wide = share.reshape(-1, *[1] * (features.ndim - 1))
    result, share = others + wide * (features - others), share.copy()
    if features.ndim == 4:
        height, width = features.shape[1:3]
        for i in np.flatnonzero(boxes.any(axis=1)).tolist():
            rows, columns = pixel_box(boxes[i], height, width)
            result[i] = features[i]
            result[i, rows, columns] = others[i, rows, columns]
            share[i] = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return result, share


def evaluation_features(photos: Batches, file: FeatureFile) -> Any:
    """Return one pass over features in their order, as `Batches.evaluation` gives one over photos."""
    rows = evaluation_rows(file.photos, file.batch)

    def make(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        index = rows.index[int(step)]
        targets = photos.targets_and_weights(index, index, rows.mix[int(step)], rows.loss_weight[int(step)])
        return file.read(index), *targets

    return photos.dataset(make, 0, file.blocks, np.float32, file.shape)
