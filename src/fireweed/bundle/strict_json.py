"""JSON from strangers, read strictly: bounded in size and depth, finite numbers, no key twice."""

import json
import math
from typing import Any, NoReturn

from fireweed.errors import BundleError

MAX_DEPTH = 40
MAX_VALUES = 1_000_000


def read_json(data: bytes, part: str, max_bytes: int) -> Any:
    """Return the value that `data` holds; `part` names it in errors.

    Raises:
        BundleError: `data` is longer than `max_bytes`, no JSON, nested too deeply, has too many values, an object
            with a key twice (readers differ on which counts), or NaN, Infinity or a number that overflows.
    """
    if len(data) > max_bytes:
        raise BundleError(f"{part} has {len(data):,} bytes, at most {max_bytes:,} are read")
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:  # before each of them takes sixty bytes of memory
        raise BundleError(f"{part} has more than {MAX_VALUES:,} values")
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            object_pairs_hook=_without_repeats,
        )
    except RecursionError:
        raise BundleError(f"{part} is nested too deeply") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are among them
        raise BundleError(f"{part} is not valid JSON ({str(error)[:200]})") from None
    _check_bounds(value, part)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return result


def _check_bounds(value: Any, part: str) -> None:
    level, depth, count = [value], 0, 0
    while level:
        count += len(level)
        if depth > MAX_DEPTH:
            raise BundleError(f"{part} is nested too deeply: more than {MAX_DEPTH} levels")
        if count > MAX_VALUES:
            raise BundleError(f"{part} has more than {MAX_VALUES:,} values")
        level = [child for item in level for child in _children(item)]
        depth += 1


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []
