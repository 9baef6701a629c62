"""Figures of nets side by side: what they cost, what they reach, how far a goal is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fireweed.teaching.figure import BLUE, DASHES, GREY, INK, ORANGE, Figure, epochs_below, finish, legend, sheet
from fireweed.teaching.language import pick


def show_costs(costs: Mapping[str, tuple[float, float]]) -> Figure:
    """Show for several layers or nets two bars each: numbers to learn, and multiply-adds for a photo."""
    drawing, axes = sheet(1, 2, 3.4, 0.7 + 0.34 * len(costs), sharey=True)
    names = list(costs)
    places = np.arange(len(names))[::-1]
    titles = (pick("weights", "權重"), pick("multiply-adds", "乘加運算"))
    for column, (place, title) in enumerate(zip(axes, titles, strict=True)):
        values = [costs[name][column] for name in names]
        place.barh(places, values, color=(BLUE, ORANGE)[column], height=0.6)
        for y, value in zip(places, values, strict=True):
            place.text(value, y, f" {_short(value)}", va="center", color=INK)
        place.set_title(title)
        place.set_xlim(0, max(values) * 1.25)
        place.set_xticks([])
    axes[0].set_yticks(places, names)
    told = "; ".join(
        pick(
            f"{name} {_short(weights)} weights, {_short(products)} multiply-adds",
            f"{name}：{_short(weights)} 個權重，{_short(products)} 次乘加運算",
        )
        for name, (weights, products) in costs.items()
    )
    return finish(drawing, pick("Bars of what they cost: ", "成本的長條圖：") + told)


def show_tries(rows: Sequence[Any]) -> Figure:
    """Show tries as points: multiply-adds of a photo to the right, accuracy upwards, numbered in their order."""
    drawing, (place,) = sheet(1, 1, 5.2, 3.2)
    for number, row in enumerate(rows, start=1):
        place.plot([row.multiply_adds / 1e6], [row.accuracy], "o", color=BLUE, markersize=5)
        place.annotate(
            f"{number}", (row.multiply_adds / 1e6, row.accuracy), (4, 4), textcoords="offset points", color=INK
        )
    accuracies = [row.accuracy for row in rows]
    place.set(xlim=(0, None), ylim=(max(0.0, min(accuracies) - 0.03), min(1.02, max(accuracies) + 0.03)))
    place.set_xlabel(pick("million multiply-adds for a photo", "每張相片的乘加運算（百萬次）"), color=INK)
    place.set_ylabel(pick("accuracy", "準確率"), color=INK)
    place.yaxis.set_major_locator(_percents())
    place.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    told = "; ".join(
        f"{number} {row.name}: {row.multiply_adds / 1e6:.1f} M, {row.accuracy:.0%}"
        for number, row in enumerate(rows, start=1)
    )
    return finish(
        drawing, pick("Nets as points, multiply-adds against accuracy: ", "各網路的乘加運算與準確率：") + told
    )


def show_curves_together(histories: Mapping[str, Sequence[float]], upward: str, goal: float | None = None) -> Figure:
    """Show one curve by epoch for each of several trainings in the same frame; `upward` says what they are of."""
    drawing, (place,) = sheet(1, 1, 5.6, 3.0)
    colors = (BLUE, ORANGE, "#a06bc4", GREY)
    dashes = (*DASHES, (0, (6, 1.5, 1, 1.5)))
    for number, (name, values) in enumerate(histories.items()):
        place.plot(
            range(1, len(values) + 1),
            values,
            color=colors[number % 4],
            linestyle=dashes[number % 4],
            marker="osd^"[number % 4],
            markersize=3.5,
            label=name,
        )
    if goal is not None:
        place.axhline(goal, color=GREY, linewidth=0.8)
    place.set(ylim=(0, 1.02))
    epochs_below(place)
    place.set_ylabel(upward, color=INK)
    legend(place, "lower right")
    told = "; ".join(f"{name} {values[0]:.0%} → {values[-1]:.0%}" for name, values in histories.items())
    return finish(drawing, pick(f"{upward} by epoch, first → last: {told}", f"各週期的{upward}（最初 → 最後）：{told}"))


def show_goals(figures: Mapping[str, tuple[float, float, float]], goal: float) -> Figure:
    """Show accuracies, each (mean, least and most of its 95% interval), beside a goal drawn as a line."""
    drawing, (place,) = sheet(1, 1, 6.0, 0.8 + 0.4 * len(figures))
    places = np.arange(len(figures))[::-1]
    for y, (mean, least, most) in zip(places, figures.values(), strict=True):
        place.plot([least, most], [y, y], color=BLUE, linewidth=2.5)
        place.plot([mean], [y], "o", color=BLUE, markersize=7)
        place.text(mean, y + 0.18, f"{mean:.1%}", ha="center", va="bottom", color=INK)
    place.axvline(goal, color=ORANGE, linestyle=DASHES[1])
    place.text(goal, len(figures) - 0.35, pick("goal", "目標") + f" {goal:.0%}", ha="right", color=INK)
    place.set_yticks(places, list(figures))
    place.set(
        ylim=(-0.5, len(figures) - 0.1),
        xlim=(max(0.0, min([goal, *(low for _, low, _ in figures.values())]) - 0.05), 1),
    )
    place.xaxis.set_major_locator(_percents())
    place.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    told = "; ".join(f"{name} {mean:.1%} ({least:.1%} – {most:.1%})" for name, (mean, least, most) in figures.items())
    return finish(
        drawing,
        pick(
            f"Accuracies with their 95% intervals beside the goal of {goal:.0%}: {told}",
            f"各準確率與其 95% 信賴區間，旁邊是目標 {goal:.0%}：{told}",
        ),
    )


def _percents() -> Any:
    """Return ticks that are whole percents, so that what is written beside them is where they stand."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=6, steps=[1, 2, 5, 10])


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:,.1f} M"
    return f"{value:,.0f}"
