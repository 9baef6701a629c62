"""A lab made ready for a test: shortened, each exercise tried unsolved, nearly right and solved."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from lab_answers import NEARLY_RIGHT
from nbclient import NotebookClient
from nbformat import NotebookNode

import warm

sys.path.insert(0, str(Path(__file__).parents[2] / "labs"))

from make_notebooks import make_quick

_FENCE = re.compile(r"```python\n(.*?)```", re.S)
# What is printed for the test, which reads it from the outputs.
_TOLD = "print('CHECKED {name}: {what}:', bool({check}), repr({check}))"


class WarmKernel(AsyncKernelManager):
    """A kernel that has imported the framework when it begins, which is most of what a shortened lab takes."""

    def format_kernel_cmd(self, *given: Any, **named: Any) -> list[str]:
        """Return the command that starts the kernel."""
        return [*warm.python(), *super().format_kernel_cmd(*given, **named)[1:]]


@dataclass
class Lab:
    """A lab's notebook, and what its checks said of which answer: (exercise, answer) -> right or not, and the words."""

    notebook: NotebookNode
    verdicts: dict[tuple[str, str], bool] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


def exercises_of(notebook: NotebookNode) -> dict[str, dict[str, str]]:
    """Return for each exercise its unsolved cell, its check and its solution."""
    found: dict[str, dict[str, str]] = {}
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        for part in ("exercise", "check", "solution"):
            if part in tags:
                name = next(tag for tag in tags if tag != part)
                found.setdefault(name, {})[part] = cell.source
    for parts in found.values():
        fenced = _FENCE.search(parts["solution"])
        assert fenced, "a solution has a block of Python"
        parts["solution"] = fenced[1]
    return found


def tried(notebook: NotebookNode, quick: bool) -> NotebookNode:
    """Return the notebook with every exercise's answers tried in turn before its check, the solution last."""
    ready = nbformat.from_dict(notebook)
    if quick:
        make_quick(ready)
    exercises = exercises_of(notebook)
    cells = []
    for cell in ready.cells:
        tags = cell.metadata.get("tags", [])
        if "check" in tags:
            name = next(tag for tag in tags if tag != "check")
            for what, code in _answers(name, exercises[name]).items():
                check = exercises[name]["check"]
                cells.append(nbformat.v4.new_code_cell(f"{code}\n{_TOLD.format(name=name, what=what, check=check)}"))
        cells.append(cell)
    ready.cells = cells
    return ready


def executed(notebook: NotebookNode, folder: Path, quick: bool, timeout_seconds: int) -> Lab:
    """Execute a lab in a kernel of its own, in a folder of its own, and collect what its checks said."""
    lab = Lab(tried(notebook, quick))
    NotebookClient(
        lab.notebook,
        timeout=timeout_seconds,
        kernel_name="python3",
        kernel_manager_class=WarmKernel,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    for cell in lab.notebook.cells:
        # One line may come in several pieces.
        for line in "".join(output.get("text", "") for output in cell.get("outputs", [])).splitlines():
            told = re.match(r"CHECKED (\w+): (.+?): (True|False) (.*)", line)
            if told:
                lab.verdicts[told[1], told[2]] = told[3] == "True"
                lab.words.append(told[4])
    return lab


def _answers(name: str, parts: dict[str, str]) -> dict[str, str]:
    return {"unsolved": parts["exercise"], **NEARLY_RIGHT[name], "solution": parts["solution"]}
