"""The house stays small: modules of one idea, functions of one thing, and nothing heavy on the way to the commands."""

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "fireweed"
MODULE_LINES, FUNCTION_LINES = 320, 50


def test_modules_and_functions_stay_short():
    long = []
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > MODULE_LINES:
            long.append(f"{path.name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                start = node.body[1].lineno if ast.get_docstring(node) and len(node.body) > 1 else node.body[0].lineno
                if node.end_lineno - start > FUNCTION_LINES:
                    long.append(f"{path.name}: {node.name} has {node.end_lineno - start} lines")
    assert not long


def test_the_commands_load_no_framework_before_they_need_one():
    program = (
        "import sys, fireweed, fireweed.cli, fireweed.api, fireweed.data.sources, fireweed.models.registry\n"
        "print([name for name in ('tensorflow', 'keras', 'jax', 'matplotlib', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_module_says_what_it_is_for():
    texts = {path.name: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    assert not [name for name, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))]


def test_no_time_that_passes_is_taken_from_a_clock_that_jumps():
    found = {path.name for path in SOURCE.rglob("*.py") if "time.time()" in path.read_text(encoding="utf-8")}
    assert found == {"events.py", "process.py"}, "dates of TensorBoard's, and when this process began"
