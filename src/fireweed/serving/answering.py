"""What a model gives for squares, the quickest way that it allows: by the kernels alone, folded, or as Keras does."""

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

_FOLDED: WeakKeyDictionary[Any, Callable[[Any], Any] | None] = WeakKeyDictionary()  # of each model that was asked
_DIRECT: WeakKeyDictionary[Any, Callable[[Any], Any] | None] = WeakKeyDictionary()  # likewise
_ASKED: WeakSet[Any] = WeakSet()  # models that answered about a first photo alone


def outputs(model: Any, squares: Sequence[np.ndarray] | np.ndarray, batch_size: int) -> np.ndarray:
    """Return what a model gives for at least one square: float32 (squares, width of the model's output).

    squares:    RGB uint8 (side, side, 3) each, all of one side.
    batch_size: at least as many as there are squares; Keras's own way is compiled for no larger a batch.
    """
    batch = np.asarray(squares)
    first = _at_once if len(batch) == 1 else _folded
    function = _direct(model) or first(model) or _folded(model)
    return _by_keras(model, batch, batch_size) if function is None else np.asarray(function(batch))


def _at_once(model: Any) -> Callable[[Any], Any] | None:
    """Return the model itself, operation by operation, for a first photo alone: compiling takes longer than that."""
    import keras

    if model in _ASKED or keras.backend.backend() != "tensorflow" or not isinstance(model, keras.Model):
        return None
    _ASKED.add(model)
    return lambda batch: model(batch.astype(np.float32), training=False)


def _direct(model: Any) -> Callable[[Any], Any] | None:
    """Return the function that answers by the kernels alone, made at the first answer; None where they cannot."""
    from fireweed.serving.direct import direct_answers

    return _made_once(_DIRECT, direct_answers, model)


def _folded(model: Any) -> Callable[[Any], Any] | None:
    """Return the model's compiled function, made at its first answer; None where Keras's own serves as well."""
    from fireweed.serving.folding import folded_answers

    _ASKED.add(model)
    return _made_once(_FOLDED, folded_answers, model)


def _made_once(made: WeakKeyDictionary[Any, Any], make: Callable[[Any], Any], model: Any) -> Any:
    if model not in made:
        made[model] = make(model)
    return made[model]


def _by_keras(model: Any, squares: np.ndarray, batch_size: int) -> np.ndarray:
    """Return what Keras answers; the batch is filled up to a power of two, so that few shapes are compiled."""
    size = min(batch_size, 1 << (len(squares) - 1).bit_length())
    batch = np.zeros((size, *squares.shape[1:]), np.float32)
    batch[: len(squares)] = squares
    _without_slow_start(model)
    return np.asarray(model.predict_on_batch(batch), np.float32)[: len(squares)]


def _without_slow_start(model: Any) -> None:
    """Keep TensorFlow from compiling with XLA for its first answer, which takes longer than hundreds of photos."""
    if model.predict_function is None and not model.compiled:
        import keras

        model.jit_compile = keras.backend.backend() != "tensorflow"
