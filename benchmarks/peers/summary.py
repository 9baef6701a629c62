"""From single measurements to medians, ratios within rounds, and goals reached or not."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Runs = list[dict[str, Any]]

OURS = "Fireweed"
STEP = "step squeezenet 192 px batch 32"
XCEPTION_STEP = "step xception 160 px batch 32"
SAME_NET = ("stock Keras", "PyTorch eager", "torch.compile")
FIGURES = ("rate", "later_rate", "step_rate", "first_rate", "later_rates", "latency_seconds", "seconds",
           "first_step_seconds", "peak_bytes", "held_bytes", "flops", "copy_bytes_per_second",
           "decode_rate")  # fmt: skip
TOLD_OF_NETS = ("parameters", "multiply_adds", "activation_bytes")


@dataclass(frozen=True)
class Spread:
    """Median, least and most of n values, one from each round."""

    median: float
    least: float
    most: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values), len(values))

    def row(self, rounded: Callable[[float], float] = float) -> dict[str, Any]:
        """Return it ready for JSON, its values rounded as asked."""
        return {"median": rounded(self.median), "min": rounded(self.least), "max": rounded(self.most), "n": self.n}


@dataclass(frozen=True)
class Goal:
    """What was to be reached, and what was; `found` is None where it was not measured.

    is_at_least: whether more is better, as of a ratio of rates; else less, as of memory.
    """

    what: str
    need: float
    found: Spread | None
    is_at_least: bool = True

    @property
    def verdict(self) -> str:
        if self.found is None:
            return "not measured"
        reached = (lambda value: value >= self.need) if self.is_at_least else (lambda value: value <= self.need)
        word = "reached" if reached(self.found.median) else "not reached"
        return word if reached(self.found.least) == reached(self.found.most) else f"{word}, within noise"


def values(runs: Runs, case: str, program: str, key: str) -> dict[int, float]:
    """Return a figure of a program by round; of a list of values (several epochs) their median."""
    found = {}
    for run in runs:
        if run["case"] == case and run["program"] == program and key in run:
            value = run[key]
            found[run["round"]] = statistics.median(value) if isinstance(value, list) else float(value)
    return found


def spread(runs: Runs, case: str, program: str, key: str) -> Spread | None:
    found = values(runs, case, program, key)
    return Spread.of(list(found.values())) if found else None


def figures(runs: Runs) -> dict[str, Any]:
    """Return case -> program -> figure -> {median, min, max, n}, ready for JSON."""
    table: dict[str, Any] = {}
    for case, program in pairs(runs):
        for key in FIGURES:
            found = spread(runs, case, program, key)
            if found:
                row = found.row(lambda value: float(f"{value:.5g}"))
                table.setdefault(case, {}).setdefault(program, {})[key] = row
    return table


def pairs(runs: Runs) -> list[tuple[str, str]]:
    """Return (case, program) in the order of the first round."""
    return list(dict.fromkeys((run["case"], run["program"]) for run in sorted(runs, key=lambda run: run["round"])))


def nets_of(runs: Runs) -> dict[str, Any]:
    """Return case -> program -> parameters and multiply-adds for one photo.

    Raises:
        ValueError: two programs that are compared as training the same net do not.
    """
    table: dict[str, Any] = {}
    for run in runs:
        if "multiply_adds" in run:
            told = {key: run[key] for key in TOLD_OF_NETS if key in run}
            table.setdefault(run["case"], {})[run["program"]] = told
    for case, programs in table.items():
        same = {(p["parameters"], p["multiply_adds"]) for name, p in programs.items() if name in (OURS, *SAME_NET)}
        if len(same) > 1:
            raise ValueError(f"{case}: the programs do not train the same net: {programs}")
    return table


def ratio(runs: Runs, case: str, key: str, peers: Sequence[str], program: str = OURS) -> Spread | None:
    """Return `program`'s figure over the best peer's, both of the same round; figures are rates."""
    ours = values(runs, case, program, key)
    theirs = [values(runs, case, peer, key) for peer in peers]
    found = []
    for number, value in ours.items():
        rates = [rates[number] for rates in theirs if number in rates]
        if rates:
            found.append(value / max(rates))
    return Spread.of(found) if found else None


def quotient(
    over: dict[int, float], under: dict[int, float], change: Callable[[float], float] = lambda x: x
) -> Spread | None:
    """Return the quotient of two figures, both of the same round."""
    found = [over[number] / under[number] for number in over if number in under]
    return Spread.of([change(value) for value in found]) if found else None


def overlap(one: Spread, other: Spread) -> bool:
    """Return whether two ranges share a value, so that the two are equal within noise."""
    return one.least <= other.most and other.least <= one.most


def goals(result: dict[str, Any]) -> list[Goal]:
    """Return all goals with what was found."""
    runs = result["runs"]
    stock, chip = (1.6, "a chip with AVX-512") if result["has_avx512"] else (3.0, "a chip without AVX-512")
    keras, data = ("stock Keras",), ("tf.data",)
    epoch = "epoch squeezenet 192 px batch 32"
    best = "against the best of stock Keras, PyTorch eager and torch.compile"
    return [
        Goal(f"training step, SqueezeNet 192 px, batch 32: {best}", 1.2,
             ratio(runs, STEP, "rate", SAME_NET)),
        Goal(f"the same against stock Keras, on {chip}", stock, ratio(runs, STEP, "rate", keras)),
        Goal(f"training step, Xception 160 px, batch 32: {best}", 1.3,
             ratio(runs, XCEPTION_STEP, "rate", SAME_NET)),
        Goal("an epoch on real photos, input included: against the step alone", 0.95,
             quotient(values(runs, epoch, OURS, "rate"), values(runs, epoch, OURS, "step_rate"))),
        Goal("the same, the second epoch", 0.95,
             quotient(values(runs, epoch, OURS, "later_rate"), values(runs, epoch, OURS, "step_rate"))),
        Goal("input, later epochs: against the codelab's", 3.0,
             ratio(runs, "input from shards 192 px", "later_rates", data)),
        Goal("input, epoch one from photos: against tf.data", 1.3,
             ratio(runs, "input from photos 192 px", "first_rate", data)),
        Goal("input, epoch one from TFRecord shards: against the codelab's", 1.3,
             ratio(runs, "input from shards 192 px", "first_rate", data)),
        Goal("writing shards: against a plain tf.data writer", 1.6, ratio(runs, "writing shards 192 px", "rate", data)),
        Goal("predicting a folder, SqueezeNet 192 px: against `model.predict`", 2.0,
             ratio(runs, "predict squeezenet 192 px", "rate", keras)),
        Goal("predicting a folder, Xception 160 px: against `model.predict`", 2.0,
             ratio(runs, "predict xception 160 px", "rate", keras)),
        *growth_goals(runs),
    ]  # fmt: skip


def growth_goals(runs: Runs) -> list[Goal]:
    """Return the goals on 16x the photos: times as much time and memory as for 1x."""

    def of(times: int, key: str, program: str = OURS) -> dict[int, float]:
        return values(runs, f"growth {times}x photos 96 px", program, key)

    bounded = f"{OURS}, bounded"
    return [
        Goal("16x the photos: times the input's time of an epoch (first and later)", 16,
             quotient(of(16, "seconds"), of(1, "seconds")), is_at_least=False),
        Goal("16x the photos: times the input's peak memory", 16,
             quotient(of(16, "peak_bytes"), of(1, "peak_bytes")), is_at_least=False),
        Goal("16x the photos, cache budget exceeded: times the memory held that is not the file's", 1.2,
             quotient(of(16, "held_bytes", bounded), of(1, "held_bytes", bounded)), is_at_least=False),
    ]  # fmt: skip
