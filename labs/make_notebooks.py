"""Make the notebooks from the labs' texts, and what the package keeps of measurements/.

`make labs` runs it. With `REPOSITORY=OWNER/fireweed` it first writes into the texts where the
project is published, for the badges and for the first cell. The notebooks hold no outputs, so that
they change only where the text does.
"""

import argparse
import json
import re
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from fireweed.teaching.measured import SOURCE, drawn_from

LABS = Path(__file__).parent
ROOT = LABS.parent
LANGUAGES = ("en", "zh-TW")
# Wherever the repository is named: in badges, and in what the first cell installs.
_REPOSITORY = re.compile(r"(?:(?<=github\.com/)|(?<=com/github/))[\w.-]+/fireweed\b")


def lab_texts() -> list[Path]:
    """Return the texts of all labs, English first."""
    return [path for language in LANGUAGES for path in sorted((LABS / language).glob("[0-9]_*.py"))]


def notebook_of(text: Path) -> NotebookNode:
    """Return the notebook that a lab's text stands for: equal text, equal notebook."""
    notebook = jupytext.read(text, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        if "solution" in cell.metadata.get("tags", []):
            cell.metadata["collapsed"] = True
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "colab": {"toc_visible": True},
    }
    return notebook


def written(notebook: NotebookNode) -> str:
    """Return a notebook as its file holds it."""
    return nbformat.writes(notebook, version=4) + "\n"


def measured_text() -> str:
    """Return what the package keeps of measurements/, as its file holds it."""
    study = json.loads((ROOT / "measurements" / SOURCE).read_text("utf-8"))
    return json.dumps(drawn_from(study), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write everything that is made of the texts and of measurements/."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--repository", help="where the project is published on GitHub: OWNER/fireweed"
    )
    repository = parser.parse_args().repository
    if repository:
        for path in (*lab_texts(), *LABS.glob("README*.md")):
            path.write_text(_REPOSITORY.sub(repository, path.read_text("utf-8")), "utf-8")
    for text in lab_texts():
        text.with_suffix(".ipynb").write_text(written(notebook_of(text)), "utf-8")
    (ROOT / "src" / "fireweed" / "teaching" / "measured.json").write_text(measured_text(), "utf-8")


if __name__ == "__main__":
    main()
