"""The checks of the labs' exercises: each runs the reader's function on several inputs and says what it finds."""

from fireweed.teaching.checks.convolutions import (
    check_conv_weights,
    check_max_pool,
    check_net_line,
    check_reach,
    check_slide,
)
from fireweed.teaching.checks.pixels import (
    check_cross_entropy,
    check_dense_weights,
    check_momentum,
    check_neuron,
    check_softmax,
)

__all__ = [
    "check_conv_weights",
    "check_cross_entropy",
    "check_dense_weights",
    "check_max_pool",
    "check_momentum",
    "check_net_line",
    "check_neuron",
    "check_reach",
    "check_slide",
    "check_softmax",
]
