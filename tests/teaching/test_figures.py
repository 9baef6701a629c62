"""Figures are readable on any ground, name what they show, and need no font for Chinese on the machine."""

import re

import numpy as np
import pytest

from fireweed.teaching import figures
from fireweed.teaching.figure import BLUE, GREY, ORANGE, VIOLET, finish, sheet

_RANDOM = np.random.default_rng(0)
_PHOTO = _RANDOM.integers(0, 256, (12, 12, 3)).astype(np.uint8)
_WEIGHTS = _RANDOM.normal(size=(3, 3))

DRAWN = {
    "photos": lambda: figures.show_photos(np.stack([_PHOTO] * 3), ["daisy", "roses", "tulips"]),
    "numbers": lambda: figures.show_numbers(_PHOTO, 2, 3),
    "neuron": lambda: figures.show_neuron([1, 2], [0.5, -1], 1),
    "layers": lambda: figures.show_layers([300, 5], ["in", "out"]),
    "product": lambda: figures.show_batch_product(8, 12, 5),
    "softmax": lambda: figures.show_softmax(np.array([1.0, 2.0]), np.array([0.3, 0.7]), ["a", "b"]),
    "loss": lambda: figures.show_loss(0.5),
    "weights": lambda: figures.show_weights(_RANDOM.normal(size=(3, 4, 4)), "abc"),
    "descent": lambda: figures.show_descent(lambda x, y: x**2 - y**2, {"one": np.zeros((3, 2))}, (-1, 1), (-1, 1)),
    "paths": lambda: figures.show_paths(lambda x, y: x**2 - y**2, {"one": np.zeros((3, 2))}, (-1, 1), (-1, 1)),
    "window": lambda: figures.show_window(np.arange(36).reshape(6, 6), np.ones((3, 3)), 1, 2),
    "answers": lambda: figures.show_answers(_PHOTO[..., 0], {"mine": _WEIGHTS}, {"mine": _WEIGHTS}),
    "channels": lambda: figures.show_channels(_PHOTO),
    "cubes": lambda: figures.show_cubes({"photo": (48, 48, 3), "behind": (24, 24, 32)}),
    "filters": lambda: figures.show_filters(_RANDOM.normal(size=(3, 3, 3, 5))),
    "maps": lambda: figures.show_maps(_PHOTO, {"one": _RANDOM.random((6, 6, 4)), "two": _RANDOM.random((3, 3, 2))}),
    "windows": lambda: figures.show_windows(np.eye(4), np.eye(2), np.eye(2)),
    "reach": lambda: figures.show_reach({"3x3": np.pad(np.ones((3, 3)), 4)}),
    "curves": lambda: figures.show_curves({"net": {"accuracy": [0.2, 0.4], "val_accuracy": [0.1, 0.3]}}),
    "answered": lambda: figures.show_answered(_PHOTO[None], np.array([1]), np.array([[0.8, 0.2]]), ["a", "b"]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_lettered_in_the_page_s_colour_and_has_a_text(name, language):
    figure = DRAWN[name]()
    assert len(figure.alt) > 20 or (language == "zh-TW" and len(figure.alt) > 8)
    assert repr(figure) == f"[{figure.alt}]"
    page = figure._repr_html_()
    assert 'role="img" aria-label="' in page
    assert "DejaVu" not in page
    for text in re.findall(r"<text [^>]*>", page):
        fill = re.search(r"fill: ([^;\"]+)", text)
        assert name == "numbers" or (fill and fill[1] == "currentColor"), text
    assert not re.search(r'<rect[^>]*fill: #ffffff|id="patch_1">\s*<path[^>]*style="fill: #ffffff', page)


def test_a_legend_lies_on_no_ground_of_its_own():
    page = DRAWN["curves"]().svg
    legend = page[page.index('id="legend_1"') :]
    assert "#ffffff" not in legend


def test_lettering_is_text_that_the_browser_draws():
    drawing, (place,) = sheet()
    place.set_title("權重")
    assert "權重" in finish(drawing, "a title").svg


@pytest.mark.parametrize("colour", [BLUE, ORANGE, VIOLET, GREY])
@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_lines_stand_out_from_light_and_dark_pages(colour, ground):
    assert _contrast(colour, ground) >= 2.9  # 3 is what WCAG asks of graphics; matplotlib's lines are 2 px and more


def test_blue_and_orange_differ_without_red_and_green():
    assert abs(_channels(BLUE)[2] - _channels(ORANGE)[2]) > 0.4


def _contrast(one, other):
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    return float(np.dot(_channels(colour), (0.2126, 0.7152, 0.0722)))


def _channels(colour):
    shares = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(shares <= 0.03928, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
