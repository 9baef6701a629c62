"""The notebook in deploy/ is one, its cells are Python, and the commands in them exist."""

import ast
from pathlib import Path

import pytest
import typer

from fireweed.cli import app

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
NOTEBOOK = Path(__file__).parents[1] / "deploy" / "colab.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[ast.Module]:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)  # figures come from measurements
    for cell in code:
        compile(cell.source, "cell", "exec")
    return [ast.parse(cell.source) for cell in code]


def test_every_command_in_it_can_be_parsed(cells):
    group = typer.main.get_command(app)
    calls = [node for cell in cells for node in ast.walk(cell) if isinstance(node, ast.Call)]
    asked = [
        [ast.literal_eval(argument) for argument in call.args]
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "fireweed"
    ]
    assert [words[0] for words in asked] == ["devices", "train", "evaluate"] and "--check" in asked[0]
    for name, *words in asked:
        group.commands[name].make_context(name, words)


def test_it_keeps_the_frameworks_that_are_there(cells):
    names = {target.id: node.value for node in cells[0].body if isinstance(node, ast.Assign) for target in node.targets
             if isinstance(target, ast.Name)}  # fmt: skip
    assert {"tensorflow", "jax", "jaxlib", "libtpu"} <= set(ast.literal_eval(names["KEPT"]))
