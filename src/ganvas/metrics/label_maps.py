"""Label maps where nobody has labelled anything: the colours of pictures, in clusters.

The relief of a map in a few colours is what a translation of it should show: see `ganvas.metrics.judges`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.colour import to_lab

PIXELS = 20_000
"""Pixels that colours are clustered by, at most."""
STARTS, STEPS = 4, 100
"""How often clustering begins anew, the best counts, and how many steps it takes at most."""


def label_maps_from(
    pictures: Float[Tensor, "N C H W"], k: int, seed: int = 0
) -> tuple[Int64[Tensor, "N H W"], Float64[Tensor, "k 3"]]:
    """Colours as labels: each pixel's cluster of k, by k-means in CIE Lab.

    Args:
        pictures: RGB or gray in [-1, 1].
        k: Clusters.
        seed: Of the pixels that are clustered and of where clustering begins.

    Returns:
        Labels from 0 to k - 1, dark to light, and the Lab colour of each; see `label_maps` for other pictures.

    Raises:
        UserError: There are fewer colours than clusters.
    """
    generator = torch.Generator().manual_seed(seed)
    count = pictures.shape[0] * pictures.shape[2] * pictures.shape[3]
    places = torch.randperm(count, generator=generator)[:PIXELS].to(pictures.device)
    values = pictures.permute(0, 2, 3, 1).reshape(count, -1)[places]
    points = _lab(values[:, :, None, None])[:, :, 0, 0].cpu()
    if len(torch.unique(points, dim=0)) < k:
        raise UserError(f"{k} clusters are asked for, and the pictures have fewer colours")
    found = [_kmeans(points, k, generator) for _ in range(STARTS)]
    centres = min(found, key=lambda one: one[1])[0]
    centres = centres[centres[:, 0].argsort()].to(pictures.device)
    return label_maps(pictures, centres), centres


def label_maps(pictures: Float[Tensor, "N C H W"], centres: Float64[Tensor, "k 3"]) -> Int64[Tensor, "N H W"]:
    """The nearest of some colours in CIE Lab, by number, at each pixel.

    Args:
        pictures: RGB or gray in [-1, 1].
        centres: From `label_maps_from`.
    """
    maps = [torch.empty(0, *pictures.shape[2:], dtype=torch.int64, device=pictures.device)]
    for part in torch.split(pictures, 32):
        lab = _lab(part).permute(0, 2, 3, 1)
        maps.append(torch.cdist(lab, centres, compute_mode="donot_use_mm_for_euclid_dist").argmin(-1))
    return torch.cat(maps)


def _lab(pictures: Tensor) -> Tensor:
    return to_lab(pictures.expand(-1, 3, -1, -1))


def _kmeans(points: Float64[Tensor, "N 3"], k: int, generator: torch.Generator) -> tuple[Tensor, float]:
    """Lloyd's algorithm from k-means++ (Arthur & Vassilvitskii 2007): centres, and the mean squared distance."""
    centres = points[torch.randint(len(points), (1,), generator=generator)]
    while len(centres) < k:
        squared = torch.cdist(points, centres).min(1).values.square()
        centres = torch.cat([centres, points[torch.multinomial(squared, 1, generator=generator)]])
    nearest = torch.full((len(points),), -1)
    for _ in range(STEPS):
        before, nearest = nearest, torch.cdist(points, centres).argmin(1)
        if torch.equal(before, nearest):
            break
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        counts = torch.bincount(nearest, minlength=k)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
    return centres, float(torch.cdist(points, centres).min(1).values.square().mean())
