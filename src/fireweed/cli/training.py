"""The commands that train, and that measure what trains."""

import json
import sys
from typing import Annotated, Optional

import typer

from fireweed.cli.options import DATA_HELP, Backend, Device, Devices, Precision, Project, Text, Tpu, Zone, app
from fireweed.errors import FireweedError


@app.command()
def train(
    data: Annotated[Text, typer.Option(help=f"Photos: {DATA_HELP}.")] = None,
    recipe: Annotated[Text, typer.Option(help="A shipped recipe (see `fireweed recipes`) or a .toml file.")] = None,
    model: Annotated[Text, typer.Option(help="A net's name, or a net as a line: 'conv 32 | fire 24 48 | gap'.")] = None,
    weights: Annotated[Text, typer.Option(help="imagenet, none, or a weight file or bundle to start from.")] = None,
    freeze: Annotated[Optional[bool], typer.Option("--freeze/--no-freeze", help="Keep the backbone as it is.")] = None,  # noqa: UP045
    epochs: Annotated[Optional[int], typer.Option(help="Epochs in all, shared among the phases.")] = None,  # noqa: UP045
    side: Annotated[Optional[int], typer.Option(help="One phase at this side, in pixels.")] = None,  # noqa: UP045
    minutes: Annotated[Optional[float], typer.Option(help="End in this time: sides are picked for it.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="Of the weights, the order and the augmentation.")] = None,  # noqa: UP045
    setting: Annotated[list[str], typer.Option("--set", help="Any setting: training.batch=16.")] = [],  # noqa: B006
    augment: Annotated[bool, typer.Option("--augment/--no-augment", help="Vary the training photos.")] = True,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Mirror training photos.")] = True,
    out: Annotated[Text, typer.Option(help="The run's folder, or gs://BUCKET/RUN; by default runs/NAME-HASH.")] = None,
    deterministic: Annotated[bool, typer.Option(help="Repeat exactly on this machine; slower.")] = False,
    compile: Annotated[Text, typer.Option(help="auto, xla or none: what compiles the steps; auto measures.")] = None,
    device: Device = "auto", devices: Devices = None, backend: Backend = None, precision: Precision = None,
    resident: Annotated[str, typer.Option(help="auto, on or off: keep the photos on the device (JAX).")] = "auto",
    tpu: Tpu = None, zone: Zone = None, project: Project = None,
    coordinator: Annotated[Text, typer.Option(help="HOST:PORT of host 0, where several train together.")] = None,
    hosts: Annotated[Optional[int], typer.Option(help="How many hosts train together; 1: this one alone.")] = None,  # noqa: UP045
    host: Annotated[Optional[int], typer.Option(help="Which of them this one is, from 0.")] = None,  # noqa: UP045
    checkpoint_minutes: Annotated[Optional[float], typer.Option(  # noqa: UP045
        min=0, help="Between checkpoints within an epoch; by default 5. 0: only between epochs.")] = None,
    start_over: Annotated[bool, typer.Option("--start-over", help="Begin anew; the run here is kept aside.")] = False,
    repeat: Annotated[Text, typer.Option(help="A finished run: train it again beside it, and compare.")] = None,
) -> None:  # fmt: skip
    """Train a classifier on photos, or go on where the same command stopped."""
    from fireweed import api
    from fireweed.devices.process import began
    from fireweed.reporting import Reporter

    if data is None and repeat is None:
        raise FireweedError("give --data, the photos to train on, or --repeat, a run to train again; see --help")
    request = api.TrainRequest(
        data=data or "", recipe=recipe, model=model, weights=weights, freeze=freeze, epochs=epochs, side=side,
        minutes=minutes, seed=seed, settings=tuple(setting), augment=augment, flip=flip, out=out,
        deterministic=deterministic, compile=compile, device=device, devices=devices, backend=backend,
        precision=precision, resident=resident, tpu=tpu, zone=zone, project=project, coordinator=coordinator,
        hosts=hosts, host=host, checkpoint_minutes=checkpoint_minutes, start_over=start_over, repeat=repeat,
    )  # fmt: skip
    request = request if repeat is None else api.repeat_request(request)
    api.restart_prepared(request)
    if (code := api.train_in_child(request)) is not None:
        raise typer.Exit(code)
    (api.train_run if repeat is None else api.repeat_run)(request, Reporter(), began())


@app.command()
def bench(
    model: Annotated[str, typer.Option(help="A net's name, or a net as a line.")] = "squeezenet",
    side: Annotated[list[int], typer.Option(help="In pixels; may be given several times.")] = [],  # noqa: B006
    batch: Annotated[list[int], typer.Option(help="Photos in a batch; may be given several times.")] = [],  # noqa: B006
    photos: Annotated[Optional[int], typer.Option(help="How many an epoch has, to say its time.")] = None,  # noqa: UP045
    data: Annotated[Text, typer.Option(help="Photos to count for that instead.")] = None,
    xla: Annotated[bool, typer.Option("--xla/--no-xla", help="Try XLA too, for two minutes at most.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
    device: Device = "auto", backend: Backend = None, precision: Precision = None,
) -> None:  # fmt: skip
    """Measure which engine, batch and side suit this machine, and what a photo costs."""
    from fireweed import api
    from fireweed.reporting import Reporter, stderr_reporter

    training = api.TrainRequest(data="drawn", model=model, device=device, backend=backend, precision=precision)
    request = api.BenchRequest(training, tuple(side), tuple(batch), photos, data, xla)
    api.restart_prepared(training)
    result = None
    try:
        for so_far in api.bench(request, stderr_reporter() if as_json else Reporter()):
            result = so_far
    except KeyboardInterrupt:
        print("fireweed: stopped; what was measured is kept", file=sys.stderr)
        raise
    finally:
        if result is not None:
            sys.stdout.write((json.dumps(result, indent=1) if as_json else api.bench_text(result)) + "\n")


@app.command()
def devices(
    check: Annotated[bool, typer.Option("--check", help="Train some steps on one device and on all.")] = False,
    device: Device = "auto", devices: Devices = None, backend: Backend = None, precision: Precision = None,
    tpu: Tpu = None, zone: Zone = None, project: Project = None,
) -> None:  # fmt: skip
    """Say which TPU, GPU and CPU were found, what will be used, and why."""
    from fireweed import api
    from fireweed.reporting import Reporter

    request = api.TrainRequest(
        data="drawn", model="squeezenet", device=device, devices=devices, backend=backend, precision=precision,
        tpu=tpu, zone=zone, project=project,
    )  # fmt: skip
    if check:
        api.restart_prepared(request)
    api.show_devices(request, Reporter())
    if check:
        api.check_devices(request, Reporter())
