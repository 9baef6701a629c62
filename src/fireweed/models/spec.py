"""A net written as one line of text, such as ``conv 32 | fire 24 48 | pool | fire 48 96 x2 | gap``.

    net   := block ("|" block)*
    block := word argument* ["x" N]

`parse_line` makes a `Net` of it, a plain value; `str` writes a net as a line again; `build_net` makes the Keras model.
Parsing imports no framework. A line may come from anyone, so its numbers, blocks and parameters are bounded.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fireweed.errors import ModelError, nearest
from fireweed.models.words import ENDS, ONCE, WORDS, Block, Net, Value, quoted, usage

if TYPE_CHECKING:
    import keras

DEFAULT_SIDE_PX = 192
LARGEST_SIDE_PX = 4_096
MAX_CHARACTERS = 4_000
MAX_BLOCKS = 256
MAX_PARAMETERS = 200_000_000


def is_line(text: str) -> bool:
    """Return whether a text is meant as a net written out, rather than as a name."""
    return "|" in text or len(text.split()) > 1 or text in WORDS


def parse_line(line: str) -> Net:
    """Read a net from a line of text.

    Raises:
        ModelError: an error in the line; points at the word and says what is expected there.
    """
    if len(line) > MAX_CHARACTERS:
        raise ModelError(f"the net is a line of {len(line):,} characters; at most {MAX_CHARACTERS:,} are read")
    blocks = []
    start = 0
    for part in line.split("|"):
        words = [(match[0], start + match.start() + 1) for match in re.finditer(r"\S+", part)]
        if not words:
            raise ModelError(f"net, character {start + 1}: a block is missing here; {nearest('', WORDS)}")
        blocks.append(_parse_block(words))
        start += len(part) + 1
    net = Net(tuple(blocks))
    _check_order(net)
    return net


def build_net(net: Net, classes: int, side: int | None, dropout: float = 0.0) -> "keras.Model":
    """Build the Keras model of a net; the last layer, the classes, is added, and a `gap` before it where none is.

    Raises:
        ModelError: the net has far more parameters than any net of this kind should.
    """
    import keras

    from fireweed.models import blocks

    count = parameters_of(net, classes, side)
    if count > MAX_PARAMETERS:
        raise ModelError(
            f"this net would have {count:,} parameters, more than {MAX_PARAMETERS:,}; use fewer filters or neurons"
            + (", or gap instead of flatten" if net.has_flatten else "")
        )
    photo = blocks.photo_input(side)
    x = blocks.scaling()(photo)
    momentum: float | None = blocks.NORM_MOMENTUM
    layers = _layers_of_words()
    numbers = dict.fromkeys(WORDS, 0)
    for block in net.repeated():
        if block.word == "norm":
            momentum = None if block.values[0] == "none" else float(block.values[1])  # type: ignore[arg-type]
            continue
        numbers[block.word] += 1
        x = layers[block.word](x, *block.values, name=f"{block.word}{numbers[block.word]}", momentum=momentum)
    if len(x.shape) == 4:
        x = blocks.gap(x, name="gap1")
    return keras.Model(photo, blocks.classify(x, classes, dropout), name="net")


def parameters_of(net: Net, classes: int, side: int | None) -> int:
    """Count the parameters that the built net will have, norm statistics included, by arithmetic alone."""
    channels, norm, count = 3, 4, 0  # a batch norm has four numbers a channel: scale, shift, mean, variance
    for block in net.repeated():
        values: Any = block.values
        match block.word:
            case "conv" | "sep":
                filters, kernel, stride = values
                spatial = channels * filters if block.word == "conv" else channels
                mixing = 0 if block.word == "conv" else channels * filters
                count += spatial * kernel**2 + mixing + (1 + norm) * filters
                channels, side = filters, side and -(-side // stride)
            case "fire":
                squeeze, half = values[0], values[1] // 2
                count += (channels + 1 + norm) * squeeze + (squeeze * 10 + 2 * (1 + norm)) * half
                channels = 2 * half
            case "inception":
                count += (channels + 1 + norm) * values[0] + (channels * 9 + 1 + norm) * values[1]
                channels = sum(values)
            case "pool":
                side = side and side // 2
            case "flatten":
                channels *= (side or 1) ** 2
            case "dense":
                count += (channels + 1) * values[0]
                channels = values[0]
            case "norm":
                norm = 4 if values[0] == "batch" else 0
    return count + (channels + 1) * classes


def _layers_of_words() -> dict[str, Callable[..., Any]]:
    """Return for each word what it does to a tensor: f(x, *values, name, momentum)."""
    from keras import layers

    from fireweed.models import blocks

    return {
        "conv": blocks.conv,
        "fire": blocks.fire,
        "inception": blocks.inception,
        "sep": blocks.separable_conv,
        "pool": lambda x, kind, name, momentum: blocks.pool(x, kind, name=name),
        "gap": lambda x, name, momentum: blocks.gap(x, name=name),
        "flatten": lambda x, name, momentum: layers.Flatten(name=name)(x),
        "dense": lambda x, neurons, name, momentum: layers.Dense(neurons, activation="relu", name=name)(x),
        "drop": lambda x, share, name, momentum: layers.Dropout(share, name=name)(x),
    }


def _parse_block(words: list[tuple[str, int]]) -> Block:
    (word, at), *rest = words
    if word not in WORDS:
        raise ModelError(f"net, character {at}: {quoted(word)} is no block; {nearest(word, WORDS)}")
    rest, times = _split_repeat(word, rest)
    values: list[Value] = []
    for argument in WORDS[word]:
        if rest and (argument.fits(rest[0][0]) or not argument.optional):
            text, place = rest.pop(0)
            try:
                values.append(argument.read(text))
            except ValueError as error:
                raise ModelError(f"net, character {place}: {quoted(text)} after '{word}' {error}") from None
        elif argument.optional:
            values.append(argument.default)
        else:
            raise ModelError(f"net, character {at}: '{word}' lacks {argument.name}; it is written '{usage(word)}'")
        if values == ["none"]:
            values.append(None)  # `norm none` takes no momentum
            break
    if rest:
        text, place = rest[0]
        raise ModelError(f"net, character {place}: {quoted(text)} is one word too many; it is written '{usage(word)}'")
    return Block(word, tuple(values), times, at)


def _split_repeat(word: str, rest: list[tuple[str, int]]) -> tuple[list[tuple[str, int]], int]:
    """Take a closing `x N` or `xN` off the words after a block's own."""
    if rest and re.fullmatch(r"x.+", rest[-1][0]):
        (text, place), count = rest[-1], rest[-1][0][1:]
        rest = rest[:-1]
    elif len(rest) > 1 and rest[-2][0] == "x":
        (text, place), count = rest[-2], rest[-1][0]
        rest = rest[:-2]
    elif rest and rest[-1][0] == "x":
        raise ModelError(f"net, character {rest[-1][1]}: a number is missing after 'x', such as x2")
    else:
        return rest, 1
    if not re.fullmatch(r"[0-9]{1,9}", count) or not 1 <= int(count) <= MAX_BLOCKS:
        raise ModelError(
            f"net, character {place}: {quoted(text)} cannot repeat a block {quoted(count)} times; "
            f"use x1 to x{MAX_BLOCKS}"
        )
    if int(count) > 1 and word in ONCE:
        raise ModelError(f"net, character {place}: '{word}' comes once, it cannot be repeated")
    return rest, int(count)


def _check_order(net: Net) -> None:
    """Refuse what cannot be built: pictures after the end of the pictures, neurons before it, nets without bounds."""
    end = ""
    for block in net.blocks:
        place = f"net, character {block.at}: '{block.word}'"
        if end and block.word not in ("dense", "drop", "norm"):
            raise ModelError(f"{place} comes after '{end}', where no picture is left; put it before '{end}'")
        if not end and block.word == "dense":
            raise ModelError(f"{place} needs 'gap' or 'flatten' somewhere before it")
        if block.word in ENDS:
            end = block.word
    if sum(block.times for block in net.blocks) > MAX_BLOCKS:
        raise ModelError(f"the net has more than {MAX_BLOCKS} blocks, repeats counted; use fewer")
    _check_pools(net)


def _check_pools(net: Net) -> None:
    for number, block in enumerate(net.blocks, 1):
        if Net(net.blocks[:number]).min_side_px > LARGEST_SIDE_PX:
            raise ModelError(
                f"net, character {block.at}: '{block}' leaves nothing of any photo; use fewer pools and strides"
            )
