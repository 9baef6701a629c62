"""How fast the steps of a training were at each side, for the estimates of later ones."""

ENOUGH_STEPS = 10  # that a rate must rest on


class SideSpeeds:
    """Adds up the steps at each side.

    The first epoch is left out where later ones at its side say enough: photos are decoded in it.
    """

    def __init__(self) -> None:
        self._first: tuple[int, int, float, float] | None = None
        self._later: dict[int, tuple[int, float, float]] = {}

    def add(self, side: int, steps: int, photos: float, seconds: float) -> None:
        """Count steps of an epoch but its first, which traces and compiles; they took `photos` in `seconds`."""
        if self._first is None:
            self._first = (side, steps, photos, seconds)
            return
        before = self._later.get(side, (0, 0.0, 0.0))
        self._later[side] = (before[0] + steps, before[1] + photos, before[2] + seconds)

    def images_per_second(self) -> dict[int, float]:
        """Return the rate at each side of which there were enough steps."""
        found = {side: counted for side, counted in self._later.items() if counted[0] >= ENOUGH_STEPS}
        if self._first is not None and self._first[1] >= ENOUGH_STEPS:
            found.setdefault(self._first[0], self._first[1:])
        return {side: photos / seconds for side, (_, photos, seconds) in found.items() if seconds > 0}
