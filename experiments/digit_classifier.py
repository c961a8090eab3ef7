"""A judge of digits for experiments: a small convolutional network, trained on `digits:test`.

No GAN here is trained on those 1,000 pictures, so the judge has seen none of what a GAN may have copied. How good it is
on the 4,000 pictures of `digits:train`, which it was not trained on, stands beside every verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from findings import batches, real_pictures

EPOCHS = 25
SHIFT = 2
"""Pixels that pictures are moved by in training, at most, either way."""


@dataclass(frozen=True)
class Judge:
    """A classifier of digits.

    Attributes:
        network: (B, 1, H, W) in [-1, 1] to ten logits.
        accuracy: On the pictures of `digits:train`.
    """

    network: nn.Sequential
    accuracy: float

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 10)."""
        with torch.no_grad():
            return torch.cat([self.network(part) for (part,) in batches(images, size=256)])

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What the last layer sees, (B, 4 * size^2)."""
        with torch.no_grad():
            return torch.cat([self.network[:-1](part) for (part,) in batches(images, size=256)])

    def classes(self, images: torch.Tensor) -> torch.Tensor:
        """The digit that each picture looks most like."""
        return self.logits(images).argmax(1)


def train_judge(size: int, epochs: int = EPOCHS) -> Judge:
    """Trains the judge on pictures of a size, always the same; about 15 seconds on one core."""
    images, labels = real_pictures("digits:test", size)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * (size // 4) ** 2, 10),
        )  # fmt: skip
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        for epoch in range(epochs):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * (1 - epoch / epochs)
            order = torch.randperm(len(images))
            for rows in order.split(64):
                left, top = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
                moved = F.pad(images[rows], [SHIFT] * 4, value=-1)[..., top : top + size, left : left + size]
                optimizer.zero_grad()
                F.cross_entropy(network(moved), labels[rows]).backward()
                optimizer.step()
    network.eval().requires_grad_(False)
    judge = Judge(network, 0.0)
    others, truth = real_pictures("digits:train", size)
    return Judge(network, float((judge.classes(others) == truth).double().mean()))
