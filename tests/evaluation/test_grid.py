import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fireweed.errors import FireweedError
from fireweed.evaluation import fonts
from fireweed.evaluation.grid import photo_grid_png

RED = np.full((40, 60, 3), (220, 20, 20), np.uint8)


def caption_ink(path: Path) -> np.ndarray:
    """Return which pixels under the only photo are dark: the drawn caption."""
    return np.asarray(Image.open(path).convert("L"))[210:] < 128


@pytest.fixture
def only_bundled_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_machine_fonts", tuple)


def test_photos_stand_in_rows_undistorted(tmp_path: Path) -> None:
    assert photo_grid_png([RED] * 5, ["a"] * 5, 3, tmp_path / "grid.png") == ""
    sheet = np.asarray(Image.open(tmp_path / "grid.png")).astype(int)
    red = (sheet[:, :, 0] > 180) & (sheet[:, :, 1] < 60)
    assert red.sum() == pytest.approx(5 * 192 * 128, rel=0.01)
    third_row_and_sixth_place = red[sheet.shape[0] // 2 :, 2 * sheet.shape[1] // 3 :]
    assert not third_row_and_sixth_place.any()


def test_cyrillic_and_umlauts_are_drawn_without_a_note_or_warning(tmp_path: Path, only_bundled_font: None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert photo_grid_png([RED], ["роза Gänseblümchen"], 1, tmp_path / "grid.png") == ""
    assert caption_ink(tmp_path / "grid.png").any()


def test_characters_without_a_font_are_written_as_codes_and_said(tmp_path: Path, only_bundled_font: None) -> None:
    note = photo_grid_png([RED], ["郁"], 1, tmp_path / "grid.png")
    assert "郁" in note
    assert "install a font" in note
    photo_grid_png([RED], [r"\u90c1"], 1, tmp_path / "codes.png")
    np.testing.assert_array_equal(caption_ink(tmp_path / "grid.png"), caption_ink(tmp_path / "codes.png"))


def test_a_font_that_has_the_character_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bundled,) = fonts._bundled_font()
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_bundled_font", lambda: (bundled.replace("DejaVuSans.ttf", "cmr10.ttf"),))
    monkeypatch.setattr(fonts, "_machine_fonts", lambda: (str(broken), bundled))
    lettering = fonts.lettering_for(["aж"], 15)
    assert not lettering.missing
    assert [piece for piece, _ in lettering.pieces("aж")] == ["a", "ж"]


def test_long_captions_end_in_an_ellipsis_within_the_photo(tmp_path: Path) -> None:
    lettering = fonts.lettering_for(["x" * 80, "…"], 15)
    short = lettering.fitting("x" * 80, 192)
    assert short.endswith("x…")
    assert 150 < lettering.width(short) <= 192
    photo_grid_png([RED], ["x" * 80], 1, tmp_path / "grid.png")
    columns = np.flatnonzero(caption_ink(tmp_path / "grid.png").any(axis=0))
    assert columns.min() >= 13
    assert columns.max() <= 14 + 192


def test_right_and_wrong_differ_by_symbol_and_colour(tmp_path: Path) -> None:
    for mark in (True, False, None):
        photo_grid_png([RED], ["tulips\n97%"], 1, tmp_path / f"{mark}.png", marks=[mark])
    inks = [caption_ink(tmp_path / f"{mark}.png") for mark in (True, False, None)]
    assert not np.array_equal(inks[0], inks[1])
    assert not np.array_equal(inks[1], inks[2])
    corner = [Image.open(tmp_path / f"{mark}.png").getpixel((15, 15)) for mark in (True, False)]
    assert corner == [(25, 120, 75), (185, 58, 31)]


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(FireweedError, match="could not be written"):
        photo_grid_png([RED], ["a"], 1, tmp_path / "none" / "grid.png")
    with pytest.raises(ValueError, match="1 photos, 2 captions"):
        photo_grid_png([RED], ["a", "b"], 1, tmp_path / "grid.png")
