"""What hosts tell each other beside the devices, by the coordination service that runs within host 0.

JAX keeps that service to itself: `jax._src.distributed` is no public interface, and all that touches it is here. The
public way to ask how many hosts there are starts JAX, which is too early before its devices are chosen; and there is
none to leave word for another host without all of them taking part.
"""

from typing import Any

from fireweed.errors import DeviceError


def joined() -> tuple[int, int]:
    """Return how many hosts have joined, and which of them this process is."""
    state = _state()
    return int(state.num_processes), int(state.process_id)


def leave_word(name: str, text: str) -> None:
    """Leave a text under a name, for whichever host asks for it; one that lies there stays.

    Raises:
        RuntimeError: host 0 is gone, or a text lies there.
    """
    _state().client.key_value_set(name, text)


def words_left(folder: str) -> list[str]:
    """Return the texts that were left under names of the form FOLDER/NAME; JAX must have been joined.

    Raises:
        RuntimeError: host 0 is gone.
    """
    return [text for _, text in _state().client.key_value_dir_get(folder)]


def _state() -> Any:
    try:
        from jax._src import distributed

        return distributed.global_state
    except (ImportError, AttributeError) as error:
        import jax

        raise DeviceError(
            f"JAX {jax.__version__} keeps what it knows of several hosts in another place than Fireweed looks for it; "
            "install the version of constraints.txt, or train on one host (--hosts 1)"
        ) from error
