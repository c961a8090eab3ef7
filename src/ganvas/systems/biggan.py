"""BigGAN: a class-conditional residual GAN that scales.

Brock, Donahue & Simonyan 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis",
arXiv 1809.11096. Its unconditional form is the baseline of U-Net GAN (arXiv 2002.12655), whose generator it is.

The idea: residual blocks with conditional batch norm in the generator, spectral norm in both networks, a
projection discriminator with a hinge loss, orthogonal weights, a moving average of the generator's weights to
sample from, and truncation of the latent to trade variety for fidelity.

Three ways to tell the generator what to draw:

* unconditional: self-modulation, the gain and bias of every batch norm are small networks of the latent
  (Chen et al. 2019, arXiv 1810.01365), as U-Net GAN uses it;
* classes, an embedding for every batch norm (U-Net GAN's COCO-Animals);
* classes, one embedding shared by all batch norms through linear maps, and a latent cut in pieces, one for each
  block (BigGAN proper, `shared_embedding` > 0).

Departures: one power iteration of spectral norm an update, not a forward pass. The two sizes below the paper's, 32
and 64 px, follow the widths of its published code. Orthogonal regularisation is left out: the paper's final models
do without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import ConfigDict, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.data.options import DataOptions
from ganvas.discriminators.resnet import ResNetDiscriminator
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.losses.options import Adversarial
from ganvas.nn.blocks import SelfAttention, orthogonal_init
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.latent import Prior, class_condition, count_classes, draw
from ganvas.nn.layers import Conv2d, Linear
from ganvas.nn.norm import ModulatedBatchNorm
from ganvas.nn.optim import Adams

PAPER = "arXiv:1809.11096"

CHANNELS = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
"""Channels of the generator in units of the width: of the 4x4 start, then of each block's output (tables 4 to 8)."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of BigGAN."""

    size: Literal[32, 64, 128, 256] = 128
    """Side of the pictures, pixels."""
    channels: Literal[1, 3] = 3
    """Colour channels: 3, or 1 for gray."""
    classes: NonNegativeInt | Literal["auto"] = 0
    """Number of classes; 0 is unconditional, `auto` as many as the data has."""
    width: PositiveInt = 64
    """Channels of the widest-resolution block, `ch` in the paper (96 for ImageNet there, 64 in U-Net GAN)."""
    latent: PositiveInt = 128
    """Length of z."""
    shared_embedding: NonNegativeInt = 0
    """Length of the class embedding that all batch norms share, with z cut in pieces (BigGAN); 0: one each."""
    attention: NonNegativeInt = 0
    """Resolution of self-attention in both networks, pixels (64 in BigGAN); 0 is none."""
    discriminator_steps: PositiveInt = 1
    """Discriminator updates for each of the generator's (2 in the paper)."""
    adversarial: Adversarial = Adversarial(objective="hinge")
    """The adversarial loss (section 3)."""
    adam: Adams = Adams(generator_rate=1e-4, discriminator_rate=4e-4, beta1=0.0, adam_eps=1e-6)
    """Adam for each network (appendix C)."""


class GeneratorBlock(nn.Module):
    """Batch norm, ReLU, x2, 3x3, batch norm, ReLU, 3x3; shortcut x2 and 1x1 (fig. 15b)."""

    def __init__(self, inputs: int, outputs: int, norm1: ModulatedBatchNorm, norm2: ModulatedBatchNorm) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm1, norm2
        self.conv1 = Conv2d(inputs, outputs, spectral=True)
        self.conv2 = Conv2d(outputs, outputs, spectral=True)
        self.shortcut = Conv2d(inputs, outputs, 1, spectral=True)

    def forward(self, x: Float[Tensor, "B I H W"], code: Tensor) -> Float[Tensor, "B O 2*H 2*W"]:
        """Features at twice the resolution; `code` (B, ...) modulates both norms."""
        h = self.conv1.upsampled(self.norm1(x, code))
        return self.conv2(self.norm2(h, code)) + self.shortcut.upsampled(x)


class Generator(nn.Module):
    """z (and a class) to a picture (figs. 15 and 16; appendix B).

    Args:
        size: Side of the pictures, pixels: 32, 64, 128 or 256.
        channels: Colour channels.
        width: `ch` in the paper.
        latent: Length of z.
        classes: Number of classes, 0 for self-modulation.
        shared_embedding: Length of the shared class embedding; 0 is an embedding for every batch norm.
        attention: Resolution of self-attention, pixels; 0 is none.

    Raises:
        UserError: `shared_embedding` without classes, or a latent that cannot be cut in equal pieces.
    """

    def __init__(
        self, size: int, channels: int, width: int, latent: int, classes: int, shared_embedding: int, attention: int
    ) -> None:
        super().__init__()
        first, *widths = [multiple * width for multiple in CHANNELS[size]]
        self.latent, self.classes = latent, classes
        self.embedding = nn.Embedding(classes, shared_embedding) if shared_embedding else None
        self.pieces = len(widths) + 1 if shared_embedding else 1
        if shared_embedding and not classes:
            raise UserError("a shared class embedding needs classes: give --classes, or --shared-embedding 0")
        if latent % self.pieces:
            raise UserError(f"the latent is cut into {self.pieces} equal pieces: --latent must be a multiple of that")
        piece = latent // self.pieces

        def norm(outputs: int) -> ModulatedBatchNorm:
            def modulation() -> nn.Module:
                if shared_embedding:
                    return Linear(piece + shared_embedding, outputs, spectral=True, bias=False)
                if classes:
                    return nn.Embedding(classes, outputs)
                return nn.Sequential(nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, outputs, bias=False))

            return ModulatedBatchNorm(outputs, modulation(), modulation())

        self.start = Linear(piece, 4 * 4 * first, spectral=True)
        self.blocks = nn.ModuleList()
        self.attention = nn.ModuleDict()  # by index of the block that it follows
        inputs, resolution = first, 4
        for outputs in widths:
            self.blocks.append(GeneratorBlock(inputs, outputs, norm(inputs), norm(outputs)))
            inputs, resolution = outputs, 2 * resolution
            if resolution == attention:
                self.attention[str(len(self.blocks) - 1)] = SelfAttention(outputs)
        self.norm = nn.BatchNorm2d(inputs)
        self.output = Conv2d(inputs, channels, spectral=True)
        orthogonal_init(self)

    def forward(self, z: Float[Tensor, "B Z"], label: Int[Tensor, "B"] | None = None) -> Float[Tensor, "B C H W"]:
        """Pictures in (-1, 1)."""
        pieces = z.chunk(self.pieces, 1)
        codes: list[Tensor]
        if self.embedding is not None:
            embedded = self.embedding(label)
            codes = [torch.cat([piece, embedded], 1) for piece in pieces[1:]]
        else:
            codes = [z if label is None else label] * len(self.blocks)
        h = self.start(pieces[0]).view(z.shape[0], -1, 4, 4)
        h = h.contiguous(memory_format=torch.channels_last)
        for i, (block, code) in enumerate(zip(self.blocks, codes, strict=True)):
            h = block(h, code)
            if str(i) in self.attention:
                h = self.attention[str(i)](h)
        return torch.tanh(at_least_float32(self.output(torch.relu(self.norm(h)))))


class BigGAN(System):
    """BigGAN: the generator above against the residual projection discriminator."""

    prior: Prior

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.classes = count_classes(config.classes)
        places = [2**power for power in range(3, 9) if 2**power < config.size]
        if config.attention and config.attention not in places:
            raise UserError(
                f"self-attention at {config.size} px goes to a resolution of {places}: not {config.attention}"
            )
        self.config = config
        self.rates = config.adam
        self.needs = frozenset({"image", "label"} if self.classes else {"image"})
        self.prior = Prior(config.latent)
        self.generator = Generator(
            config.size, config.channels, config.width, config.latent, self.classes,
            config.shared_embedding, config.attention,
        )  # fmt: skip
        self.discriminator = ResNetDiscriminator(
            config.size, channels=config.channels, width=config.width, classes=self.classes,
            attention=config.attention,
        )  # fmt: skip
        self.adversarial = config.adversarial.loss(self.discriminator)

    def updates(self, step: int) -> Iterable[Update]:
        """Some discriminator updates, then one of the generator (appendix C), each with fresh fakes."""
        discriminator_loss = partial(self.discriminator_loss, step=step)
        yield Update("discriminator", (self.discriminator,), discriminator_loss, self.config.discriminator_steps)
        yield Update("generator", (self.generator,), self.generator_loss)

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """Hinge: E relu(1 - D(x)) + E relu(1 + D(G(z)))."""
        with torch.no_grad():
            fake = draw(self.generator, batch, self.prior, self.classes)
        return self.adversarial.discriminator_terms(
            batch["image"], fake, class_condition(batch, self.classes), step=step
        )

    def generator_loss(self, batch: Batch) -> Terms:
        """Hinge: -E D(G(z))."""
        fake = draw(self.generator, batch, self.prior, self.classes)
        return self.adversarial.generator_terms(fake, class_condition(batch, self.classes), real=batch["image"])


SYSTEM = BigGAN


def rates(generator: float, discriminator: float, beta2: float = 0.999, adam_eps: float = 1e-6) -> Adams:
    """BigGAN's Adam at other rates."""
    return replace(
        Config().adam, generator_rate=generator, discriminator_rate=discriminator, beta2=beta2, adam_eps=adam_eps
    )


PRESETS = {
    "smoke": Preset(
        Config(size=32, width=4, latent=8),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    ),
    "demo": Preset(
        Config(size=32, width=16, latent=128, adam=rates(1e-4, 5e-4, beta2=0.99)),
        Training(steps=1700, batch=16, ema=0.995, log_every=20, grid_every=250, checkpoint_every=500),
        DataOptions(),
    ),
    # Brock et al. 2019, appendix C, and the defaults of their PyTorch code where the paper needs a pod.
    "imagenet128": Preset(
        Config(size=128, classes=1000, width=96, latent=120, shared_embedding=128, attention=64),
        Training(steps=500_000, batch=2048, micro_batch=256, ema=0.9999, ema_start=20_000),
        DataOptions(),
    ),
    # The baselines of Schönfeld et al. 2020: the same settings as U-Net GAN's, with the hinge loss.
    "ffhq256": Preset(
        Config(size=256, width=64, adam=rates(1e-4, 5e-4)),
        Training(steps=800_000, batch=20, ema=0.9999, ema_start=21_000),
        DataOptions(),
    ),
    "celeba128": Preset(
        Config(size=128, width=64, adam=rates(5e-5, 2e-4)),
        Training(steps=800_000, batch=50, ema=0.9999, ema_start=21_000),
        DataOptions(),
    ),
    "coco-animals128": Preset(
        Config(size=128, classes=10, width=64, adam=rates(5e-5, 2e-4, adam_eps=1e-8)),
        Training(steps=800_000, batch=80, ema=0.9999),
        DataOptions(),
    ),
}
