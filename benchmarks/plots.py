"""Plots of documents, as SVG; each carries a digest of the figures it was drawn from."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from marked import only_checks

IMAGES = Path(__file__).parents[1] / "docs" / "images"
STYLE = {"svg.hashsalt": "fireweed", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
         "axes.spines.right": False}  # fmt: skip


def redraw(plots: Mapping[str, Callable[[], Any]], figures: Any) -> list[str]:
    """Draw the plots anew, unless the program was called with --check; return the names of those that were stale.

    plots:   name of a file in docs/images -> what makes the picture.
    figures: JSON-ready, all that the pictures show.
    """
    mark = f"figures {hashlib.sha256(json.dumps(figures, sort_keys=True).encode()).hexdigest()[:16]}"
    stale = [name for name in plots if not _has(IMAGES / name, mark)]
    with plt.rc_context(STYLE):
        for name in [] if only_checks() else stale:
            picture = plots[name]()
            picture.savefig(IMAGES / name, metadata={"Date": None, "Description": mark}, bbox_inches="tight")
            plt.close(picture)
    return stale


def _has(path: Path, mark: str) -> bool:
    return path.is_file() and mark in path.read_text(encoding="utf-8")
