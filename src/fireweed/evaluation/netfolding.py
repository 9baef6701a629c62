"""A net's layers made few enough to look at: small layers join the box they belong to, repeated blocks become one.

A net of 130 layers such as Xception becomes about 30 boxes, in which one sees the idea of the net.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

_KINDS = (  # the first that is found in the kind of a layer decides
    ("input", "input"),
    ("separable", "separable"),
    ("depthwise", "separable"),
    ("pool", "pool"),
    ("conv", "conv"),
    ("dense", "dense"),
    ("concat", "join"),
    ("add", "join"),
    ("multiply", "join"),
)
_SMALL = re.compile(
    r"activation|relu|softmax|gelu|silu|swish|sigmoid|norm|drop|rescal|reshape|flatten|permute|scale|identity|stochastic",
    re.I,
)
_WORDS = {
    "InputLayer": "photo",
    "Conv2D": "conv",
    "DepthwiseConv2D": "depthwise",
    "SeparableConv2D": "separable",
    "MaxPooling2D": "max pool",
    "AveragePooling2D": "average pool",
    "GlobalAveragePooling2D": "global average",
    "GlobalMaxPooling2D": "global max",
    "Concatenate": "concat",
    "BatchNormalization": "norm",
    "LayerNormalization": "layer norm",
    "Rescaling": "scaling",
    "ZeroPadding2D": "padding",
    "ReLU": "relu",
}
_ACTIVATIONS = re.compile("relu|gelu|silu|swish|sigmoid|tanh|softmax", re.I)  # what a layer's name may tell
_SMALL_BEFORE_ONLY = re.compile(r"padding", re.I)
_FEWEST_BOXES_SAVED = 3
_LONGEST_PERIOD = 12


class Layer(Protocol):
    """What a drawing needs to know of a layer; `fireweed.models.cost.LayerCost` has it."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def output_shape(self) -> Sequence[int]: ...
    @property
    def parameters(self) -> int: ...
    @property
    def multiply_adds(self) -> int: ...
    @property
    def receptive_field_px(self) -> int: ...
    @property
    def inputs(self) -> Sequence[str]: ...
    @property
    def weight_shapes(self) -> Sequence[Sequence[int]]: ...


@dataclass(frozen=True)
class Box:
    """One box of the drawing: a layer with the small ones that belong to it.

    kind:   conv, separable, pool, dense, join, input or other: what colours it.
    before: small layers ahead of it (an activation), in words.
    after:  small layers behind it (norm, activation), in words.
    shape:  its output, as 96×96×32.
    inputs: positions of the boxes that feed it.
    """

    title: str
    kind: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    shape: str
    parameters: int
    layers: tuple[str, ...]
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Stretch:
    """Boxes in a row that come `times` times one after the other; segments begin behind one box that all flows through.

    segments: each a range (start, stop) of positions in the list of boxes; only the first of the repeats.
    """

    segments: tuple[tuple[int, int], ...]
    times: int


def fold_layers(layers: Sequence[Layer]) -> list[Box]:
    """Join activations, norms and other small layers with the layer they serve, in the order of the flow."""
    inputs = _input_positions(layers)
    consumers: list[list[int]] = [[] for _ in layers]
    for position, feeding in enumerate(inputs):
        for source in feeding:
            consumers[source].append(position)
    groups: list[list[int]] = []
    group_of: dict[int, list[int]] = {}
    for position, layer in enumerate(layers):
        feeding = inputs[position]
        alone = len(feeding) == 1 and len(consumers[feeding[0]]) == 1
        group = group_of[feeding[0]] if alone and _joins(layer, group_of[feeding[0]], layers) else []
        if not group:
            groups.append(group)
        group.append(position)
        group_of[position] = group
    groups.sort(key=lambda group: group[-1])
    return [_box(group, layers, inputs, groups, group_of) for group in groups]


def find_stretches(boxes: Sequence[Box]) -> list[Stretch]:
    """Cut the net where all flows through one box, and put equal pieces in a row together."""
    segments = _segments(boxes)
    signatures = [_signature(boxes, *segment) for segment in segments]
    sizes = [stop - start for start, stop in segments]
    found: list[Stretch] = []
    position = 0
    while position < len(segments):
        period, times = _best_repeat(signatures, sizes, position)
        found.append(Stretch(tuple(segments[position : position + period]), times))
        position += period * times
    return found


def shape_text(shape: Sequence[int]) -> str:
    """Return the shape of an output as 96×96×32."""
    return "×".join(str(size) for size in shape)


def layer_kind(kind: str) -> str:
    """Return which of the drawing's kinds a layer is of, by the words in its own kind."""
    return next((ours for word, ours in _KINDS if word in kind.lower()), "other")


def _joins(layer: Layer, group: Sequence[int], layers: Sequence[Layer]) -> bool:
    """Tell whether a layer belongs with those right before it: as a small one, or as the one that they serve."""
    if _is_small(layer):
        # A norm behind a sum belongs to the next block; with it, the last of many equal blocks would look different.
        return not ("norm" in layer.kind.lower() and layer_kind(layers[group[0]].kind) == "join")
    works = layer_kind(layer.kind) in ("conv", "separable", "dense", "pool")
    return works and all(_is_small(layers[p]) or _SMALL_BEFORE_ONLY.search(layers[p].kind) for p in group)


def _is_small(layer: Layer) -> bool:
    return layer_kind(layer.kind) == "other" and bool(_SMALL.search(layer.kind))


def _input_positions(layers: Sequence[Layer]) -> list[list[int]]:
    """Return where each layer's inputs stand; a layer of which no input is known takes the one before it."""
    places = {layer.name: position for position, layer in enumerate(layers)}
    found: list[list[int]] = []
    for position, layer in enumerate(layers):
        known = [places[name] for name in dict.fromkeys(layer.inputs) if places.get(name, position) < position]
        if not known and position and layer_kind(layer.kind) != "input":
            known = [position - 1]
        found.append(known)
    return found


def _box(
    group: Sequence[int],
    layers: Sequence[Layer],
    inputs: Sequence[Sequence[int]],
    groups: Sequence[list[int]],
    group_of: dict[int, list[int]],
) -> Box:
    members = [layers[position] for position in group]
    main = next((m for m in members if not _is_small(m) and not _SMALL_BEFORE_ONLY.search(m.kind)), members[0])
    place = members.index(main)
    order = {id(other): number for number, other in enumerate(groups)}
    return Box(
        title=_title(main),
        kind=layer_kind(main.kind),
        before=_words(members[:place]),
        after=_words(members[place + 1 :]),
        shape=shape_text(members[-1].output_shape),
        parameters=sum(member.parameters for member in members),
        layers=tuple(member.name for member in members),
        inputs=tuple(order[id(group_of[source])] for source in inputs[group[0]]),
    )


def _title(layer: Layer) -> str:
    """Return what a layer does in a few words: ``conv 3×3, 32`` is one of 32 filters."""
    title = _kind_words(layer.kind)
    windows = [shape for shape in layer.weight_shapes if len(shape) == 4]
    if windows and layer_kind(layer.kind) in ("conv", "separable"):
        title += f" {windows[0][0]}×{windows[0][1]}"
    if layer_kind(layer.kind) in ("conv", "separable", "dense") and layer.output_shape:
        title += f", {layer.output_shape[-1]}"
    return title


def _words(members: Iterable[Layer]) -> tuple[str, ...]:
    # Padding only makes room for the window behind it, so that to name it tells nothing.
    telling = (member for member in members if not _SMALL_BEFORE_ONLY.search(member.kind))
    return tuple(dict.fromkeys(_small_word(member) for member in telling))


def _small_word(layer: Layer) -> str:
    if layer.kind != "Activation":
        return _kind_words(layer.kind)
    named = _ACTIVATIONS.search(layer.name)
    return named.group().lower() if named else "act"


def _kind_words(kind: str) -> str:
    known = _WORDS.get(kind)
    return known or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower().removesuffix("2d").strip()


def _segments(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    reach = 0
    last_use = [0] * len(boxes)
    for position, box in enumerate(boxes):
        for source in box.inputs:
            last_use[source] = max(last_use[source], position)
    cuts = []
    for position in range(len(boxes)):
        if reach <= position:
            cuts.append(position + 1)
        reach = max(reach, last_use[position])
    if boxes and (not cuts or cuts[-1] != len(boxes)):
        cuts.append(len(boxes))
    return list(zip([0, *cuts], cuts, strict=False))


def _signature(boxes: Sequence[Box], start: int, stop: int) -> tuple[object, ...]:
    return tuple(
        (b.title, b.kind, b.before, b.after, b.shape, b.parameters, tuple(source - start for source in b.inputs))
        for b in boxes[start:stop]
    )


def _best_repeat(signatures: Sequence[object], sizes: Sequence[int], start: int) -> tuple[int, int]:
    """Return (segments in the period, times) of the repeat from `start` on that saves most boxes; (1, 1) for none."""
    best, most = (1, 1), _FEWEST_BOXES_SAVED - 1
    for period in range(1, min(_LONGEST_PERIOD, (len(signatures) - start) // 2) + 1):
        pattern = signatures[start : start + period]
        times = 1
        while signatures[start + times * period : start + (times + 1) * period] == pattern:
            times += 1
        saved = sum(sizes[start : start + period]) * (times - 1)
        if saved > most:
            best, most = (period, times), saved
    return best
