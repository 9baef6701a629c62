"""Whether XLA compiles a training's steps: by what was measured here, tried only where the trial can pay.

JAX has no way but XLA. On GPUs TensorFlow's steps are compiled as Keras does by itself; a trial would need a second
process on a GPU whose memory the first has taken. On CPUs TensorFlow's own operations, by oneDNN, were never slower
than XLA's code in our measurements (from level to four times as fast), so that is what holds unmeasured. But chips
and versions differ, so a long training tries both on a copy. What a trial costs is bounded: a fiftieth of the expected
time, and two minutes at most, in a child process that is given up at the limit. Where a fiftieth is under 20 seconds
XLA would not be ready in time, so that shorter trainings go without; `fireweed bench` tries it whenever it is asked.
Figures are remembered, not verdicts: which is quicker in the end also depends on how long a training is, since XLA
compiles anew in each phase.

Measured and left alone, on 2 cores of an AMD EPYC with AVX-512 that did other work too (n: alternating pairs):
Steps per execution stay at 1. Eight steps at once save 1.1 ms of processor time a step (2.4 to 1.3 ms, a net of next
to no work, n = 15). That is 1.7% of the demo recipe's steps (41.0 to 40.3 ms, n = 15), the smallest of any shipped
recipe, and less of the others'; it would tie averages and checkpoints to multiples.
Threads stay as TensorFlow chooses them. One inter-operation thread gave equal best steps for squeezenet (96 px, batch
32, 0.501 to 0.497 s, n = 30) and the demo net (36.7 to 36.5 ms, n = 40), slower ones for Xception (160 px, batch 16,
5.6 to 8.0 s, n = 12).
JAX's slow weight gradients stay. Written as matrix products, that of a 1x1 convolution is 8 to 13 times as fast alone
(96 and 192 px, batch 8, n = 9), that of a 3x3 from 1.7 times as fast (192 px, 24 channels) to 4 times as slow (48 px,
64 channels, n = 7); but with all 1x1 so, squeezenet's step gained 7% at 96 px (batch 16, n = 9) and lost 3% at 192 px
(batch 8, n = 5): XLA's other loops take the time there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fireweed.errors import RecipeError
from fireweed.recipe import Recipe
from fireweed.remembered import Figures

SHARE_FOR_A_TRIAL = 1 / 50  # of the training's expected time
LEAST_TRIAL_SECONDS, MOST_TRIAL_SECONDS = 20.0, 120.0
NOISE = 0.03  # by which XLA has to be ahead

Compile = Literal["xla", "none"]


@dataclass(frozen=True)
class CompileChoice:
    """What compiles the steps of a training, and a sentence that says so with its grounds."""

    compile: Compile
    sentence: str


def choose_compile(
    recipe: Recipe, backend: str, kind: str, known: Figures, expected_seconds: float | None,
    trial: Callable[[float], Figures] | None, replicas: int = 1,
) -> CompileChoice:  # fmt: skip
    """Choose for a resolved recipe.

    backend, kind:    "tensorflow" or "jax"; "cpu", "gpu" or "tpu". For a TPU "none" says what Keras is told.
    known:            what is remembered of steps like these, see `run_trial`.
    expected_seconds: of the training, None where nobody knows.
    replicas:         devices that share each batch.
    trial:            measures within so many seconds and returns figures as `known`; None: nothing may be timed.

    Raises:
        RecipeError: to do without XLA is asked of JAX.
    """
    asked = recipe.training.compile
    if backend == "jax":
        if asked == "none":
            raise RecipeError("JAX computes through XLA only; leave --compile none out, or take --backend tensorflow")
        return CompileChoice("xla", "engine: XLA (JAX has no other)")
    if asked != "auto":
        return CompileChoice(asked, f"engine: {_title(asked)}, as asked")
    if kind == "tpu":  # its strategy compiles by itself, and Keras had better not do so within that
        return CompileChoice("none", "engine: XLA (TPUs have no other)")
    if replicas > 1:  # https://github.com/tensorflow/tensorflow/issues/56423: it leaks threads and memory
        return CompileChoice("none", "engine: no XLA (TensorFlow leaks memory with it on several devices)")
    if kind != "cpu":
        return CompileChoice("xla", "engine: XLA (not measured on this device; --compile none does without)")
    where, limit = "remembered", trial_seconds(expected_seconds)
    is_open = "step xla" not in known and known.get("tried seconds", 0.0) < limit
    if trial is not None and limit and is_open:
        known, where = known | trial(limit), "measured now"
    if "step none" in known and "step xla" in known:
        chosen = quicker(known, expected_seconds or 0.0, len(recipe.training.phases))
        return CompileChoice(chosen, f"engine: {_title(chosen)} ({rates_text(known, chosen)}, {where})")
    if "tried seconds" in known:
        return CompileChoice("none", f"engine: no XLA (not ready within {known['tried seconds']:.0f} s, {where})")
    return CompileChoice("none", "engine: no XLA (as a rule slower on a CPU; not measured here, `fireweed bench` does)")


def trial_seconds(expected_seconds: float | None) -> float:
    """Return how long a trial may take before a training of so many seconds; 0 for no trial."""
    limit = min((expected_seconds or 0.0) * SHARE_FOR_A_TRIAL, MOST_TRIAL_SECONDS)
    return limit if limit >= LEAST_TRIAL_SECONDS else 0.0


def quicker(figures: Figures, seconds: float, phases: int) -> Compile:
    """Return which of the two ends a training sooner that takes so many `seconds` without XLA."""
    compiling = max(0.0, figures.get("first xla", 0.0) - figures.get("first none", 0.0)) * phases
    with_xla = seconds * figures["step none"] / figures["step xla"] + compiling
    return "xla" if with_xla < seconds * (1 - NOISE) else "none"


def rates_text(figures: Figures, chosen: str) -> str:
    """Return both rates in words, that of the chosen one first: 27 against 12 images/s."""
    rates = [figures["step none"], figures["step xla"]]
    ours, other = rates if chosen == "none" else rates[::-1]
    return f"{_figure(ours)} against {_figure(other)} images/s"


def _figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _title(compile: str) -> str:
    return "XLA" if compile == "xla" else "no XLA"
