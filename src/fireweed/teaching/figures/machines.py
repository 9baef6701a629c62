"""Figures of machines: numbers that flow through a systolic array, bits of formats, sums that go around a ring."""

from collections.abc import Mapping, Sequence

import numpy as np

from fireweed.teaching.figure import BLUE, GREY, INK, ORANGE, VIOLET, Figure, bare, finish, sheet
from fireweed.teaching.language import pick

_FAINT = 0.3  # how strongly what is marked is filled, so that its lettering stays readable on any page


def show_systolic(photos: np.ndarray, weights: np.ndarray, steps: Sequence[int]) -> Figure:
    """Show the product photos @ weights in a systolic array, after each of these steps, counted from 0.

    photos:  (rows, inner); its numbers enter from the left, each row of the array a step later than the one above.
    weights: (inner, columns); they stay, one in each unit. Sums go down and leave below.
    """
    (rows, inner), columns = photos.shape, weights.shape[1]
    lowest = max(inner, max(steps) + 1)  # sums fall a square a step
    drawing, axes = sheet(1, len(steps), 3.0, 0.3 * lowest + 0.4)
    told = []
    for place, step in zip(axes, steps, strict=True):
        working = [
            (k, n, step - k - n) for k in range(inner) for n in range(columns) if 0 <= step - k - n < rows
        ]  # unit (k, n) works on photo step - k - n
        for k, n, photo in working:
            _unit(place, n, k, f"{photos[photo, k]:g}×{weights[k, n]:g}", color=BLUE)
        for k, n in {(k, n) for k in range(inner) for n in range(columns)} - {(k, n) for k, n, _ in working}:
            _unit(place, n, k, f"×{weights[k, n]:g}")
        for k in range(inner):
            for photo in range(max(0, step - k + 1), rows):
                place.text(
                    step - k - photo - 0.5, k + 0.5, f"{photos[photo, k]:g}", ha="center", va="center", color=INK
                )
        products = photos @ weights
        done = [(p, n) for p in range(rows) for n in range(columns) if p + n + inner - 1 < step]
        for photo, n in done:
            _unit(place, n, step - photo - n, f"{products[photo, n]:g}", color=ORANGE)
        place.set(xlim=(-inner - rows + 1.4, columns + 0.1), ylim=(lowest + 0.1, -0.2), aspect="equal")
        place.set_title(pick(f"step {step}", f"第 {step} 步"))
        bare(place)
        told.append(pick(
            f"step {step}: {len(working)} of {inner * columns} units at work, {len(done)} of {rows * columns} sums out",
            f"第 {step} 步：{inner * columns} 個單元中有 {len(working)} 個在工作，"
            f"{rows * columns} 個總和已流出 {len(done)} 個",
        ))  # fmt: skip
    return finish(
        drawing,
        pick(
            "A square of multiplying units; numbers enter from the left, sums leave below. ",
            "乘法單元排成的方陣；數字由左邊流入，總和由下方流出。",
        )
        + "; ".join(told),
    )


def show_bits(formats: Mapping[str, tuple[int, int]]) -> Figure:
    """Draw the bits of number formats, (exponent, fraction) each behind one bit for the sign, under each other."""
    drawing, (place,) = sheet(1, 1, 7.2, 0.33 * len(formats) + 0.2)
    sign, exponent, fraction = (pick("s", "符"), pick("e", "指"), pick("f", "數"))
    told = []
    for row, (name, (exponents, fractions)) in enumerate(formats.items()):
        kinds = [(sign, VIOLET)] + [(exponent, ORANGE)] * exponents + [(fraction, BLUE)] * fractions
        for column, (letter, color) in enumerate(kinds):
            _unit(place, column, 1.6 * row, letter, color=color)
        place.text(-0.5, 1.6 * row + 0.5, name, ha="right", va="center", color=INK, fontweight="bold")
        told.append(pick(
            f"{name}: 1 for the sign, {exponents} for the exponent, {fractions} for the fraction",
            f"{name}：符號 1 個，指數 {exponents} 個，小數 {fractions} 個",
        ))  # fmt: skip
    widest = 1 + max(sum(bits) for bits in formats.values())
    place.set(xlim=(-5, widest + 0.1), ylim=(1.6 * len(formats) - 0.4, -0.2), aspect="equal")
    bare(place)
    return finish(drawing, pick("Bits of number formats. ", "數字格式的位元。") + "; ".join(told))


def show_ring(states: Sequence[np.ndarray], steps: Sequence[int]) -> Figure:
    """Show what each device holds, arrays of (devices, pieces), after these steps; finished sums are filled."""
    totals = states[0].sum(axis=0)
    drawing, axes = sheet(1, len(steps), 2.3, 0.36 * states[0].shape[0] + 0.5)
    told = []
    for place, step in zip(axes, steps, strict=True):
        held = states[step]
        is_done = np.isclose(held, totals)
        for (device, piece), value in np.ndenumerate(held):
            _unit(place, piece, device, f"{value:g}", color=ORANGE if is_done[device, piece] else None)
        for device in range(len(held)):
            label = pick(f"device {device}", f"裝置 {device}")
            place.text(-0.15, device + 0.5, label, ha="right", va="center", color=INK)
        place.set(xlim=(-2.2, held.shape[1] + 0.1), ylim=(len(held) + 0.1, -0.1), aspect="equal")
        place.set_title(pick(f"after step {step}", f"第 {step} 步之後") if step else pick("at first", "一開始"))
        bare(place)
        told.append(pick(
            f"after step {step} {int(is_done.sum())} of {is_done.size} pieces are sums of all devices",
            f"第 {step} 步之後，{is_done.size} 段中有 {int(is_done.sum())} 段是所有裝置的總和",
        ))  # fmt: skip
    return finish(
        drawing,
        pick(
            "What each device holds, a row a device and a column a piece of the gradients: ",
            "各裝置手上的數字，一列是一個裝置，一欄是梯度的一段：",
        )
        + "; ".join(told),
    )


def _unit(place, x: float, y: float, text: str, color: str | None = None) -> None:  # type: ignore[no-untyped-def]
    """Draw a square with a text in it, filled where it has a colour."""
    from matplotlib.patches import Rectangle

    if color:
        place.add_patch(Rectangle((x, y), 1, 1, facecolor=color, alpha=_FAINT, edgecolor="none"))
    place.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=color or GREY, linewidth=1.4 if color else 0.7))
    place.text(x + 0.5, y + 0.5, text, ha="center", va="center", color=INK, fontsize=7.5)
