"""What systems that draw from captions share: captions that do not belong, mixed ones, those kept to sample from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ganvas.engine.system import Batch
from ganvas.errors import UserError

STANDING = 256
"""Conditions of training pictures that a system keeps to sample from where none are given."""


def count_of(value: int | str, what: str, flag: str) -> int:
    """A length that the configuration leaves to the data.

    Raises:
        UserError: It is still `auto`.
    """
    if isinstance(value, str):
        raise UserError(f"the number of {what} is not known here: give {flag} N, or data that has them")
    return value


def mismatched(text: Float[Tensor, "B E"], label: Int[Tensor, " B"] | None = None) -> Float[Tensor, "B E"]:
    """For each picture the caption of another one of the batch that does not describe it.

    That of the next picture of another class; without classes, of the next one whose caption is another. Where there
    is none in the batch it is that of the next picture.

    Args:
        text: Embedded captions.
        label: Classes of the pictures.

    Raises:
        UserError: There is one picture.
    """
    count = len(text)
    if count < 2:
        raise UserError("a caption that does not belong to a picture comes from another one: give --micro-batch 2 or 0")
    if label is not None:
        same = label[:, None] == label
    else:
        same = torch.cdist(text, text, compute_mode="donot_use_mm_for_euclid_dist") == 0
    place = torch.arange(count, device=text.device)
    others = (place[:, None] + place[1:]) % count  # of picture i: i + 1, i + 2, ..., round to i - 1
    first = (~same.gather(1, others)).int().argmax(1, keepdim=True)
    return text[others.gather(1, first).squeeze(1)]


def mixed(text: Float[Tensor, "B E"], beta: float) -> Float[Tensor, "H E"]:
    """beta t1 + (1 - beta) t2 of each caption of the first half of the batch with one of the second; H = B // 2."""
    half = len(text) // 2
    return beta * text[:half] + (1 - beta) * text[half : 2 * half]


def tiled(text: Float[Tensor, "B T"], like: Float[Tensor, "B C H W"]) -> Float[Tensor, "B T H W"]:
    """A vector at every position of feature maps."""
    return text.to(like.dtype)[:, :, None, None].expand(-1, -1, *like.shape[2:])


class Standing(nn.Module):
    """Conditions of some training pictures, kept in every checkpoint.

    Batch-norm statistics are estimated under them, and they stand in where nobody says what to draw. Of their captions
    comes the scale that networks are given captions in.

    Args:
        first: By the key in batches, what holds before any data is seen: one picture's.
    """

    scale: Tensor

    def __init__(self, **first: Tensor) -> None:
        super().__init__()
        self.names = tuple(first)
        self.register_buffer("scale", torch.ones(()))
        for name, value in first.items():
            self.register_buffer(name, value.expand(STANDING, *value.shape).clone())

    def keep(self, batches: Iterable[Batch]) -> None:
        """Takes in those of the first pictures of some batches, again and again if they are few."""
        kept: dict[str, list[Tensor]] = {name: [] for name in self.names}
        count = 0
        for batch in batches:
            for name, values in kept.items():
                values.append(batch[name])
            count += len(batch[self.names[0]])
            if count >= STANDING:
                break
        for name, values in kept.items():
            buffer = self.get_buffer(name)
            buffer.copy_(torch.cat(values).to(buffer.device)[torch.arange(STANDING, device=buffer.device) % count])
        self.scale.copy_(self.get_buffer("text").square().mean().clamp(min=1e-12).rsqrt())

    def scaled(self, text: Float[Tensor, "B E"]) -> Float[Tensor, "B E"]:
        """Embedded captions in units of the root mean square of those that are kept.

        Encoders differ in it by orders of magnitude, and first weights are made for numbers about 1.
        """
        return text * self.scale

    def filled(self, seeds: Sequence[int], conditions: Batch) -> Batch:
        """Conditions of which none is missing: what is not given is that of training picture seed mod `STANDING`.

        Args:
            seeds: One a picture.
            conditions: Each (B, ...), B = len(seeds), on any device.
        """
        found = dict(conditions)
        for name in self.names:
            buffer = self.get_buffer(name)
            if name in found:
                found[name] = found[name].to(buffer.device)
            else:
                found[name] = buffer[[seed % STANDING for seed in seeds]]
        return found
