"""Which recipe a request means, and why."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireweed.models.registry import find_entry, imagenet_at_hand
from fireweed.recipe import AugmentSettings, Recipe, read_recipe, recipe_names
from fireweed.run import RunFolder

if TYPE_CHECKING:
    from fireweed.api.training import TrainRequest

PRETRAINED, SCRATCH = "xception", "squeezenet"  # the recipes that serve when none is named
WEIGHTS_HOST = "storage.googleapis.com"  # where keras.applications fetches its weights
TIMEOUT_SECONDS = 3.0


def choose_recipe(request: "TrainRequest") -> tuple[Recipe, str]:
    """Return the recipe that was asked for, all changes applied, and a sentence on why this one.

    Raises:
        RecipeError: an unknown recipe or setting. ModelError: an unknown net.
    """
    changes = _changes(request)
    if request.recipe is not None:
        name, why = request.recipe, f"recipe {request.recipe}"
        if request.model is not None:
            changes["model.name"] = find_entry(request.model).name
    elif request.model is not None:
        name, why = _recipe_for_model(request.model)
        changes["model.name"] = find_entry(request.model).name
        if changes["model.name"] != name:
            changes["name"] = changes["model.name"] if changes["model.name"].isidentifier() else "custom"
    else:
        name, why = _default_recipe(request)
    recipe = read_recipe(name, request.settings, changes)
    find_entry(recipe.model.name)  # an unknown net is told before any photo is read
    return recipe, why


def _changes(request: "TrainRequest") -> dict[str, Any]:
    changes: dict[str, Any] = {
        "model.weights": _weights(request.weights),
        "model.freeze": request.freeze,
        "training.epochs": request.epochs,
        "training.side": request.side,
        "training.seed": request.seed,
        "training.precision": request.precision,
    }
    if not request.augment:
        changes["augment"] = AugmentSettings.off().model_dump()
    elif not request.flip:
        changes["augment.flip"] = False
    return changes


def _recipe_for_model(model: str) -> tuple[str, str]:
    entry = find_entry(model)
    if entry.name in recipe_names():
        return entry.name, f"recipe {entry.name}, the one for this net"
    if entry.pretrained:
        return PRETRAINED, f"the settings of recipe {PRETRAINED}, as for all pretrained nets"
    return SCRATCH, f"the settings of recipe {SCRATCH}, as for all nets from scratch"


def _default_recipe(request: "TrainRequest") -> tuple[str, str]:
    if request.out and RunFolder(Path(request.out)).is_started:
        name = RunFolder(Path(request.out)).facts().asked.name
        if name in recipe_names():
            return name, f"recipe {name}, as this run began"
    if _is_file(request.weights) or imagenet_at_hand(PRETRAINED):
        return PRETRAINED, f"recipe {PRETRAINED}: pretrained weights are at hand, and fine-tuning needs fewest photos"
    if request.weights != "none" and _reaches(WEIGHTS_HOST):
        return (
            PRETRAINED,
            f"recipe {PRETRAINED}: pretrained weights can be fetched, and fine-tuning needs fewest photos",
        )
    return SCRATCH, (
        f"recipe {SCRATCH}, from scratch: pretrained weights are not at hand and cannot be fetched from "
        f"{WEIGHTS_HOST}; --weights FILE would fine-tune a pretrained net"
    )


def _weights(weights: str | None) -> str | None:
    """Return the weights as the recipe holds them: a file by a path that holds from anywhere."""
    return str(Path(weights).absolute()) if weights and _is_file(weights) else weights


def _is_file(weights: str | None) -> bool:
    return weights not in (None, "none", "imagenet")


def _reaches(host: str) -> bool:
    try:
        with socket.create_connection((host, 443), timeout=TIMEOUT_SECONDS):
            return True
    except OSError:
        return False
