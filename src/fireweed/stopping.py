"""Ctrl-C and SIGTERM: noted at any moment, carried out where nothing is lost, and soon even where Python has no say.

While a training's steps run, a signal is only noted; the step ends, a checkpoint is written, and then the training
stops. Elsewhere it stops at once. A framework that compiles or computes can keep Python from hearing of a signal for
minutes, so a thread of its own listens too: it ends the process at a second Ctrl-C, and some time after a SIGTERM.
"""

import _thread
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

GRACE_SECONDS = 20.0  # from SIGTERM to the end, saved or not; clusters kill after 30 s
GOING_ON = "the same command goes on from the last checkpoint, if there is one"
ONE_KEY_SECONDS = 0.2  # a wrapper may pass on the Ctrl-C that the terminal has sent to both
_SOON_SECONDS = 0.01
ENDING = ("SIGTERM", "SIGHUP")


class Terminated(SystemExit):
    """SIGTERM or SIGHUP asked this process to end; its code is what a shell gives such a process."""


class Stops:
    """What the signals have asked for.

    number:      of the signal that asked to stop, or None.
    is_repeated: whether the next one is the same once more, not somebody's second.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.is_repeated = False
        self._noted_at = 0.0
        self._is_deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let signals only be noted within the block, which asks `number` and calls `carry_out`; its end does too."""
        before, self._is_deferred = self._is_deferred, True
        try:
            yield
        finally:
            self._is_deferred = before
        if not before and self.number is not None:
            self.carry_out()

    def carry_out(self) -> NoReturn:
        """Raise what the signal means.

        Raises:
            KeyboardInterrupt: Ctrl-C. Terminated: SIGTERM or SIGHUP.
        """
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Terminated(128 + (self.number or signal.SIGTERM))

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Note a signal; a handler in the main thread. A second Ctrl-C is obeyed at once, by the thread or here."""
        is_second = number == signal.SIGINT and self.number == number and not _is_program and not self.is_repeated
        is_second = is_second and time.monotonic() - self._noted_at > ONE_KEY_SECONDS
        self.number, self._noted_at = number, time.monotonic()
        if is_second or not self._is_deferred:
            self.carry_out()

    def raised_in_vain(self, told: "sys.UnraisableHookArgs") -> bool:
        """Return whether what a signal raised came to nothing; if so, raise it again soon.

        Python drops and shows what is raised in a callback of its garbage collector, of which JAX has one.
        """
        if self.number is None or not isinstance(told.exc_value, KeyboardInterrupt | Terminated):
            return False
        self.is_repeated = True
        again = threading.Timer(_SOON_SECONDS, _interrupt, (self.number,))
        again.daemon = True
        again.start()
        return True

    def told(self, number: int) -> str:
        """Return what to say as soon as a signal has come; nothing where it is obeyed at once anyway."""
        if not self._is_deferred:
            return ""
        more = "; Ctrl-C again stops at once" if number == signal.SIGINT else ""
        return f"fireweed: stopping after the step under way{more}"


_active: Stops | None = None
_is_program = False


def own_process() -> None:
    """Say that this process is Fireweed's command line, which a second Ctrl-C may end; a notebook's is not."""
    global _is_program
    _is_program = True
    for name in ENDING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end_early)


@contextmanager
def signals_noted() -> Iterator[Stops]:
    """Note the signals that ask this process to stop, within the block; a block within such a block shares its notes.

    Handlers of somebody else (a notebook's, a program's that calls us, or a signal that is ignored) are left alone, and
    outside the main thread there can be none.
    """
    global _active
    if threading.current_thread() is not threading.main_thread():
        yield Stops()
        return
    if _active is not None:
        yield _active
        return
    stops, before = Stops(), {}
    for name in ("SIGINT", *ENDING):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL, end_early):
            before[number] = signal.signal(number, stops.note)
    _active, show = stops, sys.unraisablehook
    sys.unraisablehook = lambda told: None if stops.raised_in_vain(told) else show(told)
    try:
        with _watched(stops, frozenset(before)):
            yield stops
    finally:
        _active, sys.unraisablehook = None, show
        for number, handler in before.items():
            signal.signal(number, handler)


def end_early(number: int, frame: FrameType | None = None) -> NoReturn:
    """End the process with the code of a signal and a line; a handler for when there is nothing to save yet."""
    _end(128 + number, "fireweed: stopped")


@contextmanager
def _watched(stops: Stops, ours: frozenset[int]) -> Iterator[None]:
    """Let a thread hear of signals too: Python's C handler writes each one's number to a socket at once."""
    listening, told = socket.socketpair()
    told.setblocking(False)
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    if before != -1 or not ours:  # an event loop of somebody else listens
        signal.set_wakeup_fd(before)
        listening.close()
        told.close()
        yield
        return
    listener = _Listener(stops, ours, listening)
    threading.Thread(target=listener.listen, daemon=True, name="signals").start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        listener.give_up()
        told.close()


class _Listener:
    def __init__(self, stops: Stops, ours: frozenset[int], heard: socket.socket) -> None:
        self._stops, self._ours, self._heard = stops, ours, heard
        self._interrupted = 0.0
        self._timer: threading.Timer | None = None
        self._has_ended = False
        self._turn = threading.Lock()  # a signal may still be on its way when what it was to stop has ended

    def listen(self) -> None:
        with self._heard:
            while numbers := self._heard.recv(64):
                for number in numbers:
                    with self._turn:
                        if number in self._ours and not self._has_ended:
                            self._hear(number)

    def give_up(self) -> None:
        with self._turn:
            self._has_ended = True
            if self._timer is not None:
                self._timer.cancel()

    def _hear(self, number: int) -> None:
        if self._stops.is_repeated:
            self._stops.is_repeated = False
            return
        now = time.monotonic()
        if number == signal.SIGINT:
            if _is_program and self._interrupted and now - self._interrupted > ONE_KEY_SECONDS:
                _end(130, f"fireweed: stopped at once; {GOING_ON}")
            if self._interrupted:
                return
            self._interrupted = now
        elif self._timer is not None:
            return
        else:
            words = (
                f"fireweed: stopped without saving, since what was under way did not end in {GRACE_SECONDS:g} s; "
                f"{GOING_ON}"
            )
            self._timer = threading.Timer(GRACE_SECONDS, _end, (128 + number, words))
            self._timer.daemon = True
            self._timer.start()
        if words := self._stops.told(number):
            _tell(words)


def _interrupt(number: int) -> None:
    """Send the main thread a signal, which also wakes it where it waits."""
    if sys.platform == "win32":
        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def _tell(words: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"\n{words}\n".encode())  # the streams may be in use by whom the signal interrupted


def _end(code: int, words: str) -> NoReturn:
    _tell(words)
    os._exit(code)
