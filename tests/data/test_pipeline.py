"""Batches carry out the plan: the right photos, changed as planned, and only training photos are changed."""

import time
from pathlib import Path

import numpy as np
import pytest

from fireweed.data.catalog import Photo
from fireweed.data.changes import AugmentSettings
from fireweed.data.decode import decode_square
from fireweed.data.pipeline import Batches
from fireweed.data.plan import Plan
from fireweed.data.squares import SquareCache
from fireweed.devices.hosts import Hosts
from fireweed.errors import DataError
from fireweed.files import sha256_of


@pytest.fixture
def photos(make_photos):
    folder = make_photos({"a": 9, "b": 7}, side=40)
    paths = sorted(folder.glob("*/*.png"))
    return [Photo(str(p), int(p.parent.name == "b"), key=sha256_of(p), name=p.name) for p in paths]


def labels_of(photos):
    return np.array([p.label for p in photos])


def epochs_of(photos, augment, epochs, batch=4, side=32, **options):
    """Return images, targets and weights of whole epochs, through tf.data."""
    plan = Plan(1, [p.key for p in photos], labels_of(photos), batch, augment)
    batches = Batches(SquareCache(photos, side, "crop"), labels_of(photos), 2, batch, **options)
    got = list(batches.training(plan, side, 0, epochs * plan.steps).as_numpy_iterator())
    images, targets, weights = (np.concatenate(part) for part in zip(*got, strict=True))
    per_epoch = plan.steps * batch
    order = np.concatenate([plan.rows(e).index.ravel() for e in range(epochs)])
    return images.reshape(epochs, per_epoch, side, side, 3), targets, weights, order.reshape(epochs, per_epoch)


def test_without_augmentation_every_epoch_gives_the_decoded_photos(photos):
    images, targets, weights, order = epochs_of(photos, None, 2)
    for epoch in range(2):
        assert sorted(order[epoch]) == list(range(16))
        for image, index in zip(images[epoch], order[epoch], strict=True):
            assert np.array_equal(image, decode_square(Path(photos[index].path).read_bytes(), 32, "crop"))
    assert (order[0] != order[1]).any()
    assert np.array_equal(targets.argmax(1), labels_of(photos)[order.ravel()]) and (weights == 1).all()


def test_each_epoch_changes_each_photo_anew_and_a_second_run_repeats_it(photos):
    first = epochs_of(photos, AugmentSettings(saturation=(0.0, 2.0), brightness=0.2), 4)
    again = epochs_of(photos, AugmentSettings(saturation=(0.0, 2.0), brightness=0.2), 4)
    assert np.array_equal(first[0], again[0])
    images, order = first[0], first[3]
    for photo in range(16):
        versions = {images[e][order[e] == photo][0].tobytes() for e in range(4)}
        assert len(versions) == 4


def test_a_training_that_starts_in_the_middle_gets_the_same_batches(photos):
    plan = Plan(3, [p.key for p in photos], labels_of(photos), 4, AugmentSettings(flip=True, crop=(0.4, 1.0)))
    batches = Batches(SquareCache(photos, 32, "crop"), labels_of(photos), 2, 4)
    whole = list(batches.training(plan, 24, 0, 12).as_numpy_iterator())
    rest = list(batches.training(plan, 24, 7, 12).as_numpy_iterator())
    assert whole[0][0].shape == (4, 24, 24, 3) and len(rest) == 5
    for ours, theirs in zip(whole[7:], rest, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_evaluation_is_in_order_unchanged_and_counts_each_photo_once(photos):
    batches = Batches(SquareCache(photos, 24, "pad"), labels_of(photos), 2, 6)
    got = list(batches.evaluation().as_numpy_iterator())
    weights = np.concatenate([w for _, _, w in got])
    images = np.concatenate([i for i, _, _ in got])[weights > 0]
    assert (weights > 0).sum() == 16 and weights[weights > 0][0] == pytest.approx(18 / 16)
    for image, photo in zip(images, photos, strict=True):
        assert np.array_equal(image, decode_square(Path(photo.path).read_bytes(), 24, "pad"))
    # so that Keras's mean over the batches of a loss is the mean over the photos
    losses = np.arange(18.0)
    assert np.mean(losses * weights) == pytest.approx(losses[weights > 0].mean())


def test_mixing_smoothing_and_class_weights_shape_targets_and_weights(photos):
    plan = Plan(1, [p.key for p in photos], labels_of(photos), 16, AugmentSettings(mixup=1.0), weights_per_class=[1, 3])
    batches = Batches(SquareCache(photos, 16, "crop"), labels_of(photos), 2, 16, label_smoothing=0.1)
    rows = plan.rows(0)
    images, targets, weights = batches.make_batch(rows, 16)
    one_hot = np.array([[0.95, 0.05], [0.05, 0.95]])
    for place in range(16):
        own, other = labels_of(photos)[rows.index[0, place]], labels_of(photos)[rows.partner[0, place]]
        share = rows.mix[0, place]
        weight = share * [1, 3][own] + (1 - share) * [1, 3][other]
        assert np.allclose(targets[place], share * one_hot[own] + (1 - share) * one_hot[other], atol=1e-5)
        assert weights[place] == pytest.approx(weight, rel=1e-5)
    assert not np.array_equal(images[0], batches.cache.gather(rows.index[0])[0])


def test_it_is_known_when_the_batch_of_each_step_was_ready(photos):
    plan = Plan(1, [p.key for p in photos], labels_of(photos), 4)
    batches = Batches(SquareCache(photos, 16, "crop"), labels_of(photos), 2, 4)
    before = time.monotonic()
    list(batches.training(plan, 16, 4, 12))
    made = [batches.made_at(step) for step in range(4, 12)]
    assert all(before < at < time.monotonic() for at in made) and batches.made_at(3) == 0


def test_a_photo_that_vanishes_is_named(photos, tmp_path):
    Path(photos[5].path).unlink()
    plan = Plan(1, [p.key for p in photos], labels_of(photos), 16)
    batches = Batches(SquareCache(photos, 16, "crop"), labels_of(photos), 2, 16)
    with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
        list(batches.training(plan, 16, 0, 1))
    assert isinstance(batches.failure, DataError) and photos[5].name in str(batches.failure)


def test_hosts_make_their_own_positions_of_each_batch_with_the_weights_of_the_whole_one(photos):
    """Two hosts' batches are the even and the odd places of one host's, in training and in validation."""
    settings = AugmentSettings(flip=True, saturation=(0.5, 1.5), mixup=0.4)

    def batches_of(hosts):
        plan = Plan(1, [p.key for p in photos], labels_of(photos), 6, settings, [0.5, 2.0], hosts.count, hosts.index)
        made = Batches(SquareCache(photos, 24, "crop"), labels_of(photos), 2, 6, 0.1, hosts)
        training = made.training(plan, 24, 0, 2 * plan.steps)
        return [list(one.as_numpy_iterator()) for one in (training, made.evaluation())]

    whole = batches_of(Hosts())
    for host in range(2):
        for ours, everyones in zip(batches_of(Hosts(2, host)), whole, strict=True):
            assert len(ours) == len(everyones)
            for own, full in zip(ours, everyones, strict=True):
                # 16 photos leave two places of the last batch; of which photo they are does not matter at weight 0
                counted = full[2][host::2] > 0
                assert np.array_equal(own[2], full[2][host::2])
                for mine, all_of_them in zip(own, full, strict=True):
                    assert np.array_equal(mine[counted], all_of_them[host::2][counted])


def test_batches_of_a_host_refuse_the_plan_of_another(photos):
    plan = Plan(1, [p.key for p in photos], labels_of(photos), 4, hosts=2, host=1)
    with pytest.raises(ValueError, match="another host's"):
        Batches(SquareCache(photos, 16, "crop"), labels_of(photos), 2, 4, hosts=Hosts(2, 0)).training(plan, 16, 0, 1)
