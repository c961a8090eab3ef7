"""Generated pictures of earlier steps, so that a discriminator does not forget what it has refuted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.discriminators import Condition

PARTS = ("pictures", "vector", "maps", "boxes")


class History(nn.Module):
    """A buffer of generated pictures and their conditions (Shrivastava et al. 2017, section 2.3).

    Of the b generated pictures that a discriminator sees at once half are new and half are drawn from the buffer; then
    as many of the buffer's pictures, chosen at random, are replaced by new ones. Until it is full, new ones are added;
    while it holds fewer than half a batch, all that the discriminator sees are new.

    Everything is kept in registered buffers, so a resumed run goes on with the same pictures.

    Args:
        size: B, pictures that it holds when full.
    """

    pictures: Tensor
    filled: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        for name in PARTS:  # their shapes are known with the first batch
            self.register_buffer(name, torch.empty(0))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.count = 0
        """What `filled` holds, known without waiting for the device."""

    def forward(
        self, fake: Float[Tensor, "B C H W"], condition: Condition | None = None
    ) -> tuple[Float[Tensor, "B C H W"], Condition | None]:
        """Exchanges half of a batch.

        Args:
            fake: Newly generated pictures; no gradient is kept.
            condition: Of these pictures.

        Returns:
            Pictures for the discriminator, as many, with the conditions they were generated under.
        """
        new = {"pictures": fake.detach()} | _parts(condition)
        half = len(fake) // 2
        if not self.count:
            for name, value in new.items():
                setattr(self, name, value.new_zeros(self.size, *value.shape[1:]))
        shown = new
        if half and self.count >= half:
            drawn = torch.randperm(self.count)[:half].to(fake.device)
            shown = {
                name: torch.cat([value[: len(fake) - half], getattr(self, name)[drawn]]) for name, value in new.items()
            }
            if fake.is_contiguous(memory_format=torch.channels_last):
                shown["pictures"] = shown["pictures"].contiguous(memory_format=torch.channels_last)
        kept = min(max(half, 1), self.size)
        room = min(self.size - self.count, kept)
        places = torch.arange(self.count, self.count + room)
        if kept > room:
            places = torch.cat([places, torch.randperm(self.count)[: kept - room]])
        places = places.to(fake.device)
        for name, value in new.items():
            getattr(self, name)[places] = value[: len(places)]
        self.count += room
        self.filled.fill_(self.count)
        if condition is None:
            return shown["pictures"], None
        return shown.pop("pictures"), Condition(**shown)

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *rest: Any) -> None:
        """Takes the shapes of what is loaded, which are unknown before the first batch."""
        for name in PARTS:
            if prefix + name in state_dict:
                own: Tensor = getattr(self, name)
                setattr(self, name, own.new_empty(state_dict[prefix + name].shape))
        if prefix + "filled" in state_dict:
            self.count = int(state_dict[prefix + "filled"])
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _parts(condition: Condition | None) -> dict[str, Tensor]:
    if condition is None:
        return {}
    return {name: part for name in PARTS[1:] if (part := getattr(condition, name)) is not None}
