"""The recipe of a run with every number decided: by the photos, by the machine, or by how the run began."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fireweed.data.catalog import Catalog
from fireweed.data.plan import default_batch
from fireweed.devices import DeviceChoice
from fireweed.devices.hosts import Hosts
from fireweed.models.registry import find_entry
from fireweed.recipe import Recipe
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved, resolve
from fireweed.run import RunFacts

if TYPE_CHECKING:
    from fireweed.api.training import TrainRequest
    from fireweed.training.clock import Budget


def by_photos(
    request: "TrainRequest", facts: RunFacts, catalog: Catalog, choice: DeviceChoice, hosts: Hosts
) -> Resolved:
    """Return the recipe as far as the photos and the number of devices decide it."""
    counts = [int(count) for count in catalog.part("train").counts()]
    asked, photos = facts.asked, sum(counts)
    return resolve(
        asked, counts, default_batch(photos), find_entry(asked.model.name).has_flatten, choice.precision,
        by_clock=request.minutes is not None, shared_batch=default_batch(photos, choice.count * hosts.count),
    )  # fmt: skip


def gone_on(
    fresh: Resolved, begun: Recipe, request: "TrainRequest", catalog: Catalog, choice: DeviceChoice, started: float
) -> tuple[Resolved, "Budget | None"]:
    """Return the recipe of a run that goes on, and the time that --minutes gives."""
    resolved = replace(fresh, recipe=begun)
    if request.minutes is None or begun.model.freeze:
        return resolved, None
    from fireweed.api.budget import budget_to_go_on, most_epochs

    return resolved, budget_to_go_on(begun, most_epochs(fresh.recipe), catalog, request.minutes, started, choice)


def by_machine(
    resolved: Resolved, asked: Recipe, request: "TrainRequest", catalog: Catalog, choice: DeviceChoice, folder: Path,
    started: float, reporter: Reporter,
) -> tuple[Resolved, "Budget | None"]:  # fmt: skip
    """Return the recipe with every number decided, and the time that --minutes gives; folder: that of the run."""
    from fireweed.api.compiling import with_compile

    resolved = with_compile(
        resolved, len(catalog.classes), len(catalog.part("train")), len(catalog.part("validation")), choice,
        is_repeatable=request.deterministic, may_try=request.minutes is None, reporter=reporter,
    )  # fmt: skip
    if asked.model.freeze:
        return _with_views(resolved, asked, request, catalog, choice, folder, started, reporter), None
    if request.minutes is None:
        return resolved, None
    from fireweed.api.budget import fit_to_minutes

    keeps_sides = asked.training.side is not None
    return fit_to_minutes(resolved, catalog, request.minutes, started, keeps_sides, choice, reporter)


def _with_views(
    resolved: Resolved, asked: Recipe, request: "TrainRequest", catalog: Catalog, choice: DeviceChoice, folder: Path,
    started: float, reporter: Reporter,
) -> Resolved:  # fmt: skip
    """Return the recipe of a frozen net with as many views as there is time and room for, or as --set asks for."""
    from fireweed.api.feature_room import fit_views_to_disk
    from fireweed.api.feature_time import fit_views_to_minutes

    # a recipe's own views are for no time and no disk in particular
    is_given = any(setting.partition("=")[0].strip() == "training.views" for setting in request.settings)
    if request.minutes is not None:
        resolved = fit_views_to_minutes(
            resolved, catalog, request.minutes, started, asked.training.side is not None, choice, reporter,
            most_views=asked.training.views if is_given else 0,
        )  # fmt: skip
    return resolved if is_given else fit_views_to_disk(resolved, catalog, folder)
