"""Which recipe a request means, and why."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireweed.errors import BundleError, ModelError, RecipeError
from fireweed.files import absolute
from fireweed.mirror import place_of
from fireweed.models.registry import find_entry, imagenet_at_hand
from fireweed.recipe import Recipe, read_recipe, recipe_names, with_epochs
from fireweed.run import RunFolder
from fireweed.settings import AugmentSettings

if TYPE_CHECKING:
    from fireweed.api.training import TrainRequest

PRETRAINED, FROZEN, SCRATCH = "xception", "frozen", "firenet"  # the recipes that serve when none is named
WEIGHTS_HOST = "storage.googleapis.com"  # where keras.applications fetches its weights
TIMEOUT_SECONDS = 3.0
MAX_FACTS_BYTES = 8 << 20


def choose_recipe(request: "TrainRequest") -> tuple[Recipe, str]:
    """Return the recipe that was asked for, all changes applied, and a sentence on why this one.

    Raises:
        RecipeError: an unknown recipe or setting, or options that exclude each other.
        ModelError: an unknown net, or a side that it cannot have. BundleError: there is no such weight file.
    """
    if request.repeat is not None:
        return RunFolder(Path(request.repeat)).facts().asked, f"recipe, seed and options as in {request.repeat}"
    changes = _changes(request)
    if request.recipe is not None:
        name, why = request.recipe, f"recipe {request.recipe}"
        if request.model is not None:
            changes["model.name"] = find_entry(request.model).name
    elif request.model is not None:
        name, why = _recipe_for_model(request.model, bool(request.freeze))
        changes["model.name"] = find_entry(request.model).name
        if changes["model.name"] != name:
            is_word = re.fullmatch(r"[\w.-]+", changes["model.name"])
            changes["name"] = changes["model.name"] if is_word else "custom"
    else:
        name, why = _default_recipe(request)
    recipe = read_recipe(name, request.settings, changes)
    _check(request, recipe)
    return recipe, why


def _changes(request: "TrainRequest") -> dict[str, Any]:
    changes: dict[str, Any] = {
        "model.weights": _weights(request.weights),
        "model.freeze": request.freeze,
        "training.epochs": request.epochs,
        "training.side": request.side,
        "training.seed": request.seed,
        "training.precision": request.precision,
        "training.compile": request.compile,
    }
    if not request.augment:
        changes["augment"] = AugmentSettings.off().model_dump()
    elif not request.flip:
        changes["augment.flip"] = False
    return changes


def _check(request: "TrainRequest", recipe: Recipe) -> None:
    """Find before any photo is read what would stop the training after all were."""
    entry, training = find_entry(recipe.model.name), recipe.training
    sides = [training.side] if training.side else [phase.side for phase in training.phases]
    if not entry.has_flatten:
        phases = with_epochs(training.phases, training.epochs or recipe.total_epochs)  # few may leave the last one out
        sides.append(recipe.with_training(phases=phases).evaluation_side)
    for side in sides:
        if not entry.min_side_px <= side <= entry.max_side_px:
            raise ModelError(
                f"side {side} px is not one that '{entry.name}' can have; "
                f"choose from {entry.min_side_px} to {entry.max_side_px} px"
            )
    weights = recipe.model.weights
    if _is_file(weights) and not Path(weights).exists():
        raise BundleError(
            f"there is no weight file {weights}; give a .weights.h5, .h5 or .keras file, or a run's folder"
        )
    if recipe.model.freeze and not entry.pretrained:
        raise ModelError(f"'{entry.name}' has no pretrained part to freeze; `fireweed models` says which nets have one")
    if weights == "imagenet" and not entry.pretrained:
        raise ModelError(
            f"there are no ImageNet weights for '{entry.name}'; `fireweed models` says which nets have them"
        )
    minutes = request.minutes
    if minutes is not None:
        if not 0 < minutes < float("inf"):
            raise RecipeError(f"--minutes wants a time above 0, received {minutes}")
        if recipe.training.epochs is not None:
            raise RecipeError("--minutes picks the epochs, and --epochs says them; give one of the two")
        if request.deterministic:
            raise RecipeError("--minutes goes by the clock, and no two runs are alike; leave --deterministic out")


def _recipe_for_model(model: str, is_frozen: bool) -> tuple[str, str]:
    entry = find_entry(model)
    if entry.pretrained and is_frozen:
        return FROZEN, f"the settings of recipe {FROZEN}, as for all pretrained nets that are frozen"
    if entry.name in recipe_names():
        return entry.name, f"recipe {entry.name}, the one for this net"
    if entry.pretrained:
        return PRETRAINED, f"the settings of recipe {PRETRAINED}, as for all pretrained nets"
    return SCRATCH, f"the settings of recipe {SCRATCH}, as for all nets from scratch"


def _default_recipe(request: "TrainRequest") -> tuple[str, str]:
    there = RunFolder(place_of(request.out)) if request.out else None
    if there and there.is_started:
        name = there.facts().asked.name
        if name in recipe_names():
            return name, f"recipe {name}, as this run began"
    if request.weights == "none":
        return SCRATCH, f"recipe {SCRATCH}, from scratch as asked"
    pretrained = FROZEN if request.freeze else PRETRAINED
    if request.weights == "imagenet":
        return pretrained, f"recipe {pretrained}, from ImageNet weights as asked"
    if request.weights is not None:
        net = _net_of(absolute(request.weights))
        name = pretrained
        if net in recipe_names() and not (request.freeze and find_entry(net).pretrained):
            name = net
        return name, f"recipe {name}, from the weights in {request.weights}"
    if imagenet_at_hand(PRETRAINED):
        return pretrained, f"recipe {pretrained}: pretrained weights are at hand, and such a net needs fewest photos"
    if _reaches(WEIGHTS_HOST):
        return pretrained, f"recipe {pretrained}: pretrained weights can be fetched, and such a net needs fewest photos"
    return SCRATCH, (
        f"recipe {SCRATCH}, from scratch: pretrained weights are not at hand and cannot be fetched from "
        f"{WEIGHTS_HOST}; --weights FILE would fine-tune a pretrained net"
    )


def _weights(weights: str | None) -> str | None:
    """Return the weights as the recipe holds them: a file by a path that holds from anywhere."""
    return str(absolute(weights)) if weights is not None and _is_file(weights) else weights


def _is_file(weights: str | None) -> bool:
    return weights not in (None, "none", "imagenet")


def _net_of(weights: Path) -> str | None:
    """Return the net that a bundle's fireweed.json names; None for other weight files. Only ever held against names."""
    facts = (weights if weights.is_dir() else weights.parent) / "fireweed.json"
    try:
        return str(json.loads(facts.read_bytes()[:MAX_FACTS_BYTES]).get("model"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def _reaches(host: str) -> bool:
    """Return whether the host answers at all, through a proxy where one is set."""
    try:
        with urllib.request.urlopen(f"https://{host}/", timeout=TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
