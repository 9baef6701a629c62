"""Learning rates by hand, and what holds for all of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireweed.errors import RecipeError
from fireweed.training.schedules import (
    KINDS,
    constant,
    cosine,
    curve_text,
    learning_rate_table,
    one_cycle,
    ramp_sustain_decay,
)

RAMP = [1e-5, 8.8e-5, 1.66e-4, 2.44e-4, 3.22e-4, 4e-4, 3.22e-4, 2.596e-4]

peaks = st.floats(1e-6, 1.0)
shares = st.floats(0.0, 0.99)


def test_the_ramp_is_not_an_epoch_late() -> None:
    rates = ramp_sustain_decay(8, 4e-4, start=1e-5, floor=1e-5, ramp_epochs=5, sustain_epochs=0, decay=0.8)
    np.testing.assert_allclose(rates, RAMP, rtol=1e-12)


def test_the_rates_after_a_stop_are_those_of_the_same_table() -> None:
    table = learning_rate_table("ramp-sustain-decay", 8, 3, peak=4e-4, floor=1e-5)
    np.testing.assert_allclose(table[3 * 3 :], np.repeat(RAMP[3:], 3), rtol=1e-6)


def test_ramp_with_a_hold() -> None:
    rates = ramp_sustain_decay(7, 1.0, start=0.0, floor=0.5, ramp_epochs=2, sustain_epochs=2, decay=0.5)
    np.testing.assert_allclose(rates, [0.0, 0.5, 1.0, 1.0, 1.0, 0.75, 0.625])


def test_ramp_without_a_ramp_starts_at_the_peak() -> None:
    rates = ramp_sustain_decay(3, 1.0, floor=0.0, ramp_epochs=0, decay=0.5)
    np.testing.assert_allclose(rates, [1.0, 0.5, 0.25])


def test_cosine_by_hand() -> None:
    rates = cosine(6, 1.0, start=0.0, floor=0.0, warmup=1 / 3)
    half = [(1 + math.cos(math.pi * i / 4)) / 2 for i in range(4)]
    np.testing.assert_allclose(rates, [0.0, 0.5, *half])


def test_one_cycle_by_hand() -> None:
    rates = one_cycle(8, 0.8, start=0.2, floor=0.0, warmup=0.5)
    np.testing.assert_allclose(rates, [0.2, 0.35, 0.5, 0.65, 0.8, 0.6, 0.4, 0.2])


def test_a_schedule_by_epoch_repeats_each_rate_over_its_steps() -> None:
    table = learning_rate_table("ramp-sustain-decay", 8, 5, peak=4e-4, floor=1e-5)
    assert table.dtype == np.float32 and table.shape == (40,)
    np.testing.assert_allclose(table.reshape(8, 5), np.repeat(np.float32(RAMP)[:, None], 5, 1), rtol=1e-6)


@given(st.sampled_from(KINDS), st.integers(1, 40), st.integers(1, 30), peaks, st.floats(0, 1e-3), shares, shares)
def test_every_schedule_has_a_rate_for_every_step_and_reaches_its_peak(
    kind: str, epochs: int, steps: int, peak: float, start: float, floor_share: float, warmup: float
) -> None:
    table = learning_rate_table(
        kind, epochs, steps, peak=peak, start=start, floor=peak * floor_share, warmup=warmup, ramp_epochs=epochs // 3
    )
    assert table.shape == (epochs * steps,) and table.dtype == np.float32
    assert np.isfinite(table).all() and (table >= 0).all() and (table <= np.float32(peak) * 1.000001).all()
    assert table.max() == pytest.approx(peak, rel=1e-6)


@given(st.sampled_from([cosine, one_cycle]), st.integers(2, 500), peaks, shares, shares)
def test_rates_rise_to_the_peak_then_fall_and_end_above_the_floor(
    schedule: object, steps: int, peak: float, floor_share: float, warmup: float
) -> None:
    floor = peak * floor_share
    rates = schedule(steps, peak, start=0.0, floor=floor, warmup=warmup)  # type: ignore[operator]
    top = int(np.argmax(rates))
    assert top == min(round(warmup * steps), steps - 1)
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    assert rates[-1] >= floor
    assert rates[-1] - floor <= (peak - floor) * (2.5 if schedule is cosine else 1.0) / (steps - top) + 1e-12


@given(st.integers(1, 200), peaks, st.integers(0, 20), st.integers(0, 20), st.floats(0.1, 1.0))
def test_the_ramp_rises_holds_and_falls(epochs: int, peak: float, ramp: int, sustain: int, decay: float) -> None:
    rates = ramp_sustain_decay(
        epochs, peak, start=0.0, floor=0.0, ramp_epochs=ramp, sustain_epochs=sustain, decay=decay
    )
    assert len(rates) == epochs
    assert (np.diff(rates[: ramp + 1]) > 0).all()
    assert (rates[ramp : ramp + sustain + 1] == peak).all()
    assert (np.diff(rates[ramp + sustain :]) <= 0).all()


def test_a_start_above_the_peak_is_lowered_to_it() -> None:
    assert (cosine(10, 1e-6, start=1e-5, warmup=0.5)[:5] == 1e-6).all()


def test_one_step_trains_at_the_peak() -> None:
    for kind in ("constant", "cosine", "one-cycle"):
        assert learning_rate_table(kind, 1, 1, peak=0.01) == pytest.approx([0.01])


def test_what_makes_no_schedule_is_refused() -> None:
    with pytest.raises(RecipeError, match="did you mean 'cosine'"):
        learning_rate_table("cosin", 1, 1, peak=0.1)
    with pytest.raises(RecipeError, match="received 0 and 3"):
        learning_rate_table("cosine", 0, 3, peak=0.1)
    with pytest.raises(RecipeError, match=r"floor 0\.2"):
        cosine(5, 0.1, floor=0.2)
    with pytest.raises(RecipeError, match="peak nan"):
        constant(5, math.nan)
    with pytest.raises(RecipeError, match="decay 0"):
        ramp_sustain_decay(5, 0.1, decay=0.0)
    with pytest.raises(RecipeError, match="received 1"):
        one_cycle(5, 0.1, warmup=1.0)


def test_the_curve_has_axes_and_numbers() -> None:
    text = curve_text(np.float32(RAMP), width=40, height=7, unit="epoch")
    lines = text.splitlines()
    assert len(lines) == 9
    assert lines[0].startswith(" 4.00e-04 |") and lines[6].startswith(" 0.00e+00 |")
    assert lines[7].endswith("+" + "-" * 40)
    assert lines[8].split() == ["1", "epoch", "8"] and len(lines[8]) == len(lines[7])
    plot = [line.partition("|")[2] for line in lines[:7]]
    assert max(map(len, plot)) == 40
    assert plot[0].strip().strip("*") == "" and abs(plot[0].index("*") - 39 * 5 / 7) < 4, "the peak is where it is"
    assert plot[6].startswith("*"), "the first rate is near 0"


@given(st.lists(st.floats(0, 10), min_size=1, max_size=300), st.integers(1, 80), st.integers(1, 15))
def test_any_curve_is_drawn_in_its_box_without_gaps(rates: list[float], width: int, height: int) -> None:
    lines = curve_text(np.array(rates), width, height).splitlines()
    wide, high = max(10, width), max(3, height)
    assert len(lines) == high + 2
    plot = [line[11:].ljust(wide) for line in lines[:high]]
    assert all(len(row) == wide for row in plot)
    assert all(any(row[column] == "*" for row in plot) for column in range(wide))
    if max(rates) > 0:
        assert "*" in plot[0], "the highest rate touches the top"


def test_the_axis_can_count_epochs_where_the_rates_are_steps() -> None:
    assert curve_text(np.ones(440), unit="epoch", count=22).splitlines()[-1].split() == ["1", "epoch", "22"]


def test_a_curve_needs_rates() -> None:
    with pytest.raises(ValueError, match="shape"):
        curve_text(np.zeros((0,)))
