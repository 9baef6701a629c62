"""Which of Keras's layers the kernels can do, and are faster at, as measured against oneDNN."""

from typing import Any

import keras

from fireweed.devices.backends import computes_on_cpu
from fireweed.kernels import native

# Inputs x outputs. Beyond, the kernels, in Winograd's form 36 numbers for each pair, leave the second-level cache, and
# oneDNN is as fast: with 3x3 kernels 2.2 times as slow at 128 x 128, equal at 256 x 256.
LARGEST_3X3 = 1 << 15
LARGEST_1X1 = 1 << 14


def convolution_fits(layer: Any) -> bool:
    """Return whether the kernels can do a layer: a built `Conv2D` with relu or nothing behind it, in float32."""
    if native.library() is None or type(layer) is not keras.layers.Conv2D or layer.compute_dtype != "float32":
        return False
    inputs, outputs = layer.kernel.shape[2:]
    is_1x1 = layer.kernel_size == (1, 1) and inputs % native.LANES == 0 and inputs * outputs <= LARGEST_1X1
    is_3x3 = layer.kernel_size == (3, 3) and layer.padding == "same" and inputs * outputs <= LARGEST_3X3
    is_whole = inputs % native.LANES == 0 or inputs <= native.FEW
    is_plain = layer.strides == (1, 1) and layer.dilation_rate == (1, 1) and layer.groups == 1
    known = layer.activation in (keras.activations.relu, keras.activations.linear)
    is_last = layer.data_format == "channels_last" and outputs % native.LANES == 0
    return (is_1x1 or (is_3x3 and is_whole)) and is_plain and known and is_last


def can_run() -> bool:
    """Return whether the kernels are there and this process's TensorFlow has no GPU or TPU to do the work."""
    return native.library() is not None and computes_on_cpu()
