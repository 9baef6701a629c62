"""Fonts for text inside pictures: found on this machine, by the characters that have to be drawn."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ImageFont

from fireweed.text import escaped

# Drawn only by whole-word shaping or not at all: they need no picture of their own.
_INVISIBLE = "\u200c\u200d\ufe0e\ufe0f"
_LESS_LIKELY = ("bold", "italic", "oblique", "light", "thin", "black", "mono", "emoji", "condensed", "serif")


@dataclass(frozen=True)
class Lettering:
    """The fonts that draw a text, each character by the first font that has it.

    missing: characters that no font here has; they are written as escapes.
    """

    fonts: tuple[tuple[ImageFont.FreeTypeFont, frozenset[int]], ...]
    missing: frozenset[str]

    def drawable(self, text: str) -> str:
        """Return the text with the characters that no font has as escapes."""
        return "".join(escaped(c) if c in self.missing else c for c in text if c not in _INVISIBLE)

    def pieces(self, text: str) -> list[tuple[str, ImageFont.FreeTypeFont]]:
        """Cut a drawable text where the font changes."""
        found: list[tuple[str, ImageFont.FreeTypeFont]] = []
        for character in text:
            font = next((font for font, has in self.fonts if ord(character) in has), self.fonts[0][0])
            if found and found[-1][1] is font:
                found[-1] = (found[-1][0] + character, font)
            else:
                found.append((character, font))
        return found

    def width(self, text: str) -> float:
        """Return how many pixels wide a drawable text is."""
        return sum(font.getlength(piece) for piece, font in self.pieces(text))

    def fitting(self, text: str, width_px: float) -> str:
        """Return a drawable text that fits, its end replaced by an ellipsis where it is too long."""
        if self.width(text) <= width_px:
            return text
        kept = len(text)
        while kept and self.width(text[:kept].rstrip() + "…") > width_px:
            kept -= 1
        return text[:kept].rstrip() + "…"


def lettering_for(texts: Iterable[str], size_px: int) -> Lettering:
    """Return the fonts for these texts: DejaVu, which comes with matplotlib, then what the machine has."""
    wanted = {ord(c) for text in texts for c in text if c not in _INVISIBLE and c != "\n"}
    fonts: list[tuple[ImageFont.FreeTypeFont, frozenset[int]]] = []
    for path in _bundled_font():
        fonts.append((ImageFont.truetype(path, size_px), _characters(path)))
        wanted -= fonts[-1][1]
    for path in _machine_fonts() if wanted else ():
        has = _characters(path) & wanted
        font = _opened(path, size_px) if has else None
        if font is not None:
            fonts.append((font, has))
            wanted -= has
        if not wanted:
            break
    return Lettering(tuple(fonts), frozenset(chr(code) for code in wanted))


def _bundled_font() -> tuple[str, ...]:
    import matplotlib

    return (str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")),)


@cache
def _machine_fonts() -> tuple[str, ...]:
    """Return the paths of the machine's fonts, plain ones first."""
    from matplotlib.font_manager import findSystemFonts

    def unlikely(path: str) -> tuple[int, str]:
        name = Path(path).name.lower()
        return sum(word in name for word in _LESS_LIKELY), name

    return tuple(sorted(findSystemFonts(), key=unlikely))


@cache
def _characters(path: str) -> frozenset[int]:
    """Return the codes of the characters that a font has; none for a file that cannot be read as a font."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


def _opened(path: str, size_px: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(path, size_px)
    except OSError:
        return None  # a font of pictures in sizes of its own, such as colour emoji
