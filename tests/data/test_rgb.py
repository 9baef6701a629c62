"""Pictures of any mode as RGB."""

import io

import numpy as np
import pytest
from PIL import Image

from fireweed.data.decode import read_photo


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "I;16", "LA"])
def test_large_pictures_are_made_rgb_strip_by_strip_with_the_same_pixels(mode, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (70, 50, 4), np.uint8)
    picture = {
        "RGBA": lambda: Image.fromarray(noise),
        "P": lambda: Image.fromarray(noise[..., :3]).quantize(40),
        "L": lambda: Image.fromarray(noise[..., 0]),
        "I;16": lambda: Image.fromarray(noise[..., 0].astype(np.uint16) * 257),
        "LA": lambda: Image.fromarray(noise).convert("LA"),
    }[mode]()
    data = io.BytesIO()
    picture.save(data, "PNG")
    whole = read_photo(data.getvalue())
    monkeypatch.setattr("fireweed.data.rgb._STRIP_PIXELS", 500)
    assert np.array_equal(read_photo(data.getvalue()), whole)
