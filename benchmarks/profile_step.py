"""Measure where the time of a training step goes, with the compiled kernels and without them.

    python benchmarks/profile_step.py [--rounds 3]

Writes measurements/step-profile.json: milliseconds a step (SqueezeNet 192 px batch 32, Xception 160 px batch 32) by
kind of work, each of the kernels' calls and of oneDNN's operations timed one by one, in a process of its own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from machine_facts import machine_facts
from peers.summary import Spread

ROOT = Path(__file__).parents[1]
OUT = ROOT / "measurements" / "step-profile.json"
NETS = {"squeezenet": 192, "xception": 160}
BATCH, WARM, TIMED = 32, 2, 5
CHILD = "--child"
KINDS = ("3x3 convolutions", "1x1 convolutions", "depthwise convolutions", "norms", "pooling", "the rest")
"""Relus, gradients of biases and concatenations are with the kernels' norms, and in the rest where oneDNN works."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    rounds = arguments.parse_args().rounds
    runs: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(rounds):
        for net in NETS:
            for engine in ("kernels", "none"):
                runs[net][engine].append(profile(net, engine))
    figures = {
        f"{net} {NETS[net]} px batch {BATCH}": {
            engine: {
                kind: Spread.of([one[kind] for one in profiles]).row(lambda ms: round(ms, 1))
                for kind in (*KINDS, "step")
            }
            for engine, profiles in engines.items()
        }
        for net, engines in runs.items()
    }
    OUT.write_text(json.dumps({"unit": "ms a step", "figures": figures, **machine_facts()}, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def profile(net: str, engine: str) -> dict[str, float]:
    """Return milliseconds a step by kind, measured in a prepared process."""
    from fireweed.devices import choose_device
    from fireweed.devices.process import needed_environment

    environment = {**os.environ, **needed_environment(choose_device("cpu")), "ONEDNN_VERBOSE": "1"}
    if engine == "none":
        environment["FIREWEED_KERNELS"] = "none"
    command = [sys.executable, __file__, CHILD, net]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    own = json.loads(next(line for line in lines if line.startswith("{")))
    begun = False
    spent: dict[str, float] = defaultdict(float, own["kinds"])
    for line in lines:
        begun = begun or line == "timed steps begin"
        if begun and line.startswith("onednn_verbose") and ",exec," in line:
            spent[kind_of(line)] += float(line.rsplit(",", 1)[1]) / TIMED
    spent["the rest"] = own["step"] - sum(spent[kind] for kind in KINDS[:-1])
    return {**{kind: spent[kind] for kind in KINDS}, "step": own["step"]}


def kind_of(line: str) -> str:
    """Return the kind of one of oneDNN's operations, from the line it prints of it."""
    fields = line.split(",")
    if fields[5] == "convolution":
        if fields[-2].startswith("g"):
            return "depthwise convolutions"
        return "1x1 convolutions" if "kh1" in fields[-2] else "3x3 convolutions"
    return {"batch_normalization": "norms", "pooling": "pooling"}.get(fields[5], "other operations")


def child(net: str) -> None:
    """Train a few steps, the kernels' calls timed, and print milliseconds a step as JSON."""
    from fireweed.devices import choose_device, prepare_process

    prepare_process(choose_device("cpu"))
    import keras
    import numpy as np
    import tensorflow as tf

    # one operation after the other, so that their times add up to the step's
    tf.config.threading.set_inter_op_parallelism_threads(1)

    from fireweed.kernels import native
    from fireweed.models.registry import build_model
    from fireweed.training.engine import fast_twin
    from fireweed.training.train import compile_model

    spent: dict[str, float] = defaultdict(float)
    plain_call = native._call

    def timed_call(name: str, *arguments: Any) -> None:
        started = time.perf_counter()
        plain_call(name, *arguments)
        kind = "norms" if "norm" in name else "1x1 convolutions" if "1x1" in name else "3x3 convolutions"
        spent[kind] += (time.perf_counter() - started) * 1000 / TIMED

    native._call = timed_call
    twin = fast_twin(build_model(net, 5, None))
    compile_model(twin, keras.optimizers.Adam(0.001))
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (BATCH, NETS[net], NETS[net], 3)).astype(np.uint8)
    targets = np.eye(5, dtype=np.float32)[np.arange(BATCH) % 5]
    seconds = []
    for number in range(WARM + TIMED):
        if number == WARM:
            spent.clear()
            print("timed steps begin", flush=True)
        started = time.perf_counter()
        twin.train_on_batch(images, targets)
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"kinds": spent, "step": 1000 * statistics.mean(seconds[WARM:])}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    if CHILD in sys.argv:
        child(sys.argv[-1])
    else:
        main()
