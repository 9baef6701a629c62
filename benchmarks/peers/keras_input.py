"""The codelab's input in tf.data: TFRecord shards, or the photos themselves, to batches of floats in 0..1."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from peers.squares import CLASSES

AUTO = tf.data.AUTOTUNE
SHUFFLED = 2048


def from_shards(folder: str, side_px: int) -> tuple[Any, int]:
    """Return the (image, one-hot label) pairs of all shards, and how many there are."""
    files = sorted(str(path) for path in Path(folder).glob("*.tfrec"))
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "one_hot_class": tf.io.FixedLenFeature([len(CLASSES)], tf.float32),
    }

    def read(record):
        example = tf.io.parse_single_example(record, features)
        image = tf.cast(tf.io.decode_jpeg(example["image"], channels=3), tf.float32) / 255.0
        return tf.reshape(image, [side_px, side_px, 3]), example["one_hot_class"]

    options = tf.data.Options()
    options.deterministic = False
    records = tf.data.TFRecordDataset(files, num_parallel_reads=AUTO).with_options(options)
    count = sum(int(Path(file).stem.rsplit("-", 1)[1]) for file in files)
    return records.map(read, num_parallel_calls=AUTO), count


def from_photos(folder: str, side_px: int) -> tuple[Any, int]:
    """Return the same of a folder with a folder of JPEGs for each class: decode, resize to fill, crop the centre."""

    def read(path):
        label = tf.strings.split(path, "/")[-2] == tf.constant(CLASSES)
        return square_photo(path, side_px) / 255.0, tf.cast(label, tf.float32)

    files = tf.data.Dataset.list_files(f"{folder}/*/*.jpg")
    return files.map(read, num_parallel_calls=AUTO), int(files.cardinality())


def square_photo(path: Any, side_px: int) -> Any:
    """Return a JPEG as a centre square, float32 (side, side, 3) in 0..255."""
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    shortest = tf.minimum(height, width)
    scaled = tf.cast(
        tf.math.ceil(tf.cast([height, width], tf.float32) * side_px / tf.cast(shortest, tf.float32)), tf.int32
    )
    image = tf.image.resize(image, scaled)
    image = tf.image.crop_to_bounding_box(
        image, (scaled[0] - side_px) // 2, (scaled[1] - side_px) // 2, side_px, side_px
    )
    return tf.ensure_shape(image, [side_px, side_px, 3])


def augment(image: Any, label: Any) -> tuple[Any, Any]:
    """Mirror at random, and change the saturation by a factor of 0 to 2, image by image."""
    image = tf.image.random_flip_left_right(image)
    return tf.image.random_saturation(image, lower=0, upper=2), label


def one_epoch(pairs: Any, batch: int) -> Any:
    """Return a cached, augmented, shuffled, batched epoch; without `repeat`, so that its end can be timed."""
    return pairs.cache().map(augment, num_parallel_calls=AUTO).shuffle(SHUFFLED).batch(batch).prefetch(AUTO)


def endless(pairs: Any, batch: int) -> Any:
    """Return the same without an end, as `fit` takes it."""
    return pairs.cache().repeat().map(augment, num_parallel_calls=AUTO).shuffle(SHUFFLED).batch(batch).prefetch(AUTO)
