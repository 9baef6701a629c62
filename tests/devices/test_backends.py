"""The frameworks themselves: imported once, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fireweed.devices import backends
from fireweed.devices.backends import quietly

CONFIRM = """
import os, sys
from fireweed.devices.backends import seen_by_tensorflow
from fireweed.devices.choice import DeviceChoice, choose_device, confirm
from fireweed.errors import DeviceError
from fireweed.devices.process import prepare_process

assert not {"tensorflow", "jax", "keras"} & set(sys.modules), "the choice imports no framework"
choice = choose_device("cpu", backend="jax")
prepare_process(choice)
assert confirm(choice) == choice
assert "tensorflow" not in sys.modules, "JAX computes without it"
import jax
import keras
from fireweed.devices import backends
tensorflow = backends.tensorflow()
assert {device.platform for device in jax.devices()} == {"cpu"}
assert keras.backend.backend() == "jax", "TensorFlow imports keras, so the backend is taken before it"
assert not tensorflow.config.get_visible_devices("GPU")
assert seen_by_tensorflow("gpu") == ([], "CPU", None)
for backend in ("jax", "tensorflow"):
    try:
        confirm(DeviceChoice("gpu", 1, "NVIDIA H100", backend, "float32"))
    except DeviceError as error:
        print(error)
"""


def test_a_device_that_the_framework_does_not_see_is_refused_and_nothing_is_chattered() -> None:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS_", "JAX_", "TPU_"))
    }
    environ["CUDA_VISIBLE_DEVICES"] = "-1"
    done = subprocess.run([sys.executable, "-c", CONFIRM], capture_output=True, text=True, env=environ, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert "JAX sees only CPU" in lines[0] and "keras was imported with the backend 'jax' before" in lines[1]
    assert done.stderr == ""


def test_what_was_kept_back_is_shown_when_the_import_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    with quietly():
        os.write(2, b"chatter\n")
    with pytest.raises(ImportError), quietly():
        os.write(2, b"the reason\n")
        raise ImportError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "the reason\nafter\n"


def test_a_user_who_wants_to_see_it_all_sees_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with quietly():
        os.write(2, b"all of it\n")
    assert capfd.readouterr().err == "all of it\n"


THREADS = """
import os, sys, threading
from fireweed.devices.backends import tensorflow

together = threading.Barrier(8)

def read():
    together.wait()
    for _ in range(50):
        tensorflow()

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
os.write(2, b"after\\n")
"""


def test_standard_error_is_whole_after_threads_have_imported_tensorflow_together(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("import os, time\nos.write(2, b'chatter')\ntime.sleep(0.3)\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environ = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path}
    command = [sys.executable, "-c", THREADS]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "after\n")


def test_what_is_written_beside_calls_of_an_imported_tensorflow_is_not_kept_back(
    monkeypatch: pytest.MonkeyPatch, fake_tensorflow: list[Any]
) -> None:
    monkeypatch.setattr(backends, "quietly", lambda: pytest.fail("standard error was redirected"))
    assert backends.tensorflow() is sys.modules["tensorflow"]


@pytest.mark.parametrize(("backend", "hidden"), [("jax", [([], "GPU")]), ("tensorflow", [])])
def test_jax_keeps_its_gpu_whoever_imported_tensorflow_first(
    backend: str, hidden: list[Any], monkeypatch: pytest.MonkeyPatch, fake_tensorflow: list[Any]
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    backends.tensorflow()
    assert fake_tensorflow == hidden


@pytest.fixture
def fake_tensorflow(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Put a module in TensorFlow's place, imported by somebody else; the list has what was to be visible to it."""
    asked: list[Any] = []
    config = SimpleNamespace(set_visible_devices=lambda devices, kind: asked.append((devices, kind)))
    module = ModuleType("tensorflow")
    module.config = config  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    return asked
