"""A folder of photos -> Catalog: one folder per class, or train, validation and test folders of such.

The folder is scanned once; what it means is decided from the paths found, so that the rules can be read in one place.
"""

import errno
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from fireweed.data.catalog import Catalog, catalog_of, in_natural_order
from fireweed.data.decode import looks_like_photo
from fireweed.data.names import check_distinct, check_told_apart, class_name, part_named, quoted, shown
from fireweed.errors import DataError

# What systems and programs leave among people's photos; names that begin with a dot are hidden anyway.
_LEFT_BY_SYSTEMS = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information"}
)
_REMEDY = "put the photos of each class in a folder named for it, or give a CSV list with the columns path and label"


def is_hidden(name: str) -> bool:
    """Say whether a file or folder is none of the user's: hidden, or kept by the system or a program for itself."""
    return name.startswith(".") or name.lower() in _LEFT_BY_SYSTEMS


def list_folder(folder: str | Path) -> tuple[list[str], list[str]]:
    """Return the names of the visible files and of the visible folders in `folder`, both in natural order.

    Links are what they point to; a link to nothing counts as a file, and pipes and devices as nothing.
    """
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if _is_loop(entry):
                    files.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists()):
                    files.append(entry.name)
    except OSError as error:
        raise DataError(f"folder {quoted(str(folder))} cannot be read: {error.strerror or error}") from error
    return list(in_natural_order(files)), list(in_natural_order(folders))


def _is_loop(entry: "os.DirEntry[str]") -> bool:
    """Return whether a link leads back to itself, which is like one that leads to nothing."""
    try:
        entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return True
        raise
    return False


@dataclass
class _Tree:
    """What lies below a folder, as steps from it: ("rose", "2024", "1.jpg")."""

    photos: list[tuple[str, ...]] = field(default_factory=list)
    others: list[tuple[str, ...]] = field(default_factory=list)
    folders: list[tuple[str, ...]] = field(default_factory=list)

    def below(self, name: str) -> "_Tree":
        """Return what lies below one of the folders, as steps from that."""

        def inside(paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
            return [path[1:] for path in paths if path[0] == name and len(path) > 1]

        return _Tree(inside(self.photos), inside(self.others), inside(self.folders))


def read_folder(folder: Path, title: str, is_unpacked: bool = False) -> Catalog:
    """Return the catalog of a folder of class folders, or of part folders that hold class folders.

    Photos in folders below a class folder are of that class. Where there is one folder that holds only folders, such
    as the one folder of an archive, the classes are sought in there; a note says so, but of an archive just unpacked.

    Raises:
        DataError: the folder is empty, holds no photos or none in class folders, or two classes have one name.
    """
    tree = _scan(folder)
    if not tree.photos:
        raise DataError(_no_photos(folder, title))
    notes = []
    top = folder
    while (only := _only_folder(tree)) is not None:
        top, tree = top / only, tree.below(only)
        if not is_unpacked:
            notes.append(f"the classes are the folders in {quoted(only)}, the only folder with photos")
    parts = _part_folders(tree, title)
    if parts:
        catalog = _of_parts(tree, parts, folder, top, title)
    else:
        rows, more = _class_rows(tree, folder, top, title, part="")
        if not rows:
            raise DataError(f"the {len(tree.photos):,} photos in {quoted(title)} lie in no class folder; {_REMEDY}")
        catalog = catalog_of(rows, title).noting(*more)
    return catalog.noting(*notes)


def _scan(top: Path) -> _Tree:
    tree = _Tree()
    waiting: list[tuple[tuple[str, ...], frozenset[tuple[int, int]]]] = [((), frozenset())]
    while waiting:
        steps, above = waiting.pop()
        path = "/".join((str(top), *steps))
        try:
            status = Path(path).stat()
        except OSError as error:
            raise DataError(f"folder {quoted(path)} cannot be read: {error.strerror or error}") from error
        here = (status.st_dev, status.st_ino)
        if here in above:
            continue  # a link to a folder that it lies in
        files, folders = list_folder(path)
        for name in files:
            kind = tree.photos if looks_like_photo(f"{path}/{name}") else tree.others
            kind.append((*steps, name))
        tree.folders.extend((*steps, name) for name in folders)
        waiting.extend(((*steps, name), above | {here}) for name in reversed(folders))
    return tree


def _no_photos(folder: Path, title: str) -> str:
    files, folders = list_folder(folder)
    if not files and not folders:
        return f"{quoted(title)} is empty; {_REMEDY}"
    names = [*(f"{name}/" for name in folders), *files]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    found = ", ".join(shown(name) for name in names[:3])
    return f"{quoted(title)} holds no photos (JPEG, PNG, WebP, BMP, GIF), only {found}{more}; {_REMEDY}"


def _only_folder(tree: _Tree) -> str | None:
    """Return the one folder with photos, where it has none itself, only in folders: it is no class, nor a part."""
    names = {photo[0] for photo in tree.photos if len(photo) > 1}
    if len(names) != 1 or any(len(photo) == 2 for photo in tree.photos):
        return None
    (name,) = names
    return None if part_named(name) else name


def _part_folders(tree: _Tree, title: str) -> dict[str, str]:
    """Return part folder -> part, empty where the folders are classes.

    They are parts where all that hold photos are named so, or where training and another part both hold folders with
    photos; else "train" may well be a class beside "bus".
    """
    tops = in_natural_order(photo[0] for photo in tree.photos if len(photo) > 1)
    named = {name: part_named(name) for name in tops if part_named(name)}
    deep = {photo[0] for photo in tree.photos if len(photo) > 2}
    if not named:
        return {}
    if len(named) == len(tops):
        if not deep:
            names = " and ".join(quoted(name) for name in tops)
            raise DataError(f"in {quoted(title)} {names} hold photos directly, not a folder for each class; {_REMEDY}")
        return named
    parts = {part for name, part in named.items() if name in deep}
    return named if "train" in parts and len(parts) > 1 else {}


def _of_parts(tree: _Tree, parts: dict[str, str], folder: Path, top: Path, title: str) -> Catalog:
    rows: list[tuple[str, str, str, str]] = []
    notes: list[str] = []
    for name, part in parts.items():
        found, more = _class_rows(tree.below(name), folder, top / name, f"{title}/{name}", part)
        rows += found
        notes += more
    check_told_apart((photo[1] for photo in tree.photos if len(photo) > 2 and photo[0] in parts), title)
    left_out = sum(len(photo) > 1 and photo[0] not in parts for photo in tree.photos)
    if left_out:
        notes.append(f"{left_out:,} photos lie beside the folders {', '.join(parts)} and were left out")
    return catalog_of(rows, title).noting(*notes)


def _class_rows(
    tree: _Tree, folder: Path, top: Path, title: str, part: str
) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Return the rows (path, name, class, part) of the class folders in `top`, and notes on what was left out."""
    names = in_natural_order(photo[0] for photo in tree.photos if len(photo) > 1)
    strays = sum(len(photo) == 1 for photo in tree.photos)
    check_told_apart(names, title)
    check_distinct([class_name(name) for name in names], title)
    check_distinct(names, title)
    above = top.relative_to(folder).parts
    rows = []
    for photo in tree.photos:
        if len(photo) > 1:
            name = shown("/".join((*above, *photo)))
            rows.append(("/".join((str(top), *photo)), name, class_name(photo[0]), part))
    notes = []
    if strays:
        notes.append(f"{strays:,} photos in {quoted(title)} lie in no class folder and were left out")
    empty = in_natural_order(path[0] for path in tree.folders if len(path) == 1 and path[0] not in set(names))
    if empty:
        shortened = ", ".join(shown(name) for name in empty[:5]) + (", ..." if len(empty) > 5 else "")
        notes.append(f"{len(empty):,} folders in {quoted(title)} hold no photos and are no classes: {shortened}")
    return rows, notes + _on_others(path for path in tree.others if len(path) > 1)


def _on_others(paths: Iterable[tuple[str, ...]]) -> list[str]:
    suffixes = Counter(PurePath(path[-1]).suffix.lower() or "no suffix" for path in paths)
    if not suffixes:
        return []
    kinds = ", ".join(f"{shown(suffix)} {count:,}" for suffix, count in suffixes.most_common(5))
    count = suffixes.total()
    what = (
        "1 file in a class folder is no photo and was"
        if count == 1
        else (f"{count:,} files in class folders are no photos and were")
    )
    return [f"{what} left out ({kinds})"]
