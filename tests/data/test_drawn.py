import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fireweed.data import drawn
from fireweed.data.blooms import KINDS
from fireweed.data.drawn import SIDE_PX, draw_photo, draw_photos, drawn_folder
from fireweed.data.survey import BLANK_BELOW, perceptual_hash
from fireweed.errors import FireweedError


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def drawings() -> dict[str, list[np.ndarray]]:
    return {name: [draw_photo(name, number) for number in range(8)] for name in KINDS}


def test_there_are_the_five_classes_of_the_real_photos() -> None:
    assert list(KINDS) == ["daisy", "dandelion", "roses", "sunflowers", "tulips"]


def test_a_drawing_is_the_same_whenever_it_is_drawn(drawings: dict[str, list[np.ndarray]]) -> None:
    for name in reversed(KINDS):
        again = draw_photo(name, 5)
        assert again.shape == (SIDE_PX, SIDE_PX, 3) and again.dtype == np.uint8
        assert _digest(again) == _digest(drawings[name][5])


def test_no_two_drawings_look_alike_and_none_is_blank(drawings: dict[str, list[np.ndarray]]) -> None:
    looks = [perceptual_hash(pixels) for own in drawings.values() for pixels in own]
    assert min(variation for _, variation in looks) > 2 * BLANK_BELOW
    apart = [(one ^ other).bit_count() for i, (one, _) in enumerate(looks) for other, _ in looks[:i]]
    assert min(apart) >= 8


def test_roses_and_tulips_are_not_told_apart_by_their_colour() -> None:
    roses, tulips = (
        np.array([draw_photo(name, number).mean((0, 1)) for number in range(40)]) for name in ("roses", "tulips")
    )
    to_roses, to_tulips = (
        np.linalg.norm(np.concatenate([roses, tulips]) - center, axis=1) for center in (roses.mean(0), tulips.mean(0))
    )
    is_rose = np.arange(80) < 40
    assert np.mean((to_roses < to_tulips) == is_rose) < 0.75


def test_a_set_is_jpeg_files_in_a_folder_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "PHOTOS_PER_CLASS", 2)
    draw_photos(tmp_path / "set")
    files = sorted(path.relative_to(tmp_path / "set").as_posix() for path in (tmp_path / "set").rglob("*.jpg"))
    assert files == [f"{name}/{name}-{number:03d}.jpg" for name in KINDS for number in range(2)]
    with Image.open(tmp_path / "set" / "roses" / "roses-001.jpg") as image:
        stored = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(stored - draw_photo("roses", 1)).mean() < 4


class TestDrawnFolder:
    @pytest.fixture(autouse=True)
    def _own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path))
        monkeypatch.setattr(drawn, "PHOTOS_PER_CLASS", 1)

    def test_is_drawn_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = drawn_folder()
        assert len(list(folder.rglob("*.jpg"))) == 5
        monkeypatch.setattr(drawn, "draw_photos", lambda folder: pytest.fail("drawn a second time"))
        assert drawn_folder() == folder
        assert list(tmp_path.iterdir()) == [folder]

    def test_is_not_there_at_all_when_drawing_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail_midway(folder: Path) -> None:
            (folder / "daisy").mkdir(parents=True)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(drawn, "draw_photos", fail_midway)
        with pytest.raises(FireweedError, match="disk full"):
            drawn_folder()
        assert list(tmp_path.iterdir()) == []

    def test_of_another_process_that_was_first_is_taken(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def draw_and_lose(folder: Path) -> None:
            draw_photos(folder)
            (tmp_path / f"drawn-v{drawn.VERSION}" / "daisy").mkdir(parents=True)

        monkeypatch.setattr(drawn, "draw_photos", draw_and_lose)
        assert drawn_folder() == tmp_path / f"drawn-v{drawn.VERSION}"
        assert len(list(tmp_path.iterdir())) == 1
