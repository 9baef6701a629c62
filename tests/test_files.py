"""Files are whole or not there; errors of the system are told in one line."""

import os

import pytest

from fireweed.errors import FireweedError
from fireweed.files import cache_folder, sha256_of, write_bytes, write_text, written_aside


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path):
    path = tmp_path / "facts.json"
    write_text(path, "old")
    with pytest.raises(ValueError, match="stop"), written_aside(path) as aside:
        aside.write_text("half")
        raise ValueError("stop")
    assert path.read_text() == "old" and [item.name for item in tmp_path.iterdir()] == ["facts.json"]
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new" and [item.name for item in tmp_path.iterdir()] == ["facts.json"]


@pytest.mark.parametrize(
    ("number", "words"), [(28, "disk full"), (13, "no permission"), (30, "no permission"), (5, "written")]
)
def test_errors_of_the_system_name_the_file_and_what_to_do(tmp_path, number, words):
    with pytest.raises(FireweedError) as error, written_aside(tmp_path / "model.keras"):
        raise OSError(number, os.strerror(number))
    assert words in str(error.value) and "model.keras" in str(error.value) and "\n" not in str(error.value)


def test_hash_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_cache_folder_is_made_where_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "there"))
    assert cache_folder("a", "b") == tmp_path / "there" / "a" / "b"
    assert (tmp_path / "there" / "a" / "b").is_dir()
