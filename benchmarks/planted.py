"""A copy of a folder of photos with faults of known places: what an audit has to find."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from fireweed.data.catalog import Catalog

PARTS = ("train", "validation", "test")
SHARES = (0.7, 0.15, 0.15)


@dataclass
class Planted:
    """Where the faults are, by path below the folder.

    corrupt:    path -> how it was damaged.
    duplicates: copy -> (original in another part, how it was made).
    mislabelled: path -> its true class.
    """

    photos: int = 0
    corrupt: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, tuple[str, str]] = field(default_factory=dict)
    mislabelled: dict[str, str] = field(default_factory=dict)


def plant(catalog: Catalog, folder: Path, share: float, seed: int) -> Planted:
    """Copy the photos into parts below `folder`, dealt at random, and plant a share of each fault; return where."""
    random = np.random.default_rng(seed)
    parts = random.choice(PARTS, len(catalog), p=SHARES)
    classes = [catalog.classes[photo.label] for photo in catalog.photos]
    count = max(1, round(share * len(catalog)))
    chosen = random.permutation(len(catalog))
    corrupt, doubled, moved = (set(chosen[k * count : (k + 1) * count].tolist()) for k in range(3))
    planted = Planted()
    for number, photo in enumerate(catalog.photos):
        data, name = Path(photo.path).read_bytes(), f"{number:06d}{Path(photo.path).suffix.lower()}"
        label = classes[number]
        if number in moved:
            label = str(random.choice([other for other in catalog.classes if other != label]))
        path = f"{parts[number]}/{label}/{name}"
        if number in moved:
            planted.mislabelled[path] = classes[number]
        if number in corrupt:
            kind = list(_DAMAGES)[len(planted.corrupt) % len(_DAMAGES)]
            data = _DAMAGES[kind](data, random)
            planted.corrupt[path] = kind
        _write(folder / path, data)
        if number in doubled:
            other = str(random.choice([part for part in PARTS if part != parts[number]]))
            kind = ("equal", "scaled", "re-encoded")[len(planted.duplicates) % 3]
            copy = f"{other}/{label}/copy-{Path(name).stem}.{'jpg' if kind != 'equal' else name.rsplit('.', 1)[-1]}"
            _write(folder / copy, _copied(data, kind, random))
            planted.duplicates[copy] = (path, kind)
    planted.photos = len(catalog) + len(planted.duplicates)
    return planted


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _copied(data: bytes, kind: str, random: np.random.Generator) -> bytes:
    """Return the photo as it is, saved again at a quality of 60 to 85, or scaled to 50% to 80% and saved so."""
    if kind == "equal":
        return data
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if kind == "scaled":
        scale = random.uniform(0.5, 0.8)
        image = image.resize((max(8, round(image.width * scale)), max(8, round(image.height * scale))))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(random.integers(60, 86)))
    return stream.getvalue()


def _cut_off(data: bytes, random: np.random.Generator) -> bytes:
    return data[: int(len(data) * random.uniform(0.1, 0.9))]


def _zeros(data: bytes, random: np.random.Generator) -> bytes:
    """Return what is left where a copy stopped and the file kept its length."""
    kept = int(len(data) * random.uniform(0.1, 0.9))
    return data[:kept] + bytes(len(data) - kept)


def _overwritten(data: bytes, random: np.random.Generator) -> bytes:
    """Return the photo with an eighth of it, in its second half, another file's."""
    size = max(64, len(data) // 8)
    start = int(random.integers(len(data) // 2, max(len(data) // 2 + 1, len(data) - size)))
    return data[:start] + random.bytes(size) + data[start + size :]


_DAMAGES: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    "cut off": _cut_off,
    "zeros": _zeros,
    "overwritten": _overwritten,
    "empty": lambda data, random: b"",
    "web page": lambda data, random: b"<!DOCTYPE html><html><body>404</body></html>",
    "noise": lambda data, random: random.bytes(len(data)),
}


def many_photos(folder: Path, count: int, classes: int = 10, side_px: int = 96) -> None:
    """Write so many small JPEGs, each of other colours, into class folders."""
    import cv2

    random = np.random.default_rng(0)
    for label in range(classes):
        (folder / f"class-{label}").mkdir(parents=True)
    for number in range(count):
        coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        fine = random.integers(0, 60, (24, 24, 3), dtype=np.uint8)
        image = cv2.addWeighted(
            cv2.resize(coarse, (side_px, side_px), interpolation=cv2.INTER_CUBIC), 0.8,
            cv2.resize(fine, (side_px, side_px), interpolation=cv2.INTER_LINEAR), 1.0, 0,
        )  # fmt: skip
        cv2.imwrite(str(folder / f"class-{number % classes}" / f"{number:06d}.jpg"), image)
