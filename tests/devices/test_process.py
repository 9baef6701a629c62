"""What a process needs before the frameworks are imported, and starting it again with that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fireweed.devices import process
from fireweed.devices.choice import DeviceChoice
from fireweed.devices.machine import Machine
from fireweed.devices.process import needed_environment, prepare_in_process, prepare_process, restart_with

CPU = DeviceChoice("cpu", 1, "Plain CPU", "tensorflow", "float32")
GPU = DeviceChoice("gpu", 1, "NVIDIA H100", "jax", "mixed_bfloat16")
on_glibc = pytest.mark.skipif(process._glibc_version() is None, reason="sets glibc's allocator, which is not here")


def made_up(root: Path, pages: str = "always [madvise] never", system: str = "Linux") -> Machine:
    path = root / "sys/kernel/mm/transparent_hugepage/enabled"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(pages)
    return Machine(root=root, environ={}, system=system)


@pytest.fixture
def glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_glibc_version", lambda: (2, 36))


@pytest.mark.usefixtures("glibc")
def test_training_on_a_cpu_gets_onednn_one_arena_and_huge_pages(tmp_path: Path) -> None:
    assert needed_environment(CPU, {}, machine=made_up(tmp_path)) == {
        "KERAS_BACKEND": "tensorflow",
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "16000000000",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }


@pytest.mark.usefixtures("glibc")
def test_what_is_there_is_not_needed_again(tmp_path: Path) -> None:
    machine = made_up(tmp_path)
    assert needed_environment(CPU, needed_environment(CPU, {}, machine=machine), machine=machine) == {}


@pytest.mark.usefixtures("glibc")
def test_the_users_own_values_are_kept(tmp_path: Path) -> None:
    environ = {
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "MALLOC_ARENA_MAX": "4",
        "GLIBC_TUNABLES": "glibc.malloc.mmap_max=9:glibc.malloc.tcache_count=0",
        "KERAS_BACKEND": "jax",
    }
    needed = needed_environment(CPU, environ, machine=made_up(tmp_path))
    assert "TF_ENABLE_ONEDNN_OPTS" not in needed
    assert "MALLOC_ARENA_MAX" not in needed
    assert "MALLOC_MMAP_MAX_" not in needed, "set by the tunable of the same meaning"
    assert needed["GLIBC_TUNABLES"] == f"{environ['GLIBC_TUNABLES']}:glibc.malloc.hugetlb=1"
    assert needed["KERAS_BACKEND"] == "tensorflow", "the choice has weighed KERAS_BACKEND already"
    off = needed_environment(CPU, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, machine=made_up(tmp_path))
    assert "GLIBC_TUNABLES" not in off


@pytest.mark.usefixtures("glibc")
def test_huge_pages_only_where_they_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = needed_environment(CPU, {}, machine=made_up(tmp_path, "always madvise [never]"))
    assert "GLIBC_TUNABLES" not in needed and "MALLOC_ARENA_MAX" in needed
    monkeypatch.setattr(process, "_glibc_version", lambda: (2, 31))
    assert "GLIBC_TUNABLES" not in needed_environment(CPU, {}, machine=made_up(tmp_path))


def allocator_names(needed: dict[str, str]) -> list[str]:
    return [name for name in needed if name.startswith(("MALLOC", "GLIBC"))]


def test_the_allocator_is_left_alone_where_it_is_not_glibcs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_glibc_version", lambda: (2, 36))
    assert not allocator_names(needed_environment(GPU, {}, machine=made_up(tmp_path)))
    assert not allocator_names(needed_environment(CPU, {}, machine=made_up(tmp_path, system="Darwin")))
    preloaded = {"LD_PRELOAD": "/usr/lib/libtcmalloc_minimal.so.4"}
    assert not allocator_names(needed_environment(CPU, preloaded, machine=made_up(tmp_path)))
    monkeypatch.setattr(process, "_glibc_version", lambda: None)
    assert not allocator_names(needed_environment(CPU, {}, machine=made_up(tmp_path)))


def test_jax_stays_on_the_cpu_when_the_cpu_was_chosen(tmp_path: Path) -> None:
    choice = DeviceChoice("cpu", 1, "Plain CPU", "jax", "float32")
    needed = needed_environment(choice, {}, machine=made_up(tmp_path))
    assert needed["JAX_PLATFORMS"] == "cpu" and "TF_ENABLE_ONEDNN_OPTS" not in needed


def test_deterministic_adds_to_the_users_xla_flags(tmp_path: Path) -> None:
    environ = {"XLA_FLAGS": "--xla_dump_to=/tmp/x"}
    needed = needed_environment(GPU, environ, deterministic=True, machine=made_up(tmp_path))
    assert needed["XLA_FLAGS"] == "--xla_dump_to=/tmp/x --xla_gpu_deterministic_ops=true"
    assert "XLA_FLAGS" not in needed_environment(GPU, environ | needed, deterministic=True, machine=made_up(tmp_path))
    assert "XLA_FLAGS" not in needed_environment(GPU, environ, machine=made_up(tmp_path))


PROGRAM = """
import ctypes, os, sys, threading
from fireweed.devices.process import prepare_in_process, restart_with

WANTED = {WANTED}
print("start", os.getpid(), flush=True)
if {RESTART}:
    restart_with(WANTED)
print("late", prepare_in_process({{k: v for k, v in WANTED.items() if k not in os.environ}}))

kept = []
def work():
    kept.append([bytearray(5_000_000) for _ in range(4)])
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]

libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen({FILE!r}.encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
print("arenas", open({FILE!r}).read().count("<heap nr"))
kilobytes = {{"hg": 0, "plain": 0}}
for part in open("/proc/self/smaps").read().split("[heap]")[1:]:
    lines = part.splitlines()
    size = next(int(line.split()[1]) for line in lines if line.startswith("Size:"))
    flags = next(line.split() for line in lines if line.startswith("VmFlags:"))
    kilobytes["hg" if "hg" in flags else "plain"] += size
size = "large" if sum(kilobytes.values()) > 70_000 else "small"
print("heap", size, "huge pages" if kilobytes["hg"] > 70_000 else "")
print("arguments", sys.argv[1:], sys.flags.dont_write_bytecode)
"""
WANTED = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "16000000000",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


def run_program(folder: Path, name: str, restart: bool, wanted: dict[str, str] = WANTED) -> list[str]:
    path = folder / name
    path.write_text(PROGRAM.format(WANTED=wanted, RESTART=restart, FILE=str(folder / "malloc.xml")))
    environ = {name: value for name, value in os.environ.items() if name not in WANTED}
    command = [sys.executable, "-B", str(path), "train", "two words", "--epochs=3"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@on_glibc
def test_the_command_line_starts_itself_again_once_and_the_settings_take_effect(tmp_path: Path) -> None:
    lines = run_program(tmp_path, "fireweed", restart=True)
    starts = [line for line in lines if line.startswith("start")]
    assert len(starts) == 2 and starts[0] == starts[1], "the same process, twice"
    assert "late []" in lines
    assert "arenas 1" in lines
    if process._allocator({}, Machine()).get("GLIBC_TUNABLES"):
        assert "heap large huge pages" in lines, "all arrays on the heap, the heap on huge pages"
    assert "arguments ['train', 'two words', '--epochs=3'] 1" in lines


@on_glibc
def test_without_the_settings_threads_have_arenas_of_their_own(tmp_path: Path) -> None:
    lines = run_program(tmp_path, "fireweed", restart=True, wanted={})
    assert len([line for line in lines if line.startswith("start")]) == 1
    assert "arenas 1" not in lines and not any(line.startswith("heap large") for line in lines), (
        "else the test above shows nothing"
    )


@on_glibc
def test_another_program_is_not_started_again_but_gets_what_can_be_set(tmp_path: Path) -> None:
    lines = run_program(tmp_path, "my_training.py", restart=True)
    assert len([line for line in lines if line.startswith("start")]) == 1
    assert "arenas 1" in lines
    assert any(line.startswith("heap large") for line in lines), "mallopt keeps large arrays on the heap"
    late = next(line for line in lines if line.startswith("late"))
    assert "Huge pages" in late and "glibc.malloc.hugetlb=1" in late


def test_a_test_with_a_made_up_command_line_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("executed again")

    monkeypatch.setattr(os, "execve", never)
    assert restart_with(WANTED) is False
    monkeypatch.setattr(sys, "argv", ["fireweed", "train"])
    assert restart_with(WANTED) is False


@pytest.mark.parametrize(
    ("original", "arguments"),
    [
        (["python3", "/venv/bin/fireweed", "train", "-x"], ["/venv/bin/fireweed", "train", "-x"]),
        (["python3", "-m", "fireweed", "train"], [str(Path(process.__file__).parents[1] / "__main__.py"), "train"]),
        (["python3", "-X", "dev", "-m", "fireweed"], [str(Path(process.__file__).parents[1] / "__main__.py")]),
    ],
)
def test_script_and_module_are_started_again_alike(
    monkeypatch: pytest.MonkeyPatch, original: list[str], arguments: list[str]
) -> None:
    started: list[tuple[str, list[str], dict[str, str]]] = []

    def execve(*call: object) -> None:
        started.append(call)  # type: ignore[arg-type]
        raise OSError  # it cannot be done after all: the caller goes on

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(os, "name", "posix")
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    monkeypatch.setattr(sys, "orig_argv", original)
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert restart_with(WANTED | {"JAX_PLATFORMS": "cpu"}) is False
    program, command, environ = started[0]
    assert program == sys.executable and command == [sys.executable, *original[1:]]
    assert environ["MALLOC_ARENA_MAX"] == "1" and environ["PATH"] == os.environ["PATH"]
    assert "JAX_PLATFORMS" not in environ, "the new start would take it for the user's wish"
    monkeypatch.setattr(os, "environ", environ)
    assert restart_with(WANTED) is False and len(started) == 1, "the marker ends it"
    monkeypatch.setattr(os, "environ", {**environ, process.MARKER: "1"})
    restart_with(WANTED)
    assert len(started) == 2, "another process's marker does not count"


def test_no_new_process_for_what_this_one_can_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "is_command_line", lambda: True)
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("executed again"))
    assert restart_with({"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}) is False


def test_what_came_too_late_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    late = prepare_in_process({"TF_ENABLE_ONEDNN_OPTS": "1"})
    assert len(late) == 1 and "TF_ENABLE_ONEDNN_OPTS=1 came too late" in late[0]
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert prepare_in_process({"TF_ENABLE_ONEDNN_OPTS": "1"}) == []
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"


def test_prepare_process_sets_what_the_choice_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_mallopt", lambda *_: True)
    for name in (*WANTED, "KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"):
        monkeypatch.setenv(name, "x")  # so that what is set here is undone after the test
        monkeypatch.delenv(name)
    prepare_process(CPU)
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
    assert "MALLOC_ARENA_MAX" not in os.environ, "set in the C library, not for programs started later"
