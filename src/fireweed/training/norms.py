"""Norm statistics computed anew for the weights that are kept, from photos as evaluation has them."""

from collections.abc import Callable, Iterable

import keras
import numpy as np

from fireweed.errors import ModelError, out_of_memory
from fireweed.reporting import Reporter
from fireweed.resolving import norm_photos
from fireweed.settings import TrainingSettings
from fireweed.text import counted


def freeze_norms(model: keras.Model) -> None:
    """Let a pretrained net's batch norms keep their statistics and factors, in training too; all other layers learn.

    Raises:
        ModelError: it has none.
    """
    norms = _norms(model)
    if not norms:
        raise ModelError(f"'{model.name}' has no batch norms to freeze; leave them out (--set training.norms=global)")
    for norm in norms:
        norm.trainable = False


def photos_for_norms(model: keras.Model, settings: TrainingSettings, photos: int) -> int:
    """Return `norm_photos` of the settings for a net that has norms to learn; 0 for others, and for a frozen part."""
    return norm_photos(settings, photos) if _norms(model) else 0


def recompute_norms(model: keras.Model, batches: Iterable[np.ndarray], photos: int, reporter: Reporter) -> None:
    """Set each batch norm's moving mean and variance to the mean of what the batches give, all weights staying.

    Training moves the statistics along while weights change, and takes them from photos that are cropped at random; the
    weights that are kept are an average that was never trained with, and see whole photos (Izmailov et al. 2018,
    https://arxiv.org/abs/1803.05407, section 3.2; Touvron et al. 2019, https://arxiv.org/abs/1906.06423, section 4).

    What hinders it costs no training: photos that are missing are left out, and where a batch does not fit into memory
    the statistics stay as they were; both is said.

    model:   its drop-outs are off meanwhile.
    batches: photos as the model takes them, (batch, side, side, 3); all photos count alike.
    photos:  how many there are in all of them.
    """
    norms = _norms(model)
    dropouts = [(layer, layer.rate) for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    momenta = [norm.momentum for norm in norms]
    before = [_statistics(norm) for norm in norms]
    means = [np.zeros_like(statistics, np.float64) for statistics in before]
    done = 0
    try:
        for layer, _ in dropouts:
            layer.rate = 0.0
        for norm in norms:
            norm.momentum = 0.0  # the moving statistics are then those of the last batch
        look = _look(model)
        with reporter.bar("norm statistics", photos) as bar:
            for batch in batches:
                look(batch)
                done += len(batch)
                for mean, norm in zip(means, norms, strict=True):
                    mean += (_statistics(norm) - mean) * len(batch) / done
                bar.update(done)
    except Exception as error:
        if not out_of_memory(error):
            raise
        _put(norms, before)
        reporter.warn(
            "norm statistics stay those of the training: to compute them anew takes more memory than there is"
        )
        return
    finally:
        for layer, rate in dropouts:
            layer.rate = rate
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    if done:
        _put(norms, means)
    if done < photos:
        reporter.warn(f"{counted(photos - done, 'photo')} could not be read any more, left out of the norm statistics")


def _statistics(norm: keras.layers.BatchNormalization) -> np.ndarray:
    """Return a norm's moving mean and variance, (2, channels)."""
    return np.stack([np.array(norm.moving_mean), np.array(norm.moving_variance)])


def _put(norms: Iterable[keras.layers.BatchNormalization], statistics: Iterable[np.ndarray]) -> None:
    for norm, (mean, variance) in zip(norms, statistics, strict=True):
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)


def _look(model: keras.Model) -> Callable[[np.ndarray], object]:
    """Return a function that shows a batch to the model as in training, so that its norms' statistics follow."""
    if keras.backend.backend() != "jax":
        return lambda batch: model(keras.ops.convert_to_tensor(batch), training=True)
    import jax

    followed = {id(variable) for norm in _norms(model) for variable in (norm.moving_mean, norm.moving_variance)}
    # one program: XLA would compile each operation of each shape by itself, which took minutes for Xception on a CPU
    follow = jax.jit(lambda ours, others, batch: model.stateless_call(ours, others, batch, training=True)[1])

    def look(batch: np.ndarray) -> None:
        others = model.non_trainable_variables
        values = follow([v.value for v in model.trainable_variables], [v.value for v in others], batch)
        for variable, value in zip(others, values, strict=True):
            if id(variable) in followed:
                variable.assign(value)

    return look


def _norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
