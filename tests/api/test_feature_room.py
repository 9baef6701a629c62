"""The features of a frozen net leave half of the free disk to others, whatever number of views its recipe has."""

import shutil
from types import SimpleNamespace

import pytest

from fireweed.api import feature_room
from fireweed.api.feature_room import check_room, feature_bytes, fit_views_to_disk
from fireweed.api.preparing import prepare_data
from fireweed.errors import FireweedError
from fireweed.recipe import checked
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved
from fireweed.settings import DataSettings


def recipe(views, freeze=True, precision="float32"):
    phases = [{"side": 32, "epochs": 6}, {"side": 64, "epochs": 3}]
    return checked({
        "model": {"name": "mobilenetv2", "freeze": freeze},
        "training": {"phases": phases, "batch": 8, "views": views, "precision": precision}})  # fmt: skip


def test_a_photo_takes_what_the_frozen_layers_give_of_it():
    assert feature_bytes(recipe(1), 5)(32) == feature_bytes(recipe(1), 5)(64) == 4 * 1280  # averaged over the photo
    assert feature_bytes(recipe(1, precision="mixed_bfloat16"), 5)(64) == 2 * 1280
    maps = feature_bytes(recipe(1, "block_12_add"), 5)
    assert (maps(32), maps(64)) == (4 * 2 * 2 * 96, 4 * 4 * 4 * 96)


@pytest.mark.parametrize(
    ("views", "passes_that_fit", "fitted"),
    [(4, 7, 4), (4, 6, 3), (4, 4, 2), (4, 3, 1), (4, 0, 1), (0, 9, 0), (0, 8, 5), (1, 0, 1)],
)
def test_as_many_views_are_taken_as_half_of_the_free_disk_holds(
    make_photos, tmp_path, monkeypatch, views, passes_that_fit, fitted
):
    catalog = prepare_data(str(make_photos({"a": 30, "b": 20})), DataSettings(), Reporter(is_silent=True)).catalog
    photos = len(catalog.part("train")) * passes_that_fit + len(catalog.part("validation"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(feature_room.shutil, "disk_usage", lambda path: usage._replace(free=2 * photos * 4 * 1280))
    found = fit_views_to_disk(Resolved(recipe(views), None, ("a note",)), catalog, tmp_path)
    assert found.recipe.training.views == fitted
    if fitted == views:
        assert found.notes == ("a note",)
    else:
        assert f"instead of {views or 6}" in found.notes[-1] and f"training.views={views or 6}" in found.notes[-1]


@pytest.mark.parametrize(("views", "remedy"), [(3, "training.views=N"), (1, "a smaller --side, or --freeze")])
def test_where_the_disk_is_too_small_the_remedy_is_one_that_is_left(tmp_path, views, remedy):
    files = [SimpleNamespace(block_bytes=10**15, blocks=2) for _ in range(views + 1)]
    with pytest.raises(FireweedError, match=r"take \d+000000.0 GB more in .* are free; make room, or") as error:
        check_room(files, [[0, 1]] * (views + 1), tmp_path, Reporter(is_silent=True))
    assert remedy in str(error.value)
