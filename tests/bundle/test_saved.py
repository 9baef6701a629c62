"""A bundle is one model and what belongs to it: written whole, opened anywhere, its parts fitting each other."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from fireweed.bundle import open_bundle, write_bundle
from fireweed.bundle import saved as bundle
from fireweed.errors import BundleError, FireweedError
from fireweed.models.registry import build_model

FACTS = {"classes": ["daisy", "rose", "郁金香"], "side": 16, "fit": "pad", "temperature": None}


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(3)
    return build_model("conv 8 | fire 4 8 | pool | sep 8 | gap", classes=3, side=16)


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.float32)


def test_what_is_written_is_opened_from_each_of_its_names(tmp_path, net, photos):
    write_bundle(tmp_path, net, {**FACTS, "metrics": {"accuracy": np.float32(0.5), "confusion": np.eye(2)}})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fireweed.json", "model.keras"]
    for path in (tmp_path, tmp_path / "model.keras", str(tmp_path / "fireweed.json")):
        opened = open_bundle(path)
        assert opened.classes == ("daisy", "rose", "郁金香") and opened.side_px == 16 and opened.fit == "pad"
        assert np.array_equal(opened.model.predict_on_batch(photos), net.predict_on_batch(photos))
    assert opened.facts["metrics"] == {"accuracy": 0.5, "confusion": [[1, 0], [0, 1]]}
    assert opened.facts["fireweed"] and len(opened.facts["sha256"]["model.keras"]) == 64
    assert "郁金香" in (tmp_path / "fireweed.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["convnet", "squeezenet", "squeezenet-1.1", "separable", "inception", "mobilenetv2"])
def test_own_nets_pass_their_own_check(tmp_path, name):
    write_bundle(tmp_path, build_model(name, classes=3, side=48), {**FACTS, "side": 48})


def test_compile_settings_and_optimizer_are_left_out(tmp_path, net, photos):
    trained = keras.models.clone_model(net)
    trained.set_weights(net.get_weights())
    trained.compile("adam", "categorical_crossentropy")
    trained.train_on_batch(photos, np.eye(3)[[0, 1, 2, 0]])
    write_bundle(tmp_path, trained, FACTS)
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert not json.loads(archive.read("config.json"))["compile_config"]
    assert np.allclose(
        open_bundle(tmp_path).model.predict_on_batch(photos), trained.predict_on_batch(photos), atol=1e-6
    )
    assert trained.optimizer is not None


PLAIN = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "fireweed": raise ImportError(name)
sys.meta_path.insert(0, Blocker())
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict_on_batch(np.load(sys.argv[2])))
"""


def test_plain_keras_opens_it_where_fireweed_is_not_there(tmp_path, net, photos):
    write_bundle(tmp_path, net, FACTS)
    np.save(tmp_path / "photos.npy", photos)
    names = [str(tmp_path / name) for name in ("model.keras", "photos.npy", "answers.npy")]
    subprocess.run([sys.executable, "-c", PLAIN, *names], check=True, capture_output=True, timeout=120)
    assert np.allclose(np.load(names[2]), net.predict_on_batch(photos), atol=1e-6)


def test_one_changed_byte_is_called_damage(tmp_path, net):
    write_bundle(tmp_path, net, FACTS)
    data = bytearray((tmp_path / "model.keras").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "model.keras").write_bytes(data)
    with pytest.raises(BundleError, match=r"model\.keras is damaged.*SHA-256"):
        open_bundle(tmp_path)


@pytest.mark.parametrize(("file", "hint"), [("recipe.toml", "has not ended"), ("other", "not a run's folder")])
def test_a_folder_without_a_model_is_told_from_a_run_that_has_not_ended(tmp_path, file, hint):
    (tmp_path / file).touch()
    with pytest.raises(BundleError, match=rf"no model\.keras in .*{hint}"):
        open_bundle(tmp_path)


def test_facts_of_another_model_are_noticed(tmp_path, net):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_bundle(tmp_path / name, keras.models.clone_model(net), FACTS)
    (tmp_path / "one" / "model.keras").replace(tmp_path / "two" / "model.keras")
    with pytest.raises(BundleError, match="damaged, or not the one"):
        open_bundle(tmp_path / "two")


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("classes", None, "classes"),
        ("classes", ["a", "a", "b"], "classes"),
        ("classes", ["a", 2, "b"], "classes"),
        ("classes", [str(i) for i in range(20_000)], "20000"),
        ("side", 0, "side"),
        ("side", 16.0, "side"),
        ("side", True, "side"),
        ("side", 5000, "side"),
        ("fit", "stretch", "fit"),
        ("fit", ["crop"], "fit"),
        ("temperature", 0, "temperature"),
        ("temperature", "1", "temperature"),
        ("sha256", None, "sha256"),
        ("sha256", {"model.keras": "X" * 64}, "sha256"),
    ],
)
def test_facts_that_cannot_be_are_refused_by_name(tmp_path, net, key, value, part):
    write_bundle(tmp_path, net, FACTS)
    facts = json.loads((tmp_path / "fireweed.json").read_text(encoding="utf-8"))
    (tmp_path / "fireweed.json").write_text(json.dumps({**facts, key: value}))
    with pytest.raises(BundleError, match=part) as error:
        open_bundle(tmp_path)
    assert "fireweed.json" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"side": NaN}', '{"a": ' * 100 + "1" + "}" * 100, " " * (9 << 20)])
def test_facts_that_are_no_strict_json_are_refused(tmp_path, net, text):
    write_bundle(tmp_path, net, FACTS)
    (tmp_path / "fireweed.json").write_text(text)
    with pytest.raises(BundleError, match=r"fireweed\.json"):
        open_bundle(tmp_path)


def test_nothing_to_open_is_told_with_what_to_give(tmp_path, net):
    for path, words in ((tmp_path / "gone", "is not there"), (tmp_path, "no model.keras"), (__file__, "is no bundle")):
        with pytest.raises(BundleError, match=words):
            open_bundle(path)
    write_bundle(tmp_path, net, FACTS)
    (tmp_path / "fireweed.json").unlink()
    for path in (tmp_path, tmp_path / "model.keras"):
        with pytest.raises(BundleError, match=r"no fireweed\.json"):
            open_bundle(path)


def test_a_model_that_could_not_be_opened_again_is_not_written(tmp_path, net):
    photo = keras.Input((16, 16, 3))
    odd = keras.Model(photo, keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.GaussianNoise(0.1)(photo))))
    free = build_model("conv 8 | gap", classes=3)
    for model, facts, words in (
        (odd, FACTS, "GaussianNoise"),
        (free, FACTS, "fixed"),
        (net, {**FACTS, "classes": ["a", "b"]}, "2 classes"),
        (net, {**FACTS, "side": 32}, "side 32"),
        (net, {"side": 16, "fit": "crop"}, "classes"),
    ):
        with pytest.raises(BundleError, match=words):
            write_bundle(tmp_path, model, facts)
    with pytest.raises(ValueError, match="JSON"):
        write_bundle(tmp_path, net, {**FACTS, "metrics": {"loss": float("nan")}})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_bundle(tmp_path, net, monkeypatch):
    write_bundle(tmp_path, net, FACTS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "sha256_of", full)
    with pytest.raises(FireweedError, match="disk full"):
        write_bundle(tmp_path, keras.models.clone_model(net), FACTS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_file_that_is_checked_is_the_file_that_is_loaded(tmp_path, net, photos, monkeypatch):
    """Someone who changes the file between the check and the loading changes nothing."""
    write_bundle(tmp_path, net, FACTS)
    load = keras.models.load_model

    def load_after_a_swap(path, **options):
        assert Path(path).parent.stat().st_mode & 0o077 == 0  # nobody else can reach the copy
        (tmp_path / "model.keras").write_bytes(b"hostile")
        return load(path, **options)

    monkeypatch.setattr(keras.models, "load_model", load_after_a_swap)
    assert np.array_equal(open_bundle(tmp_path).model.predict_on_batch(photos), net.predict_on_batch(photos))


def test_a_class_name_that_is_not_utf8_is_kept(tmp_path, net):
    write_bundle(tmp_path, net, {**FACTS, "classes": ["a", "b\udcff", "c"]})
    assert open_bundle(tmp_path).classes[1] == "b\udcff"
