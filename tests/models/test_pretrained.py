"""Nets of keras.applications: scaled once, flat, frozen for good, and weights from wherever they come."""

import keras
import numpy as np
import pytest
from keras import applications, layers

from fireweed.errors import ModelError
from fireweed.models.cost import total_cost
from fireweed.models.pretrained import copy_backbone, features_of, keras_backbone, split_frozen
from fireweed.models.registry import build_model, weight_file

FAMILIES = {
    "xception": applications.xception,
    "mobilenetv2": applications.mobilenet_v2,
    "efficientnet-b0": applications.efficientnet,
    "convnext-tiny": applications.convnext,
    "resnet50v2": applications.resnet_v2,
}
SIDE = 75  # odd all the way down (75, 38, 19, 10, 5, 3), where padding is easily got wrong


def a_photo(side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.float32)


@pytest.mark.parametrize("name", FAMILIES)
def test_c13_pixels_are_scaled_once_inside_the_model(name):
    backbone, model = keras_backbone(name, SIDE), build_model(name, 5, None)
    for layer in backbone.layers:
        if type(layer).__name__ == "LayerScale":
            layer.gamma.assign(0.5 * np.ones(layer.gamma.shape))  # at 1e-6 the blocks would not show in the features
    copy_backbone(backbone, model)
    expected = np.asarray(backbone(FAMILIES[name].preprocess_input(a_photo())))
    features = np.asarray(features_of(model)(a_photo()))
    assert features == pytest.approx(expected, abs=1e-5 * float(np.abs(expected).max()))


@pytest.mark.parametrize("name", ["xception", "convnext-tiny"])
def test_the_net_is_one_flat_graph_of_layers_with_names_of_its_own(name):
    model, again = build_model(name, 5, SIDE), build_model(name, 5, SIDE)
    assert all(isinstance(part, keras.Layer) and not isinstance(part, keras.Model) for part in model.operations)
    assert [layer.name for layer in model.layers] == [layer.name for layer in again.layers]
    assert model.name == name


@pytest.mark.parametrize("name", ["convnext-tiny", "efficientnet-b0"])
def test_a_saved_net_opens_with_plain_keras(name, tmp_path):
    model = build_model(name, 5, 32)
    model.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras", compile=False, safe_mode=True)
    assert np.array_equal(np.asarray(again(a_photo(32))), np.asarray(model(a_photo(32))))


def test_c14_a_frozen_backbone_keeps_every_weight_and_statistic():
    model = build_model("mobilenetv2", 5, 32, freeze=True)
    cost = total_cost(model)
    assert (cost.trainable_parameters, cost.parameters) == (6_405, 2_264_389)
    before = features_of(model).get_weights()
    head = model.get_layer("classes").get_weights()
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    photos = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.float32)
    model.fit(photos, np.arange(6) % 5, batch_size=2, epochs=1, verbose=0)
    for old, new in zip(before, features_of(model).get_weights(), strict=True):
        assert np.array_equal(old, new)
    assert not np.array_equal(head[1], model.get_layer("classes").get_weights()[1])
    features = features_of(model)
    assert np.array_equal(np.asarray(features(photos, training=True)), np.asarray(features(photos, training=False)))


def test_a_frozen_backbone_drops_nothing_out():
    features = features_of(build_model("efficientnet-b0", 5, 32, freeze=True))
    assert np.array_equal(np.asarray(features(a_photo(32), training=True)), np.asarray(features(a_photo(32))))


def test_a_split_net_gives_what_the_whole_net_gives_and_has_its_variables():
    model = build_model("mobilenetv2", 5, None, freeze=True, dropout=0.3)
    backbone, head = split_frozen(model)
    assert backbone.output_shape == (None, 1280) and [layer.name for layer in head.layers[1:]] == ["dropout", "classes"]
    assert np.array_equal(np.asarray(head(backbone(a_photo()))), np.asarray(model(a_photo())))
    kernel, bias = head.trainable_variables
    assert model.trainable_variables[0] is kernel and model.trainable_variables[1] is bias
    assert not backbone.trainable_variables and len(model.weights) == len(backbone.weights) + 2


def test_frozen_up_to_a_layer_what_is_behind_it_learns():
    model = build_model("xception", 5, None, freeze="add_11")
    backbone, head = split_frozen(model, "add_11")
    assert backbone.output_shape == (None, None, None, 1024) and not backbone.trainable_variables
    assert {layer.name.split("_")[0] for layer in head.layers if layer.trainable_variables} == {"block14", "classes"}
    assert len(model.trainable_variables) == len(head.trainable_variables) == 2 * (2 + 2) + 2
    assert np.asarray(head(backbone(a_photo()))) == pytest.approx(np.asarray(model(a_photo())), abs=1e-6)


@pytest.mark.parametrize(
    ("layer", "told"),
    [("add_111", "no layer called 'add_111'.*add_1"), ("block13_sepconv1", "what 'add_10' gives goes past it")],
)
def test_a_layer_that_a_net_cannot_be_frozen_up_to_is_refused(layer, told):
    with pytest.raises(ModelError, match=told):
        build_model("xception", 5, None, freeze=layer)


def test_without_freezing_all_that_can_learn_learns():
    cost = total_cost(build_model("xception", 5, 71))
    assert (cost.parameters, cost.trainable_parameters) == (20_871_725, 20_871_725 - 54_528)


def served(monkeypatch, answer):
    """Let Keras get its weight files from `answer(file name)` instead of from the network."""
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda fname, *_, **__: answer(fname))


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_that_cannot_be_fetched_are_an_error_that_says_which_file_goes_where(name, monkeypatch, tmp_path):
    asked = []

    def offline(file_name):
        asked.append(file_name)
        raise Exception("URL fetch failure on https://storage.googleapis.com: None -- name not known\nmore")

    served(monkeypatch, offline)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        build_model(name, 5, SIDE, weights="imagenet")
    assert asked == [weight_file(name)]
    for words in (name, "name not known", weight_file(name), str(tmp_path / "models"), "--weights FILE"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_efficientnets_imagenet_weights_give_what_keras_makes_of_them(monkeypatch, tmp_path):
    source = keras_backbone("efficientnet-b0", 32)
    norm = next(layer for layer in source.layers if isinstance(layer, layers.Normalization))
    norm.set_weights([np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225]), np.int32(0)])
    source.save_weights(tmp_path / "notop.weights.h5")
    served(monkeypatch, lambda file_name: str(tmp_path / "notop.weights.h5"))
    keras_net = applications.EfficientNetB0(weights="imagenet", include_top=False, input_shape=(32, 32, 3))
    model = build_model("efficientnet-b0", 5, 32, weights="imagenet")
    expected = np.asarray(keras_net(a_photo(32)))
    assert np.asarray(features_of(model)(a_photo(32))) == pytest.approx(
        expected, abs=1e-5 * float(np.abs(expected).max())
    )


def test_the_progress_of_a_download_leaves_standard_output_alone(monkeypatch, tmp_path, capsys):
    def noisy(file_name):
        print("Downloading data from ...")
        raise OSError("no route")

    served(monkeypatch, noisy)
    with pytest.raises(ModelError, match="no route"):
        build_model("mobilenetv2", 5, 32, weights="imagenet")
    captured = capsys.readouterr()
    assert (captured.out, "Downloading" in captured.err) == ("", True)


def test_weights_of_another_net_are_refused():
    with pytest.raises(ModelError, match="another net than 'mobilenetv2'"):
        copy_backbone(keras_backbone("resnet50v2", 32), build_model("mobilenetv2", 5, 32))
