"""Check a .keras file before Keras opens it: its members, the net it describes, the weights it holds.

No switch turns any of it off. The file that is checked must be the file that is loaded: take a private copy first.
"""

import errno
import hashlib
import os
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from fireweed.bundle.config import checked_net, shortened
from fireweed.bundle.hdf5 import Array, open_hdf5, plain_arrays
from fireweed.bundle.shapes import Outline, Variable, outline
from fireweed.bundle.strict_json import read_json
from fireweed.errors import BundleError
from fireweed.zips import ListingError, open_zip

MAX_FILE_BYTES = (4 << 30) + (64 << 20)
MAX_MEMBER_BYTES = {"metadata.json": 64 << 10, "config.json": 16 << 20, "model.weights.h5": 4 << 30}
MAX_LISTING_BYTES = 4 << 10  # of the zip: three members take 200
MAX_EXPANSION = 100  # bytes of a member for each byte stored; Keras stores members as they are
_PIECE = 1 << 20
_ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def private_copy(path: Path, to: Path) -> str:
    """Copy a file to `to`, in a folder nobody else can write, and return the SHA-256 of the bytes copied.

    Raises:
        BundleError: there is no such file, it is no plain file, too large, or cannot be read.
    """
    hasher = hashlib.sha256()
    left = MAX_FILE_BYTES
    try:
        # O_NONBLOCK: opening a named pipe would wait for its writer
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as source, open(to, "xb") as target:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BundleError(f"{path} is not a plain file")
            while piece := source.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise BundleError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes, which no net of ours is")
                hasher.update(piece)
                target.write(piece)
    except FileNotFoundError:
        raise BundleError(f"{path} is not there; give a run folder, a .keras file or a weight file") from None
    except OSError as error:
        raise BundleError(f"{path} could not be copied to be checked: {error.strerror or error}") from None
    return hasher.hexdigest()


def check_keras_file(path: Path, weights_to: Path) -> Outline:
    """Check a .keras file (a private copy) and return what its net implies; nothing of the net is built.

    Its weights are copied to `weights_to`, a new file beside it, and checked there: every array that the net needs is
    there with its shape and type, and none that it does not need.

    Raises:
        BundleError: names the member and the part of it that a bundle cannot hold.
    """
    config, metadata = _unpacked(path, weights_to)
    read_json(metadata, "metadata.json", MAX_MEMBER_BYTES["metadata.json"])
    value = read_json(config, "config.json", MAX_MEMBER_BYTES["config.json"])
    try:
        implied = outline(checked_net(value))
    except BundleError as error:
        raise BundleError(f"config.json: {error}") from None
    try:
        with open_hdf5(weights_to) as file:
            _check_fit(plain_arrays(file), implied.variables)
    except BundleError as error:
        raise BundleError(f"model.weights.h5: {error}") from None
    return implied


def _unpacked(path: Path, weights_to: Path) -> tuple[bytes, bytes]:
    """Return config.json and metadata.json of a .keras file and copy its weights, the members checked before."""
    try:
        with open_zip(path, MAX_LISTING_BYTES) as archive:
            _check_members(archive.infolist())
            with archive.open("model.weights.h5") as source, open(weights_to, "xb") as target:
                shutil.copyfileobj(source, target, _PIECE)
            return archive.read("config.json"), archive.read("metadata.json")
    except ListingError as error:
        raise BundleError(
            f"{error}; a bundle holds {', '.join(MAX_MEMBER_BYTES)}, each once, and nothing else"
        ) from None
    except _ZIP_DAMAGE as error:
        raise BundleError(f"not a .keras file, or a damaged one ({error})") from None
    except OSError as error:
        # zipfile seeks to places that a damaged file makes up; other errors are those of a disk
        what = "damaged" if error.errno == errno.EINVAL else "not to be unpacked"
        raise BundleError(f"{what} ({error.strerror or error})") from None


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if sorted(names) != sorted(MAX_MEMBER_BYTES):
        strange = next((name for name in names if name not in MAX_MEMBER_BYTES or names.count(name) > 1), None)
        told = f"holds {shortened(strange)}" if strange is not None else f"holds only {names}"
        raise BundleError(f"{told}; a bundle holds {', '.join(MAX_MEMBER_BYTES)}, each once, and nothing else")
    for member in members:
        if member.flag_bits & 0x1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(f"{member.filename} is encrypted or compressed in a way other than deflate")
        if member.file_size > MAX_MEMBER_BYTES[member.filename]:
            most = MAX_MEMBER_BYTES[member.filename]
            raise BundleError(f"{member.filename} has {member.file_size:,} bytes, at most {most:,}")
        if member.file_size > MAX_EXPANSION * max(member.compress_size, 1):
            raise BundleError(f"{member.filename} grows from {member.compress_size:,} bytes to {member.file_size:,}")


def _check_fit(arrays: dict[str, Array], variables: dict[str, Variable]) -> None:
    for path, variable in variables.items():
        if path not in arrays:
            raise BundleError(f"{path} is missing")
        array = arrays[path]
        if array.shape != variable.shape:
            raise BundleError(f"{path} has the shape {array.shape}, the net needs {variable.shape}")
        types = ("int32", "int64") if variable.is_count else ("float32",)
        if array.dtype.name not in types:
            raise BundleError(f"{path} is {array.dtype.name}, the net needs {' or '.join(types)}")
    strange = next((path for path in arrays if path not in variables), None)
    if strange is not None:
        raise BundleError(f"{strange!r} is an array that the net has no place for")
