"""Labels that are likely wrong: photos of which predictions by others than themselves say something else.

After "confident learning": Northcutt, Jiang, Chuang, arXiv 1911.00068.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from threadpoolctl import threadpool_limits

FOLDS = 5
MOST_COMPONENTS = 256  # of the features: the head's time grows with them
# Of the head: scikit-learn's C, the inverse of the penalty; more for few photos, since C weighs the sum of losses.
STRENGTH, STRENGTH_TIMES_PHOTOS = 0.003, 9.0
MOST_STEPS = 200


@dataclass(frozen=True, slots=True)
class Doubt:
    """A photo whose label is not what it was predicted to be.

    photo:     its position among those judged.
    suggested: position of the class that it was taken for.
    of_label, of_suggested: the probabilities of the two.
    is_likely: whether the suggested class is as probable as it is, on average, of photos labelled so.
    """

    photo: int
    suggested: int
    of_label: float
    of_suggested: float
    is_likely: bool


def rank_doubts(probabilities: np.ndarray, labels: np.ndarray) -> list[Doubt]:
    """Return the photos that were taken for another class than their label says, the most doubtful first.

    A photo is likely mislabelled where another class is at least as probable as the mean over the photos of that class
    (confident learning's threshold, which makes up for a class that a model is never sure of). The order is that of the
    label's own probability, the least probable first.

    Args:
        probabilities: of shape (photos, classes), by a model that did not learn from the photo judged; a row that is
            not finite is left out.
        labels: int64 of shape (photos,).
    """
    count, classes = probabilities.shape
    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    if classes < 2 or not len(judged):
        return []
    own = np.full(count, np.nan)
    own[judged] = probabilities[judged, labels[judged]]
    thresholds = np.array([_mean(own[judged][labels[judged] == label]) for label in range(classes)])
    others = np.where(np.isfinite(probabilities), probabilities, -np.inf)
    others[np.arange(count), labels] = -np.inf
    suggested = others.argmax(axis=1)
    best = others[np.arange(count), suggested]
    doubtful = judged[best[judged] > own[judged]]
    return [
        Doubt(int(i), int(suggested[i]), float(own[i]), float(best[i]), bool(best[i] >= thresholds[suggested[i]]))
        for i in doubtful[np.argsort(own[doubtful], kind="stable")]
    ]


def out_of_fold(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return what a quick head says of each photo having learned from others: float64 of shape (photos, classes).

    The head is a logistic regression on the principal components of the features, which are found once, without labels.
    Photos are dealt to folds by class, twins to one fold. A photo none of whose class is in the other folds cannot be
    judged, and its row is NaN.

    Args:
        features: float32 of shape (photos, width).
        labels: int64 of shape (photos,).
        groups: int64 of shape (photos,), equal for twins.
    """
    from sklearn.linear_model import LogisticRegression

    classes = int(labels.max()) + 1 if len(labels) else 0
    told = np.full((len(labels), classes), np.nan)
    folds = min(FOLDS, len(np.unique(groups)), int(np.bincount(labels).max(initial=0)))
    if folds < 2 or len(np.unique(labels)) < 2:
        return told
    with _one_thread():
        parts = _components(features, seed)
        for others, own in _folds(parts, labels, groups, folds, seed):
            known = np.unique(labels[others])
            if len(known) < 2:
                continue
            strength = max(STRENGTH, STRENGTH_TIMES_PHOTOS / len(others))
            head = LogisticRegression(C=strength, max_iter=MOST_STEPS).fit(parts[others], labels[others])
            rows = np.zeros((len(own), classes))
            rows[:, known] = head.predict_proba(parts[own])
            rows[~np.isin(labels[own], known)] = np.nan
            told[own] = rows
    return told


def _folds(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the positions of the others and of its own photos, of each fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer photos than folds, which are dealt with
        return list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(features, labels, groups))


def _components(features: np.ndarray, seed: int) -> np.ndarray:
    """Return the principal components of the standardised features, float32 of shape (photos, components)."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    count = min(MOST_COMPONENTS, features.shape[1], len(features) - 1)
    scaled = StandardScaler().fit_transform(features)
    return PCA(count, svd_solver="randomized", random_state=seed).fit_transform(scaled).astype(np.float32)


def _one_thread() -> "threadpool_limits":
    """Return a context in which matrices are multiplied by one thread.

    The steps are small: threads that wait for each other by spinning made them six times as slow on a busy machine.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.inf
