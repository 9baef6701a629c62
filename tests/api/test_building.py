"""The photos that a training is given beside its batches."""

from pathlib import Path

import numpy as np
import pytest

from fireweed.api.building import NORM_BATCH, TrainingParts, build_for_training, seed_everything
from fireweed.api.preparing import prepare_data
from fireweed.data.decode import decode_square
from fireweed.recipe import checked
from fireweed.reporting import Reporter

RECIPE = checked({
    "augment": {"crop": [0.2, 0.5], "flip": True},
    "training": {"phases": [{"side": 16, "epochs": 1}], "evaluation_scale": 1.5, "batch": 8},
})  # fmt: skip


@pytest.fixture
def parts(make_photos, tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "cache"))
    catalog = prepare_data(str(make_photos({"cats": 70, "dogs": 60})), RECIPE.data, Reporter(is_silent=True)).catalog
    made = TrainingParts(RECIPE, catalog, None)
    yield made
    made.close()


def test_norm_statistics_come_from_all_training_photos_as_validation_has_them(parts):
    training = parts.training_cache.photos
    given = list(parts.input().unchanged(10_000))
    few = list(parts.input().unchanged(5))
    assert NORM_BATCH < len(training) < 2 * NORM_BATCH  # so that a whole batch would leave some out
    assert [len(batch) for batch in given] == [-(-len(training) // 2), len(training) // 2]
    assert [batch.shape for batch in few] == [(5, 24, 24, 3)]
    squares = {decode_square(Path(photo.path).read_bytes(), 24, "crop").tobytes() for photo in training}
    assert {photo.tobytes() for photo in np.concatenate(given)} == squares
    assert all(photo.tobytes() in squares for photo in few[0])


def test_photos_that_vanished_meanwhile_come_from_the_store_or_are_left_out(parts):
    photos = parts.training_cache.photos
    Path(photos[7].path).unlink()
    before = sum(len(batch) for batch in parts.input().unchanged(10_000))
    assert before == len(photos) - 1
    for photo in photos:
        Path(photo.path).unlink(missing_ok=True)
    assert sum(len(batch) for batch in parts.input().unchanged(10_000)) == before


def test_first_weights_do_not_depend_on_what_was_built_before():
    recipe = checked({"model": {"name": "conv 4 | gap"}, "training": {"phases": [{"side": 16, "epochs": 1}]}})
    weights = []
    for _ in range(2):  # the second time after the first net
        seed_everything(3, False, "float32")
        weights.append(build_for_training(recipe, 2)[0].get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
