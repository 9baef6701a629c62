"""The engine's choice for a run: what is remembered or tried here, put into the resolved recipe."""

from dataclasses import replace

from fireweed.api.timing import expected_seconds, known_figures, main_side, speed_name
from fireweed.devices import DeviceChoice
from fireweed.devices.layout import replicas
from fireweed.devices.process import needed_environment
from fireweed.recipe import Recipe
from fireweed.remembered import Figures, remember
from fireweed.reporting import Reporter, duration
from fireweed.resolving import Resolved
from fireweed.training.choices import choose_compile
from fireweed.training.trial import run_trial


def with_compile(
    resolved: Resolved, classes: int, photos: int, validated: int, choice: DeviceChoice, is_repeatable: bool,
    may_try: bool, reporter: Reporter,
) -> Resolved:  # fmt: skip
    """Return the recipe with `training.compile` decided, and a note that says what and why.

    photos, validated: how many there are to train on and to validate on.
    is_repeatable: neither time anything nor go by what was timed before, so that the same command chooses the same.
    may_try:       whether there is time for a trial.
    """
    recipe = resolved.recipe
    side = main_side(recipe.training.phases)
    known: Figures = {}
    expected = None
    is_whole = not recipe.model.freeze  # a frozen net's steps are those of its head, too short to be worth a trial
    if recipe.training.compile == "auto" and choice.backend == "tensorflow" and not is_repeatable and is_whole:
        known = known_figures(recipe, side, choice)
        expected = expected_seconds(recipe, classes, photos, validated, choice) if may_try else None

    def trial(limit_seconds: float) -> Figures:
        reporter.say(f"trying XLA on a copy at {side} px, for {duration(limit_seconds)} at most")
        return try_xla(recipe, classes, side, choice, limit_seconds)

    chosen = choose_compile(
        recipe, choice.backend, choice.kind, known, expected[0] if expected else None, trial, replicas()
    )
    return replace(
        resolved, recipe=recipe.with_training(compile=chosen.compile), notes=(*resolved.notes, chosen.sentence)
    )


def try_xla(recipe: Recipe, classes: int, side: int, choice: DeviceChoice, limit_seconds: float) -> Figures:
    """Try XLA in a child process prepared like this one, and remember what was measured."""
    figures = run_trial(recipe, classes, side, limit_seconds, needed_environment(choice))
    remember(speed_name(recipe, side, choice), figures)
    return figures
