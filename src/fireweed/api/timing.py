"""How long a training will take: from what this machine did before, else from how fast it multiplies."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from fireweed.api.limits import matrix_rate
from fireweed.devices import DeviceChoice
from fireweed.devices.machine import installed_version
from fireweed.kernels.native import library_name
from fireweed.models.registry import build_model, find_entry
from fireweed.recipe import Recipe
from fireweed.remembered import Figures, remember, remembered
from fireweed.resolving import validate_every
from fireweed.settings import Phase
from fireweed.version import __version__

if TYPE_CHECKING:
    from fireweed.training.stepping import Speed

PASSES = 3  # a training step costs about three forward passes: forward, and two gradients
# What steps and answers reach of the rate of NumPy's matrix product in float32, about, as docs/speed.md has it: nets of
# wide 1x1 convolutions, on units for bfloat16 too; nets that the compiled kernels do; all others.
SHARE_OF_WIDE, SHARE_OF_WIDE_IN_BF16, SHARE_BY_KERNELS, SHARE_OF_OTHERS = 0.7, 1.0, 0.7, 0.3
FORWARD = 1 / PASSES  # of a training step's time
CHECKPOINT_SECONDS = 0.3
# Of bundle, evaluation and report, on 2 cores: building the net to keep and tracing it, and writing its weights.
GUESSED_FINISH_SECONDS, FINISH_SECONDS_PER_LAYER, SECONDS_PER_PARAMETER = 1.0, 0.07, 3e-7
GROUNDS = ("from earlier runs here", "from steps timed here", "a rough guess; the first epoch shows more")


def expected_seconds(
    recipe: Recipe, classes: int, photos: int, validated: int, choice: DeviceChoice
) -> tuple[float, str] | None:  # fmt: skip
    """Return the seconds that the epochs of a resolved recipe will take, and what that rests on.

    photos: trained on in an epoch. validated: validation photos.

    None where nothing says it: the CPU's matrix rate tells nothing of an accelerator.
    """
    known = remembered()
    seconds, weakest, by_side = 0.0, 0, {}
    for phase in recipe.training.phases:
        figures = known.get(speed_name(recipe, phase.side, choice), {})
        kind = "xla" if recipe.training.compile == "xla" else "none"
        rates = [figures.get(f"run {kind}", 0.0), figures.get(f"step {kind}", 0.0)]
        if not any(rates):
            if choice.kind != "cpu":
                return None
            rates.append(guessed_rate(recipe, classes, phase.side, choice))
        ground = next(number for number, rate in enumerate(rates) if rate)
        seconds += phase.epochs * photos / rates[ground]
        by_side[phase.side] = rates[ground]
        weakest = max(weakest, ground)
    forward = FORWARD / rate_by_pixels(by_side, recipe.evaluation_side)
    return seconds + recipe.total_epochs * seconds_to_validate(recipe, photos, validated, forward), GROUNDS[weakest]


def seconds_to_validate(recipe: Recipe, photos: int, validated: int, forward: float) -> float:
    """Return the seconds between an epoch's last step and the next epoch, on average, where not all are validated.

    forward: seconds that the net needs for a photo.
    """
    return CHECKPOINT_SECONDS + validated * forward / validate_every(recipe.training, photos, validated)


def remember_rates(recipe: Recipe, rates: Mapping[int, float], choice: DeviceChoice) -> None:
    """Keep the images/s of a run's steps at each side for later estimates; a frozen net's are those of its head."""
    name = "run xla" if recipe.training.compile == "xla" else "run none"
    for side, rate in rates.items():
        remember(speed_name(recipe, side, choice), {"head" if recipe.model.freeze else name: rate})


def seconds_to_finish(recipe: Recipe, classes: int, photos: int, forward: float, choice: DeviceChoice) -> float:
    """Return the seconds from the last epoch's end to the report, as the last such run here took them, else a guess.

    photos, forward: how many the net sees in that time, and the seconds that it needs for one.
    """
    known = remembered().get(_finish_name(recipe, choice), {})
    if "seconds" in known and "photos" in known:
        return max(0.5, known["seconds"] + forward * (photos - known["photos"]))
    parameters, layers = net_size(recipe, classes)
    own = SECONDS_PER_PARAMETER * parameters + FINISH_SECONDS_PER_LAYER * layers
    return GUESSED_FINISH_SECONDS + own + forward * photos


def remember_finish(recipe: Recipe, photos: int, seconds: float, choice: DeviceChoice) -> None:
    """Keep how long the end of a run took, for the next one that has to end in time; see `seconds_to_finish`."""
    remember(_finish_name(recipe, choice), {"seconds": seconds, "photos": photos})


def is_finish_known(recipe: Recipe, choice: DeviceChoice) -> bool:
    """Return whether `seconds_to_finish` goes by an earlier run, and does not guess."""
    return "seconds" in remembered().get(_finish_name(recipe, choice), {})


def _finish_name(recipe: Recipe, choice: DeviceChoice) -> str:
    return f"end of {speed_name(recipe, recipe.evaluation_side, choice)}"


def measured_speed(
    recipe: Recipe, classes: int, side: int, choice: DeviceChoice, least_steps: int = 3, most_steps: int = 3,
    enough_seconds: float = 0.0,
) -> "Speed":  # fmt: skip
    """Time steps of a resolved recipe as `time_steps` does, and remember what was found for later estimates."""
    from fireweed.training.stepping import time_steps

    kind = recipe.training.compile
    speed = time_steps(recipe, classes, side, kind, least_steps, most_steps, enough_seconds)
    figures = {f"step {kind}": speed.images_per_second, f"first {kind}": speed.first_step_seconds}
    remember(speed_name(recipe, side, choice), figures)
    return speed


def speed_name(recipe: Recipe, side: int, choice: DeviceChoice) -> str:
    """Return the name under which figures of such steps are remembered: all that they depend on."""
    freeze = recipe.model.freeze
    frozen = f" frozen up to {freeze}" if isinstance(freeze, str) else " frozen" if freeze else ""
    norms = " norms frozen" if recipe.training.norms == "frozen" else ""
    cpu = next((found for found in choice.found if found.kind == "cpu"), None)
    chip = [choice.name, *(cpu.features if cpu else ()), f"{choice.cores} cores"]
    versions = [f"{name} {installed_version(name)}" for name in dict.fromkeys(("keras", choice.backend))]
    return ", ".join([
        f"{recipe.model.name}{frozen}{norms} {side} px", f"batch {recipe.training.batch}", recipe.training.optimizer,
        recipe.training.precision,
        " ".join(chip), f"kernels {library_name()}", *versions, f"fireweed {__version__}",
    ])  # fmt: skip


def main_side(phases: tuple[Phase, ...]) -> int:
    """Return the side at which a training spends most of its time."""
    return max(phases, key=lambda phase: phase.epochs * phase.side**2).side


def known_figures(recipe: Recipe, side: int, choice: DeviceChoice) -> Figures:
    """Return what is remembered of a resolved recipe's steps at `side` px."""
    return remembered().get(speed_name(recipe, side, choice), {})


def nearest_side(known: Iterable[int], side: int) -> int:
    """Return the known side that is nearest to another."""
    return min(known, key=lambda one: abs(one - side))


def rate_by_pixels(rates: Mapping[int, float], side: int) -> float:
    """Return the images/s at a side, as the pixels at the nearest side of known rate let expect."""
    nearest = nearest_side(rates, side)
    return rates[nearest] * (nearest / side) ** 2


@cache
def multiply_adds(net: str, classes: int, side: int) -> int:
    """Return the multiply-adds of one forward pass over one photo at `side`."""
    from fireweed.models.cost import total_cost

    return total_cost(build_model(net, classes, side)).multiply_adds


@cache
def head_multiply_adds(net: str, classes: int, side: int, freeze: bool | str) -> int:
    """Return the multiply-adds of one forward pass of what learns in a frozen net, on features at `side`."""
    from fireweed.models.cost import total_cost
    from fireweed.models.pretrained import split_frozen

    backbone, _ = split_frozen(build_model(net, classes, side, freeze=freeze), freeze)
    return multiply_adds(net, classes, side) - total_cost(backbone).multiply_adds


def net_size(recipe: Recipe, classes: int) -> tuple[int, int]:
    """Return how many parameters and layers a recipe's net has."""
    side = recipe.evaluation_side if find_entry(recipe.model.name).has_flatten else None
    return _size(recipe.model.name, classes, side)


@cache
def _size(net: str, classes: int, side: int | None) -> tuple[int, int]:
    model = build_model(net, classes, side)
    return int(model.count_params()), len(model.layers)


def guessed_rate(recipe: Recipe, classes: int, side: int, choice: DeviceChoice, passes: int = PASSES) -> float:
    """Return the images/s that a CPU may reach, guessed from its matrix rate; passes: forward passes' work a photo."""
    each = multiply_adds(recipe.model.name, classes, side)
    return guessed_multiply_adds(recipe, choice) / (passes * max(each, 1))


def guessed_multiply_adds(recipe: Recipe, choice: DeviceChoice) -> float:
    """Return the multiply-adds per second that a recipe's net may reach on a CPU."""
    entry, precision = find_entry(recipe.model.name), recipe.training.precision
    has_units = any("BF16" in found.features for found in choice.found if found.kind == "cpu")
    if entry.is_wide and precision == "mixed_bfloat16" and has_units:
        share = SHARE_OF_WIDE_IN_BF16
    elif precision != "float32":
        share = SHARE_OF_OTHERS
    elif entry.is_wide:
        share = SHARE_OF_WIDE
    else:
        by_kernels = choice.backend == "tensorflow" and recipe.training.compile != "xla" and library_name() != "none"
        share = SHARE_BY_KERNELS if by_kernels and not entry.pretrained else SHARE_OF_OTHERS
    return share * matrix_rate()
