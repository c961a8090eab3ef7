"""A GAN of single numbers as Goodfellow et al. 2014 draw it (fig. 1): densities, discriminator, and where z goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from ganvas.nn.latent import Prior
from ganvas.viz.figures import figure_pixels, new_figure

if TYPE_CHECKING:
    from ganvas.data.points import Points

PLACES = 200
"""Places at which curves are drawn."""
LATENTS = 2**17
"""Latents whose images make the density of the generator."""
ARROWS = 25


def best_discriminator(real: Float[Tensor, " N"], fake: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """D* = p_data / (p_data + p_g) (proposition 1); 1/2 where both densities are 0.

    Args:
        real: Density of the data at some places.
        fake: Density of the generator there.
    """
    both = real + fake
    return torch.where(both > 0, real / both.clamp_min(torch.finfo(both.dtype).tiny), 0.5)


def even_latents(prior: Prior, count: int) -> Float[Tensor, "B Z"]:
    """Latents that stand for equal shares of the prior's probability: its quantiles in one dimension, else draws.

    Args:
        prior: Where z comes from.
        count: How many.
    """
    if prior.dim > 1:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return prior.draw(count)
    shares = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    z = 2 * shares - 1 if prior.kind == "uniform" else torch.special.ndtri(shares)
    return (z * prior.scale + prior.centre).float()[:, None]


def density_picture(
    generator: nn.Module, discriminator: nn.Module, prior: Prior, data: Points
) -> UInt8[np.ndarray, "H W 3"]:
    """Draws p_data, p_g, D and D* over x, and below them arrows from z to G(z).

    The density of the generator is the histogram of the images of many latents of equal probability.

    Args:
        generator: Latents (B, Z) to numbers (B, 1, 1, 1).
        discriminator: Numbers (B, 1, 1, 1) to a `Verdict` with head `image`.
        prior: Where z comes from.
        data: The density that is learnt, in one dimension.

    Raises:
        UserError: matplotlib is not installed.
    """
    figure = new_figure(640, 480)
    device = next(generator.parameters()).device
    low, high = span(data)
    edges = torch.linspace(low, high, PLACES + 1, dtype=torch.float64)
    x = (edges[1:] + edges[:-1]) / 2
    with torch.no_grad():
        generated = generator(even_latents(prior, LATENTS).to(device), None).flatten().double().cpu()
        ends = generator(even_latents(prior, ARROWS).to(device), None).flatten().cpu()
        logits = discriminator(x.float().to(device)[:, None, None, None], None).heads["image"]
        answer = torch.sigmoid(logits.double()).cpu()
    counts = torch.histogram(generated, edges).hist
    fake = counts / LATENTS / (edges[1] - edges[0])
    real = data.density(x[:, None])
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 1.1), sharex=True)
    figure.subplots_adjust(left=0.09, right=0.91, top=0.93, bottom=0.09, hspace=0.05)
    top.plot(x, real, "k:", linewidth=2, label="$p_{data}$")
    top.fill_between(x.numpy(), fake.numpy(), color="tab:green", alpha=0.3, step="mid", linewidth=0)
    top.plot(x, fake, color="tab:green", linewidth=1.2, drawstyle="steps-mid", label="$p_g$")
    top.set(ylabel="density", ylim=(0, 2.2 * float(real.max())), xlim=(low, high))
    right = top.twinx()
    right.plot(x, answer, color="tab:blue", linestyle="--", linewidth=1.6, label="D(x)")
    right.plot(x, best_discriminator(real, fake), color="tab:red", linewidth=0.9, alpha=0.8, label="best D")
    right.axhline(0.5, color="0.7", linewidth=0.6, zorder=0)
    right.set(ylabel="probability of real", ylim=(0, 1.02))
    lines = [*top.get_lines(), *right.get_lines()[:2]]
    figure.legend(lines, [str(line.get_label()) for line in lines], loc="upper center", ncols=4, frameon=False)
    # The latent's own scale is laid over the same width.
    starts = torch.linspace(low, high, ARROWS + 2)[1:-1]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if low <= end <= high:
            bottom.annotate(
                "", (end, 1.0), (start, 0.0), arrowprops={"arrowstyle": "->", "color": "0.35", "linewidth": 0.8}
            )
    bottom.set(ylim=(0, 1), yticks=(0, 1), yticklabels=("z", "x"), xlabel="x; z in equal steps of probability")
    return figure_pixels(figure)


def span(data: Points) -> tuple[float, float]:
    """Where to look: six standard deviations around the data, and around 0, where generators start."""
    reach = [(mean[0] - 6 * d, mean[0] + 6 * d) for mean, d in zip(data.means, data.deviations, strict=True)]
    widest = max(data.deviations)
    return min(-2 * widest, *(low for low, _ in reach)), max(2 * widest, *(high for _, high in reach))
