"""Tiny photos for all tests, and a port for those that talk to themselves."""

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


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
