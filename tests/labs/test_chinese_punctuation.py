"""Wide punctuation beside Chinese letters, and nowhere else."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "labs"))

from chinese_punctuation import widened, widened_file, widened_markdown, widened_python


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("層,再一層", "層\uff0c再一層"),
        ("為什麼?", "為什麼\uff1f"),
        ("relu(整流)", "relu\uff08整流\uff09"),
        ("**梯度**:往上", "**梯度**\uff1a往上"),
        ("一個**週期**(epoch)。", "一個**週期**\uff08epoch\uff09。"),
        ("可以。(這個詞來自", "可以。\uff08這個詞來自"),
        ("GPU;Fireweed 會選", "GPU\uff1bFireweed 會選"),
        ("共 {n:,} 個,每張 {m:.1f} 個", "共 {n:,} 個\uff0c每張 {m:.1f} 個"),
        ("形狀 (高, 寬, 3)", "形狀 (高, 寬, 3)"),
        ("共 3,670 張", "共 3,670 張"),
        ("訓練 SqueezeNet,192 px", "訓練 SqueezeNet\uff0c192 px"),
        ("練習 1:fire 模組", "練習 1\uff1afire 模組"),
        ("`conv 16 1`:1x1 濾鏡", "`conv 16 1`\uff1a1x1 濾鏡"),
        ("剩不到 `share`?", "剩不到 `share`\uff1f"),
        ("神經元 3:{y:.2f}", "神經元 3\uff1a{y:.2f}"),
        ("比例 2:1 的 12:30", "比例 2:1 的 12:30"),
        ("[第 0 課](0_pixels.ipynb)與 `a, b`", "[第 0 課](0_pixels.ipynb)與 `a, b`"),
        ("no Chinese, nothing; (to do)", "no Chinese, nothing; (to do)"),
    ],
)
def test_marks_are_widened_beside_chinese(before, after):
    assert widened(before) == after
    assert widened(after) == after


def test_code_is_left_alone():
    source = 'print("類別:", f(a, b))  # 一,二\n'
    assert widened_python(source) == 'print("類別\uff1a", f(a, b))  # 一\uff0c二\n'


def test_tables_are_widened_cell_by_cell():
    assert widened_markdown("| a, b | 一,二 |\n| c: d | 三 |") == "| a, b | 一\uff0c二 |\n| c: d | 三 |"


def test_the_chinese_readme_has_it():
    path = Path(__file__).parents[2] / "README.zh-TW.md"
    assert path.read_text("utf-8") == widened_file(path), "run `python labs/chinese_punctuation.py README.zh-TW.md`"
