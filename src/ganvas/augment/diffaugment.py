"""Differentiable augmentation of real and generated pictures, for small data sets.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", arXiv 2006.10738.
The same kind of change is applied to both sides, and gradients reach the generator through it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.errors import UserError

POLICIES = ("color", "translation", "cutout")

Images = Float[Tensor, "B C H W"]


class DiffAugment:
    """Random colour, translation and cutout, drawn for each picture, whole batches at once.

    Args:
        policy: Any of `color`, `translation`, `cutout`, separated by commas.

    Raises:
        UserError: An unknown policy.
    """

    def __init__(self, policy: str = "color,translation,cutout") -> None:
        self.policy = tuple(name.strip() for name in policy.split(",") if name.strip())
        unknown = [name for name in self.policy if name not in POLICIES]
        if unknown:
            raise UserError(f"no augmentation {unknown[0]!r}; there are {', '.join(POLICIES)}")

    def __call__(self, images: Images) -> Images:
        """Augmented pictures; values may leave [-1, 1]."""
        if "color" in self.policy:
            images = _color(images)
        if "translation" in self.policy:
            images = _translation(images)
        if "cutout" in self.policy:
            images = _cutout(images)
        return images


def _uniform(images: Images, low: float, high: float) -> Float[Tensor, "B 1 1 1"]:
    return torch.empty(len(images), 1, 1, 1, device=images.device).uniform_(low, high)


def _color(images: Images) -> Images:
    """Brightness +-0.5, saturation x0 to x2, contrast x0.5 to x1.5 (appendix of the paper)."""
    images = images + _uniform(images, -0.5, 0.5)
    gray = images.mean(1, keepdim=True)
    images = gray + (images - gray) * _uniform(images, 0.0, 2.0)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * _uniform(images, 0.5, 1.5)


def _offsets(images: Images, low: int, high: int) -> Tensor:
    """One whole number in [low, high] for each picture, (B, 1)."""
    return torch.randint(low, high + 1, (len(images), 1), device=images.device)


def _translation(images: Images, ratio: float = 0.125) -> Images:
    """Shift by up to 1/8 of the side; what enters from outside is 0, gray in the middle of [-1, 1]."""
    for axis in (2, 3):
        length = images.shape[axis]
        reach = int(length * ratio + 0.5)
        source = torch.arange(length, device=images.device) - _offsets(images, -reach, reach)  # (B, length)
        shape = [len(images), 1, 1, 1]
        shape[axis] = length
        inside = ((source >= 0) & (source < length)).view(shape)
        index = source.clamp(0, length - 1).view(shape).expand(images.shape)
        images = images.gather(axis, index) * inside
    return images


def _cutout(images: Images, ratio: float = 0.5) -> Images:
    """Set a box of half the side to 0; its centre is anywhere, so that it may be clipped at the border."""
    covered = []
    for axis in (2, 3):
        length = images.shape[axis]
        span = int(length * ratio + 0.5)
        start = _offsets(images, 0, length - 1 + (1 - span % 2)) - span // 2
        position = torch.arange(length, device=images.device)
        covered.append((position >= start) & (position < start + span))  # (B, length)
    box = covered[0][:, :, None] & covered[1][:, None, :]
    return images * ~box.unsqueeze(1)
