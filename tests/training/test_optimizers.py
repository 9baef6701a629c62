"""The rate of each step is the table's, on the optimizer itself."""

import keras
import numpy as np
import pytest

from fireweed.models.registry import build_model
from fireweed.settings import TrainingSettings
from fireweed.training.engine import fast_twin
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


@pytest.mark.parametrize("name", ["adam", "adamw", "lamb", "lars", "muon", "sgd"])
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


def test_muon_changes_a_kernel_alike_in_all_directions_and_the_rest_as_adamw_does():
    random = np.random.default_rng(0)
    one_direction = np.outer(random.normal(size=27), np.ones(16)) + 0.05 * random.normal(size=(27, 16))

    def one_step(name):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(16, 3, name="conv"),
            keras.layers.DepthwiseConv2D(3, name="depthwise"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4, name="classes"),
        ])  # fmt: skip
        optimizer = build_optimizer(TrainingSettings(optimizer=name), np.full(1, 0.01, np.float32), model)
        kernel, *others = (np.array(v) for v in model.trainable_variables)
        gradients = [one_direction.reshape(kernel.shape), *(np.cos(np.arange(v.size)).reshape(v.shape) for v in others)]
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype("float32")) for gradient in gradients])
        return [b - np.array(v) for b, v in zip([kernel, *others], model.trainable_variables, strict=True)]

    (muon, *others), (adamw, *adamw_others) = one_step("muon"), one_step("adamw")
    sizes = {
        name: np.linalg.svd(kernel.reshape(27, 16), compute_uv=False)
        for name, kernel in (("muon", muon), ("adamw", adamw))
    }
    assert sizes["muon"].max() < 2.5 * sizes["muon"].min()
    assert sizes["adamw"].max() > 10 * sizes["adamw"].min()
    # as large as AdamW's later steps, so that its rates serve
    assert 0.1 < np.sqrt(np.mean(muon**2)) / np.sqrt(np.mean(adamw**2)) < 0.5
    for ours, theirs in zip(others, adamw_others, strict=True):
        assert np.allclose(ours, theirs, atol=1e-6)


def test_muon_changes_what_is_a_matrix_by_the_kind_of_its_layer():
    model = keras.Sequential([
        keras.Input((8, 8, 4)),
        keras.layers.SeparableConv2D(6, 3, name="separable"),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
        keras.layers.Conv2D(6, 3, name="conv"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(4, name="classes"),
    ])  # fmt: skip
    optimizer = build_optimizer(TrainingSettings(optimizer="muon"), np.full(1, 0.01, np.float32), model)
    by_muon = {v.path for v in model.trainable_variables if not optimizer._should_use_adamw(v)}
    assert sorted("/".join(path.split("/")[-2:]) for path in by_muon) == ["conv/kernel", "separable/pointwise_kernel"]
    before = np.array(model.get_layer("separable").pointwise_kernel)
    direction = np.outer(np.arange(1, 5), np.ones(6)) + 0.05 * np.random.default_rng(0).normal(size=(4, 6))
    gradients = [direction.reshape(v.shape) if v.path.endswith("pointwise_kernel") else np.zeros(v.shape)
                 for v in model.trainable_variables]  # fmt: skip
    optimizer.apply([keras.ops.convert_to_tensor(gradient.astype("float32")) for gradient in gradients])
    change = before - np.array(model.get_layer("separable").pointwise_kernel)
    sizes = np.linalg.svd(change.reshape(4, 6), compute_uv=False)
    assert sizes.max() < 2.5 * sizes.min()


def test_muon_finds_the_same_kernels_in_the_fast_twin():
    plain = build_model("conv 32 | fire 16 32 | sep 32 | gap", 3)
    twin = fast_twin(plain)
    names = []
    for model in (plain, twin):
        optimizer = build_optimizer(TrainingSettings(optimizer="muon"), np.full(1, 0.01, np.float32), model)
        names.append(sorted(v.path for v in model.trainable_variables if not optimizer._should_use_adamw(v)))
    assert names[0] == names[1] and sum(name.endswith("pointwise_kernel") for name in names[0]) == 1


@pytest.mark.parametrize("name", ["adam", "adamw", "lamb", "lars", "muon", "sgd"])
def test_the_backbone_learns_with_its_shares_of_the_rate_by_depth(name):
    rate = 10.0 if name == "lars" else 0.01  # of which it takes a thousandth

    def one_step(**settings):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Conv2D(4, 3, name=f"conv{i}") for i in range(3)]
        head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4, name="classes")]
        model = keras.Sequential([keras.Input((8, 8, 3)), *layers, *head])
        optimizer = build_optimizer(TrainingSettings(optimizer=name, **settings), np.full(1, rate, np.float32), model)
        before = [np.array(v) for v in model.trainable_variables]
        gradients = [np.cos(np.arange(v.size)).reshape(v.shape).astype("float32") for v in before]
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients])
        return [np.array(v) - b for v, b in zip(model.trainable_variables, before, strict=True)]

    whole, shared = one_step(), one_step(backbone_rates=(0.01, 0.25))
    for share, full, part in zip([0.01, 0.01, 0.05, 0.05, 0.25, 0.25, 1, 1], whole, shared, strict=True):
        assert np.allclose(part, share * full, rtol=1e-2, atol=1e-8)


def test_shares_of_the_rate_that_are_none_are_refused():
    with pytest.raises(ValueError, match="two shares of the learning rate"):
        TrainingSettings(backbone_rates=(0.0, 1.0))
