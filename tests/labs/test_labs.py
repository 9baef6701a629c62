"""The labs: the notebooks are those of the text, both languages run the same code, and every exercise can be judged."""

import ast
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lab_answers import NEARLY_RIGHT
from lab_solving import executed, exercises_of

from fireweed.teaching.checks.convolutions import NET_LEAST_REACH_PX, NET_MOST_PARAMETERS, NET_SIDE_PX

LABS = Path(__file__).parents[2] / "labs"
sys.path.insert(0, str(LABS))

from chinese_punctuation import widened_file  # noqa: E402
from make_notebooks import LANGUAGES, lab_texts, measured_text, notebook_of, report_words_text, written  # noqa: E402

NAMES = sorted(path.stem for path in (LABS / "en").glob("[0-9]_*.py"))


@pytest.mark.parametrize("text", lab_texts(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_notebook_is_that_of_the_text(text):
    notebook = text.with_suffix(".ipynb").read_text("utf-8")
    assert notebook == written(notebook_of(text)), "run `make labs`"
    assert not [cell for cell in json.loads(notebook)["cells"] if cell.get("outputs")]


def test_what_the_package_keeps_of_the_measurements_is_what_was_measured():
    kept = LABS.parent / "src" / "fireweed" / "teaching" / "measured.json"
    assert kept.read_text("utf-8") == measured_text(), "run `make labs`"


def test_the_words_that_reports_explain_are_those_of_the_glossary():
    kept = LABS.parent / "src" / "fireweed" / "evaluation" / "words.json"
    assert kept.read_text("utf-8") == report_words_text(), "run `make labs`"
    page = (kept.parent / "report.html").read_text("utf-8")
    linked = set(re.findall(r"word\('[^']+', '([^']+)'\)", page))
    assert linked and linked <= {entry["id"] for entry in json.loads(kept.read_text("utf-8"))}


def test_what_is_asked_of_a_net_is_what_the_check_asks():
    for language in LANGUAGES:
        asked = (LABS / language / "1_convolutions.py").read_text("utf-8").split('"exercise", "net_line"')[0][-900:]
        for number in (NET_MOST_PARAMETERS, NET_LEAST_REACH_PX, NET_SIDE_PX):
            assert f"{number:,}" in asked


def test_chinese_has_its_own_punctuation():
    package = LABS.parent / "src" / "fireweed" / "teaching"
    for path in (*LABS.glob("zh-TW/*.py"), LABS.parent / "docs" / "glossary.md", *package.rglob("*.py")):
        assert path.read_text("utf-8") == widened_file(path), f"run `python labs/chinese_punctuation.py {path}`"


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_run_the_same_code(name):
    english, chinese = (_code_of(LABS / language / f"{name}.py") for language in LANGUAGES)
    assert len(english) == len(chinese)
    for one, other in zip(english, chinese, strict=True):
        assert _without_words(one) == _without_words(other)


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_cells_and_solutions(name):
    english, chinese = (notebook_of(LABS / language / f"{name}.py") for language in LANGUAGES)
    kinds = [[(cell.cell_type, cell.metadata.get("tags", [])) for cell in lab.cells] for lab in (english, chinese)]
    assert kinds[0] == kinds[1]
    solved = [{k: v["solution"] for k, v in exercises_of(lab).items()} for lab in (english, chinese)]
    assert solved[0] == solved[1]


@pytest.mark.parametrize("text", lab_texts(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_framework_is_imported_before_fireweed_can_prepare_it(text):
    code = "\n".join(_code_of(text)).split("teaching.begin(")[0]
    program = (
        "import sys\n" + code + "\nprint([name for name in ('tensorflow', 'keras', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("text", lab_texts(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_a_lab_links_to_is_there(text):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text.read_text("utf-8")):
        if not target.startswith("https://"):
            assert (text.parent / target).exists(), target


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.timeout(1200)  # seconds suffice, but not where trainings run beside the tests
def test_a_lab_runs_in_both_languages_and_its_checks_tell_right_from_nearly_right(name, tmp_path):
    """Both at once, each in a kernel and a folder of its own."""
    with ThreadPoolExecutor(len(LANGUAGES)) as pool:
        running = []
        for language in LANGUAGES:
            (tmp_path / language).mkdir()
            running.append(pool.submit(_run_and_judge, LABS / language / f"{name}.py", tmp_path / language, quick=True))
    for one in running:
        one.result()


@pytest.mark.long
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.timeout(3600)
def test_a_whole_lab_runs(name, language, tmp_path):
    _run_and_judge(LABS / language / f"{name}.py", tmp_path, quick=False)


def _run_and_judge(text: Path, folder: Path, quick: bool) -> None:
    notebook = notebook_of(text)
    lab = executed(notebook, folder, quick, timeout_seconds=1000 if quick else 3000)
    for exercise in exercises_of(notebook):
        assert lab.verdicts[exercise, "solution"], f"{text}: {exercise}"
        for wrong in ("unsolved", *NEARLY_RIGHT[exercise]):
            assert not lab.verdicts[exercise, wrong], f"{exercise}: {wrong} was taken for right"
    said = " ".join(lab.words)
    assert ("還不對" in said and "Not yet" not in said) if text.parent.name == "zh-TW" else "還不對" not in said
    figures = [o.data for cell in lab.notebook.cells for o in cell.get("outputs", []) if "<svg" in str(o.get("data"))]
    assert len(figures) > 5
    assert all('role="img" aria-label="' in one["text/html"] for one in figures)


def _code_of(text: Path) -> list[str]:
    return [cell.source for cell in notebook_of(text).cells if cell.cell_type == "code"]


def _without_words(code: str) -> str:
    """Return code without comments and without what its strings say; expressions within strings stay, in any order."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        if isinstance(node, ast.JoinedStr):
            node.values = sorted(
                (value for value in node.values if isinstance(value, ast.FormattedValue)), key=ast.dump
            )
    return ast.dump(tree)
