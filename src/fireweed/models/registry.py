"""The nets there are: their names, what they are, and how one is built. Imports no framework until it builds."""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fireweed.errors import ModelError, nearest
from fireweed.models import spec
from fireweed.models.words import quoted

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Entry:
    """What is known of a net before it is built.

    builder:     "module:function" below fireweed.models; empty for a line of text and for nets of keras.applications.
    has_flatten: the net needs a fixed side, and can be trained and used at that side only.
    is_wide:     most of its work is in wide 1x1 convolutions, which a CPU's units for bfloat16 make faster.
    """

    name: str
    description: str
    default_side_px: int
    min_side_px: int
    builder: str = ""
    pretrained: bool = False
    has_flatten: bool = False
    max_side_px: int = spec.LARGEST_SIDE_PX
    weight_file: str = ""
    is_wide: bool = False


_TF = "weights_tf_dim_ordering_tf_kernels"

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "dense", "no convolutions: 500, then 50 neurons, each seeing every pixel", 192, 1,
            "dense:dense", has_flatten=True, max_side_px=331,
        ),
        Entry(
            "convnet", "the codelab's plain convnet: 3x3 convolutions and max-pooling", 192, 4,
            "convnet:convnet", has_flatten=True, max_side_px=1024,
        ),
        Entry(
            "convnet-1x1", "the codelab's convnet of 3x3 and 1x1 convolutions by turns", 192, 16,
            "convnet:convnet_1x1", has_flatten=True, max_side_px=1024,
        ),
        Entry("inception", "branching modules: 1x1 beside 3x3, concatenated", 192, 16, "inception:inception_net"),
        Entry("squeezenet", "the codelab's net of fire modules, with batch norm", 192, 16, "squeezenet:squeezenet"),
        Entry("firenet", "fire modules behind a convolution that halves the photo", 128, 16, "squeezenet:firenet"),
        Entry("squeezenet-1.0", "the SqueezeNet paper's net", 227, 35, "squeezenet:squeezenet_1_0"),
        Entry("squeezenet-1.1", "its authors' later, cheaper version", 227, 31, "squeezenet:squeezenet_1_1"),
        Entry("separable", "separable convolutions with shortcuts, a small Xception", 192, 16, "xception:separable"),
        Entry(
            "xception", "Xception: separable convolutions only; the codelab's choice for fine-tuning", 299, 71,
            pretrained=True, weight_file=f"xception_{_TF}_notop.h5", is_wide=True,
        ),
        Entry(
            "mobilenetv2", "MobileNetV2: made for phones; the quickest of the pretrained nets", 224, 32,
            pretrained=True, weight_file=f"mobilenet_v2_{_TF}_1.0_224_no_top.h5",
        ),
        Entry(
            "efficientnet-b0", "EfficientNet-B0: few multiply-adds for its accuracy", 224, 32,
            pretrained=True, weight_file="efficientnetb0_notop.h5",
        ),
        Entry(
            "convnext-tiny", "ConvNeXt-Tiny: a convnet built the way transformers are", 224, 32,
            pretrained=True, weight_file="convnext_tiny_notop.h5",
        ),
        Entry(
            "resnet50v2", "ResNet50V2: residual blocks with norm and relu first", 224, 32,
            pretrained=True, weight_file=f"resnet50v2_{_TF}_notop.h5",
        ),
    )
}  # fmt: skip


def find_entry(name_or_line: str) -> Entry:
    """Return what is known of a named net or of a net written as a line of text.

    Raises:
        ModelError: no net of that name, naming the nearest; or a line with an error, pointing at the word.
    """
    text = name_or_line.strip()
    if text in ENTRIES:
        return ENTRIES[text]
    if spec.is_line(text):
        net = spec.parse_line(text)
        side = max(spec.DEFAULT_SIDE_PX, net.min_side_px)
        return Entry(str(net), "a net written as a line of text", side, net.min_side_px, has_flatten=net.has_flatten)
    raise ModelError(f"no net is called {quoted(text)}; {nearest(text.lower(), ENTRIES)}")


def build_model(
    name_or_line: str,
    classes: int = 5,
    side: int | None = None,
    *,
    weights: str = "none",
    freeze: bool | str = False,
    dropout: float = 0.0,
) -> "keras.Model":
    """Build a net for so many classes: photos (batch, side, side, 3), RGB 0..255, to probabilities (batch, classes).

    Args:
        name_or_line: a name in ENTRIES, or a net written as a line of text.
        side: of the photos in pixels; None builds a net for any side, or, where it flattens, for its default side.
        weights: "none" for random ones, "imagenet" for those of keras.applications, fetched when not at hand.
        freeze: train only the classifier of a pretrained net, or what is behind the layer that is named.
        dropout: share of the features dropped before the classifier while training.

    Raises:
        ModelError: no such net, an error in the line, or a setting that this net cannot have.
    """
    entry = find_entry(name_or_line)
    if entry.has_flatten and side is None:
        side = entry.default_side_px
    _check(entry, classes, side, weights, freeze, dropout)
    if entry.pretrained:
        from fireweed.models.pretrained import build_pretrained

        return build_pretrained(entry.name, classes, side, weights=weights, freeze=freeze, dropout=dropout)
    if not entry.builder:
        return spec.build_net(spec.parse_line(name_or_line.strip()), classes, side, dropout)
    module, function = entry.builder.split(":")
    return getattr(importlib.import_module(f"fireweed.models.{module}"), function)(classes, side, dropout)


def imagenet_at_hand(name: str) -> bool:
    """Return whether Keras's cache already holds the ImageNet weights of the named net; imports no framework."""
    entry = ENTRIES.get(name)
    return bool(entry and entry.weight_file) and (keras_cache() / weight_file(name)).is_file()


def weight_file(name: str) -> str:
    """Return what keras.applications calls the file with the ImageNet weights of a net without its top."""
    return ENTRIES[name].weight_file


def keras_cache() -> Path:
    """Return the folder in which keras.applications keeps weight files (KERAS_HOME, else below the home folder)."""
    asked = os.environ.get("KERAS_HOME")
    home = Path.home()
    top = Path(asked).expanduser() if asked else (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"
    return top / "models"


def _check(entry: Entry, classes: int, side: int | None, weights: str, freeze: bool | str, dropout: float) -> None:
    if classes < 2:
        raise ModelError(f"a classifier needs at least 2 classes, got {classes}; give photos of two kinds or more")
    if side is not None and side < entry.min_side_px:
        raise ModelError(
            f"side {side} px is too small for {quoted(entry.name)}, whose layers shrink it to nothing; "
            f"use at least {entry.min_side_px} px"
        )
    if side is not None and side > entry.max_side_px:
        raise ModelError(f"side {side} px is too large for {quoted(entry.name)}; use at most {entry.max_side_px} px")
    if weights not in ("none", "imagenet"):
        raise ModelError(f"weights must be 'none' or 'imagenet' to build a net, got '{weights}'")
    if weights == "imagenet" and not entry.pretrained:
        raise ModelError(f"there are no ImageNet weights for {quoted(entry.name)}, only for {_names_of_pretrained()}")
    if freeze and not entry.pretrained:
        raise ModelError(
            f"{quoted(entry.name)} has no pretrained part to freeze; those that have: {_names_of_pretrained()}"
        )
    if not 0.0 <= dropout < 1.0:
        raise ModelError(f"drop-out must be a share from 0 to below 1, got {dropout}")


def _names_of_pretrained() -> str:
    return ", ".join(entry.name for entry in ENTRIES.values() if entry.pretrained)
