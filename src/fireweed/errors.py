"""The errors a user can cause, each told in one line: what was wrong, what was received, what to do."""

import difflib
from collections.abc import Iterable

MOST_NAMED = 15  # valid words that a message lists


class FireweedError(Exception):
    """A fault in what the user gave or in where the program runs; the command line prints it and exits 2."""


class DataError(FireweedError):
    """The photos, lists, archives or shards cannot be learned from."""


class PhotoError(DataError):
    """One photo cannot be read; says why in a few words, without the path."""


class RecipeError(FireweedError):
    """A recipe, or a setting that changes one, is not valid."""


class ModelError(FireweedError):
    """No such model, or a net that cannot be built as written."""


class DeviceError(FireweedError):
    """A device, backend or precision that was asked for cannot be had here."""


class HostLostError(FireweedError):
    """Another of several hosts is gone, so that this one cannot go on; the command line exits 1."""


class RunError(FireweedError):
    """A run folder is of another run, damaged, or cannot be written."""


class StoreError(RunError):
    """An object store cannot be reached, read or written, perhaps only just now."""


class BundleError(FireweedError):
    """A saved model or a weight file is damaged, or holds what no model of ours holds."""


class DownloadError(FireweedError):
    """A download failed, was too large, or is not what was expected."""


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return a hint naming the valid word nearest to `word`, or all of them when none is near.

    The hint is a phrase that ends an error message: ``did you mean 'squeezenet'?`` or ``there are: a, b, c``.
    """
    words = list(valid)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else ""
    return "there are: " + ", ".join(words[:MOST_NAMED]) + more


def out_of_memory(error: Exception) -> FireweedError | None:
    """Return what to do when a device has too little memory for a step, else None."""
    text, kind = str(error), type(error).__name__
    is_full = isinstance(error, MemoryError) or kind == "ResourceExhaustedError"
    if is_full or any(sign in text for sign in ("RESOURCE_EXHAUSTED", "OOM when allocating", "MemoryError")):
        return FireweedError(
            "a training step does not fit into memory; choose a smaller batch (--set training.batch=8) or --side"
        )
    return None
