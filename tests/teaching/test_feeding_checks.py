"""The checks of lab 2 take other ways to the right answer, and say what is wrong with answers that are not."""

import ml_dtypes
import numpy as np
import pytest

from fireweed.teaching import checks


def test_other_ways_to_the_right_answer_are_right():
    assert checks.check_busy_share(lambda rows, side: np.float64(rows) / (rows + side + side - 2))
    assert checks.check_pipeline_rate(lambda rates, at_once: min(rates) if at_once else 1 / sum(1 / r for r in rates))
    assert checks.check_combined(lambda gradients, counts: np.average(gradients, axis=0, weights=counts))
    assert checks.check_sent_numbers(lambda devices, weights: 2 * (weights - weights / devices))
    assert checks.check_to_bfloat16(lambda values: (values.view(np.int32) >> 16 << 16).view(np.float32))


@pytest.mark.parametrize(
    ("check", "answer", "word"),
    [
        (checks.check_busy_share, lambda rows, side: rows / (rows + side - 1), "come down through the rows below"),
        (checks.check_busy_share, lambda rows, side: rows, "a share is at most 1"),
        (checks.check_pipeline_rate, lambda rates, at_once: rates.min(), "the seconds that a photo spends"),
        (checks.check_pipeline_rate, lambda rates, at_once: rates.sum(), "neither add up nor average"),
        (checks.check_combined, lambda gradients, counts: gradients.mean(axis=0), "with few photos counts as much"),
        (checks.check_sent_numbers, lambda devices, weights: 2 * weights, "one step less than there are devices"),
        (checks.check_to_bfloat16, lambda values: values, "Nothing is cut"),
        (checks.check_to_bfloat16, lambda values: values.astype(np.float16), "That is float16"),
        (checks.check_to_bfloat16, lambda values: values.astype(ml_dtypes.bfloat16), "You round"),
    ],
)
def test_a_wrong_answer_is_told_its_own_mistake(check, answer, word):
    verdict = check(answer)
    assert not verdict
    assert word in verdict.words


def test_a_record_is_read_in_the_graph_as_well():
    import tensorflow as tf

    wanted = {"image": tf.io.FixedLenFeature([], tf.string), "class": tf.io.FixedLenFeature([], tf.int64)}

    def read(record):
        found = tf.io.parse_single_example(record, wanted)
        return tf.io.decode_image(found["image"], channels=3), tf.cast(found["class"], tf.int32)

    assert checks.check_read_record(read)

    def eager_only(record):
        photo, label = read(record)
        return photo.numpy(), label.numpy()

    verdict = checks.check_read_record(eager_only)
    assert not verdict
    assert "numpy" in verdict.words
    assert "two things" in checks.check_read_record(lambda record: read(record)[0]).words
    assert "stay uint8" in checks.check_read_record(lambda record: (read(record)[0] / 255, read(record)[1])).words
