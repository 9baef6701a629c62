"""The command line: parse, call one function of the api, print. Nothing heavy is imported before a command needs it."""

import contextlib
import io
import json
import os
import sys
from typing import Annotated, Optional

import typer

from fireweed.errors import FireweedError, HostLostError
from fireweed.text import counted
from fireweed.version import __version__

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Train modern convolutional image classifiers, from a folder of photos to a tested, saved model.",
)  # fmt: skip

Text = Optional[str]  # noqa: UP045 - typer reads Optional on every Python it supports
DATA_HELP = (
    "a folder with one folder per class (or train/validation/test with such), a CSV (path,label[,split]), a zip or tar "
    "of these, TFRecord shards ('photos*.tfrec', also gs://), or a named set: drawn, flowers"
)
Device = Annotated[str, typer.Option(help="auto, tpu, gpu or cpu.")]
Devices = Annotated[Optional[int], typer.Option(help="How many share each batch; by default all TPUs or GPUs.")]  # noqa: UP045
Backend = Annotated[Text, typer.Option(help="tensorflow or jax; by default what suits the device.")]
Precision = Annotated[Text, typer.Option(help="auto, float32, mixed_bfloat16 or mixed_float16.")]
Tpu = Annotated[Text, typer.Option(help="Name of a Cloud TPU.")]
Zone = Annotated[Text, typer.Option(help="Zone of that TPU.")]
Project = Annotated[Text, typer.Option(help="Cloud project of that TPU.")]


@app.command()
def train(
    data: Annotated[str, typer.Option(help=f"Photos: {DATA_HELP}.")],
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
) -> None:  # fmt: skip
    """Train a classifier on photos, or go on where the same command stopped."""
    from fireweed import api
    from fireweed.devices.process import began
    from fireweed.reporting import Reporter

    request = api.TrainRequest(
        data=data, recipe=recipe, model=model, weights=weights, freeze=freeze, epochs=epochs, side=side,
        minutes=minutes, seed=seed, settings=tuple(setting), augment=augment, flip=flip, out=out,
        deterministic=deterministic, compile=compile, device=device, devices=devices, backend=backend,
        precision=precision, resident=resident, tpu=tpu, zone=zone, project=project, coordinator=coordinator,
        hosts=hosts, host=host,
    )  # fmt: skip
    api.restart_prepared(request)
    if (code := api.train_in_child(request)) is not None:
        raise typer.Exit(code)
    api.train_run(request, Reporter(), began())


@app.command()
def audit(
    data: Annotated[str, typer.Argument(help=f"Photos: {DATA_HELP}.")],
    labels: Annotated[
        str, typer.Option(help="Look for wrong labels: on, off, or auto: where a model is given.")
    ] = "auto",
    model: Annotated[Text, typer.Option(help="A run's folder or .keras file to hold labels against.")] = None,
    weights: Annotated[Text, typer.Option(help="Xception's weights to judge labels by: a file, or imagenet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All that was found as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="What to look at first, as a table.")] = False,
    html: Annotated[Text, typer.Option(help="A page with the photos, to be written.")] = None,
) -> None:
    """Say what is wrong with photos: broken, twins, leakage, balance, likely wrong labels."""
    from fireweed import api
    from fireweed.reporting import Reporter, stderr_reporter

    if as_json and as_csv:
        raise FireweedError("--json and --csv both go to standard output; give one of them")
    reporter = stderr_reporter() if as_json or as_csv else Reporter()
    audited = api.audit(api.AuditRequest(data, labels, model, weights, html), reporter)
    if as_json or as_csv:
        sys.stdout.write(api.audit_text(audited, "json" if as_json else "csv"))
    else:
        api.show_audit(audited, reporter)
    if html is not None:
        reporter.say(f"written to {html}")


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
def evaluate(
    run: Annotated[str, typer.Argument(help="A run's folder.")],
    data: Annotated[Text, typer.Option(help="Other photos to judge it on; with --part, where its own are now.")] = None,
    part: Annotated[Text, typer.Option(help="validation (the default) or test, of the run's own photos.")] = None,
) -> None:
    """Judge a trained model: accuracy with its interval, and each class."""
    from fireweed import api
    from fireweed.evaluation.metrics import format_evaluation
    from fireweed.reporting import Reporter

    reporter = Reporter()
    evaluation, path = api.evaluate_run(run, data, part, reporter)
    reporter.console.print(format_evaluation(evaluation))
    reporter.say(f"written to {path}")


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A run's folder or a .keras file.")],
    photos: Annotated[list[str], typer.Argument(help="Photos, or folders of photos.")],
    as_json: Annotated[bool, typer.Option("--json", help="A list with all probabilities.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table with all probabilities.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show of each photo.")] = 1,
) -> None:
    """Say what is on photos. Exits 2 when none can be read."""
    from fireweed import api

    rows = list(api.predict(model, photos))
    sys.stdout.write(api.predictions_text(rows, "json" if as_json else "csv" if as_csv else "lines", top))
    failed = sum(row.error is not None for row in rows)
    if failed:
        print(f"{failed} of {counted(len(rows), 'photo')} cannot be read", file=sys.stderr)
    if failed == len(rows):
        raise typer.Exit(2)


@app.command()
def shards(
    data: Annotated[str, typer.Argument(help=f"Photos: {DATA_HELP}.")],
    out: Annotated[str, typer.Argument(help="A new folder for the shards.")],
    side: Annotated[int, typer.Option(min=8, max=2048, help="Side of the square photos, in pixels.")] = 192,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many shards.")] = 16,
    fit: Annotated[str, typer.Option(help="crop, pad or squash.")] = "crop",
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the JPEGs.")] = 95,
) -> None:
    """Write photos as TFRecord shards that the codelab's notebooks read too."""
    from fireweed import api
    from fireweed.reporting import Reporter

    api.make_shards(data, out, side, count, fit, quality, Reporter())


@app.command()
def show(
    data: Annotated[str, typer.Argument(help=f"Photos: {DATA_HELP}.")],
    out: Annotated[str, typer.Option(help="The PNG to write.")] = "photos.png",
    augment: Annotated[bool, typer.Option("--augment/--no-augment", help="As training sees them.")] = False,
    recipe: Annotated[str, typer.Option(help="Whose augmentation and fit.")] = "squeezenet",
    count: Annotated[int, typer.Option(min=1, max=400, help="How many photos.")] = 24,
    side: Annotated[int, typer.Option(min=8, max=1024, help="Of each photo in the grid.")] = 160,
    seed: Annotated[int, typer.Option(help="Which photos, and how they are varied.")] = 0,
) -> None:
    """Write a grid of photos with their labels as a PNG."""
    from fireweed import api
    from fireweed.reporting import Reporter

    api.show_photos(data, out, augment, recipe, count, side, seed, Reporter())


@app.command()
def models(name: Annotated[Text, typer.Argument(help="A net's name, or a net as a line.")] = None,
           classes: Annotated[int, typer.Option(min=2, help="Classes to tell apart.")] = 5,
           side: Annotated[Optional[int], typer.Option(min=8, help="In pixels; by default the net's own.")] = None,  # noqa: UP045
           freeze: Annotated[bool, typer.Option("--freeze", help="With a frozen backbone.")] = False,
           ) -> None:  # fmt: skip
    """List the nets, or show each layer of one."""
    from fireweed import api
    from fireweed.reporting import Reporter

    if name is None:
        api.show_models(classes, side, Reporter())
    else:
        api.show_model(name, classes, side, freeze, Reporter())


@app.command()
def recipes(name: Annotated[Text, typer.Argument(help="A recipe's name.")] = None) -> None:
    """List the recipes, or show one with its learning-rate curve."""
    from fireweed import api
    from fireweed.reporting import Reporter

    api.show_recipes(Reporter()) if name is None else api.show_recipe(name, Reporter())


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


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fireweed {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass


def run(arguments: list[str] | None = None) -> int:
    """Run a command line (None: the process's own) and return its exit code.

    Errors that a user can cause are one line on standard error and exit code 2; Ctrl-C is 130.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its notes on chips and drivers would bury our one line
    try:
        return app(arguments, standalone_mode=False) or 0
    except FireweedError as error:
        return _failed(str(error), 1 if isinstance(error, HostLostError) else 2)
    except (typer.Abort, KeyboardInterrupt):
        print("fireweed: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 141  # whoever read our output has gone, as with `| head`
    except OSError as error:
        return _failed(f"{error.filename or 'the system'}: {error.strerror or error}")
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own complaints have it
            raise
        if "NoArgs" in type(error).__name__:
            print(error.format_message())
            return 2
        return _failed(f"{error.format_message().rstrip('.')}; see --help")


def main() -> None:
    """Run the command line and leave at once: a framework's threads can hold up a normal exit for seconds."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of any script, whatever the terminal or pipe was set to
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    code = run()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _failed(text: str, code: int = 2) -> int:
    from fireweed.reporting import printable

    print("fireweed: " + printable(" ".join(text.split())), file=sys.stderr)
    return code
