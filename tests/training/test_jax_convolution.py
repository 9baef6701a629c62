"""The 1x1 convolution for JAX gives Keras's results and gradients, and leaves all others to Keras."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
import jax, keras, numpy as np
from fireweed.training import jax_convolution
from fireweed.training.jax_convolution import JaxConv2D

rng = np.random.default_rng(0)
used = []
ours = jax_convolution.pointwise
jax_convolution.pointwise = lambda *a: used.append(1) or ours(*a)
worst = {}
for name, options in {
    "1x1": dict(kernel_size=1, activation="relu"), "1x1 no bias": dict(kernel_size=1, use_bias=False),
    "1x1 by 2": dict(kernel_size=1, strides=2), "3x3": dict(kernel_size=3, padding="same"),
    "1x1 in groups": dict(kernel_size=1, groups=2),
}.items():
    x, target = rng.normal(size=(3, 9, 7, 4)).astype("float32"), None
    layers = [kind(6, **options) for kind in (keras.layers.Conv2D, JaxConv2D)]
    used.clear()
    for layer in layers:
        layer.build(x.shape)
    layers[1].set_weights([rng.normal(size=w.shape) for w in layers[0].get_weights()])
    layers[0].set_weights(layers[1].get_weights())
    results = []
    for layer in layers:
        def loss(weights, x):
            out, _ = layer.stateless_call(weights, [], x)
            return (out * jax.numpy.cos(jax.numpy.arange(out.size).reshape(out.shape))).sum(), out
        step = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
        (_, out), gradients = step([w.value for w in layer.weights], x)
        results.append([out, *gradients[0], gradients[1]])
    far = max(float(abs(a - b).max() / abs(a).max()) for a, b in zip(*results))
    worst[name] = [far, bool(used)]
open_shape = keras.Sequential([keras.Input((None, None, 4)), JaxConv2D(6, 1)])
assert open_shape.output_shape == (None, None, None, 6)
print(json.dumps(worst))
"""


def test_results_and_gradients_are_keras_own():
    pytest.importorskip("jax")
    environ = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert max(far for far, _ in found.values()) < 1e-4
    assert {name for name, (_, used) in found.items() if used} == {"1x1", "1x1 no bias"}
