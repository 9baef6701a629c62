"""A finished run trained again beside it is told equal, or how far apart."""

import csv
import json

import pytest

from fireweed.api import TrainRequest, repeat_request, repeat_run, train_run
from fireweed.api.repeating import differences, in_words
from fireweed.errors import RecipeError, RunError
from fireweed.reporting import Reporter
from fireweed.run import RunFolder

SILENT = Reporter(is_silent=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    request = TrainRequest(data="drawn", model="conv 4 | drop 0.2 | gap", epochs=2, side=16, seed=7, out=str(out),
                           deterministic=True, compile="none", settings=("training.batch=64",))  # fmt: skip
    return train_run(request, SILENT)


def asked_again(finished, **options):
    return repeat_request(TrainRequest(data="", repeat=str(finished.path), **options))


def test_the_same_run_again_is_equal_and_lies_beside_the_first(finished):
    request = asked_again(finished)
    found = repeat_run(request, SILENT)
    again = RunFolder(finished.path.with_name("first-repeat-1"))
    assert found["is_equal"] and again.read_json("repeat.json") == found and again.is_finished
    assert in_words(found) == ["equal: history and weights are those of first, bit for bit"]
    assert again.facts() == finished.facts() and again.resolved() == finished.resolved()
    assert asked_again(finished).out.endswith("first-repeat-2")
    facts = again.read_json("environment.json")
    assert facts["data"] == finished.facts().digest and "git" in facts and facts["device"]["name"]


def test_what_differs_is_told_with_its_size(finished, tmp_path):
    other = train_run(
        TrainRequest(data="drawn", model="conv 4 | drop 0.2 | gap", epochs=2, side=16, seed=8, compile="none",
                     out=str(tmp_path / "other"), settings=("training.batch=64",)), SILENT)  # fmt: skip
    found = differences(finished, other)
    assert not found["is_equal"] and found["first_epoch"] == 1 and found["weights"]["largest"] > 0
    said = " ".join(in_words(found))
    assert "from epoch 1 on" in said and "val_loss" in said and "apart" in said


def copy_of(finished, folder):
    copy = RunFolder(folder / "copy")
    copy.path.mkdir()
    for path in finished.path.iterdir():
        if path.is_file():
            copy.file(path.name).write_bytes(path.read_bytes())
    return copy


def test_one_figure_that_differs_is_found(finished, tmp_path):
    copy = copy_of(finished, tmp_path)
    assert differences(finished, copy)["is_equal"]
    rows = list(csv.DictReader(copy.file("history.csv").read_text().splitlines()))
    rows[1] |= {"val_loss": repr(float(rows[1]["val_loss"]) + 0.25), "seconds": "1e9"}
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    copy.file("history.csv").write_text("\n".join(lines))
    facts = copy.read_json("environment.json")
    copy.file("environment.json").write_text(json.dumps(facts | {"python": "2.7"}))
    found = differences(finished, copy)
    assert found["first_epoch"] == 2 and found["columns"] == {"val_loss": pytest.approx(0.25)}
    assert found["weights"]["largest"] == 0 and list(found["environment"]) == ["python"]


def test_other_wishes_beside_it_and_unfinished_runs_are_refused(finished, tmp_path):
    with pytest.raises(RecipeError, match="leave --epochs out"):
        asked_again(finished, epochs=3)
    with pytest.raises(RecipeError, match="leave --set out"):
        asked_again(finished, settings=("training.batch=8",))
    with pytest.raises(RunError, match="no run folder"):
        repeat_request(TrainRequest(data="", repeat=str(tmp_path / "nowhere")))


def test_a_figure_that_is_no_number_is_null(finished, tmp_path):
    copy = copy_of(finished, tmp_path)
    lines = copy.file("history.csv").read_text().splitlines()
    place = lines[0].split(",").index("val_loss")
    cells = lines[1].split(",")
    lines[1] = ",".join([*cells[:place], "inf", *cells[place + 1 :]])
    copy.file("history.csv").write_text("\n".join(lines))
    found = differences(finished, copy)
    assert found["columns"] == {"val_loss": None} and json.dumps(found, allow_nan=False)
    assert "val_loss without bounds" in in_words(found)[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        (" " * 20_000_000, "more than 16,000,000 bytes"),
        ("[]", "damaged: look at 'all'"),
        ('{"device": "cpu"}', "'device'"),
        ('{"device": {"kind": "cpu", "count": "1", "backend": "jax", "name": ""}}', r"'device\.count'"),
    ],
)
def test_a_damaged_environment_is_told(finished, tmp_path, text, words):
    copy = copy_of(finished, tmp_path)
    copy.file("environment.json").write_text(text)
    with pytest.raises(RunError, match=rf"environment\.json.*{words}"):
        asked_again(copy)


def test_a_table_of_the_first_run_that_is_gone_is_told(finished, tmp_path):
    copy = copy_of(finished, tmp_path)
    copy.file("photos.csv").unlink()
    with pytest.raises(RunError, match=r"copy/photos\.csv cannot be read"):
        repeat_run(asked_again(copy), SILENT)
