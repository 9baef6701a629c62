"""From one seed, a training with the compiled kernels ends at the accuracy of one without them."""

import json
import os
import subprocess
import sys

import pytest

from fireweed.kernels import native

RECIPE = ("--recipe", "demo", "--seed", "3")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.skipif(native.library() is None, reason="no compiled kernels: no C compiler, or another chip")
def test_a_training_ends_at_the_same_accuracy_with_and_without_kernels(tmp_path):
    found = {}
    for kernels in ("", "none"):
        out = tmp_path / (kernels or "with")
        command = [sys.executable, "-m", "fireweed", "train", "--data", "drawn", *RECIPE, "--out", str(out)]
        environment = {**os.environ, native.SWITCH: kernels}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        found[kernels] = json.loads((out / "evaluation-validation.json").read_text())
    assert found[""]["accuracy"] > 0.9
    low, high = found["none"]["interval_95"]
    assert low <= found[""]["accuracy"] <= high
