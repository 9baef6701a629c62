import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_samples import CLASSES, EVIL_CLASS, EVIL_LABEL, EVIL_PHOTO, LONG_NAME, contents

from fireweed.errors import FireweedError
from fireweed.evaluation.report import ReportContents, ShownPhoto, render_report, write_report

VOID = {"meta", "link", "img", "br", "wbr"}


class Page(HTMLParser):
    """A page as elements (tag, attributes) and the text that people see; checks that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.style = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def html() -> str:
    return render_report(contents())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_nothing_is_fetched_and_nothing_runs(html: str, page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base", "video", "audio", "use", "image"}
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.attributes("src"))
    assert all(target.startswith(("#", "data:,")) for target in page.attributes("href"))
    assert not re.search(r"@import|url\s*\(|expression", page.style)
    assert not any("url(" in style for style in page.attributes("style"))
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "http:" not in html
    assert "https:" not in html


def test_a_policy_forbids_all_that_the_page_does_not_need(page: Page) -> None:
    (policy,) = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert page.elements[2][0] == "meta" and page.elements[2][1] == {"charset": "utf-8"}


def test_names_typed_by_people_are_text_and_never_markup(html: str, page: Page) -> None:
    assert "<svg onload" not in html
    assert "<img src=x" not in html
    assert "</script" not in html
    for name in (EVIL_CLASS, EVIL_LABEL, EVIL_PHOTO):
        assert name in page.text
    assert f"{EVIL_CLASS}/{EVIL_PHOTO}" in page.attributes("alt")
    assert all(source != "x" for source in page.attributes("src"))


def test_names_of_all_scripts_are_whole_text(page: Page) -> None:
    for name in CLASSES:
        assert name in page.texts or name in page.text
    assert LONG_NAME in page.text


def test_rows_of_the_matrix_are_titled_true(html: str) -> None:
    evaluation = contents().evaluation
    assert evaluation is not None
    table = re.search(r'<table class="matrix.*?</table>', html, re.S)
    assert table
    rows = re.findall(r"<tr><th scope=\"row\".*?</tr>", table.group(), re.S)
    shown = [[int(cell or 0) for cell in re.findall(r"<td[^>]*>(\d*)</td>", row)] for row in rows]
    assert shown == evaluation["confusion"]
    assert re.search(r'class="axis-true"[^>]*>true<', html)
    assert re.search(r'class="axis-predicted"[^>]*>predicted<', html)


def test_right_and_wrong_are_told_by_a_symbol_too(html: str, page: Page) -> None:
    sample = contents()
    wrong = sum(photo.true != photo.predicted for photo in sample.photos) + len(sample.mistakes)
    assert html.count('<figure class="photo wrong">') == wrong
    assert html.count('aria-label="wrong">✗</b>') == wrong
    assert html.count('aria-label="right">✓</b>') == len(sample.photos) + len(sample.mistakes) - wrong
    assert len(page.attributes("src")) == len(sample.photos) + len(sample.mistakes)


def test_all_sections_are_there(page: Page) -> None:
    ids = [one for one in page.attributes("id") if not one.startswith("word-")]
    assert ids == ["result", "photos", "mistakes", "classes", "training", "net", "data", "recipe", "words"]
    links = [link.removeprefix("#") for link in page.attributes("href") if link != "data:,"]
    assert [link for link in links if not link.startswith("word-")] == ids
    assert set(links) <= set(page.attributes("id"))
    for words in ("95% interval", "Calibration", "Learning rate", "120,613 weights", "cut off", "packages keras"):
        assert words in page.text


def test_nothing_reads_nan_where_figures_do_not_exist() -> None:
    rows = [
        {"epoch": "1", "side": "96", "loss": "nan", "accuracy": "", "val_loss": None, "learning_rate": "inf"},
        {"epoch": 2.0, "side": 96.0, "loss": 0.5, "accuracy": 0.5},
    ]  # that was not validated
    evaluation = dict(contents().evaluation or {})
    bare = contents(history=rows, learning_rates=np.array([np.nan]), evaluation=evaluation)
    text = Page(render_report(bare)).text.lower()
    assert not re.search(r"\bnan\b|\binf\b|\bnone\b|undefined", text)


def test_a_report_of_hardly_anything_is_still_a_page() -> None:
    page = Page(render_report(ReportContents("a run")))
    assert page.attributes("id") == ["result"]
    assert "no validation photos" in page.text


@pytest.mark.parametrize("classes", [2, 8, 9, 43, 130])
def test_any_number_of_classes_gives_a_page(classes: int) -> None:
    names = tuple(f"class {i}" for i in range(classes))
    page = Page(render_report(contents(names, count=3 * classes)))
    assert ("right among the best 5" in page.text) == (classes > 5)
    assert f"class {classes - 1}" in page.text


def test_file_stays_below_three_megabytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    photos = [ShownPhoto(f"photo {i}", noise, "a", "b", 0.5) for i in range(300)]
    names = tuple(f"class {i}" for i in range(100))
    large = contents(names, 400, photos=photos, mistakes=photos, notes=["a note"] * 9000, learning_rates=np.ones(10**6))
    write_report(tmp_path / "report.html", large)
    assert (tmp_path / "report.html").stat().st_size < 3_000_000
    assert re.search(r"The first \d+ of 300", Page((tmp_path / "report.html").read_text("utf-8")).text)


def test_broken_file_names_are_written_as_codes(tmp_path: Path) -> None:
    picture = np.zeros((9, 9, 3), np.uint8)
    write_report(
        tmp_path / "report.html",
        ReportContents("x\udcff", photos=[ShownPhoto("a\udcff\x1b\u202e", picture, "a", "a", 1.0)], notes=["\ud800"]),
    )
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "a\\udcff\\x1b\\u202e" in text
    assert "\x1b" not in text


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(FireweedError, match="could not be written"):
        write_report(tmp_path / "none" / "report.html", ReportContents("a run"))
