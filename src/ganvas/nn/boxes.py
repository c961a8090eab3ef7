"""Cutting feature maps out of a box and laying them into one, by bilinear interpolation (Reed et al. 2016, GAWWN).

A box is (x, y, w, h) in shares of the picture, x and y of its left top corner. Position p of n cells has its centre at
(p + 1/2) / n, as in PyTorch's `grid_sample` without `align_corners`. A box is parallel to the axes, so rows and columns
are interpolated one after the other, as two products with small matrices.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Boxes = Float[Tensor, "B 4"]


def crop(maps: Float[Tensor, "B C H W"], boxes: Boxes) -> Float[Tensor, "B C H W"]:
    """What lies in the box, enlarged to the whole maps.

    Args:
        maps: H rows and W columns over the picture.
        boxes: Inside of the picture; less than a cell is widened to one.
    """
    height, width = maps.shape[2:]
    x, y, w, h = widened(boxes, height, width).unbind(1)
    return _resampled(maps, _rows(_inside(y, h, height), height), _rows(_inside(x, w, width), width))


def paste(maps: Float[Tensor, "B C H W"], boxes: Boxes) -> Float[Tensor, "B C H W"]:
    """The maps made small and laid into the box, exactly zero wherever the centre of a cell is outside.

    The inverse of `crop`, up to what is lost where many cells become few.

    Args:
        maps: H rows and W columns over the box.
        boxes: As in `crop`.
    """
    height, width = maps.shape[2:]
    x, y, w, h = widened(boxes, height, width).unbind(1)
    return _resampled(maps, _rows(_outside(y, h, height), height), _rows(_outside(x, w, width), width))


def box_mask(boxes: Boxes, height: int, width: int) -> Float[Tensor, "B 1 H W"]:
    """1 where the centre of a cell is in the box, else 0: what `paste` makes of ones."""
    x, y, w, h = widened(boxes, height, width).unbind(1)
    down, across = (
        ((places >= 0) & (places <= 1)).to(boxes.dtype) for places in (_outside(y, h, height), _outside(x, w, width))
    )
    return (down[:, :, None] * across[:, None, :])[:, None]


def widened(boxes: Boxes, height: int, width: int) -> Boxes:
    """Boxes of at least one cell in both directions, so that the centre of one is inside; their own centres stay."""
    least = boxes.new_tensor([1 / width, 1 / height])
    size = torch.maximum(boxes[:, 2:], least)
    return torch.cat([boxes[:, :2] + (boxes[:, 2:] - size) / 2, size], 1)


def _centres(cells: int, like: Tensor) -> Float[Tensor, " cells"]:
    return (torch.arange(cells, device=like.device, dtype=like.dtype) + 0.5) / cells


def _inside(start: Float[Tensor, " B"], length: Float[Tensor, " B"], cells: int) -> Float[Tensor, "B cells"]:
    """Of each cell of the box, where in the picture its centre is."""
    return start[:, None] + length[:, None] * _centres(cells, start)


def _outside(start: Float[Tensor, " B"], length: Float[Tensor, " B"], cells: int) -> Float[Tensor, "B cells"]:
    """Of each cell of the picture, where in the box its centre is: from 0 to 1 inside."""
    return (_centres(cells, start) - start[:, None]) / length[:, None]


def _rows(places: Float[Tensor, "B N"], cells: int) -> Float[Tensor, "B N cells"]:
    """Bilinear weights of cells for places in shares of them; zero for places outside of [0, 1].

    Between the border and the centre of the first cell that cell has all the weight.
    """
    position = (places * cells - 0.5).clamp(0, cells - 1)
    at = torch.arange(cells, device=places.device, dtype=places.dtype)
    weights = (1 - (position[..., None] - at).abs()).clamp(min=0)
    return weights * ((places >= 0) & (places <= 1))[..., None]


def _resampled(
    maps: Float[Tensor, "B C H W"], down: Float[Tensor, "B N H"], across: Float[Tensor, "B M W"]
) -> Float[Tensor, "B C N M"]:
    batch, channels, height, width = maps.shape
    # (B, H, W, C), which channels-last maps are in memory.
    pixels = maps.permute(0, 2, 3, 1)
    rows = torch.bmm(down.to(maps.dtype), pixels.reshape(batch, height, width * channels))
    rows = rows.view(batch, -1, width, channels)
    return torch.matmul(across.to(maps.dtype)[:, None], rows).permute(0, 3, 1, 2)
