"""What a training is going to do, told before it begins."""

from typing import Any

from fireweed.devices import DeviceChoice
from fireweed.kernels.native import library_name
from fireweed.recipe import Recipe
from fireweed.reporting import Reporter, duration
from fireweed.resolving import view_of_epochs
from fireweed.text import counted


def announce(
    recipe: Recipe, model: Any, classes: int, parts: Any, choice: DeviceChoice, reporter: Reporter,
    minutes: float | None,
) -> None:  # fmt: skip
    """Say the net, its epochs and steps, what computes, where decoded photos are kept, and how long it may take."""
    from fireweed.api.feature_time import expected_head_seconds
    from fireweed.api.timing import expected_seconds

    phases = ", ".join(f"{p.epochs} at {p.side} px" for p in recipe.training.phases)
    reporter.say(
        f"{recipe.model.name}: {model.count_params():,} parameters; "
        f"{counted(recipe.total_epochs, 'epoch')} ({phases}), batch {recipe.training.batch}, "
        f"{counted(parts.steps, 'step')} an epoch"
    )
    if choice.kind == "cpu" and choice.backend == "tensorflow" and recipe.training.compile != "xla":
        name = library_name()
        reporter.say(
            f"kernels: {name}, compiled for such chips" if name != "none"
            else "kernels: none; where Fireweed is installed with a C compiler, training on a CPU is faster"
        )  # fmt: skip
    for note in parts.cache_notes():
        reporter.say(note)
    if minutes is not None:
        return  # it ends with the time
    expected = None
    if recipe.model.freeze:
        views = len(set(view_of_epochs(recipe.training)))
        frozen, head = (
            ("frozen", "the head is") if recipe.model.freeze is True
            else (f"frozen up to {recipe.model.freeze}", "the layers behind are")
        )  # fmt: skip
        reporter.say(f"{frozen}: features of {counted(views, 'view')} of the photos, then {head} trained on them")
        expected = expected_head_seconds(recipe, classes, parts.photos, len(parts.validation_labels), choice)
    elif parts.plan.hosts == 1:
        expected = expected_seconds(recipe, classes, parts.photos, len(parts.validation_labels), choice)
    if expected is None:
        reporter.say("how long it takes shows in the first epoch; --epochs, --side or --minutes make it shorter")
    else:
        seconds, basis = expected
        reporter.say(f"expected: about {duration(seconds)} ({basis}); --epochs, --side or --minutes make it shorter")
