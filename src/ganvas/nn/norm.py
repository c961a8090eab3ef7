"""Batch norm whose gain and bias depend on a code, and fresh statistics for sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.nn.weights import is_reference


class ModulatedBatchNorm(nn.Module):
    """Batch norm, then `x * (1 + gain(code)) + bias(code)`, then ReLU.

    With class embeddings it is conditional batch norm (de Vries et al. 2017); with the latent as code it is
    self-modulation (Chen et al. 2019, arXiv 1810.01365, eq. 2).

    Args:
        channels: Of the feature maps.
        gain: Maps a code to (B, C).
        bias: Maps a code to (B, C).
    """

    def __init__(self, channels: int, gain: nn.Module, bias: nn.Module) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(channels, affine=False)
        self.gain, self.bias = gain, bias

    def forward(self, x: Float[Tensor, "B C H W"], code: Tensor) -> Float[Tensor, "B C H W"]:
        """Normalise, modulate by `code` (B, ...), rectify."""
        x = self.batch_norm(x)
        gain = 1 + self.gain(code).to(x.dtype)
        bias = self.bias(code).to(x.dtype)
        return F.relu(torch.addcmul(bias[:, :, None, None], x, gain[:, :, None, None]), inplace=True)


PictureNorm = Literal["batch", "instance"]
"""Over the pictures of a batch and their positions, or over those of each picture alone."""


class OwnStatistics(nn.BatchNorm2d):
    """Batch norm that keeps no statistics: those of the batch in training, afterwards each picture's own.

    The published code of pix2pix tests with the statistics of the test batch, of one picture; so a picture's
    translation depends on no other (Isola et al. 2017, section 3.4).

    Args:
        channels: Of the feature maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Normalise, then gain and bias."""
        return super().forward(x) if self.training else each_alone(x, self.weight, self.bias, self.eps)


class InstanceNorm(nn.Module):
    """Instance norm without gain and bias (Ulyanov et al. 2016, arXiv 1607.08022)."""

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Normalise every picture and channel by its own mean and variance."""
        return each_alone(x)


def each_alone(
    x: Float[Tensor, "B C H W"], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Float[Tensor, "B C H W"]:
    """Batch norm of each picture as a batch of its own, which is instance norm.

    Args:
        x: Feature maps.
        weight: Gain of each channel, (C,).
        bias: Of each channel, (C,).
        eps: Added to variances.
    """
    if x.device.type != "cpu" or is_reference() or not x.is_contiguous(memory_format=torch.channels_last):
        return F.instance_norm(x, weight=weight, bias=bias, eps=eps)
    # In channels-last PyTorch's instance and group norm are ten times slower on a CPU than its batch norm.
    return torch.cat([F.batch_norm(one, None, None, weight, bias, training=True, eps=eps) for one in torch.split(x, 1)])


def norm_layer(name: PictureNorm, channels: int) -> nn.Module:
    """A norm as a layer: batch norm with gain and bias, or instance norm (Ulyanov et al. 2016) without.

    Args:
        name: Which.
        channels: Of the feature maps.
    """
    return nn.BatchNorm2d(channels) if name == "batch" else InstanceNorm()


def refresh_batch_norm(network: nn.Module, run: Callable[[], object], batches: int) -> None:
    """Estimate the running statistics of all batch norms anew, as the plain average over some batches.

    The statistics kept during training belong to weights that have moved since, and to none at all where the
    weights are a moving average (Brock et al. 2019, appendix B: "standing statistics").

    Args:
        network: Whose batch norms are meant; its mode is put back.
        run: One forward pass on a fresh batch.
        batches: How many of them.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    norms = [norm for norm in norms if norm.track_running_stats]
    if not norms:
        return
    modes = [(module, module.training) for module in network.modules()]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    try:
        with torch.no_grad():
            for _ in range(batches):
                run()
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode
