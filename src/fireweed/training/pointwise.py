"""1x1 convolutions whose kernel's gradient is a matrix product, for the fast twin on TensorFlow.

That gradient is a product of all pixels' inputs with all pixels' gradients. Asked for as a convolution's, oneDNN takes
up to 5 times as long for it in bfloat16, and up to 1.6 times in float32 (Xception's layers, 2 cores with AMX).
"""

from typing import Any

import keras

Tensor = Any


def convolve_1x1(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve `x` (images, height, width, inputs) by `kernel` (1, 1, inputs, outputs), on TensorFlow."""
    import tensorflow as tf

    inputs, outputs = kernel.shape[2:]

    @tf.custom_gradient
    def operation(x: Tensor, kernel: Tensor) -> Any:
        def gradient(dy: Tensor) -> tuple[Tensor, Tensor]:
            dx = tf.nn.conv2d_transpose(dy, kernel, tf.shape(x), strides=1, padding="VALID")
            pixels, gradients = tf.reshape(x, (-1, inputs)), tf.reshape(dy, (-1, outputs))
            return dx, tf.reshape(tf.matmul(pixels, gradients, transpose_a=True), kernel.shape)

        return tf.nn.conv2d(x, kernel, strides=1, padding="VALID"), gradient

    return operation(x, kernel)


class PointwiseConvolution(keras.layers.Conv2D):
    """A 1x1 convolution of stride 1; the same variables and results as Keras's."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        return _finish(self, convolve_1x1(inputs, tf.convert_to_tensor(self.kernel)))


class FastSeparableConvolution(keras.layers.SeparableConv2D):
    """A separable convolution, its second half by `convolve_1x1`; the same variables and results as Keras's."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        depthwise = keras.ops.depthwise_conv(
            inputs, self.depthwise_kernel, strides=self.strides, padding=self.padding, dilation_rate=self.dilation_rate
        )
        return _finish(self, convolve_1x1(depthwise, tf.convert_to_tensor(self.pointwise_kernel)))


def faster_kind(layer: keras.layers.Layer) -> type[keras.layers.Layer]:
    """Return the class whose layers do what `layer` does, with a faster gradient where there is one."""
    kind = type(layer)
    if kind is keras.layers.SeparableConv2D and layer.data_format == "channels_last":
        return FastSeparableConvolution
    if kind is not keras.layers.Conv2D or layer.data_format != "channels_last":
        return kind
    is_1x1 = layer.kernel_size == layer.strides == layer.dilation_rate == (1, 1) and layer.groups == 1
    return PointwiseConvolution if is_1x1 else kind


def _finish(layer: Any, outputs: Tensor) -> Tensor:
    outputs = keras.ops.add(outputs, layer.bias) if layer.use_bias else outputs
    return outputs if layer.activation is None else layer.activation(outputs)
