"""Learning rates as tables, made before the training starts: pure functions of numbers, numpy only."""

import math

import numpy as np

from fireweed.errors import RecipeError, nearest
from fireweed.recipe import Recipe

KINDS = ("constant", "ramp-sustain-decay", "cosine", "one-cycle")


def learning_rate_table(
    kind: str,
    epochs: int,
    steps_per_epoch: int,
    *,
    peak: float,
    start: float = 1e-5,
    floor: float = 0.0,
    ramp_epochs: int = 5,
    sustain_epochs: int = 0,
    decay: float = 0.8,
    warmup: float = 0.1,
) -> np.ndarray:
    """Return the learning rate of every step of a training, float32 of shape (epochs * steps_per_epoch,).

    kind: "constant"; "ramp-sustain-decay", which changes between epochs; "cosine" or "one-cycle", which change at every
          step. The keywords are those of a recipe's [training.schedule]; a kind ignores those it does not use.

    Raises:
        RecipeError: no such kind, or numbers that make no schedule.
    """
    if kind not in KINDS:
        raise RecipeError(f"unknown schedule '{kind}'; {nearest(kind, KINDS)}")
    if epochs < 1 or steps_per_epoch < 1:
        raise RecipeError(f"a schedule needs epochs and steps of at least 1, received {epochs} and {steps_per_epoch}")
    steps = epochs * steps_per_epoch
    if kind == "constant":
        rates = constant(steps, peak)
    elif kind == "cosine":
        rates = cosine(steps, peak, start=start, floor=floor, warmup=warmup)
    elif kind == "one-cycle":
        rates = one_cycle(steps, peak, start=start, floor=floor, warmup=warmup)
    else:
        by_epoch = ramp_sustain_decay(
            epochs,
            peak,
            start=start,
            floor=floor,
            ramp_epochs=ramp_epochs,
            sustain_epochs=sustain_epochs,
            decay=decay,
        )
        rates = np.repeat(by_epoch, steps_per_epoch)
    return rates.astype(np.float32)


def constant(steps: int, peak: float) -> np.ndarray:
    """Return the same rate for every step, float64 of shape (steps,)."""
    _check(peak, peak, 0.0)
    return np.full(steps, peak, np.float64)


def ramp_sustain_decay(
    epochs: int,
    peak: float,
    *,
    start: float = 1e-5,
    floor: float = 1e-5,
    ramp_epochs: int = 5,
    sustain_epochs: int = 0,
    decay: float = 0.8,
) -> np.ndarray:
    """Return a rate an epoch: up from `start` in a line, held at `peak`, then by the factor `decay` towards `floor`.

    Epoch `ramp_epochs` is the first at the peak; the distance to `floor` shrinks from the epoch after the hold on.
    A `start` above the peak is lowered to it. It is the schedule that Google's codelab "Keras on TPU, modern convnets,
    SqueezeNet and Xception" fine-tunes with: https://codelabs.developers.google.com/codelabs/keras-flowers-squeezenet.

    Returns:
        float64 of shape (epochs,).
    """
    _check(peak, start, floor)
    if not 0 < decay <= 1 or ramp_epochs < 0 or sustain_epochs < 0:
        raise RecipeError(
            f"ramp-sustain-decay needs epochs of at least 0 and a decay above 0 and at most 1, "
            f"received ramp_epochs {ramp_epochs}, sustain_epochs {sustain_epochs}, decay {decay}"
        )
    epoch = np.arange(epochs, dtype=np.float64)
    up = _rise(epoch, min(start, peak), peak, ramp_epochs)
    down = floor + (peak - floor) * decay ** np.maximum(epoch - ramp_epochs - sustain_epochs, 0.0)
    return np.where(epoch < ramp_epochs, up, down)


def cosine(steps: int, peak: float, *, start: float = 0.0, floor: float = 0.0, warmup: float = 0.1) -> np.ndarray:
    """Return a rate a step: up from `start` in a line over the share `warmup` of the steps, then half a cosine down.

    The curve would meet `floor` at the step after the last, so that no step is spent at a rate of 0.
    Loshchilov and Hutter 2017, SGDR (https://arxiv.org/abs/1608.03983), without restarts; the warm-up is that of
    Goyal et al. 2017 (https://arxiv.org/abs/1706.02677).

    Returns:
        float64 of shape (steps,).
    """
    way = _way_down(steps, warmup)
    _check(peak, start, floor)
    down = floor + (peak - floor) * (1 + np.cos(math.pi * way)) / 2
    return _with_warmup(down, way, min(start, peak), peak)


def one_cycle(steps: int, peak: float, *, start: float = 0.0, floor: float = 0.0, warmup: float = 0.3) -> np.ndarray:
    """Return a rate a step: up from `start` in a line over the share `warmup` of the steps, then in a line down.

    The line would meet `floor` at the step after the last. Smith and Topin 2018, Super-Convergence
    (https://arxiv.org/abs/1708.07120), whose short last part far below the first rate is the end of the line here.

    Returns:
        float64 of shape (steps,).
    """
    way = _way_down(steps, warmup)
    _check(peak, start, floor)
    return _with_warmup(peak + (floor - peak) * way, way, min(start, peak), peak)


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> np.ndarray:
    """Return the learning rate of every step of the training, float32 of shape (epochs * steps_per_epoch,)."""
    plan = recipe.training.schedule
    return learning_rate_table(
        plan.kind, recipe.total_epochs, steps_per_epoch, peak=plan.peak, start=plan.start, floor=plan.floor,
        ramp_epochs=plan.ramp_epochs, sustain_epochs=plan.sustain_epochs, decay=plan.decay, warmup=plan.warmup,
    )  # fmt: skip


def curve_text(rates: np.ndarray, width: int = 60, height: int = 10, unit: str = "step", count: int = 0) -> str:
    """Draw learning rates as text: a line of `*` over axes with numbers, for a terminal.

    rates:  float of shape (steps,), not negative.
    width:  columns of the plot, without the numbers on its left; at least 10.
    height: rows of the plot; at least 3.
    unit:   what the horizontal axis counts.
    count:  how many of them there are; 0: as many as rates.
    """
    if rates.ndim != 1 or len(rates) == 0:
        raise ValueError(f"rates must be of shape (steps,) with a step or more, received shape {rates.shape}")
    width, height = max(10, width), max(3, height)
    shown = np.interp(np.linspace(0, len(rates) - 1, width), np.arange(len(rates)), rates)
    top = float(np.max(rates)) or 1.0
    # The greatest rate may lie between two columns; its own column shows it.
    shown[round((width - 1) * int(np.argmax(rates)) / max(1, len(rates) - 1))] = np.max(rates)
    rows = np.rint(shown / top * (height - 1)).astype(int)
    canvas = np.full((height, width), " ")
    for column, row in enumerate(rows):
        before = rows[column - 1] if column else row
        low, high = sorted((int(row), int(before + np.sign(row - before))))
        canvas[low : high + 1, column] = "*"  # a steep piece is drawn as a line, not as points apart
    labelled = {height - 1, (height - 1) // 2, 0}
    lines = []
    for row in reversed(range(height)):
        number = f"{top * row / (height - 1):.2e}" if row in labelled else ""
        lines.append(f"{number:>9} |{''.join(canvas[row])}".rstrip())
    last = f"{unit} {count or len(rates):,}"
    lines.append(f"{'':>9} +{'-' * width}")
    lines.append(f"{'':>9}  1{last:>{width - 1}}")
    return "\n".join(lines)


def _rise(place: np.ndarray, start: float, peak: float, length: int) -> np.ndarray:
    return start + (peak - start) * place / max(1, length)


def _way_down(steps: int, warmup: float) -> np.ndarray:
    """Return each step's share of the way down: below 0 while warming up, 0 at the peak, 1 after the last step."""
    if not 0 <= warmup < 1:
        raise RecipeError(f"the share of warm-up steps must be at least 0 and below 1, received {warmup}")
    peak_step = min(round(warmup * steps), steps - 1)
    return (np.arange(steps, dtype=np.float64) - peak_step) / (steps - peak_step)


def _with_warmup(down: np.ndarray, way: np.ndarray, start: float, peak: float) -> np.ndarray:
    rising = int(np.count_nonzero(way < 0))
    return np.where(way < 0, _rise(np.arange(len(way), dtype=np.float64), start, peak, rising), down)


def _check(peak: float, start: float, floor: float) -> None:
    if not all(math.isfinite(rate) and rate >= 0 for rate in (peak, start, floor)) or floor > peak:
        raise RecipeError(
            f"learning rates must be numbers of at least 0, the floor not above the peak, "
            f"received start {start}, peak {peak}, floor {floor}"
        )
