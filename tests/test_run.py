"""A run folder holds one run, is recognised, and anything else is refused and left alone."""

import dataclasses

import pytest

from fireweed.data.catalog import Catalog, Photo
from fireweed.errors import RunError
from fireweed.recipe import read_recipe
from fireweed.run import RunFacts, RunFolder, open_run

CATALOG = Catalog(
    ("a", 'b,"\n'), (Photo("a/1.png", 0, "11", "train", name="a/1.png"), Photo("x", 1, "22", "validation", name="b/x"))
)
FACTS = RunFacts(read_recipe("demo"), "/photos", CATALOG.digest(), {"deterministic": False})


@pytest.fixture
def started(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.check_usable(FACTS)
    folder.make()
    folder.start(FACTS, read_recipe("demo", ["training.epochs=3"]), CATALOG, [0, 1])
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.path.iterdir()}


def test_facts_recipe_and_photos_read_back(started):
    assert started.facts() == FACTS
    assert started.resolved().training.epochs == 3
    assert started.rows() == [
        {"name": "a/1.png", "class": "a", "part": "train", "key": "11", "group": "0"},
        {"name": "b/x", "class": 'b,"\n', "part": "validation", "key": "22", "group": "1"},
    ]
    assert open_run(started.path).is_started and not started.is_finished


def test_the_same_request_may_go_on(started):
    started.check_usable(FACTS)
    started.check_usable(dataclasses.replace(FACTS, data="/moved/photos"))  # the same photos elsewhere


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"asked": read_recipe("demo", ["training.seed=5"])}, "training.seed was 0, now 5"),
        ({"digest": "other"}, "other photos"),
        ({"options": {"deterministic": True}}, "deterministic"),
    ],
)
def test_another_request_is_refused_and_the_folder_left_as_it_was(started, change, words):
    before = contents(started)
    with pytest.raises(RunError, match=words):
        started.check_usable(dataclasses.replace(FACTS, **change))
    assert contents(started) == before


@pytest.mark.parametrize("name", ["notes.txt", "model2.keras", "evaluation.json"])
def test_files_of_others_are_refused(started, name):
    (started.path / name).write_text("mine")
    with pytest.raises(RunError, match=name):
        started.check_usable(FACTS)
    assert (started.path / name).read_text() == "mine"


def test_dot_files_and_evaluations_are_no_files_of_others(started):
    for name in (".DS_Store", "evaluation-test.json"):
        (started.path / name).write_text("")
    started.check_usable(FACTS)


def test_a_folder_with_parts_of_a_run_but_no_recipe_is_refused(tmp_path):
    (tmp_path / "history.csv").write_text("epoch\n")
    with pytest.raises(RunError, match=r"no recipe\.toml"):
        RunFolder(tmp_path).check_usable(FACTS)


def test_a_file_in_the_folders_place_and_missing_runs_are_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        RunFolder(tmp_path / "file").check_usable(FACTS)
    with pytest.raises(RunError, match="nowhere"):
        open_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match="not a run folder"):
        open_run(tmp_path)


@pytest.mark.parametrize("text", ["", "x = [", "[run]\n", "\x00"])
def test_a_damaged_recipe_file_is_told(started, text):
    started.file("recipe.toml").write_text(text)
    with pytest.raises(RunError, match="recipe"):
        started.check_usable(FACTS)


def test_one_process_trains_in_a_folder_and_scraps_of_killed_ones_go(started):
    (started.path / "checkpoints").mkdir()
    scrap = started.path / "checkpoints" / ".0123abcd.epoch-000003.npz"
    scrap.write_bytes(b"half")
    with started.alone():
        assert not scrap.exists()
        with pytest.raises(RunError, match="another process is training"), RunFolder(started.path).alone():
            pass
    with RunFolder(started.path).alone():
        pass


@pytest.mark.parametrize("text", ["run = 5", "[run]\ndata = 'x'\n[asked]\n[resolved]\n", "[run]\ndata = 1", "\xff\xfe"])
def test_a_recipe_of_another_shape_is_told(started, text):
    started.file("recipe.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"recipe\.toml"):
        started.facts()


@pytest.mark.parametrize(
    "change",
    [
        ("deterministic = false", "deterministic = 1"),
        ("deterministic = false", "minutes = '5'"),
        ("deterministic = false", "minutes = nan"),
        ('data = "/photos"', 'data = "/photos\\u0000"'),
        ("[asked]", "[asked]\n" + "x = 1\n" * 100_000),
        ("[asked]", "[asked]\n" + ".".join("a" * 2_000) + " = 1"),
        ("[asked]", "[asked]\nx = " + "[" * 20_000),
        ("[asked]", "x = 1" + " " * 2_000_000 + "\n[asked]"),
    ],
)
def test_a_hostile_recipe_file_is_told_at_once(started, change):
    text = started.file("recipe.toml").read_text()
    assert change[0] in text
    started.file("recipe.toml").write_text(text.replace(*change))
    with pytest.raises(RunError, match=r"recipe\.toml") as told:
        started.facts()
    assert len(str(told.value)) < 1_000


def test_a_run_of_thousands_of_classes_is_read_back_and_is_a_recipe(started):
    names = [f'class "{number}" \\ [asked] 郁金香 ' + "." * 60 for number in range(10_000)]
    catalog = Catalog(tuple(names), CATALOG.photos)
    started.start(FACTS, read_recipe("demo"), catalog, [0, 1])
    assert started.file("recipe.toml").stat().st_size > 1_000_000
    assert started.facts() == FACTS and started.resolved() == read_recipe("demo")
    assert read_recipe(str(started.file("recipe.toml"))) == FACTS.asked


@pytest.mark.parametrize("data", [b"\xf5\x00", b"a,b\n1,2\n", b""])
def test_damaged_tables_are_told(started, data):
    for name, read in (("photos.csv", started.rows), ("history.csv", started.history)):
        started.file(name).write_bytes(data)
        with pytest.raises(RunError, match=name):
            read()


def test_a_file_in_place_of_a_folder_of_the_run_is_refused(started):
    (started.path / "logs").write_text("mine")
    with pytest.raises(RunError, match="logs"):
        started.check_usable(FACTS)


def test_a_run_is_set_aside_under_the_next_free_name(started):
    before = contents(started)
    kept = started.set_aside()
    assert kept.name == "run-before-1" and not started.path.exists()
    assert {name: data for name, data in contents(RunFolder(kept)).items() if name != ".lock"} == before
    assert started.set_aside() is None
    started.make()
    assert started.set_aside() is None, "an empty folder is no run"
    started.start(FACTS, read_recipe("demo"), CATALOG, [0, 1])
    assert started.set_aside().name == "run-before-2"


def test_a_link_to_a_run_goes_on_leading_to_where_it_lay(started, tmp_path):
    link = RunFolder(tmp_path / "link")
    link.path.symlink_to("run")
    kept = link.set_aside()
    assert kept == started.path.with_name("run-before-1") and RunFolder(kept).is_started and not kept.is_symlink()
    assert link.path.is_symlink() and link.path.is_dir() and not started.is_started
    started.path.rmdir()
    with pytest.raises(RunError, match="is a link to run, which is not there"):
        link.make()


def test_a_run_in_use_or_a_folder_of_others_is_not_set_aside(started):
    with started.alone(), pytest.raises(RunError, match="another process is training"):
        RunFolder(started.path).set_aside()
    (started.path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"notes\.txt"):
        started.set_aside()
    assert started.is_started
