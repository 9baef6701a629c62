"""Names, settings and limits of the nets; what is known of them before a framework is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from fireweed.errors import ModelError
from fireweed.models.registry import ENTRIES, build_model, find_entry, imagenet_at_hand, weight_file

PRETRAINED = ("xception", "mobilenetv2", "efficientnet-b0", "convnext-tiny", "resnet50v2")


def test_nothing_about_names_and_lines_imports_a_framework():
    code = (
        "import sys; from fireweed.models.registry import find_entry, imagenet_at_hand; "
        "find_entry('conv 32 | gap'); imagenet_at_hand('xception'); "
        "print({'keras', 'tensorflow', 'jax', 'numpy'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_a_misspelt_name_gets_the_nearest_one():
    with pytest.raises(ModelError, match=r"'squeznet'.*did you mean 'squeezenet'"):
        find_entry("squeznet")


def test_a_name_like_no_other_gets_the_list():
    with pytest.raises(ModelError, match=r"there are: .*squeezenet.*xception"):
        find_entry("qqq")


def test_a_line_is_known_by_its_form_and_measured_before_it_is_built():
    entry = find_entry(" conv 32  |  pool x4 | flatten ")
    assert (entry.name, entry.min_side_px, entry.has_flatten) == ("conv 32 | pool x4 | flatten", 16, True)
    assert find_entry("gap").name == "gap"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name_or_line": "squeezenet", "classes": 1}, "at least 2 classes, got 1"),
        ({"name_or_line": "squeezenet", "side": 8}, "side 8 px is too small for 'squeezenet'.*at least 16 px"),
        ({"name_or_line": "xception", "side": 70}, "at least 71 px"),
        ({"name_or_line": "conv 8 | pool x3", "side": 7}, "at least 8 px"),
        ({"name_or_line": "squeezenet", "side": 5000}, "at most 4096 px"),
        ({"name_or_line": "dense", "side": 4000}, "too large for 'dense'"),
        ({"name_or_line": "xception", "weights": "imagnet"}, "'none' or 'imagenet'.*'imagnet'"),
        ({"name_or_line": "squeezenet", "weights": "imagenet"}, "no ImageNet weights for 'squeezenet'.*xception"),
        ({"name_or_line": "squeezenet", "freeze": True}, "no pretrained part to freeze"),
        ({"name_or_line": "squeezenet", "dropout": 1.0}, "below 1, got 1.0"),
    ],
)
def test_settings_that_a_net_cannot_have_are_refused_before_it_is_built(settings, words):
    with pytest.raises(ModelError, match=words):
        build_model(**settings)


def test_weights_at_hand_are_found_in_kerass_own_folder(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert not imagenet_at_hand("xception")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "xception_weights_tf_dim_ordering_tf_kernels_notop.h5").touch()
    assert imagenet_at_hand("xception")
    assert not imagenet_at_hand("mobilenetv2")
    assert not imagenet_at_hand("squeezenet")


def test_the_pretrained_nets_are_those_with_a_weight_file():
    assert tuple(name for name, entry in ENTRIES.items() if entry.pretrained) == PRETRAINED
    assert all(weight_file(name).endswith(".h5") for name in PRETRAINED)
