"""Say which validation photos most trainings of a net get wrong: what more of the same training cannot mend.

    python benchmarks/common_errors.py RUNS STUDY [STUDY ...]

Reads the finished runs in RUNS/STUDY and writes measurements/accuracy/common-errors.json: the accuracies of all runs,
that of their mean probabilities, how many photos were wrong in how many runs, and which in three quarters of them.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
MOST = 0.75  # of the runs


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    runs, studies = Path(sys.argv[1]), sys.argv[2:]
    files = [path for study in studies for path in sorted((runs / study).glob("*/evaluation-validation.json"))]
    if len(files) < 2:
        print(
            f"{runs} has {len(files)} finished runs of {', '.join(studies)}; two at least are needed", file=sys.stderr
        )
        return 2
    found = common_errors([json.loads(path.read_text(encoding="utf-8")) for path in files])
    path = ROOT / "measurements" / "accuracy" / "common-errors.json"
    path.write_text(json.dumps({"studies": studies, **found}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in found.items() if name != "mostly_wrong"}))
    return 0


def common_errors(evaluations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the evaluations of the same photos by several nets have in common.

    Raises:
        ValueError: they are not of the same photos.
    """
    classes = evaluations[0]["classes"]
    photos = sorted((photo["path"], photo["true"]) for photo in evaluations[0]["predictions"])
    answers = []
    for evaluation in evaluations:
        by_path = {photo["path"]: photo for photo in evaluation["predictions"]}
        if [(path, by_path[path]["true"]) for path in sorted(by_path)] != photos:
            raise ValueError("the evaluations are not of the same photos")
        answers.append([[by_path[path]["probabilities"][name] for name in classes] for path, _ in photos])
    probabilities = np.array(answers)
    truth = np.array([classes.index(true) for _, true in photos])
    wrong = (probabilities.argmax(2) != truth).sum(0)
    mean = probabilities.mean(0).argmax(1)
    accuracies = [evaluation["accuracy"] for evaluation in evaluations]
    return {
        "runs": len(evaluations),
        "photos": len(photos),
        "accuracy": {"mean": statistics.fmean(accuracies), "least": min(accuracies), "most": max(accuracies)},
        "accuracy_of_mean_probabilities": float((mean == truth).mean()),
        "photos_by_wrong_runs": np.bincount(wrong, minlength=len(evaluations) + 1).tolist(),
        "mostly_wrong": [
            {"path": photos[i][0], "answer": classes[mean[i]], "wrong_runs": int(wrong[i])}
            for i in np.argsort(-wrong, kind="stable")
            if wrong[i] >= MOST * len(evaluations)
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
