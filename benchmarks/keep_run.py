"""Keep what a run measured: its history and figures, without photos or weights.

    python benchmarks/keep_run.py RUN NAME

Writes measurements/NAME/history.csv and measurements/NAME/result.json.
"""

import json
import shutil
import sys
from pathlib import Path

from fireweed.run import open_run
from machine_facts import machine_facts

OUT = Path(__file__).parents[1] / "measurements"


def main() -> None:
    run, name = open_run(sys.argv[1]), sys.argv[2]
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(run.file("history.csv"), folder / "history.csv")
    history = run.history()
    evaluations = {}
    for path in sorted(run.path.glob("evaluation-*.json")):
        evaluation = json.loads(path.read_text(encoding="utf-8"))
        evaluation.pop("predictions")
        evaluations[path.stem.removeprefix("evaluation-")] = evaluation
    facts = run.read_json("fireweed.json")
    asked = run.facts().asked.model_dump(mode="json", exclude_none=True)
    asked["model"]["weights"] = Path(asked["model"]["weights"]).name  # where a file lay is of no interest
    result = {
        "asked": asked,
        "photos": facts["split"],
        "epochs": len(history),
        "minutes": round(sum(row["seconds"] for row in history) / 60, 2),
        "evaluations": evaluations,
        "variables": run.read_json("environment.json")["variables"],
        **machine_facts(),
    }
    (folder / "result.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{folder}: " + ", ".join(f"{part} {e['accuracy']:.4f}" for part, e in evaluations.items()))


if __name__ == "__main__":
    main()
