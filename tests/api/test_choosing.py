"""Which recipe a request means, and what is refused before any photo is read."""

import json

import pytest

from fireweed.api import TrainRequest
from fireweed.api import choosing as module
from fireweed.api.choosing import choose_recipe
from fireweed.errors import BundleError, ModelError, RecipeError


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(module, "_reaches", lambda host: False)


def chosen(**options):
    recipe, why = choose_recipe(TrainRequest("photos", **options))
    return recipe.name, recipe.model.name, recipe.model.weights, why


def test_nothing_said_trains_from_scratch_offline_and_says_why():
    name, net, weights, why = chosen()
    assert (name, net, weights) == ("firenet", "firenet", "none") and "--weights FILE" in why


def test_nothing_said_fine_tunes_where_weights_can_be_had(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_reaches", lambda host: True)
    assert chosen()[:3] == ("xception", "xception", "imagenet")
    assert chosen(weights="none")[0] == "firenet"
    monkeypatch.setattr(module, "_reaches", lambda host: False)
    file = tmp_path / "keras" / "models" / "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"
    file.parent.mkdir(parents=True)
    file.touch()
    assert chosen()[0] == "xception" and "at hand" in chosen()[3]


def test_weights_that_were_asked_for_decide_the_net(tmp_path):
    assert chosen(weights="imagenet")[:3] == ("xception", "xception", "imagenet")
    file = tmp_path / "some.weights.h5"
    file.touch()
    assert chosen(weights=str(file))[:3] == ("xception", "xception", str(file))
    (tmp_path / "fireweed.json").write_text(json.dumps({"model": "squeezenet"}))
    assert chosen(weights=str(tmp_path))[:2] == ("squeezenet", "squeezenet")


def test_a_net_takes_its_own_recipe_or_that_of_its_kind():
    assert chosen(model="xception")[0] == "xception"
    assert chosen(model="mobilenetv2")[:2] == ("mobilenetv2", "mobilenetv2")
    assert chosen(model="efficientnet-b0")[0] == "efficientnet-b0"
    name, net, weights, _ = chosen(model="conv 8 | gap")
    assert (name, net, weights) == ("custom", "conv 8 | gap", "none")


def test_a_net_to_freeze_takes_the_settings_of_frozen_nets_and_calls_itself_nothing_else(monkeypatch):
    monkeypatch.setattr(module, "_reaches", lambda host: True)
    for options in ({}, {"weights": "imagenet"}, {"model": "mobilenetv2"}, {"model": "xception"}):
        recipe, why = choose_recipe(TrainRequest("photos", freeze=True, **options))
        assert recipe.model.freeze is True and recipe.training.views == 7 and "frozen" in why
        assert recipe.description == "" and recipe.model.name == options.get("model", "xception")
    assert "four blocks" in choose_recipe(TrainRequest("photos", recipe="frozen"))[0].description
    assert choose_recipe(TrainRequest("photos", recipe="frozen", settings=("model.freeze=add_6",)))[0].description == ""


def test_a_recipe_that_only_the_options_make_whole_is_read_once_they_are_applied(tmp_path):
    weights = tmp_path / "x.weights.h5"
    weights.touch()
    mine = tmp_path / "mine.toml"
    mine.write_text('[model]\nname = "xception"\nweights = "/elsewhere/x.h5"\n[training]\nnorms = "frozen"\n')
    recipe, _ = choose_recipe(TrainRequest("photos", recipe=str(mine), weights=str(weights)))
    assert recipe.model.weights == str(weights) and recipe.training.norms == "frozen"
    mine.write_text('[model]\nname = "xception"\nweights = "imagenet"\n[training]\nviews = 3\n')
    assert choose_recipe(TrainRequest("photos", recipe=str(mine), freeze=True))[0].training.views == 3


def test_options_change_the_recipe():
    recipe, _ = choose_recipe(TrainRequest("x", recipe="demo", augment=False, seed=4, settings=("training.batch=3",)))
    assert not recipe.augment.flip and recipe.augment.crop == (1.0, 1.0)
    assert recipe.training.seed == 4 and recipe.training.batch == 3
    assert not choose_recipe(TrainRequest("x", recipe="demo", flip=False))[0].augment.flip


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"model": "xception", "side": 32}, ModelError, "71"),
        ({"model": "squeezenet", "settings": ("training.evaluation_scale=0.1",)}, RecipeError, "evaluation_scale"),
        ({"model": "xception", "side": 72, "settings": ("training.evaluation_scale=0.5",)}, ModelError, "71"),
        (
            {
                "model": "xception",
                "epochs": 1,
                "settings": (
                    "training.evaluation_scale=0.5",
                    "training.phases=[{side=128,epochs=9},{side=160,epochs=2}]",
                ),
            },
            ModelError,
            "71",
        ),
        ({"weights": "/no/such.h5"}, BundleError, "no weight file"),
        ({"model": "squeezenet", "weights": "imagenet"}, ModelError, "no ImageNet weights"),
        ({"minutes": float("nan")}, RecipeError, "above 0"),
        ({"minutes": -1.0}, RecipeError, "above 0"),
        ({"minutes": 5.0, "epochs": 3}, RecipeError, "--epochs"),
        ({"minutes": 5.0, "deterministic": True}, RecipeError, "--deterministic"),
        ({"model": "xeption"}, ModelError, "xception"),
    ],
)
def test_what_cannot_be_is_refused_at_once(options, kind, words):
    with pytest.raises(kind, match=words):
        choose_recipe(TrainRequest("photos", **options))
