"""The language that checks and figures speak, and how a lab begins."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

LANGUAGES = ("en", "zh-TW")

_spoken = "en"


def speak(language: str) -> None:
    """Let checks and figures speak a language from now on: "en", or "zh-TW" for Traditional Chinese.

    Raises:
        ValueError: another language.
    """
    global _spoken
    if language not in LANGUAGES:
        raise ValueError(f"the labs speak {' and '.join(LANGUAGES)}, not {language!r}")
    _spoken = language


def pick(english: str, chinese: str) -> str:
    """Return the one of two equal texts that is in the lab's language."""
    return english if _spoken == "en" else chinese


def begin(language: str = "en") -> str:
    """Choose the device, start the framework on it, and return a sentence on what the lab computes with.

    Call it before anything else imports TensorFlow, JAX or Keras, so that Fireweed can prepare them. Random numbers
    start the same in each run, so that a reader sees nearly what the text tells of.
    """
    from fireweed.api.starting import start_framework
    from fireweed.reporting import Reporter

    speak(language)
    with _without_chatter():
        choice = start_framework(Reporter(is_silent=True))
        import keras

    keras.utils.set_random_seed(0)
    device, backend = (
        choice.kind.upper(),
        {"jax": "JAX", "tensorflow": "TensorFlow"}.get(choice.backend, choice.backend),
    )
    return pick(
        f"This lab computes on a {device}, with Keras {keras.__version__} through {backend}.",
        f"本課使用 {device} 計算：Keras {keras.__version__}，後端為 {backend}。",
    )


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep from a reader what frameworks write to standard error while they are loaded; their exceptions still come."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
