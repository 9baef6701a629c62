"""Models, weight files and reports, with damage by chance; see `fuzzing`."""

import json
import string
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireweed.bundle.config import checked_net
from fireweed.bundle.hdf5 import open_hdf5, plain_arrays
from fireweed.bundle.saved import _checked_facts
from fireweed.bundle.shapes import outline
from fireweed.bundle.strict_json import read_json
from fireweed.evaluation.report import ReportContents, ShownPhoto, render_report
from hostile import bundles
from hostile.fuzzing import CHANGES, damaged, fuzzed, told


@pytest.fixture(scope="module")
def config() -> Any:
    import keras

    return json.loads(json.dumps(keras.saving.serialize_keras_object(bundles.net())))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 5_000)
    | st.just(10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(("same", "valid", "../x", "Lambda", "keras.layers", "os", "conv", "photo", "float32")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("module", "class_name", "config", "name", "registered_name")), inner, max_size=4
        )
    ),
    max_leaves=6,
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    places, waiting = [], [value]
    while waiting:
        item = waiting.pop()
        pairs = (
            list(item.items()) if isinstance(item, dict) else list(enumerate(item)) if isinstance(item, list) else []
        )
        places += [(item, key) for key, _ in pairs]
        waiting += [child for _, child in pairs]
    return places


@fuzzed(400)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), VALUES), min_size=1, max_size=3))
def test_configs_of_models(config: Any, changes: list[tuple[float, Any]]) -> None:
    changed = json.loads(json.dumps(config))
    for share, value in changes:
        places = _places(changed)
        holder, key = places[int(share * len(places))]
        holder[key] = value
    told(lambda: outline(checked_net(read_json(json.dumps(changed).encode(), "config.json", 1 << 20))))


@fuzzed(150)
@given(CHANGES)
def test_weight_files(tmp_path: Path, changes: list[tuple[float, bytes, bool]]) -> None:
    import h5py

    if not (tmp_path / "good.h5").exists():
        with h5py.File(tmp_path / "good.h5", "w") as file:
            file["layers/conv/vars/0"] = np.ones((3, 3), np.float32)
            file.create_dataset("layers/dense/vars/0", data=np.ones(300, np.float32), compression="gzip")
    (tmp_path / "x.h5").write_bytes(damaged((tmp_path / "good.h5").read_bytes(), changes))

    def read() -> None:
        with open_hdf5(tmp_path / "x.h5") as file:
            plain_arrays(file)

    told(read)


@fuzzed(300)
@given(
    st.dictionaries(st.sampled_from(("classes", "side", "fit", "temperature", "sha256")), VALUES, max_size=5), CHANGES
)
def test_facts_of_models(facts: dict[str, Any], changes: list[tuple[float, bytes, bool]]) -> None:
    good = {**bundles.FACTS, "temperature": 1.5, "sha256": {"model.keras": "0" * 64}}
    told(lambda: _checked_facts(json.dumps({**good, **facts}).encode()))
    told(lambda: _checked_facts(damaged(json.dumps(good).encode(), changes)))


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Any] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attributes]))


def _page(text: str) -> list[Any]:
    photo = ShownPhoto(text, np.zeros((8, 8, 3), np.uint8), f"true {text}", f"taken {text}", 0.5)
    return _Tags(render_report(ReportContents(
        title=text, summary=text, classes=[text, "b"], photos=[photo], mistakes=[photo], best_epoch=text,
        split_counts={text: {"train": 1}}, recipe_toml=text, environment={text: text}, notes=[text],
    ))).found  # fmt: skip


@fuzzed(20)
@given(
    st.text(
        alphabet=st.sampled_from("<>&\"'`=/ {}%-!;" + string.ascii_letters + "\n\x00\x1b\u202e\ud800"),
        min_size=1,
        max_size=60,
    ).filter(str.strip)
)
def test_reports_hold_names_as_text_only(text: str) -> None:
    assert _page(text) == _page("plain")


def test_a_report_of_marks_that_work_elsewhere() -> None:
    marks = (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "javascript:alert(1)",
        "{{ 7 * 7 }}",
        "</style><b>",
        "<!--",
        "]]>",
        "&lt;script&gt;",
        "'-alert(1)-'",
    )
    plain = _page("plain")
    assert all(_page(mark) == plain for mark in marks)
