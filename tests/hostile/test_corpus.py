"""Hundreds of hostile inputs: each refused in one line, soon, in little memory, with no trace left."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hostile import archives, images, recipes, tables
from hostile.child import KINDS
from hostile.running import run_command, run_kind

LEAST = {"images": 100, "archives": 65, "shards": 30, "bundles": 150, "recipes": 55, "tables": 40}


@pytest.fixture(scope="module")
def came_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Any]]]:
    """Give all of them to the program, two kinds at a time; return what came of each kind."""
    top = tmp_path_factory.mktemp("hostile")
    with ThreadPoolExecutor(2) as pool:
        yield {kind: pool.submit(run_kind, kind, top / kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_hostile_input_is_refused_in_one_line_and_leaves_no_trace(kind: str, came_of: dict[str, Any]) -> None:
    results = came_of[kind].result()
    wrong = [
        f"{one['name']}: {one['faults']} {one['strays']} {one['message'][-300:]}" for one in results if one["faults"]
    ]
    assert not wrong, "\n".join(wrong)
    assert len({one["name"] for one in results}) == len(results) >= LEAST[kind]


COMMANDS = [
    *(["shards", ("archives", name), "out"] for name in (
        "zip with a path above", "tar with a path absolute", "tar with a link", "zip bomb", "tar with a NUL in a name",
        "headers without end",
    )),
    *(["shards", ("tables", name), "out"] for name in (
        "list of another header", "list of a path that moves the terminal", "list of zeros",
        "list of two labels for one photo", "folder of pipes named as photos",
    )),
    *(["recipes", ("recipes", f"recipe with {name}")] for name in (
        "a list nested without end", "a key of 10,000 parts", "weights above its folder", "a shown value without end",
        "a key that moves the terminal",
    )),
    *(["models", ("recipes", f"net {name}")] for name in ("of billions of filters", "that moves the terminal")),
    ["shards", ("images", "PNG that claims 65000 x 65000"), "out"],
    ["shards", ("images", "JPEG cut off after 30%"), "out"],
]  # fmt: skip


def _given(folder: Path, kind: str, name: str) -> str:
    cases = {"archives": archives, "tables": tables, "recipes": recipes, "images": images}[kind].CASES
    given = next(case for case in cases if case.name == name).make(folder)
    if kind != "images":
        return given
    for label in ("a", "b"):  # a class of that photo, and another one
        (folder / "photos" / label).mkdir(parents=True)
        (folder / "photos" / label / "1.jpg").write_bytes(Path(given).read_bytes())
    return str(folder / "photos")


def test_the_command_line_tells_them_in_one_line_and_exits_2(tmp_path: Path) -> None:
    def told(number: int) -> str:
        folder = tmp_path / str(number)
        (folder / "input").mkdir(parents=True)
        (folder / "work").mkdir()
        command = [part if isinstance(part, str) else _given(folder / "input", *part) for part in COMMANDS[number]]
        code, _, errors = run_command(command, folder / "work")
        lines = [line for line in errors.splitlines() if line.startswith("fireweed: ")]
        is_clean = code == 2 and len(lines) == 1 and errors.endswith(lines[0] + "\n") and "Traceback" not in errors
        is_clean &= not list((folder / "work").iterdir()) and "\x1b" not in errors
        return "" if is_clean else f"{COMMANDS[number]}: {code} {errors[-600:]} {list((folder / 'work').iterdir())}"

    with ThreadPoolExecutor(2) as pool:
        wrong = [one for one in pool.map(told, range(len(COMMANDS))) if one]
    assert not wrong, "\n".join(wrong)
