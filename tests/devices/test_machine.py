"""What a machine shows, from made-up files, environments and commands."""

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fireweed.devices import machine as machine_module
from fireweed.devices.machine import Machine, find_cpu, find_gpu, find_tpu, look, resolve_name, run_command

H100 = "NVIDIA H100 80GB HBM3, GPU-aaaa1111, 550.54.15, 9.0\n"
T4 = "Tesla T4, GPU-bbbb2222, 550.54.15, 7.5\n"


def made_up(
    root: Path, files: dict[str, str] | None = None, environ: dict[str, str] | None = None, **more: Any
) -> Machine:
    for name, text in (files or {}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    more = {"run": lambda command: None, "cores": lambda: 4, "system": "Linux", "architecture": "x86_64", **more}
    return Machine(root=root, environ=environ or {}, **more)


def pci(number: int, vendor: str, device: str, kind: str) -> dict[str, str]:
    folder = f"sys/bus/pci/devices/0000:00:{number:02x}.0"
    return {f"{folder}/vendor": vendor + "\n", f"{folder}/device": device + "\n", f"{folder}/class": kind + "\n"}


def answering(text: str, fields: int = 4) -> Callable[[Sequence[str]], str | None]:
    """A command runner with an nvidia-smi that knows so many of the fields it is asked for."""

    def run(command: Sequence[str]) -> str | None:
        known = command[0] == "nvidia-smi" and command[1].count(",") < fields
        return text if known else None

    return run


def test_tpu_chips_on_the_bus_with_their_device_files(tmp_path: Path) -> None:
    files = pci(4, "0x1ae0", "0x0063", "0x120000") | pci(5, "0x1ae0", "0x0063", "0x120000")
    files |= {"dev/vfio/0": "", "dev/vfio/1": "", "dev/vfio/vfio": ""}
    found = find_tpu(made_up(tmp_path, files))
    assert found is not None
    assert (found.name, found.count, found.blocked) == ("TPU v5e", 2, "")


def test_only_the_chips_passed_into_the_container_count(tmp_path: Path) -> None:
    files = {"dev/accel0": ""}
    for number in range(4):
        files |= pci(number, "0x1ae0", "0x005e", "0x120000")
    found = find_tpu(made_up(tmp_path, files))
    assert found is not None and found.count == 1


def test_visible_chips_are_counted(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for number in range(4):
        files |= pci(number, "0x1ae0", "0x005e", "0x120000") | {f"dev/accel{number}": ""}
    found = find_tpu(made_up(tmp_path, files, {"TPU_VISIBLE_CHIPS": "0,1"}))
    assert found is not None and found.count == 2


def test_googles_network_card_is_no_tpu(tmp_path: Path) -> None:
    files = pci(4, "0x1ae0", "0x0042", "0x020000") | pci(5, "0x1ae0", "0x001f", "0x010802")
    assert find_tpu(made_up(tmp_path, files)) is None


def test_accelerators_of_other_makers_are_no_tpu(tmp_path: Path) -> None:
    files = {"dev/accel/accel0": "", "dev/vfio/12": "", "dev/vfio/vfio": ""}
    assert find_tpu(made_up(tmp_path, files)) is None


def test_tpu_without_device_files_is_blocked(tmp_path: Path) -> None:
    found = find_tpu(made_up(tmp_path, pci(4, "0x1ae0", "0x006f", "0x120000")))
    assert found is not None and found.name == "TPU v6e" and "--privileged" in found.blocked


def test_one_host_of_a_tpu_slice_is_blocked_since_it_would_wait_for_the_others(tmp_path: Path) -> None:
    files = pci(4, "0x1ae0", "0x0063", "0x120000") | {"dev/vfio/0": ""}
    found = find_tpu(made_up(tmp_path, files, {"TPU_WORKER_HOSTNAMES": "host-0,host-1"}))
    assert found is not None and "one of 2 machines" in found.blocked
    joins = replace(made_up(tmp_path, files, {"TPU_WORKER_HOSTNAMES": "host-0,host-1"}), joins_hosts=True)
    joined = find_tpu(joins)
    assert joined is not None and not joined.blocked
    alone = find_tpu(made_up(tmp_path, files, {"TPU_WORKER_HOSTNAMES": "localhost"}))
    assert alone is not None and not alone.blocked


def test_a_network_tpu_is_named_and_blocked(tmp_path: Path) -> None:
    found = find_tpu(made_up(tmp_path, environ={"COLAB_TPU_ADDR": "10.1.2.3:8470"}))
    assert found is not None and "10.1.2.3:8470" in found.blocked


def test_gpus_told_by_nvidia_smi(tmp_path: Path) -> None:
    found = find_gpu(made_up(tmp_path, run=answering(H100 + T4)))
    assert found is not None
    assert (found.name, found.count, found.driver) == ("NVIDIA H100 80GB HBM3", 2, "550.54.15")
    assert found.capability == (7, 5), "the lowest of all counts"


def test_an_old_nvidia_smi_knows_no_capability(tmp_path: Path) -> None:
    text = "Tesla V100-SXM2-16GB, GPU-cccc, 470.10\n"
    found = find_gpu(made_up(tmp_path, run=answering(text, fields=3)))
    assert found is not None and found.name.startswith("Tesla V100") and found.capability is None


@pytest.mark.parametrize("value", ["", "-1", "7", "none"])
def test_cuda_visible_devices_hides_all(tmp_path: Path, value: str) -> None:
    found = find_gpu(made_up(tmp_path, environ={"CUDA_VISIBLE_DEVICES": value}, run=answering(H100)))
    assert found is not None
    assert found.by_choice and found.count == 0 and "CUDA_VISIBLE_DEVICES" in found.blocked


@pytest.mark.parametrize(
    ("value", "count", "name"),
    [("0,1", 2, "NVIDIA H100 80GB HBM3"), ("1", 1, "Tesla T4"), ("1,-1,0", 1, "Tesla T4"), ("GPU-bbbb", 1, "Tesla T4")],
)
def test_cuda_visible_devices_leaves_some(tmp_path: Path, value: str, count: int, name: str) -> None:
    found = find_gpu(made_up(tmp_path, environ={"CUDA_VISIBLE_DEVICES": value}, run=answering(H100 + T4)))
    assert found is not None
    assert (found.count, found.name, found.blocked) == (count, name, "")


def test_gpu_told_by_the_drivers_files_when_nvidia_smi_is_missing(tmp_path: Path) -> None:
    files = {"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA A10G\nGPU UUID: \t GPU-dddd\n"}
    found = find_gpu(made_up(tmp_path, files | {"dev/nvidia0": "", "dev/nvidiactl": ""}))
    assert found is not None and (found.name, found.count, found.blocked) == ("NVIDIA A10G", 1, "")


def test_gpu_on_the_bus_without_a_driver_is_blocked(tmp_path: Path) -> None:
    files = pci(1, "0x10de", "0x2204", "0x030000") | pci(2, "0x10de", "0x1aef", "0x040300")
    found = find_gpu(made_up(tmp_path, files))
    assert found is not None
    assert found.count == 1, "its sound device is no GPU"
    assert "driver" in found.blocked and "--gpus all" in found.blocked


def test_a_hanging_nvidia_smi_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    clock = iter(range(0, 1000, 6))
    monkeypatch.setattr(machine_module.time, "monotonic", lambda: next(clock))
    assert find_gpu(made_up(tmp_path, run=lambda command: asked.append(command))) is None
    assert len(asked) <= 1


def test_cpu_by_name_features_and_cores(tmp_path: Path) -> None:
    text = "processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t\t: fpu avx2 avx512f avx512_vnni avx512_bf16\n"
    found = find_cpu(made_up(tmp_path, {"proc/cpuinfo": text}))
    assert (found.name, found.cores, found.count) == ("AMD EPYC 7B13", 4, 1)
    assert found.features == ("AVX2", "AVX-512", "VNNI", "BF16")


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 4),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "100000 100000\n"}, 1),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/box\n",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
    ],
)
def test_cores_that_a_container_allows(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    assert find_cpu(made_up(tmp_path, files)).cores == cores


def test_a_mac_tells_its_chip(tmp_path: Path) -> None:
    found = find_cpu(
        made_up(tmp_path, system="Darwin", run=lambda command: "Apple M2\n" if "sysctl" in command else None)
    )
    assert found.name == "Apple M2"


def test_the_real_machine_can_be_looked_at() -> None:
    kinds = [found.kind for found in look(Machine())]
    assert kinds[-1] == "cpu"
    cpu = find_cpu(Machine())
    assert cpu.name and 1 <= cpu.cores <= (os.cpu_count() or 1)


def test_commands_that_fail_or_hang_answer_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "COMMAND_TIMEOUT_SECONDS", 0.2)
    assert run_command([sys.executable, "-c", "print('here')"]) in ("here\n", None)  # None where Python starts slowly
    assert run_command([sys.executable, "-c", "import sys; print(1); sys.exit(3)"]) is None
    assert run_command(["no-such-program-anywhere"]) is None
    started = time.monotonic()
    assert run_command([sys.executable, "-c", "import time; time.sleep(20)"]) is None
    assert time.monotonic() - started < 5


def test_a_name_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "NAME_TIMEOUT_SECONDS", 0.1)

    def slow(*_: object) -> list[tuple[object, ...]]:
        time.sleep(2)
        return [(0, 0, 0, "", ("10.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    started = time.monotonic()
    assert resolve_name("none-such") == ""
    assert time.monotonic() - started < 1.5
