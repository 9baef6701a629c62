"""Labels that are likely wrong: photos of which predictions by others than themselves say something else.

After "confident learning": Northcutt, Jiang, Chuang, arXiv 1911.00068.
"""

from dataclasses import dataclass

import numpy as np

FOLDS = 5
MOST_COMPONENTS = 256  # of the features; more cost time and told errors no better
STRENGTH = 0.01  # of the head: inverse of the penalty, scikit-learn's C, on standardised features


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
    (confident learning's threshold, which makes up for a class that a model is never sure of). Likely ones come first;
    among equals the margin decides, by which the other class is more probable than the label.

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
    likely = best[doubtful] >= thresholds[suggested[doubtful]]
    margin = best[doubtful] - own[doubtful]
    order = np.lexsort((doubtful, -margin, ~likely))
    return [
        Doubt(int(i), int(suggested[i]), float(own[i]), float(best[i]), bool(is_likely))
        for i, is_likely in zip(doubtful[order], likely[order], strict=True)
    ]


def out_of_fold(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return what a quick head says of each photo having learned from others: float64 of shape (photos, classes).

    The head is a logistic regression on the principal components of the features. Photos are dealt to folds by class,
    twins to one fold. A photo none of whose class is in the other folds cannot be judged, and its row is NaN.

    Args:
        features: float32 of shape (photos, width).
        labels: int64 of shape (photos,).
        groups: int64 of shape (photos,), equal for twins.
    """
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    classes = int(labels.max()) + 1 if len(labels) else 0
    told = np.full((len(labels), classes), np.nan)
    folds = min(FOLDS, len(np.unique(groups)))
    if folds < 2 or len(np.unique(labels)) < 2:
        return told
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer photos than folds, which are dealt with
        folding = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        parts = list(folding.split(features, labels, groups))
    for others, own in parts:
        known = np.unique(labels[others])
        if len(known) < 2:
            continue
        head = _head(min(MOST_COMPONENTS, features.shape[1], len(others) - 1), seed).fit(
            features[others], labels[others]
        )
        rows = np.zeros((len(own), classes))
        rows[:, known] = head.predict_proba(features[own])
        rows[~np.isin(labels[own], known)] = np.nan
        told[own] = rows
    return told


def _head(components: int, seed: int):  # type: ignore[no-untyped-def]  # a scikit-learn pipeline
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        StandardScaler(),
        PCA(components, svd_solver="randomized", random_state=seed),
        LogisticRegression(C=STRENGTH, max_iter=200),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.inf
