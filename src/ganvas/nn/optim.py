"""Adam as the systems' configurations describe it."""

from __future__ import annotations

from typing import Annotated, Protocol, runtime_checkable

from pydantic import Field
from torch import nn
from torch.optim import Adam

Decay = Annotated[float, Field(ge=0, lt=1)]
"""How much of a moving average is kept at each step."""


@runtime_checkable
class AdamConfig(Protocol):
    """The fields that every system trained with Adam names alike."""

    @property
    def beta1(self) -> float: ...  # noqa: D102
    @property
    def beta2(self) -> float: ...  # noqa: D102
    @property
    def adam_eps(self) -> float: ...  # noqa: D102


def adam(network: nn.Module, rate: float, config: AdamConfig) -> Adam:
    """Adam over a network's parameters, in one fused kernel."""
    return Adam(network.parameters(), rate, (config.beta1, config.beta2), config.adam_eps, fused=True)
