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


def view(path, plan, epoch, shape=(3,)):
    """A view whose features say of which photo and epoch they are, and where in a map they lie."""
    rows = plan.rows(epoch)
    file = FeatureFile(path / f"{epoch}.bin", "test", 18, BATCH, shape)
    for number in range(plan.steps):
        values = np.zeros((BATCH, *shape), np.float32)
        values[..., 0] = rows.index[number].reshape(-1, *[1] * (len(shape) - 1))
        values[..., 1] = epoch
        if len(shape) == 3:
            values[..., 2] = np.arange(shape[0] * shape[1]).reshape(shape[:2])
        file.write(number, values)
    return file


def epoch_of(batches, plan, epoch):
    made = [batches.make_batch(step) for step in range(epoch * plan.steps, (epoch + 1) * plan.steps)]
    return [np.concatenate(arrays) for arrays in zip(*made, strict=True)]


def test_each_epoch_has_the_photos_in_its_own_order_with_the_features_of_its_view(photos, plan, tmp_path):
    plain = plan.unmixed()
    batches = FeatureBatches(photos, plain, {epoch: view(tmp_path, plan, epoch) for epoch in (0, 1)}, [0, 1, 0, 1, 0])
    epochs = [epoch_of(batches, plain, epoch) for epoch in range(5)]
    for epoch, (features, targets, weights) in enumerate(epochs):
        rows = plain.rows(epoch)
        assert np.array_equal(features[:, 0], rows.index.ravel()) and (features[:, 1] == epoch % 2).all()
        expected = [photos.targets_and_weights(rows.index[i], rows.partner[i], rows.mix[i], rows.loss_weight[i])
                    for i in range(plan.steps)]  # fmt: skip
        assert np.array_equal(targets, np.concatenate([each for each, _ in expected]))
        assert np.array_equal(weights, np.concatenate([each for _, each in expected]))
    assert len({tuple(features[:, 0]) for features, _, _ in epochs}) == 5


def test_features_are_mixed_anew_in_every_epoch_as_their_labels_are(photos, plan, tmp_path):
    batches = FeatureBatches(photos, plan, {0: view(tmp_path, plan, 0)}, [0, 0, 0])
    one_hot = photos.targets_and_weights(np.arange(18), np.arange(18), np.ones(18), np.ones(18))[0]
    pairs = set()
    for epoch in range(3):
        features, targets, weights = epoch_of(batches, plan, epoch)
        rows = plan.rows(epoch)
        index, partner, mix = rows.index.ravel(), rows.partner.ravel(), rows.mix.ravel()
        assert np.allclose(features[:, 0], mix * index + (1 - mix) * partner, atol=1e-4)
        assert np.allclose(targets, mix[:, None] * one_hot[index] + (1 - mix[:, None]) * one_hot[partner], atol=1e-6)
        assert np.array_equal(weights > 0, rows.weight.ravel() > 0)
        pairs.add(tuple(mix))
    assert len(pairs) == 3 and (mix < 0.9).any()


def test_a_rectangle_of_a_map_is_pasted_and_its_area_is_the_partners_share_of_the_label(photos, plan, tmp_path):
    cutting = plan.unmixed()
    cutting.augment = AugmentSettings(cutmix=1.0)
    batches = FeatureBatches(photos, cutting, {0: view(tmp_path, plan, 0, (4, 4, 3))}, [0])
    features, targets, weights = epoch_of(batches, cutting, 0)
    rows = cutting.rows(0)
    index, partner = rows.index.ravel(), rows.partner.ravel()
    assert (features[..., 2] == np.arange(16).reshape(4, 4)).all()  # each cell stays in its place
    is_own = features[..., 0] == index[:, None, None]
    assert (is_own | (features[..., 0] == partner[:, None, None])).all()
    share = is_own.mean((1, 2))
    assert len(set(share)) > 3
    ours, theirs = LABELS[index] + 1, LABELS[partner] + 1  # what their classes weigh
    mixed_weights = (share * ours + (1 - share) * theirs) * rows.weight.ravel()
    ratio = weights[mixed_weights > 0] / mixed_weights[mixed_weights > 0]
    assert np.allclose(ratio, ratio[0], rtol=1e-5) and ((weights == 0) == (mixed_weights == 0)).all()
    one_hot = photos.targets_and_weights(np.arange(18), np.arange(18), np.ones(18), np.ones(18))[0]
    assert np.allclose(targets, share[:, None] * one_hot[index] + (1 - share[:, None]) * one_hot[partner], atol=1e-6)


def test_features_without_a_place_are_blended_where_photos_would_be_cut(photos, plan, tmp_path):
    cutting = plan.unmixed()
    cutting.augment = AugmentSettings(cutmix=1.0)
    features, targets, _ = epoch_of(FeatureBatches(photos, cutting, {0: view(tmp_path, plan, 0)}, [0]), cutting, 0)
    rows = cutting.rows(0)
    index, partner, mix = rows.index.ravel(), rows.partner.ravel(), rows.mix.ravel()
    assert np.allclose(features[:, 0], mix * index + (1 - mix) * partner, atol=1e-4) and (mix < 0.9).any()
    one_hot = photos.targets_and_weights(np.arange(18), np.arange(18), np.ones(18), np.ones(18))[0]
    assert np.allclose(targets, mix[:, None] * one_hot[index] + (1 - mix[:, None]) * one_hot[partner], atol=1e-6)


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
