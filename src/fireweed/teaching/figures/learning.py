"""Figures of a training: its curves, its net, its answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fireweed.teaching.figure import BLUE, DASHES, INK, ORANGE, Figure, bare, finish, legend, picture, sheet
from fireweed.teaching.language import pick

_NET_STYLE = """<style>.lesson-net text{fill:currentColor;font:12px system-ui,sans-serif}
.lesson-net .box-title{font-weight:600}
.lesson-net .box-detail,.lesson-net .box-small{font-size:11px;font-weight:400}
.lesson-net rect{fill:none;stroke:#8a8a8a;stroke-width:1.5}
.lesson-net path{fill:none;stroke:#8a8a8a;stroke-width:1.5}</style>"""


def show_curves(histories: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Show accuracies by epoch as Keras's `fit` tells them: solid on training photos, dashed on validation photos."""
    drawing, axes = sheet(1, len(histories), 3.2, 2.5, sharey=True)
    told = []
    for place, (name, history) in zip(axes, histories.items(), strict=True):
        epochs = range(1, len(history["accuracy"]) + 1)
        training, validation = pick("training", "訓練"), pick("validation", "驗證")
        place.plot(epochs, history["accuracy"], color=BLUE, marker="o", markersize=3, label=training)
        place.plot(
            epochs,
            history["val_accuracy"],
            color=ORANGE,
            linestyle=DASHES[1],
            marker="s",
            markersize=3,
            label=validation,
        )
        place.set(ylim=(0, 1.02), title=name, xlabel=pick("epoch", "週期"))
        place.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        legend(place, "lower right")
        told.append(
            pick(
                f"{name}: training ends at {history['accuracy'][-1]:.0%}, "
                f"validation at {history['val_accuracy'][-1]:.0%}",
                f"{name}：訓練準確率最後為 {history['accuracy'][-1]:.0%}，驗證為 {history['val_accuracy'][-1]:.0%}",
            )
        )
    axes[0].set_ylabel(pick("accuracy", "準確率"))
    return finish(drawing, pick("Accuracy by epoch. ", "各週期的準確率。") + "; ".join(told))


def show_answered(
    photos: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], columns: int = 5
) -> Figure:
    """Show photos with the class answered and its probability, and the right one where the answer is wrong."""
    drawing, axes = sheet(-(-len(photos) // columns), columns, 1.55, 1.9)
    for place in axes:
        bare(place)
    answers = probabilities.argmax(axis=1)
    for place, photo, label, answer, row in zip(axes, photos, labels, answers, probabilities, strict=False):
        is_right = answer == label
        picture(place, photo, f"{'✓' if is_right else '✗'} {classes[answer]} {row[answer]:.0%}")
        for side in place.spines.values():
            side.set(color=BLUE if is_right else ORANGE, linewidth=3, linestyle="-" if is_right else DASHES[1])
        if not is_right:
            place.set_xlabel(pick("is: ", "應為：") + classes[label], color=INK)
    right = int((answers == labels).sum())
    return finish(
        drawing,
        pick(
            f"{len(photos)} photos with the net's answers: {right} right (✓, solid "
            f"frame), {len(photos) - right} wrong (✗, dashed frame)",
            f"{len(photos)} 張相片與網路的答案：{right} 張答對（✓ 實線框），{len(photos) - right} 張答錯（✗ 虛線框）",
        ),
    )


def show_net(model: Any, side: int | None = None) -> Figure:
    """Draw a net from its photo down to its answer, as the report of a run does, with shapes and weights."""
    from fireweed.evaluation.netdrawing import draw_net
    from fireweed.models.cost import layer_costs

    layers = layer_costs(model, side)
    svg = f'<div class="lesson-net">{_NET_STYLE}{draw_net(layers)}</div>'
    told = ", ".join(f"{layer.kind} {'×'.join(map(str, layer.output_shape))}" for layer in layers)
    return Figure(svg, pick(f"The net from photo to answer: {told}", f"網路由相片到答案：{told}"))
