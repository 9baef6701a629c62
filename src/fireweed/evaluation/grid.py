"""A grid of photos with words under each, as one PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fireweed.evaluation.fonts import Lettering, lettering_for
from fireweed.files import written_aside
from fireweed.text import readable

_CELL_PX = 192
_GAP_PX = 14
_TEXT_PX = 15
_LINE_PX = 20
_FRAME_PX = 4
_PAPER, _CELL, _INK = (255, 255, 255), (244, 239, 242), (34, 29, 36)
_RIGHT, _WRONG = (25, 120, 75), (185, 58, 31)
_SYMBOLS = {True: "✓ ", False: "✗ "}


def photo_grid_png(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    columns: int,
    path: Path,
    marks: Sequence[bool | None] | None = None,
) -> str:
    """Write photos in rows with captions under them; return a sentence on characters that could not be drawn, or "".

    images:   uint8 (height, width, 3) each, of any size; small ones are enlarged to the cell, never distorted.
    captions: a line or several each; too long a line ends in an ellipsis.
    marks:    right (True) or wrong (False) by a frame and a symbol; None for neither.

    Raises:
        FireweedError: the file cannot be written.
    """
    if len(images) != len(captions) or (marks is not None and len(marks) != len(images)):
        raise ValueError(
            f"expected a caption and a mark a photo; received {len(images)} photos, {len(captions)} captions"
        )
    signs = list(marks) if marks is not None else [None] * len(images)
    texts = [_lines(caption, sign) for caption, sign in zip(captions, signs, strict=True)]
    lettering = lettering_for((line for lines in texts for line in lines), _TEXT_PX)
    columns = max(1, min(columns, len(images)))
    cell_height = _CELL_PX + _LINE_PX * max((len(lines) for lines in texts), default=0) + 6
    rows = -(-len(images) // columns)
    size = (columns * (_CELL_PX + _GAP_PX) + _GAP_PX, rows * (cell_height + _GAP_PX) + _GAP_PX)
    sheet = Image.new("RGB", size, _PAPER)
    for position, (image, lines, sign) in enumerate(zip(images, texts, signs, strict=True)):
        row, column = divmod(position, columns)
        place = (_GAP_PX + column * (_CELL_PX + _GAP_PX), _GAP_PX + row * (cell_height + _GAP_PX))
        _put_photo(sheet, image, place, sign)
        _put_lines(sheet, lines, place, lettering, sign)
    with written_aside(path) as aside:
        sheet.save(aside, "PNG")
    return _note(lettering)


def _lines(caption: str, sign: bool | None) -> list[str]:
    lines = [readable(line) for line in caption.split("\n")]
    if sign is not None:
        lines[0] = _SYMBOLS[sign] + lines[0]
    return lines


def _put_photo(sheet: Image.Image, image: np.ndarray, place: tuple[int, int], sign: bool | None) -> None:
    picture = Image.fromarray(np.ascontiguousarray(image, np.uint8)).convert("RGB")
    scale = _CELL_PX / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    box = (place[0], place[1], place[0] + _CELL_PX - 1, place[1] + _CELL_PX - 1)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle(box, fill=_CELL)
    left, top = place[0] + (_CELL_PX - size[0]) // 2, place[1] + (_CELL_PX - size[1]) // 2
    sheet.paste(picture, (left, top))
    if sign is not None:
        draw.rectangle(box, outline=_RIGHT if sign else _WRONG, width=_FRAME_PX)


def _put_lines(
    sheet: Image.Image, lines: Sequence[str], place: tuple[int, int], lettering: Lettering, sign: bool | None
) -> None:
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        text = lettering.fitting(lettering.drawable(line), _CELL_PX)
        x = place[0] + (_CELL_PX - lettering.width(text)) / 2
        baseline = place[1] + _CELL_PX + _LINE_PX * (number + 1) - 3
        colour = _INK if sign is None or number else (_RIGHT if sign else _WRONG)
        for piece, font in lettering.pieces(text):
            draw.text((x, baseline), piece, fill=colour, font=font, anchor="ls")
            x += font.getlength(piece)


def _note(lettering: Lettering) -> str:
    if not lettering.missing:
        return ""
    shown = "".join(sorted(lettering.missing)[:8])
    return (
        f"no font on this machine has {shown}{' and more' if len(lettering.missing) > 8 else ''}: written as codes; "
        "install a font that has them, such as Noto Sans CJK"
    )
