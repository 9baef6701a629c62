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
