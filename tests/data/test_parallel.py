import threading
import time
from collections.abc import Iterator

import pytest

from fireweed.data.parallel import in_order


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_when_early(number: int) -> int:
        time.sleep(0.002 * (10 - number % 10))
        return number * number

    assert list(in_order(slow_when_early, range(60), workers=4)) == [number * number for number in range(60)]


def test_few_items_are_taken_ahead_of_the_results() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_order(lambda number: number, items(), workers=2)
    for _ in range(10):
        next(results)
    results.close()
    assert 10 <= len(taken) < 30


def test_an_error_reaches_the_caller_and_drops_what_has_not_begun() -> None:
    begun = []
    lock = threading.Lock()

    def fail_at_three(number: int) -> int:
        with lock:
            begun.append(number)
        if number == 3:
            raise ValueError("the third")
        time.sleep(0.01)
        return number

    with pytest.raises(ValueError, match="the third"):
        list(in_order(fail_at_three, range(1000), workers=2))
    assert len(begun) < 20
