"""JAX's compiled programs are kept per chip, bounded, and never against the user's wish."""

import os
from pathlib import Path

import pytest

from fireweed.devices import compile_cache
from fireweed.devices.choice import DeviceChoice
from fireweed.devices.compile_cache import DIRECTORY, jax_cache_folder
from fireweed.devices.machine import Machine
from fireweed.devices.process import needed_environment, prepare_in_process

JAX = DeviceChoice("cpu", 1, "Plain CPU", "jax", "float32")
TENSORFLOW = DeviceChoice("cpu", 1, "Plain CPU", "tensorflow", "float32")


@pytest.fixture(autouse=True)
def cache_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "cache"))


def machine(root: Path, flags: str = "avx2", megahertz: str = "3000") -> Machine:
    path = root / "proc/cpuinfo"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"model name : Plain CPU\ncpu MHz : {megahertz}\nflags : {flags}\n\nmodel name : Plain CPU\n")
    return Machine(root=root, environ={}, system="Linux")


def test_jax_gets_a_folder_unless_the_user_chose_one(tmp_path: Path) -> None:
    here = machine(tmp_path)
    assert needed_environment(JAX, {}, machine=here)[DIRECTORY] == str(jax_cache_folder(here))
    assert DIRECTORY not in needed_environment(JAX, {DIRECTORY: ""}, machine=here)
    assert DIRECTORY not in needed_environment(TENSORFLOW, {}, machine=here)


def test_each_chip_has_its_own(tmp_path: Path) -> None:
    first = jax_cache_folder(machine(tmp_path))
    assert jax_cache_folder(machine(tmp_path, megahertz="1200")) == first
    assert jax_cache_folder(machine(tmp_path, flags="avx2 avx512f")) != first


def test_what_was_longest_unused_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = jax_cache_folder(machine(tmp_path))
    assert folder is not None
    for age, name in enumerate(("new", "middle", "old")):
        (folder / name).write_bytes(bytes(100))
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(compile_cache, "MOST_BYTES", 250)
    jax_cache_folder(machine(tmp_path))
    assert sorted(path.name for path in folder.iterdir()) == ["middle", "new"]


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "file"))
    assert jax_cache_folder(machine(tmp_path)) is None
    assert DIRECTORY not in needed_environment(JAX, {}, machine=machine(tmp_path))


def test_a_cache_that_comes_too_late_is_not_worth_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIRECTORY, "")
    monkeypatch.setitem(os.sys.modules, "jax", os)  # type: ignore[attr-defined]
    assert prepare_in_process({DIRECTORY: "/somewhere"}) == []
