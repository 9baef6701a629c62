"""`fireweed train`: photos to a run folder, joined from data, models, training and evaluation."""

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fireweed.api.announcing import announce
from fireweed.api.choosing import choose_recipe
from fireweed.api.environment import environment_facts
from fireweed.api.joining import check_agreement, host_call, joined_hosts
from fireweed.api.preparing import PreparedData, check_trainable, cut_off_note, data_address, prepare_data
from fireweed.api.run_folders import how_to_go_on, is_finished, run_folder, take
from fireweed.data.catalog import Catalog
from fireweed.data.plan import default_batch
from fireweed.devices import DeviceChoice, choose_device, confirm, prepare_process
from fireweed.devices.hosts import Hosts
from fireweed.devices.layout import lay_out
from fireweed.devices.machine import Machine
from fireweed.devices.process import needed_environment, restart_with
from fireweed.errors import DataError
from fireweed.models.registry import find_entry
from fireweed.recipe import Recipe, checked
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved, resolve
from fireweed.run import RunFacts, RunFolder
from fireweed.text import is_text, readable

if TYPE_CHECKING:
    from fireweed.api.building import TrainingParts
    from fireweed.training.clock import Budget
    from fireweed.training.train import Outcome


@dataclass(frozen=True)
class TrainRequest:
    """All that a user can ask of a training; None is "not said"."""

    data: str
    recipe: str | None = None
    model: str | None = None
    weights: str | None = None
    freeze: bool | None = None
    epochs: int | None = None
    side: int | None = None
    minutes: float | None = None
    seed: int | None = None
    settings: tuple[str, ...] = ()
    augment: bool = True
    flip: bool = True
    out: str | None = None
    deterministic: bool = False
    compile: str | None = None
    device: str = "auto"
    backend: str | None = None
    devices: int | None = None
    coordinator: str | None = None
    hosts: int | None = None
    host: int | None = None
    precision: str | None = None
    resident: str = "auto"
    tpu: str | None = None
    zone: str | None = None
    project: str | None = None


def train_run(request: TrainRequest, reporter: Reporter, started: float | None = None) -> RunFolder:
    """Carry out a training, or go on with it, and return its finished folder.

    started: the time from which `minutes` count, by time.monotonic(); None: now.
    """
    started = time.monotonic() if started is None else started
    asked, why = choose_recipe(request)
    choice = chosen_device(request, asked.training.precision, asked.model.name)
    late = prepare_process(choice, request.deterministic)
    hosts = joined_hosts(request, asked, choice)
    if not hosts.is_first:
        reporter = reporter.only_warning()
    reporter.say(f"{choice.name}: {choice.backend}, {choice.precision}")
    for warning in (*choice.warnings, *late):
        reporter.warn(warning)
    reporter.say(why)
    with hosts.losses_noticed():
        if hosts.count > 1:  # JAX starts on all of them at once, so before what takes them unequally long
            choice = confirm(choice)
            hosts.check_devices()
        return _train_on(hosts, request, asked, choice, started, reporter)


def _train_on(
    hosts: Hosts, request: TrainRequest, asked: Recipe, choice: DeviceChoice, started: float, reporter: Reporter
) -> RunFolder:
    """Prepare the photos and the run's folder, and train; host 0 alone sees the folder."""
    prepared = prepare_data(request.data, asked.data, reporter, hosts=hosts)
    check_trainable(prepared.catalog, reporter)
    if asked.data.fit == "crop" and (note := cut_off_note(prepared.sizes)):
        reporter.say(note)
    facts = run_facts(request, asked, prepared.catalog)
    check_agreement(hosts, request, facts, choice)
    with run_folder(request.out, run_name(facts), hosts, reporter) as (folder, saved):
        if hosts.settle(lambda: is_finished(folder, facts)):
            reporter.say(f"this run is finished: {folder.path}; its report: {folder.file('report.html')}")
            hosts.leave()
            return folder
        choice = confirm(choice)
        try:
            with ExitStack() as held:
                hosts.settle(lambda: take(folder, held))
                _carry_out(request, facts, prepared, choice, hosts, folder, saved, started, reporter)
            hosts.leave()
        except KeyboardInterrupt:
            reporter.say(f"stopped; the same command {how_to_go_on(folder)} ({folder.path})")
            raise
    return folder


def _carry_out(
    request: TrainRequest, facts: RunFacts, prepared: PreparedData, choice: DeviceChoice, hosts: Hosts,
    folder: RunFolder, saved: Callable[[], None], started: float, reporter: Reporter,
) -> None:  # fmt: skip
    from fireweed.api.building import TrainingParts, build_for_training, seed_everything
    from fireweed.api.featuring import train_head
    from fireweed.training.train import train

    seed_everything(facts.asked.training.seed, request.deterministic, choice.precision)
    fresh = _by_photos(request, facts, prepared.catalog, choice, hosts)
    begun, has_checkpoint = _what_is_there(folder, hosts)  # what was decided at the first start holds
    training = (begun or fresh.recipe).training
    layout = lay_out(choice, training.batch, training.norms, hosts)
    with layout.scope():
        if begun:
            resolved, budget = _gone_on(fresh, begun, request, prepared.catalog, choice, started)
        else:
            resolved, budget = _by_machine(fresh, facts.asked, request, prepared.catalog, choice, started, reporter)
        recipe = resolved.recipe if hosts.count == 1 else checked(hosts.settle(lambda: _plain(resolved.recipe)))
        for note in (*resolved.notes, *layout.notes):
            reporter.say(note)
        seed_everything(recipe.training.seed, request.deterministic, recipe.training.precision)
        model, loaded = build_for_training(recipe, len(prepared.catalog.classes), has_checkpoint=has_checkpoint)
    if loaded:
        reporter.say(loaded)
    parts = TrainingParts(recipe, prepared.catalog, resolved.class_weights, hosts)
    try:
        announce(recipe, model, len(prepared.catalog.classes), parts, choice, reporter, request.minutes)
        if hosts.is_first:
            if not folder.is_started:
                folder.start(facts, recipe, prepared.catalog, prepared.groups)
            folder.write_json("environment.json", environment_facts(choice, hosts.count))
        with layout.scope():
            parts.keep_on_device(request.resident, reporter)
            if recipe.model.freeze:
                outcome = train_head(model, recipe, parts, folder, choice, reporter)
            else:
                outcome = train(model, recipe, parts.input(), folder.path, reporter, budget, hosts, saved)
        if hosts.is_first:
            _finish(folder, recipe, outcome, parts, prepared.catalog, choice, reporter)
    finally:
        parts.close()


def _finish(
    folder: RunFolder, recipe: Recipe, outcome: "Outcome", parts: "TrainingParts", catalog: Catalog,
    choice: DeviceChoice, reporter: Reporter,
) -> None:  # fmt: skip
    """Write what a finished run has, and remember how long it took where it is a measure of one host."""
    from fireweed.api.finishing import finish
    from fireweed.api.timing import remember_finish, remember_rates
    from fireweed.training.norms import photos_for_norms

    is_measure = parts.plan.hosts == 1
    if is_measure:
        remember_rates(recipe, outcome.images_per_second, choice)
    finish(folder, recipe, outcome.model, outcome, parts, catalog, reporter)
    folder.drop_features()
    if is_measure:
        forward = len(parts.validation_labels) + photos_for_norms(outcome.model, recipe.training, parts.photos)
        remember_finish(recipe, forward, time.monotonic() - outcome.ended_at, choice)


def _what_is_there(folder: RunFolder, hosts: Hosts) -> tuple[Recipe | None, bool]:
    """Return the recipe of a run that has begun, None of a new one, and whether there is a checkpoint."""

    def there() -> list[Any]:
        return [_plain(folder.resolved()) if folder.is_started else None, folder.has_checkpoint]

    recipe, has_checkpoint = hosts.settle(there)
    return None if recipe is None else checked(recipe), has_checkpoint


def _plain(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json", exclude_none=True)


def _by_photos(
    request: TrainRequest, facts: RunFacts, catalog: Catalog, choice: DeviceChoice, hosts: Hosts
) -> Resolved:
    """Return the recipe as far as the photos and the number of devices decide it."""
    counts = [int(count) for count in catalog.part("train").counts()]
    asked, photos = facts.asked, sum(counts)
    return resolve(
        asked, counts, default_batch(photos), find_entry(asked.model.name).has_flatten, choice.precision,
        by_clock=request.minutes is not None, shared_batch=default_batch(photos, choice.count * hosts.count),
    )  # fmt: skip


def _gone_on(
    fresh: Resolved, begun: Recipe, request: TrainRequest, catalog: Catalog, choice: DeviceChoice, started: float
) -> tuple[Resolved, "Budget | None"]:
    """Return the recipe of a run that goes on, and the time that --minutes gives."""
    resolved = replace(fresh, recipe=begun)
    if request.minutes is None or begun.model.freeze:
        return resolved, None
    from fireweed.api.budget import budget_to_go_on, most_epochs

    return resolved, budget_to_go_on(begun, most_epochs(fresh.recipe), catalog, request.minutes, started, choice)


def _by_machine(
    resolved: Resolved, asked: Recipe, request: TrainRequest, catalog: Catalog, choice: DeviceChoice, started: float,
    reporter: Reporter,
) -> tuple[Resolved, "Budget | None"]:  # fmt: skip
    """Return the recipe with every number decided, and the time that --minutes gives."""
    from fireweed.api.compiling import with_compile

    resolved = with_compile(
        resolved, len(catalog.classes), len(catalog.part("train")), choice, is_repeatable=request.deterministic,
        may_try=request.minutes is None, reporter=reporter,
    )  # fmt: skip
    if request.minutes is not None:
        from fireweed.api.budget import fit_to_minutes
        from fireweed.api.feature_time import fit_views_to_minutes

        keeps_sides = asked.training.side is not None
        given = (catalog, request.minutes, started, keeps_sides, choice, reporter)
        if not asked.model.freeze:
            return fit_to_minutes(resolved, *given)
        # a recipe's own views are for no time in particular
        is_given = any(setting.partition("=")[0].strip() == "training.views" for setting in request.settings)
        return fit_views_to_minutes(resolved, *given, most_views=asked.training.views if is_given else 0), None
    return resolved, None


def chosen_device(request: TrainRequest, precision: str | None, net: str) -> DeviceChoice:
    """Return the device, backend and precision for a request and its net."""
    return choose_device(
        request.device, backend=request.backend, precision=precision or "auto",
        tpu=request.tpu, zone=request.zone, project=request.project, devices=request.devices,
        machine=Machine(joins_hosts=host_call(request) is not None), is_wide=find_entry(net).is_wide,
    )  # fmt: skip


def restart_prepared(request: TrainRequest) -> None:
    """Execute this command again, once, where only a new process's environment can hold what training wants.

    For the command line; nothing may have been written or printed before.
    """
    choice = chosen_device(request, request.precision, "squeezenet")  # the net decides only the precision
    restart_with(needed_environment(choice, deterministic=request.deterministic))


def run_facts(request: TrainRequest, asked: Recipe, catalog: Catalog) -> RunFacts:
    """Return what identifies the run that this request means.

    Raises:
        DataError: a path that no text file can hold.
    """
    for path in (request.data, request.out or ""):
        if not is_text(path):
            raise DataError(f"the name {readable(path)} is not valid UTF-8; rename the folder")
    options: dict[str, Any] = {"deterministic": request.deterministic}
    if request.minutes is not None:
        options["minutes"] = request.minutes
    return RunFacts(asked, data_address(request.data), catalog.digest(), options)


def run_name(facts: RunFacts) -> str:
    """Return NAME-HASH: the recipe's name and what was asked on which photos."""
    mixed = hashlib.sha256(f"{facts.hash} {facts.digest} {sorted(facts.options.items())}".encode()).hexdigest()
    return f"{facts.asked.name}-{mixed[:8]}"
