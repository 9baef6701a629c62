"""The plot of docs/accuracy.md, as SVG; it carries a digest of the figures it was drawn from."""

import hashlib
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLOURS = {"firenet": "#b0307a", "xception": "#34638f"}
WORDS = {"firenet": "from scratch (firenet)", "xception": "fine-tuned (Xception)"}
Study = dict[str, Any]


def digest(study: Study) -> str:
    """Return what tells the figures of one study from another's."""
    return hashlib.sha256(json.dumps(study, sort_keys=True).encode()).hexdigest()[:16]


def is_current(study: Study, path: Path) -> bool:
    """Return whether the plot was drawn from these figures."""
    return path.is_file() and f"figures {digest(study)}" in path.read_text(encoding="utf-8")


def draw(study: Study, path: Path) -> None:
    """Draw validation accuracy against the minutes that --minutes gave, with its 95% interval by the photos."""
    settings = {"svg.hashsalt": "fireweed", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
                "axes.spines.right": False}  # fmt: skip
    with plt.rc_context(settings):
        picture, axis = plt.subplots(figsize=(6, 3.2))
        for recipe, colour in COLOURS.items():
            variants = [variant for variant in study["variants"] if variant["recipe"] == recipe]
            if not variants:
                continue
            minutes = [variant["minutes"] for variant in variants]
            parts = [variant["validation"] for variant in variants]
            means = [100 * part["mean"] for part in parts]
            below = [mean - 100 * part["interval_95"][0] for mean, part in zip(means, parts, strict=True)]
            above = [100 * part["interval_95"][1] - mean for mean, part in zip(means, parts, strict=True)]
            axis.errorbar(minutes, means, (below, above), fmt="o-", capsize=3, color=colour, label=WORDS[recipe])
        axis.set(xlabel="--minutes", ylabel="validation accuracy, %", xlim=(0, None))
        axis.legend(frameon=False, loc="lower right")
        picture.tight_layout()
        metadata = {"Date": None, "Description": f"figures {digest(study)}"}
        picture.savefig(path, metadata=metadata, bbox_inches="tight")
        plt.close(picture)
