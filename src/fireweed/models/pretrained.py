"""Nets of keras.applications with a classifier of our own: for fine-tuning, or frozen as feature extractors.

A net is one flat graph: the photo, the scaling that this family expects, the layers of keras.applications with their
names, global average, classes. No model lies inside another and every node is a layer, so that a net can be cloned,
drawn and checked layer by layer.
"""

import contextlib
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from fireweed.errors import ModelError, nearest
from fireweed.models.blocks import NORM_MOMENTUM, Tensor, classify, gap, photo_input, scaling
from fireweed.models.registry import ENTRIES, keras_cache, weight_file
from fireweed.models.words import quoted


@dataclass(frozen=True)
class _Backbone:
    """How a net is called in keras.applications, and what has to be done around and inside it.

    wants_centred: its photos are to be scaled to -1..1; the others take 0..255 and scale inside themselves.
    pads_by_side:  before its strides it pads by amounts chosen when it is built, as padding "same" would at that side.
    """

    keras_name: str
    wants_centred: bool
    pads_by_side: bool = False


_BACKBONES = {
    "xception": _Backbone("Xception", wants_centred=True),
    "mobilenetv2": _Backbone("MobileNetV2", wants_centred=True, pads_by_side=True),
    "efficientnet-b0": _Backbone("EfficientNetB0", wants_centred=False, pads_by_side=True),
    "convnext-tiny": _Backbone("ConvNeXtTiny", wants_centred=False),
    "resnet50v2": _Backbone("ResNet50V2", wants_centred=True),
}
_STANDARD_DEVIATIONS = (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue in 0..1
_NUMBERED = re.compile(
    r"(conv2d|batch_normalization|add|rescaling|normalization|layer_normalization|max_pooling2d)(_\d+)?"
)
_SILENCE_SECONDS = 30


def build_pretrained(
    name: str, classes: int, side: int | None, *, weights: str = "none", freeze: bool | str = False,
    dropout: float = 0.0,
) -> keras.Model:  # fmt: skip
    """Build the named net of keras.applications: features, global average, classes.

    With `freeze` only the classifier learns, or what is behind the layer that it names: before it batch norms use and
    keep their moving statistics, and drop-outs are off, in training too.

    Raises:
        ModelError: `weights` is "imagenet" and they can neither be found nor fetched; or `freeze` names no layer that
            all paths through the net go by.
    """
    source = _with_imagenet_weights(name) if weights == "imagenet" else None
    photo = photo_input(side)
    backbone = _BACKBONES[name]
    scaled = scaling(-1, 1)(photo) if backbone.wants_centred else photo
    features = _grafted(keras_backbone(name, side), photo, scaled, backbone.pads_by_side)
    model = keras.Model(photo, classify(gap(features), classes, dropout), name=name)
    if source is not None:
        copy_backbone(source, model)
    if freeze:
        freeze_backbone(model, freeze)
    return model


def keras_backbone(name: str, side: int | None = None) -> keras.Model:
    """Return keras.applications' own net without its top and with random weights: what weight files are made for."""
    build = getattr(keras.applications, _BACKBONES[name].keras_name)
    return build(weights=None, include_top=False, input_shape=(side, side, 3))


def features_of(model: keras.Model) -> keras.Model:
    """Return the part of a pretrained net before its global average, sharing the layers: photo to features."""
    return keras.Model(model.input, model.get_layer("gap").input, name="features")


def split_frozen(model: keras.Model, freeze: bool | str = True) -> tuple[keras.Model, keras.Model]:
    """Return a frozen net in two parts that share its layers: photo to features, features to classes.

    Frozen as a whole, its features are averaged, of shape (batch, channels); up to a layer, they are that layer's
    output, (batch, height, width, channels). Whatever trains the second part, the head, trains the net.
    """
    features = model.get_layer("gap" if freeze is True else freeze).output
    return keras.Model(model.input, features, name="backbone"), keras.Model(features, model.output, name="head")


def copy_backbone(source: keras.Model, model: keras.Model) -> None:
    """Copy the weights of keras.applications' net `source` into the backbone of `model`.

    EfficientNet's files hold standard deviations where its norm layer expects variances; keras.applications makes up
    for it by one more layer, but only for weights="imagenet". Here the variances themselves are put right, whichever
    way the file came.

    Raises:
        ModelError: the two are not the same net.
    """
    theirs = [weight for layer in _flat(source.layers) for weight in layer.weights]
    ours = features_of(model).weights
    if [tuple(w.shape) for w in theirs] != [tuple(w.shape) for w in ours]:
        raise ModelError(f"these weights are those of '{source.name}', another net than '{model.name}'")
    for weight, value in zip(ours, theirs, strict=True):
        weight.assign(value)
    for layer in model.layers:
        put_variance_right(layer)


def freeze_backbone(model: keras.Model, freeze: bool | str = True) -> None:
    """Keep every weight and statistic before the global average, or up to a layer, as it is, in training too.

    Raises:
        ModelError: there is no such layer, or other paths through the net pass it by.
    """
    frozen = features_of(model) if freeze is True else _up_to(model, str(freeze))
    for layer in frozen.layers:
        layer.trainable = False
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0


def _up_to(model: keras.Model, name: str) -> keras.Model:
    """Return the part of a net from the photo to the layer called `name`."""
    before = {layer.name: layer for layer in features_of(model).layers[1:]}
    if name not in before:
        raise ModelError(f"{model.name} has no layer called {quoted(name)} to be frozen up to; {nearest(name, before)}")
    part = keras.Model(model.input, before[name].output, name="features")
    passed_by = _passed_by(model, part)
    if passed_by:
        raise ModelError(
            f"{model.name} cannot be frozen up to '{name}': what '{passed_by}' gives goes past it; name the layer that "
            "ends a block, such as an addition"
        )
    return part


def _passed_by(model: keras.Model, part: keras.Model) -> str:
    """Return a layer within `part`, other than its last, whose output layers outside get; empty: there is none."""
    behind = {layer.name for layer in model.layers} - {layer.name for layer in part.layers}
    end = part.output._keras_history.operation
    for layer in part.layers:
        if layer is not end and any(node.operation.name in behind for node in layer._outbound_nodes):
            return str(layer.name)
    return ""


def _grafted(backbone: keras.Model, photo: Tensor, scaled: Tensor, pads_by_side: bool) -> Tensor:
    """Apply fresh copies of the backbone's layers to `scaled` and return its features.

    Models inside the backbone are opened, operations that are no layers are replaced by the layer that does the same,
    and padding chosen for one side becomes "same", so that a net built for any side gives what one for that side gives.
    """
    fresh = _fresh_layer_maker("same" if pads_by_side else "valid")

    def call(operation: Any, *inputs: Any, **options: Any) -> Tensor:
        if isinstance(operation, keras.Sequential):
            (x,) = inputs
            for layer in operation.layers:
                x = fresh(layer)(x)
            return x
        if not isinstance(operation, keras.Layer):
            assert type(operation).__name__ == "Add", operation  # ConvNeXt's `+`, the only one there is
            return fresh(layers.Add(name=operation.name))(list(inputs))
        if pads_by_side and isinstance(operation, layers.ZeroPadding2D):
            return scaled if inputs[0] is photo else inputs[0]
        return fresh(operation)(*(scaled if x is photo else x for x in inputs), **options)

    copy = keras.models.clone_model(backbone, photo, clone_function=lambda layer: layer, call_function=call)
    return copy.output


def _fresh_layer_maker(padding: str) -> Callable[[keras.Layer], keras.Layer]:
    """Return a function that copies a layer without its weights, with `padding` where it had none.

    A name that Keras numbered is numbered anew from 0: Keras counts on from one model to the next, and variables
    should be called the same in every process.
    """
    counts: Counter[str] = Counter()

    def fresh(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        numbered = _NUMBERED.fullmatch(layer.name)
        if numbered:
            word = numbered[1]
            config["name"] = f"{word}_{counts[word]}" if counts[word] else word
            counts[word] += 1
        if config.get("padding") == "valid":
            config["padding"] = padding
        if isinstance(layer, layers.BatchNormalization):
            # at Keras's 0.99 a fifth of the old statistics would still be there after 160 steps of fine-tuning
            config["momentum"] = NORM_MOMENTUM
        if isinstance(layer, layers.Rescaling | layers.Normalization):
            config["dtype"] = "float32"  # the photo is scaled before it is rounded to half precision
        return layer.__class__.from_config(config)

    return fresh


def _flat(parts: list[keras.Layer]) -> Iterator[keras.Layer]:
    for layer in parts:
        if isinstance(layer, keras.Model):
            yield from _flat(layer.layers)
        else:
            yield layer


def put_variance_right(layer: keras.Layer) -> None:
    """Square the standard deviations that EfficientNet's files hold where its norm layer expects variances.

    keras.applications makes up for it by one more layer, but only for weights="imagenet"
    (https://github.com/tensorflow/tensorflow/issues/49930). Other layers, and true variances, are left alone.
    """
    if not isinstance(layer, layers.Normalization) or not layer.weights:
        return
    mean, variance, count = layer.get_weights()
    if variance.size == 3 and np.allclose(variance.ravel(), _STANDARD_DEVIATIONS, atol=1e-3):
        layer.load_own_variables({"0": mean, "1": np.square(variance), "2": count})


def _with_imagenet_weights(name: str) -> keras.Model:
    build = getattr(keras.applications, _BACKBONES[name].keras_name)
    side = ENTRIES[name].default_side_px
    try:
        with _progress_on_stderr(), _giving_up_after(_SILENCE_SECONDS):
            return build(weights="imagenet", include_top=False, input_shape=(side, side, 3))
    except Exception as error:  # Keras raises bare Exception when a download fails, and h5py several kinds
        reason = str(error).split("\n")[0] or type(error).__name__
        raise ModelError(
            f"the ImageNet weights of '{name}' could not be had ({reason}); put {weight_file(name)} into "
            f"{keras_cache()}, or give a file with --weights FILE, or train from scratch with --weights none"
        ) from error


@contextlib.contextmanager
def _giving_up_after(seconds: float) -> Iterator[None]:
    """Let a download fail when the network is silent for so long; Keras itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _progress_on_stderr() -> contextlib.AbstractContextManager:
    """Send Keras's progress bar to standard error: standard output may carry JSON."""
    return contextlib.redirect_stdout(sys.stderr)
