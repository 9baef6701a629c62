"""Weight files changed in one place, to be refused."""

import io
from collections.abc import Callable
from typing import Any

Change = Callable[[Any], None]


def changed_hdf5(data: bytes, change: Change) -> bytes:
    """Return an HDF5 file as `change`, which is given it open, leaves it."""
    import h5py

    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def put(path: str, value: Any = None, **how: Any) -> Change:
    """Replace what lies at `path` by an array made with these arguments of h5py, by this link, or by nothing."""

    def change(file: Any) -> None:
        if path in file:
            del file[path]
        if value is not None:
            file[path] = value
        elif how:
            file.create_dataset(path, **how)

    return change
