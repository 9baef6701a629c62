"""The manifest beside shards: what each of them holds, so that copies can be checked and parts are kept."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fireweed.data.catalog import PARTS
from fireweed.data.names import quoted
from fireweed.errors import DataError
from fireweed.version import __version__

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 << 20


@dataclass(frozen=True)
class ListedShard:
    """One shard as the manifest lists it.

    file:    its name, without a folder.
    records: how many it holds.
    sha256:  of the file, hexadecimal.
    part:    "train", "validation", "test", or "" where the photos were not split.
    lanes:   the lanes of its part that it holds photos of (see `plan`), counted from 0.
    counts:  records of each class.
    """

    file: str
    records: int
    sha256: str
    part: str
    lanes: tuple[int, ...] = ()
    counts: dict[str, int] = dataclasses.field(default_factory=dict)


def manifest_text(
    classes: Sequence[str], side_px: int, fit: str, quality: int, lanes: dict[str, int], shards: Sequence[ListedShard]
) -> str:
    """Return the manifest as JSON; `lanes` says how many lanes each part was dealt to."""
    counts = {name: sum(shard.counts.get(name, 0) for shard in shards) for name in classes}
    content = {
        "fireweed": __version__,
        "classes": list(classes),
        "records": sum(shard.records for shard in shards),
        "counts": counts,
        "side_px": side_px,
        "fit": fit,
        "quality": quality,
        "lanes": lanes,
        "shards": [dataclasses.asdict(shard) for shard in shards],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def listed_shards(text: bytes, path: str) -> dict[str, ListedShard]:
    """Return what our manifest lists, by file name; nothing for the manifest of another program.

    Raises:
        DataError: it is ours and damaged.
    """
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        if b'"fireweed"' not in text:
            return {}
        raise DataError(
            f"{path} is damaged ({type(error).__name__}); copy it again, or remove it to have the photos split anew"
        ) from error
    if not isinstance(content, dict) or "fireweed" not in content:
        return {}
    try:
        found = {
            str(entry["file"]): ListedShard(
                str(entry["file"]),
                int(entry["records"]),
                str(entry["sha256"]),
                str(entry["part"]),
                counts={str(name): int(count) for name, count in dict(entry.get("counts", {})).items()},
            )
            for entry in content["shards"]
        }
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} is damaged ({repr(error)[:100]}); copy it again, or remove it to have the photos split anew"
        ) from error
    strange = {shard.part for shard in found.values()} - {*PARTS, ""}
    if strange:
        raise DataError(f"{path} names the part {quoted(min(strange))}; there are: {', '.join(PARTS)}")
    return found
