"""Make the documentation site of docs/, the READMEs, the code and the labs as run; `make docs` calls it.

The pages are gathered in build/docs/LANGUAGE and made HTML in build/site by Zensical: English at the top, the others in
folders of their own. Labs are executed once and kept in build/docs/labs.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli_w

import reference
from lab_pages import lab_page
from labs_as_run import FORMS, lab_as_run
from links import UNPUBLISHED, Places, place_of, relinked
from pages import HERE, LANGUAGES, ROOT, Page, Site, part_of_file, read_site, title_of, with_columns, with_headings_from

ASSETS = ("site.css", "mark.svg", "iframe-worker.js")
NAMES = {"en": "English", "zh-TW": "繁體中文"}


def make_site(build: Path, form: str, repository: str = "") -> Path:
    """Make the site of all languages below `build`, in strict mode, and return its folder.

    form:       of the labs, see `lab_as_run`.
    repository: OWNER/NAME on GitHub, where links to files outside the site lead; "" for nowhere.
    """
    sites = [read_site(language) for language in LANGUAGES]
    files = {site.language: site.page_of_file() for site in sites}
    target = build / "site"
    shutil.rmtree(target, ignore_errors=True)
    for site in sites:
        folder = build / "docs" / site.language
        shutil.rmtree(folder, ignore_errors=True)
        texts = {page.path: _texts(page, site, form, build / "docs" / "labs", repository) for page in site.pages}
        titles = {page.path: page.title or title_of(texts[page.path][0][1]) for page in site.pages}
        places = Places(ROOT, site.language, files, titles, repository)
        for page in site.pages:
            _write(folder / "pages" / page.path, _joined(page, texts[page.path], places))
        _copy(places, site, folder / "pages")
        _write(folder / "zensical.toml", tomli_w.dumps(_configuration(site)))
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", "zensical.toml"]
        subprocess.run(command, cwd=folder, check=True)
        shutil.copytree(folder / "html", target / place_of(site.language), dirs_exist_ok=True)
    return target


def published_at() -> str:
    """Return OWNER/NAME as the labs have it, "" where nobody has said it yet; see `make labs`."""
    found = re.search(r"com/github/([\w.-]+/[\w.-]+)/blob", (ROOT / "labs" / "en" / "0_pixels.py").read_text("utf-8"))
    return found[1] if found and UNPUBLISHED not in found[1] else ""


def _texts(page: Page, site: Site, form: str, kept: Path, repository: str) -> list[tuple[str, str]]:
    """Return the texts that a page is put together from, each with the file that its links start from."""
    texts = []
    for source in page.sources:
        kind, _, rest = source.rpartition(":")
        if kind == "code":
            texts.append(("docs/site/reference.py", reference.PAGES[rest]()))
        elif kind == "lab":
            words = site.words
            note = words["lab_note_none"] if form == "none" else words["lab_note"]
            note = note.replace("{quick}", words["lab_note_quick"] if form == "quick" else "")
            note = note.replace("({notebook})", f"(beside:{Path(rest).stem}.ipynb)")
            text = lab_page(lab_as_run(ROOT / rest, form, kept), note)
            texts.append((rest, text.replace(f"{UNPUBLISHED}/fireweed", repository) if repository else text))
        else:
            texts.append((source.partition("#")[0], part_of_file(source)))
    return texts


def _joined(page: Page, texts: list[tuple[str, str]], places: Places) -> str:
    parts = [
        relinked(with_headings_from(text, 2 if number else 1), source, page.path, places)
        for number, (source, text) in enumerate(texts)
    ]
    text = with_columns("\n\n".join(parts), page.columns)
    return f"---\ntitle: {page.title}\n---\n\n{text}" if page.title else text


def _copy(places: Places, site: Site, folder: Path) -> None:
    """Put beside the pages what they show and what can be fetched from them."""
    files = places.pictures | {f"docs/site/{name}": f"assets/{name}" for name in ASSETS}
    for page in site.pages:
        if page.sources[0].startswith("lab:"):
            notebook = Path(page.sources[0].removeprefix("lab:")).with_suffix(".ipynb")
            files[str(notebook)] = str(Path(page.path).with_name(notebook.name))
    for file, place in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, folder / place)


def _configuration(site: Site) -> dict[str, Any]:
    """Return Zensical's configuration of one language's site."""
    configuration = tomllib.loads((HERE / "zensical.toml").read_text("utf-8"))
    project = configuration["project"]
    project |= {
        "site_name": site.words["name"],
        "site_description": site.words["description"],
        "docs_dir": "pages",
        "site_dir": "html",
        "nav": list(_navigation(site)),
    }
    project["theme"]["language"] = site.language
    for colours, words in zip(project["theme"]["palette"], site.words["colours"], strict=True):
        colours |= {"primary": "custom", "accent": "custom"}
        colours["toggle"]["name"] = words
    project["extra"]["alternate"] = [_alternate(language, site.language) for language in LANGUAGES]
    project["plugins"]["mkdocstrings"] = {
        "handlers": {"python": {"paths": [str(ROOT / "src")], "options": _python_options()}}
    }
    return configuration


def _navigation(site: Site) -> Iterable[Any]:
    for title, pages in site.sections:
        items = [{page.title: page.path} if page.title else page.path for page in pages]
        if title:
            yield {title: items}
        else:
            yield from items


def _alternate(language: str, own: str) -> dict[str, str]:
    way = os.path.relpath(place_of(language), place_of(own))
    return {"name": NAMES[language], "link": f"{way}/index.html", "lang": language}


def _python_options() -> dict[str, Any]:
    return {
        "extensions": [str(HERE / "house_docstrings.py")],
        "heading_level": 2,
        "show_root_heading": True,
        "show_root_full_path": False,
        "show_source": False,
        "show_bases": False,
        "show_signature_annotations": True,
        "separate_signature": True,
        "docstring_section_style": "list",
        "members_order": "source",
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def main() -> None:
    """Make the site as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labs", choices=FORMS, default="quick", help="how the labs are executed")
    parser.add_argument("--repository", help="where the project is published on GitHub: OWNER/fireweed")
    parser.add_argument("--build", type=Path, default=Path("build"), help="the folder in which it is made")
    arguments = parser.parse_args()
    site = make_site(arguments.build.resolve(), arguments.labs, arguments.repository or published_at())
    print(f"open {arguments.build / site.name / 'index.html'}")


if __name__ == "__main__":
    main()
