"""Batches made ahead by threads: in order, without gaps, with their errors, and gone when the pool is."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fireweed.data.ahead import Ahead
from fireweed.errors import DataError


@pytest.fixture
def pool():
    with ThreadPoolExecutor(3, thread_name_prefix="ahead") as made:
        yield made


def test_every_step_comes_once_and_in_order_however_long_its_batch_takes(pool):
    def make(step):
        time.sleep(0.03 if step % 3 == 0 else 0)
        return (step,)

    batches = Ahead(make, 5, 17, pool, count=3)
    assert len(batches) == 12
    for _ in range(2):  # validation is gone through after each epoch
        assert [batches[i][0] for i in range(12)] == list(range(5, 17))


def test_the_next_batches_are_made_before_they_are_asked_for_and_no_more_of_them(pool):
    begun = []
    done = threading.Event()

    def make(step):
        begun.append(step)
        if step == 3:
            done.set()
        return (step,)

    batches = Ahead(make, 0, 100, pool, count=3)
    batches[0]
    assert done.wait(5)
    time.sleep(0.05)
    assert sorted(begun) == [0, 1, 2, 3]


def test_an_error_reaches_who_asks_for_the_batch_and_ends_nothing_before(pool):
    def make(step):
        if step == 2:
            raise DataError("photo 7 is gone")
        return (step,)

    batches = Ahead(make, 0, 4, pool, count=3)
    assert batches[0] == (0,) and batches[1] == (1,)
    with pytest.raises(DataError, match="photo 7 is gone"):
        batches[2]


def test_going_back_to_the_start_makes_the_first_batch_again(pool):
    batches = Ahead(lambda step: (step,), 0, 4, pool, count=1)
    assert batches[0] == (0,) and batches[0] == (0,) and batches[1] == (1,)
    with pytest.raises(IndexError):
        batches[4]
