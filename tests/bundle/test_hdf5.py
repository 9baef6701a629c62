"""A weight file is plain arrays, each stored in it under one name; all else is refused before anything is read."""

import time

import h5py
import numpy as np
import pytest

from fireweed.bundle.hdf5 import longest_text, open_hdf5, plain_arrays
from fireweed.errors import BundleError


def check(path):
    with open_hdf5(path) as file:
        return plain_arrays(file)


def virtual(file):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (3,))
    file.create_virtual_dataset("a", layout)


def deep(file):
    for _ in range(40):
        file = file.create_group("g")


def many(file):
    for i in range(50_001):
        file[str(i)] = h5py.SoftLink("/x")


def array(**how):
    return lambda file: file.create_dataset("group/a", **how)


def linked(link):
    return lambda file: file.__setitem__("a", link)


def named_twice(file):
    file["b"] = file["good"]


def named_in_bytes(file):
    file[b"\xff\xfe"] = np.zeros(3)


def inside_itself(file):
    file.create_group("g")["again"] = file["/"]


def named_type(file):
    file["a"] = np.dtype("f4")


HOSTILE = {
    "a soft link": (linked(h5py.SoftLink("/good")), "link"),
    "a link that leads nowhere": (linked(h5py.SoftLink("/gone")), "link"),
    "an external link": (linked(h5py.ExternalLink("/etc/other.h5", "x")), "link"),
    "a virtual array": (virtual, "put together"),
    "an array kept in another file": (array(shape=(3,), dtype="f4", external=[("/etc/passwd", 0, 12)]), "/etc/passwd"),
    "an array under two names": (named_twice, "another name"),
    "a group inside itself": (inside_itself, "another name"),
    "a type where an array belongs": (named_type, "neither"),
    "a name that is not text": (named_in_bytes, "UTF-8"),
    "groups without end": (deep, "deep"),
    "links without end": (many, "objects"),
    "strings": (array(data=[b"a"], dtype=h5py.string_dtype()), "plain numbers"),
    "references": (array(shape=(3,), dtype=h5py.ref_dtype), "plain numbers"),
    "records": (array(data=np.zeros(3, [("a", "f4")])), "plain numbers"),
    "truth values": (array(data=np.zeros(3, bool)), "plain numbers"),
    "no array at all": (array(data=h5py.Empty("f4")), "shape"),
    "a filter of other programs": (array(shape=(3,), dtype="f4", chunks=(3,), compression="lzf"), "filter"),
    "checksums": (array(shape=(3,), dtype="f4", chunks=(3,), fletcher32=True), "filter"),
    "a terabyte of nothing": (array(shape=(1 << 40,), dtype="f4", chunks=(1 << 20,), compression="gzip"), "grows"),
    "a terabyte of nothing in one piece": (array(shape=(1 << 40,), dtype="f4"), "grows"),
    "an array that gzip shrank a thousand times": (
        array(data=np.zeros(8 << 20, "f4"), chunks=(1 << 20,), compression="gzip"), "grows",
    ),
    "chunks far larger than the array": (array(shape=(3,), dtype="f4", maxshape=(None,), chunks=(1 << 28,)), "chunks"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_plain_array_is_refused_unread(tmp_path, name):
    change, part = HOSTILE[name]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["good"] = np.zeros(3, np.float32)
        change(file)
    started = time.monotonic()
    with pytest.raises(BundleError, match=part) as error:
        check(tmp_path / "a.h5")
    assert "\n" not in str(error.value) and time.monotonic() - started < 2


def test_plain_arrays_are_listed_with_shape_and_type(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/b"] = np.zeros((2, 3), np.float32)
        file["count"] = np.int64(3)
        file.create_dataset("zipped", data=np.arange(1000.0), compression="gzip")
        file.create_dataset("empty", shape=(0, 4))
    arrays = check(tmp_path / "a.h5")
    assert {path: (array.shape, array.dtype.name) for path, array in arrays.items()} == {
        "a/b": ((2, 3), "float32"),
        "count": ((), "int64"),
        "zipped": ((1000,), "float64"),
        "empty": ((0, 4), "float32"),
    }


def test_damage_anywhere_is_told_in_one_line(tmp_path):
    """Whatever bytes are wrong, the answer is a list of arrays or one line; h5py raises many kinds of errors."""
    with h5py.File(tmp_path / "good.h5", "w") as file:
        for i in range(12):
            file[f"layers/dense_{i}/vars/0"] = np.full((4, 4), i, np.float32)
    data = (tmp_path / "good.h5").read_bytes()
    random = np.random.default_rng(0)
    refusals = 0
    for _ in range(300):
        spoilt = bytearray(data)
        for place in random.integers(0, len(data), random.choice([1, 4, 16])):
            spoilt[place] = random.integers(256)
        (tmp_path / "spoilt.h5").write_bytes(spoilt)
        try:
            check(tmp_path / "spoilt.h5")
        except BundleError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert 20 < refusals < 300


def test_the_longest_of_the_texts_is_found(tmp_path):
    for lengths in ((3,), (30, 5000, 7), (20,) * 900):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["layers/a"] = np.zeros(3)
            file.attrs["names"] = ["x" * length for length in lengths]
        assert max(lengths) <= longest_text(tmp_path / "a.h5") <= max(lengths) + 8
