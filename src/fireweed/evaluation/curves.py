"""The curves of a training and the diagram of its calibration, as SVG."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from fireweed.evaluation.metrics import percent, wilson_interval
from fireweed.evaluation.svg import Chart, Point, nice_ticks, tick_text

_MOST_DOTS = 120
_MOST_POINTS = 900


def loss_curve(history: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw training and validation loss by epoch; an outlier in early epochs does not flatten the rest."""
    values = sorted(_numbers(history, "loss") + _numbers(history, "val_loss"))
    if not values:
        return Markup("")
    upper_quartile = values[(3 * len(values)) // 4]
    top = min(values[-1], 3 * upper_quartile) * 1.05 or 1.0
    ticks = _plain_ticks(nice_ticks(0.0, top))
    return _by_epoch(history, "loss", (0.0, top), ticks, "{:.3f}")


def accuracy_curve(history: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw training and validation accuracy by epoch, the axis ending at 100%."""
    values = _numbers(history, "accuracy") + _numbers(history, "val_accuracy")
    if not values:
        return Markup("")
    low = max(0.0, math.floor(min(values) * 10 - 0.5) / 10)
    ticks = [(tick, percent(tick, 0)) for tick in nice_ticks(low, 1.0)]
    return _by_epoch(history, "accuracy", (low, 1.0), ticks, "{:.1%}")


def learning_rate_curve(rates: np.ndarray, history: Sequence[Mapping[str, Any]], width: float = 960) -> Markup:
    """Draw the learning rate of every step that was made; the axis counts the epochs of the history.

    rates: (steps,), maybe with steps that were planned and not made.
    """
    rates = np.asarray(rates, np.float64)
    if not len(rates) or not np.isfinite(rates).all():
        return Markup("")
    ends = _epoch_ends(history, len(rates))
    rates, epochs = rates[: int(ends[-1])], len(ends) - 1
    top = float(rates.max()) * 1.08 or 1.0
    chart = Chart((0.0, epochs), (0.0, top), "Learning rate by epoch", width=width, height=210, left=64)
    ticks = _plain_ticks(nice_ticks(0.0, top, 4))
    chart.add_axes("epoch", _plain_ticks(nice_ticks(0.0, epochs, int(width / 90))), ticks)
    kept = _telling(rates)
    places = np.interp(kept, ends, np.arange(len(ends)))
    chart.add_line([(float(place), float(rates[step])) for place, step in zip(places, kept, strict=True)], "rate")
    return chart.markup()


def calibration_diagram(reliability: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw, for answers of each confidence, how many were right: a bar a bin, with its 95% interval."""
    chart = Chart((0.0, 1.0), (0.0, 1.0), "Share of right answers by confidence")
    ticks = [(tick, percent(tick, 0)) for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    chart.add_axes("how sure the net was", ticks, ticks)
    for point in reliability:
        right = round(point["accuracy"] * point["photos"])
        low, high = wilson_interval(right, point["photos"])
        title = (
            f"{percent(point['from'], 0)} to {percent(point['to'], 0)} sure: "
            f"{right:,} of {point['photos']:,} right ({percent(point['accuracy'])})"
        )
        chart.add_bar(point["from"], point["to"], point["accuracy"], "right-share", title)
        chart.add_whisker((point["from"] + point["to"]) / 2, low or 0.0, high or 0.0)
    chart.add_line([(0.0, 0.0), (1.0, 1.0)], "ideal")
    return chart.markup()


def side_changes(history: Sequence[Mapping[str, Any]]) -> list[tuple[float, str]]:
    """Return (epoch, words) for the start and each later epoch that had another side; empty with one side only."""
    changes: list[tuple[float, str]] = []
    before = None
    for row in history:
        side = number(row.get("side"))
        if side is not None and side != before:
            changes.append((number(row.get("epoch")) or 0.0, f"{side:.0f} px"))
            before = side
    return changes if len(changes) > 1 else []


def number(value: object) -> float | None:
    """Return a finite number from a cell of a history, which may be text; None where there is none."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _by_epoch(
    history: Sequence[Mapping[str, Any]], figure: str, y_range: Point, ticks: Sequence[tuple[float, str]], form: str
) -> Markup:
    epochs = [number(row.get("epoch")) for row in history]
    known = [epoch for epoch in epochs if epoch is not None]
    low, high = min(known), max(known)
    margin = (high - low) * 0.02 or 0.5
    chart = Chart((low - margin, high + margin), y_range, f"{figure} of training and validation by epoch")
    whole = [tick for tick in nice_ticks(low, high, 8) if tick == round(tick)]
    chart.add_axes("epoch", _plain_ticks(whole), ticks)
    for epoch, words in side_changes(history):
        chart.add_mark(epoch if epoch == low else epoch - 0.5, words)
    for column, name in ((figure, "training"), (f"val_{figure}", "validation")):
        rows = [row for row in history if row.get(column) not in (None, "")]  # some epochs are not validated
        runs = _unbroken([number(row.get("epoch")) for row in rows], [number(row.get(column)) for row in rows])
        for run in runs:
            chart.add_line(run, name)
        if len(history) <= _MOST_DOTS:
            for epoch, value in (point for run in runs for point in run):
                chart.add_dot((epoch, value), name, f"epoch {epoch:.0f}, {name}: {form.format(value)}")
    return chart.markup()


def _plain_ticks(ticks: Sequence[float]) -> list[tuple[float, str]]:
    return [(tick, tick_text(tick)) for tick in ticks]


def _unbroken(xs: Sequence[float | None], ys: Sequence[float | None]) -> list[list[Point]]:
    runs: list[list[Point]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if x is None or y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]


def _epoch_ends(history: Sequence[Mapping[str, Any]], steps: int) -> np.ndarray:
    """Return the number of steps made when each epoch began, and at the end of the last.

    Epochs need not be equally long; those of older versions, which did not count their steps, share all alike.
    """
    made = [number(row.get("steps")) for row in history]
    counted = [steps_made for steps_made in made if steps_made]
    if counted and len(counted) == len(made):
        ends = np.minimum(np.cumsum([0.0, *counted]), steps)
    else:
        ends = np.linspace(0.0, steps, max(len(made), 1) + 1)
    return ends


def _numbers(history: Sequence[Mapping[str, Any]], column: str) -> list[float]:
    rows = [row for row in history if number(row.get("epoch")) is not None]
    return [value for value in (number(row.get(column)) for row in rows) if value is not None]


def _telling(values: np.ndarray) -> list[int]:
    """Return the positions to draw of a long series: of each stretch its ends, lowest and highest."""
    if len(values) <= _MOST_POINTS:
        return list(range(len(values)))
    kept: set[int] = set()
    for stretch in np.array_split(np.arange(len(values)), _MOST_POINTS // 4):
        here = values[stretch]
        kept.update((int(stretch[0]), int(stretch[-1]), int(stretch[here.argmin()]), int(stretch[here.argmax()])))
    return sorted(kept)
