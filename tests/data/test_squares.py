"""The cache gives the decoded photos, wherever they lie, and decodes no more often than it must."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fireweed.data import squares as module
from fireweed.data.catalog import Photo
from fireweed.data.decode import decode_square
from fireweed.data.squares import SquareCache
from fireweed.data.store import SquareStore
from fireweed.files import sha256_of

SIDE = 16
EACH = SIDE * SIDE * 3


@pytest.fixture
def photos(make_photos):
    folder = make_photos({"a": 9, "b": 7}, side=40)
    return [Photo(str(p), 0, key=sha256_of(p), name=p.name) for p in sorted(folder.glob("*/*.png"))]


@pytest.fixture
def decoded(monkeypatch):
    """Return a list to which every decoding adds."""
    made = []

    def counting(data, side_px, fit, out):
        made.append(data)
        return decode_square(data, side_px, fit, out)

    monkeypatch.setattr(module, "decode_square", counting)
    return made


def epoch(photos, cache, decoded):
    """Ask for all photos, some twice, in batches; check each square and return how many were decoded."""
    before = len(decoded)
    order = np.random.default_rng(len(decoded)).permutation(len(photos))
    for batch in (*np.split(order, 4), order[[3, 3, 0]]):
        for square, index in zip(cache.gather(batch), batch, strict=True):
            assert np.array_equal(square, decode_square(Path(photos[index].path).read_bytes(), SIDE, "pad"))
    return len(decoded) - before


def test_in_memory_each_photo_is_decoded_once(photos, decoded):
    cache = SquareCache(photos, SIDE, "pad")
    assert [epoch(photos, cache, decoded) for _ in range(3)] == [16, 0, 0]
    cache.close()


def test_what_memory_has_no_room_for_is_decoded_anew(photos, decoded):
    cache = SquareCache(photos, SIDE, "pad", memory_bytes=10 * EACH + 5)
    assert epoch(photos, cache, decoded) >= 16
    assert 6 <= epoch(photos, cache, decoded) <= 8  # 6, and 2 asked for twice at most
    assert len(cache._squares) == 10


@pytest.mark.parametrize("memory_bytes", [10**9, 5 * EACH, 0])
def test_a_second_run_decodes_nothing_whatever_memory_it_has(photos, decoded, tmp_path, memory_bytes):
    for expected in (0, 16):
        store = SquareStore(tmp_path, 10**8)
        cache = SquareCache(photos, SIDE, "pad", memory_bytes, store)
        counts = [epoch(photos, cache, decoded) for _ in range(2)]
        assert cache.found == expected and (counts[0] >= 16 if not expected else counts[0] == 0)
        assert counts[1] == 0  # in the first run as well: what memory does not hold came back from the finished file
        cache.close()
        store.close()


def test_room_is_kept_for_the_photos_of_this_host_and_others_can_be_asked_for_too(photos, decoded, tmp_path):
    own = np.arange(0, 16, 2)
    for found in (0, 8):
        store = SquareStore(tmp_path, 10**8)
        cache = SquareCache(photos, SIDE, "pad", store=store, own=own)
        assert (cache.asked, len(cache._squares), cache.found) == (8, 8, found)
        cache.gather(own)
        assert len(decoded) == 8
        cache.close()
        store.close()
    cache = SquareCache(photos, SIDE, "pad", own=own)
    assert epoch(photos, cache, decoded) >= 16 and len(cache._squares) == 8


def test_an_interrupted_first_epoch_is_not_lost(photos, decoded, tmp_path):
    for expected in (0, 3):
        store = SquareStore(tmp_path, 10**8)
        cache = SquareCache(photos, SIDE, "pad", store=store)
        assert cache.found == expected
        cache.gather(np.array([5, 2, 7]))
        cache.close()
        store.close()
    assert len(decoded) == 3


def test_a_record_never_gets_the_square_of_the_photo_it_was_made_of(photos, decoded, tmp_path, monkeypatch):
    store = SquareStore(tmp_path, 10**8)
    original = SquareCache(photos[:1], SIDE, "pad", store=store)
    original.gather(np.array([0]))
    original.close()
    monkeypatch.setattr(module, "read_bytes", lambda photo: Path(photos[5].path).read_bytes())
    record = SquareCache([replace(photos[0], offset=0, length=9)], SIDE, "pad", store=store)
    (square,) = record.gather(np.array([0]))
    assert np.array_equal(square, decode_square(Path(photos[5].path).read_bytes(), SIDE, "pad"))


def test_a_photo_replaced_since_it_was_looked_at_does_not_spoil_the_store(photos, tmp_path):
    kept = Path(photos[0].path).read_bytes()
    for data in (Path(photos[1].path).read_bytes(), kept):
        Path(photos[0].path).write_bytes(data)
        store = SquareStore(tmp_path, 10**8)
        cache = SquareCache(photos[:1], SIDE, "pad", store=store)
        (square,) = cache.gather(np.array([0]))
        assert np.array_equal(square, decode_square(data, SIDE, "pad"))
        cache.close()
        store.close()
