"""The exponential moving average of the weights, and sampling from it without a trace in the training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ganvas.engine.seeding import seed_for
from ganvas.engine.system import System


class Average:
    """Averages of the networks of `System.averaged()`, keyed by each network's path in the system.

    Parameters are averaged; buffers, such as batch-norm statistics, are copied.
    """

    def __init__(self, system: System, decay: float, start: int) -> None:
        """Starts with the weights as they are.

        Args:
            system: The system on its device.
            decay: Share of the old average kept at each step.
            start: Step before which the average equals the weights.
        """
        paths = {id(module): path for path, module in system.named_modules()}
        self.networks = {paths[id(network)]: network for network in system.averaged().values()}
        self.copies = {path: copy.deepcopy(network) for path, network in self.networks.items()}
        for network in self.copies.values():
            network.requires_grad_(False)
        self.start = start
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        live, kept = self.networks.values(), self.copies.values()
        self._live: list[Tensor] = [parameter for network in live for parameter in network.parameters()]
        self._kept: list[Tensor] = [parameter for network in kept for parameter in network.parameters()]
        live_buffers = [buffer for network in live for buffer in network.buffers()]
        kept_buffers = [buffer for network in kept for buffer in network.buffers()]
        self._buffers = list(zip(kept_buffers, live_buffers, strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after the step numbered `step`, counted from 0."""
        if self._live and step >= self.start:
            self._average(self._kept, self._live, step)
        elif self._live:
            torch._foreach_copy_(self._kept, self._live)
        for kept, live in self._buffers:
            kept.copy_(live)

    def state_dict(self) -> dict[str, Tensor]:
        """All averages, keyed as the same tensors are in the system's own state."""
        return {
            f"{path}.{key}": value
            for path, network in self.copies.items()
            for key, value in network.state_dict().items()
        }

    @contextmanager
    def in_place(self, system: System, seed: int) -> Iterator[None]:
        """Puts the averages into the system, ready to sample; puts back every weight, buffer and mode after.

        Args:
            system: The system that the averages were taken of.
            seed: Seed for what `prepare_sampling` draws.
        """
        changed = [*self._live, *system.buffers()]
        before = [tensor.detach().clone() for tensor in changed]
        modes = [(module, module.training) for module in system.modules()]
        try:
            with torch.no_grad():
                for live, kept in zip(self._live, self._kept, strict=True):
                    live.copy_(kept)
                for kept, live in self._buffers:
                    live.copy_(kept)
                system.eval()
                torch.manual_seed(seed_for("prepare sampling", seed))
                system.prepare_sampling()
                system.eval()
                yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(changed, before, strict=True):
                    tensor.copy_(value)
            for module, mode in modes:
                module.training = mode
