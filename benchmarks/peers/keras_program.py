"""The codelab's way in stock Keras and tf.data, as a newcomer runs it: no settings of memory, threads or compiler."""

import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from peers import keras_input, keras_nets
from peers.clock import memory_status_bytes, run_command, since_start_seconds, step_facts
from peers.squares import CLASSES, read_squares


class StepTimes(keras.callbacks.Callback):
    """Keeps the seconds from the end of one step to the end of the next."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.first_step_seconds = 0.0
        self._before = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._before = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._before)
        self._before = now
        self.first_step_seconds = self.first_step_seconds or since_start_seconds()


def step(
    net: str, side_px: int, batch: int, warm: int, timed: int, photos: str, is_half: bool = False
) -> dict[str, Any]:
    """Time training steps on one batch of photos that lies ready; `is_half`: in mixed_bfloat16."""
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16" if is_half else "float32")
    model = compiled(net, side_px)
    times = StepTimes()
    fit(model, ready_batch(photos, batch, side_px), warm + timed, times)
    return {
        **step_facts(batch, times.seconds, warm),
        "first_step_seconds": times.first_step_seconds,
        "parameters": model.count_params(),
        "multiply_adds": keras_nets.multiply_adds(model),
    }


def epoch(net: str, side_px: int, batch: int, warm: int, photos: str, shards: str) -> dict[str, Any]:
    """Time the first epoch on shards, input included, and steps alone before it."""
    model = compiled(net, side_px)
    alone = StepTimes()
    fit(model, ready_batch(photos, batch, side_px), 2 * warm, alone)
    pairs, count = keras_input.from_shards(shards, side_px)
    whole = StepTimes()
    steps = -(-count // batch)
    fit(model, keras_input.endless(pairs, batch), steps, whole)
    return {"rate": steps * batch / sum(whole.seconds), "step_rate": step_facts(batch, alone.seconds, warm)["rate"]}


def read_input(photos: str, shards: str, side_px: int, batch: int, passes: int) -> dict[str, Any]:
    """Time the epochs of the input alone, each to its last batch (the end of the loop may wait for autotuning)."""
    open_pairs = (lambda: keras_input.from_shards(shards, side_px)) if shards else (
        lambda: keras_input.from_photos(photos, side_px))  # fmt: skip
    pairs, count = open_pairs()
    dataset, seconds = keras_input.one_epoch(pairs, batch), []
    for _ in range(passes):
        started = ended = time.perf_counter()
        for _ in dataset:
            ended = time.perf_counter()
        seconds.append(ended - started)
    rates = [count / s for s in seconds]
    return {"photos": count, "first_rate": rates[0], "later_rates": rates[1:], "seconds": seconds,
            "held_bytes": memory_status_bytes("RssAnon")}  # fmt: skip


def write_shards(photos: str, side_px: int, count: int) -> dict[str, Any]:
    """Time the codelab's way of writing shards: decode, resize to fill, crop, encode, write."""
    started = time.perf_counter()
    files = tf.data.Dataset.list_files(f"{photos}/*/*.jpg", seed=0)
    total = int(files.cardinality())

    def encoded(path):
        image = tf.cast(keras_input.square_photo(path, side_px), tf.uint8)
        jpeg = tf.io.encode_jpeg(image, quality=95, optimize_size=True, chroma_downsampling=False)
        return jpeg, tf.strings.split(path, "/")[-2]

    batches = files.map(encoded, num_parallel_calls=keras_input.AUTO).batch(-(-total // count)).prefetch(1)
    with tempfile.TemporaryDirectory() as folder:
        for number, (images, labels) in enumerate(batches):
            path = Path(folder, f"flowers{number:02d}-{len(images)}.tfrec")
            with tf.io.TFRecordWriter(str(path)) as writer:
                for image, label in zip(images.numpy(), labels.numpy(), strict=True):
                    writer.write(example(image, label, side_px))
        return {"rate": total / (time.perf_counter() - started)}


def example(image: bytes, label: bytes, side_px: int) -> bytes:
    """Return one photo as the codelab's record."""
    number = CLASSES.index(label.decode())
    feature, bytes_list = tf.train.Feature, tf.train.BytesList
    features = {
        "image": feature(bytes_list=bytes_list(value=[image])),
        "class": feature(int64_list=tf.train.Int64List(value=[number])),
        "label": feature(bytes_list=bytes_list(value=[label])),
        "size": feature(int64_list=tf.train.Int64List(value=[side_px, side_px])),
        "one_hot_class": feature(float_list=tf.train.FloatList(value=np.eye(len(CLASSES))[number])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def predict(bundle: str, folder: str, side_px: int, singles: int) -> dict[str, Any]:
    """Time `model.predict` over image_dataset_from_directory, the model open already, then photos one by one."""
    model = keras.models.load_model(Path(bundle, "model.keras"), compile=False)
    started = time.perf_counter()
    photos = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(side_px, side_px), crop_to_aspect_ratio=True, shuffle=False, verbose=False
    )
    answers = model.predict(photos, verbose=0)
    seconds = time.perf_counter() - started
    latencies = []
    for path in sorted(Path(folder).iterdir())[: singles + 1]:
        before = time.perf_counter()
        image = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(side_px, side_px)))
        model.predict(image[None], verbose=0)
        latencies.append(time.perf_counter() - before)
    return {"rate": len(answers) / seconds, "photos": len(answers), "latency_seconds": float(np.median(latencies[1:]))}


def answer(bundle: str, photo: str, side_px: int) -> dict[str, Any]:
    """Time one answer from a cold start: Python, imports, opening, the photo."""
    model = keras.models.load_model(Path(bundle, "model.keras"), compile=False)
    image = keras.utils.img_to_array(keras.utils.load_img(photo, target_size=(side_px, side_px)))
    model.predict(image[None], verbose=0)
    return {"seconds": since_start_seconds()}


def compiled(net: str, side_px: int) -> keras.Model:
    model = keras_nets.build(net, side_px)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def ready_batch(photos: str, batch: int, side_px: int) -> Any:
    images, labels = read_squares(photos, batch, side_px)
    one_hot = np.eye(len(CLASSES), dtype=np.float32)[labels]
    ready = tf.data.Dataset.from_tensor_slices((images.astype(np.float32) / 255.0, one_hot))
    return ready.batch(batch).cache().repeat()  # of the same kind as the real input, so that no second trace is timed


def fit(model: keras.Model, dataset: Any, steps: int, times: StepTimes) -> None:
    model.fit(dataset, epochs=1, steps_per_epoch=steps, verbose=0, callbacks=[times])


if __name__ == "__main__":
    run_command({"step": step, "epoch": epoch, "input": read_input, "shards": write_shards, "predict": predict,
                 "answer": answer})  # fmt: skip
