"""Write the tables of docs/accuracy.md, between its marks, and its plot, from measurements/accuracy.

    python benchmarks/write_accuracy_docs.py [--check]

With --check nothing is written, and the exit code is 1 when the page is not up to date.
"""

import csv
import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any

from accuracy import read_study
from accuracy_plots import redraw_accuracy
from accuracy_tables import STAR, joined, minutes_text, ran_with, test_text
from fireweed.recipe import read_recipe, recipe_names
from fireweed.resolving import norm_photos
from fireweed.text import counted
from marked import fill, told
from speed_tables import NONE, table

ROOT = Path(__file__).parents[1]
MARKS = re.compile(r"(<!-- study: ([\w-]+) -->\n).*?(<!-- /study -->)", re.DOTALL)
COMMON_MARKS = re.compile(r"(<!-- common errors -->\n).*?(<!-- /common errors -->)", re.DOTALL)
FAST_MARKS = re.compile(r"(<!-- fast -->\n).*?(<!-- /fast -->)", re.DOTALL)
NORMS_MARKS = re.compile(r"(<!-- norms -->\n).*?(<!-- /norms -->)", re.DOTALL)
CODELAB_MARKS = re.compile(r"(<!-- codelab -->\n).*?(<!-- /codelab -->)", re.DOTALL)
CODELAB, CODELAB_EPOCHS, CODELAB_ACCURACY = "squeezenet-codelab", 35, 0.788
MEASURED = ROOT / "measurements" / "accuracy"
DOCUMENT = ROOT / "docs" / "accuracy.md"
GOALS = {  # validation accuracy, mean over the seeds
    "squeezenet": 0.88, "xception": 0.965, "frozen": 0.93, "fast": 0.80, "few": 0.88,
    "squeezenet-codelab": (0.76, 0.83),
}  # fmt: skip
HEAD = ("variant", "validation accuracy", "over seeds", "95% interval, by the number of photos", "test accuracy",
        "T multiply-adds a run", "minutes a run")  # fmt: skip


def main() -> int:
    is_stale = [
        fill(DOCUMENT, MARKS, lambda marks: study_text(marks[2])),
        fill(DOCUMENT, FAST_MARKS, lambda _: fast_text(stock_rates())),
        fill(DOCUMENT, NORMS_MARKS, lambda _: norms_text()),
        fill(DOCUMENT, CODELAB_MARKS, lambda _: codelab_text()),
        fill(DOCUMENT, COMMON_MARKS, lambda _: common_text(read("common-errors"))),
    ]
    stale = [DOCUMENT.name] if any(is_stale) else []
    if (MEASURED / "minutes.json").exists():
        stale += redraw_accuracy(read("minutes"))
    return told(stale, "accuracy figures up to date")


def read(study: str) -> dict[str, Any]:
    return json.loads((MEASURED / f"{study}.json").read_text(encoding="utf-8"))


def study_text(study_name: str) -> str:
    """Return a study's table, and lines on what it ran with and what it has not run."""
    if not (MEASURED / f"{study_name}.json").exists():
        return "Not run yet.\n"
    variants = read(study_name)["variants"]
    runs = [run for variant in variants for run in variant["runs"]]
    line = f"{runs[0]['validation']['photos']} validation photos; {ran_with(runs)}."
    head, rows = HEAD, [row(variant) for variant in variants]
    if study_name == "recipes":
        head = ("recipe", "goal", *head[1:])
        rows = [(name(variant), goal(variant), *cells[1:]) for variant, cells in zip(variants, rows, strict=True)]
        line += flips_text(variants)
    if len({run["device"]["kind"] for run in runs}) > 1:
        head = (*head, "on")
        rows = [(*cells, kinds(variant)) for variant, cells in zip(variants, rows, strict=True)]
    if any(cell.endswith("*") for cells in rows for cell in cells):
        line += f"\n\n{STAR}"
    return f"{table(head, rows)}\n{line}{clock_text(variants)}{missing_text(study_name, variants)}\n"


def kinds(variant: dict[str, Any]) -> str:
    return joined(dict.fromkeys(run["device"]["kind"].upper() for run in variant["runs"]))


def flips_text(variants: list[dict[str, Any]]) -> str:
    """Return what the mean over a photo and its mirror image gives in validation, by the seeds that were judged so."""
    found, gains = [], []
    for variant in variants:
        if runs := [run for run in variant["runs"] if "validation-flips" in run]:
            gains += [run["validation-flips"]["accuracy"] - run["validation"]["accuracy"] for run in runs]
            means = [
                statistics.fmean(run[part]["accuracy"] for run in runs) for part in ("validation-flips", "validation")
            ]
            found.append(f"{name(variant)} {means[0]:.1%} instead of {means[1]:.1%} ({counted(len(runs), 'seed')})")
    if not found:
        return ""
    better = f"better in {sum(gain > 0 for gain in gains)} of {len(gains)} runs"
    return f"\n\nReported apart: `evaluate --flips` gives {', '.join(found)}; {better}."


def missing_text(study_name: str, variants: list[dict[str, Any]]) -> str:
    """Return which trainings of a study were not run, and which shipped recipes it lacks; `demo` needs no proof."""
    there = {(variant["name"], run["seed"]) for variant in variants for run in variant["runs"]}
    seeds: dict[str, list[int]] = {}
    for job in read_study(ROOT / "benchmarks" / "studies" / f"{study_name}.toml"):
        if (job.variant, job.seed) not in there:
            seeds.setdefault(job.variant, []).append(job.seed)
    missing = [
        f"`{variant}` ({'seed' if len(found) == 1 else 'seeds'} {joined(map(str, found))})"
        for variant, found in seeds.items()
    ]
    if study_name == "recipes":
        asked = {variant["recipe"] for variant in variants} | {"demo"}
        missing += [f"`{name}`" for name in recipe_names() if name not in asked]
    return f"\n\nNot run as they are now: {joined(missing)}." if missing else ""


def clock_text(variants: list[dict[str, Any]]) -> str:
    """Return how much of the minutes that runs were given their whole commands took."""
    shares = [sum(run["command_seconds"]) / (60 * variant["minutes"])
              for variant in variants if variant.get("minutes") for run in variant["runs"]]  # fmt: skip
    if not shares:
        return ""
    return (
        f"\n\nThe whole commands, from start to report, took {min(shares):.1%} to {max(shares):.1%} of the minutes "
        f"they were given (n = {len(shares)}); at most 5% more or less is the goal."
    )


def name(variant: dict[str, Any]) -> str:
    settings = ", ".join(variant["set"])
    return f"`{variant['recipe']}`" + (f", {settings}" if settings else "")


def goal(variant: dict[str, Any]) -> str:
    """Return what a recipe should reach, and whether it did."""
    wanted, found = GOALS.get(variant["recipe"]), variant["validation"]["mean"]
    if wanted is None:
        return NONE
    if isinstance(wanted, tuple):
        low, high = wanted
        return f"{low:.0%} to {high:.0%}: {'reached' if low <= found <= high else 'not reached'}"
    return f"{wanted:.1%}: {'reached' if found >= wanted else 'not reached'}"


def stock_rates() -> list[float]:
    """Return the images/s of the codelab's net in stock Keras at 192 px, by round."""
    speed = json.loads((ROOT / "measurements" / "speed.json").read_text(encoding="utf-8"))
    return [run["rate"] for run in speed["runs"]
            if (run["case"], run["program"]) == ("step squeezenet 192 px batch 32", "stock Keras")]  # fmt: skip


def runs_of(recipe: str) -> list[dict[str, Any]]:
    """Return the runs of a shipped recipe as it is, seed by seed; none where it was not measured."""
    return [run for variant in read("recipes")["variants"] if variant["recipe"] == recipe for run in variant["runs"]]


def fast_text(stock: list[float]) -> str:
    """Return how much less time the recipe `fast` takes than the codelab's way in stock Keras."""
    runs = runs_of("fast")
    if not runs:
        return "Not measured yet.\n"
    ours = [sum(run["command_seconds"]) for run in runs]
    photos = runs[0]["photos_trained_on"] / sum(phase["epochs"] for phase in runs[0]["phases"])
    theirs = CODELAB_EPOCHS * photos / statistics.median(stock)
    return (
        f"From a cold start to the report `fast` takes {statistics.fmean(ours):.0f} s ({min(ours):.0f} to "
        f"{max(ours):.0f}, n = {len(ours)}). The codelab's {CODELAB_EPOCHS} epochs at 192 px in stock Keras would take "
        f"{theirs / 60:.0f} min by its {statistics.median(stock):.1f} images/s (n = {len(stock)}), "
        f"{theirs / statistics.fmean(ours):.0f} times as long; the goal is 16.\n"
    )


def norm_gains(study_name: str) -> list[float]:
    """Return by how much the accuracy of each run rose from its last epoch to its end, where norms are made anew."""
    gains = []
    for variant in read(study_name)["variants"]:
        training = read_recipe(variant["recipe"], variant["set"]).training
        for run in variant["runs"] if norm_photos(training, 1) else []:
            gains.append(run["validation"]["accuracy"] - validated(study_name, variant["name"], run)[-1])
    return gains


def validated(study_name: str, variant: str, run: dict[str, Any]) -> list[float]:
    """Return the accuracies in validation of a run's epochs, in turn, as far as they were validated."""
    path = MEASURED / study_name / f"{variant}-{run['seed']}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [float(line["val_accuracy"]) for line in csv.DictReader(file) if line["val_accuracy"]]


def norms_text() -> str:
    """Return what norm statistics that are computed anew at the end change."""
    said = []
    for of, gains in (("of the shipped recipes", norm_gains("recipes")), ("above", norm_gains("squeezenet-parts"))):
        said.append(
            f"in {len(gains)} runs {of} the accuracy afterwards was {100 * min(gains):+.1f} to {100 * max(gains):+.1f} "
            f"points of that before, {100 * statistics.fmean(gains):+.1f} on average"
        )
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}.\n"


def codelab_text() -> str:
    """Return what the codelab's settings give in the last epochs, whose mean is what the codelab reports."""
    runs = runs_of(CODELAB)
    if not runs:
        return "Not measured yet.\n"
    run = runs[0]
    last = validated("recipes", CODELAB, run)[-5:]
    return (
        f"The codelab's settings give {run['validation']['accuracy']:.1%} by the weights of the last epoch. Its epochs "
        f"differ much: the last five have {min(last):.1%} to {max(last):.1%}, {statistics.fmean(last):.1%} on average; "
        f"the codelab reports {CODELAB_ACCURACY:.1%} as the mean of its own last five.\n"
    )


def common_text(found: dict[str, Any]) -> str:
    """Return what several trainings of a net get wrong alike, and how much of it they share."""
    runs, photos, accuracy = found["runs"], found["photos"], found["accuracy"]
    by_runs = found["photos_by_wrong_runs"]
    mostly, wrong = found["mostly_wrong"], sum(number * count for number, count in enumerate(by_runs))
    share = sum(photo["wrong_runs"] for photo in mostly) / wrong
    return (
        f"{runs} trainings of Xception (studies {' and '.join(found['studies'])}) gave {accuracy['least']:.1%} to "
        f"{accuracy['most']:.1%} (mean {accuracy['mean']:.1%}), and the mean of the probabilities of all {runs} gives "
        f"{found['accuracy_of_mean_probabilities']:.1%}. Of the {photos} photos all of them have {by_runs[0]} right "
        f"and {by_runs[-1]} wrong; {len(mostly)} are wrong in three quarters of the trainings or more, and {share:.0%} "
        f"of all wrong answers, {wrong / runs:.0f} in a training, are given to them.\n"
    )


def row(variant: dict[str, Any]) -> tuple[str, ...]:
    validation, runs = variant["validation"], variant["runs"]
    seeds = counted(validation["seeds"], "seed") if len(runs) > 1 else f"seed {runs[0]['seed']}"
    low, high = validation["interval_95"]
    return (
        variant["name"],
        f"{validation['mean']:.1%}",
        f"{validation['least']:.1%} to {validation['most']:.1%}, {seeds}" if validation["seeds"] > 1 else seeds,
        f"{low:.1%} to {high:.1%}",
        test_text(variant),
        f"{max(run['tera_multiply_adds'] for run in runs):.1f}",
        minutes_text(runs),
    )


if __name__ == "__main__":
    sys.exit(main())
