"""From what the user names as data to photos in parts, with all that can be said before training."""

import dataclasses
import hashlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fireweed.data.audit import remarks_on
from fireweed.data.catalog import PARTS, Catalog
from fireweed.data.jpegs import JpegSquares
from fireweed.data.sources import NAMED_SETS, open_data
from fireweed.data.split import split, thinned
from fireweed.data.survey import Survey, survey
from fireweed.data.twins import group_twins
from fireweed.devices.hosts import ALONE, Hosts
from fireweed.errors import DataError
from fireweed.evaluation.audit_rows import PROBLEMS
from fireweed.files import absolute
from fireweed.reporting import Reporter
from fireweed.settings import DataSettings, Phase
from fireweed.text import counted, readable, some_of

SHOWN_UNREADABLE = 5
FEW_TO_TRAIN, FEW_TO_VALIDATE = 5, 30  # photos of a class, and of the validation part
MUCH_LARGER = 2  # times the photos' own side, from which on a side is far larger
SIDE_STEP = 16  # of the sides that are named, in pixels
MUCH_CUT_OFF = 0.4  # of a photo's area; the middle square of a 3:2 photo leaves out a third


@dataclasses.dataclass(frozen=True)
class PreparedData:
    """Photos that can be read, each with key and part.

    groups: the twin group of each, int64 of shape (photos,).
    sizes:  height and width in pixels of all photos found, of shape (photos found, 2).
    """

    catalog: Catalog
    groups: np.ndarray
    sizes: np.ndarray


def prepare_data(
    data: str, settings: DataSettings, reporter: Reporter, squares: JpegSquares | None = None, hosts: Hosts = ALONE
) -> PreparedData:
    """Open the data, read every photo once, find twins, split, and say what was found.

    squares: given the square of each photo, in the order of the resulting catalog.
    hosts:   of several, each reads its share; host 0 looks again at photos that may be twins, and all go by its word.

    Raises:
        DataError: there are no such data, or nothing in them can be read.
        DeviceError: the hosts see other photos.
    """
    address = data if data in NAMED_SETS else os.path.expanduser(data)  # noqa: PTH111
    with reporter.counting("opening") as progress:
        opened = open_data(address, progress=progress, hosts=hosts)
    if hosts.count > 1:
        hosts.require_alike({"set of photos": _listing(opened)})
    with reporter.counting("reading photos") as progress:
        found = survey(opened, progress=progress, squares=squares, hosts=hosts)
    groups = np.array(hosts.settle(lambda: group_twins(found).tolist()), np.int64)
    catalog = split(found.catalog, groups, settings.validation, settings.test)
    used, groups = thinned(catalog, groups, settings.photos_per_class)
    describe(used, groups, reporter)
    if remarks := remarks_line(found):
        reporter.say(remarks)
    if remarks or used.unreadable or len(np.unique(groups)) < len(used):
        reporter.say(f"fireweed audit {shlex.quote(readable(used.title))} shows them")
    if len(used) < len(catalog):
        reporter.say(
            f"as asked, {len(used.part('train')):,} of {counted(len(catalog.part('train')), 'photo')} to train on are "
            f"used (data.photos_per_class = {settings.photos_per_class})"
        )
    return PreparedData(used, groups, found.sizes)


def check_trainable(catalog: Catalog, reporter: Reporter) -> None:
    """Refuse photos that no training can be made of; warn of classes that cannot be learned.

    Raises:
        DataError: the training or the validation part is empty.
    """
    if not len(catalog.part("train")):
        raise DataError(f"{catalog.title} has no training photos; give a train folder, or photos without parts")
    if not len(catalog.part("validation")):
        raise DataError(
            f"{catalog.title} leaves no photo to validate on: every class has one photo, or only equal ones; add photos"
        )
    counts = catalog.part("train").counts()
    without = [readable(name) for name, count in zip(catalog.classes, counts, strict=True) if not count]
    if without:
        reporter.warn(f"no training photos of {some_of(without)}: the net cannot learn {len(without)} of the classes")
    for note in unmeasured_notes(catalog):
        reporter.warn(note)
    few = [readable(name) for name, count in zip(catalog.classes, counts, strict=True) if 0 < count < FEW_TO_TRAIN]
    if few:
        reporter.warn(f"fewer than {FEW_TO_TRAIN} training photos of {some_of(few)}: expect mistakes; add photos")
    validated = len(catalog.part("validation"))
    if validated < FEW_TO_VALIDATE:
        reporter.warn(f"{counted(validated, 'validation photo')} only: the accuracy will be a rough figure; add photos")


def unmeasured_notes(catalog: Catalog) -> list[str]:
    """Return sentences on the classes of which the validation or the test part, where there is one, has no photo."""
    notes = []
    for part in ("validation", "test"):
        photos = catalog.part(part)
        without = [readable(name) for name, count in zip(catalog.classes, photos.counts(), strict=True) if not count]
        if len(photos) and without:
            names = some_of(without) + (" classes" if len(without) > 5 else "")
            are = "they are" if len(without) > 1 else "it is"
            notes.append(f"no {part} photos of {names}: no {part} figure says how well {are} told; add photos")
    return notes


def describe(catalog: Catalog, groups: np.ndarray, reporter: Reporter) -> None:
    """Say how many photos, classes and parts there are, and what was left out."""
    parts = ", ".join(f"{len(catalog.part(part)):,} {part}" for part in PARTS if len(catalog.part(part)))
    reporter.say(f"{catalog.title}: {len(catalog):,} photos, {len(catalog.classes)} classes ({parts})")
    twins = len(catalog) - len(np.unique(groups))
    if twins:
        reporter.say(f"{counted(twins, 'photo')} {'is' if twins == 1 else 'are'} equal or nearly equal to another one")
    disputed = _disputed(catalog, groups)
    if disputed:
        reporter.warn(
            f"{len(disputed)} of them {'is' if len(disputed) == 1 else 'are'} in another class than the twin, such as "
            f"{disputed[0]}; look at them"
        )
    if catalog.unreadable:
        reporter.warn(f"{counted(len(catalog.unreadable), 'photo')} cannot be read, left out:")
        for photo in catalog.unreadable[:SHOWN_UNREADABLE]:
            reporter.say(f"  {photo.name}: {photo.reason}")
        if len(catalog.unreadable) > SHOWN_UNREADABLE:
            reporter.say(f"  and {len(catalog.unreadable) - SHOWN_UNREADABLE} more, listed in the report")
    for note in catalog.notes:
        reporter.warn(note)


def remarks_line(found: Survey) -> str:
    """Return a line on the kinds of photos that are worth a look, each with how many and one of them; else nothing."""
    kinds = [(PROBLEMS[kind].title, remarks) for kind, remarks in remarks_on(found).items() if remarks]
    if not kinds:
        return ""
    photos = found.catalog.photos
    told = (f"{len(remarks):,} {title} ({photos[remarks[0].photo].name})" for title, remarks in kinds)
    return "worth a look: " + ", ".join(told)


def cut_off_note(sizes: np.ndarray) -> str:
    """Return a sentence where the middle square leaves out much of most photos; else nothing.

    sizes: height and width in pixels, of shape (photos, 2); those without an area are left out.
    """
    sizes = _with_area(sizes)
    if not len(sizes):
        return ""
    cut_off = float(np.median(1 - sizes.min(axis=1) / sizes.max(axis=1)))
    if cut_off <= MUCH_CUT_OFF:
        return ""
    return (
        f"only the middle square of each photo is used, without {cut_off:.0%} of most; "
        "--set data.fit=pad or squash keeps all of it"
    )


def enlarged_note(sizes: np.ndarray, phases: Sequence[Phase], least_side: int, is_pretrained: bool) -> str:
    """Return a sentence where the net is trained at a side far larger than most photos; else nothing.

    sizes:      height and width in pixels, of shape (photos, 2); those without an area are left out.
    phases:     of the training.
    least_side: the smallest that the net can have.
    """
    sizes = _with_area(sizes)
    if not len(sizes):
        return ""
    side, usual = max(phase.side for phase in phases), int(np.median(sizes.min(axis=1)))
    enough = max(least_side, -(-usual // SIDE_STEP) * SIDE_STEP)
    if side < MUCH_LARGER * usual or side < MUCH_LARGER * enough:
        return ""
    share = sum(p.epochs * p.side**2 for p in phases) / (sum(p.epochs for p in phases) * enough**2)
    gain = "; a pretrained net may be somewhat better at large sides all the same" if is_pretrained else ""
    return (
        f"most photos have {usual} px on their short side, and are enlarged to {side} px: --side {enough} shows as "
        f"much and takes about 1/{round(share)} of the time{gain}"
    )


def _with_area(sizes: np.ndarray) -> np.ndarray:
    return sizes[sizes.min(axis=1) > 0]


def _disputed(catalog: Catalog, groups: np.ndarray) -> list[str]:
    """Return the photos whose class is not that of the first photo of their twin group."""
    first: dict[int, int] = {}
    pairs = zip(catalog.photos, groups.tolist(), strict=True)
    return [photo.name for photo, group in pairs if first.setdefault(group, photo.label) != photo.label]


def _listing(catalog: Catalog) -> str:
    """Return what hosts can tell of photos that they have not read, names and sizes: a digest, equal for equal sets."""
    digest = hashlib.sha256("\0".join(catalog.classes).encode())
    for photo in catalog.photos:
        size = photo.length if photo.offset >= 0 else _file_bytes(photo.path)
        digest.update(f"{photo.name} {photo.label} {photo.part} {photo.offset} {size}\n".encode(errors="replace"))
    return digest.hexdigest()


def _file_bytes(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return -1  # it is one of those that cannot be read


def data_address(data: str) -> str:
    """Return the data's name in a form that holds from any folder."""
    if data in NAMED_SETS or "://" in data:
        return data
    return str(absolute(data))
