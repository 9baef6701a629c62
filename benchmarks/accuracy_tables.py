"""What the tables of accuracies in docs/accuracy.md and in the READMEs have in common."""

import statistics
from collections.abc import Iterable
from typing import Any

from fireweed.text import counted
from speed_tables import NONE

STAR = "*: of some runs the epochs alone, without start, features and report."


def test_text(variant: dict[str, Any]) -> str:
    """Return the accuracy on the test photos, and of how many seeds it is where not all were judged on them."""
    test = variant.get("test")
    if test is None:
        return NONE
    low, high = test["interval_95"]
    of = "" if test["seeds"] == variant["validation"]["seeds"] else f"; {counted(test['seeds'], 'seed')} only"
    return f"{test['mean']:.1%} ({low:.1%} to {high:.1%}{of})"


def minutes_text(runs: list[dict[str, Any]]) -> str:
    """Return how many minutes a run's whole command took on average, with a star where some kept the epochs' only."""
    taken = statistics.fmean(max(sum(run["command_seconds"]), run["training_seconds"]) for run in runs) / 60
    is_whole = all(sum(run["command_seconds"]) >= run["training_seconds"] for run in runs)
    return (f"{taken:.0f}" if taken >= 20 else f"{taken:.1f}") + ("" if is_whole else "*")


def ran_with(runs: list[dict[str, Any]]) -> str:
    """Return the chips, precisions, versions and dates of runs."""
    chips = dict.fromkeys(run["device"]["name"] for run in runs)
    precisions = dict.fromkeys(run["device"]["precision"] for run in runs)
    packages = [(name, run["packages"][name]) for run in runs for name in ("keras", run["device"]["backend"])]
    versions = dict.fromkeys(f"{name} {version}" for name, version in packages)
    dates = sorted({run["date"] for run in runs})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{joined(chips)}, {joined(precisions)}; {joined(versions)}; {when}"


def joined(words: Iterable[str]) -> str:
    """Return words, one at least, as a list that ends in "and"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
