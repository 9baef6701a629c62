"""What the report of a run shows, gathered from the run."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fireweed.api.preparing import unmeasured_notes
from fireweed.data.catalog import PARTS, Catalog
from fireweed.evaluation.metrics import percent
from fireweed.evaluation.report import ReportContents, ShownPhoto
from fireweed.models.cost import layer_costs, total_cost
from fireweed.recipe import Recipe
from fireweed.resolving import norm_photos
from fireweed.run import RunFolder
from fireweed.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

    from fireweed.training.train import Outcome

GRID_PHOTOS = 40
BOTTLENECK_SHARE = 0.1  # of an epoch's training time spent waiting for photos, from which on it is said
MISTAKES = 24
CHANGED_MUCH = 0.02  # between two accuracies of the same weights


def report_contents(
    folder: RunFolder, recipe: Recipe, model: "keras.Model", outcome: "Outcome", catalog: Catalog,
    evaluation: dict[str, Any], squares: list[np.ndarray], probabilities: np.ndarray,
) -> ReportContents:  # fmt: skip
    """Gather the report's contents as plain values; `squares` and `probabilities` are of the validation photos."""
    validation = catalog.part("validation")
    return ReportContents(
        title=f"{recipe.name} on {catalog.title}",
        summary=_summary(recipe, model, catalog, evaluation),
        classes=catalog.classes,
        history=outcome.history,
        learning_rates=outcome.learning_rates,
        evaluation=evaluation,
        photos=_shown(_spread(len(validation)), validation, squares, probabilities),
        mistakes=_shown(_worst(validation.labels(), probabilities), validation, squares, probabilities),
        layers=layer_costs(model),
        total_cost=total_cost(model),
        split_counts=_split_counts(catalog),
        best_epoch=kept_weights(outcome),
        recipe_toml=recipe_to_share(folder),
        environment=_environment(folder.read_json("environment.json")),
        notes=[*catalog.notes, *unmeasured_notes(catalog), *training_notes(recipe, outcome, evaluation)],
        unreadable=catalog.unreadable,
    )


def recipe_to_share(folder: RunFolder) -> str:
    """Return recipe.toml from what was asked on: where the photos lie is nobody's business who is shown a report."""
    text = folder.file("recipe.toml").read_text(encoding="utf-8")
    return text[text.index("\n[asked]\n") + 1 :]  # a class may be called so


def kept_weights(outcome: "Outcome") -> str:
    """Return a phrase on which weights were kept."""
    if outcome.is_best:
        early = ", training stopped early" if outcome.stopped_early else ""
        return f"best epoch {outcome.kept_epoch} of {len(outcome.history)}, picked on the validation photos{early}"
    return f"final weights, after epoch {outcome.kept_epoch}; no epoch was picked"


def training_notes(recipe: Recipe, outcome: "Outcome", evaluation: dict[str, Any]) -> list[str]:
    """Return sentences on what people should know of a training beside its accuracy."""
    return [
        *outcome.notes, *bottleneck_notes(outcome.history), *norms_notes(recipe.training, outcome.history, evaluation)
    ]  # fmt: skip


def bottleneck_notes(history: list[dict[str, Any]]) -> list[str]:
    """Return a sentence on the epochs in which the step waited for photos, with the figure; none where it did not.

    history: rows of history.csv as numbers; those of older versions have no `share_of_seconds_waited`.
    """
    slow = [row for row in history if row.get("share_of_seconds_waited", 0) > BOTTLENECK_SHARE]
    if not slow:
        return []
    worst = max(slow, key=lambda row: row["share_of_seconds_waited"])
    where = f"{len(slow)} of {len(history)} epochs, most in epoch" if len(slow) > 1 else "epoch"
    return [
        f"input, not compute, was the bottleneck in {where} {worst['epoch']:.0f}: "
        f"{percent(worst['share_of_seconds_waited'], 0)} of its training time was spent waiting for photos "
        f"({worst['images_per_second']:,.0f} photos/s)"
    ]


def norms_notes(
    training: TrainingSettings, history: list[dict[str, Any]], evaluation: dict[str, Any]
) -> list[str]:  # fmt: skip
    """Return a sentence where norm statistics that were computed anew at the end changed the accuracy much."""
    before, after = (history[-1] if history else {}).get("val_accuracy"), evaluation["accuracy"]
    if not norm_photos(training, 1) or before is None or after is None or abs(after - before) < CHANGED_MUCH:
        return []
    return [
        f"after the last epoch the validation accuracy was {percent(before)}, and is {percent(after)} with norm "
        "statistics computed anew for the final weights (--set training.norm_photos=0 leaves them); a net trained for "
        "longer depends on them less"
    ]


def _environment(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what people want to see of environment.json."""
    device = facts.pop("device")
    return {**facts, "device": device["name"], "cores": device["cores"], "backend": device["backend"],
            "precision": device["precision"], "why": " ".join(device["reasons"])}  # fmt: skip


def _summary(recipe: Recipe, model: "keras.Model", catalog: Catalog, evaluation: dict[str, Any]) -> str:
    low, high = evaluation["interval_95"]
    name = "A net written as a line" if "|" in recipe.model.name else recipe.model.name
    return (
        f"{name}, {model.count_params():,} parameters, tells {len(catalog.classes)} classes apart: right on "
        f"{percent(evaluation['accuracy'])} of {evaluation['photos']:,} validation photos it was not trained on "
        f"({percent(low)} to {percent(high)} with 95% confidence)."
    )


def _spread(count: int) -> np.ndarray:
    """Choose photos evenly over the list, so that every class comes up."""
    return np.unique(np.linspace(0, count - 1, min(count, GRID_PHOTOS)).astype(int))


def _worst(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Choose the wrong answers, the surest first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:MISTAKES]


def _shown(
    chosen: np.ndarray, catalog: Catalog, squares: list[np.ndarray], probabilities: np.ndarray
) -> list[ShownPhoto]:
    return [
        ShownPhoto(
            name=catalog.photos[i].name or catalog.photos[i].path,
            image=squares[i],
            true=catalog.classes[catalog.photos[i].label],
            predicted=catalog.classes[int(probabilities[i].argmax())],
            probability=float(probabilities[i].max()),
        )
        for i in chosen
    ]


def _split_counts(catalog: Catalog) -> dict[str, dict[str, int]]:
    counts = {part: catalog.part(part).counts() for part in PARTS}
    return {name: {part: int(counts[part][i]) for part in PARTS} for i, name in enumerate(catalog.classes)}
