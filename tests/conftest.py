"""Tiny photos for all tests, and a port for those that talk to themselves."""

import gc
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Files that take longest, first the longest: they begin first, or one process would work on one alone at the end.
LONGEST = (
    "labs/test_labs.py", "api/test_training.py", "crashes/test_crash.py", "models/test_pretrained.py",
    "training/test_train.py", "hostile/test_corpus.py", "training/test_train_on_jax.py", "api/test_many_hosts.py",
    "test_cli.py", "api/test_many_devices.py", "serving/test_folding.py", "api/test_jax_alone.py", "test_resume.py",
    "devices/test_tpu_strategy.py", "api/test_featuring.py", "bundle/test_saved.py", "api/test_repeating.py",
    "api/test_benching.py", "devices/test_hosts.py", "devices/test_supervision.py", "api/test_run_folders.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; `--no-loadscope-reorder` keeps pytest-xdist from another order."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """Leave what was imported out of each collection of garbage, which trainings ask for at their end."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def make_photos(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a folder of photos: class name -> how many, colours told apart by class."""

    def make(counts: dict[str, int], side: int = 40, name: str = "photos") -> Path:
        return photos_in(tmp_path / name, counts, side)

    return make


@pytest.fixture(scope="session")
def shared_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 180 small photos of three classes, for trainings in processes of their own."""
    return photos_in(tmp_path_factory.mktemp("shared") / "photos", {"a": 60, "b": 60, "c": 60}, side=32)


@pytest.fixture(scope="session")
def twenty_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 20 photos of two classes, for tests that change none of them."""
    return photos_in(tmp_path_factory.mktemp("twenty") / "photos", {"a": 10, "b": 10}, side=40)


def photos_in(folder: Path, counts: dict[str, int], side: int) -> Path:
    for number, (label, count) in enumerate(counts.items()):
        (folder / label).mkdir(parents=True)
        for i in range(count):
            noise = np.random.default_rng((number, i)).integers(0, 90, (side // 8, side // 8, 3))
            noise[..., number % 3] += 150
            image = Image.fromarray(noise.astype(np.uint8)).resize((side, side), Image.Resampling.NEAREST)
            image.save(folder / label / f"{i:03d}.png")
    return folder


@pytest.fixture
def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])
