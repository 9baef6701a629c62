"""Measure Fireweed beside its peers, alternating, and write measurements/speed.json.

    python benchmarks/bench_peers.py PHOTOS [--rounds 3] [--only WORD ...] [--quick] [--every-round]

PHOTOS is a folder with a folder of JPEGs for each class of the codelab's flowers. Every program and setting runs in a
process of its own, the programs of one case one after the other, in turned order every other round. The file is
written after every measurement, so that a run cut off keeps what it has. With --only or --quick it goes to
.bench-peers/speed.json unless --out says otherwise. `make bench-peers` makes the peers' environment first.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fireweed.devices import choose_device
from fireweed.devices.process import ALLOCATOR, TUNABLES, needed_environment
from machine_facts import machine_facts
from peers.settings import Amounts, Setting, Shared, all_settings
from peers.squares import CLASSES
from peers.summary import figures, nets_of

ROOT = Path(__file__).parents[1]
OUT = ROOT / "measurements" / "speed.json"
WORK = ROOT / ".bench-peers"
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "16000000000"}
LONGEST_SECONDS = 900
UNITS = {"*rate*": "photos/s", "*seconds": "s", "*bytes": "bytes"}
PEER_PACKAGES = ("torch", "torchvision", "timm", "fastai")


def main() -> None:
    asked = arguments()
    amounts = Amounts.quick() if asked.quick else Amounts()
    if not all(Path(asked.photos, name).is_dir() for name in CLASSES):
        sys.exit(f"{asked.photos} has no folders {', '.join(CLASSES)}; give the codelab's photos: PHOTOS=FOLDER")
    shutil.rmtree(WORK / "shared", ignore_errors=True)
    shared = Shared(Path(asked.photos).resolve(), WORK / "shared", amounts)
    bench = Bench({"own": sys.executable, "keras": asked.keras_python, "torch": asked.peers_python})
    for setting in shared.to_prepare():
        bench.measure(setting, is_needed=True)
    settings = [
        s
        for s in all_settings(shared, amounts)
        if not asked.only or any(word in f"{s.case} {s.program}" for word in asked.only)
    ]
    limits = Setting("limits", "NumPy", "own", ("-m", "peers.limits", "limits", json.dumps(
        {"photos": shared.photos, "repeats": 3 if asked.quick else 9})))  # fmt: skip
    result = {**machine_facts(), **more_facts(asked), "rounds": asked.rounds, "is_quick": asked.quick,
              "amounts": vars(amounts), "units": UNITS, "runs": []}  # fmt: skip
    for number in range(asked.rounds):
        for case, programs in itertools.groupby([limits, *settings], key=lambda setting: setting.case):
            due = [s for s in programs if asked.every_round or number % s.every == 0]
            for setting in due[:: -1 if number % 2 else 1]:
                found = bench.measure(setting)
                result["runs"].append({"case": case, "program": setting.program, "round": number, **found})
                print(f"round {number + 1}: {case}, {setting.program}: {told(found)}", flush=True)
                write(asked.out, result)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", nargs="+", default=[], help="measure cases and programs whose name holds one of these"
    )
    parser.add_argument("--quick", action="store_true", help="few steps and photos, to try the harness")
    parser.add_argument("--every-round", action="store_true", help="measure everything in every round")
    parser.add_argument("--peers-python", default=str(ROOT / ".venv-peers" / "bin" / "python"))
    parser.add_argument("--keras-python", default="", help="for stock Keras, where it is not the peers' interpreter")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    asked.peers_python = str(Path(asked.peers_python).absolute())  # the programs run in another folder
    asked.keras_python = str(Path(asked.keras_python or asked.peers_python).absolute())
    asked.out = asked.out or (WORK / "speed.json" if asked.quick or asked.only else OUT)
    return asked


class Bench:
    """Runs settings, each in a process with the environment it is to have."""

    def __init__(self, pythons: dict[str, str]) -> None:
        self._pythons = pythons
        ours = {"FIREWEED_CACHE", "KERAS_BACKEND", "TF_ENABLE_ONEDNN_OPTS", TUNABLES, *ALLOCATOR}
        self._stock = {name: value for name, value in os.environ.items() if name not in ours} | {
            "CUDA_VISIBLE_DEVICES": "-1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TORCHINDUCTOR_CACHE_DIR": str(WORK / "inductor"),
        }

    def measure(self, setting: Setting, is_needed: bool = False) -> dict[str, Any]:
        """Return what the program reported, or {"error": ...} where it failed."""
        line = [self._pythons[setting.python], *setting.arguments]
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            environment = self._environment(setting, Path(folder))
            started = time.perf_counter()
            environment["BENCH_STARTED"] = str(time.time())
            try:
                done = subprocess.run(line, cwd=Path(__file__).parent, env=environment, capture_output=True, text=True,
                                      timeout=LONGEST_SECONDS, check=False)  # fmt: skip
            except subprocess.TimeoutExpired:
                return {"error": f"took longer than {LONGEST_SECONDS} s"}
            seconds = time.perf_counter() - started
        if done.returncode:
            error = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            if is_needed:
                sys.exit(f"{' '.join(line)}\n{done.stderr}")
            return {"error": error}
        return {"seconds": seconds} if setting.is_whole else json.loads(done.stdout.splitlines()[-1])

    def _environment(self, setting: Setting, folder: Path) -> dict[str, str]:
        """Return the variables of a process; its cache of photos is empty, that of the engine's choices is kept."""
        environment = dict(self._stock)
        is_step = setting.case.startswith(("step", "start"))
        environment["FIREWEED_CACHE"] = str(WORK / "cache" if is_step else folder)
        if setting.memory == "kept":
            environment |= KEPT
        if setting.memory == "engine":
            environment |= needed_environment(choose_device("cpu"), environ=environment)
        return environment


def more_facts(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the peers' versions, and what decides a goal: whether the chip has AVX-512."""
    program = "import json, sys, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    done = subprocess.run(
        [asked.peers_python, "-c", program, *PEER_PACKAGES], capture_output=True, text=True, check=True
    )
    cpu = Path("/proc/cpuinfo")
    return {"peers": json.loads(done.stdout), "has_avx512": cpu.exists() and "avx512f" in cpu.read_text()}


def write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    summary = {"nets": nets_of(result["runs"]), "figures": figures(result["runs"])}
    runs = result.pop("runs")
    text = json.dumps({**result, **summary, "runs": runs}, indent=1)
    result["runs"] = runs
    path.write_text(text + "\n", encoding="utf-8")


def told(found: dict[str, Any]) -> str:
    return found.get("error") or ", ".join(
        f"{key} {value:.4g}" for key, value in found.items() if isinstance(value, float | int)
    )


if __name__ == "__main__":
    main()
