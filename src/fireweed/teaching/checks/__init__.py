"""The checks of the labs' exercises: each runs the reader's function on several inputs and says what it finds."""

from fireweed.teaching.checks.changing import check_augment
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
from fireweed.teaching.checks.finetuning import check_freeze, check_learning_rate
from fireweed.teaching.checks.fire import check_fire, check_fire_line, check_fire_weights
from fireweed.teaching.checks.norms import check_batch_norm, check_epochs_to_forget
from fireweed.teaching.checks.pixels import (
    check_cross_entropy,
    check_dense_weights,
    check_momentum,
    check_neuron,
    check_softmax,
)
from fireweed.teaching.checks.separable import check_both_products, check_both_weights, check_separable

__all__ = [
    "check_augment",
    "check_batch_norm",
    "check_both_products",
    "check_both_weights",
    "check_busy_share",
    "check_combined",
    "check_conv_weights",
    "check_cross_entropy",
    "check_dense_weights",
    "check_epochs_to_forget",
    "check_fire",
    "check_fire_line",
    "check_fire_weights",
    "check_freeze",
    "check_learning_rate",
    "check_max_pool",
    "check_momentum",
    "check_net_line",
    "check_neuron",
    "check_pipeline_rate",
    "check_reach",
    "check_read_record",
    "check_sent_numbers",
    "check_separable",
    "check_slide",
    "check_softmax",
    "check_to_bfloat16",
]
