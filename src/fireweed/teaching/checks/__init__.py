"""The checks of the labs' exercises: each runs the reader's function on several inputs and says what it finds."""

from fireweed.teaching.checks.convolutions import (
    check_conv_weights,
    check_max_pool,
    check_net_line,
    check_reach,
    check_slide,
)
from fireweed.teaching.checks.feeding import (
    check_busy_share,
    check_combined,
    check_pipeline_rate,
    check_read_record,
    check_sent_numbers,
    check_to_bfloat16,
)
from fireweed.teaching.checks.pixels import (
    check_cross_entropy,
    check_dense_weights,
    check_momentum,
    check_neuron,
    check_softmax,
)

__all__ = [
    "check_busy_share",
    "check_combined",
    "check_conv_weights",
    "check_cross_entropy",
    "check_dense_weights",
    "check_max_pool",
    "check_momentum",
    "check_net_line",
    "check_neuron",
    "check_pipeline_rate",
    "check_reach",
    "check_read_record",
    "check_sent_numbers",
    "check_slide",
    "check_softmax",
    "check_to_bfloat16",
]
