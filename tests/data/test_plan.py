import dataclasses
import hashlib
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireweed.data.changes import AugmentSettings
from fireweed.data.plan import Plan, Rows, default_batch, evaluation_rows, lane_count
from fireweed.errors import RecipeError

EVERYTHING = AugmentSettings(
    flip=True, saturation=(0, 2), brightness=0.2, contrast=0.3, crop=(0.35, 1), cutout=0.25, mixup=0.4, cutmix=1.0
)


def keys_of(count: int, salt: str = "") -> list[str]:
    return [hashlib.sha256(f"{salt}{i}".encode()).hexdigest() for i in range(count)]


def plan_of(count: int, batch: int, augment: AugmentSettings = EVERYTHING, **settings_given: object) -> Plan:
    return Plan(7, keys_of(count), np.arange(count) % 3, batch, augment, **settings_given)  # type: ignore[arg-type]


def assert_equal(one: Rows, other: Rows) -> None:
    for field in dataclasses.fields(Rows):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 700), batch=st.integers(1, 96), epoch=st.integers(0, 5))
def test_every_photo_comes_once_an_epoch_with_weight_one(count: int, batch: int, epoch: int) -> None:
    rows = plan_of(count, batch).rows(epoch)
    assert rows.index.shape == (-(-count // batch), batch)
    counted = rows.index[rows.weight == 1]
    assert sorted(counted) == list(range(count))
    assert set(np.unique(rows.weight)) <= {0, 1}


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 500), batch=st.sampled_from([1, 6, 16, 32, 48]), data=st.data())
def test_a_row_made_alone_equals_the_row_of_the_whole_epoch(count: int, batch: int, data: st.DataObject) -> None:
    whole = plan_of(count, batch).rows(3)
    step = data.draw(st.integers(0, len(whole) - 1))
    alone = plan_of(count, batch).rows(3, step, step + 1)
    expected = Rows(**{f.name: getattr(whole, f.name)[step : step + 1] for f in dataclasses.fields(Rows)})
    assert_equal(alone, expected)


def test_repeats_that_fill_the_last_batch_come_from_their_own_lane() -> None:
    plan = plan_of(1000, 64)
    rows = plan.rows(0)
    lane_of = np.empty(1000, int)
    lane_of[np.argsort(keys_of(1000))] = np.arange(1000) % plan.lanes
    assert plan.lanes == 32
    np.testing.assert_array_equal(lane_of[rows.index], np.broadcast_to(np.arange(64) % 32, rows.index.shape))
    assert np.all(rows.weight[-1, 1000 % 64 :] == 0)


@pytest.mark.parametrize(
    ("count", "batch", "lanes"),
    [(60, 32, 2), (31, 8, 1), (3000, 32, 32), (3000, 48, 16), (5000, 128, 64), (5000, 7, 1)],
)
def test_lanes_divide_the_batch_and_hold_sixteen_photos_each(count: int, batch: int, lanes: int) -> None:
    assert lane_count(count, batch) == lanes


def test_lanes_nest_so_that_a_host_keeps_its_photos_when_the_batch_changes() -> None:
    few, many = plan_of(4000, 8, hosts=4, host=1), plan_of(4000, 64, hosts=4, host=1)
    assert few.lanes == 8
    assert many.lanes == 64
    assert set(few.own_photos()) == set(many.own_photos())


@pytest.mark.parametrize(
    ("count", "batch", "hosts"), [(500, 32, 1), (500, 32, 4), (500, 24, 3), (40, 32, 8), (500, 12, 12)]
)
def test_hosts_together_carry_out_the_table_of_one_and_read_only_their_photos(
    count: int, batch: int, hosts: int
) -> None:
    together = plan_of(count, batch).rows(2)
    for host in range(hosts):
        plan = plan_of(count, batch, hosts=hosts, host=host)
        rows = plan.rows(2)
        expected = Rows(**{f.name: getattr(together, f.name)[:, host::hosts] for f in dataclasses.fields(Rows)})
        assert_equal(rows, expected)
        assert set(rows.index.flat) | set(rows.partner.flat) <= set(plan.own_photos())
    owned = len(plan_of(4096, 32, hosts=4, host=0).own_photos())
    assert owned == 1024


def test_a_batch_that_hosts_cannot_share_is_refused() -> None:
    with pytest.raises(RecipeError, match="30 cannot be shared by 4 hosts"):
        plan_of(100, 30, hosts=4)
    with pytest.raises(RecipeError, match="no photos"):
        plan_of(0, 4)


def test_partners_are_the_photos_of_the_same_lane_a_turn_before() -> None:
    plan = plan_of(1000, 64)
    rows = plan.rows(1)
    order, partners = rows.index.ravel(), rows.partner.ravel()
    np.testing.assert_array_equal(partners[plan.lanes : 1000], order[: 1000 - plan.lanes])
    np.testing.assert_array_equal(partners[: plan.lanes], order[plan.lanes : 2 * plan.lanes])
    assert np.all(partners != order)
    assert plan_of(1, 1).rows(0).partner.tolist() == [[0]]


def test_a_sorted_set_is_shuffled_well() -> None:
    """A set sorted by class, which a shuffle buffer smaller than the set leaves nearly sorted."""
    labels = np.arange(1000) // 500
    plan = Plan(0, keys_of(1000), labels, 32)
    first, second = plan.rows(0), plan.rows(1)
    in_class_a = np.sum(labels[first.index[:-1]] == 0, axis=1)
    assert in_class_a.min() >= 5
    assert in_class_a.max() <= 27
    assert abs(np.mean(first.index.ravel()[:100]) - 500) <= 100
    assert np.mean(first.index == second.index) < 0.05
    assert_equal(first, Plan(0, keys_of(1000), labels, 32).rows(0))
    assert np.mean(first.index == Plan(1, keys_of(1000), labels, 32).rows(0).index) < 0.05


def test_orders_are_uniform_over_epochs() -> None:
    plan = Plan(3, keys_of(10), [0] * 10, 5)
    places = np.array([np.argsort(plan.rows(epoch).index.ravel()) for epoch in range(2000)])
    counts = np.array([np.bincount(places[:, photo], minlength=10) for photo in range(10)])
    assert np.all(np.abs(counts - 200) < 70)  # five standard deviations


def test_the_order_of_the_list_does_not_matter_but_the_keys_do() -> None:
    keys = keys_of(200)
    moved = np.random.default_rng(0).permutation(200)
    one = Plan(5, keys, np.zeros(200, int), 16, EVERYTHING).rows(4)
    other = Plan(5, [keys[i] for i in moved], np.zeros(200, int), 16, EVERYTHING).rows(4)
    np.testing.assert_array_equal(one.index, moved[other.index])
    np.testing.assert_array_equal(one.flip, other.flip)
    np.testing.assert_array_equal(one.crop, other.crop)


def test_flips_alternate_for_each_photo_and_start_evenly() -> None:
    plan = Plan(11, keys_of(600), [0] * 600, 8, AugmentSettings(flip=True))
    flips = np.empty((4, 600), bool)
    for epoch in range(4):
        rows = plan.rows(epoch)
        flips[epoch, rows.index] = rows.flip
    assert np.all(flips[0] != flips[1])
    np.testing.assert_array_equal(flips[0], flips[2])
    assert abs(int(flips[0].sum()) - 300) < 60
    again = Plan(12, keys_of(600), [0] * 600, 8, AugmentSettings(flip=True)).rows(0)
    assert 200 < np.sum(flips[0][again.index] != again.flip) < 400


def test_draws_stay_within_their_settings() -> None:
    rows = plan_of(3000, 50).rows(0)
    assert rows.saturation.min() >= 0
    assert rows.saturation.max() <= 2
    assert abs(rows.saturation.mean() - 1) < 0.05
    assert np.abs(rows.brightness).max() <= 0.2
    assert np.abs(rows.contrast - 1).max() <= 0.3 + 1e-6
    for box in (rows.crop, rows.cutout, rows.cutmix):
        assert box.min() >= 0
        assert box.max() <= 1
        assert np.all(box[..., :2] <= box[..., 2:])
    size = rows.crop[..., 2:] - rows.crop[..., :2]
    area, aspect = np.prod(size, axis=-1), size[..., 1] / size[..., 0]
    assert area.max() <= 1
    assert area.min() > 0.34
    assert 0.7 < np.quantile(aspect, 0.01) < 0.8
    assert 1.25 < np.quantile(aspect, 0.99) < 1.4
    assert np.prod(rows.cutout[..., 2:] - rows.cutout[..., :2], axis=-1).max() <= 0.25**2 + 1e-6
    pasted = np.prod(rows.cutmix[..., 2:] - rows.cutmix[..., :2], axis=-1)
    cuts = pasted > 0
    assert 0.4 < cuts.mean() < 0.6
    np.testing.assert_allclose(rows.mix[cuts], 1 - pasted[cuts], atol=1e-6)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 3.0])
def test_shares_of_mixup_follow_the_beta_distribution(alpha: float) -> None:
    shares = plan_of(6000, 50, AugmentSettings(mixup=alpha)).rows(0).mix.ravel()
    expected = np.random.default_rng(0).beta(alpha, alpha, 200_000)
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        assert abs(np.mean(shares <= share) - np.mean(expected <= share)) < 0.025


def test_one_setting_moves_no_other_settings_draws() -> None:
    all_on = plan_of(300, 16).rows(1)
    some = plan_of(300, 16, AugmentSettings(flip=True, saturation=(0, 2), crop=(0.35, 1))).rows(1)
    for name in ("index", "flip", "saturation", "crop"):
        np.testing.assert_array_equal(getattr(all_on, name), getattr(some, name))


def test_without_augmentation_every_epoch_leaves_photos_as_they_are() -> None:
    plan = plan_of(100, 8, AugmentSettings.none())
    for epoch in range(2):
        rows = plan.rows(epoch)
        unchanged = {"saturation": 1, "contrast": 1, "brightness": 0, "mix": 1, "cutout": 0, "cutmix": 0, "flip": 0}
        for name, value in unchanged.items():
            assert np.all(getattr(rows, name) == value), name
        assert np.all(rows.crop == [0, 0, 1, 1])


def test_class_weights_count_in_the_loss_alone_and_mix_like_labels() -> None:
    weights = np.array([0.5, 1.0, 3.0], np.float32)
    plan = plan_of(200, 32, AugmentSettings(mixup=0.4), weights_per_class=weights)
    rows = plan.rows(0)
    labels = np.arange(200) % 3
    mixed = rows.mix * weights[labels[rows.index]] + (1 - rows.mix) * weights[labels[rows.partner]]
    np.testing.assert_allclose(rows.loss_weight, rows.weight * mixed, rtol=1e-6)
    assert set(np.unique(rows.weight)) == {0, 1}


def test_large_sets_read_neighbouring_blocks_and_still_see_every_photo_once() -> None:
    count = 40_000
    plan = plan_of(count, 4, AugmentSettings.none(), block_threshold=10_000)
    order = plan.rows(0).index.ravel()
    assert sorted(order) == list(range(count))
    rank = np.empty(count, int)
    rank[np.argsort(keys_of(count))] = np.arange(count)
    lane = rank[order[:: plan.lanes]] // plan.lanes  # ranks within lane 0, in the order of its turns
    window = lane[:256]
    blocks = np.unique(window // 32)
    assert len(blocks) <= 9  # 256 photos out of 10,000 come from 8 blocks, one more where the last block is short
    assert np.ptp(blocks) > 20  # the blocks themselves are far apart
    assert np.any(np.diff(window) < 0)
    np.testing.assert_array_equal(order[4:8], plan.rows(0, 1, 2).index[0])


def test_evaluation_goes_in_order_unchanged_and_fills_up_at_weight_zero() -> None:
    rows = evaluation_rows(10, 4)
    assert rows.index.ravel().tolist() == [*range(10), 0, 1]
    assert rows.weight.ravel().tolist() == [1] * 10 + [0, 0]
    assert np.all(rows.crop == [0, 0, 1, 1])
    assert not rows.flip.any()
    halves = [evaluation_rows(10, 4, hosts=2, host=host).index for host in range(2)]
    np.testing.assert_array_equal(halves[1], rows.index[:, 1::2])
    assert halves[0].shape == halves[1].shape
    for host in range(4):  # the places that are filled up, too, are of photos that the host has anyway
        own = evaluation_rows(11, 8, hosts=4, host=host)
        assert np.all(own.index % 4 == host) and own.index.shape == (2, 2)


def test_the_hosts_of_a_pod_share_every_photo_out_once() -> None:
    """Each of 64 hosts plans its own positions of a large set, and no two have a photo in common."""
    hosts, batch = 64, 8192
    digests = np.random.default_rng(0).bytes(32 * POD_PHOTOS).hex()
    keys = [digests[start : start + 64] for start in range(0, len(digests), 64)]
    plan = Plan(7, keys, np.zeros(POD_PHOTOS, np.int8), batch, hosts=hosts)
    seen = np.zeros(POD_PHOTOS, np.int8)
    for host in range(hosts):
        plan.host = host  # so that the photos need be put in order only once
        own = np.zeros(POD_PHOTOS, bool)
        own[plan.own_photos()] = True
        for first in range(0, plan.steps, 500):
            rows = plan.rows(3, first, first + 500)
            assert rows.index.shape[1] == batch // hosts and own[rows.index].all()
            np.add.at(seen, rows.index[rows.weight > 0], 1)
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("photos", "batch"), [(1, 1), (3, 1), (7, 1), (8, 2), (60, 8), (127, 16), (128, 32), (2972, 32), (200_000, 128)]
)
def test_the_default_batch_is_a_power_of_two_up_to_a_quarter(photos: int, batch: int) -> None:
    assert default_batch(photos) == batch


def test_tables_are_the_same_on_every_machine() -> None:
    """Fixed once and for all: a change here changes every run that someone wants to repeat or go on with."""
    rows = plan_of(100, 8).rows(2)
    assert rows.index[:2].tolist() == FIRST_INDICES
    digest = hashlib.sha256()
    for field in dataclasses.fields(Rows):
        digest.update(np.ascontiguousarray(getattr(rows, field.name)).tobytes())
    assert digest.hexdigest() == TABLE_DIGEST


def test_planning_is_fast_and_needs_no_framework() -> None:
    plan = plan_of(3000, 32, AugmentSettings(flip=True, saturation=(0, 2)))
    times = []
    for epoch in range(5):
        start = time.perf_counter()
        plan.rows(epoch)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.015
    program = "import sys, fireweed.data.plan; print({'keras', 'tensorflow', 'jax', 'cv2'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


POD_PHOTOS = 1_000_000
FIRST_INDICES = [[62, 88, 16, 45, 6, 69, 58, 85], [11, 82, 12, 8, 68, 96, 87, 1]]
TABLE_DIGEST = "8684fdd98768583deaf80c6c213099bcb854a54f6dd1eb6d4c49a45c37562e1c"
