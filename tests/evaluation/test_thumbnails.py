import base64
import io

import numpy as np
from PIL import Image

from fireweed.evaluation.thumbnails import data_address, within_budget


def opened(address: str) -> Image.Image:
    kind, data = address.split(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_photo_is_scaled_down_with_its_colours_and_never_up() -> None:
    image = np.zeros((300, 600, 3), np.uint8)
    image[:, :, 0] = 200
    small = opened(data_address(image, 160))
    assert small.size == (160, 80)
    assert np.abs(np.asarray(small).astype(int) - (200, 0, 0)).max() <= 4
    assert opened(data_address(image[:20, :30], 160)).size == (30, 20)
    assert opened(data_address(image[:, :, 0], 160)).mode == "RGB"


def test_as_many_photos_as_the_budget_allows() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8)
    one = len(data_address(noise, 160))
    assert len(within_budget([noise] * 9, 160, most=9, budget_bytes=3 * one)) == 3
    assert len(within_budget([noise] * 9, 160, most=2, budget_bytes=9 * one)) == 2
    assert within_budget([], 160, most=2, budget_bytes=100) == []
