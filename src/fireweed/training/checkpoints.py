"""Checkpoints: one file each, written whole or not at all, checked when read, two generations kept."""

import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fireweed.devices.hosts import Hosts
from fireweed.errors import RunError
from fireweed.files import explained, written_aside

GENERATIONS = 2
_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.npz")


@dataclass
class Checkpoint:
    """All that a training needs to go on as if it had never stopped.

    epoch:     finished epochs.
    step:      steps done in the epoch after these.
    arrays:    "weights/000", "optimizer/000", "average/000", "seeds/000" ... -> values.
    facts:     JSON-ready: history rows, best so far, patience, counts of the average.
    """

    epoch: int
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    step: int = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return f"epoch-{self.epoch:06d}" + (f"-step-{self.step:08d}" if self.step else "") + ".npz"

    @property
    def is_finite(self) -> bool:
        """Whether all its numbers are; a net that has one which is not is lost, and no use to go back to."""
        return all(np.isfinite(value).all() for value in self.arrays.values() if np.issubdtype(value.dtype, np.inexact))

    def group(self, name: str) -> list[np.ndarray]:
        """Return the arrays of one group in their order."""
        return [self.arrays[key] for key in sorted(self.arrays) if key.startswith(f"{name}/")]

    def put(self, name: str, values: list[Any]) -> None:
        """Store the values of one group."""
        self.arrays.update({f"{name}/{i:05d}": np.asarray(value) for i, value in enumerate(values)})


def write_checkpoint(folder: Path, checkpoint: Checkpoint, name: str | None = None) -> None:
    """Write a checkpoint into `folder`, made if need be, and remove generations older than the one before it.

    name: of the file; by default of epoch and step. A named one (the best so far) is outside the generations.

    Raises:
        FireweedError: the disk is full or the folder cannot be written; the checkpoints before are as they were.
    """
    path = folder / (name or checkpoint.name)
    try:
        folder.mkdir(exist_ok=True)
        with written_aside(path) as aside:
            _write(aside, checkpoint)
        if name is None:
            for old in _generations(folder)[:-GENERATIONS]:
                old.unlink(missing_ok=True)
    except OSError as error:
        raise explained(error, path) from error


def shared_checkpoint(checkpoint: Checkpoint | None, hosts: Hosts) -> Checkpoint:
    """Return on every host the checkpoint that host 0 gives; the others give None."""
    if hosts.count == 1 and checkpoint is not None:
        return checkpoint
    data = io.BytesIO()
    if checkpoint is not None:
        _write(data, checkpoint)
    return read_checkpoint(io.BytesIO(hosts.broadcast(data.getvalue())))


def read_checkpoint(path: Path | BinaryIO) -> Checkpoint:
    """Read one checkpoint; each array's checksum (CRC-32 of the zip member) is verified on the way, and their number.

    Raises:
        RunError: the file is cut, damaged, or is no checkpoint.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        facts = json.loads(bytes(arrays.pop("facts")))
        if facts.pop("arrays", len(arrays)) != len(arrays):  # the zip's own list has no checksum; older ones do not say
            raise ValueError("not all arrays are in its list")
        place = facts.pop("epoch"), facts.pop("step", 0)
        if not all(type(number) is int and number >= 0 for number in place):
            raise ValueError("no place in a training")
        return Checkpoint(place[0], arrays, facts, place[1])  # the facts left are the run's
    except Exception as error:  # damage makes zipfile and numpy raise nearly anything, and none of it may end a run
        raise RunError(f"checkpoint {path} is damaged ({type(error).__name__})") from error


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint that can be read, or None, and a sentence for each newer one that cannot.

    A newer one that cannot be read gets another name, so that it does not count as a generation any more.

    Raises:
        RunError: there are checkpoints, and all are damaged; starting again unasked would lose what was trained.
    """
    notes: list[str] = []
    damaged: list[Path] = []
    for path in reversed(_generations(folder)):
        try:
            found = read_checkpoint(path)
        except RunError as error:
            notes.append(f"{error}; the one before it is used")
            damaged.append(path)
            continue
        for one in damaged:
            one.replace(one.with_name(f"damaged-{one.name}"))
        return found, notes
    if damaged:
        raise RunError(
            f"all {len(damaged)} checkpoints in {folder} are damaged, the run cannot go on; begin again beside it with "
            "--start-over, or train into another folder"
        )
    return None, notes


def _write(path: Path | BinaryIO, checkpoint: Checkpoint) -> None:
    facts = json.dumps(
        {"epoch": checkpoint.epoch, "step": checkpoint.step, "arrays": len(checkpoint.arrays), **checkpoint.facts},
        allow_nan=False,
    ).encode()
    np.savez(path, facts=np.frombuffer(facts, np.uint8), **checkpoint.arrays)  # type: ignore[arg-type]


def _generations(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, oldest first."""
    places = {
        (int(match[1]), int(match[2] or 0)): path
        for path in folder.glob("epoch-*.npz")
        if (match := _NAME.fullmatch(path.name))
    }
    return [places[place] for place in sorted(places)]
