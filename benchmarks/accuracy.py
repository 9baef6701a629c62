"""Train the variants of a study, over seeds, and keep what each run gave.

    python benchmarks/accuracy.py train STUDY PHOTOS [--jobs N] [--runs FOLDER] [--weights FILE]
                                                [--only WORD] [--seeds N ...]
    python benchmarks/accuracy.py keep STUDY [--runs FOLDER] [--drop]

STUDY is a file below benchmarks/studies. `train` runs `fireweed train` for each variant and seed, and goes on where it
was stopped; `keep` writes what the finished runs gave to measurements/accuracy/STUDY.json and their histories beside
it, without photos or weights. Runs lie in runs/STUDY. Figures of recipes that are others today, or of variants that the
study has no more, are dropped with --drop only.

A study is TOML: `set` holds settings of all variants, and each [[variant]] has `name`, `recipe`, `seeds`, `set`
(settings, as for --set), `minutes` (as for --minutes), `pretrained` (whether it starts from ImageNet weights), `cold`
(whether nothing that earlier runs kept may help) and `test` (whether the test photos are judged too, once, when the
training has ended, and validation once more with --flips).
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fireweed.api.timing import head_multiply_adds, multiply_adds
from fireweed.evaluation.metrics import wilson_interval
from fireweed.recipe import Recipe, read_recipe
from fireweed.resolving import view_of_epochs
from fireweed.run import RunFolder, open_run

ROOT = Path(__file__).parents[1]
AFTERWARDS = {"test": ("--part", "test"), "validation-flips": ("--flips",)}  # what settled recipes are judged by too
PARTS = ("validation", *AFTERWARDS)
WALL = "wall-seconds"  # a file beside a run: seconds of its whole command, from a cold start, one line for each start


@dataclass(frozen=True)
class Job:
    """One training of a study."""

    variant: str
    recipe: str
    seed: int
    settings: tuple[str, ...]
    has_test: bool
    is_pretrained: bool
    minutes: float | None
    is_cold: bool

    @property
    def name(self) -> str:
        return f"{self.variant}-{self.seed}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=("train", "keep"))
    arguments.add_argument("study", type=Path)
    arguments.add_argument("photos", nargs="?", default="flower_photos")
    arguments.add_argument("--jobs", type=int, default=1)
    arguments.add_argument("--runs", type=Path, default=ROOT / "runs")
    arguments.add_argument("--weights", default="imagenet", help="for variants that start from ImageNet weights")
    arguments.add_argument("--only", default="", help="train the variants whose name holds this")
    arguments.add_argument("--seeds", type=int, nargs="+", help="train these seeds of them, not all")
    arguments.add_argument("--drop", action="store_true", help="keep: leave out figures of what is not so any more")
    asked = arguments.parse_args()
    if (asked.only or asked.seeds) and asked.what == "keep":
        arguments.error("--only and --seeds go with train; keep writes all that a study's finished runs gave")
    jobs = [
        job for job in read_study(asked.study)
        if asked.only in job.variant and job.seed in (asked.seeds or [job.seed])
    ]  # fmt: skip
    runs = asked.runs / asked.study.stem
    if asked.what == "train":
        runs.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(asked.jobs) as pool:
            failed = [
                name for name in pool.map(lambda job: train(job, asked.photos, asked.weights, runs), jobs) if name
            ]
        if failed:
            sys.exit(f"these failed: {', '.join(failed)}")
    else:
        keep(asked.study.stem, jobs, runs, asked.drop)


def read_study(path: Path) -> list[Job]:
    """Return the trainings of a study, seed by seed, so that an unfinished one has some of each variant."""
    study = tomllib.loads(path.read_text(encoding="utf-8"))
    shared = study.get("set", [])
    jobs = [
        (turn, Job(variant["name"], variant["recipe"], seed, (*shared, *variant.get("set", [])),
                   variant.get("test", False), variant.get("pretrained", False), variant.get("minutes"),
                   variant.get("cold", False)))
        for variant in study["variant"]
        for turn, seed in enumerate(variant["seeds"])
    ]  # fmt: skip
    return [job for _, job in sorted(jobs, key=lambda entry: entry[0])]


def train(job: Job, photos: str, weights: str, runs: Path) -> str:
    """Train one variant with one seed to its end, and judge it; return its name if that failed."""
    run = runs / job.name
    line = [sys.executable, "-m", "fireweed"]
    training = ["train", "--data", photos, "--recipe", job.recipe, "--seed", str(job.seed), "--out", str(run)]
    training += [part for setting in job.settings for part in ("--set", setting)]
    if job.minutes is not None:
        training += ["--minutes", str(job.minutes)]
    if job.is_pretrained:
        training += ["--weights", weights]
    started = time.time()
    is_done = RunFolder(run).is_finished
    with open(runs / f"{job.name}.log", "a", encoding="utf-8") as log, tempfile.TemporaryDirectory() as empty:
        environment = os.environ | ({"FIREWEED_CACHE": empty} if job.is_cold else {})
        done = subprocess.run([*line, *training], stdout=log, stderr=log, check=False, env=environment)
        if not is_done:
            with open(runs / f"{job.name}.{WALL}", "a", encoding="utf-8") as file:
                file.write(f"{time.time() - started:.1f}\n")
        for part, asked in AFTERWARDS.items():
            if done.returncode == 0 and job.has_test and not judged(run, part):
                done = subprocess.run([*line, "evaluate", str(run), *asked], stdout=log, stderr=log, check=False)
    figures = {part: judged(run, part).get("accuracy") for part in PARTS}
    print(f"{job.name}: {figures}, {time.time() - started:.0f} s, exit {done.returncode}", flush=True)
    return job.name if done.returncode else ""


def keep(study: str, jobs: list[Job], runs: Path, may_drop: bool = False) -> None:
    """Write the figures of all finished runs of a study, and their histories.

    What was written of runs that are no longer in `runs` stays, as long as the study has them with the same settings
    and their recipe is what it was; what does not is dropped where that is allowed.

    Raises:
        SystemExit: figures would be dropped that may not be, or a run was made by another recipe than today's.
    """
    folder = ROOT / "measurements" / "accuracy"
    (folder / study).mkdir(parents=True, exist_ok=True)
    before, variants, finished = kept_before(folder / f"{study}.json"), [], []
    for name in dict.fromkeys(job.variant for job in jobs):
        ours = [job for job in jobs if job.variant == name]
        about = {"name": name, "recipe": ours[0].recipe, "set": list(ours[0].settings), "minutes": ours[0].minutes}
        results = []
        for job in ours:
            found = before.get(key := json.dumps([about, job.seed]))
            if RunFolder(runs / job.name).is_finished:
                results.append(run_result(job, runs))
                finished.append(job.name)
            elif found and is_of(job, found):
                results.append(found)
            else:
                continue
            before.pop(key, None)
        if results:
            variants.append({**about, **summary(results), "runs": results})
    if before and not may_drop:
        names = ", ".join(f"{about['name']}, seed {seed}" for about, seed in map(json.loads, before))
        sys.exit(
            f"{study}.json has figures of what the study or its recipes do not say today: {names}; --drop drops them"
        )
    for run in finished:
        shutil.copy(runs / run / "history.csv", folder / study / f"{run}.csv")
    text = json.dumps({"study": study, "variants": variants}, indent=1, ensure_ascii=False)
    (folder / f"{study}.json").write_text(text + "\n", encoding="utf-8")
    for variant in variants:
        print(variant["name"], json.dumps({part: variant[part] for part in PARTS if part in variant}))


def kept_before(path: Path) -> dict[str, dict[str, Any]]:
    """Return the results that a study's file holds, by their variant and seed, written as JSON."""
    if not path.exists():
        return {}
    return {
        json.dumps([{name: variant.get(name) for name in ("name", "recipe", "set", "minutes")}, result["seed"]]): result
        for variant in json.loads(path.read_text(encoding="utf-8"))["variants"]
        for result in variant["runs"]
    }


def is_of(job: Job, result: dict[str, Any]) -> bool:
    """Return whether a result is of the recipe as it is today; of older results that is not known."""
    return result.get("recipe_hash") in (None, recipe_hash(job))


def recipe_hash(job: Job) -> str:
    return read_recipe(job.recipe, job.settings).hash()


def hash_of_run(run: RunFolder, job: Job) -> str:
    """Return the hash of the recipe that a run was asked for, but for its seed and for where its weights were."""
    asked, study = run.facts().asked, read_recipe(job.recipe, job.settings)
    asked = asked.with_training(seed=study.training.seed)
    if job.is_pretrained:
        asked = asked.model_copy(update={"model": asked.model.model_copy(update={"weights": study.model.weights})})
    return asked.hash()


def run_result(job: Job, runs: Path) -> dict[str, Any]:
    """Return what one run gave and spent.

    Raises:
        SystemExit: it was made by another recipe than today's.
    """
    run = open_run(str(runs / job.name))
    if hash_of_run(run, job) != recipe_hash(job):
        sys.exit(f"{run.path} was made by another recipe or with other settings than the study has today; remove it")
    recipe, history = run.resolved(), run.history()
    environment = run.read_json("environment.json")
    bundle = run.read_json("fireweed.json")
    photos, classes = bundle["split"]["train"], len(bundle["classes"])
    net, freeze, sides = recipe.model.name, recipe.model.freeze, {phase.side for phase in recipe.training.phases}
    costs = {side: multiply_adds(net, classes, side) for side in sides}
    heads = {side: head_multiply_adds(net, classes, side, freeze) for side in sides} if freeze else {}
    wall = runs / f"{job.name}.{WALL}"
    return {
        "seed": job.seed,
        "recipe_hash": recipe_hash(job),
        **{part: found for part in PARTS if (found := judged(run.path, part))},
        "phases": [phase.model_dump() for phase in recipe.training.phases],
        **spent(recipe, history, photos, costs, heads),
        "training_seconds": round(sum(row["seconds"] for row in history), 1),
        "command_seconds": [float(line) for line in wall.read_text().split()] if wall.exists() else [],
        "device": {
            name: environment["device"][name] for name in ("kind", "name", "count", "backend", "precision", "cores")
        },
        "packages": environment["packages"],
        "date": environment["date"][:10],
        "commit": environment["git"],
    }


def spent(
    recipe: Recipe, history: list[dict[str, Any]], photos: int, costs: dict[int, int], heads: dict[int, int]
) -> dict[str, Any]:
    """Return the photos trained on, and the multiply-adds of their way forward, by the steps that were made.

    The backbone of a frozen net looks at its views only, its head at the features in every epoch.

    recipe:  as resolved.
    history: rows of history.csv, an epoch each; fewer than planned where patience ended the training. Where a clock
             did, an epoch may have more steps than planned, or fewer; those of older versions are taken as whole.
    photos:  photos an epoch.
    costs:   side -> multiply-adds of a photo.
    heads:   side -> those of them that are of a frozen net's head.
    """
    if recipe.model.freeze:
        seen = [(recipe.side_of_epochs[epoch], photos) for epoch in set(view_of_epochs(recipe.training))]
        costs = {side: each - heads[side] for side, each in costs.items()}
        total = sum(photos * heads[int(row["side"])] for row in history)
    else:
        total = 0
        steps = math.ceil(photos / recipe.training.batch)
        seen = [(int(row["side"]), photos * row.get("steps", steps) / steps) for row in history]
    total += sum(number * costs[side] for side, number in seen)
    return {
        "photos_trained_on": round(sum(number for _, number in seen)), "tera_multiply_adds": round(total / 1e12, 4)
    }  # fmt: skip


def judged(run: Path, part: str) -> dict[str, Any]:
    """Return photos, accuracy and its interval on a part, as far as that was judged."""
    path = run / f"evaluation-{part}.json"
    if not path.exists():
        return {}
    evaluation = json.loads(path.read_text(encoding="utf-8"))
    return {name: evaluation[name] for name in ("photos", "accuracy", "interval_95", "loss")}


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over seeds of each part, the spread, and the interval that the number of photos alone implies."""
    parts = {}
    for part in PARTS:
        judgements = [result[part] for result in results if part in result]
        if judgements:
            accuracies = [judgement["accuracy"] for judgement in judgements]
            photos = judgements[0]["photos"]
            mean = statistics.fmean(accuracies)
            parts[part] = {
                "mean": mean, "seeds": len(accuracies), "least": min(accuracies), "most": max(accuracies),
                "deviation": statistics.stdev(accuracies) if len(accuracies) > 1 else None,
                "photos": photos, "interval_95": list(wilson_interval(round(mean * photos), photos)),
            }  # fmt: skip
    return parts


if __name__ == "__main__":
    main()
