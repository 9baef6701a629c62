"""What a model gives does not depend on the way by which it is asked."""

import numpy as np
import pytest
from shaken_nets import shake

from fireweed.models.pretrained import split_frozen
from fireweed.models.registry import build_model
from fireweed.serving.answering import outputs


@pytest.mark.parametrize(("name", "side"), [("mobilenetv2", 32), ("convnext-tiny", 32)])
def test_a_backbone_for_any_side_gives_its_features(name, side):
    backbone, _ = split_frozen(shake(build_model(name, 3, None, freeze=True)))
    squares = np.random.default_rng(0).integers(0, 256, (5, side, side, 3)).astype(np.uint8)
    expected = np.asarray(backbone(squares.astype(np.float32)))
    assert outputs(backbone, squares, 8) == pytest.approx(expected, abs=1e-4 * float(np.abs(expected).max()))
    larger = np.random.default_rng(1).integers(0, 256, (2, 48, 48, 3)).astype(np.uint8)
    expected = np.asarray(backbone(larger.astype(np.float32)))
    assert outputs(backbone, list(larger), 8) == pytest.approx(expected, abs=1e-4 * float(np.abs(expected).max()))
