"""Whatever the user calls their data -> Catalog: a folder, a list, an archive, TFRecord shards, or a named set."""

import difflib
import glob
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from fireweed.data.archive_entries import kind_of_archive
from fireweed.data.archives import unpack
from fireweed.data.catalog import Catalog
from fireweed.data.decode import looks_like_photo
from fireweed.data.downloads import download
from fireweed.data.folders import list_folder, read_folder
from fireweed.data.lists import SUFFIXES as LIST_SUFFIXES
from fireweed.data.lists import is_photo_list, read_list
from fireweed.data.names import MAX_CLASSES, check_distinct, quoted, shown
from fireweed.devices.hosts import ALONE, Hosts
from fireweed.errors import DataError
from fireweed.files import cache_folder, sha256_of

Progress = Callable[[int, int], None]

NAMED_SETS = ("drawn", "flowers")
_KINDS = "a folder, a list (.csv), an archive (.zip, .tar, .tar.gz, ...), TFRecord files, drawn or flowers"
_SHARD = re.compile(r"\.tfrec(ords?)?($|[-.])", re.IGNORECASE)


@dataclass(frozen=True)
class _Remote:
    """A set that is downloaded when it is first asked for."""

    url: str
    size: int
    sha256: str


FLOWERS = _Remote(
    "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
    228_813_984,
    "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
)


def open_data(
    data: str, *, cache: Path | None = None, progress: Progress | None = None, least_classes: int = 2,
    hosts: Hosts = ALONE,
) -> Catalog:  # fmt: skip
    """Return the catalog of what `data` names; no photo is decoded yet.

    data:     a folder with a folder for each class, or with train, validation and test folders of such; a CSV list
              (path, label, and split if given); a zip or tar of either; TFRecord files by pattern, name or folder,
              local or gs://; "drawn" or "flowers" ("./drawn" is a folder of that name).
    cache:    where archives are unpacked and downloads kept, by default the user's cache folder.
    progress: called with (done, in all) while shards are indexed, archives unpacked or files downloaded.
    hosts:    of several, each reads its share of the shards and tells the others.

    Raises:
        DataError: there is no such data, it holds no photos, fewer than `least_classes` classes, or cannot be read.
        DownloadError: the set cannot be downloaded.
    """
    data = os.fspath(data)
    catalog = _opened(data, cache, progress, hosts)
    if not catalog.photos:
        raise DataError(f"{quoted(data)} holds no photos")
    check_distinct(catalog.classes, data)
    if len(catalog.classes) > MAX_CLASSES:
        raise DataError(
            f"{quoted(data)} holds {len(catalog.classes):,} classes, at most {MAX_CLASSES:,} are told apart; is the "
            "label of each photo the name of its class?"
        )
    if len(catalog.classes) < least_classes:
        raise DataError(
            f"{quoted(data)} holds one class only, {quoted(catalog.classes[0])}; at least two classes are needed: "
            "a folder, or a label, for each"
        )
    return catalog


def _opened(data: str, cache: Path | None, progress: Progress | None, hosts: Hosts) -> Catalog:
    if data in NAMED_SETS:
        return _named(data, cache, progress)
    if "://" in data:
        return _shards(_remote_pattern(data), data, progress, hosts)
    if not data.strip():
        raise DataError(f"no data given: it is {_KINDS}")
    # os.path's functions, since Path's own raise for a user that is unknown or a name that is too long
    path = Path(os.path.expanduser(data)).absolute()  # noqa: PTH111
    if os.path.isdir(path):  # noqa: PTH112
        return _folder(path, data, progress, hosts)
    if os.path.exists(path):  # noqa: PTH110
        return _file(path, data, cache, progress, hosts)
    if glob.has_magic(data):
        return _pattern(str(path), data, progress, hosts)
    raise DataError(_nothing_there(path, data))


def _named(name: str, cache: Path | None, progress: Progress | None) -> Catalog:
    if name == "drawn":
        from fireweed.data.drawn import drawn_folder

        folder = drawn_folder()
    else:
        folder = _downloaded(FLOWERS, cache, progress)
    catalog = read_folder(folder, name)
    notes = (f"{name} is the set of that name; the folder {name} here is ./{name}",) if Path(name).is_dir() else ()
    return Catalog(catalog.classes, catalog.photos, name, notes)


def _downloaded(remote: _Remote, cache: Path | None, progress: Progress | None) -> Path:
    folder = _unpacked_folder(remote.sha256, cache)
    if not folder.is_dir():
        archive = (cache or cache_folder()) / "downloads" / remote.url.rsplit("/", 1)[-1]
        download(remote.url, archive, remote.sha256, remote.size, progress)
        unpack(archive, folder, progress=progress)
        archive.unlink(missing_ok=True)
    return folder


def _unpacked_folder(sha256: str, cache: Path | None) -> Path:
    return (cache or cache_folder()) / "unpacked" / sha256


def _remote_pattern(data: str) -> str:
    if not data.startswith("gs://"):
        raise DataError(f"{quoted(data)} is not read over the network; fetch it and give the file or folder")
    last = PurePosixPath(data).name
    if _SHARD.search(last):
        return data
    if PurePosixPath(last).suffix or glob.has_magic(last):
        raise DataError(f"{quoted(data)} names no TFRecord files (.tfrec), all that is read from gs://")
    return data.rstrip("/") + "/*.tfrec*"


def _shards(pattern: str, data: str, progress: Progress | None, hosts: Hosts) -> Catalog:
    from fireweed.data.records import index_shards

    return replace(index_shards(pattern, progress, hosts), title=data)


def _folder(path: Path, data: str, progress: Progress | None, hosts: Hosts) -> Catalog:
    files, folders = list_folder(path)
    if (
        any(_SHARD.search(name) for name in files)
        and not folders
        and not any(looks_like_photo(path / name) for name in files)
    ):
        return _shards(f"{glob.escape(str(path))}/*.tfrec*", data, progress, hosts)
    try:
        return read_folder(path, data)
    except DataError as error:
        lists = [name for name in files if Path(name).suffix.lower() in LIST_SUFFIXES and is_photo_list(path / name)]
        if not lists:
            raise
        raise DataError(
            f"{error}; the list {quoted(lists[0])} in it can be given as {quoted(f'{data}/{lists[0]}')}"
        ) from error


def _pattern(pattern: str, data: str, progress: Progress | None, hosts: Hosts) -> Catalog:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if not found:
        raise DataError(f"no files match {quoted(data)}; there is nothing to read")
    others = [name for name in found if not _SHARD.search(Path(name).name)]
    if others:
        raise DataError(f"{quoted(data)} matches {quoted(others[0])}; a pattern is for TFRecord files (.tfrec) only")
    return _shards(pattern, data, progress, hosts)


def _file(path: Path, data: str, cache: Path | None, progress: Progress | None, hosts: Hosts) -> Catalog:
    if not path.is_file():
        raise DataError(f"{quoted(data)} is a pipe or device; give {_KINDS}")
    if _SHARD.search(path.name):
        return _shards(glob.escape(str(path)), data, progress, hosts)
    if path.suffix.lower() in LIST_SUFFIXES:
        return read_list(path, data)
    try:
        kind = kind_of_archive(path)
        if kind:
            folder = unpack(path, _unpacked_folder(sha256_of(path), cache), progress=progress)
            return _unpacked(folder, data)
    except OSError as error:
        raise DataError(f"{quoted(data)} cannot be read: {error.strerror or error}") from error
    if looks_like_photo(path):
        raise DataError(f"{quoted(data)} is a single photo; give the folder that holds a folder for each class")
    raise DataError(f"{quoted(data)} is none of what is read; give {_KINDS}")


def _unpacked(folder: Path, title: str) -> Catalog:
    """Return the catalog of an unpacked archive: of the one list that lies at its top, else of its folders."""
    top = folder
    while True:
        files, folders = list_folder(top)
        lists = [name for name in files if Path(name).suffix.lower() in LIST_SUFFIXES and is_photo_list(top / name)]
        if len(lists) > 1:
            names = ", ".join(shown(name) for name in lists)
            raise DataError(f"archive {quoted(title)} holds several lists of photos ({names}); unpack it and give one")
        if lists:
            return read_list(top / lists[0], title, confined_to=folder)
        if len(folders) != 1 or any(looks_like_photo(top / name) for name in files):
            return read_folder(folder, title, is_unpacked=True)
        top = top / folders[0]


def _nothing_there(path: Path, data: str) -> str:
    message = f"no such file or folder: {quoted(data)}"
    parent = path.parent
    if not os.path.isdir(parent):  # noqa: PTH112
        return f"{message}; {quoted(str(parent))} is not there either"
    names = [name for group in list_folder(parent) for name in group]
    close = difflib.get_close_matches(path.name, [*names, *NAMED_SETS], n=1, cutoff=0.6)
    return f"{message}; did you mean {quoted(close[0])}?" if close else f"{message}; the data is {_KINDS}"
