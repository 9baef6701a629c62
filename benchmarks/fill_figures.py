"""Write the figures of measurements/ into the READMEs, between the marks, so that none is typed by hand.

    python benchmarks/fill_figures.py [--check]

With --check nothing is written, and the exit code is 1 when a README is not up to date.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from accuracy_tables import minutes_text, ran_with, test_text
from fireweed.recipe import read_recipe
from marked import fill, told
from speed_tables import readme_table

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh-TW.md")
MARKS = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)
HEADS = {
    "README.md": (
        "recipe",
        "net, weights",
        "epochs (side)",
        "minutes a run",
        "validation accuracy: mean, by seed",
        "test accuracy (95% interval)",
    ),
    "README.zh-TW.md": (
        "配方",
        "網路與起始權重",
        "訓練週期（邊長）",
        "每次分鐘",
        "驗證準確率：平均，各種子",
        "測試準確率（95% 信賴區間）",
    ),
}
RECIPE_NOTES = {
    "README.md": "Other work shared the cores with most runs; *: of some the epochs alone. "
    "All of it: [docs/accuracy.md](docs/accuracy.md).",
    "README.zh-TW.md": "大多數執行時另有工作共用核心；*：其中有些執行只計訓練週期的時間。"
    "全部結果：[docs/accuracy.md](docs/accuracy.md)。",
}
INPUT_HEADS = {
    "README.md": ("photos into batches and shards", "photos/s, median (range, n)"),
    "README.zh-TW.md": ("相片進入批次與分片", "每秒相片數，中位數（範圍，次數）"),
}
INPUT_NAMES = {
    "README.md": {"shards": "`fireweed shards`, 192 px", "first epoch": "first epoch (decode, augment), 192 px",
                  "later epochs": "later epochs, from the cache"},
    "README.zh-TW.md": {"shards": "`fireweed shards`，192 px",
                        "first epoch": "第一個週期（解碼、翻轉、飽和度），192 px",
                        "later epochs": "其後的週期（來自快取）"},
}  # fmt: skip
SPEED_HEADS = {
    "README.md": (
        "beside its peers, photos/s",
        "Fireweed",
        "the best peer",
        "times as fast, by round (range, n)",
    ),
    "README.zh-TW.md": ("與其他工具並列，每秒相片數", "Fireweed", "最快的其他工具", "逐輪倍數（範圍，次數）"),
}
SPEED_NAMES = {
    "README.md": {
        "step squeezenet 192 px batch 32": "training step, the codelab's SqueezeNet, 192 px, batch 32",
        "step xception 160 px batch 32": "training step, Xception, 160 px, batch 32",
        "input from shards 192 px": "input from shards, later epochs, 192 px",
        "writing shards 192 px": "writing shards, 192 px",
        "predict squeezenet 192 px": "predicting a folder, SqueezeNet, 192 px",
        "predict xception 160 px": "predicting a folder, Xception, 160 px",
    },
    "README.zh-TW.md": {
        "step squeezenet 192 px batch 32": "訓練一步，codelab 的 SqueezeNet，192 px，批次 32",
        "step xception 160 px batch 32": "訓練一步，Xception，160 px，批次 32",
        "input from shards 192 px": "由分片讀入，第二個週期起，192 px",
        "writing shards 192 px": "寫入分片，192 px",
        "predict squeezenet 192 px": "預測一個資料夾，SqueezeNet，192 px",
        "predict xception 160 px": "預測一個資料夾，Xception，160 px",
    },
}
SPEED_LINKS = {
    "README.md": "All of it, with goals and limits: [docs/speed.md](docs/speed.md).",
    "README.zh-TW.md": "全部結果、目標與硬體上限：[docs/speed.md](docs/speed.md)。",
}


def main() -> int:
    stale = []
    for name in READMES:
        text = figures(name)
        if fill(ROOT / name, MARKS, lambda _, text=text: text):
            stale.append(name)
    return told(stale, "figures up to date")


def figures(readme: str) -> str:
    """Return the tables for one README, in Markdown."""
    recipes = json.loads((ROOT / "measurements" / "accuracy" / "recipes.json").read_text(encoding="utf-8"))
    text = table(HEADS[readme], [recipe_row(variant) for variant in recipes["variants"]])
    runs = [run for variant in recipes["variants"] for run in variant["runs"]]
    text += f"\n{ran_with(runs)}. {RECIPE_NOTES[readme]}\n"
    speed = json.loads((ROOT / "measurements" / "input-speed.json").read_text(encoding="utf-8"))
    text += "\n" + table(INPUT_HEADS[readme], [
        (INPUT_NAMES[readme][name], f"{f['median']:,} ({f['min']:,} to {f['max']:,}, n = {f['n']})")
        for name, f in speed["figures"].items()
    ])  # fmt: skip
    text += f"\n{machine(speed)}\n"
    peers = json.loads((ROOT / "measurements" / "speed.json").read_text(encoding="utf-8"))
    if peers["is_quick"]:
        return text  # a trial of the harness says nothing to a reader
    text += "\n" + readme_table(peers, SPEED_HEADS[readme], SPEED_NAMES[readme])
    return text + f"\n{machine(peers)} {SPEED_LINKS[readme]}\n"


def recipe_row(variant: dict[str, Any]) -> tuple[str, ...]:
    """Return what a shipped recipe gave over its seeds; a study's variant with settings of its own shows them."""
    recipe = read_recipe(variant["recipe"], variant["set"])
    runs = variant["runs"]
    weights = "from scratch" if recipe.model.weights == "none" else "ImageNet"
    epochs = ", ".join(f"{phase['epochs']} ({phase['side']} px)" for phase in runs[0]["phases"])
    settings = "".join(f" --set {setting}" for setting in variant["set"])
    net = recipe.model.name.replace("|", r"\|")  # a net as a line of text would end the cell
    seeds = ", ".join(f"{run['validation']['accuracy']:.1%}" for run in runs)
    return (
        f"`--recipe {variant['recipe']}{settings}`", f"{net}, {weights}", epochs,
        minutes_text(runs) + ("" if all(run["device"]["kind"] == "cpu" for run in runs) else " (GPU)"),
        f"{variant['validation']['mean']:.1%} ({seeds})",
        test_text(variant),
    )  # fmt: skip


def machine(facts: dict[str, Any]) -> str:
    versions = facts["versions"]
    return (
        f"{facts['chip']}, {facts['cores']} cores; TensorFlow {versions['tensorflow']}, Keras {versions['keras']}; "
        f"{facts['date']}."
    )


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ("---",) * len(head), *rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
