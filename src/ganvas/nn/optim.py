"""Optimisers of two networks, as the systems' configurations describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.adam import adam

from ganvas.errors import UserError

Decay = Annotated[float, Field(ge=0, lt=1)]
"""How much of a moving average is kept at each step."""


class FusedAdam(Adam):
    """Adam in one fused kernel, fast and right for parameters in channels-last on a CPU too.

    There PyTorch's kernel takes tensors as they lie in memory. Of those in channels-last it first copies every
    gradient, which takes several times as long as the step itself, and where a gradient lies in another order than its
    parameter it moves the wrong numbers. Here all are shown to it as plain rows of numbers in the parameter's order.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, fused=True)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step with the gradients as they are; takes no closure."""
        for group in self.param_groups:
            parameters, gradients, means, squares, maxima, steps = ([], [], [], [], [], [])  # type: ignore[var-annotated]
            self._init_group(group, parameters, gradients, means, squares, maxima, steps)  # type: ignore[no-untyped-call]
            rows = [_in_rows(*of) for of in zip(parameters, gradients, means, squares, strict=True)]
            if not rows:
                continue
            beta1, beta2 = group["betas"]
            adam(
                *map(list, zip(*rows, strict=True)), maxima, steps, fused=True, amsgrad=False,  # type: ignore[misc,arg-type]
                beta1=beta1, beta2=beta2, lr=group["lr"], weight_decay=group["weight_decay"], eps=group["eps"],
                maximize=False,
            )  # fmt: skip


def _in_rows(*tensors: Tensor) -> list[Tensor]:
    """Views in which all lie in memory as the first does, the parameter; a gradient, the second, may be copied."""
    parameter = tensors[0]
    if parameter.device.type != "cpu":
        return [*tensors]
    if parameter.dim() == 4 and not parameter.is_contiguous():
        tensors = tuple(tensor.permute(0, 2, 3, 1) for tensor in tensors)
    parameter, gradient, *state = tensors
    return [parameter, gradient.contiguous() if parameter.is_contiguous() else gradient, *state]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Adams:
    """Adam for each of the two networks (Kingma & Ba 2015)."""

    generator_rate: PositiveFloat = 2e-4
    """Learning rate of the generator's Adam."""
    discriminator_rate: PositiveFloat = 2e-4
    """Learning rate of the discriminator's Adam."""
    beta1: Decay = 0.5
    """Adam's first decay, both networks."""
    beta2: Decay = 0.999
    """Adam's second decay, both networks."""
    adam_eps: PositiveFloat = 1e-8
    """Adam's epsilon, both networks."""
    weight_decay: NonNegativeFloat = 0.0
    """Share of every parameter that is added to its gradient, the derivative of an L2 penalty of half that weight."""
    decay_from: NonNegativeInt = 0
    """Step from which both rates fall linearly, if `decay_steps` is not 0."""
    decay_steps: NonNegativeInt = 0
    """Steps that the rates take to fall to 0; 0: they stay as they are."""
    drop_at: NonNegativeInt = 0
    """Step from which both rates are a tenth of what they were; 0: never."""
    halve_every: NonNegativeInt = 0
    """Steps after which both rates are halved, again and again; 0: never."""

    def optimizers(self, generator: nn.Module, discriminator: nn.Module) -> dict[str, Optimizer]:
        """One for each network that has anything to learn, each in one fused kernel; frozen weights are left out."""
        rates = {"discriminator": self.discriminator_rate, "generator": self.generator_rate}
        networks = {"discriminator": discriminator, "generator": generator}
        betas = (self.beta1, self.beta2)
        learning = {name: [p for p in network.parameters() if p.requires_grad] for name, network in networks.items()}
        return {
            name: FusedAdam(parameters, rates[name], betas, self.adam_eps, self.weight_decay)
            for name, parameters in learning.items()
            if parameters
        }

    def schedule(self, step: int, optimizers: Mapping[str, Optimizer]) -> None:
        """Sets both rates for a step, counted from 0."""
        if not (self.decay_steps or self.drop_at or self.halve_every):
            return
        left = 1 - min(1.0, max(0, step - self.decay_from) / self.decay_steps) if self.decay_steps else 1.0
        if self.drop_at and step >= self.drop_at:
            left *= 0.1
        if self.halve_every:
            left *= 0.5 ** (step // self.halve_every)
        rates = {"discriminator": self.discriminator_rate, "generator": self.generator_rate}
        for name, optimizer in optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name] * left


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Descent:
    """Gradient descent with momentum, with the schedules of Goodfellow et al. 2014 (published code), both networks."""

    rate: PositiveFloat = 0.1
    """Learning rate at the start."""
    rate_divisor: Annotated[float, Field(ge=1)] = 1.000004
    """The rate is divided by this after every step."""
    least_rate: NonNegativeFloat = 1e-6
    """The rate falls no lower."""
    momentum: Decay = 0.5
    """Momentum at the start."""
    final_momentum: Decay = 0.7
    """Momentum at the end of its rise."""
    momentum_steps: NonNegativeInt = 125_000
    """Steps over which momentum rises linearly (250 epochs of 500 steps in the published code)."""

    def optimizers(self, generator: nn.Module, discriminator: nn.Module) -> dict[str, Optimizer]:
        """One for each network."""
        networks = {"discriminator": discriminator, "generator": generator}
        return {
            name: SGD(network.parameters(), self.rate, self.momentum, fused=True) for name, network in networks.items()
        }

    def schedule(self, step: int, optimizers: Mapping[str, Optimizer]) -> None:
        """Sets rate and momentum for a step, counted from 0."""
        # As a power of the exponent's negative: the quotient of a large step would overflow.
        rate = max(self.rate * self.rate_divisor ** -float(step), self.least_rate)
        share = min(1.0, step / self.momentum_steps) if self.momentum_steps else 1.0
        momentum = self.momentum + share * (self.final_momentum - self.momentum)
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"], group["momentum"] = rate, momentum


def chosen(
    name: Literal["sgd", "adam"], descent: Descent, adam: Adams, *, usual: Adams | None = None
) -> Descent | Adams:
    """The one of the two that is used.

    Args:
        name: Which.
        descent: Settings of the one.
        adam: Settings of the other.
        usual: The system's own default for `adam`, if it is another than everybody's.

    Raises:
        UserError: The settings of the other one were changed, which would do nothing.
    """
    if name == "sgd" and adam != (usual or Adams()):
        raise UserError(
            "the rates and decays of Adam do nothing with --optimizer sgd: give --optimizer adam, or --rate"
        )
    if name == "adam" and descent != Descent():
        raise UserError(
            "--rate and the momenta are those of --optimizer sgd: with adam give --generator-rate, --discriminator-rate"
        )
    return descent if name == "sgd" else adam
