"""Of several hosts host 0 alone ends by a signal, having saved; whichever host is asked to stop, it gets to know it."""

import signal

import pytest

from fireweed.devices.hosts import ALONE, Hosts
from fireweed.stopping import Stops
from fireweed.training import shared_stops
from fireweed.training.health import DivergedError
from fireweed.training.saving import Saver
from fireweed.training.shared_stops import SharedStops


@pytest.fixture
def words(monkeypatch):
    """What was left at host 0's service, by name."""
    left = {}
    monkeypatch.setattr(shared_stops, "leave_word", left.__setitem__)
    monkeypatch.setattr(
        shared_stops, "words_left", lambda folder: [text for name, text in left.items() if name.startswith(folder)]
    )
    monkeypatch.setattr(shared_stops, "SECONDS_BETWEEN_LOOKS", 0.0)
    return left


def asked(hosts, number=None):
    stops = Stops()
    stops.number = number
    return SharedStops(hosts, stops), stops


def test_host_0_stops_by_a_signal_that_another_got_and_that_one_goes_on_meanwhile(words):
    first, its_stops = asked(Hosts(2, 0))
    second, _ = asked(Hosts(2, 1), signal.SIGTERM)
    assert not first.is_due() and not second.is_due() and not second.is_due()
    assert list(words.values()) == [str(int(signal.SIGTERM))]
    assert first.is_due() and its_stops.number == signal.SIGTERM


def test_a_host_alone_stops_by_its_own_signals_and_asks_nobody():
    assert not asked(ALONE)[0].is_due() and asked(ALONE, signal.SIGINT)[0].is_due()


def test_a_host_whose_host_0_is_gone_says_nothing_of_it(monkeypatch):
    def gone(name, text):
        raise RuntimeError("UNAVAILABLE")

    monkeypatch.setattr(shared_stops, "leave_word", gone)
    assert not asked(Hosts(2, 1), signal.SIGTERM)[0].is_due()


def test_weights_that_host_0_found_lost_are_so_on_every_host(tmp_path):
    class Second(Hosts):
        def settle(self, decide):
            return False  # as host 0 told

    class Sound:
        def diverged(self):
            return DivergedError("the loss is not a number", 1)

    saver = Saver(tmp_path, None, None, None, None, Sound(), Second(2, 1), Stops(), [], lambda: None, None)
    with pytest.raises(DivergedError):
        saver.on_epoch_end(0)
    assert not list(tmp_path.iterdir())
