"""A CSV list of photos -> Catalog: columns path and label, and split where the parts are given."""

import csv
import ntpath
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fireweed.data.catalog import Catalog, catalog_of
from fireweed.data.names import check_told_apart, class_name, part_named, quoted, shown
from fireweed.errors import DataError

SUFFIXES = frozenset({".csv", ".tsv"})
MAX_BYTES, MAX_ROWS = 200_000_000, 2_000_000
MAX_LINE = 4_000_000  # letters: each column takes ten bytes, or sixty
_DELIMITERS = ",;\t"
_FORM = "the first line must name the columns path and label, and may name split"


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    path: str
    label: str
    split: str


def is_photo_list(file: Path) -> bool:
    """Say whether a CSV's first line names the columns of a list of photos."""
    try:
        with open(file, "rb") as opened:
            start = opened.read(4096)
        return _columns(_first_line(_decoded(start, file, is_start=True))) is not None
    except (OSError, DataError):
        return False


def read_list(file: Path, title: str, confined_to: Path | None = None) -> Catalog:
    """Return the catalog of the photos that a CSV lists; their paths are relative to the CSV.

    Commas, semicolons and tabs are told apart by the first line; a byte-order mark, any line ends, quotes, blanks
    around values, empty lines and further columns do no harm. A photo listed twice alike counts once.
    `confined_to`: the folder of an archive, which no path may leave; absolute paths are then refused as well.

    Raises:
        DataError: too large, not UTF-8, another header (quoted), a row without path or label, an unknown split, a path
            with two labels, a path outside, or files that are missing (names the first and says how many).
    """
    try:
        with open(file, "rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise DataError(
                f"list {quoted(title)} has more than {MAX_BYTES:,} bytes; a list names photos, nothing else"
            )
        text = _decoded(data, file)
        del data
    except OSError as error:
        raise DataError(f"list {quoted(str(file))} cannot be read: {error.strerror or error}") from error
    rows = list(_rows(text, file))
    if not rows:
        raise DataError(f"list {quoted(title)} is empty: it names no photos below its first line")
    _check_splits(rows, file)
    return _catalog(rows, file, title, confined_to)


def _decoded(data: bytes, file: Path, is_start: bool = False) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "ignore")
    try:
        return data.decode("utf-8-sig", "ignore" if is_start else "strict")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"list {quoted(file.name)} is not UTF-8 text (line {line}); save it as 'CSV UTF-8'") from error


def _first_line(text: str) -> str:
    return re.split(r"[\r\n]", text, maxsplit=1)[0]


def _columns(header: str) -> tuple[str, dict[str, int]] | None:
    """Return the delimiter and where each known column is, by the first line; None if path or label is missing."""
    for delimiter in _DELIMITERS:
        try:
            names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter))]
        except (csv.Error, StopIteration):
            continue
        if names.count("path") == names.count("label") == 1 and names.count("split") <= 1:
            return delimiter, {name: names.index(name) for name in ("path", "label", "split") if name in names}
    return None


def _rows(text: str, file: Path) -> Iterator[_Row]:
    header = _first_line(text)
    if header.lower().startswith("sep="):  # some spreadsheets say so which delimiter they took
        text = text[len(header) :].lstrip("\r\n")
        header = _first_line(text)
    _check_line(len(header), 1, file)
    columns = _columns(header)
    if columns is None:
        found = f"its first line is {quoted(header[:200])}" if header.strip() else "it is empty"
        raise DataError(f"list {quoted(file.name)} names no photos and labels: {found}; {_FORM}")
    delimiter, where = columns
    if max(text.count("\n"), text.count("\r")) > MAX_ROWS:
        raise DataError(f"list {quoted(file.name)} has more than {MAX_ROWS:,} lines, which no list of photos has")
    reader = csv.reader(_lines(text, file), delimiter=delimiter, strict=True)
    try:
        next(reader)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            values = {name: cells[at].strip() if at < len(cells) else "" for name, at in where.items()}
            for name in ("path", "label"):
                if not values[name]:
                    raise DataError(f"list {quoted(file.name)} has no {name} in line {reader.line_num}; add it")
            yield _Row(reader.line_num, values["path"], values["label"], values.get("split", ""))
    except csv.Error as error:
        raise DataError(f"list {quoted(file.name)} is broken at line {reader.line_num}: {error}") from error


def _check_line(letters: int, number: int, file: Path) -> None:
    if letters > MAX_LINE:
        raise DataError(
            f"list {quoted(file.name)} has {letters:,} letters in line {number}; at most {MAX_LINE:,} are read"
        )


def _lines(text: str, file: Path) -> Iterator[str]:
    """Yield the lines with their ends; io.StringIO would take four bytes for each letter."""
    start = number = 0
    for match in re.finditer(r"\r\n|\r|\n", text):
        number += 1
        _check_line(match.end() - start, number, file)
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        _check_line(len(text) - start, number + 1, file)
        yield text[start:]


def _check_splits(rows: list[_Row], file: Path) -> None:
    for row in rows:
        if row.split and not part_named(row.split):
            raise DataError(
                f"list {quoted(file.name)} has the split {quoted(row.split)} in line {row.line}; "
                "it is train, validation or test"
            )
    blank = next((row for row in rows if not row.split), None)
    if blank is not None and any(row.split for row in rows):
        raise DataError(f"list {quoted(file.name)} has no split in line {blank.line}; give all photos one, or none")


def _catalog(rows: list[_Row], file: Path, title: str, confined_to: Path | None) -> Catalog:
    folder, folder_text = file.parent, str(file.parent)
    first_of: dict[str, _Row] = {}
    missing: list[_Row] = []
    found: list[tuple[str, str, str, str]] = []
    for row in rows:
        path = _photo_path(row, file, folder_text, confined_to)
        first = first_of.setdefault(path, row)
        if first is not row:
            _check_alike(first, row, file)
        elif os.path.isfile(path):  # noqa: PTH113  # Path's own raises for a name that is too long
            found.append((path, _name(path, folder), class_name(row.label), part_named(row.split)))
        else:
            missing.append(row)
    if missing:
        raise DataError(
            f"list {quoted(title)}: {len(missing):,} of the {len(first_of):,} photos it names do not exist, first "
            f"{quoted(missing[0].path)} in line {missing[0].line} (paths are relative to the list's own folder)"
        )
    check_told_apart({row.label for row in rows}, title)
    catalog = catalog_of(found, title)
    twice = len(rows) - len(first_of)
    return catalog.noting(f"{twice:,} lines of the list name a photo again and count once") if twice else catalog


def _photo_path(row: _Row, file: Path, folder: str, confined_to: Path | None) -> str:
    """Return the absolute path that a row means; one with backslashes, from Windows, is also tried with slashes."""
    absolute = row.path.startswith("/") or bool(ntpath.splitdrive(row.path)[0])
    if confined_to is not None and (absolute or row.path.startswith("\\")):
        raise DataError(
            f"list {quoted(file.name)} in an archive names the absolute path {quoted(row.path)}; not allowed"
        )
    if row.path.startswith("\\\\") or (os.name == "nt" and row.path.startswith("//")):
        raise DataError(
            f"list {quoted(file.name)} names {quoted(row.path)}, which is on another machine; copy it here first"
        )
    path = _joined(folder, row.path)
    if "\\" in row.path and os.sep == "/" and not os.path.isfile(path):  # noqa: PTH113
        path = _joined(folder, row.path.replace("\\", "/"))
    if confined_to is not None and not Path(os.path.normpath(path)).is_relative_to(confined_to):
        raise DataError(f"list {quoted(file.name)} names {quoted(row.path)}, which is outside its archive; not allowed")
    return path


def _joined(folder: str, path: str) -> str:
    """Return what pathlib makes of the two, for plain paths in a tenth of its time: a list may have millions."""
    is_plain = os.sep == "/" and folder not in (".", "/") and path not in ("", ".")
    is_plain = is_plain and not path.startswith(("/", "./")) and not path.endswith(("/", "/."))
    if is_plain and "//" not in path and "/./" not in path:
        return f"{folder}/{path}"
    return str(Path(folder, path))


def _check_alike(first: _Row, again: _Row, file: Path) -> None:
    for kind, one, other in (("label", first.label, again.label), ("split", first.split, again.split)):
        if one != other:
            raise DataError(
                f"list {quoted(file.name)} gives {quoted(first.path)} the {kind} {quoted(one)} in line {first.line} "
                f"and {quoted(other)} in line {again.line}; a photo has one {kind}"
            )


def _name(path: str, folder: Path) -> str:
    top = str(folder)
    return shown(path[len(top) + 1 :] if path.startswith(top + os.sep) else path).replace(os.sep, "/")
