"""Figures of fine-tuning: learning rates by epoch, two accuracies side by side, answers to unlabelled photos."""

from collections.abc import Mapping, Sequence

import numpy as np

from fireweed.teaching.figure import (
    BLUE,
    DASHES,
    GREY,
    INK,
    LINE_COLORS,
    ORANGE,
    Figure,
    bare,
    epochs_below,
    finish,
    legend,
    picture,
    sheet,
)
from fireweed.teaching.language import pick


def show_learning_rates(plans: Mapping[str, Sequence[float]]) -> Figure:
    """Show learning rates by epoch, counted from 0, as steps."""
    drawing, (place,) = sheet(1, 1, 5.6, 2.6)
    for number, (name, rates) in enumerate(plans.items()):
        place.step(
            range(len(rates)),
            rates,
            where="mid",
            color=LINE_COLORS[number % 3],
            linestyle=DASHES[number % 3],
            marker="osd"[number % 3],
            markersize=3,
            label=name,
        )
    place.set_ylim(0, None)
    epochs_below(place)
    place.set_ylabel(pick("learning rate", "學習率"), color=INK)
    legend(place, "upper right")
    told = "; ".join(
        pick(
            f"{name}: begins at {rates[0]:.2g}, most {max(rates):.2g} in epoch {int(np.argmax(rates))}, ends at "
            f"{rates[-1]:.2g}",
            f"{name}：由 {rates[0]:.2g} 開始，週期 {int(np.argmax(rates))} 最高 {max(rates):.2g}，"
            f"結束時 {rates[-1]:.2g}",
        )
        for name, rates in plans.items()
    )
    return finish(drawing, pick("Learning rates by epoch. ", "各週期的學習率。") + told)


def show_old_and_new(ways: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Show for each way of fine-tuning two accuracies by epoch: "new", what it learns, and "old", what it knew."""
    drawing, axes = sheet(1, len(ways), 2.7, 2.6, sharey=True)
    told = []
    for place, (name, history) in zip(axes, ways.items(), strict=True):
        for key, color, dash, label in (
            ("new", BLUE, DASHES[0], pick("new task", "新任務")),
            ("old", ORANGE, DASHES[1], pick("old task", "舊任務")),
        ):
            place.plot(range(len(history[key])), history[key], color=color, linestyle=dash, label=label)
        place.set(ylim=(0, 1.02), title=name)
        epochs_below(place)
        told.append(
            pick(
                f"{name}: new {history['new'][0]:.0%} → {history['new'][-1]:.0%}, "
                f"old {history['old'][0]:.0%} → {min(history['old']):.0%} at the least, "
                f"{history['old'][-1]:.0%} at last",
                f"{name}：新任務 {history['new'][0]:.0%} → {history['new'][-1]:.0%}，"
                f"舊任務 {history['old'][0]:.0%} → 最低 {min(history['old']):.0%}，最後 {history['old'][-1]:.0%}",
            )
        )
    legend(axes[0], "lower right")
    axes[0].set_ylabel(pick("accuracy", "準確率"), color=INK)
    return finish(drawing, pick("Accuracy by epoch. ", "各週期的準確率。") + "; ".join(told))


def show_asked(
    photos: Sequence[np.ndarray], names: Sequence[str], answers: Sequence[Mapping[str, float]], top: int = 3
) -> Figure:
    """Show photos without labels, each with its likeliest classes as bars; photos may differ in size.

    answers: for each photo a probability for each class.
    """
    drawing, axes = sheet(2, len(photos), 1.9, 1.7)
    told = []
    for number, (photo, name, answer) in enumerate(zip(photos, names, answers, strict=True)):
        picture(axes[number], photo, name)
        place = axes[len(photos) + number]
        best = sorted(answer.items(), key=lambda item: -item[1])[:top]
        for y, (label, probability) in zip(range(len(best) - 1, -1, -1), best, strict=True):
            place.barh([y], [probability], color=BLUE, height=0.3, align="edge")
            place.text(0.02, y - 0.05, f"{label} {probability:.0%}", va="top", color=INK)
        place.set(xlim=(0, 1), ylim=(-0.5, top - 0.5))
        bare(place)
        place.axvline(0, color=GREY, linewidth=0.8)
        told.append(f"{name}: {best[0][0]} {best[0][1]:.0%}")
    return finish(
        drawing,
        pick(f"{len(photos)} photos and their likeliest classes: ", f"{len(photos)} 張相片與最可能的類別：")
        + "; ".join(told),
    )
