"""The report of a run: one HTML file that needs nothing else, neither network nor script."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from markupsafe import Markup, escape

from fireweed.data.catalog import PARTS, Unreadable
from fireweed.evaluation.confusion import findings, matrix_of
from fireweed.evaluation.metrics import percent
from fireweed.evaluation.netfolding import Layer, shape_text
from fireweed.evaluation.thumbnails import within_budget
from fireweed.files import write_text
from fireweed.text import readable, shortened

# Together with tables and drawings the file stays below 3 MB.
_PHOTOS_SHOWN, _PHOTO_SIDE_PX, _PHOTOS_BYTES = 60, 160, 1_100_000
_MISTAKES_SHOWN, _MISTAKE_SIDE_PX, _MISTAKES_BYTES = 24, 208, 700_000
_LINES_SHOWN = 200


class Cost(Protocol):
    """The totals of a net; `fireweed.models.cost.Cost` has them."""

    @property
    def parameters(self) -> int: ...
    @property
    def trainable_parameters(self) -> int: ...
    @property
    def multiply_adds(self) -> int: ...


@dataclass(frozen=True)
class ShownPhoto:
    """A photo with the net's answer. `image`: uint8 (height, width, 3), any size."""

    name: str
    image: np.ndarray
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class ReportContents:
    """All that a report shows, as plain values; what is empty leaves its section out.

    history:        the rows of history.csv: epoch, side, steps (may be missing), loss, accuracy, val_loss,
                    val_accuracy, learning_rate, images_per_second, seconds, share_of_seconds_waited (may be missing);
                    numbers or their text.
    learning_rates: of every step, (steps,).
    evaluation:     of the validation photos, by `evaluate_probabilities`; None where there were none.
    photos:         a sample of validation photos.
    mistakes:       the wrong answers that the net was surest of, the worst first.
    split_counts:   class -> part -> photos.
    best_epoch:     a sentence on which weights were kept, and on what they were picked.
    """

    title: str
    summary: str = ""
    classes: Sequence[str] = ()
    history: Sequence[Mapping[str, Any]] = ()
    learning_rates: np.ndarray = field(default_factory=lambda: np.zeros(0))
    evaluation: Mapping[str, Any] | None = None
    photos: Sequence[ShownPhoto] = ()
    mistakes: Sequence[ShownPhoto] = ()
    layers: Sequence[Layer] = ()
    total_cost: Cost | None = None
    split_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    best_epoch: str = ""
    recipe_toml: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    unreadable: Sequence[Unreadable] = ()


def write_report(path: Path, contents: ReportContents) -> None:
    """Write the report as one HTML file, whole or not at all.

    Raises:
        FireweedError: the file cannot be written.
    """
    write_text(path, render_report(contents))


def render_report(contents: ReportContents) -> str:
    """Return the report as the text of an HTML page."""
    from fireweed.evaluation import curves
    from fireweed.evaluation.netdrawing import draw_net

    evaluation = contents.evaluation if contents.evaluation and contents.evaluation["photos"] else None
    page = _environment().get_template("report.html")
    html = page.render(
        contents=contents,
        evaluation=evaluation,
        findings=findings(evaluation, contents.history) if evaluation else [],
        matrix=matrix_of(evaluation) if evaluation else None,
        calibration=curves.calibration_diagram(evaluation["reliability"]) if evaluation else "",
        loss=curves.loss_curve(contents.history),
        accuracy=curves.accuracy_curve(contents.history),
        rates=curves.learning_rate_curve(contents.learning_rates, contents.history),
        narrow_rates=curves.learning_rate_curve(contents.learning_rates, contents.history, width=440),
        photos=_cards(contents.photos, _PHOTO_SIDE_PX, _PHOTOS_SHOWN, _PHOTOS_BYTES),
        mistakes=_cards(contents.mistakes, _MISTAKE_SIDE_PX, _MISTAKES_SHOWN, _MISTAKES_BYTES),
        net=draw_net(contents.layers),
        layer_rows=_layer_rows(contents.layers),
        split_rows=_split_rows(contents),
        environment=list(_flat(contents.environment)),
        lines_shown=_LINES_SHOWN,
        number=curves.number,
        words=json.loads(resources.files("fireweed.evaluation").joinpath("words.json").read_text(encoding="utf-8")),
    )
    # Half a character, as a broken file name may hold, cannot be written as UTF-8.
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def _environment() -> Any:
    import jinja2

    def source(name: str) -> str:
        return resources.files("fireweed.evaluation").joinpath(name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        readable=_readable_lines, percent=percent, count=_count, short=_short, breakable=_breakable, shortened=shortened
    )
    environment.globals["style"] = source("report.css")
    return environment


def _cards(photos: Sequence[ShownPhoto], side_px: int, most: int, budget_bytes: int) -> list[dict[str, Any]]:
    addresses = within_budget((photo.image for photo in photos), side_px, most, budget_bytes)
    return [
        {
            "address": address,
            "name": photo.name,
            "true": photo.true,
            "predicted": photo.predicted,
            "probability": photo.probability,
            "is_right": photo.true == photo.predicted,
        }
        for photo, address in zip(photos, addresses, strict=False)
    ]


def _layer_rows(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return the layers with the share of the largest one, which their bars show."""
    most_weights = max((layer.parameters for layer in layers), default=0) or 1
    most_work = max((layer.multiply_adds for layer in layers), default=0) or 1
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "shape": shape_text(layer.output_shape),
            "parameters": layer.parameters,
            "parameters_share": layer.parameters / most_weights,
            "multiply_adds": layer.multiply_adds,
            "multiply_adds_share": layer.multiply_adds / most_work,
            "receptive_field_px": layer.receptive_field_px,
        }
        for layer in layers
    ]


def _split_rows(contents: ReportContents) -> list[dict[str, Any]]:
    totals = {name: sum(counts.values()) for name, counts in contents.split_counts.items()}
    most = max(totals.values(), default=0) or 1
    return [
        {
            "class": name,
            "counts": {part: contents.split_counts[name].get(part, 0) for part in PARTS},
            "total": totals[name],
            "share": totals[name] / most,
        }
        for name in contents.split_counts
    ]


def _flat(facts: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{above}{key} ")
        elif isinstance(value, list | tuple):
            rows.append((f"{above}{key}", ", ".join(str(item) for item in value)))
        else:
            rows.append((f"{above}{key}", "–" if value is None else str(value)))
    return rows


def _readable_lines(text: object) -> str:
    return "\n".join(readable(line.expandtabs(4)) for line in str(text).splitlines())


def _breakable(name: str) -> Markup:
    """Let a long name of a layer go on in the next line behind an underscore."""
    return Markup(escape(name).replace("_", Markup("_<wbr>")))


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def _short(value: float | None) -> str:
    """Return a large number in three digits: 120,613 as 121 k."""
    if value is None:
        return "–"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{float(f'{value / size:.3g}'):g} {unit}"
    return f"{value:g}"
