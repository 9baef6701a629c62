"""The plot of docs/accuracy.md."""

from typing import Any

from matplotlib import pyplot as plt

from plots import redraw

COLOURS = {"firenet": "#b0307a", "xception": "#34638f"}
WORDS = {"firenet": "from scratch (firenet)", "xception": "fine-tuned (Xception)"}
Study = dict[str, Any]


def redraw_accuracy(study: Study) -> list[str]:
    """Draw the plot anew where these figures are others, as `redraw` does."""
    return redraw({"accuracy-minutes.svg": lambda: minutes(study)}, study)


def minutes(study: Study) -> Any:
    """Draw validation accuracy against the minutes that --minutes gave, with its 95% interval by the photos."""
    picture, axis = plt.subplots(figsize=(6, 3.2))
    for recipe, colour in COLOURS.items():
        variants = [variant for variant in study["variants"] if variant["recipe"] == recipe]
        if not variants:
            continue
        parts = [variant["validation"] for variant in variants]
        means = [100 * part["mean"] for part in parts]
        below = [mean - 100 * part["interval_95"][0] for mean, part in zip(means, parts, strict=True)]
        above = [100 * part["interval_95"][1] - mean for mean, part in zip(means, parts, strict=True)]
        given = [variant["minutes"] for variant in variants]
        axis.errorbar(given, means, (below, above), fmt="o-", capsize=3, color=colour, label=WORDS[recipe])
    axis.set(xlabel="--minutes", ylabel="validation accuracy, %", xlim=(0, None))
    axis.legend(frameon=False, loc="lower right")
    picture.tight_layout()
    return picture
