"""Keypoints as networks take them, and as people see them."""

from __future__ import annotations

import colorsys

import torch
from jaxtyping import Float
from torch import Tensor

Keypoints = Float[Tensor, "B K 3"]
"""x and y in shares of the picture, and 1 where the part is visible."""


def keypoint_grid(keypoints: Keypoints, cells: int) -> Float[Tensor, "B K {cells} {cells}"]:
    """1 in the cell where a part is, else 0: a map for each part, empty where it is not visible.

    The cell is the one that the point lies in; the published code of Reed et al. 2016 rounds, maybe to the next one.
    """
    x, y, visible = keypoints.float().unbind(2)
    column, row = ((cells * place).long().clamp(0, cells - 1) for place in (x, y))
    grid = keypoints.new_zeros(*keypoints.shape[:2], cells * cells, dtype=torch.float32)
    grid.scatter_(2, (row * cells + column)[..., None], (visible > 0.5).float()[..., None])
    return grid.view(*keypoints.shape[:2], cells, cells)


def dots(keypoints: Keypoints, side: int, channels: int = 3) -> Float[Tensor, "B D {side} {side}"]:
    """Keypoints drawn on white, each part in a colour of its own, fainter the less it is visible.

    Args:
        keypoints: See `Keypoints`; the third number may be any from 0 to 1.
        side: Pixels.
        channels: 3, or 1 for gray.
    """
    x, y, visible = keypoints.float().unbind(2)
    centres = (torch.arange(side, device=keypoints.device) + 0.5) / side
    squared = (centres - x[..., None]).square()[:, :, None, :] + (centres - y[..., None]).square()[..., None]
    ink = visible[..., None, None] * torch.exp(-squared * (side / 2.5) ** 2 / 2 * 4)  # (B, K, side, side)
    parts = keypoints.shape[1]
    colours = [colorsys.hsv_to_rgb(part / parts, 1.0, 0.8) for part in range(parts)]
    missing = 1 - torch.tensor(colours, device=keypoints.device)[:, :3]  # what each colour takes from white
    if channels == 1:
        missing = torch.ones_like(missing[:, :1])
    paper = 1 - torch.einsum("bkhw,kc->bchw", ink, missing)
    return paper.clamp(0, 1) * 2 - 1
