"""Batches of features: a view's own epoch as planned, later ones the same photos in another order."""

import numpy as np
import pytest

from fireweed.data.catalog import Photo
from fireweed.data.changes import AugmentSettings
from fireweed.data.feature_batches import FeatureBatches, evaluation_features
from fireweed.data.feature_file import FeatureFile
from fireweed.data.pipeline import Batches
from fireweed.data.plan import Plan
from fireweed.data.squares import SquareCache

LABELS = np.arange(18) % 3
BATCH = 4


@pytest.fixture
def photos():
    cache = SquareCache([Photo(path="", label=0)] * 18, 8, "crop")
    yield Batches(cache, LABELS, 3, BATCH, label_smoothing=0.1)
    cache.close()


@pytest.fixture
def plan():
    keys = [f"{number:02x}" * 32 for number in range(18)]
    return Plan(5, keys, LABELS, BATCH, AugmentSettings(mixup=1.0), weights_per_class=[1, 2, 3])


def view(path, plan, epoch):
    """A view whose features say of which photo, partner and epoch they are."""
    rows = plan.rows(epoch)
    file = FeatureFile(path / f"{epoch}.bin", "test", 18, BATCH, (3,))
    for number in range(plan.steps):
        index, partner = rows.index[number], rows.partner[number]
        file.write(number, np.stack([index, partner, np.full(BATCH, epoch)], 1).astype(np.float32))
    return file


def epoch_of(batches, plan, epoch):
    made = [batches.make_batch(step) for step in range(epoch * plan.steps, (epoch + 1) * plan.steps)]
    return [np.concatenate(arrays) for arrays in zip(*made, strict=True)]


def test_a_view_is_planned_and_shown_again_in_another_order_with_its_mixed_labels(photos, plan, tmp_path):
    files = {epoch: view(tmp_path, plan, epoch) for epoch in (0, 1)}
    batches = FeatureBatches(photos, plan, files, [0, 1, 0, 1, 0])
    epochs = [epoch_of(batches, plan, epoch) for epoch in range(5)]
    for epoch in (0, 1):
        rows = plan.rows(epoch)
        expected = [photos.targets_and_weights(rows.index[i], rows.partner[i], rows.mix[i], rows.loss_weight[i])
                    for i in range(plan.steps)]  # fmt: skip
        assert np.array_equal(epochs[epoch][0][:, :2], np.stack([rows.index.ravel(), rows.partner.ravel()], 1))
        targets, weights = (np.concatenate(arrays) for arrays in zip(*expected, strict=True))
        assert np.array_equal(epochs[epoch][1][weights > 0], targets[weights > 0])
        assert np.array_equal(epochs[epoch][2], weights)

    def by_photo(epoch):
        features, targets, weights = epochs[epoch]
        counts = weights > 0
        order = np.argsort(features[counts, 0])
        assert counts.sum() == 18
        return [values[counts][order] for values in (features, targets, weights)]

    for later, first in ((2, 0), (3, 1), (4, 0)):
        assert not np.array_equal(epochs[later][0], epochs[first][0])
        assert all(np.array_equal(a, b) for a, b in zip(by_photo(later), by_photo(first), strict=True))
    assert not np.array_equal(epochs[2][0], epochs[4][0])
    assert len({tuple(row) for row in by_photo(0)[1]}) > 3  # labels are mixed


def test_a_training_that_starts_in_the_middle_gets_the_same_batches(photos, plan, tmp_path):
    files = {0: view(tmp_path, plan, 0)}
    whole = list(FeatureBatches(photos, plan, files, [0, 0, 0]).training(0, 15).as_numpy_iterator())
    rest = list(FeatureBatches(photos, plan, files, [0, 0, 0]).training(7, 15).as_numpy_iterator())
    assert whole[0][0].shape == (BATCH, 3) and len(rest) == 8
    for ours, theirs in zip(whole[7:], rest, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_evaluation_features_are_in_order_and_count_each_photo_once(photos, tmp_path):
    file = FeatureFile(tmp_path / "validation.bin", "test", 18, BATCH, (2,))
    rows = np.arange(40, dtype=np.float32).reshape(5, BATCH, 2)
    for number in range(file.blocks):
        file.write(number, rows[number])
    got = list(evaluation_features(photos, file).as_numpy_iterator())
    features, targets, weights = (np.concatenate(arrays) for arrays in zip(*got, strict=True))
    counts = weights > 0
    assert counts.sum() == 18 and np.array_equal(features[counts], rows.reshape(20, 2)[:18])
    assert np.array_equal(targets[counts].argmax(1), LABELS)
