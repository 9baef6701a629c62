"""The nets trained from scratch: parameter counts, shapes, sides, precision, saving."""

import keras
import numpy as np
import pytest

from fireweed.models import blocks
from fireweed.models.registry import ENTRIES, build_model

SCRATCH = [name for name, entry in ENTRIES.items() if not entry.pretrained]
ANY_SIDE = [name for name in SCRATCH if not ENTRIES[name].has_flatten]


def photos(side: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("squeezenet", 5, 120_613),
        ("firenet", 5, 188_893),
        ("squeezenet-1.0", 1000, 1_248_424),
        ("squeezenet-1.1", 1000, 1_235_496),
        ("dense", 5, 192 * 192 * 3 * 500 + 500 + 500 * 50 + 50 + 50 * 5 + 5),
        ("convnet", 5, 672 + 5_208 + 2_604 + 654 + 48 * 48 * 6 * 5 + 5),
        ("convnet-1x1", 5, 896 + 3 * 9_248 + 4 * 1_056 + 4_624 + 136 + 12 * 12 * 8 * 5 + 5),
    ],
)
def test_parameter_counts_are_those_of_the_codelab_and_the_paper(name, classes, parameters):
    assert build_model(name, classes).count_params() == parameters


def test_the_notebooks_convnet_is_a_line_with_its_parameter_count():
    line = (
        "norm none | conv 16 | conv 30 | pool | conv 60 | pool | conv 90 | pool | conv 110 | pool | "
        "conv 130 | conv 40 1 | gap"
    )
    assert build_model(line, 5).count_params() == 293_233


@pytest.mark.parametrize("name", SCRATCH)
def test_photos_become_probabilities_and_a_saved_net_repeats_them(name, tmp_path):
    side = max(36, ENTRIES[name].min_side_px)
    model = build_model(name, 7, side)
    answers = np.asarray(model(photos(side)))
    assert answers.shape == (2, 7)
    assert answers.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    model.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras", compile=False, safe_mode=True)
    assert np.array_equal(np.asarray(again(photos(side))), answers)


@pytest.mark.parametrize("name", ANY_SIDE)
def test_a_net_for_any_side_gives_what_one_for_that_side_gives(name):
    flexible, fixed = build_model(name, 3, None), build_model(name, 3, 45)
    assert flexible.input_shape == (None, None, None, 3)
    fixed.set_weights(flexible.get_weights())
    assert np.asarray(flexible(photos(45))) == pytest.approx(np.asarray(fixed(photos(45))), abs=1e-6)


@pytest.mark.parametrize("name", ["convnet", "flatten"])
def test_a_net_that_flattens_has_its_default_side(name):
    assert build_model(name).input_shape == (None, 192, 192, 3)


@pytest.mark.parametrize("name", ["squeezenet", "squeezenet-1.1"])
def test_the_last_softmax_is_float32_under_half_precision(name):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(name, 5, 32)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert model.layers[-1].compute_dtype == "float32"
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert model.get_layer("scaling").compute_dtype == "float32"
    assert str(np.asarray(model(photos(32))).dtype) == "float32"


def test_variables_are_called_the_same_whatever_was_built_before():
    names = [variable.path for variable in build_model("squeezenet", 5, 16).variables]
    assert names == [variable.path for variable in build_model("squeezenet", 5, 16).variables]
    assert names[0] == "conv1/kernel"


def test_relu_comes_before_the_norm_and_the_convolution_keeps_its_bias():
    model = build_model("squeezenet", 5, 16)
    names = [layer.name for layer in model.layers]
    conv, norm = model.get_layer("conv1"), model.get_layer("conv1_norm")
    assert names.index("conv1_norm") == names.index("conv1") + 1
    assert (conv.activation.__name__, conv.use_bias, norm.momentum) == ("relu", True, 0.9)


def test_the_papers_nets_have_no_batch_norm_and_drop_half():
    for name in ("squeezenet-1.0", "squeezenet-1.1"):
        model = build_model(name, 5, 36)
        assert not [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert model.get_layer("dropout").rate == 0.5


@pytest.mark.parametrize("name", ["squeezenet", "dense", "conv 8 | gap"])
def test_dropout_sits_before_the_classes(name):
    model = build_model(name, 5, 16, dropout=0.25)
    assert [layer.name for layer in model.layers[-2:]] == ["dropout", "classes"]
    assert model.layers[-2].rate == 0.25


def test_separable_adds_shortcuts():
    model = build_model("separable", 5, 16)
    assert len([layer for layer in model.layers if isinstance(layer, keras.layers.Add)]) == 5


def test_an_inception_module_has_its_two_sizes_side_by_side():
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, blocks.inception(x, 5, 7, name="module", momentum=None))
    assert model.output_shape == (None, 8, 8, 12)
    assert [model.get_layer(f"module_{size}").kernel.shape for size in ("1x1", "3x3")] == [(1, 1, 3, 5), (3, 3, 3, 7)]
