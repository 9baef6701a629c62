"""The photos that a training is given beside its batches."""

from pathlib import Path

import numpy as np

from fireweed.api.building import NORM_BATCH, TrainingParts
from fireweed.api.preparing import prepare_data
from fireweed.data.decode import decode_square
from fireweed.recipe import checked
from fireweed.reporting import Reporter


def test_norm_statistics_come_from_training_photos_as_validation_sees_them(make_photos):
    recipe = checked({
        "augment": {"crop": [0.2, 0.5], "flip": True},
        "training": {"phases": [{"side": 16, "epochs": 1}], "evaluation_scale": 1.5, "batch": 8},
    })  # fmt: skip
    data = make_photos({"cats": 70, "dogs": 60})
    catalog = prepare_data(str(data), recipe.data, Reporter(is_silent=True)).catalog
    parts = TrainingParts(recipe, catalog, None)
    try:
        given = list(parts.input().unchanged(10_000))
        few = list(parts.input().unchanged(5))
    finally:
        parts.close()
    training = catalog.part("train")
    assert [batch.shape for batch in given] == [(NORM_BATCH, 24, 24, 3)] * (len(training) // NORM_BATCH)
    assert [batch.shape for batch in few] == [(5, 24, 24, 3)]
    squares = {decode_square(Path(photo.path).read_bytes(), 24, "crop").tobytes() for photo in training.photos}
    assert all(photo.tobytes() in squares for photo in np.concatenate([*given, *few]))
