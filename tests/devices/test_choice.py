"""The choice of device, backend and precision on made-up machines."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fireweed.devices import choice as devices
from fireweed.devices.choice import DeviceChoice, choose_device, confirm, describe
from fireweed.devices.machine import Found, Machine
from fireweed.errors import DeviceError

TPU_FILES = {
    "sys/bus/pci/devices/0/vendor": "0x1ae0",
    "sys/bus/pci/devices/0/device": "0x0063",
    "sys/bus/pci/devices/0/class": "0x120000",
    "dev/vfio/0": "",
}
CPU_FILES = {"proc/cpuinfo": "model name\t: Plain CPU\n"}
BASE = {"tensorflow": "2.21.0"}
CUDA = BASE | {"jax": "0.10.2", "jax-cuda12-plugin": "0.10.2"}
TPU = BASE | {"jax": "0.10.2", "libtpu": "0.0.40"}


def made_up(
    root: Path,
    packages: dict[str, str] = BASE,
    environ: dict[str, str] | None = None,
    files: dict[str, str] | None = None,
    gpu: str = "",
    **more: Any,
) -> Machine:
    """A machine with a CPU, the given files and packages, and a GPU "name, uuid, driver, capability" where given."""
    for name, text in (CPU_FILES | (files or {})).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(command: Sequence[str]) -> str | None:
        return gpu + "\n" if gpu and command[0] == "nvidia-smi" else None

    more = {
        "system": "Linux",
        "resolve": lambda name: "",
        "backend_in_use": lambda: None,
        "cores": lambda: 2,
        "run": run,
        **more,
    }
    return Machine(root=root, environ=environ or {}, version_of=packages.get, **more)


H100 = "NVIDIA H100, GPU-1, 550.54.15, 9.0"
T4 = "Tesla T4, GPU-1, 550.54.15, 7.5"
GTX = "NVIDIA GeForce GTX 1080, GPU-1, 550.54.15, 6.1"


def test_a_machine_without_accelerator_takes_the_cpu_and_says_why(tmp_path: Path) -> None:
    choice = choose_device(machine=made_up(tmp_path))
    assert (choice.kind, choice.backend, choice.precision, choice.count) == ("cpu", "tensorflow", "float32", 1)
    assert (choice.name, choice.cores, choice.warnings) == ("Plain CPU", 2, ())
    text = "\n".join(describe(choice))
    assert "TPU: none found." in text and "GPU: none found." in text and "CPU: Plain CPU (2 cores)" in text
    assert "no TPU was found, and no NVIDIA GPU was found" in text
    assert "Precision is float32" in text


@pytest.mark.parametrize(("gpu", "precision"), [(H100, "mixed_bfloat16"), (T4, "mixed_float16"), (GTX, "float32")])
def test_a_gpu_is_driven_by_jax_in_the_precision_it_has_units_for(tmp_path: Path, gpu: str, precision: str) -> None:
    choice = choose_device(machine=made_up(tmp_path, CUDA, gpu=gpu))
    assert (choice.kind, choice.backend, choice.precision) == ("gpu", "jax", precision)


def test_a_tpu_comes_before_a_gpu_and_computes_in_bfloat16(tmp_path: Path) -> None:
    choice = choose_device(machine=made_up(tmp_path, CUDA | TPU, files=TPU_FILES, gpu=H100))
    assert (choice.kind, choice.name, choice.backend, choice.precision) == ("tpu", "TPU v5e", "jax", "mixed_bfloat16")


def test_a_gpu_seen_but_not_usable_is_named_with_the_command_that_mends_it(tmp_path: Path) -> None:
    choice = choose_device(machine=made_up(tmp_path, BASE | {"jax": "0.10.2"}, gpu=H100))
    assert (choice.kind, choice.backend) == ("cpu", "tensorflow")
    assert len(choice.warnings) == 1
    assert "NVIDIA H100" in choice.warnings[0] and "pip install 'fireweed[cuda]'" in choice.warnings[0]
    assert describe(choice)[-1].startswith("Warning: NVIDIA H100 is here")


def test_a_tpu_seen_but_not_usable_is_named_and_the_gpu_taken(tmp_path: Path) -> None:
    choice = choose_device(machine=made_up(tmp_path, CUDA, files=TPU_FILES, gpu=H100))
    assert choice.kind == "gpu"
    assert "TPU v5e" in choice.warnings[0] and "pip install 'fireweed[tpu]'" in choice.warnings[0]


def test_a_gpu_that_only_tensorflow_can_use_is_used_by_it(tmp_path: Path) -> None:
    packages = BASE | {"nvidia-cudnn-cu12": "9.3", "jax": "0.10.2"}
    choice = choose_device(machine=made_up(tmp_path, packages, gpu=H100))
    assert (choice.kind, choice.backend) == ("gpu", "tensorflow")


def test_a_driver_too_old_for_the_installed_cuda_is_named(tmp_path: Path) -> None:
    packages = BASE | {"jax": "0.10.2", "jax-cuda13-plugin": "0.10.2"}
    choice = choose_device(machine=made_up(tmp_path, packages, gpu=H100))
    assert choice.kind == "cpu" and "550.54.15" in choice.warnings[0] and "580" in choice.warnings[0]


def test_a_gpu_hidden_by_the_user_is_no_warning(tmp_path: Path) -> None:
    machine = made_up(tmp_path, CUDA, {"CUDA_VISIBLE_DEVICES": ""}, gpu=H100)
    choice = choose_device(machine=machine)
    assert choice.kind == "cpu" and choice.warnings == ()
    assert "CUDA_VISIBLE_DEVICES" in choice.reasons[0]
    with pytest.raises(DeviceError, match="CUDA_VISIBLE_DEVICES"):
        choose_device("gpu", machine=machine)


def test_jax_platforms_hides_a_gpu(tmp_path: Path) -> None:
    choice = choose_device(machine=made_up(tmp_path, CUDA, {"JAX_PLATFORMS": "cpu"}, gpu=H100))
    assert choice.kind == "cpu" and "JAX_PLATFORMS" in choice.warnings[0]


def test_windows_is_sent_to_wsl2(tmp_path: Path) -> None:
    choice = choose_device(machine=made_up(tmp_path, gpu=H100, system="Windows"))
    assert choice.kind == "cpu" and "WSL2" in choice.warnings[0]


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        ({"device": "gpu"}, {}, ["--device gpu", "Plain CPU", "nvidia-smi"]),
        ({"device": "tpu"}, {}, ["--device tpu", "Plain CPU"]),
        ({}, {"TPU_NAME": "none-such"}, ["none-such", "Plain CPU", "unset TPU_NAME"]),
        ({"tpu": "none-such"}, {}, ["--tpu 'none-such'", "leave out --tpu"]),
        ({"tpu": "mine", "zone": "z1", "project": "p1"}, {}, ["ssh mine --zone z1 --project p1"]),
        ({"tpu": "local"}, {}, ["--tpu 'local'", "Plain CPU"]),
    ],
)
def test_a_device_asked_for_and_not_there_is_an_error_never_the_cpu(
    tmp_path: Path, arguments: dict[str, str], environ: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device(machine=made_up(tmp_path, environ=environ), **arguments)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_a_gpu_asked_for_that_the_packages_cannot_use_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=re.escape("pip install 'fireweed[cuda]'")):
        choose_device("gpu", machine=made_up(tmp_path, gpu=H100))


def test_a_named_tpu_that_answers_elsewhere_is_told_apart(tmp_path: Path) -> None:
    asked = []

    def resolve(name: str) -> str:
        asked.append(name)
        return "10.0.0.2"

    with pytest.raises(DeviceError, match=r"answers at 10\.0\.0\.2"):
        choose_device(tpu="grpc://pod-7:8470", machine=made_up(tmp_path, resolve=resolve))
    assert asked == ["pod-7"]


def test_a_name_that_is_no_name_does_not_get_into_the_command(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        choose_device(tpu="x; rm -rf ~\x1b[2J", machine=made_up(tmp_path))
    assert "\x1b" not in str(caught.value) and "ssh NAME" in str(caught.value)


def test_tpu_name_is_taken_for_the_tpu_in_this_machine(tmp_path: Path) -> None:
    machine = made_up(tmp_path, TPU, {"TPU_NAME": "my-tpu"}, files=TPU_FILES)
    choice = choose_device(machine=machine)
    assert choice.kind == "tpu" and "my-tpu" in choice.reasons[0]


def test_another_device_asked_for_overrules_tpu_name(tmp_path: Path) -> None:
    assert choose_device("cpu", machine=made_up(tmp_path, environ={"TPU_NAME": "none-such"})).kind == "cpu"
    with pytest.raises(DeviceError, match="exclude each other"):
        choose_device("cpu", tpu="x", machine=made_up(tmp_path))
    with pytest.raises(DeviceError, match="name it with --tpu"):
        choose_device(zone="europe-west4-a", machine=made_up(tmp_path))


def test_keras_backend_is_respected_and_the_flag_overrules_it(tmp_path: Path) -> None:
    packages = BASE | {"jax": "0.10.2"}
    machine = made_up(tmp_path, packages, {"KERAS_BACKEND": "jax"})
    choice = choose_device(machine=machine)
    assert (choice.kind, choice.backend) == ("cpu", "jax")
    assert "KERAS_BACKEND says so" in choice.reasons[1]
    assert choose_device(backend="tensorflow", machine=machine).backend == "tensorflow"


@pytest.mark.parametrize(
    ("backend", "hint"), [("torch", "tensorflow, jax"), ("tensorflo", "did you mean 'tensorflow'")]
)
def test_an_unknown_backend_is_refused_with_the_nearest(tmp_path: Path, backend: str, hint: str) -> None:
    with pytest.raises(DeviceError, match=hint):
        choose_device(machine=made_up(tmp_path, environ={"KERAS_BACKEND": backend}))
    with pytest.raises(DeviceError, match=hint):
        choose_device(backend=backend, machine=made_up(tmp_path))


def test_a_backend_that_is_not_installed_is_refused_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=re.escape("pip install 'fireweed[jax]'")):
        choose_device(backend="jax", machine=made_up(tmp_path))


def test_a_keras_imported_before_settles_the_backend(tmp_path: Path) -> None:
    machine = made_up(tmp_path, TPU, files=TPU_FILES, backend_in_use=lambda: "tensorflow")
    choice = choose_device(machine=machine)
    assert (choice.kind, choice.backend) == ("cpu", "tensorflow")
    assert "TPU v5e" in choice.warnings[0]
    with pytest.raises(DeviceError, match="before anything imports keras"):
        choose_device(backend="jax", machine=machine)
    with pytest.raises(DeviceError, match="'torch'"):
        choose_device(machine=made_up(tmp_path, backend_in_use=lambda: "torch"))


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_on_a_cpu_is_obeyed_with_its_cost(tmp_path: Path, precision: str) -> None:
    choice = choose_device(precision=precision, machine=made_up(tmp_path))
    assert choice.precision == precision
    assert len(choice.warnings) == 1 and "times" in choice.warnings[0] and "float32" in choice.warnings[0]


def test_a_cpu_with_units_for_bfloat16_says_for_which_nets_it_pays(tmp_path: Path) -> None:
    machine = made_up(tmp_path, files={"proc/cpuinfo": "model name\t: Chip\nflags\t: fpu avx512f avx512_bf16\n"})
    assert "mixed_bfloat16 is faster for nets of wide" in "\n".join(describe(choose_device(machine=machine)))
    (warning,) = choose_device(precision="mixed_bfloat16", machine=machine).warnings
    assert "slower for those" in warning and "several times" not in warning


def test_such_a_cpu_computes_wide_nets_in_bfloat16_unless_told_otherwise(tmp_path: Path) -> None:
    flags = {"proc/cpuinfo": "model name\t: Chip\nflags\t: fpu avx512f avx512_bf16\n"}
    machine = made_up(tmp_path, files=flags)
    assert choose_device(machine=machine, is_wide=True).precision == "mixed_bfloat16"
    assert choose_device(machine=machine, is_wide=True, precision="float32").precision == "float32"
    assert choose_device(machine=machine, is_wide=True, precision="mixed_bfloat16").warnings == ()
    assert choose_device(machine=made_up(tmp_path / "old"), is_wide=True).precision == "float32"


def test_precision_asked_for_on_an_accelerator(tmp_path: Path) -> None:
    machine = made_up(tmp_path, CUDA, gpu=T4)
    assert choose_device(precision="float32", machine=machine).warnings == ()
    assert "no units" in choose_device(precision="mixed_bfloat16", machine=machine).warnings[0]
    with pytest.raises(DeviceError, match="mixed_float16"):
        choose_device(precision="float16", machine=machine)
    with pytest.raises(DeviceError, match="did you mean 'gpu'"):
        choose_device("gpus", machine=machine)


def test_the_facts_are_plain_json(tmp_path: Path) -> None:
    facts = choose_device(machine=made_up(tmp_path, CUDA, gpu=H100)).facts()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["kind"] == "gpu" and facts["found"][0]["capability"] == [9, 0]


def seeing(chips: list[str], platform: str, capability: tuple[int, int] | None) -> Any:
    return lambda kind: (chips, platform, capability)


@pytest.fixture
def no_framework(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for the imports; the list tells whether TensorFlow was kept from the GPUs."""
    hidden: list[str] = []
    monkeypatch.setattr(devices, "take_backend", lambda backend: None)
    monkeypatch.setattr(devices, "import_framework", lambda backend: None)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(devices, "hide_gpus_from_tensorflow", lambda: hidden.append("hidden"))
    return hidden


def test_confirm_refuses_a_gpu_that_the_framework_does_not_see(
    monkeypatch: pytest.MonkeyPatch, no_framework: list[str]
) -> None:
    monkeypatch.setattr(devices, "seen_by_jax", seeing([], "cpu", None))
    with pytest.raises(DeviceError, match=r"JAX sees only CPU; pip install 'fireweed\[cuda\]'.*--device cpu"):
        confirm(DeviceChoice("gpu", 1, "NVIDIA H100", "jax", "mixed_bfloat16"))


def test_confirm_counts_what_the_framework_sees_and_keeps_tensorflow_off_it(
    monkeypatch: pytest.MonkeyPatch, no_framework: list[str]
) -> None:
    monkeypatch.setattr(devices, "seen_by_jax", seeing(["TPU v2"] * 8, "tpu", None))
    confirmed = confirm(DeviceChoice("tpu", 4, "TPU v3", "jax", "mixed_bfloat16"))
    assert (confirmed.count, confirmed.name) == (8, "TPU v3")
    assert no_framework == ["hidden"]
    assert "A training shares each batch among 8 TPU devices." in describe(confirmed)
    assert confirm(replace(confirmed, devices_asked=4)).count == 4


def test_confirm_leaves_the_gpu_to_a_tensorflow_that_trains_on_it(
    monkeypatch: pytest.MonkeyPatch, no_framework: list[str]
) -> None:
    monkeypatch.setattr(devices, "seen_by_tensorflow", seeing(["Tesla T4"], "GPU", (7, 5)))
    confirm(DeviceChoice("gpu", 1, "Tesla T4", "tensorflow", "float32"))
    assert no_framework == []


def test_confirm_chooses_the_precision_that_only_the_framework_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_framework: list[str]
) -> None:
    choice = choose_device(machine=made_up(tmp_path, CUDA, gpu="Tesla V100, GPU-1, 550.54.15, [N/A]"))
    assert (choice.precision, choice.found[0].capability) == ("float32", None)
    monkeypatch.setattr(devices, "seen_by_jax", seeing(["Tesla V100"], "gpu", (7, 0)))
    confirmed = confirm(choice)
    assert confirmed.precision == "mixed_float16"
    assert len([reason for reason in confirmed.reasons if reason.startswith("Precision")]) == 1
    kept = confirm(replace(choice, precision_asked="float32"))
    assert kept.precision == "float32"


def test_found_says_in_words_what_cannot_be_used() -> None:
    hidden = Found("gpu", "NVIDIA H100", 2, ("nvidia-smi",), "hidden", by_choice=True, capability=(9, 0), driver="550")
    choice = DeviceChoice("cpu", 1, "Plain CPU", "tensorflow", "float32", found=(hidden,))
    line = describe(choice)[1]
    assert line == "GPU: 2 x NVIDIA H100, compute capability 9.0, driver 550 (seen by nvidia-smi); not usable: hidden."


def test_asks_for_as_many_devices_as_there_are(tmp_path):
    machine = made_up(tmp_path, CUDA, gpu="\n".join([H100, H100.replace("GPU-1", "GPU-2")]))
    assert choose_device(machine=machine).count == 2
    assert choose_device(machine=machine, devices=1).count == 1
    with pytest.raises(DeviceError, match=r"received 3; there are 2 x NVIDIA H100"):
        choose_device(machine=machine, devices=3)


def test_a_cpu_is_one_device_unless_it_is_to_be_more(tmp_path):
    machine = made_up(tmp_path)
    assert choose_device(machine=machine).count == 1
    assert choose_device(machine=machine, devices=8).count == 8
    with pytest.raises(DeviceError, match="received 0; there are 1 to 64 parts of the CPU"):
        choose_device(machine=machine, devices=0)
