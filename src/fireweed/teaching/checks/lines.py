"""What is said of a net that a reader wrote as a line of text, where none can be made of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from fireweed.errors import ModelError
from fireweed.teaching.verdict import NotYetError


@contextmanager
def line_understood(line: str, example: str) -> Iterator[None]:
    """Let what is made of the line within the block fail in words.

    example: a line, for those who wrote none.

    Raises:
        NotYetError: there is no line, or no net can be built from it.
    """
    if not isinstance(line, str) or not line.strip() or line.strip() == "...":
        raise NotYetError(
            f"write the net as a line of text, such as '{example}'", f"請把網路寫成一行文字，例如 '{example}'"
        )
    try:
        yield
    except ModelError as error:
        raise NotYetError(str(error), f"這一行無法建成網路：{error}") from error
