"""Losses of the steps since the last log line, kept on the device until then."""

from __future__ import annotations

import torch
from torch import Tensor

from ganvas.engine.system import Terms


class NonFinite(Exception):
    """A loss or a gradient is infinite or not a number; its optimiser step was not made, or is to be undone.

    Attributes:
        what: Which, such as `discriminator/real`.
        step: Steps done before it.
    """

    def __init__(self, what: str, step: int) -> None:
        super().__init__(f"{what} is not finite at step {step + 1}")
        self.what = what
        self.step = step


class Record:
    """Running sums of every update's terms and gradient norm, and the first step that was not finite."""

    def __init__(self, device: torch.device) -> None:
        """Starts empty.

        Args:
            device: Where losses are. On the CPU, where looking at a number is free, each update is checked
                before its optimiser step; elsewhere at `check`, so that no step waits for the device.
        """
        self.device = device
        self.eager = device.type == "cpu"
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._sums: dict[tuple[str, tuple[str, ...]], Tensor] = {}
        self._counts: dict[tuple[str, tuple[str, ...]], int] = {}
        self._bad_step = torch.tensor(-1, device=self.device)

    def add(self, update: str, values: Terms) -> None:
        """Takes in scalars of one update; a term is averaged over the steps that have it."""
        key = (update, tuple(values))
        vector = torch.stack([value.detach().float() for value in values.values()])
        self._sums[key] = self._sums[key] + vector if key in self._sums else vector
        self._counts[key] = self._counts.get(key, 0) + 1

    def verify(self, update: str, health: Tensor, step: int) -> None:
        """Looks at () a number that is finite only if all of an update's losses and gradients are.

        Raises:
            NonFinite: At once on the CPU; elsewhere `check` raises it later.
        """
        if not self.eager:
            bad = ~torch.isfinite(health) & (self._bad_step < 0)
            self._bad_step = torch.where(bad, step, self._bad_step)
        elif not torch.isfinite(health):
            raise NonFinite(self._culprit(update), step)

    def check(self) -> None:
        """Waits for the device and looks whether all was finite since the last `clear`.

        Raises:
            NonFinite: If not.
        """
        if not self.eager and (step := int(self._bad_step)) >= 0:
            raise NonFinite(self._culprit(None), step)

    def means(self) -> dict[str, float]:
        """Means since the last `clear`, keyed `update/term`; waits for the device."""
        totals: dict[str, list[float]] = {}
        for (update, names), vector in self._sums.items():
            for name, value in zip(names, vector.tolist(), strict=True):
                total = totals.setdefault(f"{update}/{name}", [0.0, 0.0])
                total[0] += value
                total[1] += self._counts[update, names]
        return {name: total / count for name, (total, count) in totals.items()}

    def _culprit(self, update: str | None) -> str:
        """The first term whose sum is not finite; the gradient, if all of them are."""
        for (of, names), vector in self._sums.items():
            if update in (None, of):
                for name, value in zip(names, vector.tolist(), strict=True):
                    if not abs(value) < float("inf") and name != "gradient_norm":
                        return f"the loss {of}/{name}"
        return f"the gradient of {update}" if update else "a gradient"
