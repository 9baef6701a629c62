"""The figures of labs 3 and 4 are lettered in the page's colour, in both languages, and tell what they show."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from fireweed.teaching import figures

_RANDOM = np.random.default_rng(0)
_PHOTO = _RANDOM.integers(0, 256, (12, 12, 3)).astype(np.uint8)
_FILTER = _RANDOM.normal(size=(3, 3, 3))
_KNOWN = {"new": [0.5, 0.7, 0.9], "old": [0.9, 0.4, 0.6]}


@dataclass
class Row:
    name: str
    accuracy: float
    multiply_adds: int


DRAWN = {
    "costs": lambda: figures.show_costs({"plain": (110_720, 28_311_552), "fire": (20_512, 5_242_880)}),
    "tries": lambda: figures.show_tries([Row("one", 0.5, 1_000_000), Row("two", 0.7, 4_000_000)]),
    "together": lambda: figures.show_curves_together({"a": [0.2, 0.5], "b": [0.3, 0.4]}, "accuracy", goal=0.8),
    "goals": lambda: figures.show_goals({"fast": (0.82, 0.79, 0.85), "mine": (0.7, 0.6, 0.8)}, goal=0.8),
    "following": lambda: figures.show_following([0.99, 0.9], steps=36, steps_per_epoch=12),
    "spreads": lambda: figures.show_spreads({"before": _RANDOM.random((90, 3)), "behind": _RANDOM.random((90, 3))}),
    "changes": lambda: figures.show_changes(_PHOTO, [_PHOTO[:, ::-1]] * 9),
    "stages": lambda: figures.show_two_stages(_PHOTO, _FILTER, _RANDOM.normal(size=(10, 10, 3)),
                                              _RANDOM.normal(size=(10, 10, 5))),
    "shares": lambda: figures.show_shares([3, 5]),
    "rates": lambda: figures.show_learning_rates({"ramp": [1e-5, 2e-4, 4e-4, 3e-4], "none": [4e-4, 3e-4, 2e-4, 1e-4]}),
    "old and new": lambda: figures.show_old_and_new({"frozen": _KNOWN, "full rate": _KNOWN}),
    "asked": lambda: figures.show_asked([_PHOTO, _PHOTO[:8]], ["a", "b"], [{"rose": 0.9, "tulip": 0.1}] * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_lettering_takes_the_page_s_colour_and_a_text_tells_the_figure(name, language):
    figure = DRAWN[name]()
    assert len(figure.alt) > 15
    assert bool(re.search("[\u4e00-\u9fff]", figure.alt)) == (language == "zh-TW")
    page = figure._repr_html_()
    for text in re.findall(r"<text [^>]*>", page):
        fill = re.search(r"fill: ([^;\"]+)", text)
        assert fill and fill[1] == "currentColor", text
    assert not re.search(r'<rect[^>]*fill: #ffffff|id="patch_1">\s*<path[^>]*style="fill: #ffffff', page)


def test_the_numbers_of_a_figure_are_in_its_text():
    assert "82.0% (79.0% – 85.0%)" in DRAWN["goals"]().alt
    assert "old 90% → 40% at the least, 60% at last" in DRAWN["old and new"]().alt
    assert "rose 90%" in DRAWN["asked"]().alt
