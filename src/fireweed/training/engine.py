"""The fast twin of a plain model: the same variables and the same answers, with parts that train faster.

On a CPU compiled kernels do convolution, relu and norm in one (`merging`), where they are there and the layers fit.
Keras 3 computes batch norm from single operations, each a pass over memory, up to 40% of a step of a small net; here it
is one operation, of the kernels or TensorFlow's own. The model a user sees and saves stays plain Keras.
"""

from typing import Any

import keras

from fireweed.devices.backends import computes_on_cpu
from fireweed.devices.layout import replicas
from fireweed.errors import FireweedError
from fireweed.kernels import native
from fireweed.kernels.fitting import can_run
from fireweed.training.merging import Merger, move, scale_and_shift
from fireweed.training.pointwise import faster_kind

ONEDNN_LANES = 16  # channels that oneDNN's norm works on at once, with AVX-512


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch norm as one operation while it trains on TensorFlow; the same weights and results as Keras's.

    Frozen, in inference, in float64, or on other shapes it is plain Keras.

    has_kernels:  whether the compiled kernels may do it.
    reads_narrow: whether TensorFlow's operation may read bfloat16 as it is.
    """

    has_kernels = False
    reads_narrow = False

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        plain = not (training and self.trainable) or mask is not None or inputs.dtype == "float64"
        if plain or self.renorm or self.synchronized or len(inputs.shape) != 4 or self.axis not in (-1, 3):
            return super().call(inputs, training=training, mask=mask)
        fits = inputs.dtype == "float32" and inputs.shape[-1] % native.LANES == 0
        outputs, mean, variance = (self._by_kernel if fits and self.has_kernels else self._by_tensorflow)(inputs)
        move(self, mean, variance)
        return outputs

    def _by_kernel(self, inputs: Any) -> tuple[Any, Any, Any]:
        from fireweed.kernels import operations

        return operations.norm(inputs, *scale_and_shift(self), self.epsilon)

    def _by_tensorflow(self, inputs: Any) -> tuple[Any, Any, Any]:
        """Return output, mean and variance by TensorFlow's fused operation.

        It returns the variance with Bessel's correction, sum / (n - 1), where Keras keeps sum / n: it is scaled back.
        """
        import tensorflow as tf

        # oneDNN reads bfloat16, sums it in float32, and takes half the time for it; but twice as long where the
        # channels are no whole vectors of its own. Otherwise as Keras does: half precision overflows in the sums.
        is_whole = inputs.dtype == "bfloat16" and inputs.shape[-1] % ONEDNN_LANES == 0
        x = inputs if self.reads_narrow and is_whole else tf.cast(inputs, "float32")
        gamma, beta = (tf.cast(value, "float32") for value in scale_and_shift(self))
        outputs, mean, corrected, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), "float32")
        return tf.cast(outputs, self.compute_dtype), mean, corrected * (tf.maximum(count - 1.0, 1.0) / count)


def fast_twin(model: keras.Model, compile: str = "none", norms: str = "global") -> keras.Model:
    """Return a model equal to `model`, its variables copied, that trains faster; `model` itself if nothing is gained.

    Only TensorFlow gains: XLA, through which JAX works, fuses batch norm by itself, and sees the whole batch on however
    many devices. On several devices TensorFlow's norms speak to each other ("global"), and then are plain Keras.

    compile: "xla" where the steps will be compiled, which calls of the kernels cannot be; else "none" or "auto".
    norms:   see `settings.py`; matters on several devices.

    Raises:
        FireweedError: the twin's variables are not those of `model` (a fault in Fireweed, never a user's).
    """
    if keras.backend.backend() != "tensorflow":
        return model
    is_synchronized = norms == "global" and replicas() > 1
    by_onednn = compile != "xla" and computes_on_cpu()
    merger = Merger(model) if by_onednn and can_run() and not is_synchronized else None

    def fast_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        merged = merger.layer(layer) if merger else None
        return merged or _fast_layer(layer, by_onednn, merger is not None, is_synchronized)

    twin = keras.models.clone_model(model, clone_function=fast_layer)
    copy_variables(model, twin)
    return twin


def copy_variables(source: keras.Model, target: keras.Model) -> None:
    """Copy all of a model's weights to another by path, having checked that both have the same ones."""
    ours, theirs = _by_path(source), _by_path(target)
    if ours.keys() != theirs.keys() or any(ours[path].shape != theirs[path].shape for path in ours):
        odd = sorted(ours.keys() ^ theirs.keys())[:3]
        raise FireweedError(f"two models that should be equal differ in their variables ({', '.join(odd) or 'shapes'})")
    for path, variable in ours.items():
        theirs[path].assign(variable)


def _fast_layer(
    layer: keras.layers.Layer, by_onednn: bool, has_kernels: bool, is_synchronized: bool
) -> keras.layers.Layer:
    kind = faster_kind(layer) if by_onednn else type(layer)
    kind = FusedBatchNormalization if kind is keras.layers.BatchNormalization else kind
    fast = kind.from_config(layer.get_config())
    if isinstance(fast, FusedBatchNormalization):
        fast.has_kernels = has_kernels
        fast.reads_narrow = by_onednn
        fast.synchronized = is_synchronized
    return fast


def _by_path(model: keras.Model) -> dict[str, Any]:
    paths = {f"{layer.name}:{i}": variable
             for layer in model.layers for i, variable in enumerate(layer.weights)}  # fmt: skip
    if len(paths) != len(model.weights):
        raise FireweedError(f"{model.name} has nested layers, whose variables cannot be told apart by path")
    return paths
