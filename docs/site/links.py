"""Links between the repository's files, made links between the site's pages."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

UNPUBLISHED = "YOUR_ACCOUNT"  # stands in the labs until somebody says where they publish
# Code and a lab's outputs first, so that what looks like a link in them is left alone; a label may hold a picture.
_FOUND = re.compile(
    r"(?P<code>^(?P<fence>```+).*?^(?P=fence)|(?P<ticks>`+)[^`]+(?P=ticks)|^<\w+ class=\"output\">.*?$)"
    r"|(?P<picture>!?)\[(?P<label>(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\((?P<target>[^)\s]+)\)",
    re.M | re.S,
)
_PICTURE = re.compile(r"!\[([^\]]*)\]\(https?://[^)]*\)")


@dataclass(frozen=True)
class Places:
    """Where the repository's files are in the sites.

    root:       the repository.
    language:   of the site that is being made; the English one is at the top, others in folders of their own.
    pages:      language -> file of the repository -> page.
    titles:     page -> its title, of this language's site.
    repository: OWNER/NAME on GitHub, or "".
    pictures:   what pages show: file of the repository -> its place in this site.
    """

    root: Path
    language: str
    pages: dict[str, dict[str, str]]
    titles: dict[str, str]
    repository: str = ""
    pictures: dict[str, str] = field(default_factory=dict)


def relinked(text: str, source: str, page: str, places: Places) -> str:
    """Return a page's text with its links leading where the files are in the site.

    source: the file of the repository that the text is from; page: where it goes in the site.

    Raises:
        ValueError: a link leads to nothing.
    """

    def replace(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        label, target = found["label"], found["target"]
        if found["picture"]:
            return f"![{label}]({_picture(target, source, page, places)})"
        if UNPUBLISHED in target:
            return ""
        if picture := _PICTURE.fullmatch(label):  # a badge: its picture is on another host, its words are not
            return f"[{picture[1]}]({target}){{ .badge }}"
        return _link(label, target, source, page, places)

    return _FOUND.sub(replace, text)


def _link(label: str, target: str, source: str, page: str, places: Places) -> str:
    if re.match(r"https?:|mailto:|#", target):
        return f"[{label}]({target})"
    target, _, anchor = target.partition("#")
    anchor = f"#{anchor}" if anchor else ""
    scheme, _, rest = target.partition(":")
    if rest:
        if scheme == "beside":  # a file that is put there, not a page
            return f"[{label}]({rest})"
        language = {"page": places.language}.get(scheme, scheme)
        return f"[{label}]({_address(rest, language, page, places.language)}{anchor})"
    file = _file(target, source, places)
    for language in (places.language, *places.pages):
        for name in (file, f"{file}/README.md"):
            if found := places.pages[language].get(name):
                title = places.titles.get(found, label) if _is_path(label, target) else label
                return f"[{title}]({_address(found, language, page, places.language)}{anchor})"
    if places.repository:
        kind = "tree" if (places.root / file).is_dir() else "blob"
        return f"[{label}](https://github.com/{places.repository}/{kind}/main/{file}{anchor})"
    bare = label.strip("`")
    return f"`{file}`" if _is_path(bare, target) else f"{label} (`{file}`)"


def _picture(target: str, source: str, page: str, places: Places) -> str:
    if target.startswith(("http:", "https:")):
        raise ValueError(f"{source} shows {target}, which is on another host")
    file = _file(target, source, places)
    places.pictures[file] = f"images/{Path(file).name}"
    return os.path.relpath(places.pictures[file], Path(page).parent)


def _file(target: str, source: str, places: Places) -> str:
    path = (places.root / source).parent / target
    if not path.exists():
        raise ValueError(f"{source} links to {target}, and there is no such file")
    return path.resolve().relative_to(places.root.resolve()).as_posix()


def _is_path(label: str, target: str) -> bool:
    return label.strip("`") in (target, target.rstrip("/"), Path(target).name)


def _address(to: str, language: str, page: str, own_language: str) -> str:
    """Return the way from a page to another; to one in another language's site, the way to its finished file."""
    if language == own_language:
        return os.path.relpath(to, Path(page).parent)
    way = os.path.relpath(f"{place_of(language)}/{to}", Path(place_of(own_language)) / Path(page).parent)
    return str(Path(way).with_suffix(".html"))


def place_of(language: str) -> str:
    """Return where a language's site is: English at the top, the others in folders of their own."""
    return "." if language == "en" else language
