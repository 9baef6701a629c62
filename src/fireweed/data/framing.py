"""How records lie in a TFRecord file: their lengths, looked at before TensorFlow believes them, and what damage is."""

import os

from fireweed.data.buckets import in_brief
from fireweed.devices.backends import tensorflow
from fireweed.errors import DataError

MAX_RECORD_BYTES = 64 << 20  # reading its fields takes several times as much memory
# A record is its length (8 bytes, little endian), a checksum of that (4), the payload and a checksum of it (4).
# Source: tensorflow.org/tutorials/load_data/tfrecord.
HEAD_BYTES, FOOT_BYTES = 12, 4


def longest_record(path: str) -> int:
    """Return the bytes of a local shard's longest record, all stated lengths looked at before anything is read.

    TensorFlow makes room for as many bytes as a record says it has, be it more than there is memory.
    """
    longest, offset, number = 1, 0, 0
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            while len(head := file.read(HEAD_BYTES)) == HEAD_BYTES:
                length = int.from_bytes(head[:8], "little")
                offset += HEAD_BYTES + length + FOOT_BYTES
                if offset > size:
                    raise DataError(why_lost(path, ValueError(f"record {number} says it has {length:,} bytes")))
                if length > MAX_RECORD_BYTES:
                    raise DataError(
                        f"record {number} of {path} has {length:,} bytes, at most {MAX_RECORD_BYTES:,} are read; "
                        "scale its photo down"
                    )
                longest, number = max(longest, length), number + 1
                file.seek(offset)
            if head:  # TensorFlow takes this for the end
                raise DataError(why_lost(path, ValueError(f"{len(head)} bytes follow its last record")))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return longest


def why_lost(path: str, error: Exception) -> str:
    """Say why TensorFlow finds no sound record: compressed, else damaged.

    The first bytes are looked at only now, since a good record may begin with the same ones.
    """
    tf = tensorflow()

    with tf.io.gfile.GFile(path, "rb") as file:
        start = file.read(3)
    if start == b"\x1f\x8b\x08":  # RFC 1952, 2.3
        return f"{path} is compressed with gzip; unpack it first: gzip -dc '{path}' > unpacked.tfrec"
    if start[:1] == b"\x78" and int.from_bytes(start[:2], "big") % 31 == 0:  # RFC 1950, 2.2
        return f"{path} is compressed with zlib; write it again without compression"
    return f"{path} is corrupt or cut off ({in_brief(error)}); copy it again"
