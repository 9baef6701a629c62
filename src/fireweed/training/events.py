"""The figures of each epoch in TensorBoard's files, written without TensorFlow."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import keras
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class EpochEvents(keras.callbacks.Callback):
    """Writes what keras.callbacks.TensorBoard writes of an epoch, under the same names: train/ and validation/ below
    `folder`, in each "epoch_" and the figure's name, and the learning rate beside those of the training.

    rate: gives the learning rate of the next step. The optimizer's own is worked out on its devices, which on several
          hosts only all of them can do together.
    """

    def __init__(self, folder: Path, rate: Callable[[], float]) -> None:
        super().__init__()
        self._folder = folder
        self._rate = rate
        self._files: dict[str, RecordWriter] = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        figures = {name: float(value) for name, value in (logs or {}).items()}
        validated = {name.removeprefix("val_"): figures.pop(name) for name in list(figures) if name.startswith("val_")}
        figures["learning_rate"] = self._rate()
        for part, values in (("train", figures), ("validation", validated)):
            if values:
                self._write(part, epoch, values)

    def on_train_end(self, logs: dict | None = None) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    def _write(self, part: str, epoch: int, values: dict[str, float]) -> None:
        if part not in self._files:
            (self._folder / part).mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time():.6f}.{platform.node()}.{os.getpid()}.v2"
            self._files[part] = RecordWriter((self._folder / part / name).open("ab"))
            self._append(part, Event(wall_time=time.time(), file_version="brain.Event:2"))
        scalars = [Summary.Value(tag=f"epoch_{name}", simple_value=value) for name, value in values.items()]
        self._append(part, Event(wall_time=time.time(), step=epoch, summary=Summary(value=scalars)))

    def _append(self, part: str, event: Event) -> None:
        self._files[part].write(event.SerializeToString())
        self._files[part].flush()
