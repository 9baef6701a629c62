"""The documentation site: all of docs/ and every lab is in it, links lead somewhere, nothing is from elsewhere."""

import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import fireweed
from fireweed.recipe import Recipe

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "site"
sys.path.insert(0, str(SITE))

pytest.importorskip("zensical", reason="the docs extra is not installed")
pytest.importorskip("mkdocstrings_handlers.python", reason="the docs extra is not installed")

from house_docstrings import entries_of, with_headings  # noqa: E402
from lab_pages import lab_page  # noqa: E402
from links import Places, relinked  # noqa: E402
from pages import LANGUAGES, part_of_file, read_site, with_columns, with_headings_from  # noqa: E402

LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}


class _Read(HTMLParser):
    """What a page loads, links to and shows."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag == "img":
            self.pictures.append(found)
        address = found.get("href") if tag == "link" else found.get(LOADING.get(tag, ""))
        if address:
            self.loaded.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    build = tmp_path_factory.mktemp("build")
    command = [sys.executable, str(SITE / "make_site.py"), "--labs", "none", "--build", str(build)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return build / "site"


def sources(language: str) -> list[str]:
    described = tomllib.loads((SITE / f"{language}.toml").read_text("utf-8"))
    return [source for section in described["section"] for page in section["pages"] for source in page["from"]]


def test_every_page_of_docs_and_every_lab_has_its_place():
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")} <= set(sources("en"))
    for language in LANGUAGES:
        labs = {f"lab:{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "labs" / language).glob("[0-9]_*.py")}
        assert labs and labs <= set(sources(language))


@pytest.mark.parametrize(
    ("readme", "language", "told_elsewhere"),
    [("README.md", "en", {"From Python", "Learning"}), ("README.zh-TW.md", "zh-TW", {"學習"})],
)
def test_every_section_of_a_readme_has_its_place(readme, language, told_elsewhere):
    sections = set(re.findall(r"^## (.*)$", (ROOT / readme).read_text("utf-8"), re.M))
    placed = {source.partition("#")[2] for source in sources(language) if source.startswith(f"{readme}#")} - {""}
    assert placed <= sections and sections - placed == told_elsewhere


def test_every_page_is_in_the_navigation(site):
    for language in LANGUAGES:
        top = site if language == "en" else site / language
        linked = {link.partition("#")[0] for link in _Read(top / "index.html").links}
        for page in read_site(language).pages:
            address = page.path.replace(".md", ".html")
            assert (top / address).exists()
            assert linked & {address, f"./{address}"} or address == "index.html", address


def test_every_public_name_command_and_setting_is_in_the_reference(site):
    page = (site / "reference" / "python.html").read_text("utf-8")
    for name in fireweed.__all__:
        assert f'id="fireweed.{name}"' in page or f"fw.{name}</code>" in page, name
    assert "<b><code>settings</code></b>" in page, "arguments are told one by one"
    commands = (site / "reference" / "commands.html").read_text("utf-8")
    assert all(f"<code>fireweed {name}</code>" in commands for name in ("train", "predict", "audit", "bench"))
    settings = (site / "reference" / "settings.html").read_text("utf-8")
    tables = [table["properties"] for table in Recipe.model_json_schema()["$defs"].values()]
    told = re.findall(r'<h3 id="[^"]*">([\w.]+)<.*?</h3>\s*<p class="kind">.+?</p>\s*<p>[^<\s]', settings, re.S)
    assert sorted(name.rpartition(".")[2] for name in told) == sorted(name for table in tables for name in table)


def test_links_lead_to_what_is_there_and_nothing_comes_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for path in pages:
        read = _Read(path)
        assert not [address for address in read.loaded if re.match(r"(https?:)?//", address)], path
        assert all(picture.get("alt") for picture in read.pictures), path
        if path.name == "404.html":  # its links begin at the root of wherever the site is
            continue
        for link in [*read.links, *read.loaded]:
            if not re.match(r"[a-z]+:|#", link):
                target = (path.parent / unquote(link.partition("#")[0].partition("?")[0])).resolve()
                assert target.is_file(), f"{path.relative_to(site)} links to {link}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:|@import", style.read_text("utf-8")), style


def test_links_out_of_the_site_lead_to_the_repository_or_are_text():
    pages = {"en": {"README.md": "index.md"}, "zh-TW": {"README.zh-TW.md": "index.md"}}
    assert relinked('<pre class="output">[1](2)`</pre>', "README.md", "x.md", Places(ROOT, "en", pages, {})).count(
        "(2)"
    )
    text = "[log](setup.py), [`setup.py`](setup.py), `[no](link)`, [home](README.md), [中文](README.zh-TW.md)"
    plain = relinked(text, "README.md", "how-to/x.md", Places(ROOT, "en", pages, {}))
    assert plain == ("log (`setup.py`), `setup.py`, `[no](link)`, [home](../index.md), [中文](../zh-TW/index.html)")
    published = relinked(text, "README.md", "how-to/x.md", Places(ROOT, "en", pages, {}, "someone/fireweed"))
    assert published.startswith("[log](https://github.com/someone/fireweed/blob/main/setup.py), [`setup.py`](https:")
    with pytest.raises(ValueError, match="no such file"):
        relinked("[x](nowhere.md)", "README.md", "index.md", Places(ROOT, "en", pages, {}))


def test_a_page_is_put_together_of_sections_under_one_title():
    assert part_of_file("README.md#Nets").startswith("## Nets\n")
    assert with_headings_from("## Nets\n\n```\n# a comment\n```\n\n### More\n", 1) == (
        "# Nets\n\n```\n# a comment\n```\n\n## More\n"
    )
    with pytest.raises(ValueError, match="no section 'Nests'"):
        part_of_file("README.md#Nests")
    assert with_columns("| a | b | c |\n|---|---|---|\n| 1 | x \\| y | 3 |\n", (1, 0)) == (
        "| b | a |\n|---|---|\n| x \\| y | 1 |\n"
    )


def test_the_house_s_lists_become_lists_of_arguments():
    docstring = (
        "Do it.\n\nside, height: in pixels,\n      more than 8.\nquiet: say nothing.\n\nOrder counts: it does.\n"
    )
    assert entries_of("side, height: in pixels,\n      more than 8.") == [
        ("side", "in pixels, more than 8."), ("height", "in pixels, more than 8."),
    ]  # fmt: skip
    assert with_headings(docstring, "Args") == (
        "Do it.\n\nArgs:\n    side: in pixels, more than 8.\n    height: in pixels, more than 8.\n"
        "    quiet: say nothing.\n\nOrder counts: it does."
    )


def test_a_lab_s_outputs_are_shown_and_what_cannot_be_is_refused():
    import nbformat.v4 as made

    def page(output):
        cells = [made.new_markdown_cell("# Lab"), made.new_code_cell("print(1)", outputs=[output])]
        return lab_page(made.new_notebook(cells=cells), "As it ran.")

    assert '<pre class="output">1 &lt; 2&#10;done</pre>' in page(made.new_output("stream", text="1 < 2\n0%\rdone\n"))
    figure = '<div role="img" aria-label="a line">\n\n<svg></svg></div>'
    shown = page(made.new_output("execute_result", data={"text/html": figure, "text/plain": "[a line]"}))
    assert 'aria-label="a line"> <svg></svg></div></div>' in shown and "[a line]" not in shown
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        page(made.new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=[]))
    with pytest.raises(ValueError, match="without words"):
        page(made.new_output("display_data", data={"text/html": "<img src='x.png'>"}))
