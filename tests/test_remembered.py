"""Figures are kept beside each other, bounded, and a damaged file costs nothing but them."""

import json
import math
from pathlib import Path

import pytest

from fireweed import remembered as store
from fireweed.remembered import remember, remembered


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / store.FILE


def test_figures_are_kept_beside_earlier_ones(empty: Path) -> None:
    remember("net", {"step none": 20.0})
    remember("other", {"step none": 5.0})
    remember("net", {"step xla": 8.0})
    assert remembered() == {"other": {"step none": 5.0}, "net": {"step none": 20.0, "step xla": 8.0}}
    assert [path.name for path in empty.parent.iterdir()] == [store.FILE], "nothing is left beside it"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"net": 3}', '{"net": {"rate": "fast"}}', "[" * 100_000, "\xff"])
def test_a_damaged_file_is_as_good_as_none(empty: Path, text: str) -> None:
    empty.parent.mkdir()
    empty.write_bytes(text.encode("latin-1"))
    assert not remembered().get("net")
    remember("net", {"rate": 2.0})
    assert remembered()["net"] == {"rate": 2.0}


def test_what_is_no_rate_is_left_out(empty: Path) -> None:
    remember("net", {"a": math.inf, "b": math.nan, "c": 0.0, "d": -1.0, "e": 1.0})
    assert remembered() == {"net": {"e": 1.0}}
    json.loads(empty.read_text())


def test_the_names_longest_untouched_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_NAMES", 3)
    for name in ("a", "b", "c", "a", "d"):
        remember(name, {"rate": 1.0})
    assert list(remembered()) == ["c", "a", "d"]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "file"))
    remember("net", {"rate": 1.0})
    assert remembered() == {}
