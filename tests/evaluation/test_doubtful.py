"""Wrong labels are ranked before right ones, by predictions of others."""

import numpy as np

from fireweed.evaluation.doubtful import out_of_fold, rank_doubts


def blobs(count: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features of photos whose classes overlap little, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = random.normal(0, 1, (classes, 20))
    return (centres[labels] + random.normal(0, 0.6, (count, 20))).astype(np.float32), labels


def test_swapped_labels_come_first() -> None:
    features, labels = blobs(300)
    wrong = np.random.default_rng(1).choice(300, 6, replace=False)
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1) % 3
    doubts = rank_doubts(out_of_fold(features, given, np.arange(300)), given)
    assert {one.photo for one in doubts[:6]} == set(wrong.tolist())
    assert all(one.suggested == labels[one.photo] for one in doubts[:6])
    assert sum(one.is_likely for one in doubts[:6]) >= 3
    assert all(one.of_suggested > one.of_label for one in doubts)


def test_twins_do_not_vouch_for_each_other() -> None:
    """A photo beside its own copy would be found right by a head that has learned the copy."""
    random = np.random.default_rng(0)
    features = random.normal(0, 1, (120, 60)).astype(np.float32)
    labels = random.integers(0, 2, 120)
    doubled, twice = np.concatenate([features, features]), np.concatenate([labels, labels])

    def share_right(groups: np.ndarray) -> float:
        return float((out_of_fold(doubled, twice, groups).argmax(axis=1) == twice).mean())

    apart, together = share_right(np.arange(240)), share_right(np.concatenate([np.arange(120)] * 2))
    assert together < 0.6 < apart - 0.05


def test_a_class_of_one_photo_is_not_judged_and_a_class_of_two_is() -> None:
    features, labels = blobs(60)
    labels = np.concatenate([labels, [3, 4, 4]])
    features = np.concatenate([features, np.eye(3, 20, dtype=np.float32) * 9])
    told = out_of_fold(features, labels, np.arange(63))
    assert np.isnan(told[60]).all() and np.isfinite(told[:60]).all()
    assert np.allclose(told[:60].sum(axis=1), 1)


def test_nothing_is_told_where_nothing_can_be_learned() -> None:
    features, labels = blobs(3)
    assert np.isnan(out_of_fold(features, labels, np.arange(3))).all()
    assert np.isnan(out_of_fold(features, np.zeros(3, int), np.arange(3))).all()
    assert np.isnan(out_of_fold(features, labels, np.zeros(3, int))).all()
    assert rank_doubts(np.full((3, 3), np.nan), labels) == []
    assert rank_doubts(np.zeros((0, 2)), np.zeros(0, int)) == []


def test_a_class_that_is_never_sure_has_a_lower_bar() -> None:
    """Of class 1 the model is 0.5 sure on average, of class 0 it is 0.9 sure."""
    told = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.45, 0.55], [0.2, 0.8]])
    labels = np.array([0, 0, 1, 1, 0, 1])
    assert [(one.photo, one.is_likely) for one in rank_doubts(told, labels)] == [(4, False)]
    told[5] = [0.55, 0.45]
    assert [(one.photo, one.is_likely) for one in rank_doubts(told, labels)] == [(4, True), (5, False)]
