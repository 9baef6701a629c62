"""Checkpoints: one file each, written whole or not at all, checked when read, two generations kept."""

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fireweed.devices.hosts import Hosts
from fireweed.errors import RunError
from fireweed.files import written_aside

GENERATIONS = 2


@dataclass
class Checkpoint:
    """All that a training needs to go on as if it had never stopped.

    epoch:     finished epochs.
    arrays:    "weights/000", "optimizer/000", "average/000", "seeds/000" ... -> values.
    facts:     JSON-ready: history rows, best so far, patience, counts of the average.
    """

    epoch: int
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def group(self, name: str) -> list[np.ndarray]:
        """Return the arrays of one group in their order."""
        return [self.arrays[key] for key in sorted(self.arrays) if key.startswith(f"{name}/")]

    def put(self, name: str, values: list[Any]) -> None:
        """Store the values of one group."""
        self.arrays.update({f"{name}/{i:05d}": np.asarray(value) for i, value in enumerate(values)})


def write_checkpoint(folder: Path, checkpoint: Checkpoint, name: str | None = None) -> None:
    """Write a checkpoint into `folder` and remove generations older than the one before it.

    name: of the file; by default of the epoch. A named one (the best so far) is outside the generations.
    """
    path = folder / (name or f"epoch-{checkpoint.epoch:06d}.npz")
    with written_aside(path) as aside:
        _write(aside, checkpoint)
    if name is None:
        for old in _generations(folder)[:-GENERATIONS]:
            old.unlink(missing_ok=True)


def shared_checkpoint(checkpoint: Checkpoint | None, hosts: Hosts) -> Checkpoint:
    """Return on every host the checkpoint that host 0 gives; the others give None."""
    if hosts.count == 1 and checkpoint is not None:
        return checkpoint
    data = io.BytesIO()
    if checkpoint is not None:
        _write(data, checkpoint)
    return read_checkpoint(io.BytesIO(hosts.broadcast(data.getvalue())))


def read_checkpoint(path: Path | BinaryIO) -> Checkpoint:
    """Read one checkpoint; each array's checksum (CRC-32 of the zip member) is verified on the way.

    Raises:
        RunError: the file is cut, damaged, or is no checkpoint.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        facts = json.loads(bytes(arrays.pop("facts")))
        return Checkpoint(facts.pop("epoch"), arrays, facts)
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise RunError(f"checkpoint {path} is damaged ({type(error).__name__})") from error


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint that can be read, or None, and a sentence for each newer one that cannot.

    Raises:
        RunError: there are checkpoints, and all are damaged; starting again unasked would lose what was trained.
    """
    notes: list[str] = []
    paths = _generations(folder)
    for path in reversed(paths):
        try:
            return read_checkpoint(path), notes
        except RunError as error:
            notes.append(f"{error}; the one before it is used")
    if paths:
        raise RunError(
            f"all {len(paths)} checkpoints in {folder} are damaged, the run cannot go on; train into another folder"
        )
    return None, notes


def _write(path: Path | BinaryIO, checkpoint: Checkpoint) -> None:
    facts = json.dumps({"epoch": checkpoint.epoch, **checkpoint.facts}, allow_nan=False).encode()
    np.savez(path, facts=np.frombuffer(facts, np.uint8), **checkpoint.arrays)  # type: ignore[arg-type]


def _generations(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.npz"))
