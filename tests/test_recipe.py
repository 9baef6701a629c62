"""Recipes: read, changed, refused with the nearest valid word, hashed."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireweed.errors import RecipeError
from fireweed.recipe import MAX_RECIPE_BYTES, Recipe, checked, read_recipe, recipe_names, with_epochs
from fireweed.settings import Phase


def test_every_shipped_recipe_reads_writes_and_keeps_the_shares():
    named = "demo firenet squeezenet squeezenet-codelab xception xception-codelab frozen fast few"
    assert set(named.split()) <= set(recipe_names())
    for name in recipe_names():
        recipe = read_recipe(name)
        assert recipe.name == name and recipe.description
        assert (recipe.data.validation, recipe.data.test) == (0.19, 0.10)
        assert recipe.training.compile == "auto"  # JAX has no other, and recipes are for all backends
        assert checked(tomllib.loads(recipe.to_toml())) == recipe


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.epoks=3", "training.epochs"),
        ("trainig.epochs=3", "training"),
        ("training.epochs=-1", "training.epochs"),
        ("training.epochs=many", "many"),
        ("training.schedule.kind=cosin", "cosine"),
        ("data.validation=0.7", None),
        ("data.test=0.8", "tenth"),
        ("augment.crop=[0, 3]", "augment.crop"),
        ("augment.saturation=nan", "augment.saturation"),
        ("training.phases=[]", "phases"),
        ("training", "section.key=value"),
        ("training.seed.x=1", "training.seed"),
        ("training.seed=" + "9" * 5000, "no value"),
        ("training.phases=" + "[" * 3000, "no value"),
    ],
)
def test_a_bad_setting_is_refused_in_one_line_that_names_it(setting, words):
    if words is None:
        assert read_recipe("demo", [setting]).data.validation == 0.7
        return
    with pytest.raises(RecipeError) as error:
        read_recipe("demo", [setting])
    assert words in str(error.value) and "\n" not in str(error.value)


def test_views_are_for_a_frozen_net():
    assert read_recipe("xception", ["training.views=2", "model.freeze=true"]).training.views == 2
    with pytest.raises(RecipeError, match=r"training\.views.*received 3.*--freeze.*training\.views=0"):
        read_recipe("xception", ["training.views=3"])


def test_norms_are_frozen_of_pretrained_nets_only():
    assert read_recipe("xception", ["training.norms=frozen"]).training.norms == "frozen"
    with pytest.raises(RecipeError, match=r"no statistics to keep, received 'frozen'; give it weights"):
        read_recipe("firenet", ["training.norms=frozen"])


def test_settings_are_toml_or_text_and_come_after_changes():
    changes = {"training.batch": 64, "model.freeze": None}
    recipe = read_recipe("demo", ["model.name=xception", "training.batch=8"], changes)
    assert (recipe.model.name, recipe.training.batch, recipe.model.freeze) == ("xception", 8, False)


def test_unknown_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'squeezenet'"):
        read_recipe("squeznet")


@pytest.mark.parametrize("text", ["[training", "x = 1\n" * MAX_RECIPE_BYTES, "[" * 50_000, "\xff"])
def test_hostile_recipe_files_are_refused(tmp_path, text):
    path = tmp_path / "bad.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecipeError, match=r"bad\.toml"):
        read_recipe(str(path))


def test_hash_tells_settings_apart_but_not_names():
    recipe = read_recipe("demo")
    assert recipe.hash() == recipe.model_copy(update={"name": "other", "description": ""}).hash()
    assert recipe.hash() != read_recipe("demo", ["training.seed=1"]).hash()


def test_epochs_are_shared_in_proportion_by_largest_remainder():
    phases = (Phase(side=96, epochs=16), Phase(side=128, epochs=6))
    assert with_epochs(phases, 11) == (Phase(side=96, epochs=8), Phase(side=128, epochs=3))
    assert with_epochs(phases, 1) == (Phase(side=96, epochs=1),)
    assert with_epochs(phases, 2) == (Phase(side=96, epochs=1), Phase(side=128, epochs=1))
    even = (Phase(side=96, epochs=2), Phase(side=192, epochs=2))
    assert with_epochs(even, 3) == (Phase(side=96, epochs=1), Phase(side=192, epochs=2))


@given(st.lists(st.tuples(st.integers(8, 300), st.integers(1, 50)), min_size=1, max_size=5), st.integers(1, 500))
def test_epochs_always_add_up(pairs, epochs):
    shared = with_epochs(tuple(Phase(side=s, epochs=e) for s, e in pairs), epochs)
    assert sum(phase.epochs for phase in shared) == epochs
    assert len(shared) == len(pairs) or epochs < len(pairs)


def test_defaults_make_a_valid_recipe():
    assert checked({}) == Recipe()


def test_a_recipe_names_weights_beside_it_and_the_user_any(tmp_path):
    (tmp_path / "my.toml").write_text("model.weights = 'nets/w.h5'")
    assert read_recipe(str(tmp_path / "my.toml")).model.weights == str((tmp_path / "nets" / "w.h5").resolve())
    (tmp_path / "my.toml").write_text("model.weights = '/elsewhere/w.h5'")
    with pytest.raises(RecipeError, match="its own folder only, received '/elsewhere"):
        read_recipe(str(tmp_path / "my.toml"))
    for asked in ({"changes": {"model.weights": "/mine.h5"}}, {"settings": ["model.weights=/mine.h5"]}):
        assert read_recipe(str(tmp_path / "my.toml"), **asked).model.weights == "/mine.h5"
