"""A zip is opened only where the list of its entries is short enough."""

import zipfile

import pytest

from fireweed.zips import ListingError, open_zip


def test_list_of_entries_has_a_bound_and_members_have_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("a", bytes(100_000))
        file.writestr("b", b"")
    with open_zip(tmp_path / "x.zip", 1_000) as archive:
        assert archive.namelist() == ["a", "b"] and len(archive.read("a")) == 100_000
    with (
        pytest.raises(ListingError, match="its list of entries has 94 bytes, at most 50 are read"),
        open_zip(tmp_path / "x.zip", 50),
    ):
        pass


def test_a_damaged_length_that_hides_entries_is_noticed(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for name in "abc":
            file.writestr(name, b"1")
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 32] = 47  # a comment as long as the next entry
    (tmp_path / "x.zip").write_bytes(data)
    assert zipfile.ZipFile(tmp_path / "x.zip").namelist() == ["a", "c"]
    with (
        pytest.raises(zipfile.BadZipFile, match="its list has 2 entries, its end says 3"),
        open_zip(tmp_path / "x.zip", 1_000),
    ):
        pass


@pytest.mark.parametrize("count", [0, 65_537])
def test_lists_of_any_length_are_read(tmp_path, count):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.comment = b"by hand"
        for number in range(count):
            file.writestr(zipfile.ZipInfo(f"{number}"), b"")
    with open_zip(tmp_path / "x.zip", 10_000_000) as archive:
        assert len(archive.namelist()) == count
