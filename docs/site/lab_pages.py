"""A lab's notebook as a page: text, code, and below each cell what it printed and drew."""

import html
import itertools
import re
from collections.abc import Iterator

from nbformat import NotebookNode
from nbformat.v4 import new_output

_FOLDED = re.compile(r"<details><summary>(.*?)</summary>\n(.*?)\n</details>", re.S)
_LOADED = re.compile(r"""(?:src|href)=["']https?:""")


def lab_page(notebook: NotebookNode, note: str) -> str:
    """Return a notebook as Markdown; `note`, which says how it was run, comes after its first cell."""
    parts = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(_FOLDED.sub(_folded, cell.source))
        else:
            parts.append(f"```python\n{cell.source}\n```")
            parts += [shown for output in _joined(cell.get("outputs", [])) if (shown := _shown(output))]
        if number == 0:
            parts.append(f'!!! note ""\n\n    {note}')
    return "\n\n".join(parts) + "\n"


def _folded(found: re.Match[str]) -> str:
    body = "\n".join(f"    {line}".rstrip() for line in found[2].strip().splitlines())
    return f'??? question "{found[1]}"\n\n{body}'


def _joined(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Give a cell's outputs, what was printed in several pieces as one."""
    for is_stream, several in itertools.groupby(outputs, lambda output: output.output_type == "stream"):
        if is_stream:
            yield new_output("stream", text="".join(output.text for output in several))
        else:
            yield from several


def _shown(output: NotebookNode) -> str:
    """Return one output of a cell: its HTML where it has some, else its text.

    Raises:
        ValueError: an error, a picture without words, or something that the page would load from elsewhere.
    """
    if output.output_type == "stream":
        return _text(output.text)
    if output.output_type == "error":
        raise ValueError(f"a cell of the lab stopped: {output.ename}: {output.evalue}")
    if "text/html" in output.data:
        shown = output.data["text/html"]
        if _LOADED.search(shown) or "<img" in shown:
            raise ValueError("a lab's output loads something, or is a picture without words")
        # No line of it is blank, so that it stays one block.
        return '<div class="output">' + re.sub(r"\s*\n\s*", " ", shown).strip() + "</div>"
    return _text(output.data.get("text/plain", ""))


def _text(text: str) -> str:
    lines = [line.rsplit("\r", 1)[-1] for line in text.rstrip().split("\n")]
    if not any(lines):
        return ""
    return '<pre class="output">' + html.escape("\n".join(lines)).replace("\n", "&#10;") + "</pre>"
