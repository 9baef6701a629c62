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
REPORT_WORDS = (
    "accuracy", "batch norm", "batch, mini-batch", "calibration", "calibration error",
    "confidence interval (95%)", "confusion matrix", "convolution", "dense layer", "epoch", "F1",
    "learning rate", "loss", "multiply-adds", "phase", "precision (of a class)", "recall",
    "receptive field", "recipe", "seed", "separable convolution", "side", "test photos", "top 5",
    "training photos", "twins", "validation photos", "weight",
)  # fmt: skip
# Chinese has no spaces, but a page shows one where a line of text ends.
_CHINESE = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
CHINESE_LINE_END = re.compile(rf"(?<={_CHINESE})\n(?=(?:\*\*)?{_CHINESE})")
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
        if cell.cell_type == "markdown":
            cell.source = CHINESE_LINE_END.sub("", cell.source)
        if "solution" in cell.metadata.get("tags", []):
            cell.metadata["collapsed"] = True
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "colab": {"toc_visible": True},
    }
    return notebook


def make_quick(notebook: NotebookNode) -> None:
    """Have a lab take its short way, in which nets train for an epoch or two."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace("quick = False", "quick = True")


def written(notebook: NotebookNode) -> str:
    """Return a notebook as its file holds it."""
    return nbformat.writes(notebook, version=4) + "\n"


def measured_text() -> str:
    """Return what the package keeps of measurements/, as its file holds it."""
    study = json.loads((ROOT / "measurements" / SOURCE).read_text("utf-8"))
    return json.dumps(drawn_from(study), indent=1, ensure_ascii=False) + "\n"


def report_words_text() -> str:
    """Return the words of the glossary that reports explain, as the package keeps them."""
    lines = (ROOT / "docs" / "glossary.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    names = ("english", "chinese", "meaning", "meaning_in_chinese")
    known = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
    words = [{"id": _address_of(word), **known[word]} for word in REPORT_WORDS]
    return json.dumps(words, indent=1, ensure_ascii=False) + "\n"


def _address_of(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.split(r"[,(]", word.lower())[0].strip())


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
    package = ROOT / "src" / "fireweed"
    (package / "teaching" / "measured.json").write_text(measured_text(), "utf-8")
    (package / "evaluation" / "words.json").write_text(report_words_text(), "utf-8")


if __name__ == "__main__":
    main()
