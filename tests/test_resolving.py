"""What depends on the number of photos: batch, epochs, class weights, and that it is said."""

import numpy as np
import pytest

from fireweed.data.plan import default_batch
from fireweed.recipe import checked, read_recipe, recipe_names
from fireweed.resolving import (
    cached_side,
    class_weights,
    loss_of_chance,
    resolve,
    share_of_partners,
    validate_every,
    view_of_epochs,
)
from fireweed.settings import AugmentSettings, Phase


def asked(**training):
    return checked({"training": {"phases": [{"side": 96, "epochs": 4}, {"side": 128, "epochs": 2}], **training}})


def test_small_sets_get_a_small_batch_and_more_epochs_and_are_told_so():
    resolved = resolve(asked(steps_at_least=120), [20, 20], default_batch=8)
    assert resolved.recipe.training.batch == 8
    assert resolved.recipe.total_epochs == 24  # 5 steps an epoch
    assert [p.epochs for p in resolved.recipe.training.phases] == [16, 8]
    assert "batch 8" in resolved.notes[0] and "24 epochs instead of 6, since there are few" in resolved.notes[1]


def test_large_sets_get_fewer_epochs_but_keep_their_sides():
    resolved = resolve(asked(steps_at_most=1000), [5000, 5000], default_batch=32)
    assert [p.epochs for p in resolved.recipe.training.phases] == [2, 1]
    assert "3 epochs instead of 6, since there are many photos: 939 steps in all" in resolved.notes
    resolved = resolve(asked(steps_at_most=100), [50_000, 50_000], default_batch=128)
    assert resolved.recipe.training.phases == (Phase(side=96, epochs=1), Phase(side=128, epochs=1))
    uneven = [{"side": side, "epochs": epochs} for side, epochs in ((64, 40), (96, 14), (128, 4))]
    resolved = resolve(asked(steps_at_most=100, phases=uneven), [50_000, 50_000], default_batch=128)
    assert [(p.side, p.epochs) for p in resolved.recipe.training.phases] == [(64, 1), (96, 1), (128, 1)]


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("photos", [4, 8, 35, 100, 343, 2600, 70_000, 1_000_000])
def test_no_set_is_too_small_or_too_large_for_a_shipped_recipe(name, photos):
    recipe = read_recipe(name)
    resolved = resolve(recipe, [photos // 2, photos - photos // 2], default_batch(photos)).recipe
    steps = -(-photos // resolved.training.batch)
    assert len(resolved.training.phases) == len(recipe.training.phases)
    assert resolved.total_epochs <= max(200, recipe.total_epochs)
    limits = recipe.training
    if limits.steps_at_most:
        assert steps * resolved.total_epochs <= max(limits.steps_at_most, steps * len(limits.phases))
        assert steps * resolved.total_epochs >= min(limits.steps_at_least, 200 * steps)


def test_a_batch_that_holds_all_photos_does_not_make_thousands_of_epochs():
    assert resolve(asked(steps_at_least=5000, batch=32), [8, 8], 4).recipe.total_epochs == 200
    assert resolve(asked(steps_at_least=5000, batch=32, phases=[{"side": 64, "epochs": 300}]), [8, 8], 4
                   ).recipe.total_epochs == 300  # fmt: skip


def test_where_time_decides_epochs_are_not_talked_of():
    assert not any("epochs" in note for note in resolve(asked(steps_at_least=500), [20, 20], 8, by_clock=True).notes)


def test_what_hides_writing_or_turns_it_around_is_said_with_the_remedy():
    def said(**augment):
        recipe = asked().model_copy(update={"augment": AugmentSettings(**augment)})
        return " ".join(resolve(recipe, [200, 200], 32).notes)

    both = said(crop=(0.15, 1.0))
    assert "15% of their area" in both and "--no-flip --set augment.crop=[0.6,1]" in both
    assert "--no-flip" in said(crop=(0.8, 1.0)) and "augment.crop" not in said(crop=(0.8, 1.0))
    assert said(flip=False, crop=(0.6, 1.0)) == ""


def test_two_classes_of_a_few_photos_and_a_hundred_classes_of_ten_are_balanced_enough():
    assert class_weights("auto", [18, 17]) is None
    assert class_weights("auto", [7] * 99 + [5]) is None
    assert max(class_weights("auto", [30, 28, 1])) == 10


def test_epochs_that_were_asked_for_are_not_changed():
    resolved = resolve(asked(steps_at_least=1000, epochs=3), [20, 20], default_batch=8)
    assert resolved.recipe.total_epochs == 3


def test_side_makes_one_phase_and_so_does_a_net_that_flattens():
    assert resolve(asked(side=64), [99, 99], 32).recipe.training.phases == (Phase(side=64, epochs=6),)
    flat = resolve(asked(), [99, 99], 32, has_flatten=True)
    assert flat.recipe.training.phases == (Phase(side=128, epochs=6),)


def test_the_evaluation_side_goes_with_the_last_phase_and_a_net_that_flattens_has_but_one():
    assert resolve(asked(evaluation_scale=1.25), [99, 99], 32).recipe.evaluation_side == 160
    assert asked(evaluation_scale=1.25, side=64).evaluation_side == 80
    assert resolve(asked(evaluation_scale=1.25, side=64), [99, 99], 32).recipe.evaluation_side == 80
    assert resolve(asked(evaluation_scale=1.25), [99, 99], 32, has_flatten=True).recipe.evaluation_side == 128
    assert asked(side=331).evaluation_side == 331


def test_a_net_that_flattens_says_that_its_evaluation_side_cannot_be_another():
    def notes(scale, has_flatten):
        return " ".join(resolve(asked(evaluation_scale=scale), [99, 99], 32, has_flatten=has_flatten).notes)

    assert "evaluation_scale 1.25 is left out" in notes(1.25, True)
    assert "evaluation_scale" not in notes(1.0, True) + notes(1.25, False)


def test_squares_have_a_margin_only_where_photos_are_cropped():
    cropped = checked({"data": {"margin": 1.5}, "augment": {"crop": [0.5, 1.0]}})
    assert cached_side(cropped) == 144
    assert cached_side(cropped.model_copy(update={"augment": AugmentSettings()})) == 96


def test_a_batch_larger_than_the_set_is_cut():
    resolved = resolve(asked(batch=128), [20, 30], default_batch=8)
    assert resolved.recipe.training.batch == 50 and "128" in resolved.notes[0]


def test_class_weights_are_inverse_to_the_counts_and_capped():
    assert class_weights("none", [1, 100]) is None
    assert class_weights("auto", [50, 100]) is None
    assert class_weights("balanced", [50, 100]) == pytest.approx((1.5, 0.75))
    rare, common = class_weights("auto", [1, 199])
    assert rare == 10 and common == pytest.approx(100 / 199)
    assert class_weights("auto", [0, 10, 90])[0] == 1.0
    resolved = resolve(asked(), [10, 90], 8)
    assert resolved.recipe.training.class_weights == "balanced" and "unbalanced" in resolved.notes[-1]


def test_resolving_a_resolved_recipe_changes_nothing():
    once = resolve(asked(steps_at_least=120), [20, 70], default_batch=8).recipe
    assert resolve(once, [20, 70], default_batch=16).recipe == once


def test_each_phase_takes_its_first_epochs_as_views_in_turn():
    training = asked().training
    assert view_of_epochs(training) == [0, 1, 2, 3, 4, 5]
    assert view_of_epochs(training.model_copy(update={"views": 3})) == [0, 1, 2, 0, 4, 5]
    assert view_of_epochs(training.model_copy(update={"views": 1})) == [0, 0, 0, 0, 4, 4]


@pytest.mark.parametrize(("validated", "every"), [(0, 1), (24, 1), (100, 1), (101, 2), (694, 7)])
def test_no_more_photos_are_validated_than_trained_on(validated, every):
    settings = asked().training
    assert validate_every(settings, 100, validated) == every
    assert validate_every(settings.model_copy(update={"patience": 3}), 100, validated) == 1
    assert validate_every(settings.model_copy(update={"keep": "best"}), 100, validated) == 1


def test_the_loss_of_chance_is_that_of_the_shares_of_the_classes():
    assert loss_of_chance([50, 50], None, 0.0) == pytest.approx(np.log(2))
    assert loss_of_chance([90, 10], None, 0.0) == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))
    balanced = class_weights("balanced", [90, 10])
    assert loss_of_chance([90, 10], balanced, 0.0) == pytest.approx(np.log(2))
    assert loss_of_chance([90, 10], balanced, 0.1) == pytest.approx(np.log(2)), "smoothed towards what it is anyway"
    counts, weights, smoothing = [70, 25, 0, 5], [1.0, 2.0, 1.0, 4.0], 0.1
    targets = (1 - smoothing) * np.eye(4) + smoothing / 4
    pulls = np.array(counts) / 100 * weights

    def loss(answer):
        return float(-(pulls[:, None] * targets * np.log(answer)).sum())

    least = loss_of_chance(counts, weights, smoothing)
    assert loss(pulls @ targets / pulls.sum()) == pytest.approx(least)
    mixes = np.random.default_rng(1).beta(0.4, 0.4, 200_000)
    mixing = share_of_partners(AugmentSettings(mixup=0.4))
    assert mixing == pytest.approx((2 * mixes * (1 - mixes)).mean(), rel=0.01)
    pairs = np.random.default_rng(2).choice(2, (2, 200_000), p=[0.9, 0.1])
    mixed_weights = mixes * np.array(balanced)[pairs[0]] + (1 - mixes) * np.array(balanced)[pairs[1]]
    mixed = mixes[:, None] * np.eye(2)[pairs[0]] + (1 - mixes)[:, None] * np.eye(2)[pairs[1]]
    pulled = (mixed_weights[:, None] * mixed).mean(0)
    least_mixed = -(pulled * np.log(pulled / pulled.sum())).sum()
    assert loss_of_chance([90, 10], balanced, 0.0, mixing) == pytest.approx(least_mixed, rel=0.02)
    others = np.random.default_rng(0).dirichlet(np.ones(4), 200)
    assert min(loss(answer) for answer in others) > least


@pytest.mark.parametrize(("optimizer", "factor"), [("sgd", 4.0), ("lars", 4.0), ("adamw", 2.0), ("muon", 2.0)])
def test_a_batch_that_devices_share_raises_the_rate_as_suits_the_optimizer(optimizer, factor):
    schedule = {"peak": 0.01, "floor": 0.001, "start": 0.0}
    recipe = asked(optimizer=optimizer, schedule=schedule)
    resolved = resolve(recipe, [2000, 2000], default_batch(4000), shared_batch=default_batch(4000, 4))
    training = resolved.recipe.training
    assert training.batch == 128
    assert (training.schedule.peak, training.schedule.floor) == pytest.approx((0.01 * factor, 0.001 * factor))
    assert f"these devices; the learning rate is {factor:g} times that for batch 32" in resolved.notes[0]


def test_the_same_batch_has_the_same_rate_for_many_photos_as_on_many_devices():
    many = resolve(asked(), [50_000, 50_000], default_batch(100_000)).recipe.training
    shared = resolve(asked(), [49_999, 49_999], default_batch(99_998), shared_batch=default_batch(99_998, 4))
    assert many.batch == 128 and many.schedule == shared.recipe.training.schedule
    assert many.schedule.peak == pytest.approx(2 * asked().training.schedule.peak)


def test_a_batch_that_was_asked_for_keeps_its_rate_on_several_devices():
    resolved = resolve(asked(batch=64), [2000, 2000], default_batch(4000), shared_batch=default_batch(4000, 8))
    assert resolved.recipe.training.batch == 64
    assert resolved.recipe.training.schedule == asked().training.schedule


def test_few_photos_fill_no_large_batch():
    resolved = resolve(asked(), [20, 20], default_batch(40), shared_batch=default_batch(40, 8))
    assert resolved.recipe.training.batch == 8
    assert resolved.recipe.training.schedule == asked().training.schedule


def test_fine_tuning_on_some_dozens_of_photos_a_class_names_the_recipe_made_for_them():
    def notes(name, counts, settings=("model.weights=imagenet",)):
        return " ".join(resolve(read_recipe(name, settings), counts, default_batch(sum(counts))).notes)

    assert "about 20 photos of a class --recipe few" in notes("xception", [15, 20, 20, 300, 0])
    assert "--recipe few" not in notes("xception", [500] * 5)
    assert "--recipe few" not in notes("xception", [20] * 5, ("model.weights=none",))
    assert "--recipe few" not in notes("few", [20] * 5) + notes("frozen", [20] * 5) + notes("firenet", [20] * 5, ())
