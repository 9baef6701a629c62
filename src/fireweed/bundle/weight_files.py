"""What a weight file holds, layer by layer: Keras 3's .weights.h5 and the older .h5 with layer_names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fireweed.bundle.config import shortened
from fireweed.bundle.hdf5 import Array, longest_text
from fireweed.errors import BundleError

MAX_NAMES = 20_000
MAX_ATTRIBUTE_BYTES = 4 << 20
MAX_TEXT_BYTES = 16 << 20  # of the names in one list


@dataclass(frozen=True)
class StoredLayer:
    """The arrays of one layer in a file.

    kind:  Keras's word for its class (conv2d), or "" where the file does not tell.
    name:  the layer's name, or "" where the file does not tell.
    paths: its arrays in the order of the layer's variables.
    """

    kind: str
    name: str
    paths: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def shown(self) -> str:
        """Return what to call it in an error."""
        return shortened(self.name or self.paths[0])


def stored_layers(file: h5py.File, arrays: dict[str, Array]) -> list[StoredLayer]:
    """Return the layers that an open, checked file holds arrays of, those without arrays left out.

    In Keras 3's format the order is that of the net within each kind of layer; in the older one, that of the net.

    Raises:
        BundleError: the file is in neither format, or its lists of names do not fit what it holds.
    """
    if "layer_names" in file.attrs or "layer_names0" in file.attrs:
        return _legacy(file, "", arrays)
    if any(path.startswith("model_weights/") for path in arrays):  # a whole model, saved the old way
        return _legacy(file["model_weights"], "model_weights/", arrays)
    layers = _keras_3(file, arrays)
    if not layers:
        raise BundleError("it holds no layers with weights, in neither of Keras's two formats")
    return layers


def _keras_3(file: h5py.File, arrays: dict[str, Array]) -> list[StoredLayer]:
    """Read layers/conv2d_3/vars/0 and the like; the optimizer's variables lie elsewhere and are left out."""
    found: dict[str, dict[int, str]] = {}
    for path in arrays:
        match = re.fullmatch(r"((?:layers|_layer_checkpoint_dependencies|.+/layers)/[^/]+)/vars/(\d{1,4})", path)
        if match and not path.startswith("optimizer"):
            found.setdefault(match[1], {})[int(match[2])] = path
    layers = []
    for place in sorted(found, key=_in_order):
        paths = tuple(found[place][number] for number in sorted(found[place]))
        kind = re.sub(r"_\d+$", "", place.rsplit("/", 1)[1])
        names = _strings(file[f"{place}/vars"], "name")
        layers.append(StoredLayer(kind, names[0] if names else "", paths, tuple(arrays[p].shape for p in paths)))
    return layers


def _in_order(place: str) -> list[tuple[str, int]]:
    parts = []
    for part in place.split("/"):
        match = re.fullmatch(r"(.*?)_(\d{1,9})", part)
        parts.append((match[1], int(match[2])) if match else (part, 0))
    return parts


def _legacy(group: Any, prefix: str, arrays: dict[str, Array]) -> list[StoredLayer]:
    layers: list[StoredLayer] = []
    for layer in _strings(group, "layer_names"):
        if layer not in group or not isinstance(group[layer], h5py.Group):
            raise BundleError(f"its list of layers names {shortened(layer)}, which it does not hold")
        owners: dict[str, list[str]] = {}
        for weight in _strings(group[layer], "weight_names"):
            path = f"{prefix}{layer}/{weight}"
            if path not in arrays:
                raise BundleError(f"its list of weights names {shortened(path)}, which it does not hold")
            owners.setdefault(weight.rpartition("/")[0], []).append(path)
        for owner, paths in owners.items():
            # A model inside the net is one entry here; its layers are told apart by their weights' names.
            name = layer if len(owners) == 1 else owner.rpartition("/")[2]
            layers.append(StoredLayer("", name, tuple(paths), tuple(arrays[p].shape for p in paths)))
    return layers


def _strings(item: Any, name: str) -> list[str]:
    """Return an attribute of strings, also one that Keras cut into NAME0, NAME1, ... because it was too long."""
    if name in item.attrs:
        return _decoded(_attribute(item, name))
    result: list[str] = []
    number = 0
    while f"{name}{number}" in item.attrs:
        result += _decoded(_attribute(item, f"{name}{number}"))
        number += 1
    return result


def _attribute(item: Any, name: str) -> Any:
    attribute = item.attrs.get_id(name)
    count = attribute.get_space().get_simple_extent_npoints()
    if count == 0:  # NumPy gives an empty list a type of numbers
        return []
    kind = attribute.get_type()
    if kind.get_class() != h5py.h5t.STRING or count * kind.get_size() > MAX_ATTRIBUTE_BYTES:
        raise BundleError(f"its attribute {name} is not a list of names")
    if kind.is_variable_str() and count > 1 and count * longest_text(Path(item.file.filename)) > MAX_TEXT_BYTES:
        raise BundleError(f"its attribute {name} may hold more than {MAX_TEXT_BYTES:,} bytes of names")
    return item.attrs[name]


def _decoded(value: Any) -> list[str]:
    texts: Iterable[Any] = [value] if isinstance(value, str | bytes) else np.ravel(value)
    names = [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in texts]
    if len(names) > MAX_NAMES:
        raise BundleError(f"a list of {len(names):,} names, at most {MAX_NAMES:,}")
    return names
