"""docs/devices.md says what the measurements of devices say, and its tables can be made of any such figures."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import one_device
import write_devices_docs

ROOT = Path(__file__).parents[1]
MACHINE = {"chip": "Chip", "cores": 2, "date": "2026-01-01", "commit": "abc"}


def test_figures_are_those_of_the_measurements():
    command = [sys.executable, "benchmarks/write_devices_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_table_of_batches_has_each_batch_and_what_is_without_scaling_and_warm_up():
    common = {"optimizer": "lars", "steps": 20, "loss": 0.5}
    runs = [
        {**common, "batch": 32, "rate": 0.1, "accuracy": 0.8, "kind": "search"},
        {**common, "batch": 32, "rate": 0.3, "accuracy": 0.9, "kind": "scaled"},
        {**common, "batch": 64, "rate": 0.6, "accuracy": 0.85, "kind": "scaled"},
        {**common, "batch": 64, "rate": 0.3, "accuracy": 0.5, "kind": "not scaled"},
        {**common, "batch": 64, "rate": 0.6, "accuracy": 0.0, "kind": "no warm-up", "loss": None},
    ]
    text = write_devices_docs.batches_text(
        {"runs": runs, "photos": {"train": 70, "validation": 19}, "epochs": 2, "net": "gap", "side": 32, **MACHINE}
    )
    assert "90.0% (rate 0.3)" in text and "80.0%" not in text
    assert "64, not scaled" in text and "50.0% (rate 0.3)" in text and "no number (rate 0.6)" in text


def test_two_states_are_compared_by_medians_and_by_round():
    found = one_device.compared(before=[100.0, 110.0, 120.0], now=[99.0, 121.0, 108.0])
    assert (found["before"]["median"], found["now"]["median"]) == (110.0, 108.0)
    assert found["ratio_by_round"] == {"least": 0.9, "most": 1.1}
    about = {"net": "squeezenet", "side": 96, "batch": 32, "commit_before": "abc", **found, **MACHINE}
    assert "108.0 images/s, and 110.0 at commit abc" in write_devices_docs.one_device_text(about)
