"""What a discriminator is given besides pictures, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """What pictures are conditioned on; every part is optional.

    Attributes:
        vector: (B, E): a one-hot class or a text embedding.
        maps: (B, M, H, W): source pictures or keypoint grids.
        boxes: (B, 4): where the object is.
    """

    vector: Float[Tensor, "B E"] | None = None
    maps: Float[Tensor, "B M H W"] | None = None
    boxes: Float[Tensor, "B 4"] | None = None

    def joined(self, other: Condition) -> Condition:
        """The conditions of two batches, one after the other; both have the same parts."""
        pairs = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)}
        return Condition(**{name: None if a is None else torch.cat([a, b]) for name, (a, b) in pairs.items()})


@dataclass(frozen=True)
class Verdict:
    """A discriminator's answer to B pictures: larger logits are more real.

    Attributes:
        heads: Logits by name, each (B, ...): one a picture (B,), a patch or a pixel (B, 1, h, w).
        features: Intermediate activations, each (B, ...), for feature matching.
    """

    heads: dict[str, Tensor]
    features: tuple[Tensor, ...] = ()

    def split(self, sizes: Sequence[int]) -> list[Verdict]:
        """The verdicts of pictures that were judged together, (B1 + B2 + ..., ...) -> [(B1, ...), (B2, ...), ...]."""
        heads = {name: torch.split(logits, list(sizes)) for name, logits in self.heads.items()}
        features = [torch.split(feature, list(sizes)) for feature in self.features]
        return [
            Verdict({name: parts[i] for name, parts in heads.items()}, tuple(parts[i] for parts in features))
            for i in range(len(sizes))
        ]
