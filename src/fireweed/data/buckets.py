"""Files in a bucket (gs://), read through TensorFlow, with its errors in words that help."""

import re
import threading
from typing import Any

from fireweed.devices.backends import tensorflow
from fireweed.errors import DataError


def is_remote(path: str) -> bool:
    """Say whether a path is an address in a bucket rather than a file of this machine."""
    return path.startswith("gs://")


def matching(pattern: str) -> list[str]:
    """Return the addresses in a bucket that match a pattern; none where there is no such bucket.

    The user's own Google credentials are used where there are some.

    Raises:
        DataError: the bucket may not be read, or cannot be reached.
    """
    tf = tensorflow()

    try:
        return list(tf.io.gfile.glob(pattern))
    except tf.errors.NotFoundError:
        return []
    except tf.errors.OpError as error:
        raise explained(error, pattern) from error


def read_if_there(path: str, most_bytes: int) -> bytes | None:
    """Return what a file holds, in a bucket or here; None where there is none.

    Raises:
        DataError: it is there and cannot be read, or has more bytes than it may.
    """
    tf = tensorflow()

    try:
        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path, "rb") as file:
            data = file.read(most_bytes + 1)
    except tf.errors.OpError as error:
        raise explained(error, path) from error
    if len(data) > most_bytes:
        raise DataError(f"{path} has more than {most_bytes:,} bytes, which no file of its kind has; copy it again")
    return data


def explained(error: Exception, path: str) -> DataError:
    """Say in one line what TensorFlow's error on a path means for the user."""
    tf = tensorflow()

    denied = (tf.errors.PermissionDeniedError, tf.errors.UnauthenticatedError)
    if is_remote(path) and (isinstance(error, denied) or re.search(r"\b40[13]\b", str(error))):
        return DataError(
            f"{path} may not be read with the Google credentials found here; sign in with "
            "'gcloud auth application-default login' as someone who may read the bucket"
        )
    if is_remote(path) and isinstance(error, tf.errors.UnimplementedError):
        return DataError(f"{path}: the TensorFlow installed here cannot read gs://; copy the shards to a folder first")
    return DataError(f"{path} cannot be read: {in_brief(error)}")


def in_brief(error: Exception) -> str:
    """Return the first line of what an error of TensorFlow says, without the names of its nodes and operations."""
    line = str(getattr(error, "message", error)).strip().split("\n")[0]
    return re.sub(r"\{\{[^}]*\}\}\s*|\s*\[Op:[^\]]*\].*$", "", line)[:200]


class BucketReader(threading.local):
    """Reads pieces of files in a bucket; keeps open, for each thread, the one read last with what was read ahead.

    Photos are mostly asked for in the order of their records, so that the next one came along with the one before.
    """

    _path = ""
    _file: Any = None

    def read(self, path: str, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` on, fewer where the file ends.

        Raises:
            DataError: the file cannot be read.
        """
        tf = tensorflow()

        try:
            if path != self._path:
                self._file, self._path = tf.io.gfile.GFile(path, "rb"), path
            self._file.seek(offset)
            return self._file.read(size)
        except tf.errors.OpError as error:
            self._path = ""
            raise explained(error, path) from error
