"""Seeds for what Keras draws: first weights and drop-outs."""

import random
import sys

import keras
import numpy as np


def set_seeds(seed: int) -> None:
    """Do what keras.utils.set_random_seed does, without its import of TensorFlow where JAX computes.

    On JAX all that our nets draw goes by seeds that Keras takes from Python's `random` when a layer is made.
    """
    if keras.backend.backend() == "jax" and "tensorflow" not in sys.modules:
        random.seed(seed)
        np.random.seed(seed)
    else:
        keras.utils.set_random_seed(seed)
