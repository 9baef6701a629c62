"""A trial of XLA against TensorFlow's own operations, in a process of its own that can be given up.

XLA compiles inside C++, for half a minute or for several, and nothing stops it there but the end of its process.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from fireweed.recipe import Recipe, checked
from fireweed.remembered import Figures

STEPS = 3


def run_trial(recipe: Recipe, classes: int, side: int, limit_seconds: float, environment: Mapping[str, str]) -> Figures:
    """Time steps of a resolved recipe at `side` px without XLA and with it, by turns, in a prepared child process.

    Returns "step none" and "step xla" in images/s, "first none" and "first xla" in seconds of the first step, and
    "tried seconds", the limit; what was not measured within the limit, or cannot be compiled, is left out.

    environment: what the child's has beside this process's, such as the allocator's settings.
    """
    asked = json.dumps({"recipe": recipe.model_dump(mode="json", exclude_none=True), "classes": classes, "side": side})
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    child_environment = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-P", "-m", "fireweed.training.trial"]
    try:
        done = subprocess.run(
            command, input=asked.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=limit_seconds,
            env=child_environment, check=False,
        )  # fmt: skip
        text, has_failed = done.stdout, done.returncode != 0
    except subprocess.TimeoutExpired as expired:
        text, has_failed = expired.stdout or b"", False
    except OSError:
        text, has_failed = b"", True
    # a child that failed was not slow: it says nothing of what a longer limit would give
    figures: Figures = {} if has_failed else {"tried seconds": limit_seconds}
    for line in text.splitlines():
        figures |= _read(line)
    return figures


def _read(line: bytes) -> Figures:
    """Return the figures of one line of the child, none when the line is cut."""
    try:
        found = json.loads(line)
        return {str(name): float(value) for name, value in found.items() if math.isfinite(value)}
    except (ValueError, AttributeError, TypeError):
        return {}


def main() -> None:
    """Read what to try from standard input and print figures as soon as they are there."""
    asked = json.loads(sys.stdin.buffer.read())
    recipe = checked(asked["recipe"])
    import keras

    from fireweed.training.stepping import make_step

    keras.mixed_precision.set_dtype_policy(recipe.training.precision)
    batch = recipe.training.batch
    steps, seconds = {}, {}
    for kind in ("none", "xla"):
        steps[kind] = make_step(recipe, asked["classes"], asked["side"], kind)
        first = steps[kind]()
        seconds[kind] = [steps[kind]() for _ in range(STEPS)]
        print(json.dumps({f"step {kind}": batch / median(seconds[kind]), f"first {kind}": first}), flush=True)
    for _ in range(STEPS):  # by turns, so that a machine busy with something else slows both alike
        for kind, step in steps.items():
            seconds[kind].append(step())
    print(json.dumps({f"step {kind}": batch / median(times) for kind, times in seconds.items()}), flush=True)


if __name__ == "__main__":
    main()
