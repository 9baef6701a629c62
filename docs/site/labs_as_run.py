"""The labs as run: each is executed once, exercises unsolved, and kept until its text or what it shows changes."""

import hashlib
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "labs"))

from fireweed.files import write_text  # noqa: E402
from fireweed.version import __version__  # noqa: E402
from make_notebooks import make_quick, notebook_of  # noqa: E402

MOST_SECONDS = 3600  # of one cell
FORMS = ("quick", "whole", "none")


def lab_as_run(text: Path, form: str, kept: Path) -> NotebookNode:
    """Return a lab's notebook with its outputs, from the folder `kept` where it was executed before.

    form: "quick" has nets train for an epoch or two, "whole" runs the lab as its reader does, "none" runs nothing.
    """
    notebook = notebook_of(text)
    if form == "none":
        return notebook
    if form == "quick":
        make_quick(notebook)
    name = f"{text.parent.name}-{text.stem}-{form}"
    file = kept / f"{name}-{_mark_of(notebook)}.ipynb"
    if not file.exists():
        print(f"executing {name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            resources = {"metadata": {"path": folder}}
            NotebookClient(notebook, timeout=MOST_SECONDS, kernel_name="python3", resources=resources).execute()
        kept.mkdir(parents=True, exist_ok=True)
        for stale in kept.glob(f"{name}-*.ipynb"):
            stale.unlink()
        write_text(file, nbformat.writes(notebook))
    return nbformat.reads(file.read_text("utf-8"), as_version=4)


def _mark_of(notebook: NotebookNode) -> str:
    """Return what changes where the lab's outputs may: its text, the program's version, what draws and checks."""
    hasher = hashlib.sha256(nbformat.writes(notebook).encode() + __version__.encode())
    for path in sorted((ROOT / "src" / "fireweed" / "teaching").rglob("*.*")):
        if path.suffix in (".py", ".json"):
            hasher.update(path.read_bytes())
    return hasher.hexdigest()[:12]
