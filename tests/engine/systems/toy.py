"""A system small enough to train in milliseconds, with switches for what a run must survive."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, Optimizer

from ganvas.data.options import DataOptions
from ganvas.engine.seeding import latents, truncate
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training

PAPER = "arXiv:0000.00000"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """The toy."""

    size: int = 8
    """Side of the pictures, pixels."""
    channels: int = 1
    """Colour channels."""
    classes: int | Literal["auto"] = 0
    """Number of classes."""
    width: int = 8
    """Channels inside."""
    norm: bool = False
    """Batch norm in the generator and dropout in the discriminator."""
    drawing: Literal["drawn", "batch"] = "drawn"
    """Where latents come from: drawn, or a projection of the batch's pictures."""
    order: Literal["alternating", "simultaneous"] = "alternating"
    """When optimisers move."""
    discriminator_steps: int = 1
    """Discriminator updates a step."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Which optimiser."""
    bad_step: int = -1
    """Step at which the generator's loss is NaN, whenever it comes."""
    extra: str = ""
    """A batch key to need."""


class Toy(System):
    """A generator and a discriminator of two layers each."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.needs = frozenset({"image", *filter(None, [config.extra])})
        width, size = config.width, config.size
        self.generator = nn.Sequential(
            nn.Linear(4, width * (size // 2) ** 2),
            nn.Unflatten(1, (width, size // 2, size // 2)),
            nn.BatchNorm2d(width) if config.norm else nn.Identity(),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(width, config.channels, 4, 2, 1),
            nn.Tanh(),
        )
        self.discriminator = nn.Sequential(
            nn.Conv2d(config.channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.2) if config.norm else nn.Identity(),
            nn.Flatten(),
            nn.Linear(width * (size // 2) ** 2, 1),
        )
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.nan_at: dict[int, int] = {}

    def updates(self, step: int) -> Iterable[Update | tuple[Update, ...]]:
        if os.environ.get("TOY_KILL") == str(step):
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get("TOY_TERM") == str(step):
            os.kill(os.getpid(), signal.SIGTERM)
        repeats = self.config.discriminator_steps
        discriminator = Update("discriminator", (self.discriminator,), self.discriminator_loss, repeats)
        generator = Update("generator", (self.generator,), partial(self.generator_loss, step=step))
        if self.config.order == "simultaneous":
            yield discriminator, generator
        else:
            yield discriminator
            yield generator

    def latents(self, batch: Batch) -> Tensor:
        image = batch["image"]
        if self.config.drawing == "batch":
            return image.mean(1).flatten(1)[:, ::17]
        return torch.randn(len(image), 4, device=image.device)

    def discriminator_loss(self, batch: Batch) -> Terms:
        self.count += 1
        with torch.no_grad():
            fake = self.generator(self.latents(batch))
        real, fake = self.discriminator(batch["image"]).float(), self.discriminator(fake).float()
        return {"real": F.softplus(-real).mean(), "fake": F.softplus(fake).mean()}

    def generator_loss(self, batch: Batch, step: int) -> Terms:
        loss = F.softplus(-self.discriminator(self.generator(self.latents(batch))).float()).mean()
        if step == self.config.bad_step or self.nan_at.get(step, 0) > 0:
            self.nan_at[step] = self.nan_at.get(step, 0) - 1
            loss = loss * float("nan")
        return {"adversarial": loss}

    def optimizers(self) -> dict[str, Optimizer]:
        def make(network: nn.Module) -> Optimizer:
            if self.config.optimizer == "sgd":
                return SGD(network.parameters(), 0.1)
            return Adam(network.parameters(), 2e-3, (0.5, 0.9), fused=True)

        return {"discriminator": make(self.discriminator), "generator": make(self.generator)}

    def schedule(self, step: int, optimizers: Mapping[str, Optimizer]) -> None:
        pass

    def prepare_sampling(self) -> None:
        # Leaves marks wherever it may: the engine must wipe them away.
        self.generator.train()
        self.generator(torch.randn(16, 4, device=self.count.device))
        self.count += 1000
        self.generator.eval()

    def sample(self, seeds: Sequence[int], conditions: Batch, truncation: float | None = None) -> Tensor:
        z = latents(seeds, 4)
        if truncation is not None:
            z = truncate(z, truncation)
        return self.generator(z.to(self.count.device)).float()


SYSTEM = Toy

PRESETS = {
    "smoke": Preset(
        Config(),
        Training(steps=12, batch=8, log_every=1, grid_every=4, grid_images=4, checkpoint_every=5, threads=1),
        DataOptions(),
    ),
    "grand": Preset(Config(size=16, width=16, norm=True), Training(steps=1_000_000), DataOptions()),
}
