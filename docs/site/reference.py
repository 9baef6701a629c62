"""The reference, made from the code: commands from typer's help, settings from their models, recipes, public names."""

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any, get_args

import typer
import typer.core
from typer.cli import get_docs_for_click

import fireweed
from fireweed import errors
from fireweed.cli import app
from fireweed.recipe import Recipe, recipe_names, recipe_text
from fireweed.settings import Table
from house_docstrings import entries_of, paragraphs_of

# What the public functions take and give, of the modules behind them.
BESIDE = (
    "fireweed.models.registry.build_model", "fireweed.models.cost.layer_costs", "fireweed.models.cost.LayerCost",
    "fireweed.serving.predict.Prediction",
)  # fmt: skip
KINDS = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def commands() -> str:
    """Return the page of all commands with their options."""
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    context = typer.Context(command)
    pages = [
        get_docs_for_click(obj=one, ctx=context, indent=1, call_prefix="fireweed")
        for one in command.commands.values()
    ]  # fmt: skip
    about = f"# Commands\n\n{command.help}\n\n`fireweed --help` and `fireweed COMMAND --help` say the same.\n\n"
    return about + "\n".join(pages)


def settings() -> str:
    """Return the page of all settings of a recipe, each with its kind, bounds, default and explanation."""
    lines = [
        "# Settings",
        "What a recipe can hold, in its file or by `--set section.key=value` (`--set training.batch=16`). "
        "[Recipes](page:reference/recipes.md) are settings that work well together.",
    ]
    for section, table in tables():
        prose, explained = explanations(table)
        lines += [f"## \\[{section}\\]", *prose]
        schema = table.model_json_schema()
        for name, field in schema["properties"].items():
            kind = kind_of(field) + default_of(field)
            lines += [f"### {section}.{name}", f"{_sentence(kind)}\n{{ .kind }}", _sentence(explained.get(name, ""))]
    return "\n\n".join(lines) + "\n"


def recipes() -> str:
    """Return the page of the recipes that come with Fireweed."""
    lines = [
        "# Recipes",
        "`fireweed recipes` lists them, `fireweed recipes NAME` shows one with its learning rate; "
        "`--recipe` takes a name or a file like these. [Settings](page:reference/settings.md) says what lines mean.",
    ]
    for name in recipe_names():
        lines += [f"## {name}", f"```toml\n{recipe_text(name).strip()}\n```"]
    return "\n\n".join(lines) + "\n"


def python() -> str:
    """Return the page of the public names, which mkdocstrings fills from the docstrings."""
    names = [name for name in fireweed.__all__ if name != "__version__"]
    names.sort(key=lambda name: (inspect.isclass(getattr(fireweed, name)), name))
    kinds = [
        name for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, errors.FireweedError) and name not in names
    ]  # fmt: skip
    lines = [
        "# Python interface",
        "`import fireweed as fw` gives the names below and `fw.__version__`. "
        "[Fireweed from Python](page:how-to/python.md) has examples of all.",
        *(f"::: fireweed.{name}" for name in names),
        "## Beside these",
        *(f"::: {name}\n    options:\n      heading_level: 3" for name in BESIDE),
        "## Kinds of FireweedError",
        *(f"::: fireweed.errors.{name}\n    options:\n      heading_level: 3" for name in kinds),
    ]
    return "\n\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "commands": commands, "settings": settings, "recipes": recipes, "python": python,
}  # fmt: skip


def tables(table: type[Table] = Recipe, prefix: str = "") -> Iterator[tuple[str, type[Table]]]:
    """Give the sections of a recipe by name, those within others too."""
    for name, field in table.model_fields.items():
        for part in (field.annotation, *get_args(field.annotation)):
            if inspect.isclass(part) and issubclass(part, Table):
                yield f"{prefix}{name}", part
                yield from tables(part, f"{prefix}{name}.")


def explanations(table: type[Table]) -> tuple[list[str], dict[str, str]]:
    """Return what a section's docstring says of the whole, and of each setting."""
    prose, explained = [], {}
    for paragraph in paragraphs_of(table.__doc__ or ""):
        if entries := entries_of(paragraph):
            explained.update(entries)
        else:
            prose.append(paragraph)
    return prose, explained


def kind_of(field: dict[str, Any]) -> str:
    """Return what a setting can be, in words, from its JSON schema."""
    if "enum" in field:
        return _or([f"`{json.dumps(word)}`" for word in field["enum"]])
    if "anyOf" in field:
        return _or([kind_of(one) for one in field["anyOf"] if one.get("type") != "null"])
    if "prefixItems" in field:
        return f"{len(field['prefixItems'])} numbers"
    if field.get("type") == "array":
        return "a list of tables"
    if "$ref" in field:
        return "a table"
    bounds = " and ".join(f"{words} {field[key]:,}" for key, words in BOUNDS.items() if key in field)
    return KINDS[field["type"]] + (f", {bounds}" if bounds else "")


def default_of(field: dict[str, Any]) -> str:
    """Return the words on a setting's default; none where it has to be given, or is a table of its own."""
    default = field.get("default", {})
    if isinstance(default, dict) or (isinstance(default, list) and isinstance(default[0], dict)):
        return ""
    return "; unset by default" if default is None else f"; by default `{json.dumps(default)}`"


def _or(choices: list[str]) -> str:
    return " or ".join([", ".join(choices[:-1]), choices[-1]] if len(choices) > 1 else choices)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].removesuffix(".") + "." if text else ""
