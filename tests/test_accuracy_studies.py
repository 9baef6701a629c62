"""What a study of accuracies keeps of its runs is what they gave and spent."""

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import accuracy
import accuracy_tables
import write_accuracy_docs
from common_errors import common_errors
from fireweed.recipe import checked, read_recipe

VALIDATION = {"photos": 100, "accuracy": 0.9}


def test_a_part_that_only_a_later_seed_was_judged_on_is_summed_up():
    judged = {"validation": VALIDATION, "test": {"photos": 50, "accuracy": 0.8}}
    found = accuracy.summary([{"validation": VALIDATION}, judged])
    assert found["validation"]["seeds"] == 2
    assert (found["test"]["mean"], found["test"]["seeds"], found["test"]["photos"]) == (0.8, 1, 50)


def judged_by(*answers):
    """The evaluation of a net that gives these answers to three photos, all surely."""
    photos = [{"path": f"{place}.jpg", "true": "a", "probabilities": {name: float(name == answer) for name in "ab"}}
              for place, answer in enumerate(answers)]  # fmt: skip
    return {"classes": ["a", "b"], "accuracy": answers.count("a") / 3, "predictions": photos[::-1]}


def test_common_errors_are_the_photos_that_most_nets_have_wrong():
    found = common_errors([judged_by(*"aab"), judged_by(*"abb"), judged_by(*"aab"), judged_by(*"aaa")])
    assert found["photos_by_wrong_runs"] == [1, 1, 0, 1, 0]
    assert found["mostly_wrong"] == [{"path": "2.jpg", "answer": "b", "wrong_runs": 3}]
    assert found["accuracy_of_mean_probabilities"] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="same photos"):
        common_errors([judged_by(*"aab"), judged_by(*"aa")])


def test_a_summary_has_the_mean_the_spread_and_the_interval_that_the_photos_imply():
    found = accuracy.summary([{"validation": {"photos": 100, "accuracy": share}} for share in (0.8, 0.9)])["validation"]
    assert (found["mean"], found["least"], found["most"]) == (pytest.approx(0.85), 0.8, 0.9)
    low, high = found["interval_95"]
    assert 0.76 < low < 0.78 and 0.90 < high < 0.92


def test_a_study_runs_the_first_seed_of_every_variant_before_the_second_of_any(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        'set = ["training.batch=16"]\n[[variant]]\nname = "a"\nrecipe = "demo"\nseeds = [0, 1]\n'
        '[[variant]]\nname = "b"\nrecipe = "demo"\nseeds = [5]\nset = ["training.batch=8"]\n'
    )
    jobs = accuracy.read_study(path)
    assert [job.name for job in jobs] == ["a-0", "b-5", "a-1"]
    assert jobs[1].settings == ("training.batch=16", "training.batch=8"), "a variant's own setting comes last and wins"


def test_a_run_is_asked_for_what_its_variant_says(monkeypatch, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        '[[variant]]\nname = "a"\nrecipe = "demo"\nseeds = [3]\nminutes = 5\npretrained = true\ntest = true\n'
    )
    asked = []
    monkeypatch.setattr(
        accuracy.subprocess, "run", lambda line, **_: asked.append(line) or SimpleNamespace(returncode=0)
    )
    accuracy.train(accuracy.read_study(path)[0], "photos", "weights.h5", tmp_path)
    words = " ".join(asked[0])
    for part in ("--recipe demo", "--seed 3", "--minutes 5", "--weights weights.h5", "--data photos"):
        assert part in words
    assert [line[5:] for line in asked[1:]] == [["--part", "test"], ["--flips"]]


def test_what_a_run_spent_is_counted_by_the_epochs_that_it_ran():
    history = [{"epoch": 1.0, "side": 96.0}, {"epoch": 2.0, "side": 96.0}, {"epoch": 3.0, "side": 192.0}]
    costs = COSTS | {256: 7 * 10**9}  # the phase at 256 px never began
    assert accuracy.spent(asked(), history, 1000, costs, {}) == {"photos_trained_on": 3000, "tera_multiply_adds": 6.0}


COSTS = {96: 10**9, 192: 4 * 10**9}


def asked(freeze=False, **training):
    phases = [{"side": 96, "epochs": 4}, {"side": 192, "epochs": 2}]
    return checked({"model": {"name": "xception", "freeze": freeze},
                    "training": {"phases": phases, "batch": 30, **training}})  # fmt: skip


def test_what_a_run_by_the_clock_spent_is_counted_by_its_steps():
    history = [{"epoch": 1.0, "side": 96.0, "steps": 34.0}, {"epoch": 2.0, "side": 192.0, "steps": 51.0}]
    assert accuracy.spent(asked(), history, 1000, COSTS, {}) == {"photos_trained_on": 2500, "tera_multiply_adds": 7.0}


def test_what_a_frozen_net_spent_are_the_looks_of_its_backbone_and_its_heads_epochs():
    history = [{"epoch": epoch, "side": 96 if epoch < 5 else 192, "steps": 34.0} for epoch in range(1, 7)]
    heads = {96: 10**8, 192: 4 * 10**8}  # of which the four epochs and the two have 0.4 + 0.8 tera
    for views, photos, total in ((2, 4000, 9.0 + 1.2), (1, 2000, 4.5 + 1.2)):
        found = accuracy.spent(asked(freeze=True, views=views), history, 1000, COSTS, heads)
        assert found == {"photos_trained_on": photos, "tera_multiply_adds": total}


def test_keep_takes_all_variants_of_a_study(monkeypatch, tmp_path, capsys):
    study = tmp_path / "study.toml"
    study.write_text("".join(f'[[variant]]\nname = "{name}"\nrecipe = "demo"\nseeds = [1]\n' for name in ("a", "b")))
    kept = []
    monkeypatch.setattr(accuracy, "keep", lambda name, jobs, runs, may_drop: kept.append([job.name for job in jobs]))
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "keep", str(study)])
    accuracy.main()
    assert kept == [["a-1", "b-1"]]
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "keep", str(study), "--only", "a"])
    with pytest.raises(SystemExit):
        accuracy.main()
    assert len(kept) == 1 and "--only and --seeds go with train" in capsys.readouterr().err


@pytest.mark.parametrize(("kept_hash", "stays"), [("today's", True), ("another", False), (None, True)])
def test_a_result_stays_without_its_run_while_its_recipe_is_what_it_was(monkeypatch, tmp_path, kept_hash, stays):
    jobs, result, path = study_of_one(monkeypatch, tmp_path)
    if kept_hash:
        result["recipe_hash"] = accuracy.recipe_hash(jobs[0]) if kept_hash == "today's" else kept_hash
    write_study(path, result)
    if not stays:
        with pytest.raises(SystemExit, match="figures of what the study or its recipes do not say today: a, seed 1"):
            accuracy.keep("study", jobs, tmp_path / "runs")
        assert json.loads(path.read_text())["variants"][0]["runs"] == [result], "nothing is lost unasked"
    accuracy.keep("study", jobs, tmp_path / "runs", may_drop=True)
    variants = json.loads(path.read_text())["variants"]
    assert [variant["runs"] for variant in variants] == ([[result]] if stays else [])


def study_of_one(monkeypatch, folder):
    """Return the jobs of a study of one run, what it gave, and where that is written."""
    monkeypatch.setattr(accuracy, "ROOT", folder)
    (folder / "study.toml").write_text('[[variant]]\nname = "a"\nrecipe = "demo"\nseeds = [1]\n')
    path = folder / "measurements" / "accuracy" / "study.json"
    path.parent.mkdir(parents=True)
    return accuracy.read_study(folder / "study.toml"), {"seed": 1, "validation": VALIDATION}, path


def write_study(path, result):
    about = {"name": "a", "recipe": "demo", "set": [], "minutes": None}
    path.write_text(json.dumps({"study": "study", "variants": [about | {"runs": [result]}]}))


def test_a_run_has_the_hash_of_what_it_was_asked_for_but_for_seed_and_place_of_weights(monkeypatch, tmp_path):
    jobs, _, _ = study_of_one(monkeypatch, tmp_path)
    job = dataclasses.replace(jobs[0], recipe="xception", is_pretrained=True)

    def asked(*settings):
        recipe = read_recipe("xception", ("training.seed=7", "model.weights=/there/xception.weights.h5", *settings))
        return SimpleNamespace(facts=lambda: SimpleNamespace(asked=recipe))

    assert accuracy.hash_of_run(asked(), job) == accuracy.recipe_hash(job)
    assert accuracy.hash_of_run(asked("training.batch=16"), job) != accuracy.recipe_hash(job)
    assert accuracy.hash_of_run(asked(), dataclasses.replace(job, is_pretrained=False)) != accuracy.recipe_hash(job)


def test_a_test_accuracy_says_of_how_many_seeds_it_is_where_not_of_all():
    variant = {"validation": {"seeds": 2}, "test": {"mean": 0.959, "interval_95": [0.93, 0.975], "seeds": 1}}
    assert accuracy_tables.test_text(variant) == "95.9% (93.0% to 97.5%; 1 seed only)"
    assert accuracy_tables.test_text(variant | {"validation": {"seeds": 1}}) == "95.9% (93.0% to 97.5%)"


def test_minutes_of_which_some_are_the_epochs_alone_have_a_star():
    whole = {"command_seconds": [60.0, 120.0], "training_seconds": 150.0}
    without, cut = {"command_seconds": [], "training_seconds": 6000.0}, whole | {"training_seconds": 420.0}
    assert accuracy_tables.minutes_text([whole]) == "3.0"
    assert accuracy_tables.minutes_text([whole, cut]) == "5.0*", "of a start that was killed nothing was kept"
    assert accuracy_tables.minutes_text([without]) == "100*"


def test_what_a_study_has_not_run_is_said():
    variants = [{"name": "firenet", "recipe": "firenet", "runs": [{"seed": 0}, {"seed": 2}]}]
    said = write_accuracy_docs.missing_text("recipes", variants)
    assert "`firenet` (seed 1)" in said and "`fast` (seeds 0, 1 and 2)" in said and "`xception-codelab`" in said
