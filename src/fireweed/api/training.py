"""`fireweed train`: photos to a run folder, joined from data, models, training and evaluation."""

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fireweed.api.announcing import announce
from fireweed.api.choosing import choose_recipe
from fireweed.api.deciding import by_machine, by_photos, gone_on
from fireweed.api.environment import environment_facts
from fireweed.api.joining import check_agreement, host_call, joined_hosts
from fireweed.api.preparing import (
    PreparedData,
    check_trainable,
    cut_off_note,
    data_address,
    enlarged_note,
    prepare_data,
)
from fireweed.api.run_folders import how_to_go_on, is_finished, run_folder, take
from fireweed.data.catalog import Catalog
from fireweed.devices import DeviceChoice, choose_device, confirm, prepare_process
from fireweed.devices.hosts import Hosts
from fireweed.devices.layout import lay_out
from fireweed.devices.machine import Machine
from fireweed.devices.process import needed_environment, restart_with
from fireweed.errors import DataError, RunError
from fireweed.mirror import is_address
from fireweed.models.registry import find_entry
from fireweed.recipe import Recipe, checked
from fireweed.reporting import Reporter
from fireweed.run import RunFacts, RunFolder
from fireweed.settings import Phase
from fireweed.stopping import Terminated, signals_noted
from fireweed.text import is_text, readable

if TYPE_CHECKING:
    from fireweed.api.building import TrainingParts
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
    checkpoint_minutes: float | None = None
    start_over: bool = False
    repeat: str | None = None


def train_run(request: TrainRequest, reporter: Reporter, started: float | None = None) -> RunFolder:
    """Carry out a training, or go on with it, and return its finished folder.

    started: the time from which `minutes` count, by time.monotonic(); None: now.

    Raises:
        KeyboardInterrupt, Terminated: a signal asked to stop; the same request goes on from the last checkpoint.
    """
    started = time.monotonic() if started is None else started
    with signals_noted():
        return _train_asked(request, *choose_recipe(request), reporter, started)


def _train_asked(
    request: TrainRequest, asked: Recipe, why: str, reporter: Reporter, started: float
) -> RunFolder:  # fmt: skip
    """Choose the device, join other hosts, and train by the recipe that was asked for."""
    choice = chosen_device(request, asked.training.precision, asked.model.name)
    late = prepare_process(choice, request.deterministic)
    hosts = joined_hosts(request, asked, choice)
    if not hosts.is_first:
        reporter = reporter.only_warning()
    reporter.say(f"{choice.name}: {choice.backend}, {choice.precision}")
    for warning in (*choice.warnings, *late):
        reporter.warn(warning)
    if request.deterministic and choice.kind != "cpu":
        reporter.warn(
            "--deterministic repeats a run on CPUs; on the one GPU that was tried, through JAX, the loss was not a "
            "number in the first epoch (docs/devices.md)"
        )
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
    if request.minutes is None and (note := _enlarged_note(prepared, asked)):
        reporter.say(note)
    facts = run_facts(request, asked, prepared.catalog)
    check_agreement(hosts, request, facts, choice)
    if request.start_over and request.out and is_address(request.out):
        raise RunError(
            f"--start-over keeps the old run in a folder beside the new one, which {request.out} is no place for; "
            "give --out another address"
        )
    with run_folder(request.out, run_name(facts), hosts, reporter) as (folder, saved):
        if request.start_over and (kept := hosts.settle(lambda: _set_aside(folder))):
            reporter.say(f"starting over; the run that was here is kept in {kept}")
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
        except (KeyboardInterrupt, Terminated):
            reporter.say(f"stopped; the same command {how_to_go_on(folder)} ({folder.path})")
            raise
    return folder


def _enlarged_note(prepared: PreparedData, asked: Recipe) -> str:
    training, entry = asked.training, find_entry(asked.model.name)
    phases = (Phase(side=training.side, epochs=1),) if training.side else training.phases
    return enlarged_note(prepared.sizes, phases, entry.min_side_px, asked.model.weights != "none")


def _set_aside(folder: RunFolder) -> str | None:
    """Give the run that is in the folder another name, and return that; None where there is none."""
    return str(kept) if (kept := folder.set_aside()) else None


def _carry_out(
    request: TrainRequest, facts: RunFacts, prepared: PreparedData, choice: DeviceChoice, hosts: Hosts,
    folder: RunFolder, saved: Callable[[], None], started: float, reporter: Reporter,
) -> None:  # fmt: skip
    from fireweed.api.building import TrainingParts, build_for_training, seed_everything
    from fireweed.api.featuring import train_head
    from fireweed.api.finishing import keep_last_good
    from fireweed.training.health import FailedTrainingError
    from fireweed.training.train import train

    seed_everything(facts.asked.training.seed, request.deterministic, choice.precision)
    fresh = by_photos(request, facts, prepared.catalog, choice, hosts)
    begun, has_checkpoint = _what_is_there(folder, hosts)  # what was decided at the first start holds
    training = (begun or fresh.recipe).training
    layout = lay_out(choice, training.batch, training.norms, hosts)
    with layout.scope():
        if begun:
            resolved, budget = gone_on(fresh, begun, request, prepared.catalog, choice, started)
        else:
            resolved, budget = by_machine(
                fresh, facts.asked, request, prepared.catalog, choice, folder.path, started, reporter
            )
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
            folder.write_json("environment.json", environment_facts(choice, hosts.count, facts.digest))
        with layout.scope():
            parts.keep_on_device(request.resident, reporter)
            minutes = request.checkpoint_minutes
            try:
                if recipe.model.freeze:
                    outcome = train_head(model, recipe, parts, folder, choice, reporter, saved, minutes)
                else:
                    outcome = train(model, recipe, parts.input(), folder.path, reporter, budget, hosts, saved, minutes)
            except FailedTrainingError as error:
                if hosts.is_first:
                    keep_last_good(folder, recipe, error, parts, prepared.catalog)
                hosts.leave()  # all of them found it out: none is to be missed while host 0 judges the net
                raise
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
