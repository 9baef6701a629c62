"""What tests and the examples in docs/ share: a cache of their own, and TensorFlow on the CPU."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background jobs; the programs under test inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep what can be made again in a folder of this session."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["FIREWEED_CACHE"] = str(folder)
    return folder
