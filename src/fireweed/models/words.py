"""The words of a net written as a line of text, and the values that such a line stands for. Imports no framework."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fireweed.errors import nearest

MAX_FILTERS = 4_096

Value = int | float | str | None


@dataclass(frozen=True)
class Argument:
    """One argument of a word: how it is written, what it may be, and its value where it is left out.

    mark: its letter in a description of how the block is written.
    form: "count" (24), "even" (48), "stride" (/2), "share" (0.5, below 1), or the words to choose from.
    """

    mark: str
    name: str
    form: str | tuple[str, ...]
    default: Value = None
    optional: bool = False
    most: int = MAX_FILTERS

    def fits(self, word: str) -> bool:
        """Return whether a word looks like this argument, be its value allowed or not."""
        return word.startswith("/") == (self.form == "stride")

    def read(self, word: str) -> Value:
        """Return the value that a word stands for; ValueError says what was expected."""
        if isinstance(self.form, tuple):
            if word not in self.form:
                raise ValueError(f"is no {self.name}; {nearest(word, self.form)}")
            return word
        if self.form == "share":
            if not re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)(e-[0-9]+)?", word) or not 0.0 <= float(word) < 1.0:
                raise ValueError(f"is no {self.name}: a number from 0 to below 1 is expected here, such as 0.5")
            return float(word)
        digits = word.removeprefix("/") if self.form == "stride" else word
        if not re.fullmatch(r"[0-9]+", digits):
            raise ValueError(f"is no number; {self.name} is expected here")
        number = int(digits) if len(digits) < 10 else math.inf
        if not 1 <= number <= self.most:
            raise ValueError(f"is out of range; {self.name} goes from 1 to {self.most:,}")
        if self.form == "even" and number % 2:
            raise ValueError(f"is odd; {self.name} is split in two halves, so use {int(number) + 1}")
        return int(number)

    def write(self, value: Value) -> str:
        """Return the word for a value."""
        return f"/{value}" if self.form == "stride" else str(value)


_FILTERS = Argument("F", "the number of filters", "count")
_KERNEL = Argument("K", "the kernel size", "count", default=3, optional=True, most=15)
_STRIDE = Argument("/S", "the stride (such as /2)", "stride", default=1, optional=True, most=8)
_POOLING = Argument("max|avg", "kind of pooling", ("max", "avg"), default="max", optional=True)
_NORM = Argument("batch|none", "kind of norm", ("batch", "none"))
_MOMENTUM = Argument("M", "momentum", "share", default=0.9, optional=True)

WORDS: dict[str, tuple[Argument, ...]] = {
    "conv": (_FILTERS, _KERNEL, _STRIDE),
    "fire": (
        Argument("S", "the number of squeeze filters", "count"),
        Argument("E", "the number of expand filters", "even"),
    ),
    "inception": (
        Argument("A", "the number of 1x1 filters", "count"),
        Argument("B", "the number of 3x3 filters", "count"),
    ),
    "sep": (_FILTERS, _KERNEL, _STRIDE),
    "pool": (_POOLING,),
    "gap": (),
    "flatten": (),
    "dense": (Argument("N", "the number of neurons", "count"),),
    "drop": (Argument("P", "share to drop", "share"),),
    "norm": (_NORM, _MOMENTUM),
}
ENDS = ("gap", "flatten")
ONCE = (*ENDS, "norm")


@dataclass(frozen=True)
class Block:
    """One block of a line: its word, the values of all its arguments, how often it comes in a row.

    at: where in the line the word stands, counted from 1; of no account when blocks are compared.
    """

    word: str
    values: tuple[Value, ...] = ()
    times: int = 1
    at: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        pairs = list(zip(WORDS[self.word], self.values, strict=True))
        if self.word == "norm" and self.values[0] == "none":
            pairs = pairs[:1]
        words = [argument.write(v) for argument, v in pairs if not (argument.optional and v == argument.default)]
        return " ".join([self.word, *words, *([f"x{self.times}"] if self.times > 1 else [])])


@dataclass(frozen=True)
class Net:
    """A net as a value: its blocks in a row, without the photo before them and the classes after them."""

    blocks: tuple[Block, ...]

    def __str__(self) -> str:
        return " | ".join(str(block) for block in self.blocks)

    @property
    def has_flatten(self) -> bool:
        """Whether the net can be used at one side only."""
        return any(block.word == "flatten" for block in self.blocks)

    @property
    def min_side_px(self) -> int:
        """The smallest photo of which the strides and pools leave at least one position."""
        side = 1
        for block in reversed(list(self.repeated())):
            if block.word == "pool":
                side *= 2
            elif block.word in ("conv", "sep"):
                side = int(block.values[2]) * (side - 1) + 1  # type: ignore[arg-type]
        return side

    def repeated(self) -> Iterator[Block]:
        """Yield each block as often as it comes."""
        for block in self.blocks:
            for _ in range(block.times):
                yield block


def usage(word: str) -> str:
    """Return how a block is written: `conv F [K] [/S]`."""
    return " ".join([word, *(f"[{a.mark}]" if a.optional else a.mark for a in WORDS[word])])


def quoted(text: str, most: int = 60) -> str:
    """Return a text of the user's in quotes for a message: cut where it is long, control characters escaped."""
    return repr(text if len(text) <= most else text[: most - 3] + "...")
