"""Two-dimensional mixtures translated into each other: which modes go where (Kim et al. 2017, fig. 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from ganvas.viz.figures import figure_pixels, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.05, right=0.98, top=0.92, bottom=0.07, wspace=0.12)
    draw_source(left, source)
    left.set_title(f"A: {len(source.means)} modes")
    draw_translated(right, generator, discriminator, source, target)
    right.set_title(f"A translated; x: {len(target.means)} modes of B; white: D says real")
    return figure_pixels(figure)


def draw_source(axes: Axes, source: Points) -> None:
    """Draws points of a mixture of two dimensions, a colour for each mode.

    Args:
        axes: Where.
        source: The mixture.
    """
    _scatter(axes, mode_points(source, POINTS))
    low, high = _span(source)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")


def draw_translated(axes: Axes, generator: nn.Module, discriminator: nn.Module, source: Points, target: Points) -> None:
    """Draws where the points of `draw_source` are translated to, in their colours, on what the discriminator thinks.

    Args:
        axes: Where.
        generator: See `mixtures_picture`.
        discriminator: See there.
        source: See there.
        target: Its modes are marked.
    """
    device = next(generator.parameters()).device
    drawn = mode_points(source, POINTS)
    modes, count, dimensions = drawn.shape
    low, high = _span(target)
    across = torch.linspace(low, high, PLACES)
    places = torch.stack(torch.meshgrid(across, across, indexing="xy"), -1).reshape(-1, dimensions)
    with torch.no_grad():
        moved = generator(drawn.reshape(-1, dimensions, 1, 1).to(device)).reshape(modes, count, -1).cpu()
        real = torch.sigmoid(discriminator(places[:, :, None, None].to(device)).heads["image"]).float().cpu()
    axes.pcolormesh(
        across, across, real.reshape(PLACES, PLACES), cmap="gray", vmin=0, vmax=1, shading="auto", rasterized=True
    )
    _scatter(axes, moved)
    # Black on white, to be seen on any ground and on points of any colour.
    marks = np.array(target.means)
    for colour, width in (("white", 4.5), ("black", 2)):
        axes.scatter(marks[:, 0], marks[:, 1], marker="x", s=70, color=colour, linewidths=width)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")


def _scatter(axes: Axes, points: Float[Tensor, "K N 2"]) -> None:
    for number, mode in enumerate(points):
        axes.scatter(mode[:, 0], mode[:, 1], s=6, color=f"C{number % 10}", linewidths=0)


def _span(data: Points) -> tuple[float, float]:
    """The same for both axes: all modes, with six deviations around them."""
    reach = 6 * max(data.deviations)
    values = [value for mean in data.means for value in mean]
    return min(values) - reach, max(values) + reach
