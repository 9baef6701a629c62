"""A file of squares gives back what was written, or says that it does not."""

import errno

import numpy as np
import pytest

from fireweed.data.squarefile import DamagedSquaresError, SquareFile, SquareWriter, file_bytes

KIND, SIDE = "8 px, crop", 8
SQUARES = {f"{i:064x}": np.random.default_rng(i).integers(0, 256, (SIDE, SIDE, 3), np.uint8) for i in range(5)}


@pytest.fixture
def path(tmp_path):
    writer = SquareWriter(tmp_path / "a.squares", KIND, SIDE)
    for key, square in SQUARES.items():
        writer.add(key, square)
    assert not writer.path.exists()
    writer.finish()
    return writer.path


def test_what_was_written_comes_back_and_nothing_else_is_left(path):
    file = SquareFile(path, KIND, SIDE)
    assert list(file.rows) == list(SQUARES) and path.stat().st_size == file_bytes(5, SIDE)
    for key, square in SQUARES.items():
        assert np.array_equal(file.read(key), square)
    with pytest.raises(ValueError, match="read-only"):
        file.read(key)[0] = 0
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("spoil", [
    lambda data: data[:-1], lambda data: data[:40], lambda data: b"", lambda data: data + b"\0",
    lambda data: b"X" + data[1:], lambda data: bytes(len(data)),
    lambda data: data[:-7] + bytes([data[-7] ^ 1]) + data[-6:],  # in the index
    lambda data: data[:53] + bytes([data[53] ^ 1]) + data[54:],  # in the head
])  # fmt: skip
def test_a_damaged_foreign_or_cut_off_file_is_refused(path, spoil):
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DamagedSquaresError):
        SquareFile(path, KIND, SIDE)


@pytest.mark.parametrize(("kind", "side"), [("8 px, pad", 8), (KIND, 9)])
def test_a_file_of_another_kind_is_refused(path, kind, side):
    with pytest.raises(DamagedSquaresError):
        SquareFile(path, kind, side)


def test_one_wrong_byte_in_a_square_is_noticed_when_it_is_read(path):
    data = bytearray(path.read_bytes())
    data[4096 + 3 * SIDE * SIDE * 3 + 17] ^= 1
    path.write_bytes(data)
    file = SquareFile(path, KIND, SIDE)
    keys = list(SQUARES)
    assert np.array_equal(file.read(keys[2]), SQUARES[keys[2]])
    with pytest.raises(DamagedSquaresError):
        file.read(keys[3])


def test_what_was_whole_before_the_disk_was_full_is_kept(tmp_path, monkeypatch):
    writer = SquareWriter(tmp_path / "a.squares", KIND, SIDE)
    keys = list(SQUARES)
    writer.add(keys[0], SQUARES[keys[0]])
    writer._file.write(b"half a square")
    with monkeypatch.context() as patched, pytest.raises(OSError, match="full"):
        patched.setattr("fireweed.data.squarefile._write", full_disk)
        writer.add(keys[1], SQUARES[keys[1]])
    writer.finish()
    file = SquareFile(writer.path, KIND, SIDE)
    assert list(file.rows) == keys[:1] and np.array_equal(file.read(keys[0]), SQUARES[keys[0]])


def full_disk(file, data):
    raise OSError(errno.ENOSPC, "disk full")
