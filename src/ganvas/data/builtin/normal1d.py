"""`normal1d`: numbers from a normal distribution, to watch a GAN learn a density that is known.

normal1d            mean 4, standard deviation 0.5
normal1d:-1,2       mean -1, standard deviation 2
"""

from __future__ import annotations

from ganvas.data.points import Points
from ganvas.errors import UserError

MEAN, DEVIATION = 4.0, 0.5
LARGEST = 1e6
"""Of the mean and the deviation: beyond, float32 has too few digits for the numbers to differ."""


def open_points(parts: str) -> Points:
    """The distribution.

    Args:
        parts: Mean and standard deviation with a comma between them; empty for the default.

    Raises:
        UserError: They are not two numbers, or make no distribution.
    """
    mean, deviation = MEAN, DEVIATION
    if parts:
        try:
            mean, deviation = map(float, parts.split(","))
        except ValueError:
            raise UserError(
                f"normal1d takes a mean and a standard deviation, as in normal1d:{MEAN:g},{DEVIATION:g}; not {parts!r}."
            ) from None
        if not (abs(mean) <= LARGEST and 1 / LARGEST <= deviation <= LARGEST):
            raise UserError(
                f"normal1d:{parts} cannot be learnt: the mean must be at most {LARGEST:,.0f} away from 0, and the "
                f"standard deviation from {1 / LARGEST:.6f} to {LARGEST:,.0f}."
            )
    name = f"normal1d:{mean:.12g},{deviation:.12g}" if parts else "normal1d"
    return Points(name, ((mean,),), (deviation,))
