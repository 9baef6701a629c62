"""A lock held while the process forks is open in the child."""

import os

import pytest

from fireweed.serving.locks import ForkedLock


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
def test_a_lock_held_at_a_fork_is_open_in_the_child_and_held_in_the_parent() -> None:
    lock = ForkedLock()
    with lock:
        child = os.fork()
        if not child:
            got = lock._lock.acquire(timeout=5)
            os._exit(0 if got else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not lock._lock.acquire(blocking=False)
    assert lock._lock.acquire(blocking=False)
