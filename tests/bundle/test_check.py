"""A model file from a stranger: everything that a bundle does not hold is refused before Keras sees any of it."""

import copy
import hashlib
import json
import os
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest

from fireweed.bundle import open_bundle
from fireweed.errors import BundleError
from hdf5_changes import changed_hdf5, put

CLASSES = ["daisy", "rose", "tulip"]
SIDE = 8


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The three members of a good .keras file."""
    photo = keras.Input((SIDE, SIDE, 3), name="photo")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(photo)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D(name="gap")(x)
    net = keras.Model(photo, keras.layers.Dense(3, activation="softmax", name="classes")(x), name="net")
    file = tmp_path_factory.mktemp("good") / "model.keras"
    net.save(file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place for a bundle; Keras must not be asked to open what is there."""

    def refuse(*_, **__):
        raise AssertionError("the hostile file reached Keras")

    monkeypatch.setattr(keras.models, "load_model", refuse)
    return tmp_path


def written(folder, members, more=(), compression=zipfile.ZIP_STORED):
    """Write a bundle of these members, with the right SHA-256 and facts."""
    with zipfile.ZipFile(folder / "model.keras", "w", compression) as archive:
        for name, data in [*members.items(), *more]:
            archive.writestr(name, data)
    digest = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    facts = {"classes": CLASSES, "side": SIDE, "fit": "crop", "sha256": {"model.keras": digest}}
    (folder / "fireweed.json").write_text(json.dumps(facts))
    return folder


def refused(folder) -> str:
    with pytest.raises(BundleError) as error:
        open_bundle(folder)
    text = str(error.value)
    assert "\n" not in text and len(text) < 600
    return text


def changed(members, change):
    """Return the members with the config changed: `change` gets the config and its layers by name."""
    config = json.loads(members["config.json"])
    layers = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
    change(config, layers)
    return {**members, "config.json": json.dumps(config).encode()}


def setting(layer, key, value):
    return lambda config, layers: layers[layer]["config"].__setitem__(key, value)


def envelope(layer, key, value):
    return lambda config, layers: layers[layer].__setitem__(key, value)


def ends(key, value):
    return lambda config, layers: config["config"].__setitem__(key, value)


def nested(depth):
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def lambda_layer(config, layers):
    code = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
    layers["scaling"].update(module="keras.layers", class_name="Lambda", config={"name": "scaling", "function": code})


def twice_called(config, layers):
    layers["norm"]["inbound_nodes"] *= 2


def self_fed(config, layers):
    layers["conv"]["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "classes"


FUNCTION = {"module": "keras.src.utils.file_utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"}  # fmt: skip  # noqa: E501
FOREIGN_POLICY = {"module": "keras", "class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}

HOSTILE_CONFIGS = {
    "a Lambda layer": (lambda_layer, "Lambda"),
    "a class of the os module": (lambda _, layers: layers["conv"].update(module="os", class_name="system"), "system"),
    "a class of another package": (envelope("conv", "module", "torch.hub"), "torch.hub"),
    "a function of keras.src as activation": (setting("conv", "activation", FUNCTION), "activation"),
    "an activation that is no activation": (setting("conv", "activation", "get_file"), "activation"),
    "an activation that loads": (setting("classes", "activation", {"class_name": "TFSMLayer", "config": {}}), "activ"),
    "TFSMLayer": (
        lambda _, layers: layers["conv"].update(
            module="keras.layers", class_name="TFSMLayer", config={"name": "conv", "filepath": "/tmp/saved"}
        ),
        "TFSMLayer",
    ),
    "a registered name of someone's own": (envelope("conv", "registered_name", "my>Conv"), "my>Conv"),
    "a model class of someone's own": (lambda config, _: config.update(module="mine", class_name="Net"), "mine"),
    "a class name that is a list": (envelope("conv", "class_name", ["Conv2D"]), "Conv2D"),
    "an initializer from elsewhere": (
        setting("conv", "kernel_initializer", {"module": "os", "class_name": "system", "config": {}}),
        "kernel_initializer",
    ),
    "an initializer that is too slow for large nets": (
        setting("conv", "kernel_initializer", {"module": "keras.initializers", "class_name": "Orthogonal",
                                               "config": {}, "registered_name": None}),
        "kernel_initializer",
    ),
    "a regularizer": (
        setting("conv", "kernel_regularizer", {"module": "keras.regularizers", "class_name": "L2", "config": {}}),
        "kernel_regularizer",
    ),
    "a policy from elsewhere": (setting("conv", "dtype", FOREIGN_POLICY), "dtype"),
    "a setting that Keras may know and we do not": (setting("conv", "hook", "os.system"), "hook"),
    "units without end": (setting("classes", "units", 10**9), "units"),
    "units that are a float": (setting("classes", "units", 3.0), "units"),
    "units that are true": (setting("classes", "units", True), "units"),
    "filters within bounds, more parameters than memory": (
        lambda _, layers: (layers["conv"]["config"].update(filters=1 << 20, kernel_size=[4096, 4096], padding="same")),
        "parameters",
    ),
    "a window larger than its input": (setting("conv", "kernel_size", [9, 9]), "conv"),
    "a number as a string": (setting("norm", "momentum", "0.9"), "momentum"),
    "a layer name that leads out of the folder": (setting("conv", "name", "../x"), "name"),
    "a layer name with a backslash": (setting("conv", "name", "a\\b"), "name"),
    "a layer name of dots": (setting("conv", "name", ".."), "name"),
    "a second name": (envelope("conv", "name", "../x"), "second name"),
    "two layers of one name": (setting("conv", "name", "norm"), "norm"),
    "a layer built on another shape than it gets": (
        envelope("classes", "build_config", {"input_shape": [None, 10**6]}), "classes",
    ),
    "a build step with more than a shape": (
        envelope("classes", "build_config", {"input_shape": [None, 4], "path": "/etc/passwd"}), "build_config",
    ),
    "compile settings inside": (envelope("classes", "compile_config", {"optimizer": "adam"}), "compile_config"),
    "an object shared under a number": (envelope("conv", "shared_object_id", 1), "shared_object_id"),
    "a layer called twice": (twice_called, "norm"),
    "a layer fed by one that comes later": (self_fed, "conv"),
    "a layer called with a keyword": (
        lambda _, layers: layers["conv"]["inbound_nodes"][0]["kwargs"].update(path="/etc/passwd"), "conv",
    ),
    "a tensor written out instead of a layer's output": (
        envelope("conv", "inbound_nodes", [{"args": [{"class_name": "__tensor__", "config": {}}]}]), "conv",
    ),
    "an input of any side": (setting("photo", "batch_shape", [None, None, None, 3]), "input"),
    "an input larger than photos are": (setting("photo", "batch_shape", [None, 1 << 19, 1 << 19, 3]), ""),
    "two inputs": (ends("input_layers", [["photo", 0, 0], ["photo", 0, 0]]), "input_layers"),
    "an output that is no layer": (ends("output_layers", ["gone", 0, 0]), "gone"),
    "no layers": (ends("layers", []), "no list of layers"),
    "layers without end": (lambda config, _: config["config"].update(layers=config["config"]["layers"] * 2000), "more"),
    "nesting without end": (setting("conv", "name", nested(60)), "nested"),
    "NaN": (setting("norm", "epsilon", float("nan")), "NaN"),
    "Infinity": (setting("norm", "epsilon", float("inf")), "Infinity"),
    "a number beyond Infinity": (setting("norm", "epsilon", 10**400), "epsilon"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_CONFIGS)
def test_hostile_config_is_refused_unbuilt(folder, members, name):
    change, part = HOSTILE_CONFIGS[name]
    started = time.process_time()
    told = refused(written(folder, changed(members, change)))
    assert "config.json" in told and part in told, told
    assert time.process_time() - started < 2


def test_unchanged_members_are_not_refused(tmp_path, members):
    bundle = open_bundle(written(tmp_path, members))
    assert bundle.classes == tuple(CLASSES) and bundle.side_px == SIDE and bundle.model.output_shape == (None, 3)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"{", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested"),
        (b"null", "config"),
        (b'{"class_name": "Functional", "class_name": "Functional"}', "twice"),
        (b"[1e999]", "too large"),
        (b"[" + b"1," * 2_000_000 + b"1]", "values"),
    ],
)
def test_broken_config_is_told_as_such(folder, members, text, part):
    told = refused(written(folder, {**members, "config.json": text}))
    assert "config.json" in told and part in told


def test_members_beyond_the_three_are_refused(folder, members):
    for name in ("extra.py", "assets/x.txt", "../evil", "/etc/evil", "model.weights.npz"):
        assert repr(name) in refused(written(folder, members, [(name, b"x")]))
    with pytest.warns(UserWarning, match="Duplicate"):
        written(folder, members, [("config.json", members["config.json"])])
    assert "config.json" in refused(folder)
    del (fewer := dict(members))["model.weights.h5"]
    assert "holds only" in refused(written(folder, fewer))


def test_members_that_grow_on_reading_are_refused(folder, members):
    bomb = {**members, "config.json": b" " * (15 << 20)}
    assert "grows" in refused(written(folder, bomb, compression=zipfile.ZIP_DEFLATED))
    large = {**members, "metadata.json": os.urandom(100_000)}
    assert "metadata.json" in refused(written(folder, large))
    assert "compressed" in refused(written(folder, members, compression=zipfile.ZIP_LZMA))


def test_a_deflated_file_is_as_good_as_a_stored_one(tmp_path, members):
    assert open_bundle(written(tmp_path, members, compression=zipfile.ZIP_DEFLATED)).side_px == SIDE


def test_files_that_are_no_zip_or_cut_off_are_called_damaged(folder, members):
    whole = (written(folder, members) / "model.keras").read_bytes()
    spoilt = bytearray(whole)
    spoilt[whole.index(members["model.weights.h5"]) + 3000] ^= 0xFF  # a byte of the weights, its CRC now wrong
    for data in (b"", b"hello", whole[: len(whole) // 2], bytes(spoilt)):
        (folder / "model.keras").write_bytes(data)
        assert "damaged" in refused(folder)
        facts = json.loads((folder / "fireweed.json").read_text())
        facts["sha256"]["model.keras"] = hashlib.sha256(data).hexdigest()
        (folder / "fireweed.json").write_text(json.dumps(facts))
        assert "damaged" in refused(folder)
        written(folder, members)


def test_a_model_file_that_is_a_pipe_or_a_folder_is_refused(folder, members):
    written(folder, members)
    (folder / "model.keras").unlink()
    os.mkfifo(folder / "model.keras")
    assert "model.keras" in refused(folder)
    assert "model.keras" in refused(folder / "model.keras")
    (folder / "model.keras").unlink()
    (folder / "model.keras").mkdir()
    assert "model.keras" in refused(folder)


KERNEL = "layers/conv2d/vars/0"


def weights_changed(members, change):
    return {**members, "model.weights.h5": changed_hdf5(members["model.weights.h5"], change)}


HOSTILE_WEIGHTS = {
    "a soft link": (put(KERNEL, h5py.SoftLink("/layers/dense/vars/0")), KERNEL),
    "an external link": (put(KERNEL, h5py.ExternalLink("/etc/other.h5", "x")), KERNEL),
    "an array kept in another file": (
        put(KERNEL, shape=(3, 3, 3, 4), dtype="f4", external=[("/etc/passwd", 0, 432)]), "/etc/passwd",
    ),
    "another shape": (put(KERNEL, data=np.zeros((3, 3, 3, 5), "f4")), "(3, 3, 3, 5)"),
    "another type": (put(KERNEL, data=np.zeros((3, 3, 3, 4), "f8")), "float64"),
    "an array missing": (put(KERNEL), "missing"),
    "an array too many": (put("optimizer/vars/0", data=np.zeros(3)), "optimizer"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_WEIGHTS)
def test_hostile_weights_are_refused_unread(folder, members, name):
    change, part = HOSTILE_WEIGHTS[name]
    started = time.monotonic()
    told = refused(written(folder, weights_changed(members, change)))
    assert "model.weights.h5" in told and part in told, told
    assert time.monotonic() - started < 2


def test_weights_that_are_no_hdf5_are_refused(folder, members):
    for data in (b"", b"hello" * 1000, members["model.weights.h5"][:2000]):
        assert "model.weights.h5" in refused(written(folder, {**members, "model.weights.h5": data}))


def test_gzipped_weights_are_as_good_as_plain_ones(tmp_path, members):
    values = np.arange(108, dtype="f4").reshape(3, 3, 3, 4)
    bundle = open_bundle(written(tmp_path, weights_changed(members, put(KERNEL, data=values, compression="gzip"))))
    assert np.array_equal(bundle.model.get_layer("conv").get_weights()[0], values)


def test_a_net_with_another_number_of_classes_or_side_is_refused(folder, members):
    written(folder, members)
    facts = json.loads((folder / "fireweed.json").read_text())
    for key, value, part in (("classes", ["a", "b"], "2 classes"), ("side", 9, "side 9")):
        (folder / "fireweed.json").write_text(json.dumps({**copy.deepcopy(facts), key: value}))
        assert part in refused(folder)
