"""Load weights from a file into a net: layer by layer, by name or by order, by shape always; all or nothing."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fireweed.bundle.check import private_copy
from fireweed.bundle.hdf5 import DAMAGE, open_hdf5, plain_arrays
from fireweed.bundle.saved import MODEL_NAME, checked_copy, read_facts_beside, weights_beside
from fireweed.bundle.shapes import snake_case
from fireweed.bundle.weight_files import StoredLayer, stored_layers
from fireweed.errors import BundleError

MAX_UNUSED = 4
"""Layers with weights that a file may have beyond the net: the end of the net it comes from. More is another net."""


@dataclass(frozen=True)
class _Target:
    """A layer of the model that has weights. The net's end, its classifier, may stay at random."""

    layer: Any
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    is_end: bool

    @property
    def name(self) -> str:
        return str(self.layer.name)


@dataclass(frozen=True)
class _Pairing:
    """For each target what the file offers it, or None."""

    targets: list[_Target]
    offers: list[StoredLayer | None]

    def fitting(self) -> list[tuple[_Target, StoredLayer]]:
        pairs = zip(self.targets, self.offers, strict=True)
        return [(target, offer) for target, offer in pairs if offer is not None and offer.shapes == target.shapes]

    def first_misfit(self) -> tuple[_Target, StoredLayer | None] | None:
        """Return the first layer before the net's end for which the file has nothing that fits."""
        for target, offer in zip(self.targets, self.offers, strict=True):
            if not target.is_end and (offer is None or offer.shapes != target.shapes):
                return target, offer
        return None


def load_weights(model: Any, file: Path | str) -> str:
    """Load weights into `model` from a weight file or a bundle, and return a sentence on what was loaded.

    model: a built Keras model. Its classifier may differ from the file's, or be absent there: it then stays as it is.
    file:  .weights.h5 of Keras 3, of the whole net or of its backbone alone; the older .h5 that keras.applications
           downloads; a .keras file; or a run folder. Copied, then checked as bundles are; nothing of it can run code.

    Raises:
        BundleError: the file is damaged, holds more than plain arrays, or fits less than the whole net before its
            classifier; names the first layer that does not fit. The model is then as it was.
    """
    from fireweed.models.pretrained import put_variance_right

    path = Path(file)
    with _opened(path) as opened:
        try:
            stored = stored_layers(opened, plain_arrays(opened))
            pairing = _best_pairing(_targets(model), stored)
            values = [_read(opened, target, offer) for target, offer in pairing.fitting()]
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from None
        except DAMAGE as error:  # wrong bytes within an array show only when it is read
            raise BundleError(f"{path} is damaged ({error})") from None
    for (target, _), arrays in zip(pairing.fitting(), values, strict=True):
        target.layer.load_own_variables({str(number): array for number, array in enumerate(arrays)})
        put_variance_right(target.layer)
    return _sentence(path, pairing, sum(array.size for arrays in values for array in arrays))


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open a checked private copy of the HDF5 file that `path` is, or that lies in the bundle that it is."""
    if path.is_dir() or path.suffix == ".keras":
        model_file = path / MODEL_NAME if path.is_dir() else path
        with (
            checked_copy(model_file, read_facts_beside(model_file)) as (copy, _),
            open_hdf5(weights_beside(copy)) as h5,
        ):
            yield h5
    elif path.suffix in (".h5", ".hdf5"):
        with tempfile.TemporaryDirectory(prefix="fireweed-") as folder:
            copy = Path(folder, "weights.h5")
            private_copy(path, copy)
            try:
                opened = open_hdf5(copy)
            except BundleError as error:
                raise BundleError(f"{path}: {error}") from None
            with opened:
                yield opened
    else:
        what = "is none of these" if path.exists() else "is not there"
        raise BundleError(f"weights come from a .weights.h5, .h5 or .keras file or a run folder; {path} {what}")


def _targets(model: Any) -> list[_Target]:
    """Return the layers with weights, models inside the model opened; the last ones are the net's end.

    The end is what follows the last global pooling; without such layers, the last layer with weights.
    """
    leaves = list(_leaves(model))
    weighted = [leaf for leaf in leaves if leaf.weights]
    pools = [i for i, leaf in enumerate(leaves) if type(leaf).__name__.startswith("Global")]
    after = [leaf for leaf in leaves[pools[-1] :] if leaf.weights] if pools else []
    end = after if after and len(after) < len(weighted) else weighted[-1:]
    return [
        _Target(
            leaf,
            snake_case(type(leaf).__name__),
            tuple(tuple(weight.shape) for weight in leaf.weights),
            any(leaf is one for one in end),
        )
        for leaf in weighted
    ]


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer


def _best_pairing(targets: list[_Target], stored: list[StoredLayer]) -> _Pairing:
    pairings = [_by_name(targets, stored), _in_order(targets, stored)]
    best = next((one for one in pairings if one.first_misfit() is None), None)
    if best is None:
        target, offer = max(pairings, key=lambda one: len(one.fitting())).first_misfit() or (targets[0], None)
        has = f"has {_shown(offer.shapes)} ({offer.shown})" if offer else "has nothing for it"
        raise BundleError(
            f"these are not the weights of this net: its layer '{target.name}' needs {_shown(target.shapes)}, "
            f"the file {has}; give weights of the same net"
        )
    offered = {id(offer) for offer in best.offers}
    unused = [layer for layer in stored if id(layer) not in offered]
    if len(unused) > MAX_UNUSED:
        raise BundleError(
            f"these are the weights of a larger net: {len(unused)} layers have no place in this one, "
            f"the first is {unused[0].shown} {_shown(unused[0].shapes)}; give weights of the same net"
        )
    return best


def _by_name(targets: list[_Target], stored: list[StoredLayer]) -> _Pairing:
    """Pair layers that were named by their names, those that Keras numbered by their order within their kind.

    Keras counts layers through a whole process, so conv2d_4 of one process is conv2d of another.
    """
    kinds = {target.kind for target in targets}
    named: dict[str, StoredLayer] = {}
    numbered: dict[str, list[StoredLayer]] = {}
    for layer in stored:
        kind = layer.kind or re.sub(r"_\d+$", "", layer.name)
        if (kind in kinds or layer.kind) and (not layer.name or _is_numbered(layer.name, kind)):
            numbered.setdefault(kind, []).append(layer)
        else:
            named.setdefault(layer.name, layer)
    queues = {kind: iter(layers) for kind, layers in numbered.items()}
    return _Pairing(
        targets,
        [
            next(queues.get(target.kind, iter(())), None)
            if _is_numbered(target.name, target.kind)
            else named.get(target.name)
            for target in targets
        ],
    )


def _in_order(targets: list[_Target], stored: list[StoredLayer]) -> _Pairing:
    """Pair layers by their order: within their kind where the file tells kinds, else through the whole net."""
    tells_kinds = any(layer.kind for layer in stored)
    queues: dict[str, list[StoredLayer]] = {}
    for layer in stored:
        queues.setdefault(layer.kind, []).append(layer)
    heads = {kind: iter(layers) for kind, layers in queues.items()}
    return _Pairing(
        targets, [next(heads.get(target.kind if tells_kinds else "", iter(())), None) for target in targets]
    )


def _is_numbered(name: str, kind: str) -> bool:
    return re.fullmatch(re.escape(kind) + r"(_\d+)?", name) is not None


def _read(file: h5py.File, target: _Target, offer: StoredLayer) -> list[np.ndarray]:
    arrays = []
    for path, weight in zip(offer.paths, target.layer.weights, strict=True):
        array = file[path][()]
        # A count may be kept as any number, but whole numbers in the place of weights are something else's.
        if array.dtype.kind != "f" and "float" in str(weight.dtype):
            raise BundleError(f"{path!r} holds {array.dtype.name}, layer '{target.name}' needs {weight.dtype}")
        if not np.isfinite(array).all():
            raise BundleError(f"{path!r} holds numbers that are not finite; the training it comes from went wrong")
        arrays.append(np.asarray(array))
    return arrays


def _sentence(path: Path, pairing: _Pairing, numbers: int) -> str:
    loaded = {id(target.layer) for target, _ in pairing.fitting()}
    text = f"{len(loaded)} of {len(pairing.targets)} layers with weights loaded from {path.name} ({numbers:,} numbers)"
    reasons = []
    for target, offer in zip(pairing.targets, pairing.offers, strict=True):
        if id(target.layer) not in loaded:
            has = f"the file has {_shown(offer.shapes)} for {_shown(target.shapes)}" if offer else "not in the file"
            reasons.append(f"'{target.name}' starts at random ({has})")
    return "; ".join([text, *reasons])


def _shown(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " and ".join(" x ".join(map(str, shape)) or "1" for shape in shapes)
