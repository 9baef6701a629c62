"""What a check says of a reader's answer, and the pieces that checks are made of."""

import functools
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from fireweed.teaching.language import pick

Reader = Callable[..., Any]


@dataclass(frozen=True)
class Verdict:
    """Right or not, and why, in words; true where it is right."""

    is_right: bool
    words: str

    def __bool__(self) -> bool:
        return self.is_right

    def __repr__(self) -> str:
        return (pick("Right: ", "正確：") if self.is_right else pick("Not yet: ", "還不對：")) + self.words

    def _repr_html_(self) -> str:
        sign, edge = ("✓", "#2f86c9 solid") if self.is_right else ("✗", "#d97a1e dashed")
        style = f"border-left:6px {edge};padding:.4em .8em;margin:.4em 0"
        return f'<div role="status" style="{style}"><b>{sign}</b> {html.escape(repr(self))}</div>'


class NotYetError(Exception):
    """Raised within a check where the answer is not right; says why in both languages."""

    def __init__(self, english: str, chinese: str) -> None:
        super().__init__(pick(english, chinese))


def check(body: Callable[..., str]) -> Callable[..., Verdict]:
    """Make a check of a function that returns praise, or raises NotYetError."""

    @functools.wraps(body)
    def checked(*answers: Any) -> Verdict:
        try:
            return Verdict(True, body(*answers))
        except NotYetError as reason:
            return Verdict(False, str(reason))

    return checked


def returned(reader: Reader, *arguments: Any) -> Any:
    """Call the reader's function on copies of the arguments and return what it gives.

    Raises:
        NotYetError: it stops with an error, or gives nothing.
    """
    copies = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
    try:
        with np.errstate(all="ignore"):
            answer = reader(*copies)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise NotYetError(f"your code stops with an error. {what}", f"程式因錯誤而停止。{what}") from error
    if answer is None or answer is Ellipsis:
        raise NotYetError(
            "your function gives nothing back yet; put your answer behind `return`",
            "函式還沒有傳回任何東西；請把答案寫在 `return` 後面",
        )
    return answer


def numbers(reader: Reader, *arguments: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return what the reader's function gives as numbers, float64 of the shape expected.

    Raises:
        NotYetError: as `returned`, or these are no numbers, or of another shape.
    """
    answer = returned(reader, *arguments)
    try:
        found = np.asarray(answer, np.float64)
    except (TypeError, ValueError) as error:
        kind = type(answer).__name__
        raise NotYetError(
            f"numbers are expected, but your function gives a {kind}", f"應該傳回數字，但函式傳回的是 {kind}"
        ) from error
    if found.shape != shape:
        raise NotYetError(
            f"the answer should be {_shape_words(shape)}, but yours is {_shape_words(found.shape)}",
            f"答案應該是{_shape_words(shape)}，但你的是{_shape_words(found.shape)}",
        )
    return found


def close(found: np.ndarray | float, right: np.ndarray | float) -> bool:
    """Return whether numbers agree but for rounding; one that is no number agrees with none."""
    return bool(np.allclose(found, right, rtol=1e-4, atol=1e-6))


def refuse(
    found: np.ndarray | float, english: str, chinese: str, hints: Sequence[tuple[np.ndarray | float, str, str]]
) -> NoReturn:
    """Say what is wrong, with the hint that belongs to this wrong answer where there is one.

    hints: wrong answers, each with what it comes from, in both languages.
    """
    for wrong, hint, chinese_hint in hints:
        if close(found, wrong):
            raise NotYetError(f"{english}. {hint}", f"{chinese}。{chinese_hint}")
    raise NotYetError(english, chinese)


def _shape_words(shape: tuple[int, ...]) -> str:
    if not shape:
        return pick("one number", "一個數字")
    return pick(f"an array of shape {shape}", f"形狀為 {shape} 的陣列")
