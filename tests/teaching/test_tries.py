"""The playground's table: nets trained alike, kept with what they reached and cost, sorted as asked."""

import keras
import numpy as np
import pytest

from fireweed.errors import ModelError
from fireweed.teaching import LessonPhotos, Tries
from fireweed.teaching.tries import STEPS_WITHOUT_GRAPH


@pytest.fixture(scope="module")
def photos():
    random = np.random.default_rng(0)
    labels = np.arange(12) % 2
    images = np.clip(random.normal(60 + 120 * labels[:, None, None, None], 20, (12, 8, 8, 3)), 0, 255).astype(np.uint8)
    return LessonPhotos(images, labels, images[:6], labels[:6], ("dark", "bright"))


@pytest.fixture(scope="module")
def tries(photos):
    tries = Tries(photos, epochs=2)
    tries.add("conv 4 | gap")
    tries.add("conv 8 | pool | fire 2 4 | gap", name="<fire>")
    return tries


def test_a_try_tells_what_it_reached_and_cost(tries):
    first = tries.rows[0]
    assert first.name == first.line == "conv 4 | gap"
    assert first.accuracy == pytest.approx(np.mean(first.history["val_accuracy"]))
    assert len(first.history["accuracy"]) == 2
    assert first.parameters == first.model.count_params()
    assert first.multiply_adds == 8 * 8 * 3 * 9 * 4 + 4 * 2
    assert tries["<fire>"] is tries.rows[1]


@pytest.mark.parametrize("column", ["parameters", "multiply_adds", "seconds"])
def test_the_table_is_sorted_by_what_is_asked(tries, column):
    values = [getattr(row, column) for row in tries.sorted(column).rows]
    assert values == sorted(values)
    accuracies = [row.accuracy for row in tries.sorted().rows]
    assert accuracies == sorted(accuracies, reverse=True)
    with pytest.raises(ValueError, match="sorted by accuracy, parameters"):
        tries.sorted("beauty")


def test_a_graph_is_drawn_only_where_there_are_steps_to_make_up_for_it(tries, photos):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow can do without")
    assert tries.rows[0].model.run_eagerly
    longer = Tries(photos, epochs=STEPS_WITHOUT_GRAPH + 1)
    assert not longer.add("conv 2 | gap").model.run_eagerly


def test_the_table_shows_in_text_and_in_a_notebook(tries):
    assert "conv 4 | gap" in repr(tries)
    page = tries._repr_html_()
    assert "<table>" in page
    assert "&lt;fire&gt;" in page


def test_only_training_photos_are_changed_and_anew_in_each_epoch(photos):
    seen = []

    def changed(images):
        seen.append(images.copy())
        return images[:, :, ::-1]

    Tries(photos, epochs=3).add("conv 2 | gap", change=changed)
    assert len(seen) == 3
    assert all(np.array_equal(images, photos.train) for images in seen)


def test_an_error_in_the_line_adds_no_row(photos):
    tries = Tries(photos, epochs=1)
    with pytest.raises(ModelError, match="conv"):
        tries.add("conf 4 | gap")
    assert not tries.rows
