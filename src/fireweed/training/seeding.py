"""Seeds for what Keras draws: first weights and drop-outs."""

import random
import sys

import keras
import numpy as np


def set_seeds(seed: int) -> None:
    """Seed Python, numpy and Keras, without Keras's own import of TensorFlow where JAX computes.

    On JAX all that our nets draw goes by seeds that Keras takes from Python's `random` when a layer is made. That is
    less than keras.utils.set_random_seed does, which only Keras's inner modules could do: its global generator, which a
    jax.jit refuses and our nets never ask, goes on as it was, and many hosts would not be told the seed.
    """
    if keras.backend.backend() == "jax" and "tensorflow" not in sys.modules:
        random.seed(seed)
        np.random.seed(seed)
    else:
        keras.utils.set_random_seed(seed)
