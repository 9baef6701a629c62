"""Photos, archives, lists, shards, recipes and nets, with damage by chance; see `fuzzing`."""

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireweed.data.archives import unpack
from fireweed.data.decode import read_photo
from fireweed.data.headers import format_of, orientation, without_metadata
from fireweed.data.lists import read_list
from fireweed.data.manifest import listed_shards
from fireweed.data.records import index_shards
from fireweed.models.spec import parameters_of, parse_line
from fireweed.recipe import read_recipe
from hostile import archives, images, shards
from hostile.fuzzing import CHANGES, damaged, fuzzed, told

FORMATS = images.FORMATS


@fuzzed(300)
@given(
    st.binary(max_size=300), st.sampled_from((b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF"))
)
def test_headers_of_photos(data: bytes, start: bytes) -> None:
    data = start + data
    name = told(lambda: format_of(data))
    if name is not None:
        assert 1 <= orientation(without_metadata(data, name)[1]) <= 8
    assert 1 <= orientation(data) <= 8
    told(lambda: read_photo(data))


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_photos(kind: str) -> None:
    good = images.good(kind)

    @fuzzed(150)
    @given(CHANGES)
    def check(changes: list[tuple[float, bytes, bool]]) -> None:
        rgb = told(lambda: read_photo(damaged(good, changes), at_least_px=8))
        assert rgb is None or (rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3)

    check()


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.xz"])
def test_damaged_archives(kind: str, tmp_path: Path) -> None:
    entries = (("a/1.jpg", b"one"), ("b/2.jpg", b"two" * 50))
    good = archives.zipped(*entries) if kind == "zip" else archives.tarred(*entries)
    good = lzma.compress(good) if kind == "tar.xz" else good
    count = iter(range(10**6))

    @fuzzed(60)
    @given(CHANGES)
    def check(changes: list[tuple[float, bytes, bool]]) -> None:
        top = tmp_path / str(next(count))
        top.mkdir()
        (top / f"x.{kind}").write_bytes(damaged(good, changes))
        into = told(lambda: unpack(top / f"x.{kind}", top / "into"))
        assert {path.name for path in top.iterdir()} == {f"x.{kind}"} | ({"into"} if into else set())

    check()


@fuzzed(150)
@given(
    st.one_of(
        st.binary(max_size=80),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(("shards", "file", "records", "sha256", "part", "counts", "x")), inner, max_size=6
                )
            ),
            max_leaves=20,
        ),
    )
)
def test_manifests(content: Any) -> None:
    text = content if isinstance(content, bytes) else json.dumps({"fireweed": "1", "shards": content}).encode()
    told(lambda: listed_shards(text, "manifest.json"))


@fuzzed(200)
@given(st.text(alphabet=st.sampled_from('path,label;split\t"\r\n\0ab./\\é\ud800'), max_size=120), st.booleans())
def test_lists(tmp_path: Path, text: str, has_header: bool) -> None:
    data = ("path,label,split\n" if has_header else "") + text
    (tmp_path / "x.csv").write_bytes(data.encode("utf-8", "surrogatepass"))
    told(lambda: read_list(tmp_path / "x.csv", "x.csv"))


@fuzzed(200)
@given(
    st.lists(
        st.sampled_from(
            (
                "[model]\n",
                "[training]\n",
                "[[training.phases]]\n",
                "name",
                "weights",
                "phases",
                "side",
                "seed",
                "epochs",
                " = ",
                "\n",
                "1",
                "-1",
                "1e400",
                "nan",
                '"a"',
                "'../x'",
                "[",
                "]",
                "{",
                "}",
                ",",
                "true",
                ".",
                "#",
                '"""',
                "\\u0000",
                "2020-01-01",
            )
        ),
        max_size=25,
    ).map("".join)
    | st.text(max_size=60)
)
def test_recipes(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.toml").write_bytes(text.encode("utf-8", "replace"))
    told(lambda: read_recipe(str(tmp_path / "x.toml")))


WORDS = (
    "conv",
    "fire",
    "inception",
    "sep",
    "pool",
    "gap",
    "flatten",
    "dense",
    "drop",
    "norm",
    "batch",
    "none",
    "max",
    "x",
    "x3",
    "x999",
    "|",
    "||",
    "/2",
    "/0",
    "3",
    "32",
    "4096",
    "99999999999",
    "0.5",
    ".",
    "-1",
    "nan",
    "1e9",
    "٣",
    "\x1b",
)


@fuzzed(400)
@given(st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join) | st.text(max_size=40))
def test_nets_of_one_line(line: str) -> None:
    net = told(lambda: parse_line(line))
    if net is not None:
        assert parse_line(str(net)) == net and parameters_of(net, 5, 192) > 0


@fuzzed(60)
@given(CHANGES, st.booleans())
def test_damaged_shards(tmp_path: Path, changes: list[tuple[float, bytes, bool]], is_checksum_right: bool) -> None:
    good = shards.example(image=b"\xff\xd8\xff", label=b"rose", size=[8, 8], one_hot_class=[0.0, 1.0])
    data = shards.record(damaged(good, changes)) if is_checksum_right else damaged(shards.record(good) * 2, changes)
    (tmp_path / "x.tfrec").write_bytes(data)
    told(lambda: index_shards(str(tmp_path / "x.tfrec")))
