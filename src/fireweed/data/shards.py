"""Write photos as TFRecord shards that the codelab's notebooks read too, and that keep what Fireweed knows of them."""

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fireweed.data.catalog import PARTS, Catalog, Unreadable
from fireweed.data.dealing import ShardPlan, deal, lanes_of
from fireweed.data.decode import Fit, read_photo
from fireweed.data.jpegs import JpegSquares
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
    squares: JpegSquares | None = None,
) -> ShardSummary:
    """Write the photos of a surveyed catalog as shards of JPEG squares into a new folder, with a manifest.

    The folder is written aside and renamed: it is there whole or not at all. See `dealing.deal` for which photo lies
    where. A photo's key is written along, so that the split and the twins of the original photos hold for the shards.

    Args:
        side_px: side of the squares.
        count: shards; fewer are written where there are fewer photos.
        quality: of the JPEGs, 1 to 100; colours are stored at full resolution.
        progress: told photos.
        squares: those that the survey made, in the order of the catalog; without them the photos are decoded again.

    Raises:
        DataError: `out` is not a new or empty folder; there are fewer shards than parts; no photo can be read.
        FireweedError: the disk is full, or `out` cannot be written.
    """
    check_out_folder(out)
    if not all(photo.key for photo in catalog.photos):
        raise ValueError("shards are written of photos with keys; survey the catalog first")
    jpeg_of = _decoded(catalog, JpegSquares(side_px, fit, quality, out)) if squares is None else squares.__getitem__
    if squares is not None and len(squares) != len(catalog):
        raise ValueError(f"{len(squares)} squares for {len(catalog)} photos; survey the catalog with them first")
    if squares is not None and (squares.side_px, squares.fit, squares.quality) != (side_px, fit, quality):
        raise ValueError("the squares were made with another side, fit or quality")
    plans = deal(catalog, count)
    out = out.absolute()
    new_folders = [folder for folder in (out.parent, *out.parent.parents) if not folder.exists()]
    aside = out.with_name(f".{secrets.token_hex(4)}.{out.name}")
    try:
        aside.mkdir(parents=True)
        shards, unreadable = _write_all(catalog, plans, aside, side_px, jpeg_of, progress)
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
    jpeg_of: Callable[[int], bytes],
    progress: Progress | None,
) -> tuple[list[ListedShard], tuple[Unreadable, ...]]:
    """Write the planned shards in order, while a pool of threads makes records ahead, across their borders.

    Waiting for the disk and hashing what was written are another thread's work. A shard of which no photo can be read
    is left out.
    """

    def examples(positions: np.ndarray) -> list[bytes | Unreadable]:
        return [_example(catalog, position, side_px, jpeg_of) for position in positions.tolist()]

    results = in_order(examples, (chunk for plan in plans for chunk in _chunks(plan)))
    shards: list[Future[ListedShard]] = []
    unreadable: list[Unreadable] = []
    done = 0
    with contextlib.closing(results), ThreadPoolExecutor(1) as closing:
        for number, plan in enumerate(plans):
            counts: dict[str, int] = {}
            written = folder / f"under-way-{number}"
            with _record_writer(written) as write:
                for positions in _chunks(plan):
                    for position, example in zip(positions.tolist(), next(results), strict=True):
                        if isinstance(example, Unreadable):
                            unreadable.append(example)
                            continue
                        write(example)
                        name = catalog.classes[catalog.photos[position].label]
                        counts[name] = counts.get(name, 0) + 1
                    done += len(positions)
                    if progress:
                        progress(done, len(catalog))
            if counts:
                name = f"{shard_name(catalog.title)}{len(shards):0{max(2, len(str(len(plans) - 1)))}d}"
                shards.append(closing.submit(_closed, written, name, plan, counts))
            else:
                written.unlink()
    if not shards:
        first = unreadable[0]
        raise DataError(
            f"none of the {done:,} photos in {catalog.title} can be read; the first: {first.name}: {first.reason}"
        )
    return [shard.result() for shard in shards], tuple(unreadable)


def _chunks(plan: ShardPlan) -> Iterator[np.ndarray]:
    for start in range(0, len(plan.photos), _PHOTOS_AT_ONCE):
        yield plan.photos[start : start + _PHOTOS_AT_ONCE]


def _decoded(catalog: Catalog, squares: JpegSquares) -> Callable[[int], bytes]:
    """Return the function that reads a photo, by its position, and makes its JPEG anew."""
    return lambda i: squares.encode(read_photo(read_bytes(catalog.photos[i]), squares.side_px))


def _closed(written: Path, name: str, plan: ShardPlan, counts: dict[str, int]) -> ListedShard:
    """Bring the shard just written to the disk and give it its name, which tells its records."""
    records = sum(counts.values())
    place = written.with_name(f"{name}-{records}.tfrec")
    with open(written, "rb+") as file:
        os.fsync(file.fileno())
    written.rename(place)
    return ListedShard(place.name, records, sha256_of(place), plan.part, plan.lanes, counts)


def _example(catalog: Catalog, position: int, side_px: int, jpeg_of: Callable[[int], bytes]) -> bytes | Unreadable:
    """Return a photo as the codelab's record, a serialized tf.train.Example, with its key."""
    tf = tensorflow()

    photo, classes = catalog.photos[position], catalog.classes
    try:
        jpeg = jpeg_of(position)
    except PhotoError as error:
        return Unreadable(photo.name or photo.path, str(error))
    example = tf.train.Example()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(jpeg)
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
