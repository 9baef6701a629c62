"""The embedded set "drawn": photos of five flowers drawn by program, so that a first training needs no download."""

import secrets
import shutil
from pathlib import Path

import numpy as np

from fireweed.data.blooms import KINDS, Kind
from fireweed.data.painting import CANVAS_PX, COARSE_PX, Bloom, Canvas, Color, Random, jitter, rotation
from fireweed.files import cache_folder, explained

PHOTOS_PER_CLASS = 100
SIDE_PX = CANVAS_PX // 2  # painted at twice the side and shrunk, which smooths what drawn lines leave rough
VERSION = 1


def drawn_folder() -> Path:
    """Return the folder of the drawn set in the cache, drawing it on first use, which takes a few seconds.

    It is drawn aside and renamed whole, so it is never found half done, not even when two processes draw at once.

    Raises:
        FireweedError: the cache cannot be written.
    """
    place = cache_folder() / f"drawn-v{VERSION}"
    if place.is_dir():
        return place
    aside = place.with_name(f".{secrets.token_hex(4)}.{place.name}")
    try:
        draw_photos(aside)
        aside.rename(place)
    except OSError as error:
        if not place.is_dir():  # else another process was first, with the same photos
            raise explained(error, place) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place


def draw_photos(folder: Path) -> None:
    """Draw the whole set into a new folder: a folder a class, PHOTOS_PER_CLASS JPEG files in each."""
    import cv2

    for name in KINDS:
        (folder / name).mkdir(parents=True)
        for number in range(PHOTOS_PER_CLASS):
            pixels = draw_photo(name, number)
            encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            (folder / name / f"{name}-{number:03d}.jpg").write_bytes(encoded.tobytes())


def draw_photo(name: str, number: int) -> np.ndarray:
    """Draw one photo: the same for the same class and number, uint8 RGB of shape (SIDE_PX, SIDE_PX, 3)."""
    kind = KINDS[name]
    random = np.random.Generator(np.random.Philox(key=(VERSION * 1000 + list(KINDS).index(name), number)))
    canvas = Canvas(np.zeros((CANVAS_PX, CANVAS_PX, 3), np.uint8), random, random.uniform(0, 2 * np.pi))
    paint_background = (grass, sky, soil, haze)[random.choice(4, p=(0.34, 0.22, 0.18, 0.26))]
    paint_background(canvas)
    if random.random() < 0.35:  # others of its kind, out of focus behind it
        for far in blooms(random, kind):
            far = Bloom(far.center, far.radius * 0.5, far.view)
            greenery(canvas, far, kind)
            kind.paint(canvas, far)
        canvas.soften(random.uniform(0.012, 0.025))
    near = blooms(random, kind)
    for bloom in near:
        greenery(canvas, bloom, kind)
    for bloom in near:
        canvas.shade(bloom.center + 0.15 * bloom.radius, 1.1 * bloom.radius, random.uniform(0.15, 0.45))
        kind.paint(canvas, bloom)
    return photographed(canvas)


def grass(canvas: Canvas) -> None:
    """Paint a lawn of many blades, in or out of focus."""
    random, count = canvas.random, 170
    dark, pale = jitter(random, (34, 66, 22), 14), jitter(random, (118, 160, 60), 18)
    canvas.cloud(dark, dark + (pale - dark) * 0.6, cells=6)
    feet = random.uniform((-0.1, 0), (1.1, 1.25), (count, 2))
    lean = random.normal(0, 0.09, count)
    tips = feet + np.stack([lean, -random.uniform(0.12, 0.4, count)], 1)
    middles = (feet + tips) / 2 - np.stack([lean / 4, np.zeros(count)], 1)
    blades = np.stack([feet, middles, tips], 1)
    colors = dark + (pale - dark) * random.uniform(0, 1.15, (count, 1))
    for width, some in zip((0.004, 0.008, 0.012), np.array_split(np.arange(count), 3), strict=True):
        canvas.line(blades[some], colors[some], width)
    canvas.soften(random.uniform(0.001, 0.022))


def sky(canvas: Canvas) -> None:
    """Paint a sky with clouds and, mostly, a far green horizon."""
    random = canvas.random
    high, low = jitter(random, (70, 125, 200), 20), jitter(random, (176, 208, 236), 12)
    down = np.linspace(0, 1, COARSE_PX, dtype=np.float32)[:, None, None]
    clouds = np.clip(canvas.noise(4) * 1.3 + canvas.noise(11) * 0.9 - random.uniform(0.7, 1.5), 0, 1)
    picture = (high + (low - high) * down) * (1 - clouds) + 246 * clouds
    horizon = random.uniform(0.6, 1.2) + 0.05 * canvas.noise(4)[0]
    green = jitter(random, (74, 112, 58), 16) * (0.8 + 0.4 * canvas.noise(14))
    far = np.clip((down - horizon) * 40, 0, 1)
    canvas.cover(picture * (1 - far) + green * far)
    canvas.soften(0.006)


def soil(canvas: Canvas) -> None:
    """Paint a garden bed: earth with crumbs, pebbles and a few blades."""
    random, crumbs = canvas.random, 150
    dark, pale = jitter(random, (62, 44, 32), 12), jitter(random, (142, 112, 84), 16)
    canvas.cloud(dark, pale, cells=9)
    colors = dark + (pale - dark) * random.uniform(-0.1, 1.3, (crumbs, 1))
    canvas.dot(random.random((crumbs, 2)), random.gamma(2, 0.006, crumbs), colors)
    feet = random.random((int(random.integers(0, 30)), 2))
    tips = feet + random.normal((0, -0.07), (0.05, 0.03), feet.shape)
    canvas.line(np.stack([feet, tips], 1), jitter(random, (88, 128, 54), 20), 0.008)
    canvas.soften(random.uniform(0.002, 0.012))


def haze(canvas: Canvas) -> None:
    """Paint a background far out of focus: two colours that run into each other, with discs of light."""
    random = canvas.random
    tints = ((28, 50, 26), (84, 120, 60), (150, 176, 120), (60, 60, 84), (196, 186, 170), (120, 84, 96), (20, 22, 24))
    one, two = (jitter(random, tints[i], 16) for i in random.choice(len(tints), 2, replace=False))
    canvas.cloud(one, two, cells=3)
    lights = int(random.integers(0, 14))
    colors = one + (two - one) * random.random((lights, 1)) + random.uniform(0, 40, (lights, 1))
    canvas.dot(random.random((lights, 2)), random.uniform(0.02, 0.09, lights), colors)
    canvas.soften(random.uniform(0.012, 0.03))


def blooms(random: Random, kind: Kind) -> list[Bloom]:
    """Choose how many blooms there are and where, the higher (farther) ones first, none quite covering another."""
    count = int(random.choice((1, 2, 3, 4), p=(0.5, 0.22, 0.18, 0.1)))
    radius = random.uniform(0.26, 0.43) / count**0.4 * (0.8 if kind.upright else 1.0)
    found: list[Bloom] = []
    for _ in range(60):
        center = np.array([0.5, 0.42 if kind.upright else 0.46]) + random.uniform(-1, 1, 2) * (0.12 + 0.07 * count)
        if all(np.hypot(*(center - other.center)) > 1.35 * radius for other in found):
            turn = random.normal(0, 0.16) if kind.upright else random.uniform(0, np.pi)
            view = rotation(turn)
            if not kind.upright:  # seen from somewhat aside: flattened in one direction
                view = view @ np.diag((1, random.uniform(0.62, 1.0))) @ view.T
            found.append(Bloom(center, radius * random.uniform(0.85, 1.1), view))
        if len(found) == count:
            break
    return sorted(found, key=lambda bloom: bloom.center[1])


def greenery(canvas: Canvas, bloom: Bloom, kind: Kind) -> None:
    """Paint the stem from the bloom down out of the picture, with a few leaves."""
    random = canvas.random
    green = jitter(random, (70, 118, 42), 16)
    foot = np.array([bloom.center[0] + random.normal(0, 0.12), 1.1])
    bend = (bloom.center + foot) / 2 + (random.normal(0, 0.05), 0)
    share = np.linspace(0, 1, 12)[:, None]
    stem = (1 - share) ** 2 * bloom.center + 2 * share * (1 - share) * bend + share**2 * foot
    for _ in range(int(random.integers(1, 4))):
        if kind.upright:  # a tulip's leaves rise from the ground and sheathe the stem
            base, angle = foot + np.array((random.normal(0, 0.03), 0.0)), -np.pi / 2 + random.normal(0, 0.35)
        else:
            base = stem[random.integers(4, 12)]
            angle = random.choice((-0.5, np.pi + 0.5)) + random.normal(0, 0.35)
        leaf = Bloom(base, bloom.radius * random.uniform(*kind.leaf_reach), np.eye(2))
        paint_leaf(canvas, leaf, angle, kind.leaf, green * random.uniform(0.75, 1.1))
    width = kind.stem * bloom.radius
    canvas.line(stem[None], green * 0.72, width)
    canvas.line(stem[None] - (width / 5, 0), green * 1.15, width * 0.4)


def paint_leaf(canvas: Canvas, place: Bloom, angle: float, outline: np.ndarray, green: Color) -> None:
    """Paint a leaf in two halves, one of them in the light, with its middle vein."""
    canvas.fill(place.place(outline, angle)[None], green * 0.8)
    canvas.fill(place.place(outline[: len(outline) // 2], angle)[None], green * 1.12)
    canvas.line(place.place(np.array([(0.0, 0.0), (0.95, 0.0)]), angle)[None], green * 1.35, 0.006)


def photographed(canvas: Canvas) -> np.ndarray:
    """Return the canvas as a camera might take it: shrunk, lit from one side, warm or cool, bright or dim, grainy."""
    import cv2

    random = canvas.random
    small = cv2.resize(canvas.pixels, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    x = np.linspace(-1, 1, SIDE_PX, dtype=np.float32)
    y = x[:, None]
    toward_sun = np.cos(canvas.sun) * x + np.sin(canvas.sun) * y
    slope, vignette = random.uniform(0, 0.2), random.uniform(0, 0.18)
    light = random.uniform(0.78, 1.15) * (1 + slope * toward_sun - vignette * (x * x + y * y))
    warmth = random.normal(0, 0.05)
    tint = np.array((1 + warmth, 1.0, 1 - warmth), np.float32)
    grain = random.standard_normal(small.shape, np.float32) * random.uniform(0.5, 3.5)
    return np.clip(small * light[..., None] * tint + grain, 0, 255).astype(np.uint8)
