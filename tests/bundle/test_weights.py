"""Weights of a file go where they belong, whatever Keras called the layers, or nothing is changed at all."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from fireweed.bundle import write_bundle
from fireweed.bundle.weights import load_weights
from fireweed.errors import BundleError
from fireweed.models.registry import build_model

L = keras.layers


def backbone(photo, scaled=True):
    """A small net in the manner of keras.applications: some layers named, some numbered by Keras."""
    x = L.Conv2D(4, 3, padding="same", name="block1_conv1")(photo)
    x = L.BatchNormalization(name="block1_bn")(x)
    y = L.Conv2D(6, 1)(x)
    y = L.BatchNormalization()(y)
    x = L.SeparableConv2D(6, 3, padding="same", activation="relu", name="block2_sepconv1")(x)
    x = L.Add()([x, y])
    y = L.Conv2D(6, 1)(x)
    y = L.BatchNormalization()(y)
    return L.Add()([x, y])


def keras_net(side=12):
    photo = keras.Input((side, side, 3))
    return randomized(keras.Model(photo, backbone(photo), name="small"))


def own_net(classes=3, side=12, hidden=0):
    photo = keras.Input((side, side, 3), name="photo")
    x = L.GlobalAveragePooling2D(name="gap")(backbone(L.Rescaling(1 / 127.5, offset=-1, name="scaling")(photo)))
    x = L.Dense(hidden, name="hidden")(x) if hidden else x
    return keras.Model(photo, L.Dense(classes, activation="softmax", name="classes")(x))


def randomized(model, seed=5):
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.5, 1.5, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def features(model, photos):
    return keras.Model(model.input, model.get_layer("gap").input).predict_on_batch(photos)


def saved_the_old_way(model, path):
    """Write as keras.applications' downloads are: layer_names and weight_names."""
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3)).astype(np.float32)


@pytest.mark.parametrize("form", [".weights.h5", ".h5"])
def test_backbone_alone_fits_under_another_numbering(tmp_path, photos, form):
    source = keras_net()
    path = tmp_path / f"small{form}"
    source.save_weights(path) if form == ".weights.h5" else saved_the_old_way(source, path)
    model = own_net()  # its numbered layers go on where the source's ended
    numbered = {layer.name for layer in source.layers} & {layer.name for layer in model.layers}
    assert not any(name.startswith(("conv2d", "batch_normalization")) for name in numbered)
    head = model.get_layer("classes").get_weights()
    told = load_weights(model, path)
    assert np.allclose(features(model, photos), source.predict_on_batch(photos / 127.5 - 1), rtol=1e-4, atol=1e-4)
    assert all(np.array_equal(a, b) for a, b in zip(head, model.get_layer("classes").get_weights(), strict=True))
    assert told.startswith(f"7 of 8 layers with weights loaded from small{form} ({source.count_params():,} numbers)")
    assert "'classes' starts at random (not in the file)" in told


def test_swapped_numbers_do_not_swap_layers(tmp_path, photos):
    """Two numbered layers of one shape are told apart by their order, even where their numbers overlap."""

    def net(names):
        photo = keras.Input((12, 12, 3), name="photo")
        x = photo
        for name in names:
            x = L.Conv2D(3, 3, padding="same", name=name)(x)
        return keras.Model(photo, L.Dense(2, name="classes")(L.GlobalAveragePooling2D(name="gap")(x)))

    source, model = randomized(net(["conv2d_1", "conv2d_2", "conv2d_3"])), net(["conv2d", "conv2d_1", "conv2d_2"])
    source.save_weights(tmp_path / "a.weights.h5")
    saved_the_old_way(source, tmp_path / "a.h5")
    for name in ("a.weights.h5", "a.h5"):
        randomized(model, seed=9)
        load_weights(model, tmp_path / name)
        assert np.array_equal(model.predict_on_batch(photos), source.predict_on_batch(photos))


def test_names_count_where_orders_differ(tmp_path, photos):
    def net(order):
        photo = keras.Input((12, 12, 3), name="photo")
        branches = {name: L.Conv2D(3, 3, padding="same", name=name) for name in order}
        x = L.Concatenate()([branches[name](photo) for name in ("left", "right")])
        return keras.Model(photo, L.Dense(2, name="classes")(L.GlobalAveragePooling2D(name="gap")(x)))

    source = randomized(net(["left", "right"]))
    with h5py.File(tmp_path / "a.h5", "w") as file:  # the same layers, listed in another order
        legacy_h5_format.save_weights_to_hdf5_group(file, source)
        file.attrs["layer_names"] = list(reversed(list(file.attrs["layer_names"])))
    model = net(["left", "right"])
    load_weights(model, tmp_path / "a.h5")
    assert np.array_equal(model.predict_on_batch(photos), source.predict_on_batch(photos))


def test_whole_net_and_bundle_load_with_their_classifier(tmp_path, photos):
    source = randomized(own_net())
    source.save_weights(tmp_path / "whole.weights.h5")
    write_bundle(tmp_path, source, {"classes": ["a", "b", "c"], "side": 12, "fit": "crop"})
    source.save(tmp_path / "plain.h5")  # a whole model, the old way
    for path in ("whole.weights.h5", "", "model.keras", "plain.h5"):
        model = own_net()
        assert load_weights(model, tmp_path / path).startswith("8 of 8 layers")
        assert np.array_equal(model.predict_on_batch(photos), source.predict_on_batch(photos))


def test_classifier_of_other_classes_stays_random_and_is_named(tmp_path, photos):
    source = randomized(own_net(classes=7, hidden=5))
    source.save_weights(tmp_path / "a.weights.h5")
    model = own_net(classes=3)
    told = load_weights(model, tmp_path / "a.weights.h5")
    assert told.startswith("7 of 8") and "'classes' starts at random (the file has 5 x 7 and 7 for 6 x 3 and 3)" in told
    assert np.array_equal(features(model, photos), features(source, photos))


def test_sequential_nets_load_too(tmp_path):
    source = randomized(build_model("convnet", classes=4, side=16))
    source.save_weights(tmp_path / "a.weights.h5")
    model = build_model("convnet", classes=2, side=16)
    assert load_weights(model, tmp_path / "a.weights.h5").startswith("4 of 5 layers")
    assert np.array_equal(model.get_layer("conv4").get_weights()[0], source.get_layer("conv4").get_weights()[0])


def test_a_convolution_may_be_the_classifier(tmp_path):
    source = randomized(build_model("squeezenet-1.1", classes=4, side=48))
    source.save_weights(tmp_path / "a.weights.h5")
    assert "'conv10' starts at random" in load_weights(build_model("squeezenet-1.1", classes=2, side=48),
                                                      tmp_path / "a.weights.h5")  # fmt: skip


def test_pretrained_backbone_with_models_inside(tmp_path):
    """ConvNeXt keeps parts of itself in models of their own, and Fireweed's copy of it does not."""
    photo = keras.Input((8, 8, 3))
    stem = keras.Sequential([L.Conv2D(4, 2, strides=2, name="stem_conv"), L.LayerNormalization(name="stem_norm")])
    source = randomized(keras.Model(photo, L.Conv2D(4, 3, padding="same", name="block_conv")(stem(photo))))
    source.save_weights(tmp_path / "a.weights.h5")
    saved_the_old_way(source, tmp_path / "a.h5")
    x = L.LayerNormalization(name="stem_norm")(L.Conv2D(4, 2, strides=2, name="stem_conv")(photo))
    x = L.Conv2D(4, 3, padding="same", name="block_conv")(x)
    for name in ("a.weights.h5", "a.h5"):
        model = keras.Model(photo, L.Dense(2, name="classes")(L.GlobalAveragePooling2D(name="gap")(x)))
        randomized(model, seed=8)
        load_weights(model, tmp_path / name)
        expected = source.predict_on_batch(np.ones((1, 8, 8, 3)))
        assert np.array_equal(features(model, np.ones((1, 8, 8, 3))), expected)


def test_standard_deviations_become_variances(tmp_path):
    """EfficientNet's published files hold standard deviations in the place of variances."""

    def net():
        photo = keras.Input((8, 8, 3))
        return keras.Model(photo, L.Dense(2, name="classes")(L.Flatten()(L.Normalization(name="normalization")(photo))))

    source, model = net(), net()
    source.get_layer("normalization").set_weights([np.zeros(3), np.array([0.229, 0.224, 0.225]), np.array(0)])
    source.save_weights(tmp_path / "a.weights.h5")
    load_weights(model, tmp_path / "a.weights.h5")
    layer = model.get_layer("normalization")
    assert np.allclose(layer(np.full((1, 1, 1, 3), 0.229, np.float32))[0, 0, 0, 0], 1, atol=1e-5)


def other_net():
    photo = keras.Input((12, 12, 3))
    x = L.Conv2D(4, 5, name="block1_conv1")(photo)
    return keras.Model(photo, L.Dense(3, name="classes")(L.GlobalAveragePooling2D()(x)))


def deeper_net():
    photo = x = keras.Input((12, 12, 3))
    for i in range(8):
        x = L.Conv2D(4, 3, padding="same", name=f"conv{i}")(x)
    return keras.Model(photo, L.Dense(3, name="classes")(L.GlobalAveragePooling2D()(x)))


def test_weights_of_another_net_are_refused_and_change_nothing(tmp_path):
    other_net().save_weights(tmp_path / "other.weights.h5")
    deeper_net().save_weights(tmp_path / "deeper.weights.h5")
    model = own_net()
    before = [weight.copy() for weight in model.get_weights()]
    for name in ("other", "deeper"):
        with pytest.raises(BundleError, match="not the weights of this net: its layer 'block1_") as error:
            load_weights(model, tmp_path / f"{name}.weights.h5")
        assert f"{name}.weights.h5" in str(error.value) and "\n" not in str(error.value)
    photo = keras.Input((12, 12, 3))
    x = L.Conv2D(4, 3, padding="same", name="conv1")(L.Conv2D(4, 3, padding="same", name="conv0")(photo))
    shallow = keras.Model(photo, L.Dense(3, name="classes")(L.GlobalAveragePooling2D()(x)))
    with pytest.raises(BundleError, match="larger net: 6 layers have no place in this one, the first is 'conv2'"):
        load_weights(shallow, tmp_path / "deeper.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_hostile_and_broken_weight_files_are_refused(tmp_path):
    model = own_net()
    before = [weight.copy() for weight in model.get_weights()]
    good = tmp_path / "good.weights.h5"
    model.save_weights(good)

    def spoilt(name, change):
        path = tmp_path / name
        path.write_bytes(good.read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    def replaced(place, value):
        def change(file):
            del file[place]
            file[place] = value

        return change

    kernel = "layers/conv2d/vars/0"
    nan = np.full((3, 3, 3, 4), np.nan, np.float32)
    cut = tmp_path / "cut.weights.h5"
    cut.write_bytes(good.read_bytes()[:3000])
    for path, words in (
        (spoilt("soft.weights.h5", replaced(kernel, h5py.SoftLink("/layers/conv2d/vars/1"))), "link"),
        (spoilt("ext.weights.h5", lambda f: f.__setitem__("more", h5py.ExternalLink("/etc/x.h5", "y"))), "link"),
        (spoilt("nan.weights.h5", replaced(kernel, nan)), "not finite"),
        (spoilt("int.weights.h5", replaced(kernel, np.zeros((3, 3, 3, 4), np.int32))), "int32"),
        (spoilt("text.weights.h5", lambda f: f.attrs.__setitem__("layer_names", ["gone"])), "gone"),
        (spoilt("number.weights.h5", lambda f: f.attrs.__setitem__("layer_names", [1, 2])), "layer_names"),
        (spoilt("empty.weights.h5", lambda f: f.__delitem__("layers")), "no layers"),
        (cut, "damaged"),
        (tmp_path / "gone.weights.h5", "not there"),
        (tmp_path / "weights.npz", "not there"),
    ):  # fmt: skip
        with pytest.raises(BundleError, match=words) as error:
            load_weights(model, path)
        assert path.name in str(error.value) and "\n" not in str(error.value)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_pickle_is_never_opened(tmp_path):
    for name in ("weights.pkl", "weights.pt", "weights"):
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
        with pytest.raises(BundleError, match="none of these"):
            load_weights(own_net(), tmp_path / name)


def test_a_keras_file_is_checked_as_a_bundle_is(tmp_path):
    photo = keras.Input((12, 12, 3))
    net = keras.Model(photo, L.Lambda(lambda x: x)(backbone(photo)))
    net.save(tmp_path / "net.keras")
    with pytest.raises(BundleError, match="Lambda"):
        load_weights(own_net(), tmp_path / "net.keras")
