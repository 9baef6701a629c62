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
from fireweed.teaching.figures.pixels import show_features, show_numbers, show_photos

__all__ = [
    "show_activations",
    "show_answered",
    "show_answers",
    "show_batch_product",
    "show_bits",
    "show_channels",
    "show_cubes",
    "show_curves",
    "show_descent",
    "show_features",
    "show_filters",
    "show_layers",
    "show_loss",
    "show_maps",
    "show_moves",
    "show_net",
    "show_neuron",
    "show_numbers",
    "show_paths",
    "show_photos",
    "show_rates",
    "show_reach",
    "show_ring",
    "show_same_losses",
    "show_softmax",
    "show_systolic",
    "show_timeline",
    "show_weights",
    "show_window",
    "show_windows",
]
