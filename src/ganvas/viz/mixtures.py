"""Two-dimensional mixtures translated into each other: which modes go where (Kim et al. 2017, fig. 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from ganvas.viz.figures import figure_pixels, new_figure

if TYPE_CHECKING:
    from ganvas.data.points import Points

POINTS = 200
"""Points drawn of each mode of the source."""
PLACES = 120
"""Places in each direction at which the discriminator is asked."""


def mode_points(data: Points, count: int, seed: int = 0) -> Float[Tensor, "K N 2"]:
    """Points of each mode of a mixture.

    Args:
        data: A mixture of K normal densities.
        count: N, points of each.
        seed: Of the draw.
    """
    noise = torch.randn(len(data.means), count, data.dimensions, generator=torch.Generator().manual_seed(seed))
    return torch.tensor(data.means)[:, None] + noise * torch.tensor(data.deviations)[:, None, None]


def mixtures_picture(
    generator: nn.Module, discriminator: nn.Module, source: Points, target: Points
) -> UInt8[np.ndarray, "H W 3"]:
    """Draws the source's modes in colours, and beside them where they are translated to.

    On the right crosses mark the modes of the target, and the ground is how real the discriminator thinks each place.

    Args:
        generator: Points (B, 2, 1, 1) to points of the target.
        discriminator: Points to a `Verdict` with head `image`.
        source: The mixture that is translated.
        target: The one that it is translated into.

    Raises:
        UserError: matplotlib is not installed.
    """
    figure = new_figure(960, 480)
    device = next(generator.parameters()).device
    drawn = mode_points(source, POINTS)
    modes, count, dimensions = drawn.shape
    low, high = _span(target)
    across = torch.linspace(low, high, PLACES)
    places = torch.stack(torch.meshgrid(across, across, indexing="xy"), -1).reshape(-1, dimensions)
    with torch.no_grad():
        moved = generator(drawn.reshape(-1, dimensions, 1, 1).to(device)).reshape(modes, count, -1).cpu()
        real = torch.sigmoid(discriminator(places[:, :, None, None].to(device)).heads["image"]).float().cpu()
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.05, right=0.98, top=0.92, bottom=0.07, wspace=0.12)
    right.pcolormesh(
        across, across, real.reshape(PLACES, PLACES), cmap="gray", vmin=0, vmax=1, shading="auto", rasterized=True
    )
    for axes, points, ends in ((left, drawn, _span(source)), (right, moved, (low, high))):
        for number in range(modes):
            axes.scatter(*points[number].T, s=6, color=f"C{number % 10}", linewidths=0)
        axes.set(xlim=ends, ylim=ends, aspect="equal")
    left.set_title(f"A: {modes} modes")
    right.scatter(*np.array(target.means).T, marker="x", s=90, color="tab:red", linewidths=2)
    right.set_title(f"A translated, crosses: {len(target.means)} modes of B; ground: D(x)")
    return figure_pixels(figure)


def _span(data: Points) -> tuple[float, float]:
    """The same for both axes: all modes, with six deviations around them."""
    reach = 6 * max(data.deviations)
    values = [value for mean in data.means for value in mean]
    return min(values) - reach, max(values) + reach
