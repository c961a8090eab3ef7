"""First weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ganvas.engine.system import Batch

BatchNorm = nn.modules.batchnorm._BatchNorm


def dcgan_init(module: nn.Module) -> None:
    """Weights N(0, 0.02), gains of batch norm N(1, 0.02), all biases 0 (Radford et al. 2016, section 4).

    Kernels before a pixel shuffle are drawn so that the four pixels of a block are equal; see `icnr_`.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, BatchNorm) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
    for layer in module.modules():
        if isinstance(layer, nn.Sequential):
            for convolution, shuffle in itertools.pairwise(layer):
                if isinstance(shuffle, nn.PixelShuffle) and isinstance(convolution, nn.Conv2d):
                    icnr_(convolution, shuffle.upscale_factor)


def default_init(module: nn.Module) -> None:
    """PyTorch's own first weights, for a network that was given others."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | BatchNorm):
            layer.reset_parameters()


def uniform_init(module: nn.Module, size: float) -> None:
    """Linear layers' weights uniform from -size to size, biases 0; left as they are if `size` is 0."""
    if size:
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                nn.init.uniform_(layer.weight, -size, size)
                nn.init.zeros_(layer.bias)


def start_at_mean(output: nn.Linear, batches: Iterable[Batch]) -> None:
    """Sets the bias before a sigmoid to the logit of the mean picture (Goodfellow et al. 2014, published code).

    Args:
        output: Layer whose outputs h become pictures 2 sigmoid(h) - 1.
        batches: Pictures of the data, `image` (B, C, H, W) in [-1, 1].
    """
    mean = torch.stack([batch["image"].mean(0) for batch in batches]).mean(0).flatten()
    with torch.no_grad():  # logit((m + 1) / 2) = 2 atanh(m); pixels that never change have no finite one
        output.bias.copy_(2 * torch.atanh(mean.clamp(-0.998, 0.998)))


def icnr_(convolution: nn.Conv2d, factor: int = 2) -> None:
    """Makes a convolution before a pixel shuffle start as one before a nearest-neighbour enlargement.

    Of the `factor` squared kernels whose outputs the shuffle lays side by side, the first is kept and copied to the
    others (Aitken et al. 2017, arXiv 1707.02937). Weights that differ would draw a checkerboard from the first step.
    """
    with torch.no_grad():
        for parameter in (convolution.weight, convolution.bias):
            if parameter is not None:
                first: Tensor = parameter[:: factor**2].clone()
                # PyTorch's shuffle takes channel c r^2 + i r + j to offset (i, j) of channel c.
                parameter.copy_(first.repeat_interleave(factor**2, 0))
