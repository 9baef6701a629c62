"""The five flowers of the drawn set: their heads, and what their leaves and stems look like."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fireweed.data.painting import (
    Bloom,
    Canvas,
    circle,
    directions,
    jitter,
    paint_petals,
    paint_seeds,
    petal,
    ring,
    sunlit,
)

_WHITE = np.array((253.0, 253.0, 250.0))
# Both are red, pink, yellow, white and orange: the two cannot be told apart by colour.
_ROSE_COLORS = (
    (178, 18, 36), (214, 40, 60), (232, 110, 140), (246, 170, 180), (246, 206, 90), (248, 238, 222), (240, 140, 80),
)  # fmt: skip
_TULIP_COLORS = (
    (196, 20, 34), (228, 60, 50), (236, 110, 150), (250, 200, 40), (120, 40, 120), (246, 240, 232), (244, 130, 40),
)  # fmt: skip


def daisy(canvas: Canvas, bloom: Bloom) -> None:
    """Paint narrow white petals, at times with a touch of pink, around a small yellow dome."""
    random = canvas.random
    count = int(random.integers(14, 25))
    blush = jitter(random, (238, 170, 190)) if random.random() < 0.2 else jitter(random, (205, 208, 216), 5)
    shape = petal(random.uniform(0.72, 0.8), random.uniform(3.4, 4.6) / count, 1.25, 0.45)
    for start in (0.22, 0.2):
        paint_petals(
            canvas, bloom, _varied(canvas, shape, count, 0.88), ring(random, count, 0.05), start, blush, _WHITE
        )
    rim, core = jitter(random, (226, 158, 20)), jitter(random, (250, 214, 60))
    paint_seeds(canvas, bloom, random.uniform(0.25, 0.33), 90, rim, core)


def dandelion(canvas: Canvas, bloom: Bloom) -> None:
    """Paint a head of many fine yellow straps, or, one time in three, the ball of seeds it turns into."""
    random = canvas.random
    if random.random() < 0.33:
        dandelion_clock(canvas, bloom)
        return
    outer, inner = jitter(random, (252, 214, 40)), jitter(random, (240, 168, 8))
    strap = petal(1, 0.13, 1.5, 0.3, points=6)
    layers = np.stack([strap, strap * (0.97, 0.6)])
    for reach in np.linspace(1, 0.28, 8):
        angles = ring(random, int(16 + 22 * reach), 0.1)
        lengths = reach * random.uniform(0.85, 1.0, len(angles))
        outlines = layers * np.stack([lengths, np.ones_like(lengths)], 1)[:, None, None]
        glow = sunlit(canvas, angles, 0.12)[:, None, None] * np.array([[0.78], [1.0]])
        canvas.fill(bloom.petals(outlines, angles), (glow * (inner + (outer - inner) * reach)).reshape(-1, 3))


def dandelion_clock(canvas: Canvas, bloom: Bloom) -> None:
    """Paint a ball of white parachutes on fine rays, through which one sees what lies behind."""
    random, behind = canvas.random, canvas.pixels.copy()
    white = jitter(random, (238, 238, 234), 5)
    canvas.fill(bloom.place(circle(0.9)), white * 0.85)
    canvas.pixels = (0.72 * behind + 0.28 * canvas.pixels).astype(np.uint8)
    count = 110
    angles, reach = ring(random, count, 0.2), 0.92 * np.sqrt(random.uniform(0.1, 1, count))
    rays = np.zeros((count, 2, 2))
    rays[..., 0] = np.stack([np.full(count, 0.1), reach], 1)
    canvas.line(bloom.place(rays, angles), white * 0.78, 0.003)
    hairs = 0.15 * directions(np.linspace(-1.3, 1.3, 6))
    parachute = np.stack([np.zeros_like(hairs), hairs], 1).reshape(-1, 2)  # out along each hair and back
    parachutes = parachute + np.stack([reach, np.zeros(count)], 1)[:, None]
    canvas.line(bloom.place(parachutes, angles), white * random.uniform(0.9, 1.05, (count, 1)), 0.003)
    paint_seeds(canvas, bloom, 0.13, 24, jitter(random, (120, 92, 60)), jitter(random, (160, 130, 90)))


def rose(canvas: Canvas, bloom: Bloom) -> None:
    """Paint broad round petals that overlap and close to a spiral in the middle."""
    random = canvas.random
    color = jitter(random, _ROSE_COLORS[random.integers(len(_ROSE_COLORS))])
    dark = color * (0.5 + 0.4 * color / 255)  # a shadow between petals is a deeper colour, not a greyer one
    pale = color + (255 - color) * random.uniform(0.15, 0.45)
    share = np.linspace(0, 1, 6)[:, None]  # from the pale rim to the dark inside
    nested = np.concatenate([[[1.025, 1.05]], np.concatenate([1 - 0.32 * share, 1 - 0.36 * share], 1)])[:, None]
    tints = np.concatenate([[dark * 0.72], pale + (dark - pale) * share**0.7])
    angle = random.uniform(0, 2 * np.pi)
    for reach, count in ((1.0, 5), (0.8, 5), (0.6, 4), (0.42, 3), (0.27, 3)):
        angles = angle + np.cumsum(2 * np.pi / count + random.normal(0, 0.12, count))
        angle = angles[-1] + 2.4
        shape = petal(1, 1, 2.0, 0.55)
        sizes = reach * np.stack([random.uniform(0.9, 1.06, count), random.uniform(1.2, 1.5, count)], 1)
        outlines = nested * (shape * sizes[:, None])[:, None]
        colors = tints * sunlit(canvas, angles)[:, None, None]
        canvas.fill(bloom.petals(outlines, angles), colors.reshape(-1, 3))
    turn = np.linspace(0.4, 3.2 * np.pi, 30)
    spiral = (0.14 - 0.04 * turn / np.pi)[:, None] * directions(turn)
    canvas.line(bloom.place(spiral, angle)[None], dark * 0.7, 0.03 * bloom.radius)


def sunflower(canvas: Canvas, bloom: Bloom) -> None:
    """Paint two rows of pointed yellow petals around a large brown disc of seeds."""
    random = canvas.random
    count, disc = int(random.integers(17, 26)), random.uniform(0.4, 0.54)
    dark, pale = jitter(random, (226, 142, 6)), jitter(random, (255, 214, 36))
    shape = petal(1.04 - disc, random.uniform(5.2, 6.4) / count, 0.85, 0.85)
    for row in (1.0, 0.9):
        outlines = _varied(canvas, shape * (row, 1), count, 0.9)
        paint_petals(canvas, bloom, outlines, ring(random, count, 0.07), disc - 0.06, dark * row, pale)
    core = jitter(random, (58, 40, 18)) if random.random() < 0.6 else jitter(random, (110, 112, 40))
    paint_seeds(canvas, bloom, disc, 260, jitter(random, (118, 68, 22)), core)


def tulip(canvas: Canvas, bloom: Bloom) -> None:
    """Paint the cup of a tulip from the side: petals behind, two at the sides, one in front."""
    random = canvas.random
    color = jitter(random, _TULIP_COLORS[random.integers(len(_TULIP_COLORS))])
    pale = color + (255 - color) * random.uniform(0.1, 0.35)
    rim = jitter(random, (250, 226, 120)) if random.random() < 0.2 else color * 0.74
    spread, width = random.uniform(0.12, 0.42), random.uniform(0.8, 1.0)
    side = np.array([-0.5, 0.5, 0.0, -1.0, 1.0, random.normal(0, 0.12)])
    light = np.array([0.72, 0.72, 0.66, 0.92, 0.92, 1.0])[:, None]
    outlines = np.repeat(petal(1.9, width, 0.82, 0.66)[None], len(side), 0)
    outlines[..., 0] *= 1 - 0.06 * np.abs(side[:, None])
    outlines[..., 1] += 0.22 * width * side[:, None]
    cup = replace(bloom, center=bloom.place(np.array([0.0, 0.95])))
    paint_petals(canvas, cup, outlines, side * spread - np.pi / 2, 0.0, rim * light, pale * light)


def _varied(canvas: Canvas, outline: np.ndarray, count: int, shortest: float) -> np.ndarray:
    """Return `count` copies of an outline, each a little shorter or longer: shape (count, k, 2)."""
    lengths = canvas.random.uniform(shortest, 1.05, count)
    return outline * np.stack([lengths, np.ones(count)], 1)[:, None]


def _toothed(outline: np.ndarray, teeth: int, depth: float) -> np.ndarray:
    """Cut teeth into a leaf's outline, each leaning to the tip."""
    return outline * np.stack([np.ones(len(outline)), 1 - depth * (outline[:, 0] * teeth % 1)], 1)


@dataclass(frozen=True)
class Kind:
    """What tells one class from another: how to paint its head, its leaves and its stem.

    leaf:       outline of a leaf along +x, its length 1, shape (corners, 2).
    leaf_reach: least and largest length of a leaf, in bloom radii.
    stem:       thickness in bloom radii.
    upright:    whether the head is seen from the side and stands on its stem, as a tulip's does.
    """

    paint: Callable[[Canvas, Bloom], None]
    leaf: np.ndarray
    leaf_reach: tuple[float, float]
    stem: float
    upright: bool = False


KINDS: dict[str, Kind] = {
    "daisy": Kind(daisy, petal(1, 0.3, 1.5, 0.8), (0.5, 1.0), 0.09),
    "dandelion": Kind(dandelion, _toothed(petal(1, 0.4, 1.3, 0.7, points=31), 6, 0.75), (0.8, 1.5), 0.11),
    "roses": Kind(rose, _toothed(petal(1, 0.62, 0.85, 0.75, points=37), 11, 0.16), (0.5, 0.9), 0.12),
    "sunflowers": Kind(sunflower, petal(1, 0.8, 0.7, 0.7), (0.6, 1.1), 0.15),
    "tulips": Kind(tulip, petal(1, 0.2, 0.8, 0.7), (2.0, 3.2), 0.17, upright=True),
}
