import pytest

from fireweed.evaluation.svg import Chart, element, nice_ticks, tick_text


def test_content_and_attributes_are_escaped() -> None:
    markup = element("text", "<svg onload=alert(1)>", element("title", '"&'), class_='x" onload="y', text_anchor="end")
    assert markup == (
        '<text class="x&#34; onload=&#34;y" text-anchor="end">&lt;svg onload=alert(1)&gt;'
        "<title>&#34;&amp;</title></text>"
    )


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (1, 16, [5, 10, 15]), (0, 0.001, [0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001])],
)
def test_ticks_are_round_numbers_within_the_range(low: float, high: float, expected: list[float]) -> None:
    ticks = nice_ticks(low, high)
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert [tick_text(tick) for tick in ticks if tick_text(tick) in {tick_text(e) for e in expected}]
    assert 3 <= len(ticks) <= 8


def test_ticks_of_a_single_value_and_without_noise() -> None:
    assert nice_ticks(3, 3) == [3]
    assert [tick_text(tick) for tick in nice_ticks(0, 0.6)] == ["0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]
    assert tick_text(0.00002) == "2.0e-5"


def test_values_above_the_chart_stay_inside_the_drawing() -> None:
    chart = Chart((0.0, 1.0), (0.0, 2.0), "loss")
    assert chart.y(99.0) == chart.y(2.0) == chart.top
    chart.add_dot((0.5, 99.0), "validation", "epoch 1: 99")
    assert "<path" in chart.markup()
    assert "<circle" not in chart.markup()
