"""What a run says while it works: sentences, warnings and progress, live in a terminal, plain lines in a pipe."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from fireweed.text import readable


class Bar:
    """One action under way; `update` it with how much is done and a few words."""

    def __init__(self, reporter: "Reporter", title: str, total: int) -> None:
        self._reporter = reporter
        self._title = title
        self._total = max(total, 1)
        self._started = self._said = time.monotonic()
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> "Bar":
        if self._reporter.is_live:
            self._progress = Progress(
                TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
                TextColumn("{task.fields[words]}"), TimeElapsedColumn(), console=self._reporter.console, transient=True,
            )  # fmt: skip
            self._progress.start()
            self._task = self._progress.add_task(self._title, total=self._total, words="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, done: int, words: str | None = None) -> None:
        """Show that `done` of the total are done. Without words, the rate and the time left are shown.

        A total that was only expected grows with what is done.
        """
        now = time.monotonic()
        self._total = max(self._total, done)
        words = words if words is not None else self._rate(done, now)
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=self._total, words=words)
        elif not self._reporter.is_silent and now - self._said >= self._reporter.seconds_between_lines:
            self._said = now
            self._reporter.say(f"{self._title}: {done:,} of {self._total:,} {words}")

    def _rate(self, done: int, now: float) -> str:
        seconds = now - self._started
        if not done or seconds < 0.2:
            return ""
        return f"{done / seconds:,.0f}/s, {duration(seconds * (self._total - done) / done)} left"


class Reporter:
    """Speaks to the user on standard error's or standard output's console, or to nobody."""

    seconds_between_lines = 10.0  # of one action's progress, when piped

    def __init__(self, console: Console | None = None, is_silent: bool = False, warns: bool | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.is_silent = is_silent
        self._warns = not is_silent if warns is None else warns

    def only_warning(self) -> "Reporter":
        """Return one that passes on warnings, if this one does, and says nothing else."""
        return Reporter(self.console, is_silent=True, warns=self._warns)

    @property
    def is_live(self) -> bool:
        return self.console.is_terminal and not self.is_silent

    def say(self, text: str = "") -> None:
        """Print a sentence; names from outside are shown as they are, never read as markup or control codes."""
        if not self.is_silent:
            self.console.print(Text(printable(text)))

    def warn(self, text: str) -> None:
        if self._warns:
            self.console.print(Text.assemble(("warning: ", "yellow"), printable(text)))

    def bar(self, title: str, total: int) -> Bar:
        return Bar(self, title, total)

    @contextmanager
    def counting(self, title: str) -> Iterator["Counter"]:
        """Show progress of something whose total is known only once it runs."""
        counter = Counter(self, title)
        try:
            yield counter
        finally:
            counter.close()


def stderr_reporter() -> Reporter:
    """Return a reporter for commands whose standard output is for programs."""
    return Reporter(Console(highlight=False, soft_wrap=True, stderr=True))


class Counter:
    """A progress callback (done, total) that opens its bar at the first call."""

    def __init__(self, reporter: Reporter, title: str) -> None:
        self._reporter, self._title = reporter, title
        self._bar: Bar | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = self._reporter.bar(self._title, total)
            self._bar.__enter__()
        self._bar.update(done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)


def printable(text: str) -> str:
    """Return the text with all but its line ends made readable: a file's name cannot steer a terminal."""
    return "\n".join(readable(line) for line in text.split("\n"))


def duration(seconds: float) -> str:
    """Return a span of time as people say it: 45 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
