"""The end of an epoch that was stopped after its last step."""

from typing import Any

import keras


def validate(
    twin: keras.Model, validation: Any, epoch: int, callbacks: list[keras.callbacks.Callback],
    metrics: list[keras.Metric],
) -> None:  # fmt: skip
    """Do what `fit` does after the last step of an epoch, and cannot begin with.

    validation: what Keras's `evaluate` takes; None: this epoch is not validated.
    epoch:      epochs that are done.
    metrics:    in which loss and accuracy of the epoch add up; a callback puts them back when the epoch begins.
    """
    watched = keras.callbacks.CallbackList([*callbacks, _Cleared(metrics)], add_history=True, model=twin)
    twin.stop_training = False
    watched.on_train_begin()
    twin.reset_metrics()
    watched.on_epoch_begin(epoch)
    logs = {metric.name: float(metric.result()) for metric in metrics}
    if validation is not None:
        validated = twin.evaluate(validation, verbose=0, callbacks=watched, return_dict=True)
        logs |= {f"val_{name}": value for name, value in validated.items()}
    watched.on_epoch_end(epoch, logs)
    watched.on_train_end(logs)


class _Cleared(keras.callbacks.Callback):
    """Sets metrics to zero when a validation begins; Keras leaves out those that no step has used yet."""

    def __init__(self, metrics: list[keras.Metric]) -> None:
        super().__init__()
        self._metrics = metrics

    def on_test_begin(self, logs: dict | None = None) -> None:
        for metric in self._metrics:
            metric.reset_state()
