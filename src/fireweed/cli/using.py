"""The commands that look at photos, models and recipes, and that use what was trained."""

import sys
from typing import Annotated, Optional

import typer

from fireweed.cli.options import DATA_HELP, Text, app
from fireweed.errors import FireweedError
from fireweed.text import counted

Flips = Annotated[
    bool,
    typer.Option(
        "--flips", help="Answer by the mean over a photo and its mirror image: twice as long, at times better."
    ),
]


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

    _check_form(as_json, as_csv)
    reporter = stderr_reporter() if as_json or as_csv else Reporter()
    audited = api.audit(api.AuditRequest(data, labels, model, weights, html), reporter)
    if as_json or as_csv:
        sys.stdout.write(api.audit_text(audited, "json" if as_json else "csv"))
    else:
        api.show_audit(audited, reporter)
    if html is not None:
        reporter.say(f"written to {html}")


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="A run's folder.")],
    data: Annotated[Text, typer.Option(help="Other photos to judge it on; with --part, where its own are now.")] = None,
    part: Annotated[Text, typer.Option(help="validation (the default) or test, of the run's own photos.")] = None,
    flips: Flips = False,
) -> None:
    """Judge a trained model: accuracy with its interval, and each class."""
    from fireweed import api
    from fireweed.evaluation.confusion import about_balance
    from fireweed.evaluation.metrics import format_evaluation
    from fireweed.reporting import Reporter

    reporter = Reporter()
    evaluation, path = api.evaluate_run(run, data, part, reporter, flips)
    reporter.console.print(format_evaluation(evaluation))
    if note := about_balance(evaluation):
        reporter.say(note)
    reporter.say(f"written to {path}")


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A run's folder or a .keras file.")],
    photos: Annotated[list[str], typer.Argument(help="Photos, or folders of photos.")],
    as_json: Annotated[bool, typer.Option("--json", help="A list with all probabilities.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table with all probabilities.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show of each photo.")] = 1,
    flips: Flips = False,
) -> None:
    """Say what is on photos. Exits 2 when none can be read."""
    from fireweed import api

    _check_form(as_json, as_csv)
    rows = list(api.predict(model, photos, flips=flips))
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
    recipe: Annotated[str, typer.Option(help="Whose augmentation and fit.")] = "firenet",
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


def _check_form(as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise FireweedError("--json and --csv both go to standard output; give one of them")
