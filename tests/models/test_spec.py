"""A net as a line of text: what lines mean, what is wrong with others, and that a line is bounded."""

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireweed.errors import ModelError
from fireweed.models.registry import build_model
from fireweed.models.spec import build_net, is_line, parameters_of, parse_line
from fireweed.models.words import Block, Net

CODELAB = "conv 32 | fire 24 48 | pool | fire 48 96 | pool | fire 64 128 | pool | fire 48 96 | pool | fire 24 48 | gap"


def test_the_codelabs_net_as_a_line_is_the_named_net():
    line, named = build_model(CODELAB, 5, 32), build_model("squeezenet", 5, 32)
    assert line.count_params() == 120_613
    assert [w.shape for w in line.weights] == [w.shape for w in named.weights]


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("conv 32", Block("conv", (32, 3, 1))),
        ("conv 32 5", Block("conv", (32, 5, 1))),
        ("conv 32 /2", Block("conv", (32, 3, 2))),
        ("conv 32 1 /2 x3", Block("conv", (32, 1, 2), 3)),
        ("fire 24 48 x 2", Block("fire", (24, 48), 2)),
        ("fire 24 48 x2", Block("fire", (24, 48), 2)),
        ("pool", Block("pool", ("max",))),
        ("pool avg x2", Block("pool", ("avg",), 2)),
        ("sep 64 3 /2", Block("sep", (64, 3, 2))),
        ("norm batch", Block("norm", ("batch", 0.9))),
        ("norm batch .99", Block("norm", ("batch", 0.99))),
        ("norm none", Block("norm", ("none", None))),
        ("drop 0", Block("drop", (0.0,))),
        ("\tinception  8\n16 ", Block("inception", (8, 16))),
    ],
)
def test_what_a_block_means(line, meaning):
    assert parse_line(line) == Net((meaning,))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("conv 32 | fyre 24 48", "character 11: 'fyre' is no block; did you mean 'fire'?"),
        ("conv 32 | 7", "character 11: '7' is no block; there are: conv, fire"),
        ("conv", "character 1: 'conv' lacks the number of filters; it is written 'conv F [K] [/S]'"),
        ("gap | dense", "character 7: 'dense' lacks the number of neurons; it is written 'dense N'"),
        ("conv many", "character 6: 'many' after 'conv' is no number; the number of filters is expected"),
        ("conv 0", "character 6: '0' after 'conv' is out of range; the number of filters goes from 1 to 4,096"),
        ("conv " + "9" * 3000, "out of range"),
        ("conv 32 99", "character 9: '99' after 'conv' is out of range; the kernel size goes from 1 to 15"),
        ("conv 32 3 /9", "character 11: '/9' after 'conv' is out of range; the stride"),
        ("conv 32 3 4", "character 11: '4' is one word too many; it is written 'conv F [K] [/S]'"),
        ("fire 24 49", "character 9: '49' after 'fire' is odd; .* use 50"),
        ("pool mx", "character 6: 'mx' after 'pool' is no kind of pooling; did you mean 'max'?"),
        ("drop 1.0", "character 6: '1.0' after 'drop' .* from 0 to below 1"),
        ("drop nan", "'nan' after 'drop'"),
        ("norm none 0.9", "character 11: '0.9' is one word too many"),
        ("conv 8 x", "character 8: a number is missing after 'x'"),
        ("conv 8 x0", "character 8: 'x0' cannot repeat a block '0' times"),
        ("conv 8 x 999999999999", "cannot repeat"),
        ("gap x2", "character 5: 'gap' comes once"),
        ("conv 8 || pool", "character 9: a block is missing here"),
        ("conv 8 |", "character 9: a block is missing here"),
        ("conv 8 | gap | conv 8", "character 16: 'conv' comes after 'gap'"),
        ("flatten | gap", "character 11: 'gap' comes after 'flatten'"),
        ("conv 8 | dense 5", "character 10: 'dense' needs 'gap' or 'flatten' somewhere before it"),
        ("conv 8 | pool x13", "character 10: 'pool x13' leaves nothing of any photo"),
        ("conv 8 x200 | conv 8 x200", "more than 256 blocks"),
        ("conv 8 | " * 2000, "at most 4,000 are read"),
    ],
)
def test_an_error_points_at_the_word(line, message):
    with pytest.raises(ModelError, match=message.replace("[", r"\[").replace("?", r"\?")) as caught:
        parse_line(line)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_control_characters_of_a_line_do_not_reach_the_terminal():
    with pytest.raises(ModelError) as caught:
        parse_line("conv 8 | \x1b[31mred")
    assert "\x1b" not in str(caught.value)


def test_a_hostile_line_is_refused_before_it_is_built():
    with pytest.raises(ModelError, match="parameters, more than 200,000,000; use fewer filters"):
        build_model("conv 4096 15 x100", 5, 32)
    with pytest.raises(ModelError, match="gap instead of flatten"):
        build_model("flatten | dense 4096", 5, 4096)


def test_a_norm_holds_for_all_blocks_after_it():
    model = build_model("conv 4 | norm none | fire 2 4 | norm batch 0.5 | sep 4 | inception 2 2", 5, 8)
    momenta = {la.name: la.momentum for la in model.layers if isinstance(la, keras.layers.BatchNormalization)}
    assert momenta == {"conv1_norm": 0.9, "sep1_norm": 0.5, "inception1_1x1_norm": 0.5, "inception1_3x3_norm": 0.5}


def test_without_an_end_the_picture_is_averaged():
    assert build_model("conv 4", 5, 8).count_params() == build_model("conv 4 | gap", 5, 8).count_params()
    head = [type(layer).__name__ for layer in build_model("gap | dense 7 | drop 0.5", 5, 8).layers]
    assert head[-4:] == ["GlobalAveragePooling2D", "Dense", "Dropout", "Dense"]


def test_strides_and_average_pools_make_the_picture_smaller():
    model = build_model("conv 4 /2 | sep 6 5 /2 | pool avg", 5, 32)
    assert model.get_layer("pool1").output.shape == (None, 4, 4, 6)
    assert isinstance(model.get_layer("pool1"), keras.layers.AveragePooling2D)


def test_names_are_no_lines_and_lines_are():
    assert [is_line(text) for text in ("squeezenet", "conv 32", "conv|pool", "gap", "squeznet")] == [
        False, True, True, True, False,
    ]  # fmt: skip


counts = st.integers(1, 12)
blocks_of_pictures = st.one_of(
    st.builds(lambda f, k, s, n: Block("conv", (f, k, s), n), counts, st.integers(1, 5), st.integers(1, 2), counts),
    st.builds(lambda f, k, s, n: Block("sep", (f, k, s), n), counts, st.integers(1, 5), st.integers(1, 2), counts),
    st.builds(lambda s, e: Block("fire", (s, 2 * e)), counts, counts),
    st.builds(lambda a, b, n: Block("inception", (a, b), n), counts, counts, st.integers(1, 2)),
    st.builds(lambda kind: Block("pool", (kind,)), st.sampled_from(["max", "avg"])),
    st.builds(lambda m: Block("norm", ("batch", m)), st.floats(0, 1, exclude_max=True)),
    st.builds(lambda p: Block("drop", (p,)), st.floats(0, 1, exclude_max=True)),
    st.just(Block("norm", ("none", None))),
)
ends = st.one_of(
    st.just(()),
    st.just((Block("gap"),)),
    st.builds(lambda word, n: (Block(word), Block("dense", (n,), 2)), st.sampled_from(["gap", "flatten"]), counts),
)
nets = st.builds(lambda body, end: Net((*body, *end)), st.lists(blocks_of_pictures, min_size=1, max_size=6), ends)


@given(nets.filter(lambda net: net.min_side_px <= 4096 and sum(b.times for b in net.blocks) <= 256))
def test_a_net_written_as_a_line_reads_as_the_same_net(net):
    assert parse_line(str(net)) == net


@settings(max_examples=8, deadline=None)
@given(nets.filter(lambda net: net.min_side_px <= 40 and sum(b.times for b in net.blocks) <= 10), st.integers(40, 43))
def test_parameters_are_counted_right_before_a_net_is_built_and_its_smallest_side_works(net, side):
    assert parameters_of(net, 3, side) == build_net(net, 3, side).count_params()
    smallest = build_net(net, 3, net.min_side_px)
    assert all(size for layer in smallest.layers for size in layer.output.shape[1:])
