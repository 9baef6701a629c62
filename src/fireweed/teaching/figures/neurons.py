"""Figures of neurons: one, many in layers, what they give, and how wrong that is."""

from collections.abc import Sequence

import numpy as np

from fireweed.teaching.figure import BLUE, DASHES, GREY, INK, ORANGE, Figure, bare, finish, sheet, signed_picture
from fireweed.teaching.language import pick

_SHOWN_NEURONS = 7


def show_neuron(inputs: Sequence[float], weights: Sequence[float], bias: float) -> Figure:
    """Draw one neuron at work: each input times its weight, the sum with the bias, relu."""
    drawing, (place,) = sheet(1, 1, 6.2, 2.6)
    total = float(np.dot(inputs, weights)) + bias
    middle = (len(inputs) - 1) / 2
    for number, (value, weight) in enumerate(zip(inputs, weights, strict=True)):
        y = middle - number
        place.plot([0.3, 2.5], [y, 0], color=ORANGE if weight > 0 else BLUE, linestyle=DASHES[0 if weight > 0 else 1])
        _disc(place, 0, y, f"{value:g}")
        place.text(1.05, y * 0.67 + 0.1, f"× {weight:g}", ha="center", va="bottom", color=INK)
    _disc(place, 2.9, 0, "Σ")
    place.annotate("", (2.9, 0.42), (2.9, 1.2), arrowprops={"arrowstyle": "->", "color": INK})
    place.text(2.9, 1.3, pick("bias", "偏差") + f" {bias:g}", ha="center", va="bottom", color=INK)
    place.annotate("", (4.5, 0), (3.3, 0), arrowprops={"arrowstyle": "->", "color": INK})
    place.text(3.9, 0.12, f"{total:g}", ha="center", va="bottom", color=INK)
    place.text(
        5, 0, "relu", ha="center", va="center", color=INK, bbox={"boxstyle": "round", "fill": False, "edgecolor": INK}
    )
    place.annotate("", (6.5, 0), (5.5, 0), arrowprops={"arrowstyle": "->", "color": INK})
    place.text(6.65, 0, f"{max(total, 0):g}", ha="left", va="center", color=INK, fontweight="bold")
    place.set(xlim=(-0.5, 7.2), ylim=(-middle - 0.6, max(middle, 1.3) + 0.5))
    bare(place)
    alt = pick(
        f"A neuron: inputs {list(inputs)} times weights {list(weights)} are "
        f"added up, bias {bias:g} is added, which gives "
        f"{total:g}; relu makes {max(total, 0):g} of it",
        f"一個神經元：輸入 {list(inputs)} 分別乘以權重 {list(weights)} 後相加，再加偏差 {bias:g}，得到 {total:g}；"
        f"relu 輸出 {max(total, 0):g}",
    )
    return finish(drawing, alt)


def show_activations(functions: dict[str, object], low: float = -6, high: float = 6) -> Figure:
    """Plot activation functions of one number, each in a frame of its own."""
    drawing, axes = sheet(1, len(functions), 2.8, 2.1)
    at = np.linspace(low, high, 241)
    for place, (name, function) in zip(axes, functions.items(), strict=True):
        place.axhline(0, color=GREY, linewidth=0.7)
        place.axvline(0, color=GREY, linewidth=0.7)
        place.plot(at, function(at), color=BLUE)  # type: ignore[operator]
        place.set_title(name)
        place.set_xlabel(pick("weighted sum", "加權總和"))
    names = ", ".join(functions)
    return finish(
        drawing, pick(f"Curves of {names} from {low:g} to {high:g}", f"{names} 在 {low:g} 到 {high:g} 之間的曲線")
    )


def show_layers(sizes: Sequence[int], names: Sequence[str]) -> Figure:
    """Draw a dense net as columns of discs, every disc joined to all of the column before it; long columns are cut."""
    drawing, (place,) = sheet(1, 1, 6.4, 3.2)
    columns = [_heights(size) for size in sizes]
    for number in range(1, len(sizes)):
        for _, y in enumerate(columns[number]):
            for before in columns[number - 1]:
                place.plot([2 * number - 2, 2 * number], [before, y], color=GREY, linewidth=0.35, zorder=1)
    for number, (heights, size, name) in enumerate(zip(columns, sizes, names, strict=True)):
        place.scatter([2 * number] * len(heights), heights, s=90, color=ORANGE if number else BLUE, zorder=2)
        place.text(2 * number, 4.1, f"{size:,}", ha="center", color=INK, fontweight="bold")
        place.text(2 * number, -4.4, name, ha="center", color=INK)
        if size > _SHOWN_NEURONS:
            place.text(2 * number, 0, "⋮", ha="center", va="center", color=INK, fontsize=16)
    place.set(xlim=(-0.9, 2 * len(sizes) - 1.1), ylim=(-4.8, 4.8))
    bare(place)
    told = ", ".join(f"{name} {size:,}" for name, size in zip(names, sizes, strict=True))
    return finish(
        drawing,
        pick(
            f"A dense net, all of a column joined to all of the next: {told}",
            f"密集神經網路，每一欄的每個圓都連到下一欄的每個圓：{told}",
        ),
    )


def show_batch_product(batch: int, inputs: int, neurons: int) -> Figure:
    """Draw a dense layer on a batch of photos as a product of matrices, one row and one column marked."""
    from matplotlib.patches import Rectangle

    drawing, (place,) = sheet(1, 1, 6.4, 2.6)
    row, column = batch // 3, neurons // 2
    left = 0.0
    shapes = (("X", batch, inputs), ("W", inputs, neurons), ("Y", batch, neurons))
    for name, high, wide in shapes:
        top = -high / 2
        for y in range(high):
            for x in range(wide):
                is_marked = ((name != "W" and y == row) and (name != "Y" or x == column)) or (
                    name == "W" and x == column
                )
                color = (ORANGE if name == "Y" else BLUE) if is_marked else "none"
                place.add_patch(
                    Rectangle((left + x, top + y), 0.9, 0.9, facecolor=color, edgecolor=GREY, linewidth=0.7)
                )
        place.text(left + wide / 2, -inputs / 2 - 1.2, f"{name}  {high} × {wide}", ha="center", color=INK)
        left += wide + 2.2
        if name != "Y":
            place.text(left - 1.15, 0, "×" if name == "X" else "=", ha="center", va="center", color=INK, fontsize=14)
    place.set(xlim=(-0.5, left - 1.5), ylim=(inputs / 2 + 0.8, -inputs / 2 - 2.2), aspect="equal")
    bare(place)
    alt = pick(
        f"A matrix of {batch} photos of {inputs} numbers times a matrix of weights with a column for each of {neurons} "
        "neurons; a row of the first with a column of the second gives one number of the result",
        f"{batch} 張相片、每張 {inputs} 個數字的矩陣，乘以權重矩陣（每個神經元一欄，共 "
        f"{neurons} 欄）；前者的一列與後者的一欄得出結果的一個數字",
    )
    return finish(drawing, alt)


def show_softmax(logits: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> Figure:
    """Show logits, and beside them what softmax makes of them, as bars with their numbers."""
    drawing, axes = sheet(1, 2, 3.3, 2.3)
    shown = ((logits, "logits", BLUE), (probabilities, pick("after softmax", "經過 softmax"), ORANGE))
    for place, (values, title, color) in zip(axes, shown, strict=True):
        bars = place.barh(range(len(names)), values, color=color, height=0.6)
        place.set_yticks(range(len(names)), names)
        place.invert_yaxis()
        place.bar_label(bars, fmt="%.2f", padding=3, color=INK)
        place.axvline(0, color=GREY, linewidth=0.7)
        place.margins(x=0.25)
        place.set_title(title)
    told = ", ".join(f"{n} {a:.2f} → {b:.2f}" for n, a, b in zip(names, logits, probabilities, strict=True))
    return finish(drawing, pick(f"Bars of logits and of probabilities: {told}", f"logits 與機率的長條圖：{told}"))


def show_loss(probability: float) -> Figure:
    """Plot the cross-entropy of one photo against the probability given to its right class, one point marked."""
    drawing, (place,) = sheet(1, 1, 4.4, 2.6)
    at = np.linspace(0.005, 1, 300)
    place.plot(at, -np.log(at), color=BLUE)
    loss = -float(np.log(probability))
    place.plot([probability], [loss], "o", color=ORANGE, markersize=9)
    place.text(probability + 0.03, loss + 0.15, f"{loss:.2f}", color=INK)
    place.set_xlabel(pick("probability of the right class", "給正確類別的機率"))
    place.set_ylabel(pick("cross-entropy", "交叉熵"))
    alt = pick(
        "A curve that falls from above 5 near probability 0 to 0 at "
        f"probability 1; at {probability:.2f} it is {loss:.2f}",
        f"曲線由機率接近 0 時的 5 以上，降到機率 1 時的 0；在 {probability:.2f} 處為 {loss:.2f}",
    )
    return finish(drawing, alt)


def show_weights(weights: np.ndarray, titles: Sequence[str], columns: int = 5) -> Figure:
    """Show the weights of neurons as pictures, of shape (neurons, height, width), blue below zero, orange above."""
    drawing, axes = sheet(-(-len(weights) // columns), columns, 1.5, 1.7)
    for place in axes:
        bare(place)
    for place, values, title in zip(axes, weights, titles, strict=False):
        signed_picture(place, values, title)
    return finish(
        drawing,
        pick(
            f"The weights of {len(weights)} neurons as pictures: orange above zero, blue below, pale near zero",
            f"{len(weights)} 個神經元的權重畫成圖：橘色為正，藍色為負，淺色接近零",
        ),
    )


def _heights(size: int) -> list[float]:
    if size <= _SHOWN_NEURONS:
        return [(size - 1) / 2 - number for number in range(size)]
    return [3.4, 2.6, 1.8, 1.0, -1.0, -1.8, -2.6, -3.4]


def _disc(place, x: float, y: float, text: str) -> None:  # type: ignore[no-untyped-def]
    place.plot([x], [y], "o", markersize=26, markerfacecolor="none", markeredgecolor=INK)
    place.text(x, y, text, ha="center", va="center", color=INK)
