"""The store gives only squares of the very photos and the very decoder, and stays within its limit."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from fireweed.data import store as module
from fireweed.data.squarefile import file_bytes
from fireweed.data.store import SquareStore, open_store
from fireweed.errors import FireweedError
from fireweed.files import sha256_of_bytes

SIDE = 8


def photos_of(*numbers):
    """Return key -> (the photo's bytes, its square)."""
    found = {}
    for number in numbers:
        data = f"photo {number}".encode()
        square = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        found[sha256_of_bytes(data)] = (data, square)
    return found


def run(folder, photos, fit="crop", limit=10**6, used=None):
    """Do what a run does with the store; return how many squares were found, having checked them."""
    store = SquareStore(folder, limit)
    stored = store.find(SIDE, fit, photos)
    found = sum(key in stored for key in photos)
    for key, (data, square) in photos.items():
        there = stored.get(key)
        if there is None:
            stored.put(key, data, square)
        else:
            assert np.array_equal(there, square)
    stored.close()
    store.close()
    if used is not None:  # seconds since 1970
        for path in folder.glob("*.squares"):
            if path.stat().st_mtime > 1e9:
                os.utime(path, (used, used))
    return found


def size_of(folder):
    return sum(path.stat().st_size for path in folder.glob("*.squares"))


def test_a_second_run_finds_all_and_new_photos_are_added(tmp_path):
    assert run(tmp_path, photos_of(*range(6))) == 0
    assert run(tmp_path, photos_of(*range(6))) == 6
    assert run(tmp_path, photos_of(*range(2, 9))) == 4
    assert run(tmp_path, photos_of(*range(9))) == 9
    assert len(list(tmp_path.glob("*.squares"))) == 2


def test_another_fit_or_decoder_finds_nothing(tmp_path, monkeypatch):
    run(tmp_path, photos_of(1, 2))
    assert run(tmp_path, photos_of(1, 2), fit="pad") == 0
    monkeypatch.setattr(module, "decoder_digest", lambda: "another")
    assert run(tmp_path, photos_of(1, 2)) == 0


def test_a_photo_replaced_after_its_key_was_made_is_not_kept(tmp_path):
    (key,) = photos_of(1)
    other = photos_of(2)
    store = SquareStore(tmp_path, 10**6)
    stored = store.find(SIDE, "crop", [key])
    stored.put(key, *next(iter(other.values())))
    stored.close()
    assert not list(tmp_path.glob("*.squares"))


def test_a_damaged_file_is_made_anew(tmp_path):
    photos = photos_of(*range(4))
    run(tmp_path, photos)
    (path,) = tmp_path.glob("*.squares")
    data = bytearray(path.read_bytes())
    data[4096 + 2 * SIDE * SIDE * 3] ^= 1  # in the third square
    path.write_bytes(data)
    assert run(tmp_path, photos) == 4 and not path.exists()
    assert run(tmp_path, photos) == 2  # the two that had been read before the damage showed are yet to come
    assert run(tmp_path, photos) == 4
    for path in tmp_path.glob("*.squares"):
        path.write_bytes(path.read_bytes()[:-9])
    assert run(tmp_path, photos) == 0


def test_the_longest_unused_go_first_and_the_limit_holds(tmp_path):
    limit = 2 * file_bytes(4, SIDE) + 10
    run(tmp_path, photos_of(0, 1, 2, 3), limit=limit, used=1000)
    run(tmp_path, photos_of(4, 5, 6, 7), limit=limit, used=2000)
    assert run(tmp_path, photos_of(0, 1, 2, 3), limit=limit, used=3000) == 4  # and so used again
    run(tmp_path, photos_of(8, 9, 10, 11), limit=limit)
    assert size_of(tmp_path) <= limit
    assert run(tmp_path, photos_of(0, 1, 2, 3), limit=limit) == 4
    assert run(tmp_path, photos_of(4, 5, 6, 7), limit=limit) == 0


def test_of_more_photos_than_the_limit_holds_some_stay_from_run_to_run(tmp_path):
    limit = file_bytes(3, SIDE) + 10
    assert [run(tmp_path, photos_of(*range(9)), limit=limit) for _ in range(3)] == [0, 3, 3]
    assert size_of(tmp_path) <= limit


def test_little_free_disk_lowers_the_limit(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 4 * file_bytes(2, SIDE)})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    run(tmp_path, photos_of(*range(9)))
    assert 0 < size_of(tmp_path) <= file_bytes(2, SIDE)


def test_a_second_process_reads_and_leaves_the_writing_to_the_first(tmp_path):
    run(tmp_path, photos_of(1))
    first, second = SquareStore(tmp_path, 10**6), SquareStore(tmp_path, 10**6)
    photos = photos_of(1, 2)
    stored = second.find(SIDE, "crop", photos)
    assert sum(key in stored for key in photos) == 1 and first.may_write and not second.may_write
    for key, (data, square) in photos.items():
        stored.put(key, data, square)
    stored.close()
    assert len(list(tmp_path.glob("*.squares"))) == 1
    first.close()
    assert run(tmp_path, photos) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_what_a_killed_process_left_is_removed(tmp_path):
    program = """
        import os, signal, sys, pathlib, numpy as np
        from fireweed.data.store import SquareStore
        from fireweed.files import sha256_of_bytes
        key = sha256_of_bytes(b"a")
        stored = SquareStore(pathlib.Path(sys.argv[1]), 10**6).find(8, "crop", [key, "b"])
        stored.put(key, b"a", np.zeros((8, 8, 3), np.uint8))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir() if path.name != ".lock"] == [".squares"]
    assert run(tmp_path, photos_of(1)) == 0
    assert len(list(tmp_path.glob(".*"))) == 1 and len(list(tmp_path.glob("*.squares"))) == 1


def test_the_variable_sets_the_limit(monkeypatch):
    assert open_store().limit_bytes == 5e9
    monkeypatch.setenv("FIREWEED_CACHE_GB", "0.5")
    assert open_store().limit_bytes == 5e8
    monkeypatch.setenv("FIREWEED_CACHE_GB", "0")
    assert open_store() is None
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("FIREWEED_CACHE_GB", wrong)
        with pytest.raises(FireweedError, match=wrong):
            open_store()
