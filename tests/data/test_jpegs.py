import hashlib
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from fireweed.api.sharding import make_shards
from fireweed.data import survey
from fireweed.data.decode import decode_square, to_square
from fireweed.data.jpegs import JpegSquares
from fireweed.data.records import index_shards, read_bytes
from fireweed.errors import FireweedError
from fireweed.reporting import Reporter


def _kept(folder: Path, memory_bytes: int, count: int = 40) -> tuple[JpegSquares, list[bytes]]:
    squares = JpegSquares(16, "crop", 90, folder, memory_bytes)
    jpegs = [bytes([i]) * (i * 7 % 50 + 1) for i in range(count)]
    for jpeg in jpegs:
        squares.add(jpeg)
    return squares, jpegs


@pytest.mark.parametrize("memory_bytes", [0, 1, 300, 1 << 20])
def test_they_come_back_in_order_whatever_fits_in_memory(tmp_path: Path, memory_bytes: int) -> None:
    squares, jpegs = _kept(tmp_path, memory_bytes)
    with squares:
        assert len(squares) == 40 and [squares[i] for i in range(40)] == jpegs
        assert squares[17] == jpegs[17]
        assert sum(map(len, squares._in_memory)) <= memory_bytes
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    squares = JpegSquares(16, "crop", 90, tmp_path / "gone", 0)
    with pytest.raises(FireweedError, match="could not be written"):
        squares.add(b"x")


def test_a_jpeg_is_the_square_at_full_colour(tmp_path: Path) -> None:
    rgb = np.asarray(Image.linear_gradient("L").convert("RGB").rotate(30).crop((60, 70, 200, 170)))
    data = JpegSquares(40, "squash", 95, tmp_path).encode(rgb)
    with Image.open(io.BytesIO(data)) as image:
        assert JpegImagePlugin.get_sampling(image) == 0
        assert np.abs(np.asarray(image).astype(int) - to_square(rgb, 40, "squash")).max() < 12


def test_shards_read_each_photo_once(
    make_photos: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow")
    folder = make_photos({"a": 30, "b": 25})
    (folder / "a" / "003.png").write_text("hello")
    reads: Counter[str] = Counter()
    monkeypatch.setattr(survey, "read_bytes", lambda photo: reads.update([photo.name]) or read_bytes(photo))
    monkeypatch.setattr("fireweed.data.shards.read_photo", None)  # whoever decodes again fails
    make_shards(str(folder), str(tmp_path / "new" / "out"), 32, 4, "crop", 95, Reporter(is_silent=True))
    assert len(reads) == 55 and set(reads.values()) == {1}
    originals = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in folder.rglob("*.png")}
    records = index_shards(str(tmp_path / "new" / "out" / "*.tfrec")).photos
    assert len(records) == len({record.key for record in records}) == 54
    for record in records:
        original = originals[record.key]
        assert ("a", "b")[record.label] == original.parent.name
        with Image.open(io.BytesIO(read_bytes(record))) as image:
            stored = np.asarray(image).astype(int)
        assert np.abs(stored - decode_square(original.read_bytes(), 32)).mean() < 6
