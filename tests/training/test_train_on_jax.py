"""A training on JAX: the same loop, averages and checkpoints, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
import test_train as t
import keras
assert keras.backend.backend() == "jax"
out = Path(sys.argv[2])
whole, first = t.run(out / "whole", t.recipe())
try:
    t.run(out / "stopped", t.recipe(), stop_at=7)
except Exception:
    pass
resumed, second = t.run(out / "stopped", t.recipe())
assert resumed.resumed_at == 2, resumed.resumed_at
assert t.lasting(resumed.history) == t.lasting(whole.history)
assert all(np.array_equal(a, b) for a, b in zip(first.weights, second.weights))
slow = t.train(t.net(), t.recipe(), t.data(seconds=0.3), out, t.Reporter(is_silent=True))
assert min(row["share_of_seconds_waited"] for row in slow.history) > 0.5, slow.history
print("equal")
"""
QUEUED = """
import sys, threading
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
import test_train as t
from fireweed.training import recording, train
out = Path(sys.argv[2])
_, first = t.run(out / "waiting", t.recipe())
recording.queues_steps = train.queues_steps = lambda: True
_, second = t.run(out / "queued", t.recipe())
assert all(np.array_equal(a, b) for a, b in zip(first.weights, second.weights))
slow = t.train(t.net(), t.recipe(), t.data(seconds=0.3), out, t.Reporter(is_silent=True))
assert min(row["share_of_seconds_waited"] for row in slow.history) > 0.5, slow.history
assert not [thread for thread in threading.enumerate() if thread.name.startswith("pace")]
print("equal")
"""


@pytest.mark.parametrize("program", [PROGRAM, QUEUED], ids=["resumed", "queued"])
def test_averaging_checkpoints_resume_and_queued_steps_work_on_jax(program, tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed")
    environ = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]
