"""The rate of each step is the table's, on the optimizer itself."""

import keras
import numpy as np
import pytest

from fireweed.recipe import TrainingSettings
from fireweed.training.optimizers import TableSchedule, build_optimizer


def test_each_step_takes_its_rate_from_the_table():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    rates = np.array([0.1, 0.5, 0.0, 0.25], np.float32)
    model.compile(build_optimizer(TrainingSettings(optimizer="sgd", momentum=0.0), rates, model), "mse")
    moves, before = [], 0.0
    for _ in range(6):
        model.train_on_batch(np.ones((1, 1)), np.full((1, 1), before + 0.5))  # a gradient of -1
        after = float(np.array(model.weights[0]).item())
        moves.append(after - before)
        before = after
    assert np.allclose(moves, [0.1, 0.5, 0.0, 0.25, 0.25, 0.25], atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_weight_decay_spares_biases_and_norms(name):
    dense = keras.layers.Dense(2, kernel_initializer="ones", bias_initializer="ones")
    model = keras.Sequential([keras.Input((2,)), dense, keras.layers.BatchNormalization()])
    optimizer = build_optimizer(TrainingSettings(optimizer=name, weight_decay=0.5), np.full(1, 0.1, np.float32), model)
    optimizer.apply([keras.ops.zeros(v.shape) for v in model.trainable_variables])
    kernel, bias, gamma, beta = (np.array(v) for v in model.trainable_variables)
    assert (kernel < 1).all()
    assert (bias == 1).all() and (gamma == 1).all() and (beta == 0).all()


def test_schedule_survives_saving():
    schedule = TableSchedule(np.array([1.0, 2.0]))
    again = TableSchedule.from_config(schedule.get_config())
    assert float(again(1)) == 2.0
