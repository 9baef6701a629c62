"""What can be looked at without training: photos, nets, recipes, devices."""

from pathlib import Path

import numpy as np
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from fireweed.api.starting import start_framework
from fireweed.api.training import TrainRequest, chosen_device
from fireweed.data.decode import decode_square
from fireweed.data.records import read_bytes
from fireweed.data.sources import open_data
from fireweed.devices import describe
from fireweed.errors import DataError
from fireweed.files import sha256_of_bytes
from fireweed.kernels.native import library_name
from fireweed.models.registry import ENTRIES, build_model, find_entry
from fireweed.recipe import read_recipe, recipe_names, recipe_text
from fireweed.reporting import Reporter
from fireweed.resolving import planned_changes
from fireweed.training.schedules import curve_text, learning_rates

CURVE_STEPS_PER_EPOCH = 20  # the drawn curve needs some; the real number depends on the photos


def show_photos(
    data: str, out: str, augment: bool, recipe: str, count: int, side: int, seed: int, reporter: Reporter
) -> None:
    """Write a grid of photos with their labels as a PNG; with `augment`, as a training sees them in one epoch."""
    from fireweed.data.augment import apply_step
    from fireweed.data.plan import Plan
    from fireweed.evaluation.grid import photo_grid_png

    settings = read_recipe(recipe)
    catalog = open_data(data)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(catalog))[:count])
    images, photos, keys, failed = [], [], [], 0
    for index in chosen:
        photo = catalog.photos[index]
        try:
            encoded = read_bytes(photo)
            images.append(decode_square(encoded, side, settings.data.fit))
        except (DataError, OSError):
            failed += 1
            continue
        photos.append(photo)
        keys.append(photo.key or sha256_of_bytes(encoded))
    if not images:
        raise DataError(f"none of the {failed} photos chosen from {data} can be read; try another --seed")
    if augment:
        plan = Plan(seed, keys, [p.label for p in photos], len(images), planned_changes(settings.augment))
        rows = (plan.unmixed() if settings.model.freeze else plan).rows(seed)  # of a frozen net features are mixed
        order, partners = ([images[i] for i in indices] for indices in (rows.index[0], rows.partner[0]))
        for index, image in zip(rows.index[0], apply_step(order, rows, 0, side, partners), strict=True):
            images[index] = image
    columns = max(1, round(len(images) ** 0.5 * 1.25))
    note = photo_grid_png(images, [catalog.classes[p.label] for p in photos], columns, Path(out))
    reporter.say(f"{len(images)} photos in {out}" + (f"; {failed} cannot be read" if failed else ""))
    if note:
        reporter.warn(note)


def show_models(classes: int, side: int | None, reporter: Reporter) -> None:
    """Print all nets with parameters, multiply-adds, side and a line of description."""
    start_framework(reporter)
    from fireweed.models.cost import total_cost

    table = _table("net", "parameters", "multiply-adds", "side", "weights", "what it is")
    with reporter.bar("building nets", len(ENTRIES)) as bar:
        for done, entry in enumerate(ENTRIES.values()):
            bar.update(done, entry.name)
            side_px = min(max(side or entry.default_side_px, entry.min_side_px), entry.max_side_px)
            cost = total_cost(build_model(entry.name, classes, side_px))
            table.add_row(
                entry.name, f"{cost.parameters:,}", f"{cost.multiply_adds / 1e9:.2f} G", f"{side_px} px",
                "ImageNet" if entry.pretrained else "random", entry.description,
            )  # fmt: skip
    reporter.console.print(table)
    reporter.say(f"for {classes} classes; or a net as a line of text: 'conv 32 | fire 24 48 | pool | fire 48 96 | gap'")


def show_model(name: str, classes: int, side: int | None, freeze: bool, reporter: Reporter) -> None:
    """Print each layer with shape, weights, multiply-adds and receptive field."""
    entry = find_entry(name)
    start_framework(reporter)
    from fireweed.models.cost import layer_costs, total_cost

    model = build_model(name, classes, side or entry.default_side_px, freeze=freeze)
    table = _table("layer", "kind", "output", "weights", "of shape", "multiply-adds", "sees")
    for layer in layer_costs(model):
        shape = " x ".join(str(size) for size in layer.output_shape if size is not None)
        shapes = " + ".join("x".join(str(size) for size in weight) for weight in layer.weight_shapes)
        sees = f"{layer.receptive_field_px} px" if layer.receptive_field_px else ""
        table.add_row(layer.name, layer.kind, shape, f"{layer.parameters:,}", shapes, f"{layer.multiply_adds:,}", sees)
    reporter.console.print(table)
    cost = total_cost(model)
    reporter.say(
        f"{entry.name}: {cost.parameters:,} parameters ({cost.trainable_parameters:,} trainable), "
        f"{cost.multiply_adds:,} multiply-adds a photo at {side or entry.default_side_px} px, {classes} classes"
    )


def show_recipes(reporter: Reporter) -> None:
    """Print the recipes that come with Fireweed."""
    table = _table("recipe", "net", "epochs", "sides", "what it does")
    for name in recipe_names():
        recipe = read_recipe(name)
        sides = ", ".join(f"{p.side}" for p in recipe.training.phases)
        net = "a line" if "|" in recipe.model.name else recipe.model.name
        table.add_row(name, net, str(recipe.total_epochs), f"{sides} px", recipe.description)
    reporter.console.print(table)
    reporter.say("fireweed recipes NAME shows one; --set section.key=value changes any setting")


def show_recipe(name: str, reporter: Reporter) -> None:
    """Print a recipe and its learning-rate curve."""
    recipe = read_recipe(name)
    reporter.say(recipe_text(name))
    rates = learning_rates(recipe, CURVE_STEPS_PER_EPOCH)
    reporter.say(f"learning rate over {recipe.total_epochs} epochs:")
    reporter.say(curve_text(rates, unit="epoch", count=recipe.total_epochs))


def show_devices(request: TrainRequest, reporter: Reporter) -> None:
    """Print what was found, what will be used, and why."""
    for line in describe(chosen_device(request, request.precision, request.model or "squeezenet")):
        reporter.say(line)
    name = library_name()
    reporter.say(
        f"compiled kernels for training on the CPU: {name}"
        + ("; install Fireweed where there is a C compiler to have them" if name == "none" else "")
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        is_figure = column in ("parameters", "multiply-adds", "side", "weights", "epochs", "sees")
        justify: JustifyMethod = "right" if is_figure and number else "left"
        # a name is what one copies, and a figure in two pieces reads as two, so they stay whole
        table.add_column(Text(column), justify=justify, overflow="fold", no_wrap=is_figure or number == 0)
    return table
