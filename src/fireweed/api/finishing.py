"""The end of a run: bundle, evaluation of the validation part, report, and what to do next."""

import shlex
from typing import TYPE_CHECKING, Any

import numpy as np

from fireweed.api.building import TrainingParts, build_for_keeping
from fireweed.api.judging import evaluation_of
from fireweed.api.reporting import kept_weights, report_contents, training_notes
from fireweed.bundle import Bundle, write_bundle
from fireweed.data.catalog import PARTS, Catalog
from fireweed.devices.backends import quietly
from fireweed.evaluation.confusion import about_balance
from fireweed.evaluation.metrics import percent
from fireweed.recipe import Recipe
from fireweed.reporting import Reporter
from fireweed.run import RunFolder
from fireweed.serving.predict import predict_arrays

if TYPE_CHECKING:
    import keras

    from fireweed.training.health import FailedTrainingError
    from fireweed.training.train import Outcome


def finish(
    folder: RunFolder, recipe: Recipe, trained: "keras.Model", outcome: "Outcome", parts: TrainingParts,
    catalog: Catalog, reporter: Reporter,
) -> None:  # fmt: skip
    """Judge the net to keep, write it as a bundle, and write the report, the last file of a run."""
    from fireweed.evaluation.report import write_report

    plain, squares, probabilities, evaluation = _keep(folder, recipe, trained, outcome, parts, catalog)
    contents = report_contents(folder, recipe, plain, outcome, catalog, evaluation, squares, probabilities)
    write_report(folder.file("report.html"), contents)
    _say_result(folder, recipe, outcome, evaluation, reporter)


def keep_last_good(
    folder: RunFolder, recipe: Recipe, failure: "FailedTrainingError", parts: TrainingParts, catalog: Catalog
) -> None:
    """Write the model of the last good checkpoint as a bundle, where there is one, and let the failure's text say so.

    Without a report the run is not finished.
    """
    outcome = failure.outcome
    if outcome is None:
        failure.args = (f"{failure}. No checkpoint was written before",)
        return
    _keep(folder, recipe, outcome.model, outcome, parts, catalog)
    what = f"that after epoch {outcome.kept_epoch}" if outcome.kept_epoch else "that of its first epoch, not yet whole"
    failure.args = (f"{failure}. The last good model, {what}, is {folder.file('model.keras')}",)


def _keep(
    folder: RunFolder, recipe: Recipe, trained: "keras.Model", outcome: "Outcome", parts: TrainingParts,
    catalog: Catalog,
) -> tuple["keras.Model", list[np.ndarray], np.ndarray, dict[str, Any]]:  # fmt: skip
    """Judge a net on the validation photos and write it as a bundle.

    Returns the plain net, the squares of the photos, its probabilities for them, and its evaluation.
    """
    plain = build_for_keeping(recipe, trained, len(catalog.classes))
    squares = parts.validation_squares()
    bundle = Bundle(plain, catalog.classes, recipe.evaluation_side, recipe.data.fit, {"temperature": None})
    probabilities = predict_arrays(bundle, squares)
    names = [photo.name for photo in catalog.part("validation").photos]
    evaluation = evaluation_of(probabilities, parts.validation_labels, names, catalog.classes)
    folder.write_json("evaluation-validation.json", evaluation)
    with quietly():  # Keras imports TensorFlow here, where it is installed, on JAX too
        write_bundle(folder.path, plain, bundle_facts(recipe, catalog, outcome, evaluation))
    return plain, squares, probabilities, evaluation


def bundle_facts(recipe: Recipe, catalog: Catalog, outcome: "Outcome", evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return what fireweed.json says of the bundle."""
    figures = ("photos", "accuracy", "interval_95", "loss")
    return {
        "classes": list(catalog.classes),
        "side": recipe.evaluation_side,
        "fit": recipe.data.fit,
        "model": recipe.model.name,
        "recipe": recipe.name,
        "split": {part: len(catalog.part(part)) for part in PARTS},
        "data": catalog.digest(),
        "epoch": outcome.kept_epoch,
        "metrics": {name: evaluation[name] for name in figures},
        "temperature": None,
    }


def _say_result(
    folder: RunFolder, recipe: Recipe, outcome: "Outcome", evaluation: dict[str, Any], reporter: Reporter
) -> None:  # fmt: skip
    low, high = evaluation["interval_95"]
    reporter.say()
    for note in training_notes(recipe, outcome, evaluation):
        reporter.say(note)
    reporter.say(
        f"validation accuracy {percent(evaluation['accuracy'])} ({percent(low)} to {percent(high)} with 95% "
        f"confidence, {evaluation['photos']} photos; {kept_weights(outcome)})"
    )
    if note := about_balance(evaluation):
        reporter.say(note)
    reporter.say(f"report:   {folder.file('report.html')}")
    path = shlex.quote(str(folder.path))
    reporter.say(f"try it:   fireweed predict {path} PHOTO")
    reporter.say(f"test it:  fireweed evaluate {path} --part test")
