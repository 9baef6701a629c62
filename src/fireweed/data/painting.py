"""A canvas to paint on, and the petals and seeds that the drawn flowers are made of."""

from dataclasses import dataclass

import numpy as np

CANVAS_PX = 256
COARSE_PX = CANVAS_PX // 2  # clouds and the like are made smaller and stretched: they are soft anyway
_GOLDEN_ANGLE = np.pi * (3 - 5**0.5)
_FIXED_POINT_BITS = 4  # OpenCV takes the corners of shapes in sixteenths of a pixel

Random = np.random.Generator
Color = np.ndarray  # RGB, 0..255, float of shape (3,)


@dataclass
class Canvas:
    """A square picture being painted, with the chance and the sunlight that all its parts share.

    All places and lengths are fractions of the side; x goes right, y down.

    pixels: uint8 of shape (CANVAS_PX, CANVAS_PX, 3), RGB.
    sun:    direction the light comes from, in radians; petals that point there are brighter.
    """

    pixels: np.ndarray
    random: Random
    sun: float

    def fill(self, polygons: np.ndarray, colors: np.ndarray) -> None:
        """Fill polygons, one over the other: corners of shape (polygons, corners, 2), colours (polygons, 3) or (3,)."""
        import cv2

        colors = np.broadcast_to(colors, (len(polygons), 3)).tolist()
        for corners, color in zip(_fixed(polygons), colors, strict=True):
            cv2.fillPoly(self.pixels, [corners], color, cv2.LINE_AA, _FIXED_POINT_BITS)

    def line(self, lines: np.ndarray, colors: np.ndarray, width: float) -> None:
        """Draw open lines: points of shape (lines, points, 2), colours (lines, 3) or (3,), all of one width."""
        import cv2

        thick = max(1, round(width * CANVAS_PX))
        colors = np.broadcast_to(colors, (len(lines), 3)).tolist()
        for points, color in zip(_fixed(lines), colors, strict=True):
            cv2.polylines(self.pixels, [points], False, color, thick, cv2.LINE_AA, _FIXED_POINT_BITS)

    def dot(self, centers: np.ndarray, radii: np.ndarray | float, colors: np.ndarray) -> None:
        """Paint discs: centres of shape (discs, 2), radii (discs,) or one, colours (discs, 3) or (3,)."""
        import cv2

        count = len(centers)
        sizes = _fixed(np.broadcast_to(radii, count)).tolist()
        colors = np.broadcast_to(colors, (count, 3)).tolist()
        for center, size, color in zip(_fixed(centers).tolist(), sizes, colors, strict=True):
            cv2.circle(self.pixels, center, size, color, cv2.FILLED, cv2.LINE_AA, _FIXED_POINT_BITS)

    def noise(self, cells: int) -> np.ndarray:
        """Return smooth chance of about `cells` hills a side, mostly within 0..1, float32 (COARSE_PX, COARSE_PX, 1)."""
        import cv2

        hills = self.random.random((cells, cells), np.float32)
        return cv2.resize(hills, (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_CUBIC)[..., None]

    def cover(self, picture: np.ndarray) -> None:
        """Cover the canvas with a soft picture of 0..255, float32 of shape (COARSE_PX, COARSE_PX, 3)."""
        import cv2

        coarse = np.clip(picture, 0, 255).astype(np.uint8)
        self.pixels = cv2.resize(coarse, (CANVAS_PX, CANVAS_PX), interpolation=cv2.INTER_LINEAR)

    def cloud(self, one: Color, two: Color, cells: int) -> None:
        """Cover the canvas with two colours that run into each other, coarse and fine."""
        share = 0.7 * self.noise(cells) + 0.3 * self.noise(4 * cells)
        self.cover(one + (two - one) * share)

    def soften(self, blur: float) -> None:
        """Blur all that was painted so far: it then lies out of focus."""
        import cv2

        self.pixels = cv2.GaussianBlur(self.pixels, (0, 0), max(blur * CANVAS_PX, 0.3))

    def shade(self, center: np.ndarray, radius: float, strength: float) -> None:
        """Darken softly around a point: the shadow that a bloom throws on what lies behind it."""
        left, top = np.clip((center - 2 * radius) * CANVAS_PX, 0, CANVAS_PX).astype(int)
        right, bottom = np.clip((center + 2 * radius) * CANVAS_PX, 0, CANVAS_PX).astype(int)
        place = np.linspace(0, 1, CANVAS_PX)[:, None]
        across, down = np.exp(-(((place - center) / radius) ** 2)).astype(np.float32).T
        light = 1 - np.float32(strength) * down[top:bottom, None] * across[left:right]
        self.pixels[top:bottom, left:right] = self.pixels[top:bottom, left:right] * light[..., None]


@dataclass(frozen=True)
class Bloom:
    """Where a flower head lies on the canvas: centre, radius, and the 2 x 2 matrix that tilts row vectors."""

    center: np.ndarray
    radius: float
    view: np.ndarray

    def place(self, points: np.ndarray, angles: np.ndarray | float = 0.0, start: float = 0.0) -> np.ndarray:
        """Lay points of the unit bloom on the canvas, moved outward by `start` and turned by the angle.

        Points of shape (..., 2) keep their shape for one angle; for n angles, points of shape (k, 2), the same for
        all, or (n, k, 2) give (n, k, 2).
        """
        return (points + np.array((start, 0.0))) @ rotation(angles) @ (self.view * self.radius) + self.center

    def petals(self, outlines: np.ndarray, angles: np.ndarray, start: float = 0.0) -> np.ndarray:
        """Place petals by their angles, each in layers: outlines (n, layers, k, 2) give polygons (n * layers, k, 2)."""
        count, layers, corners, _ = outlines.shape
        return self.place(outlines.reshape(count, -1, 2), angles, start).reshape(count * layers, corners, 2)


def rotation(angles: np.ndarray | float) -> np.ndarray:
    """Return the matrices that turn row vectors by angles in radians: shape (2, 2) for one, (n, 2, 2) for n."""
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)


def circle(radius: float, corners: int = 28) -> np.ndarray:
    """Return the corners of a circle around 0, shape (1, corners, 2): one polygon to place."""
    return radius * directions(np.linspace(0, 2 * np.pi, corners, endpoint=False))[None]


def directions(angles: np.ndarray) -> np.ndarray:
    """Return the unit vectors of angles in radians: (n,) gives (n, 2)."""
    return np.stack([np.cos(angles), np.sin(angles)], -1)


def petal(length: float, width: float, belly: float, blunt: float, points: int = 11) -> np.ndarray:
    """Return the outline of a petal or leaf along +x, float of shape (2 * points, 2).

    belly: where it is widest; 1 in the middle, more nearer the tip. blunt: 0.4 is a strap, 1 an almond.
    """
    along = np.linspace(0, 1, points)
    half = width / 2 * np.sin(np.pi * along**belly) ** blunt
    return np.concatenate([np.stack([along * length, half], 1), np.stack([along * length, -half], 1)[::-1]])


def ring(random: Random, count: int, unrest: float) -> np.ndarray:
    """Return `count` directions around a circle in radians, none quite where it should be, in an order of chance."""
    even = np.arange(count) * 2 * np.pi / count + random.uniform(0, 2 * np.pi)
    return random.permutation(even + random.normal(0, unrest, count))


def jitter(random: Random, color: tuple[int, int, int], amount: float = 8.0) -> Color:
    """Return the colour a little changed: lighter or darker as a whole, and in each of its three parts."""
    return np.clip(np.array(color) * random.normal(1, amount / 120) + random.normal(0, amount / 2, 3), 0, 255)


def sunlit(canvas: Canvas, angles: np.ndarray, strength: float = 0.16) -> np.ndarray:
    """Return how bright petals are that point in these directions, about 1, of shape (n,)."""
    return 1 + strength * np.cos(angles - canvas.sun) + canvas.random.normal(0, 0.05, np.shape(angles))


def paint_petals(
    canvas: Canvas, bloom: Bloom, outlines: np.ndarray, angles: np.ndarray, start: float, dark: Color, pale: Color
) -> None:
    """Paint petals one over the other, each in four layers from its dark rim to its pale middle.

    outlines: float of shape (n, k, 2), each along +x; angles: radians of shape (n,); colours (3,) or (n, 3).
    """
    depth = np.arange(4)[:, None]
    length = outlines[..., 0].max(-1)[:, None, None]
    along = outlines[:, None, :, 0] * (1 - 0.12 * depth) + 0.08 * depth * length
    across = outlines[:, None, :, 1] * (1 - 0.26 * depth)
    layers = bloom.petals(np.stack([along, across], -1), angles, start)
    dark, pale = (np.broadcast_to(color, (len(angles), 3))[:, None] for color in (dark, pale))
    colors = (dark + (pale - dark) * depth / 3) * sunlit(canvas, angles)[:, None, None]
    canvas.fill(layers, colors.reshape(-1, 3))


def paint_seeds(canvas: Canvas, bloom: Bloom, radius: float, count: int, rim: Color, core: Color) -> None:
    """Paint a disc of seeds in the spiral order of sunflowers (Vogel 1979, doi:10.1016/0025-5564(79)90080-4)."""
    canvas.fill(bloom.place(circle(radius)), rim * 0.7)
    number = np.arange(count, 0, -1) - 0.5
    out, turn = radius * np.sqrt(number / count), number * _GOLDEN_ANGLE
    light = 1 + 0.22 * (out / radius) * np.cos(turn - canvas.sun) + canvas.random.normal(0, 0.1, count)
    colors = (core + (rim - core) * (out / radius)[:, None] ** 2) * light[:, None]
    canvas.dot(bloom.place(out[:, None] * directions(turn)), 1.25 * radius * bloom.radius / count**0.5, colors)


def _fixed(lengths: np.ndarray) -> np.ndarray:
    return np.rint(lengths * (CANVAS_PX << _FIXED_POINT_BITS)).astype(np.int32)
