"""Write photos as TFRecord shards that the codelab's notebooks read too, and that keep what Fireweed knows of them."""

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fireweed.data.catalog import PARTS, Catalog, Photo, Unreadable
from fireweed.data.dealing import ShardPlan, deal, lanes_of
from fireweed.data.decode import Fit, decode_square
from fireweed.data.manifest import MANIFEST, ListedShard, manifest_text
from fireweed.data.parallel import in_order
from fireweed.data.records import read_bytes
from fireweed.devices.backends import tensorflow
from fireweed.errors import DataError, FireweedError, PhotoError
from fireweed.files import explained, sha256_of, write_text

Progress = Callable[[int, int], None]

_PHOTOS_AT_ONCE = 16
_LONGEST_NAME = 60


@dataclass(frozen=True)
class ShardSummary:
    """What was written.

    unreadable: photos that could be read before and could not any more.
    notes:      what the user should know.
    """

    folder: Path
    side_px: int
    shards: tuple[ListedShard, ...]
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def photos(self) -> int:
        return sum(shard.records for shard in self.shards)

    def __str__(self) -> str:
        parts = [(name, sum(shard.part == name for shard in self.shards)) for name in PARTS]
        dealt = ", ".join(f"{shards} {name}" for name, shards in parts if shards)
        lines = [
            f"wrote {self.photos:,} photos of {self.side_px} x {self.side_px} pixels as {len(self.shards)} shards"
            f"{f' ({dealt})' if dealt else ''} in {self.folder}"
        ]
        if self.unreadable:
            first = self.unreadable[0]
            lines.append(
                f"{len(self.unreadable):,} photos could not be read any more and were left out; "
                f"the first: {first.name}: {first.reason}"
            )
        return "\n".join([*lines, *self.notes])


def check_out_folder(out: Path) -> None:
    """Refuse a folder for shards that holds anything already, dot files aside.

    Raises:
        DataError: it does, or is a file, or an address in a bucket.
    """
    if out.parts and re.fullmatch(r"[a-z0-9]{2,}:", out.parts[0]):  # Path makes gs:/ of gs://
        raise DataError(f"shards are written to a folder here, not to {out}; copy them from there to the bucket")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; name a new folder for the shards")
    if out.is_dir():
        held = sorted(entry.name for entry in out.iterdir() if not entry.name.startswith("."))
        if held:
            raise DataError(f"{out} already holds '{held[0]}'; name a new or empty folder for the shards")


def write_shards(
    catalog: Catalog,
    out: Path,
    side_px: int,
    count: int,
    fit: Fit = "crop",
    quality: int = 95,
    progress: Progress | None = None,
) -> ShardSummary:
    """Write the photos of a surveyed catalog as shards of JPEG squares into a new folder, with a manifest.

    The folder is written aside and renamed: it is there whole or not at all. See `dealing.deal` for which photo lies
    where. A photo's key is written along, so that the split and the twins of the original photos hold for the shards.

    Args:
        side_px: side of the squares.
        count: shards; fewer are written where there are fewer photos.
        quality: of the JPEGs, 1 to 100; colours are stored at full resolution.
        progress: told photos.

    Raises:
        DataError: `out` is not a new or empty folder; there are fewer shards than parts; no photo can be read.
        FireweedError: the disk is full, or `out` cannot be written.
    """
    check_out_folder(out)
    if not all(photo.key for photo in catalog.photos):
        raise ValueError("shards are written of photos with keys; survey the catalog first")
    plans = deal(catalog, count)
    out = out.absolute()
    new_folders = [folder for folder in (out.parent, *out.parent.parents) if not folder.exists()]
    aside = out.with_name(f".{secrets.token_hex(4)}.{out.name}")
    try:
        aside.mkdir(parents=True)
        shards, unreadable = _write_all(catalog, plans, aside, side_px, fit, quality, progress)
        lanes = {plan.part: lanes_of(sum(len(p.photos) for p in plans if p.part == plan.part)) for plan in plans}
        write_text(aside / MANIFEST, manifest_text(catalog.classes, side_px, fit, quality, lanes, shards))
        _publish(aside, out)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        with contextlib.suppress(OSError):
            for folder in new_folders:
                folder.rmdir()
        if isinstance(error, OSError):
            raise explained(error, out) from error
        raise
    notes = () if len(shards) == count else (f"{count} shards were asked for; {len(shards)} can be filled",)
    return ShardSummary(out, side_px, tuple(shards), unreadable, notes)


def shard_name(title: str) -> str:
    """Return what shards of this data are called: a word of its name without what means something in a shard's name."""
    last = re.split(r"[/\\]", title.rstrip("/\\"))[-1]
    word = re.sub(r"\.(zip|tar|tgz|tar\.\w+|csv|tfrec\w*)$", "", last, flags=re.IGNORECASE)
    word = re.sub(r"\W+", "_", word).strip("_")[:_LONGEST_NAME]
    return f"{word}_" if word[-1:].isdigit() else word or "photos"


def _write_all(
    catalog: Catalog,
    plans: list[ShardPlan],
    folder: Path,
    side_px: int,
    fit: Fit,
    quality: int,
    progress: Progress | None,
) -> tuple[list[ListedShard], tuple[Unreadable, ...]]:
    """Write the planned shards in order, while a pool of threads decodes and encodes ahead, across their borders."""

    def examples(photos: list[Photo]) -> list[bytes | Unreadable]:
        return [_example(photo, catalog.classes, side_px, fit, quality) for photo in photos]

    results = in_order(examples, (chunk for plan in plans for chunk in _chunks(catalog, plan)))
    shards: list[ListedShard] = []
    unreadable: list[Unreadable] = []
    done = 0
    with contextlib.closing(results):
        for plan in plans:
            counts: dict[str, int] = {}
            with _record_writer(folder / "under-way") as write:
                for photos in _chunks(catalog, plan):
                    for photo, example in zip(photos, next(results), strict=True):
                        if isinstance(example, Unreadable):
                            unreadable.append(example)
                            continue
                        write(example)
                        name = catalog.classes[photo.label]
                        counts[name] = counts.get(name, 0) + 1
                    done += len(photos)
                    if progress:
                        progress(done, len(catalog))
            shards += _closed(folder, plan, counts, shard_name(catalog.title), len(shards), len(plans))
    if not shards:
        first = unreadable[0]
        raise DataError(
            f"none of the {done:,} photos in {catalog.title} can be read; the first: {first.name}: {first.reason}"
        )
    return shards, tuple(unreadable)


def _chunks(catalog: Catalog, plan: ShardPlan) -> Iterator[list[Photo]]:
    photos = (catalog.photos[i] for i in plan.photos)
    while chunk := list(islice(photos, _PHOTOS_AT_ONCE)):
        yield chunk


def _closed(
    folder: Path, plan: ShardPlan, counts: dict[str, int], name: str, number: int, planned: int
) -> list[ListedShard]:
    """Give the shard just written its name, which tells its records; leave none where no photo of it could be read."""
    written = folder / "under-way"
    records = sum(counts.values())
    if not records:
        written.unlink()
        return []
    digits = max(2, len(str(planned - 1)))
    place = folder / f"{name}{number:0{digits}d}-{records}.tfrec"
    with open(written, "rb+") as file:
        os.fsync(file.fileno())
    written.rename(place)
    return [ListedShard(place.name, records, sha256_of(place), plan.part, plan.lanes, counts)]


def _example(photo: Photo, classes: tuple[str, ...], side_px: int, fit: Fit, quality: int) -> bytes | Unreadable:
    """Return a photo as the codelab's record, a serialized tf.train.Example, with its key."""
    import cv2

    tf = tensorflow()

    try:
        square = decode_square(read_bytes(photo), side_px, fit)
    except PhotoError as error:
        return Unreadable(photo.name or photo.path, str(error))
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    encoded = cv2.imencode(".jpg", cv2.cvtColor(square, cv2.COLOR_RGB2BGR), settings)[1].tobytes()
    example = tf.train.Example()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(encoded)
    feature["class"].int64_list.value.append(photo.label)
    feature["label"].bytes_list.value.append(classes[photo.label].encode())
    feature["size"].int64_list.value.extend((side_px, side_px))  # height, width
    feature["one_hot_class"].float_list.value.extend(float(label == photo.label) for label in range(len(classes)))
    feature["key"].bytes_list.value.append(photo.key.encode())
    return example.SerializeToString()


@contextlib.contextmanager
def _record_writer(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Open a file of records; give the function that adds one; turn TensorFlow's errors into those of files."""
    tf = tensorflow()

    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            yield writer.write
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    except tf.errors.OpError as error:
        raise FireweedError(f"{path.parent} could not be written: {error.message}") from error


def _publish(aside: Path, out: Path) -> None:
    """Rename the finished folder, or move what it holds into the empty one that is there, the manifest last."""
    if not out.exists():
        aside.rename(out)
        return
    for path in sorted(aside.iterdir(), key=lambda path: (path.name == MANIFEST, path.name)):
        path.rename(out / path.name)
    aside.rmdir()
