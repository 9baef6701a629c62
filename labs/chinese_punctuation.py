"""Give Chinese text its own, wide punctuation: `python labs/chinese_punctuation.py FILES`.

A mark is widened where it stands beside a Chinese letter: in the words of Markdown, in strings and
in comments of Python; never in code. Brackets are widened where they hold Chinese or follow it, but
shapes such as (2, 2) stay.
"""

import io
import re
import sys
import tokenize
from pathlib import Path

_LETTER = "[\u3001-\u303f\u4e00-\u9fff\uff01-\uff5e]"
_WIDE = {mark: chr(ord(mark) + 0xFEE0) for mark in ",:;?!()"}
_CODE = re.compile(
    r"(`[^`]*`|\]\([^)]*\)|https?://\S+|\{[^{}]*\})"
)  # left alone, wherever it stands
_MARK = re.compile(
    rf"(?:(?<={_LETTER})|(?<={_LETTER}\*\*))([,:;?!])(?! )|(?<! )([,:;?!])(?={_LETTER})"
)
_HELD = "\ue000-\uf8ff"  # letters of nobody's, each standing for a piece of code
# English leaves a space behind a mark within a text.
_UNSPACED = re.compile(r"[,;](?![\s\d])|(?<=[^\s\d])[,;](?=\d)")
_COLON = re.compile(rf"(?<=[\w*{_HELD}]):(?=[A-Za-z{_HELD}])|(?<=[{_HELD}]):(?=\d)")
_LAST = re.compile(rf"(?<=[\w*{_HELD}])[:?!](?=\s*[\"']?$)")
_BRACKETS = re.compile(r"\(([^()]*)\)")


def widened(prose: str) -> str:
    """Return prose with wide punctuation; a text without any Chinese stays as it is."""
    if not re.search(_LETTER, prose):
        return prose
    held: list[str] = []

    def hold(code: re.Match[str]) -> str:
        held.append(code[0])
        return chr(0xE000 + len(held) - 1)

    text = _CODE.sub(hold, prose)
    text = _BRACKETS.sub(lambda found: _bracketed(found, text), text)
    text = _with_unmatched_widened(text)
    for _ in range(2):  # a mark may follow one that was just widened
        text = _MARK.sub(lambda found: _WIDE[found[0]], text)
    for unspaced in (_UNSPACED, _COLON, _LAST):
        text = unspaced.sub(lambda found: _WIDE[found[0]], text)
    return re.sub(f"[{_HELD}]", lambda sign: held[ord(sign[0]) - 0xE000], text)


def _with_unmatched_widened(text: str) -> str:
    """Widen brackets whose other half is on another line."""
    letters, opened = list(text), []
    for place, letter in enumerate(letters):
        if letter == "(":
            opened.append(place)
        elif letter == ")":
            if opened:
                opened.pop()
            else:
                letters[place] = _WIDE[letter]
    for place in opened:
        letters[place] = _WIDE["("]
    return "".join(letters)


def _bracketed(found: re.Match[str], text: str) -> str:
    before = text[: found.start()].rstrip("*")[-1:]
    is_chinese = re.search(_LETTER, found[1]) or re.match(_LETTER, before)
    if not is_chinese or ", " in found[1]:
        return found[0]
    return f"{_WIDE['(']}{found[1]}{_WIDE[')']}"


def widened_python(source: str) -> str:
    """Return Python source whose strings and comments have wide punctuation; fenced code stays."""
    lines = source.splitlines(keepends=True)
    in_fence = False
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        if token.type == tokenize.COMMENT and token.string.strip("# ").startswith("```"):
            in_fence = not in_fence
        if in_fence or token.type not in (tokenize.STRING, tokenize.COMMENT):
            continue
        (first, start), (last, end) = token.start, token.end
        if first == last:
            line = lines[first - 1]
            lines[first - 1] = line[:start] + widened(token.string) + line[end:]
    return "".join(lines)


def widened_markdown(text: str) -> str:
    """Return Markdown with wide punctuation, cell by cell of its tables."""
    return "\n".join(
        "|".join(widened(cell) for cell in line.split("|")) for line in text.split("\n")
    )


def widened_file(path: Path) -> str:
    """Return a file's text as it should be."""
    text = path.read_text("utf-8")
    return widened_python(text) if path.suffix == ".py" else widened_markdown(text)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(widened_file(Path(name)), "utf-8")
