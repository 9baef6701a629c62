"""Where the boxes of one branching piece of a net stand, and where the lines between them run.

A small layered layout: rows by the longest way from the entry; the longest branch keeps the first column, every other
branch and every line that passes rows gets the nearest column that is free in those rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

ENTRY = -1  # the box before the piece, through which all flows into it; it stands in row 0


@dataclass(frozen=True)
class Edge:
    """A line from one box to another; `column` is where it runs past rows, None when it goes straight to the next."""

    source: int
    target: int
    column: int | None


@dataclass(frozen=True)
class Layout:
    """The rows (from 1) and columns (from 0) of boxes, by position in the piece.

    wide:     of each column, whether boxes stand in it or only lines.
    balanced: whether all branches are equally long, so that none is the main one.
    """

    rows: list[int]
    columns: list[int]
    edges: list[Edge]
    wide: list[bool]
    balanced: bool


@dataclass
class _Chain:
    """Boxes under each other in one column; `first` and `last` are the rows that it keeps free for itself."""

    boxes: list[int]
    first: int
    last: int
    column: int = 0
    links: set[tuple[int, int]] = field(default_factory=set)


def lay_out(inputs: Sequence[Sequence[int]]) -> Layout:
    """Place the boxes of a piece whose last box gathers all that flows.

    inputs: of each box, the positions of those that feed it, all smaller than its own; ENTRY for the box before.
    """
    rows = _rows(inputs)
    chains = _chains(inputs, rows)
    linked = set().union(*(chain.links for chain in chains))
    loose = [(source, box) for box, feeding in enumerate(inputs) for source in feeding if (source, box) not in linked]
    jumps = [(source, box) for source, box in loose if rows[box] - _row(rows, source) > 1]
    lanes = [_Chain([], _row(rows, source) + 1, rows[box] - 1, links={(source, box)}) for source, box in jumps]
    wide = _give_columns(chains + lanes)
    column_of_link = {link: chain.column for chain in chains + lanes for link in chain.links}
    columns = [0] * len(inputs)
    for chain in chains:
        for box in chain.boxes:
            columns[box] = chain.column
    edges = [Edge(s, box, column_of_link.get((s, box))) for box, feeding in enumerate(inputs) for s in feeding]
    inner = max(rows) - 1
    balanced = not lanes and all(len(chain.boxes) == inner for chain in chains[1:]) and len(chains) > 1
    return Layout(rows, columns, edges, wide, balanced)


def _row(rows: Sequence[int], box: int) -> int:
    return 0 if box == ENTRY else rows[box]


def _rows(inputs: Sequence[Sequence[int]]) -> list[int]:
    rows: list[int] = []
    for feeding in inputs:
        rows.append(1 + max((_row(rows, source) for source in feeding), default=0))
    if rows:
        rows[-1] = max(max(rows[:-1], default=0) + 1, rows[-1])
    return rows


def _chains(inputs: Sequence[Sequence[int]], rows: Sequence[int]) -> list[_Chain]:
    """Cut the piece into chains of boxes, the longest first; each box is in one."""
    successors: dict[int, list[int]] = {box: [] for box in (ENTRY, *range(len(inputs)))}
    for box, feeding in enumerate(inputs):
        for source in feeding:
            successors[source].append(box)
    below = _heights(successors)
    taken: set[int] = {ENTRY}
    chains = []
    for head in (ENTRY, *range(len(inputs))):
        if head in taken and head != ENTRY:
            continue
        boxes = _follow(head, successors, below, taken)
        chains.append(_chain(boxes, inputs, successors, rows))
    return [chain for chain in chains if chain.boxes]


def _heights(successors: dict[int, list[int]]) -> dict[int, int]:
    below: dict[int, int] = {}
    for box in sorted(successors, reverse=True):
        below[box] = 1 + max((below[after] for after in successors[box]), default=0)
    return below


def _follow(head: int, successors: dict[int, list[int]], below: dict[int, int], taken: set[int]) -> list[int]:
    path = [head]
    taken.add(head)
    while free := [box for box in successors[path[-1]] if box not in taken]:
        path.append(max(free, key=lambda box: (below[box], -box)))
        taken.add(path[-1])
    return path


def _chain(
    path: list[int], inputs: Sequence[Sequence[int]], successors: dict[int, list[int]], rows: Sequence[int]
) -> _Chain:
    links = set(pairwise(path))
    boxes = [box for box in path if box != ENTRY]
    if not boxes:
        return _Chain([], 0, 0)
    first, last = rows[boxes[0]], rows[boxes[-1]]
    if path[0] != ENTRY and inputs[boxes[0]]:
        links.add((inputs[boxes[0]][0], boxes[0]))
        first = _row(rows, inputs[boxes[0]][0]) + 1
    if path[0] != ENTRY and successors[boxes[-1]]:
        links.add((boxes[-1], successors[boxes[-1]][0]))
        last = rows[successors[boxes[-1]][0]] - 1
    return _Chain(boxes, first, last, links=links)


def _give_columns(chains: Sequence[_Chain]) -> list[bool]:
    """Set the column of each chain, the first chain's being 0; return which columns hold boxes."""
    busy: list[set[int]] = [set()]
    wide = [True]
    for chain in chains[1:]:
        rows = set(range(chain.first, chain.last + 1))
        has_boxes = bool(chain.boxes)
        free = (c for c in range(1, len(busy)) if not busy[c] & rows and (wide[c] or not has_boxes))
        chain.column = next(free, len(busy))
        if chain.column == len(busy):
            busy.append(set())
            wide.append(has_boxes)
        busy[chain.column] |= rows
    return wide
