"""What is said stays plain text, whatever names hold."""

import io

import pytest
from rich.console import Console

from fireweed.reporting import Reporter, duration, printable


def test_names_are_no_markup_and_no_control_codes():
    out = io.StringIO()
    reporter = Reporter(Console(file=out, width=200))
    reporter.say("[red]rose[/red] \x1b[2J\x07 郁金香")
    assert out.getvalue() == "[red]rose[/red] \\x1b[2J\\x07 郁金香\n"


def test_a_silent_reporter_says_nothing():
    out = io.StringIO()
    reporter = Reporter(Console(file=out), is_silent=True)
    reporter.say("a")
    reporter.warn("b")
    with reporter.bar("c", 2) as bar:
        bar.update(1)
    assert out.getvalue() == ""


def test_progress_in_a_pipe_is_plain_lines_now_and_then():
    out = io.StringIO()
    reporter = Reporter(Console(file=out, width=200))
    reporter.seconds_between_lines = 0
    with reporter.bar("reading", 10) as bar:
        bar.update(5, "half")
        bar.update(12, "more than expected")
    assert out.getvalue() == "reading: 5 of 10 half\nreading: 12 of 12 more than expected\n"


@pytest.mark.parametrize(("seconds", "text"), [(3.2, "3 s"), (89, "89 s"), (720, "12 min"), (11100, "3 h 05 min")])
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_printable_keeps_line_ends():
    assert printable("a\nb\u202e") == "a\nb\\u202e"
