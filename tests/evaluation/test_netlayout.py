from hypothesis import given
from hypothesis import strategies as st

from fireweed.evaluation.netlayout import ENTRY, lay_out


def test_equal_branches_stand_beside_each_other_balanced() -> None:
    layout = lay_out([[ENTRY], [ENTRY], [0, 1]])
    assert layout.rows == [1, 1, 2]
    assert layout.columns == [0, 1, 0]
    assert layout.balanced


def test_a_skip_runs_in_a_narrow_column_of_its_own() -> None:
    layout = lay_out([[ENTRY], [0], [1, ENTRY]])
    assert layout.rows == [1, 2, 3]
    assert layout.columns == [0, 0, 0]
    (skip,) = [edge for edge in layout.edges if (edge.source, edge.target) == (ENTRY, 2)]
    assert skip.column == 1
    assert layout.wide == [True, False]
    assert not layout.balanced


def test_a_short_branch_keeps_its_column_free_down_to_where_it_joins() -> None:
    layout = lay_out([[ENTRY], [0], [1], [ENTRY], [2, 3]])
    assert layout.columns == [0, 0, 0, 1, 0]
    (down,) = [edge for edge in layout.edges if (edge.source, edge.target) == (3, 4)]
    assert down.column == 1


@st.composite
def pieces(draw: st.DrawFn) -> list[list[int]]:
    """Draw pieces of nets: each box is fed by earlier ones, the last by all that feed nobody yet."""
    count = draw(st.integers(1, 12))
    inputs = [draw(st.lists(st.integers(ENTRY, box - 1), min_size=1, max_size=3, unique=True)) for box in range(count)]
    used = {source for feeding in inputs for source in feeding}
    loose = [box for box in range(count) if box not in used]
    return [*inputs, loose or [count - 1]]


@given(pieces())
def test_no_two_boxes_share_a_place_and_no_line_crosses_a_box(inputs: list[list[int]]) -> None:
    layout = lay_out(inputs)
    places = list(zip(layout.rows, layout.columns, strict=True))
    assert len(set(places)) == len(places)
    assert max(layout.rows) == layout.rows[-1]
    assert len(layout.edges) == sum(len(feeding) for feeding in inputs)
    for edge in layout.edges:
        start = 0 if edge.source == ENTRY else layout.rows[edge.source]
        passed = range(start + 1, layout.rows[edge.target])
        assert start < layout.rows[edge.target]
        assert not passed or edge.column is not None
        assert not any((row, edge.column) in places for row in passed)
