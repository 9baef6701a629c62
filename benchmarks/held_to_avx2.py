"""Time a step as it would be on a chip without AVX-512, by holding the libraries to AVX2 on one that has it.

    python benchmarks/held_to_avx2.py PHOTOS [--rounds 3]

Writes measurements/held-to-avx2.json: photos/s of a step of the codelab's SqueezeNet (192 px, batch 32) with Fireweed's
AVX2 kernels and oneDNN held to AVX2, and of stock Keras, for which TensorFlow leaves oneDNN off on chips without VNNI.
A stand-in: caches, memory and clock are those of this chip.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from fireweed.devices import choose_device
from fireweed.devices.process import needed_environment
from machine_facts import machine_facts
from peers.summary import Spread

OUT = Path(__file__).parents[1] / "measurements" / "held-to-avx2.json"
HELD = {"ONEDNN_MAX_CPU_ISA": "AVX2"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("photos")
    arguments.add_argument("--rounds", type=int, default=3)
    asked = arguments.parse_args()
    stock = {**os.environ, **HELD, "TF_ENABLE_ONEDNN_OPTS": "0"}
    ours = {**os.environ, **HELD, "FIREWEED_KERNELS": "avx2"}
    ours |= needed_environment(choose_device("cpu"), environ=ours)
    settings = {"Fireweed": ("fireweed_program", ours), "stock Keras": ("keras_program", stock)}
    rates: dict[str, list[float]] = {name: [] for name in settings}
    for number in range(asked.rounds):
        for name in sorted(settings, reverse=bool(number % 2)):
            rates[name].append(rate(*settings[name], str(Path(asked.photos).resolve())))
            print(f"round {number + 1}: {name}: {rates[name][-1]:.1f} photos/s", flush=True)
    times = [one / other for one, other in zip(rates["Fireweed"], rates["stock Keras"], strict=True)]
    figures = {name: Spread.of(values).row() for name, values in (*rates.items(), ("times as fast", times))}
    result = {"what": "training step, squeezenet 192 px batch 32, libraries held to AVX2", "unit": "photos/s",
              "figures": figures, **machine_facts()}  # fmt: skip
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures["times as fast"]))


def rate(program: str, environment: dict[str, str], photos: str) -> float:
    """Return photos/s of a program's step, in a process of its own."""
    asked = {"net": "squeezenet", "side_px": 192, "batch": 32, "warm": 2, "timed": 5, "photos": photos}
    done = subprocess.run(
        [sys.executable, "-m", f"peers.{program}", "step", json.dumps(asked)], cwd=Path(__file__).parent,
        env={**environment, "BENCH_STARTED": str(time.time())}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])["rate"]


if __name__ == "__main__":
    main()
