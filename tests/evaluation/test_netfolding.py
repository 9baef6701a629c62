from report_samples import LayerSample, conv, fire, net, residual

from fireweed.evaluation.netfolding import find_stretches, fold_layers


def test_norms_and_activations_join_the_layer_they_follow() -> None:
    boxes = fold_layers(net(fire("fire1", "scaling")))
    titles = ["photo", "conv 1×1, 4", "conv 1×1, 8", "conv 3×3, 8", "concat", "global average", "dense, 5"]
    assert [box.title for box in boxes] == titles
    assert boxes[0].after == ("scaling",)
    assert boxes[1].after == ("norm",)
    assert boxes[4].inputs == (2, 3)
    assert sum(box.parameters for box in boxes) == sum(layer.parameters for layer in net(fire("fire1", "scaling")))
    assert sum(len(box.layers) for box in boxes) == len(net(fire("fire1", "scaling")))


def test_an_activation_behind_a_fork_joins_the_layer_ahead() -> None:
    boxes = fold_layers(net(residual("block", "scaling")))
    assert (boxes[1].before, boxes[1].title, boxes[1].after) == (("act",), "separable 3×3, 8", ("norm", "act"))
    assert boxes[3].title == "add"
    assert set(boxes[3].inputs) == {0, 2}


def test_equal_blocks_in_a_row_are_put_together() -> None:
    blocks = [residual(f"block{i}", f"block{i - 1}" if i else "scaling") for i in range(8)]
    layers = net(*blocks, fire("fire1", "block7"))
    boxes = fold_layers(layers)
    stretches = find_stretches(boxes)
    assert [stretch.times for stretch in stretches if stretch.times > 1] == [8]
    drawn = sum((stop - start) * stretch.times for stretch in stretches for start, stop in stretch.segments)
    assert drawn == len(boxes)


def test_unlike_blocks_are_not_put_together() -> None:
    wide = [conv("a", "scaling", 3, 8), conv("b", "a", 3, 16), conv("c", "b", 3, 32), conv("d", "c", 3, 64)]
    assert all(stretch.times == 1 for stretch in find_stretches(fold_layers(net(wide))))


def test_a_pattern_of_several_segments_is_found() -> None:
    layers = []
    for number in range(4):
        source = f"pool{number - 1}" if number else "scaling"
        layers += [conv(f"x{number}", source), conv(f"y{number}", f"x{number}", 1)]
        layers += [LayerSample(f"pool{number}", "MaxPooling2D", (f"y{number}",))]
    (repeated,) = [s for s in find_stretches(fold_layers(net(layers))) if s.times > 1]
    assert (len(repeated.segments), repeated.times) == (3, 4)


def test_layers_that_name_no_known_input_still_flow_in_order() -> None:
    layers = [
        LayerSample("a", "Conv2D", ("elsewhere",)),
        LayerSample("b", "Dense", ()),
        LayerSample("c", "Dense", ("b",)),
    ]
    assert [box.inputs for box in fold_layers(layers)] == [(), (0,), (1,)]
    assert fold_layers([]) == []
