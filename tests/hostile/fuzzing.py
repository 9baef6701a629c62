"""Damage by chance, the same each time: whatever a parser is given, it reads it or refuses it in one line.

FIREWEED_FUZZ=20 tries twenty times as many inputs, others each time.
"""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from fireweed.errors import FireweedError

PIECE = st.binary(max_size=8)
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), PIECE, st.booleans()), min_size=1, max_size=6)


def fuzzed(count: int) -> Any:
    times = int(os.environ.get("FIREWEED_FUZZ", "1"))
    return settings(
        max_examples=count * times, derandomize=times == 1, deadline=None, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip


def damaged(data: bytes, changes: list[tuple[float, bytes, bool]]) -> bytes:
    """Return the bytes with pieces put in, over what is there or between."""
    result = bytearray(data)
    for share, piece, is_between in changes:
        at = int(share * len(result))
        result[at : at + (0 if is_between else len(piece))] = piece
        if not piece:
            del result[at:]
    return bytes(result)


def told(action: Callable[[], Any]) -> Any:
    """Return what an action gives; where it refuses its input, check that it does so in one line."""
    try:
        return action()
    except FireweedError as error:
        assert "\n" not in str(error) and len(str(error)) < 1_500, str(error)
        return None
