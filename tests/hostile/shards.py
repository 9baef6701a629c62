"""TFRecord shards that lie of their length, are cut, compressed, of something else, or not what the manifest says."""

import functools
import gzip
import hashlib
import json
import struct
import zlib
from pathlib import Path
from typing import Any

from hostile.cases import Case

BAD = ("corrupt or cut off",)


@functools.cache
def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


def checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C of TFRecord files."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _table()[(value ^ byte) & 255]
    value ^= 0xFFFFFFFF
    return struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def record(payload: bytes, length: int | None = None) -> bytes:
    head = struct.pack("<Q", len(payload) if length is None else length)
    return head + checksum(head) + payload + checksum(payload)


def example(**features: Any) -> bytes:
    """Return a serialized tf.train.Example: bytes, or whole numbers, or fractions in lists."""
    import tensorflow as tf

    result = tf.train.Example()
    for name, value in features.items():
        feature = result.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif value and isinstance(value[0], int):
            feature.int64_list.value.extend(value)
        else:
            feature.float_list.value.extend(value)
    return result.SerializeToString()


def good(label: bytes = b"rose") -> bytes:
    return record(example(image=b"\xff\xd8\xff", label=label))


def manifest(**changes: Any) -> Any:
    def text(data: bytes) -> bytes:
        entry = {"file": "x.tfrec", "records": 2, "sha256": hashlib.sha256(data).hexdigest(), "part": "train",
                 "counts": {"rose": 1, "tulip": 1}} | changes  # fmt: skip
        return json.dumps({"fireweed": "1", "shards": [entry]}).encode()

    return text


SHARDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "that is empty": (lambda: b"", ("holds a record",)),
    "whose record says it has 4 GB": (lambda: record(b"abc", 4 << 30), BAD),
    "whose record says it has all bytes there are": (lambda: record(b"abc", 2**64 - 1), BAD),
    "whose record says it has none": (lambda: record(b""), ("no feature", "no tf.train.Example")),
    "with a wrong checksum of a length": (lambda: good()[:8] + b"\0\0\0\0" + good()[12:], BAD),
    "with a wrong checksum of a record": (lambda: good()[:-4] + b"\0\0\0\0", BAD),
    "with one changed byte": (lambda: good()[:20] + b"\x7f" + good()[21:], BAD),
    "cut off in a record": (lambda: good() + good()[:-9], BAD),
    "cut off in a head": (lambda: good() + good()[:5], BAD),
    "compressed with gzip": (lambda: gzip.compress(good()), ("compressed with gzip",)),
    "compressed with zlib": (lambda: zlib.compress(good()), ("compressed with zlib",)),
    "of text": (lambda: b"hello world, this is no shard at all\n" * 9, BAD),
    "of zeros": (lambda: bytes(1000), BAD),
    "of no protocol buffer": (lambda: record(b"\xff" * 50), ("is no tf.train.Example",)),
    "of groups without end": (lambda: record(b"\x0b" * 50_000), ("is no tf.train.Example",)),
    "without photos": (lambda: record(example(x=b"1")), ("has no feature 'image'",)),
    "with an empty photo": (lambda: record(example(image=b"", label=b"x")), ("has no feature 'image'",)),
    "without labels": (lambda: record(example(image=b"1")), ("neither 'label' nor 'class'",)),
    "with a label of 100,000 letters": (lambda: good(b"x" * 100_000), ("letters",)),
    "with a million classes": (
        lambda: record(example(image=b"1", one_hot_class=[0.5] * 200_000)), ("at most 10,000 classes",)),
    "with a feature of a name without end": (lambda: record(example(**{"\x1b" * 9_000: b"1"})), ("has no feature",)),
}  # fmt: skip
MANIFESTS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "says another number": (manifest(records=3), ("says 3",)),
    "says another sum": (manifest(sha256="0" * 64), ("SHA-256",)),
    "says other classes": (manifest(counts={"rose": 2}), ("records of",)),
    "names an unknown part": (manifest(part="\x1b[2J"), ("names the part",)),
    "counts in words": (manifest(records="many"), ("is damaged",)),
    "counts without end": (manifest(records="9" * 9_000), ("is damaged",)),
    "counts classes in a list": (manifest(counts=[1, 2]), ("is damaged",)),
    "is cut off": (lambda data: manifest()(data)[:50], ("is damaged",)),
    "is nested without end": (lambda _: b'{"fireweed": ' + b"[" * 200_000, ("is damaged",)),
    "lists nothing": (lambda _: b'{"fireweed": "1", "shards": null}', ("is damaged",)),
    "is 17 MB long": (
        lambda _: b'{"fireweed": "1", "shards": []}' + b" " * (17 << 20),
        ("more than 16,777,216 bytes",),
    ),
}


def _shard(name: str, data: Any, words: tuple[str, ...], file: str = "x.tfrec") -> Case:
    def make(folder: Path) -> str:
        (folder / file).write_bytes(data())
        return str(folder / file)

    return Case(f"shard {name}", words, make)


def _listed(name: str, text: Any, words: tuple[str, ...]) -> Case:
    def make(folder: Path) -> str:
        data = good() + good(b"tulip")
        (folder / "x.tfrec").write_bytes(data)
        (folder / "manifest.json").write_bytes(text(data))
        return str(folder / "x.tfrec")

    return Case(f"shard whose manifest {name}", words, make)


def _sparse(folder: Path) -> str:
    head = struct.pack("<Q", 900 << 20)
    with open(folder / "x.tfrec", "wb") as file:
        file.write(head + checksum(head))
        file.truncate((900 << 20) + 16)
    return str(folder / "x.tfrec")


CASES = [
    *(_shard(name, data, words) for name, (data, words) in SHARDS.items()),
    *(_listed(name, text, words) for name, (text, words) in MANIFESTS.items()),
    _shard("with more in its name than it holds", good, ("its name says 9",), file="x00-9.tfrec"),
    Case("shard of a record of 900 MB", ("at most 67,108,864 are read",), _sparse),
]


def prepare() -> None:
    """Import TensorFlow, which starts programs and makes folders of its own."""
    from fireweed.devices.backends import tensorflow

    tensorflow()
    example(image=b"1")


def give(given: str) -> str:
    """Give a shard to the program."""
    from fireweed.data.sources import open_data

    return f"read as {len(open_data(given))} photos"
