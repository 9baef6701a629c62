"""A training on JAX: the same loop, averages and checkpoints, in a process of its own."""

import os
import subprocess
from pathlib import Path

import pytest

import warm

QUICKLY = "--xla_backend_optimization_level=0"  # most of the time is compilation
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
try:
    t.run(out / "inside", t.recipe(), stop_at=7, checkpoint_minutes=1e-9)
except Exception:
    pass
assert (out / "inside" / "checkpoints" / "epoch-000002-step-00000001.npz").exists()
resumed, third = t.run(out / "inside", t.recipe())
assert t.lasting(resumed.history) == t.lasting(whole.history)
assert all(np.array_equal(a, b) for a, b in zip(first.weights, third.weights))
slow = t.train(t.net(), t.recipe(), t.data(seconds=0.3), out, t.Reporter(is_silent=True))
assert min(row["share_of_seconds_waited"] for row in slow.history) > 0.5, slow.history
print("done")
"""
CLOCK = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
import test_train as t
from fireweed.training import recording, train
out = Path(sys.argv[2])
for queues in (False, True):
    recording.queues_steps = train.queues_steps = lambda: queues
    before, after, once = t.moved_once(out / f"once {queues}", setattr)
    assert not all(np.array_equal(a, b) for a, b in zip(before, after))
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(once, after)), (once, after)
    whole, _ = t.run(out / f"whole {queues}", t.recipe(), budget=t.by_clock(setattr))
    assert whole.learning_rates.max() > 0.8e-2 and whole.learning_rates[-1] < 2e-3
print("done")
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
_, second = t.run(out / "queued", t.recipe(), checkpoint_minutes=1e-9)
assert all(np.array_equal(a, b) for a, b in zip(first.weights, second.weights))
slow = t.train(t.net(), t.recipe(), t.data(seconds=0.3), out, t.Reporter(is_silent=True))
assert min(row["share_of_seconds_waited"] for row in slow.history) > 0.5, slow.history
assert not [thread for thread in threading.enumerate() if thread.name.startswith("pace")]
print("done")
"""
NORMS = """
import sys
sys.path.insert(0, sys.argv[1])
import test_norms as t
assert t.keras.backend.backend() == "jax"
t.test_statistics_are_the_mean_of_what_the_batches_give_and_the_weights_stay()
t.test_photos_of_a_smaller_batch_count_no_more_than_others_and_missing_ones_are_told()
t.test_statistics_that_take_too_much_memory_stay_as_they_were()
print("done")
"""
AHEAD = """
import sys, time
from dataclasses import replace
from pathlib import Path
import jax, keras
import numpy as np
from keras.src.backend.jax.trainer import JAXEpochIterator
sys.path.insert(0, sys.argv[1])
import test_train as t
from fireweed.training import recording, train
recording.queues_steps = train.queues_steps = lambda: True
JAXEpochIterator._get_iterator = lambda self: self._one_batch_ahead_iterator(self.data_adapter.get_jax_iterator())

class Slow(keras.layers.Layer):
    def call(self, images, training=False):
        def rest():
            time.sleep(0.05)
            return np.float32(0)
        return images + jax.pure_callback(rest, jax.ShapeDtypeStruct((), np.float32)) if training else images

class Photos(keras.utils.PyDataset):
    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.made_at = seconds, {}

    def __len__(self):
        return 2 * t.STEPS

    def __getitem__(self, step):
        time.sleep(self.seconds)
        self.made_at[step] = time.monotonic()
        return t.VALIDATION[0][: t.BATCH], t.VALIDATION[1][: t.BATCH], t.VALIDATION[2][: t.BATCH]

def shares(seconds):
    net = keras.Sequential([keras.Input((None, None, 3)), Slow(), keras.layers.Conv2D(2, 3),
                            keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, activation="softmax")])
    out = Path(sys.argv[2]) / str(seconds)
    out.mkdir()
    photos = Photos(seconds)
    data = replace(t.data(), batches=lambda *asked: photos, made_at=lambda step: photos.made_at.get(step, 0.0))
    asked = t.recipe(phases=[{"side": 12, "epochs": 2}])
    rows = t.train(net, asked, data, out, t.Reporter(is_silent=True)).history
    return [row["share_of_seconds_waited"] for row in rows]

slow, fast = shares(0.3), shares(0.0)
assert 0.5 < min(slow) <= max(slow) <= 1 and min(fast) < 0.2, (slow, fast)
print("done")
"""


def run_on_jax(program: str, folder: Path) -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    environ = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICKLY}
    command = [*warm.python("jax"), "-c", program, str(Path(__file__).parent), str(folder)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("done"), done.stderr[-2000:]


@pytest.mark.parametrize("program", [PROGRAM, QUEUED, CLOCK], ids=["resumed", "queued", "by the clock"])
def test_averaging_checkpoints_resume_and_queued_steps_work_on_jax(program, tmp_path):
    run_on_jax(program, tmp_path)


def test_norm_statistics_are_computed_anew_on_jax(tmp_path):
    run_on_jax(NORMS, tmp_path)


def test_waiting_for_photos_is_told_where_keras_takes_them_a_step_ahead(tmp_path):
    """As it does on a GPU or TPU; what the step itself takes is no waiting."""
    run_on_jax(AHEAD, tmp_path)
