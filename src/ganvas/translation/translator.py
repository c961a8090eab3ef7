"""A run's network for pictures of any height and width, in one direction."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ganvas.engine.system import System
from ganvas.errors import UserError

SPELLINGS = re.compile(r"([ab])[\s_-]*(?:to|2|>|→)?[\s_-]*([ab])")


def direction_of(text: str, known: Sequence[str]) -> str:
    """The direction that a person means.

    Args:
        text: Such as `AtoB`, `a-b` or `A->B`.
        known: Those of the system.

    Raises:
        UserError: It is none, or not one that the system has.
    """
    found = SPELLINGS.fullmatch(text.strip().lower())
    if found is None or found[1] == found[2]:
        hint = '; the > of A->B needs quotes in a shell: "A->B"' if text.rstrip().endswith("-") else ""
        raise UserError(f"{text!r} is no direction: give one of {', '.join(known)}{hint}")
    direction = f"{found[1].upper()}to{found[2].upper()}"
    if direction not in known:
        raise UserError(f"this run has learnt {' and '.join(known)} alone, not {direction}")
    return direction


def mirrored(length: int, whole: int) -> Int64[Tensor, " whole"]:
    """Where each of `whole` positions comes from among `length`, which lie in their middle; the rest is mirrored.

    The outermost is not repeated, as far as there is more than one: of 3 in the middle of 9, 1 2 1 0 1 2 1 0 1.
    """
    period = max(1, 2 * (length - 1))
    place = (torch.arange(whole) - (whole - length) // 2).remainder(period)
    return torch.minimum(place, period - place) if length > 1 else torch.zeros_like(place)


@dataclass(frozen=True)
class Translator:
    """Turns pictures of any size into others of the same size, or of a whole multiple of it.

    Attributes:
        system: With the weights to use, in eval mode.
        direction: One of `system.directions`.
        device: Where it computes.
        autocast: Makes the context that it computes in.
        inputs: Channels of the pictures that it takes.
        outputs: Of those that it gives.
    """

    system: System
    direction: str
    device: torch.device
    autocast: Callable[[], AbstractContextManager[object]]
    inputs: int
    outputs: int

    @property
    def multiple(self) -> int:
        """What heights and widths inside are multiples of, pixels."""
        return self.system.multiple

    @property
    def scale(self) -> int:
        """How many times as high and wide what comes out is."""
        return self.system.scale

    def padded(self, length: int) -> int:
        """The next multiple, pixels."""
        return -(-length // self.multiple) * self.multiple

    def __call__(self, pictures: Float[Tensor, "B C H W"], seeds: Sequence[int]) -> Float[Tensor, "B D H2 W2"]:
        """Translates a batch at once.

        Args:
            pictures: In [-1, 1]; mirrored at their borders up to the next multiple, and cut back.
            seeds: One integer a picture.

        Returns:
            About in [-1, 1], float32, on the CPU, `scale` times as high and wide.

        Raises:
            UserError: It gives numbers that are not finite, or there is not memory enough on the device.
        """
        height, width = pictures.shape[2:]
        tall, wide = self.padded(height), self.padded(width)
        if (tall, wide) != (height, width):
            pictures = pictures[:, :, mirrored(height, tall)[:, None], mirrored(width, wide)]
        given = pictures.to(self.device, memory_format=torch.channels_last)
        try:
            with torch.no_grad(), self.autocast():
                found = self.system.translate(given, list(seeds), self.direction).float().cpu()
        except RuntimeError as error:  # of CUDA torch.OutOfMemoryError is one
            if not (isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)):
                raise
            raise UserError(
                f"{len(pictures)} of {wide}x{tall} pixels at once need more memory than {self.device} has: "
                "give a smaller --tile or --batch"
            ) from error
        if not torch.isfinite(found.sum()):  # as if all of them were looked at, and no more memory
            raise UserError("the translation holds numbers that are not finite: this run has diverged")
        top, left = self.scale * ((tall - height) // 2), self.scale * ((wide - width) // 2)
        return found[:, :, top : top + self.scale * height, left : left + self.scale * width]
