import re
import xml.etree.ElementTree as Xml
from html import unescape

import pytest
from report_samples import EVIL_CLASS, LayerSample, conv, fire, net, residual

from fireweed.evaluation.netdrawing import draw_net


def boxes_of(drawing: str) -> list[tuple[float, float, float, float]]:
    found = []
    for group in Xml.fromstring(drawing).iter("g"):
        rect = group.find("rect")
        assert rect is not None
        found.append(tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height")))
    return found


def test_boxes_lie_inside_the_drawing_and_do_not_overlap() -> None:
    drawing = str(draw_net(net(fire("fire1", "scaling"), residual("block", "fire1"))))
    left, top, width, height = (float(n) for n in Xml.fromstring(drawing).attrib["viewBox"].split())
    boxes = boxes_of(drawing)
    assert len(boxes) == 10
    for number, (x, y, w, h) in enumerate(boxes):
        assert left <= x and x + w <= left + width
        assert top <= y and y + h <= top + height
        for other_x, other_y, _, _ in boxes[:number]:
            assert abs(x - other_x) >= w or abs(y - other_y) >= h


def test_branches_are_drawn_beside_each_other() -> None:
    drawing = str(draw_net(net(fire("fire1", "scaling"))))
    rows = [y for _, y, _, _ in boxes_of(drawing)]
    assert sorted(rows.count(y) for y in set(rows)) == [1, 1, 1, 1, 1, 2]
    assert drawing.count('class="edge"') == 7


def test_a_deep_net_is_folded_to_what_can_be_read() -> None:
    blocks = [residual(f"block{i}", f"block{i - 1}" if i else "scaling") for i in range(18)]
    layers = net(*blocks)
    assert len(layers) == 130
    drawing = str(draw_net(layers))
    assert "18 times" in drawing
    assert len(boxes_of(drawing)) <= 8


def test_names_of_layers_are_escaped_and_no_text_is_too_long() -> None:
    layers = net([LayerSample(EVIL_CLASS, "Weird<Layer>" * 20, ("scaling",)), conv("a", EVIL_CLASS)])
    drawing = str(draw_net(layers))
    assert "<svg onload" not in drawing
    assert "&lt;svg onload" in drawing
    titles = [unescape(text) for text in re.findall(r'class="box-title"[^>]*>([^<]*)<', drawing)]
    assert "…" in "".join(titles)
    assert max(map(len, titles)) < 36
    assert draw_net([]) == ""


@pytest.mark.parametrize("name", ["squeezenet", "inception"])
def test_nets_of_the_registry_are_drawn_with_all_their_layers(name: str) -> None:
    from fireweed.models.cost import layer_costs
    from fireweed.models.registry import build_model

    layers = layer_costs(build_model(name, 5, 96))
    drawing = str(draw_net(layers))
    titles = [title.text or "" for title in Xml.fromstring(drawing).iter("title")]
    assert {layer.name for layer in layers} == {part for title in titles for part in title.split(", ")}
    assert ">concat<" in drawing
