"""Saved models and weight files that run code, grow without end, lead elsewhere, or are not what they say."""

import copy
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hdf5_changes import Change, changed_hdf5
from hdf5_changes import put as put_at
from hostile.cases import Case

FUNCTION = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
KERNEL = "layers/conv2d/vars/0"
FACTS = {"classes": ["daisy", "rose", "tulip"], "side": 8, "fit": "crop"}
CASES: list[Case] = []
_state: dict[str, Any] = {}


def net() -> Any:
    """Return a small sound net."""
    import keras

    photo = keras.Input((8, 8, 3), name="photo")
    x = keras.layers.Rescaling(1 / 255, name="scaling")(photo)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(photo, keras.layers.Dense(3, activation="softmax", name="classes")(x), name="net")


def prepare() -> None:
    """Make the sound model that all are changed from, and forbid that a changed one reaches Keras."""
    import tempfile

    import keras

    model = net()
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        with zipfile.ZipFile(f"{folder}/model.keras") as archive:
            _state["members"] = {name: archive.read(name) for name in archive.namelist()}
    _state["model"] = model

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the hostile file reached Keras")

    keras.models.load_model = refuse
    CASES[:] = [*_configs(), *_texts(), *_zips(), *_weights(), *_facts(), *_weight_files()]


def packed(members: dict[str, bytes], more: tuple[tuple[str, bytes], ...] = (), how: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, data in [*members.items(), *more]:
            archive.writestr(name, data)
    return out.getvalue()


def written(folder: Path, model: bytes, **facts: Any) -> str:
    digest = hashlib.sha256(model).hexdigest()
    (folder / "model.keras").write_bytes(model)
    (folder / "fireweed.json").write_text(json.dumps({**FACTS, "sha256": {"model.keras": digest}, **facts}))
    return str(folder)


def _model(name: str, data: Callable[[], bytes], *words: str) -> Case:
    return Case(f"model with {name}", words, lambda folder: written(folder, data()))


def _config(name: str, config: Any, *words: str) -> Case:
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    return _model(name, lambda: packed({**_state["members"], "config.json": text}), *words)


def _configs() -> list[Case]:
    good = json.loads(_state["members"]["config.json"])
    cases = []
    for number, layer in enumerate(good["config"]["layers"]):
        label = layer["config"]["name"]
        for key in layer["config"]:
            changed = copy.deepcopy(good)
            changed["config"]["layers"][number]["config"][key] = FUNCTION
            cases.append(_config(f"a function for '{key}' of '{label}'", changed, "config.json"))
        for kind in ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer"):
            changed = copy.deepcopy(good)
            code = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
            changed["config"]["layers"][number].update(
                module="keras.layers", class_name=kind, config={"name": label, "function": code, "filepath": "/tmp/x"}
            )
            cases.append(_config(f"a {kind} for '{label}'", changed, "is not on the list"))
    for key, value in {
        "filters": 10**9, "kernel_size": [4096, 4096], "strides": [0, 0], "groups": 3, "name": "../x", "hook": "x",
    }.items():  # fmt: skip
        changed = copy.deepcopy(good)
        changed["config"]["layers"][2]["config"][key] = value
        cases.append(_config(f"{key} {value}", changed, "config.json"))
    changed = copy.deepcopy(good)
    changed["config"]["layers"] *= 1_000
    return [*cases, _config("6,000 layers", changed, "more than 2,000 layers")]


def _texts() -> list[Case]:
    texts = {
        "a config of nothing": (b"", "JSON"),
        "a config that is cut off": (_state["members"]["config.json"][:99], "JSON"),
        "a config of lists without end": (b"[" * 200_000, "nested"),
        "a config of 3 million lists": (b"[" + b"[]," * 3_000_000 + b"1]", "values"),
        "a config of NaN": (b'{"a": NaN}', "NaN"),
        "a config with a number beyond all": (b"[1e" + b"9" * 9_000 + b"]", "too large"),
        "a config with 9,000 digits": (b"[" + b"9" * 9_000 + b"]", "JSON"),
        "a config with a key twice": (b'{"a": 1, "a": 2}', "twice"),
        "a config of a text without end": (json.dumps("x" * 9_000_000).encode(), "config"),
        "a config that is no UTF-8": (b"\xff\xfe\x00", "JSON"),
    }
    return [_config(name, text, words) for name, (text, words) in texts.items()]


def _zips() -> list[Case]:
    members = _state["members"]
    deflated = zipfile.ZIP_DEFLATED
    listing = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
        for _ in range(300_000)
    )
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, len(listing), 0, 0)
    cases = [
        _model(f"the member {name!r}", lambda name=name: packed(members, ((name, b"x"),)), "a bundle holds")
        for name in ("../evil.py", "/etc/evil", "a.py", "assets/vocabulary.txt", "x" * 3_000, "\x1b[2J", "config.json")
    ]
    return [
        *cases,
        _model("no weights", lambda: packed({k: v for k, v in members.items() if "weights" not in k}), "holds only"),
        _model("a config that is a bomb", lambda: packed({**members, "config.json": bytes(15 << 20)}, (), deflated),
               "grows"),
        _model("metadata beyond its bound", lambda: packed({**members, "metadata.json": b" " * 99_999}), "at most"),
        _model("LZMA", lambda: packed(members, (), zipfile.ZIP_LZMA), "compressed in a way"),
        _model("a list of 300,000 members", lambda: listing + tail, "its list of entries"),
        _model("nothing in it", lambda: b"", "damaged"),
        _model("a pickle for all of it", lambda: b"cos\nsystem\n(S'true'\ntR.", "damaged"),
        _model("its second half missing", lambda: packed(members)[:5_000], "damaged"),
    ]  # fmt: skip


def changed_weights(change: Change) -> bytes:
    return changed_hdf5(_state["members"]["model.weights.h5"], change)


def put(value: Any = None, path: str = KERNEL, **how: Any) -> Change:
    return put_at(path, value, **how)


def _many_fills(file: Any) -> None:
    for number in range(60):
        file.create_dataset(f"fill/{number}", shape=(4 << 20,), dtype="f4")


def _long_names(file: Any) -> None:
    import h5py

    file.attrs.create("layer_names", ["x" * 60_000] * 300, dtype=h5py.string_dtype())


def changes() -> dict[str, tuple[Callable[[Any], None], str]]:
    """Return what is done to sound weights, and what is said of it."""
    import h5py
    import numpy as np

    return {
        "a soft link": (put(h5py.SoftLink("/layers/dense/vars/0")), "is a link"),
        "an external link": (put(h5py.ExternalLink("/etc/x.h5", "x")), "is a link"),
        "an array kept in another file": (
            put(shape=(3, 3, 3, 4), dtype="f4", external=[("/etc/passwd", 0, 432)]), "/etc/passwd"),
        "texts": (put(data=[b"a"], dtype=h5py.string_dtype()), "plain numbers"),
        "references": (put(shape=(3,), dtype=h5py.ref_dtype), "plain numbers"),
        "a terabyte of nothing": (put(shape=(1 << 40,), dtype="f4", chunks=(1 << 20,), compression="gzip"), "grows"),
        "chunks of a gigabyte": (put(shape=(3,), dtype="f4", maxshape=(None,), chunks=(1 << 28,)), "chunks"),
        "a foreign filter": (put(shape=(3,), dtype="f4", chunks=(3,), compression="lzf"), "filter"),
        "a gigabyte of nothing in small arrays": (_many_fills, "for a file of this size"),
        "60 groups in each other": (lambda file: file.create_group("/".join("g" * 60)), "deep"),
        "a group in itself": (lambda file: file["layers"].__setitem__("again", file["layers"]), "another name"),
        "a name in no UTF-8": (lambda file: file.__setitem__(b"\xff\xfe", np.zeros(3)), "UTF-8"),
    }  # fmt: skip


def _weights() -> list[Case]:
    import numpy as np

    only_here = {
        "another shape": (put(data=np.zeros((3, 3, 3, 5), "f4")), "has the shape"),
        "another type": (put(data=np.zeros((3, 3, 3, 4), "f8")), "float64"),
        "an array missing": (put(), "is missing"),
        "an array too many": (put(path="more/vars/0", data=np.zeros(3, "f4")), "no place for"),
    }
    members = _state["members"]
    cases = [
        _model(
            f"weights of {name}",
            lambda change=change: packed({**members, "model.weights.h5": changed_weights(change)}),
            words,
        )
        for name, (change, words) in {**changes(), **only_here}.items()
    ]
    for name, data in {"nothing": b"", "text": b"hello" * 999, "a half": members["model.weights.h5"][:3_000]}.items():
        broken = {**members, "model.weights.h5": data}
        cases.append(_model(f"weights of {name}", lambda broken=broken: packed(broken), "damaged"))
    return cases


def _facts() -> list[Case]:
    good = packed(_state["members"])
    wrong: dict[str, Any] = {
        "sha256": {"model.keras": "0" * 64}, "classes": ["a"] * 20_000, "side": 10**9, "fit": "stretch",
        "temperature": -1, "no sha256": None,
    }  # fmt: skip
    cases = [
        Case(f"model whose fireweed.json has a wrong {key}", ("fireweed.json", "sha256", "SHA-256"),
             lambda folder, key=key, value=value: written(folder, good, **{key.removeprefix("no "): value}))
        for key, value in wrong.items()
    ]  # fmt: skip
    for name, text in {
        "nested without end": b'{"a": ' * 50_000, "of 9 MB": b" " * (9 << 20), "of zeros": bytes(99), "of nothing": b"",
    }.items():  # fmt: skip

        def make(folder: Path, text: bytes = text) -> str:
            written(folder, good)
            (folder / "fireweed.json").write_bytes(text)
            return str(folder)

        cases.append(Case(f"model with a fireweed.json {name}", ("fireweed.json",), make))
    return cases


def _weight_files() -> list[Case]:
    def make(folder: Path, change: Callable[[Any], None]) -> str:
        import h5py

        (folder / "x.weights.h5").write_bytes(_state["members"]["model.weights.h5"])
        with h5py.File(folder / "x.weights.h5", "r+") as file:
            change(file)
        return str(folder / "x.weights.h5")

    def pickled(folder: Path) -> str:
        (folder / "x.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
        return str(folder / "x.pkl")

    more = {"names of 18 MB": (_long_names, "bytes of names")}
    return [
        *(
            Case(f"weight file with {name}", (words,), lambda folder, change=change: make(folder, change))
            for name, (change, words) in {**changes(), **more}.items()
        ),
        Case("weight file that is a pickle", ("none of these",), pickled),
        Case("weight file that is a device", ("none of these",), lambda _: "/dev/zero"),
    ]


def give(given: str) -> str:
    """Give a model or a weight file to the program."""
    from fireweed.bundle import load_weights, open_bundle

    if Path(given).is_dir():
        return f"opened with {len(open_bundle(given).classes)} classes"
    return load_weights(_state["model"], given)
