"""The figures of the labs, drawn by program; each function returns a Figure that a notebook shows."""

from fireweed.teaching.figures.descent import show_descent, show_paths
from fireweed.teaching.figures.feeding import show_moves, show_rates, show_same_losses, show_timeline
from fireweed.teaching.figures.filters import (
    show_answers,
    show_channels,
    show_cubes,
    show_filters,
    show_maps,
    show_reach,
    show_window,
    show_windows,
)
from fireweed.teaching.figures.finetuning import show_asked, show_learning_rates, show_old_and_new
from fireweed.teaching.figures.learning import show_answered, show_curves, show_net
from fireweed.teaching.figures.machines import show_bits, show_ring, show_systolic
from fireweed.teaching.figures.neurons import (
    show_activations,
    show_batch_product,
    show_layers,
    show_loss,
    show_neuron,
    show_softmax,
    show_weights,
)
from fireweed.teaching.figures.norms import show_changes, show_following, show_spreads
from fireweed.teaching.figures.pixels import show_features, show_numbers, show_photos
from fireweed.teaching.figures.separable import show_shares, show_two_stages
from fireweed.teaching.figures.tries import show_costs, show_curves_together, show_goals, show_tries

__all__ = [
    "show_activations",
    "show_answered",
    "show_answers",
    "show_asked",
    "show_batch_product",
    "show_bits",
    "show_changes",
    "show_channels",
    "show_costs",
    "show_cubes",
    "show_curves",
    "show_curves_together",
    "show_descent",
    "show_features",
    "show_filters",
    "show_following",
    "show_goals",
    "show_layers",
    "show_learning_rates",
    "show_loss",
    "show_maps",
    "show_moves",
    "show_net",
    "show_neuron",
    "show_numbers",
    "show_old_and_new",
    "show_paths",
    "show_photos",
    "show_rates",
    "show_reach",
    "show_ring",
    "show_same_losses",
    "show_shares",
    "show_softmax",
    "show_spreads",
    "show_systolic",
    "show_timeline",
    "show_tries",
    "show_two_stages",
    "show_weights",
    "show_window",
    "show_windows",
]
