"""The figures of lab 2 say what is true of the numbers they are given, and are lettered in the page's colour."""

import re

import numpy as np
import pytest

from fireweed.teaching import figures

_PHOTOS, _WEIGHTS = np.arange(1, 17).reshape(4, 4), np.arange(16).reshape(4, 4) % 3
_HELD = np.arange(16.0).reshape(4, 4)

DRAWN = {
    "systolic": lambda: figures.show_systolic(_PHOTOS, _WEIGHTS, (0, 4, 9)),
    "bits": lambda: figures.show_bits({"float32": (8, 23), "bfloat16": (8, 7)}),
    "ring": lambda: figures.show_ring([_HELD, np.tile(_HELD.sum(axis=0), (4, 1))], (0, 1)),
    "rates": lambda: figures.show_rates({"read": 9000.0, "decode": 700.0, "train": 30.0}),
    "timeline": lambda: figures.show_timeline(0.02, 0.03),
    "losses": lambda: figures.show_same_losses([2.0, 1.5], [2.0, 1.4], devices=8),
    "moves": lambda: figures.show_moves({"SGD": {"conv": 0.1, "dense": 0.001}, "LARS": {"conv": 0.01, "dense": 0.01}}),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_lettered_in_the_page_s_colour_and_has_a_text(name, language):
    figure = DRAWN[name]()
    assert len(figure.alt) > 20
    letters = re.findall(r"<text [^>]*>", figure.svg)
    assert letters
    assert all("fill: currentColor" in text for text in letters)


def test_a_systolic_array_fills_and_drains():
    told = DRAWN["systolic"]().alt
    assert "step 0: 1 of 16 units at work, 0 of 16 sums out" in told
    assert "step 4: 12 of 16 units at work, 1 of 16 sums out" in told
    assert "step 9: 1 of 16 units at work, 15 of 16 sums out" in told


def test_finished_sums_of_a_ring_are_told():
    told = DRAWN["ring"]().alt
    assert "after step 0 0 of 16 pieces" in told
    assert "after step 1 16 of 16 pieces" in told


def test_the_slowest_stage_is_named():
    assert "the slowest is train" in DRAWN["rates"]().alt


@pytest.mark.parametrize(
    ("prepare", "train", "in_turn", "ahead"), [(0.02, 0.03, 250, 170), (0.03, 0.01, 200, 160), (0.02, 0.02, 200, 120)]
)
def test_batches_prepared_ahead_wait_for_the_slower_of_the_two(prepare, train, in_turn, ahead):
    told = figures.show_timeline(prepare, train).alt
    assert f"in turn they take {in_turn} ms, prepared ahead {ahead} ms" in told
