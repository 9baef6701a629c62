"""`fireweed train --repeat`: a finished run again, beside it, and how far apart the two are."""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fireweed.api.training import TrainRequest, train_run
from fireweed.errors import RecipeError, RunError
from fireweed.files import absolute, write_bytes
from fireweed.recipe import where_wrong
from fireweed.reporting import Reporter
from fireweed.run import TIME_COLUMNS, RunFolder, open_run

MAY_DIFFER = {"data", "device", "backend", "devices", "resident", "checkpoint_minutes", "repeat"}
COMPARED = ("fireweed", "git", "python", "system", "packages", "kernels", "hosts")


class _Device(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    kind: str
    count: int = Field(ge=1)
    backend: str
    name: str


class _Environment(BaseModel):
    """What is used of environment.json; what is only compared may be anything."""

    model_config = ConfigDict(extra="allow")

    device: _Device


def repeat_request(asked: TrainRequest) -> TrainRequest:
    """Return what repeats the run that `asked.repeat` names: its recipe, data, seed, options and kind of device.

    Raises:
        RecipeError: something else is asked for beside it. RunError: there is no such run, or it is not finished.
    """
    plain = TrainRequest(data="")
    others = [
        field.name.replace("_", "-")
        for field in dataclasses.fields(asked)
        if field.name not in MAY_DIFFER and getattr(asked, field.name) != getattr(plain, field.name)
    ]
    if others:
        name = "set" if others[0] == "settings" else others[0]
        raise RecipeError(f"--repeat takes recipe, seed and options from the run; leave --{name} out")
    run = open_run(absolute(asked.repeat or ""))
    if not run.is_finished:
        raise RunError(f"{run.path} is not finished, so there is nothing to compare with; let it go on first")
    facts, device = run.facts(), _environment(run).device
    is_many = device.kind != "cpu" and device.count > 1
    return dataclasses.replace(
        asked,
        data=asked.data or facts.data,
        minutes=facts.options.get("minutes"),
        deterministic=facts.options.get("deterministic", False),
        device=device.kind if asked.device == "auto" else asked.device,
        backend=asked.backend or device.backend,
        devices=asked.devices or (device.count if is_many else None),
        out=str(_folder_for(run).path),
        repeat=str(run.path),
    )


def repeat_run(request: TrainRequest, reporter: Reporter, started: float | None = None) -> dict[str, Any]:
    """Carry out what `repeat_request` gave, and return how far apart the two runs are; also in repeat.json.

    Raises:
        RunError: the photos are not those of the run.
    """
    first, second = open_run(request.repeat or ""), RunFolder(Path(request.out or ""))
    if not second.is_started:  # a run that has begun goes by what was resolved then, also by what was measured
        second.make()
        for name in ("photos.csv", "recipe.toml"):
            try:
                data = first.file(name).read_bytes()
            except OSError as error:
                raise RunError(f"{first.file(name)} cannot be read ({error.strerror or error})") from error
            write_bytes(second.file(name), data)
    train_run(request, reporter, started)
    found = differences(first, second)
    second.write_json("repeat.json", found)
    for line in in_words(found):
        reporter.say(line)
    return found


def differences(first: RunFolder, second: RunFolder) -> dict[str, Any]:
    """Return how far apart two finished runs are, JSON-ready.

    Figures that are no numbers, such as infinite ones, are None.

    is_equal:    whether history, its time columns aside, and weights are the same, bit for bit.
    first_epoch: from which on the histories differ, counted from 1, or None; columns: the largest difference of each.
    weights:     the largest difference of any, and the norm of all differences over that of all weights.
    environment: what else differs: name -> [first, second].
    """
    rows = [
        [{name: value for name, value in row.items() if name not in TIME_COLUMNS} for row in run.history()]
        for run in (first, second)
    ]
    pairs = list(zip(*rows, strict=False))
    differing = [number for number, (ours, theirs) in enumerate(pairs, 1) if ours != theirs]
    if len(rows[0]) != len(rows[1]):
        differing.append(len(pairs) + 1)
    columns = {
        name: max((_apart(ours.get(name, 0.0), theirs.get(name, 0.0)) for ours, theirs in pairs), default=0.0)
        for name in (rows[0][0] if rows[0] else {})
    }
    weights = _weights_apart(first, second)
    here, there = ({**found.model_dump(), "device": found.device.name} for found in map(_environment, (first, second)))
    return {
        "run": first.path.name,
        "is_equal": not differing and weights["largest"] == 0,
        "epochs": [len(of_run) for of_run in rows],
        "first_epoch": differing[0] if differing else None,
        "columns": {name: value if math.isfinite(value) else None for name, value in columns.items() if value},
        "weights": weights,
        "environment": {
            name: [here.get(name), there.get(name)]
            for name in (*COMPARED, "device")
            if here.get(name) != there.get(name)
        },
    }


def in_words(found: dict[str, Any]) -> list[str]:
    """Return sentences on what `differences` found."""
    if found["is_equal"]:
        return [f"equal: history and weights are those of {found['run']}, bit for bit"]
    lines = []
    if found["first_epoch"] is None:
        lines.append(f"the history is that of {found['run']}")
    else:
        apart = ", ".join(
            f"{name} {value:.3g}" if value is not None else f"{name} without bounds"
            for name, value in found["columns"].items()
        )
        lines.append(
            f"not equal: the history is another than that of {found['run']} from epoch {found['first_epoch']} on "
            f"(largest differences: {apart or 'none in the epochs that both have'})"
        )
    weights = found["weights"]
    lines.append(
        f"the weights are up to {weights['largest']:.3g} apart, {weights['share']:.2%} of their size in all"
        if weights["largest"]
        else "the weights are the same"
    )
    if found["environment"]:
        lines.append(f"what else differs: {', '.join(found['environment'])} (see environment.json of both)")
    return lines


def _environment(run: RunFolder) -> _Environment:
    try:
        return _Environment.model_validate(run.read_json("environment.json"))
    except ValidationError as error:
        where = where_wrong(error) or "all"
        raise RunError(
            f"{run.file('environment.json')} is not what a run writes, or damaged: look at '{where}'"
        ) from error


def _apart(one: float, other: float) -> float:
    """Return how far apart two figures are; infinite where one alone is no number."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    apart = abs(one - other)
    return math.inf if math.isnan(apart) else apart


def _folder_for(run: RunFolder) -> RunFolder:
    """Return where a repetition goes: into the first one that is not finished, or a new folder."""
    folders = (RunFolder(run.path.with_name(f"{run.path.name}-repeat-{n}")) for n in itertools.count(1))
    return next(folder for folder in folders if not folder.is_finished)


def _weights_apart(first: RunFolder, second: RunFolder) -> dict[str, float]:
    from fireweed.bundle import open_bundle

    ours, theirs = (
        [np.asarray(w, np.float64) for w in open_bundle(r.path).model.get_weights()] for r in (first, second)
    )
    if [one.shape for one in ours] != [one.shape for one in theirs]:
        raise RunError(f"{first.file('model.keras')} is of another net than its recipe.toml says; one was changed")
    apart = [a - b for a, b in zip(ours, theirs, strict=True)]
    size = sum(float(np.square(one).sum()) for one in ours)
    return {
        "largest": max((float(np.abs(one).max(initial=0.0)) for one in apart), default=0.0),
        "share": (sum(float(np.square(one).sum()) for one in apart) / max(size, 1e-300)) ** 0.5,
    }
