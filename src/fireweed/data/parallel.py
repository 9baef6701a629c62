"""One function over many items in a pool of threads, its results in order, few items under way at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from fireweed.devices.machine import allowed_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_WAITING_PER_WORKER = 4


def processors() -> int:
    """Return how many processors this process may use."""
    return allowed_cores()


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Generator[Result, None, None]:
    """Give `function(item)` for each item, in the order of the items, worked out by threads.

    At most a few items a worker are taken before their results are asked for, so memory stays bounded however many
    items there are. When the caller stops early, or by an error or Ctrl-C, what has not begun is dropped.

    Args:
        workers: threads; None is the number of processors.
    """
    workers = workers or processors()
    rest = iter(items)
    pool = ThreadPoolExecutor(workers)
    under_way: deque[Future[Result]] = deque()
    try:
        under_way.extend(pool.submit(function, item) for item in islice(rest, workers * _WAITING_PER_WORKER))
        while under_way:
            yield under_way.popleft().result()
            under_way.extend(pool.submit(function, item) for item in islice(rest, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
