"""`mixtures2d`: two mixtures of normal densities in the plane, to watch one being translated into the other.

After the demonstration of DiscoGAN (Kim et al. 2017, arXiv 1703.05192, section 4.1): five modes are to be translated
into ten. Where they lie is a choice made here: on circles about the origin, all of the same weight, the modes of the
source in the middle between those of the target.

    mixtures2d          the source half as wide as the target; both have the same deviation
    mixtures2d:close    the source drawn four times smaller: its modes lie close together, and a network that has
                        learnt nothing yet takes all of them to about the same place
"""

from __future__ import annotations

import math

from ganvas.data.points import Points
from ganvas.errors import UserError

SOURCE_MODES, TARGET_MODES = 5, 10
SOURCE_RADIUS, TARGET_RADIUS = 1.0, 2.0
DEVIATION = 0.1
CLOSER = 4


def ring(name: str, modes: int, radius: float, turn: float = 0.0, scale: float = 1.0) -> Points:
    """Modes of equal weight, evenly spaced on a circle about the origin.

    Args:
        name: What they are called.
        modes: How many.
        radius: Of the circle.
        turn: Where the first lies, in steps from one mode to the next, counted from the x axis.
        scale: By which everything is multiplied.
    """
    angles = [2 * math.pi * (i + turn) / modes for i in range(modes)]
    # Rounded, because the last digits of sines differ between machines, and the hash of the data with them; so does
    # the sign of a zero, which adding one takes away.
    radius *= scale
    means = tuple((round(radius * math.cos(a), 12) + 0.0, round(radius * math.sin(a), 12) + 0.0) for a in angles)
    return Points(name, means, (DEVIATION * scale,) * modes)


def open_point_sides(parts: str) -> tuple[Points, Points]:
    """The two mixtures.

    Args:
        parts: Empty or `close`.

    Raises:
        UserError: Others are given.
    """
    if parts not in ("", "close"):
        raise UserError(f"mixtures2d has no part {parts!r}: write mixtures2d or mixtures2d:close.")
    scale = 1 / CLOSER if parts else 1.0
    source = ring("mixtures2d source", SOURCE_MODES, SOURCE_RADIUS, turn=0.25, scale=scale)
    return source, ring("mixtures2d target", TARGET_MODES, TARGET_RADIUS)
