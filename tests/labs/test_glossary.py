"""The glossary has each word once, in both languages, and all words that a lab prints in bold."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LABS = ROOT / "labs"


def rows() -> list[list[str]]:
    """Return the rows of all tables: English, Chinese, and what the word means in each."""
    lines = (ROOT / "docs" / "glossary.md").read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if row[0] != "English" and set(row[0]) != {"-"}]


def words(column: int) -> list[str]:
    """Return the words of a column, alternatives each for itself, what stands in brackets too."""
    return [
        word.strip() for row in rows() for word in re.split(r"[、,()\uff0c\uff08\uff09]", row[column]) if word.strip()
    ]


def test_every_row_is_complete_and_no_word_comes_twice():
    assert all(len(row) == 4 and all(row) for row in rows())
    english = [row[0].lower() for row in rows()]
    assert len(english) == len(set(english))


def test_tables_are_in_the_order_of_the_alphabet():
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    for table in text.split("\n## ")[1:]:
        english = re.findall(r"^\| ([^|]+) \|", table, re.M)
        listed = [word.lower() for word in english if word != "English"]
        assert listed == sorted(listed)


def test_what_a_lab_prints_in_bold_is_in_the_glossary():
    for language, column in (("en", 0), ("zh-TW", 1)):
        known = {word.lower() for word in words(column)}
        for text in (LABS / language).glob("[0-9]_*.py"):
            for bold in re.findall(r"\*\*([^*\n]+)\*\*", text.read_text("utf-8")):
                word = bold.strip().lower()
                if word.endswith((".", "。")) or ":" in word or "\uff1a" in word:
                    continue  # a sentence that begins a paragraph, or an exercise's title
                singular = word.removesuffix("ies") + "y" if word.endswith("ies") else word.removesuffix("s")
                assert {word, singular} & known or word in ("bold", "粗體字"), f"{text.name}: {bold}"
