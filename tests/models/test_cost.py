"""Weights, multiply-adds and receptive fields, against figures that are known or counted by hand."""

import keras
import pytest
from keras import layers

from fireweed.errors import ModelError
from fireweed.models.cost import layer_costs, total_cost
from fireweed.models.registry import build_model


def net_of(*stack, side=12, channels=3):
    return keras.Sequential([keras.Input((side, side, channels)), *stack])


def cost_of(layer, **sizes):
    return layer_costs(net_of(layer, **sizes))[-1]


def test_a_4x4_convolution_from_3_to_5_channels_has_240_weights_and_a_separable_one_63():
    plain = cost_of(layers.Conv2D(5, 4, use_bias=False, padding="same"))
    separable = cost_of(layers.SeparableConv2D(5, 4, use_bias=False, padding="same"))
    assert (plain.parameters, plain.weight_shapes) == (240, ((4, 4, 3, 5),))
    assert (separable.parameters, separable.weight_shapes) == (63, ((4, 4, 3, 1), (1, 1, 3, 5)))
    assert (plain.multiply_adds, separable.multiply_adds) == (240 * 144, 63 * 144)


def test_two_3x3_see_5x5():
    model = net_of(layers.Conv2D(4, 3, padding="same"), layers.Conv2D(4, 3, padding="same"))
    assert [cost.receptive_field_px for cost in layer_costs(model)] == [1, 3, 5]


def test_strides_dilation_and_pools_widen_what_later_layers_see():
    model = net_of(
        layers.Conv2D(4, 3, strides=2), layers.MaxPooling2D(2), layers.Conv2D(4, 3, dilation_rate=2), side=100
    )
    assert [cost.receptive_field_px for cost in layer_costs(model)] == [1, 3, 5, 21]


def test_nothing_sees_more_than_the_photo_and_averages_see_all_of_it():
    model = net_of(layers.Conv2D(4, 11, padding="same"), layers.Conv2D(4, 11, padding="same"), side=12)
    assert [cost.receptive_field_px for cost in layer_costs(model)] == [1, 11, 12]
    assert cost_of(layers.GlobalAveragePooling2D(), side=50).receptive_field_px == 50


def test_a_branch_sees_what_its_widest_part_sees_and_names_its_inputs():
    costs = {cost.name: cost for cost in layer_costs(build_model("inception 2 4", 5, 9))}
    assert costs["inception1_1x1"].receptive_field_px == 1
    assert costs["inception1"].receptive_field_px == 3
    assert costs["inception1"].inputs == ("inception1_1x1_norm", "inception1_3x3_norm")
    assert costs["inception1"].output_shape == (9, 9, 6)
    assert (costs["photo"].inputs, costs["photo"].output_shape) == ((), (9, 9, 3))


@pytest.mark.parametrize(
    ("layer", "multiply_adds"),
    [
        (layers.Conv2D(8, 3, strides=2, padding="same"), 6 * 6 * 9 * 4 * 8),
        (layers.Conv2D(8, 3, padding="same", groups=4), 144 * 9 * 1 * 8),
        (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 144 * 9 * 4 * 2),
        (layers.Dense(7), 144 * 4 * 7),
        (layers.BatchNormalization(), 0),
        (layers.MaxPooling2D(2), 0),
    ],
)
def test_multiply_adds_of_a_layer(layer, multiply_adds):
    assert cost_of(layer, channels=4).multiply_adds == multiply_adds


def test_the_codelabs_net_costs_what_was_counted_elsewhere():
    cost = total_cost(build_model("squeezenet", 5, 192))
    assert (cost.multiply_adds, cost.parameters) == (632_568_048, 120_613)
    assert cost.trainable_parameters == 120_613 - 2 * 656  # a mean and a variance for each of 656 channels


def test_firenet_costs_about_a_quarter_of_it():
    assert total_cost(build_model("firenet", 5, 96)).multiply_adds == pytest.approx(632_568_048 / 4 / 4, rel=0.1)


def test_xception_at_299_px_costs_the_8_4_billion_of_its_paper():
    assert total_cost(build_model("xception", 1000, None), 299).multiply_adds == pytest.approx(8.4e9, rel=0.01)


def test_a_net_for_any_side_costs_at_a_side_what_one_built_for_it_costs():
    flexible, fixed = build_model("separable", 5, None), build_model("separable", 5, 50)
    assert layer_costs(flexible, 50) == layer_costs(fixed)
    with pytest.raises(ModelError, match="say which side"):
        layer_costs(flexible)
    with pytest.raises(ModelError, match="built for photos of 50 px, not 60 px"):
        layer_costs(fixed, 60)


def test_the_layers_of_a_sequential_net_add_up_to_its_parameters():
    model = build_model("convnet", 5, 32)
    costs = layer_costs(model)
    assert sum(cost.parameters for cost in costs) == model.count_params() == total_cost(model).parameters
    assert [cost.inputs for cost in costs[1:]] == [(cost.name,) for cost in costs[:-1]]
