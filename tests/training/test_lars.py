"""LARS against its formula, computed by hand in float64."""

import keras
import numpy as np
import pytest

from fireweed.training.lars import Lars


def variables():
    kernel = keras.Variable(np.array([[3.0, 0.0], [0.0, 4.0]], np.float32), name="kernel")
    bias = keras.Variable(np.array([3.0, 4.0], np.float32), name="bias")
    return [kernel, bias]


def test_steps_are_those_of_the_formula():
    kernel, bias = variables()
    optimizer = Lars(learning_rate=2.0, momentum=0.5, decay=0.1, trust=0.01)
    optimizer.build([kernel, bias])
    weights, velocity = np.array(kernel, np.float64), 0.0
    plain, plain_velocity = np.array(bias, np.float64), 0.0
    for gradient in (np.array([[6.0, 0.0], [0.0, 8.0]]), np.array([[0.0, 1.0], [2.0, 0.0]])):
        slope = gradient.sum(axis=0)
        optimizer.apply([keras.ops.convert_to_tensor(value.astype("float32")) for value in (gradient, slope)])
        size = np.linalg.norm(weights)
        share = 0.01 * size / (np.linalg.norm(gradient) + 0.1 * size)
        velocity = 0.5 * velocity + 2.0 * share * (gradient + 0.1 * weights)
        weights = weights - velocity
        plain_velocity = 0.5 * plain_velocity + 2.0 * slope
        plain = plain - plain_velocity
        assert np.allclose(np.array(kernel), weights, rtol=1e-6)
        assert np.allclose(np.array(bias), plain, rtol=1e-6)


def test_first_step_of_numbers_worked_out_on_paper():
    kernel, bias = variables()
    optimizer = Lars(learning_rate=1.0, momentum=0.9, trust=0.01)
    optimizer.build([kernel, bias])
    optimizer.apply([keras.ops.convert_to_tensor(np.array(v, np.float32)) for v in ([[6, 0], [0, 8]], [0.5, 0.25])])
    assert np.allclose(np.array(kernel), [[2.97, 0.0], [0.0, 3.96]])  # 0.01 x 5 / 10 of the gradient
    assert np.allclose(np.array(bias), [2.5, 3.75])


@pytest.mark.parametrize(("weights", "gradient"), [([0.0, 0.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 0.0])])
def test_a_kernel_or_a_gradient_of_zeros_leaves_numbers(weights, gradient):
    kernel = keras.Variable(np.array(weights, np.float32), name="kernel")
    optimizer = Lars(learning_rate=0.5, momentum=0.0)
    optimizer.build([kernel])
    optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient, np.float32))])
    assert np.allclose(np.array(kernel), np.array(weights) - 0.5 * np.array(gradient))


def test_a_rate_that_would_blow_up_sgd_trains():
    random = np.random.default_rng(0)
    inputs = (100 * random.normal(size=(64, 8))).astype("float32")
    targets = inputs @ random.normal(size=(8, 1)).astype("float32")

    def losses(optimizer):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, use_bias=False)])
        model.compile(optimizer, "mse")
        found = []
        for _ in range(300):
            model.reset_metrics()
            found.append(float(model.train_on_batch(inputs, targets)))
        return found

    lars = losses(Lars(learning_rate=20.0, momentum=0.0))
    sgd = losses(keras.optimizers.SGD(learning_rate=20.0))
    assert lars[-1] < 0.01 * lars[0]
    assert not np.isfinite(sgd[-1])


def test_survives_saving():
    again = Lars.from_config(Lars(learning_rate=3.0, momentum=0.8, decay=0.01, trust=0.002).get_config())
    assert (again.momentum, again.decay, again.trust) == (0.8, 0.01, 0.002)
    assert again.plain_names == ("bias", "gamma", "beta")
