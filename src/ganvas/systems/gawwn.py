"""GAWWN: what is drawn follows a caption, and where follows a box or keypoints.

Reed, Akata, Mohan, Tenka, Schiele & Lee 2016, "Learning What and Where to Draw", NIPS, arXiv 1610.02454.

The idea: both networks have a global pathway, which sees the whole picture, and a local one, which sees nothing but the
object's place. Three models, one System each:

    --model box         BoxGAWWN, section 4.1: features are laid into a bounding box, and cut out of one
    --model keypoints   KeypointGAWWN, section 4.2: features are multiplied by where the parts are
    --model completion  KeypointCompletion, section 4.3, G_k: draws the keypoints that nobody has placed

The discriminators are shown real pictures with captions that are not theirs, as in GAN-CLS; that of G_k is not.

Departures: the encoder is any that gives a sentence as a vector (`--encoder`), and vectors are scaled so that their
mean square over the data is 1. Boxes are resampled with the centres of cells at (i + 1/2) / n, strictly nothing
outside; the published sampler has them at i / (n - 1). A keypoint is told in the cell that it lies in, where the code
rounds. In the box model's discriminator the global pathway is given the caption laid into the box, so that it knows
where that is. The generator's update uses the pictures that the discriminator has just seen. Samples are drawn with
batch-norm statistics estimated anew. Sizes other than 128 px are ours, with the same 16x16 cells. The variant for
people (MPII) is not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from pydantic import ConfigDict, Field, PositiveInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ganvas.data.options import DataOptions
from ganvas.discriminators import Condition, Verdict
from ganvas.engine.system import Batch, Preset, System, Terms, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.losses.adversarial import Probability
from ganvas.losses.options import Adversarial
from ganvas.nn.boxes import box_mask, crop, paste
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.init import dcgan_init
from ganvas.nn.keypoints import dots, keypoint_grid
from ganvas.nn.latent import FAKE, Prior, once
from ganvas.nn.layers import FromPixel, ToPixel
from ganvas.nn.optim import Adams
from ganvas.nn.residual import Bottleneck
from ganvas.nn.text import Standing, count_of, mismatched, tiled

PAPER = "arXiv:1610.02454"

GRID = 16
"""Cells along each side in which boxes and keypoints are told (section 4)."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Config:
    """Networks and losses of GAWWN."""

    model: Literal["box", "keypoints", "completion"] = "box"
    """What says where to draw: a bounding box (section 4.1) or keypoints (4.2); or G_k, which draws keypoints (4.3)."""
    size: Annotated[int, Field(ge=32)] = 128
    """Side of the pictures, pixels: a power of two from 32 (128 in the paper). Of completion: of its drawings."""
    channels: Literal[1, 3] = 3
    """Colour channels: 3, or 1 for gray."""
    embedding: PositiveInt | Literal["auto"] = "auto"
    """Length of an embedded caption; `auto` is what the data's encoder gives (1024 in the paper)."""
    keypoints: PositiveInt | Literal["auto"] = "auto"
    """K, parts of an object; `auto` is as many as the data has (15 in the paper). The box model has none."""
    latent: PositiveInt = 100
    """Length of z."""
    width: PositiveInt = 128
    """Channels ngf and ndf of both networks, of which all others are multiples; units of completion are 4 times it."""
    mismatched: Probability = 0.5
    """Share of mismatched pairs in what the discriminator rejects; 0 shows it none. Completion has none."""
    drop: Probability = 0.9
    """Of completion: how likely a keypoint is hidden from the generator in training (section 4.3)."""
    adversarial: Adversarial = Adversarial()
    """The adversarial loss."""
    adam: Adams = Adams()
    """Adam for each network; halve_every is 100 epochs in the paper."""


def down(inputs: int, outputs: int, slope: float = 0.2) -> nn.Sequential:
    """Half the resolution, batch norm, leaky ReLU."""
    return _normed(nn.Conv2d(inputs, outputs, 4, 2, 1), outputs, slope)


def up(inputs: int, outputs: int) -> nn.Sequential:
    """Twice the resolution, batch norm, ReLU."""
    return _normed(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), outputs, 0.0)


def _normed(layer: nn.Module, outputs: int, slope: float) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.LeakyReLU(slope, inplace=True))


def _unit(inputs: int, outputs: int, slope: float = 0.0) -> nn.Sequential:
    """Units of a fully connected layer with batch norm."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(slope, inplace=True))


def _picture(config: Config, inputs: int, widths: Sequence[int]) -> nn.Sequential:
    """From 16x16 maps to the picture, by as many doublings as its size takes."""
    doublings = config.size.bit_length() - GRID.bit_length()
    layers: list[nn.Module] = []
    for outputs in widths[: doublings - 1]:
        layers.append(up(inputs, outputs))
        inputs = outputs
    layers.append(nn.ConvTranspose2d(inputs, config.channels, 4, 2, 1))
    return nn.Sequential(*layers)


class BoxGenerator(nn.Module):
    """Caption, noise and box to a picture (figure 2).

    Args:
        config: See `Config`.
        embedding: Length of an embedded caption.
    """

    def __init__(self, config: Config, embedding: int) -> None:
        super().__init__()
        n = config.width
        self.text, self.local_z = nn.Linear(embedding, 4 * n), nn.Linear(config.latent, 4 * n)
        self.global_z = nn.Linear(config.latent, 4 * n)
        self.where = nn.Sequential(
            down(4 * n, 4 * n, 0.0), down(4 * n, 4 * n, 0.0), _normed(ToPixel(4 * n, 4 * n), 4 * n, 0.0)
        )
        self.globally = nn.Sequential(_normed(FromPixel(8 * n, 8 * n), 8 * n, 0.0), up(8 * n, 4 * n), up(4 * n, 2 * n))
        self.locally = nn.Sequential(
            FromPixel(8 * n, 8 * n), nn.BatchNorm2d(8 * n), Bottleneck(8 * n, 2 * n),
            nn.ConvTranspose2d(8 * n, 4 * n, 4, 2, 1), nn.BatchNorm2d(4 * n), Bottleneck(4 * n, n),
            nn.ConvTranspose2d(4 * n, 2 * n, 4, 2, 1), nn.BatchNorm2d(2 * n),
        )  # fmt: skip
        self.merge = _normed(nn.ConvTranspose2d(4 * n, 2 * n, 3, 1, 1), 2 * n, 0.0)
        self.picture = _picture(config, 2 * n, (n, max(1, n // 4)))
        dcgan_init(self)

    def local_features(
        self, z: Float[Tensor, "B Z"], text: Float[Tensor, "B E"], boxes: Float[Tensor, "B 4"]
    ) -> Float[Tensor, "B C 16 16"]:
        """What the local pathway gives: zero outside of the boxes."""
        start = F.relu(torch.cat([self.local_z(z), self.text(text)], 1))[:, :, None, None]
        return F.relu(paste(self.locally(start), boxes))

    def forward(
        self, z: Float[Tensor, "B Z"], text: Float[Tensor, "B E"], boxes: Float[Tensor, "B 4"]
    ) -> Float[Tensor, "B D H W"]:
        """Pictures in (-1, 1)."""
        caption = self.text(text)
        # The same vector at every cell, laid into the box, is that vector times the box's mask.
        layout = self.where(tiled(caption, caption[:, :, None, None]) * box_mask(boxes, GRID, GRID).to(caption.dtype))
        start = torch.cat([F.relu(self.global_z(z))[:, :, None, None].to(layout.dtype), layout], 1)
        h = torch.cat([self.globally(start), self.local_features(z, text, boxes)], 1)
        return torch.tanh(at_least_float32(self.picture(self.merge(h))))


class KeypointGenerator(nn.Module):
    """Caption, noise and keypoints to a picture (figure 3).

    Args:
        config: See `Config`.
        embedding: Length of an embedded caption.
        keypoints: How many parts there are.
    """

    def __init__(self, config: Config, embedding: int, keypoints: int) -> None:
        super().__init__()
        n = config.width
        self.text, self.z = nn.Linear(embedding, 4 * n), nn.Linear(config.latent, 4 * n)
        self.local_units, self.global_units = _unit(8 * n, 4 * n), _unit(8 * n, 4 * n)
        self.local = _normed(nn.ConvTranspose2d(4 * n, 4 * n, 3, 1, 1), 4 * n, 0.0)
        self.where = nn.Sequential(
            down(keypoints, n, 0.0), down(n, 2 * n, 0.0), _normed(ToPixel(2 * n, 4 * n), 4 * n, 0.0)
        )
        self.globally = nn.Sequential(_normed(FromPixel(8 * n, 4 * n), 4 * n, 0.0), up(4 * n, 2 * n), up(2 * n, n))
        self.merge = nn.Sequential(
            _normed(nn.ConvTranspose2d(5 * n + keypoints, 4 * n, 3, 1, 1), 4 * n, 0.0),
            nn.ConvTranspose2d(4 * n, 4 * n, 3, 1, 1), nn.BatchNorm2d(4 * n), Bottleneck(4 * n, n),
        )  # fmt: skip
        self.picture = _picture(config, 4 * n, (2 * n, n))
        dcgan_init(self)

    def forward(
        self, z: Float[Tensor, "B Z"], text: Float[Tensor, "B E"], keypoints: Float[Tensor, "B K 3"]
    ) -> Float[Tensor, "B D H W"]:
        """Pictures in (-1, 1)."""
        units = F.relu(torch.cat([self.z(z), self.text(text)], 1))
        grid = keypoint_grid(keypoints, GRID).to(units.dtype)
        mask = grid.sum(1, keepdim=True).clamp(max=1)  # of any part; for cells of 0 and 1 the same as their maximum
        local = self.local(self.local_units(units)[:, :, None, None] * mask)
        layout = torch.cat([self.global_units(units)[:, :, None, None], self.where(grid)], 1)
        h = torch.cat([local, self.globally(layout), grid], 1)
        return torch.tanh(at_least_float32(self.picture(self.merge(h))))


class Trunk(nn.Module):
    """What both discriminators begin with: a picture to 16x16 maps, and the caption to a vector.

    Args:
        config: See `Config`.
        embedding: Length of an embedded caption.
    """

    def __init__(self, config: Config, embedding: int) -> None:
        super().__init__()
        n = config.width
        halvings = config.size.bit_length() - GRID.bit_length()
        layers: list[nn.Module] = []
        inputs: int = config.channels
        for level in range(halvings):  # batch norm in the last alone
            last = level == halvings - 1
            outputs = 2 * n if last else n
            convolution = nn.Conv2d(inputs, outputs, 4, 2, 1)
            plain = nn.Sequential(convolution, nn.LeakyReLU(0.2, inplace=True))
            layers.append(_normed(convolution, outputs, 0.2) if last and level else plain)
            inputs = outputs
        self.picture = nn.Sequential(*layers, _normed(nn.Conv2d(2 * n, 2 * n, 3, 1, 1), 2 * n, 0.2))
        self.text = nn.Sequential(nn.Linear(embedding, n), nn.LeakyReLU(0.2, inplace=True))
        self.globally = nn.Sequential(down(2 * n, 4 * n), down(4 * n, 8 * n))
        self.with_text = nn.Sequential(
            _normed(nn.Conv2d(9 * n, 4 * n, 1), 4 * n, 0.2), _normed(ToPixel(4 * n, n), n, 0.2)
        )
        self.joint = _normed(nn.Conv2d(3 * n, 2 * n, 3, 1, 1), 2 * n, 0.2)
        self.last = nn.Sequential(_unit(2 * n, n, 0.2), nn.Linear(n, 1))

    def encode(self, images: Float[Tensor, "B D H W"]) -> tuple[Tensor, Tensor]:
        """What is seen without caption and place: 16x16 maps, and 4x4 ones of the global pathway."""
        maps = self.picture(images)
        return maps, self.globally(maps)

    def verdict(self, local: Float[Tensor, "B N"], seen: Tensor, text: Float[Tensor, "B N 4 4"]) -> Verdict:
        """Head `image` (B,), of the local pathway's vector and the global one's maps with the caption beside them."""
        whole = self.with_text(torch.cat([seen, text.to(seen.dtype)], 1)).flatten(1)
        return Verdict({"image": self.last(torch.cat([F.leaky_relu(local, 0.2), whole], 1)).squeeze(1)}, (local, whole))


class PlacedDiscriminator(nn.Module):
    """What the two discriminators of pictures share.

    Args:
        config: See `Config`.
        embedding: Length of an embedded caption.
        maps: Channels that the local pathway is given beside its features.
    """

    def __init__(self, config: Config, embedding: int, maps: int) -> None:
        super().__init__()
        n = config.width
        self.trunk = Trunk(config, embedding)
        self.local = nn.Sequential(_normed(nn.Conv2d(2 * n + maps, 2 * n, 1), 2 * n, 0.2), nn.Conv2d(2 * n, n, 1))

    def encode(self, images: Float[Tensor, "B D H W"]) -> tuple[Tensor, Tensor]:
        """See `Trunk.encode`."""
        return self.trunk.encode(images)

    def decide(self, seen: tuple[Tensor, Tensor], condition: Condition | None) -> Verdict:
        """The verdict on what `encode` gave, with captions and places."""
        raise NotImplementedError

    def forward(self, images: Float[Tensor, "B D H W"], condition: Condition | None = None) -> Verdict:
        """One logit a picture, head `image` (B,); features are the two pathways' vectors."""
        return self.decide(self.encode(images), condition)


class BoxDiscriminator(PlacedDiscriminator):
    """Picture, caption and box to a logit (figure 2).

    Args:
        config: See `Config`.
        embedding: Length of an embedded caption.
    """

    def __init__(self, config: Config, embedding: int) -> None:
        super().__init__(config, embedding, maps=0)
        n = config.width
        self.placed = nn.Sequential(down(n, 4 * n), down(4 * n, n))
        dcgan_init(self)

    def decide(self, seen: tuple[Tensor, Tensor], condition: Condition | None) -> Verdict:
        """The verdict on what `encode` gave, with captions and boxes.

        Raises:
            ValueError: They are missing.
        """
        if condition is None or condition.vector is None or condition.boxes is None:
            raise ValueError("this discriminator needs Condition(vector=..., boxes=...)")
        maps, whole = seen
        text = self.trunk.text(condition.vector)
        local = self.trunk.joint(torch.cat([maps, tiled(text, maps)], 1))
        local = self.local(crop(local, condition.boxes)).mean((2, 3))
        placed = tiled(text, maps) * box_mask(condition.boxes, GRID, GRID).to(maps.dtype)
        return self.trunk.verdict(local, whole, self.placed(placed))


class KeypointDiscriminator(PlacedDiscriminator):
    """Picture, caption and keypoints to a logit (figure 3).

    Args:
        config: See `Config`.
        embedding: Length of an embedded caption.
        keypoints: How many parts there are.
    """

    def __init__(self, config: Config, embedding: int, keypoints: int) -> None:
        super().__init__(config, embedding, maps=keypoints)
        dcgan_init(self)

    def decide(self, seen: tuple[Tensor, Tensor], condition: Condition | None) -> Verdict:
        """The verdict on what `encode` gave, with captions and the grid of keypoints.

        Raises:
            ValueError: They are missing.
        """
        if condition is None or condition.vector is None or condition.maps is None:
            raise ValueError("this discriminator needs Condition(vector=..., maps=...)")
        maps, whole = seen
        text, grid = self.trunk.text(condition.vector), condition.maps.to(maps.dtype)
        local = self.trunk.joint(torch.cat([maps, tiled(text, maps)], 1))
        local = local * grid.sum(1, keepdim=True).clamp(max=1)
        local = self.local(torch.cat([local, grid], 1)).mean((2, 3))
        return self.trunk.verdict(local, whole, tiled(text, whole))


class CompletionGenerator(nn.Module):
    """G_k: keypoints that are given stay, the others are drawn (section 4.3).

    Args:
        config: See `Config`.
        embedding: Length of an embedded caption.
        keypoints: How many parts there are.
    """

    def __init__(self, config: Config, embedding: int, keypoints: int) -> None:
        super().__init__()
        units = 4 * config.width
        self.z = nn.Sequential(nn.Linear(config.latent, units), nn.ReLU(inplace=True))
        self.text = nn.Sequential(nn.Linear(embedding, units), nn.ReLU(inplace=True))
        self.given = nn.Sequential(_unit(3 * keypoints, units), _unit(units, units // 2))
        self.layers = nn.Sequential(
            _unit(2 * units + units // 2, 2 * units), _unit(2 * units, units), _unit(units, units // 2),
            nn.Linear(units // 2, 3 * keypoints),
        )  # fmt: skip
        dcgan_init(self)

    def forward(
        self, z: Float[Tensor, "B Z"], text: Float[Tensor, "B E"], keypoints: Float[Tensor, "B K 3"]
    ) -> Float[Tensor, "B K 3"]:
        """G_k = s k + (1 - s) f(z, t, k), with s the visibility of what is given."""
        parts = [self.z(z), self.text(text), self.given(keypoints.flatten(1))]
        drawn = torch.sigmoid(at_least_float32(self.layers(torch.cat(parts, 1)))).view_as(keypoints)
        return torch.where(keypoints[..., 2:] > 0, keypoints, drawn)  # for s of 0 and 1 the same, and exact


class CompletionDiscriminator(nn.Module):
    """Keypoints and caption to a logit.

    Args:
        config: See `Config`.
        embedding: Length of an embedded caption.
        keypoints: How many parts there are.
    """

    def __init__(self, config: Config, embedding: int, keypoints: int) -> None:
        super().__init__()
        units = 4 * config.width
        self.keypoints = nn.Sequential(_unit(3 * keypoints, units, 0.2), _unit(units, units // 2, 0.2))
        self.text = nn.Sequential(_unit(embedding, units, 0.2), _unit(units, units // 2, 0.2))
        self.joint = _unit(units, units // 2, 0.2)
        self.head = nn.Linear(units // 2, 1)
        dcgan_init(self)

    def forward(self, keypoints: Float[Tensor, "B N 1 1"], condition: Condition | None = None) -> Verdict:
        """One logit for each set of keypoints, given as pictures of one pixel; features are those of the joint layer.

        Raises:
            ValueError: There is no caption.
        """
        if condition is None or condition.vector is None:
            raise ValueError("this discriminator judges keypoints with captions: it needs Condition(vector=...)")
        joint = self.joint(torch.cat([self.keypoints(keypoints.flatten(1)), self.text(condition.vector)], 1))
        return Verdict({"image": self.head(joint).squeeze(1)}, (joint,))


class GAWWN(System):
    """The one of the three that `--model` names."""

    def __new__(cls, config: Config) -> System:  # type: ignore[misc]
        """Builds it."""
        if config.size & (config.size - 1):
            raise UserError(f"the networks take pictures whose side is a power of two from 32, not {config.size} px")
        models = {"box": BoxGAWWN, "keypoints": KeypointGAWWN, "completion": KeypointCompletion}
        return models[config.model](config)


class BoxGAWWN(System):
    """Section 4.1: a picture whose object is in a box."""

    prior: Prior
    standing: Standing
    needs = frozenset({"image", "text", "boxes"})
    where = "boxes"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.rates = config.adam
        self.prior = Prior(config.latent)
        embedding = count_of(config.embedding, "numbers in an embedded caption", "--embedding")
        self.standing = Standing(text=torch.zeros(embedding), boxes=torch.tensor([0.25, 0.25, 0.5, 0.5]))
        self.discriminator = BoxDiscriminator(config, embedding)
        self.generator = BoxGenerator(config, embedding)
        self.adversarial = config.adversarial.loss(self.discriminator, mismatched=config.mismatched)

    def begin(self, batches: Iterable[Batch]) -> None:
        """Keeps some captions and boxes to sample from."""
        self.standing.keep(batches)

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminator, then the generator."""
        yield Update("discriminator", (self.discriminator,), partial(_judge, self, step=step))
        yield Update("generator", (self.generator,), partial(_deceive, self))

    def condition(self, text: Tensor, batch: Batch) -> Condition:
        """What the discriminator is told."""
        return Condition(vector=text, boxes=batch["boxes"])

    def from_latents(self, latents: Tensor, conditions: Batch) -> Tensor:
        """Pictures at given latents, captions and boxes."""
        return _at(self, latents, conditions)


class KeypointGAWWN(System):
    """Section 4.2: a picture whose object has its parts where keypoints are."""

    prior: Prior
    standing: Standing
    needs = frozenset({"image", "text", "keypoints"})
    where = "keypoints"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.rates = config.adam
        self.prior = Prior(config.latent)
        embedding = count_of(config.embedding, "numbers in an embedded caption", "--embedding")
        keypoints = count_of(config.keypoints, "keypoints", "--keypoints")
        self.standing = Standing(text=torch.zeros(embedding), keypoints=torch.zeros(keypoints, 3))
        self.discriminator = KeypointDiscriminator(config, embedding, keypoints)
        self.generator = KeypointGenerator(config, embedding, keypoints)
        self.adversarial = config.adversarial.loss(self.discriminator, mismatched=config.mismatched)

    def begin(self, batches: Iterable[Batch]) -> None:
        """Keeps some captions and keypoints to sample from."""
        self.standing.keep(batches)

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminator, then the generator."""
        yield Update("discriminator", (self.discriminator,), partial(_judge, self, step=step))
        yield Update("generator", (self.generator,), partial(_deceive, self))

    def condition(self, text: Tensor, batch: Batch) -> Condition:
        """What the discriminator is told."""
        return Condition(vector=text, maps=keypoint_grid(batch["keypoints"], GRID))

    def from_latents(self, latents: Tensor, conditions: Batch) -> Tensor:
        """Pictures at given latents, captions and keypoints."""
        return _at(self, latents, conditions)


class KeypointCompletion(System):
    """Section 4.3: G_k, which draws the keypoints that are missing.

    `complete` gives them as numbers; as samples they are dots on white, each part in a colour of its own.
    """

    prior: Prior
    standing: Standing
    needs = frozenset({"text", "keypoints"})

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.rates = config.adam
        self.prior = Prior(config.latent)
        embedding = count_of(config.embedding, "numbers in an embedded caption", "--embedding")
        keypoints = count_of(config.keypoints, "keypoints", "--keypoints")
        self.standing = Standing(text=torch.zeros(embedding), keypoints=torch.zeros(keypoints, 3))
        self.discriminator = CompletionDiscriminator(config, embedding, keypoints)
        self.generator = CompletionGenerator(config, embedding, keypoints)
        self.adversarial = config.adversarial.loss(self.discriminator)
        if config.adversarial.diffaugment:
            raise UserError("--diffaugment changes pictures, and the completion model draws keypoints: leave it out")

    def begin(self, batches: Iterable[Batch]) -> None:
        """Keeps some captions to sample from, with the few keypoints that the generator is shown in training."""
        self.standing.keep(batch | {"keypoints": self.shown(batch["keypoints"])} for batch in batches)

    def updates(self, step: int) -> Iterable[Update]:
        """The discriminator, then the generator."""
        yield Update("discriminator", (self.discriminator,), partial(self.discriminator_loss, step=step))
        yield Update("generator", (self.generator,), self.generator_loss)

    def shown(self, keypoints: Float[Tensor, "B K 3"]) -> Float[Tensor, "B K 3"]:
        """Keypoints of which each is hidden with probability `drop`."""
        return keypoints * (torch.rand_like(keypoints[..., :1]) >= self.config.drop)

    def draw(self, batch: Batch) -> Tensor:
        """Completed keypoints, once a step, as pictures of one pixel."""

        def make() -> Tensor:
            text, given = self.standing.scaled(batch["text"]), self.shown(batch["keypoints"])
            return self.generator(self.prior.draw(len(text), text.device), text, given).flatten(1)[:, :, None, None]

        return once(batch, FAKE, self.generator, make)

    def discriminator_loss(self, batch: Batch, step: int) -> Terms:
        """-log D_k(k, t) - log(1 - D_k(G_k, t))."""
        real = batch["keypoints"].flatten(1)[:, :, None, None]
        condition = Condition(vector=self.standing.scaled(batch["text"]))
        return self.adversarial.discriminator_terms(real, self.draw(batch), condition, step=step)

    def generator_loss(self, batch: Batch) -> Terms:
        """-log D_k(G_k, t)."""
        real = batch["keypoints"].flatten(1)[:, :, None, None]
        condition = Condition(vector=self.standing.scaled(batch["text"]))
        return self.adversarial.generator_terms(self.draw(batch), condition, real=real)

    def complete(
        self, keypoints: Float[Tensor, "B K 3"], text: Float[Tensor, "B E"], seeds: Sequence[int]
    ) -> Float[Tensor, "B K 3"]:
        """Keypoints of which none is missing: those that are visible stay as they are.

        Args:
            keypoints: x, y, 1 of those that are placed, 0 of the others.
            text: Embedded captions.
            seeds: One integer a picture.
        """
        device = self.standing.scale.device
        z, given = self.prior.seeded(seeds).to(device), keypoints.to(device)
        found: Tensor = self.generator(z, self.standing.scaled(text.to(device)), given)
        return found

    def from_latents(self, latents: Tensor, conditions: Batch) -> Tensor:
        """Drawings of completed keypoints."""
        text, given = (conditions[name].to(self.standing.scale.device) for name in ("text", "keypoints"))
        drawn = self.generator(latents.to(text.device), self.standing.scaled(text), given)
        return dots(drawn, self.config.size, self.config.channels)

    def pictured(self, batch: Batch) -> Tensor:
        """The true keypoints as dots."""
        return dots(batch["keypoints"], self.config.size, self.config.channels)

    def picture(self, data: Any) -> UInt8[np.ndarray, "H W C"] | None:
        """Rows of true keypoints, of the first two of them, and of four completions of those."""
        from ganvas.viz.grids import grid

        count = min(16, len(data))
        given = data.conditions(list(range(count)))
        keypoints, text = (given[name].to(self.standing.scale.device) for name in ("keypoints", "text"))
        two = keypoints.clone()
        two[:, 2:] = 0
        rows = [keypoints, two, *(self.complete(two, text, range(i, i + count)) for i in range(0, 4 * count, count))]
        return grid(torch.cat([dots(row, self.config.size, self.config.channels) for row in rows]), columns=count)


Placed = BoxGAWWN | KeypointGAWWN


def _draw(system: Placed, batch: Batch) -> Tensor:
    """Pictures of the batch's captions and places, once a step."""
    text, generator = system.standing.scaled(batch["text"]), system.generator
    return once(
        batch, FAKE, generator, lambda: generator(system.prior.draw(len(text), text.device), text, batch[system.where])
    )


def _judge(system: Placed, batch: Batch, step: int) -> Terms:
    """What the discriminator minimises: algorithm 1 of GAN-CLS, with the same place for all three pictures."""
    text = system.standing.scaled(batch["text"])
    condition = system.condition(text, batch)
    other = None
    if system.config.mismatched:
        other = system.condition(mismatched(text, batch.get("label")), batch)
    return system.adversarial.discriminator_terms(batch["image"], _draw(system, batch), condition, other, step=step)


def _deceive(system: Placed, batch: Batch) -> Terms:
    """What the generator minimises."""
    condition = system.condition(system.standing.scaled(batch["text"]), batch)
    return system.adversarial.generator_terms(_draw(system, batch), condition, real=batch["image"])


def _at(system: Placed, latents: Tensor, conditions: Batch) -> Tensor:
    text, where = (conditions[name].to(system.standing.scale.device) for name in ("text", system.where))
    pictures: Tensor = system.generator(latents.to(text.device), system.standing.scaled(text), where)
    return pictures


SYSTEM = GAWWN


def _smoke(model: Literal["box", "keypoints", "completion"]) -> Preset:
    return Preset(
        Config(model=model, size=32, latent=8, width=4, drop=0.5),
        Training(steps=4, batch=4, ema=0.9, log_every=1, grid_every=2, checkpoint_every=2, grid_images=4),
        DataOptions(),
    )


def _demo(model: Literal["box", "keypoints"], steps: int) -> Preset:
    return Preset(
        Config(model=model, size=64, width=24),
        Training(steps=steps, batch=16, ema=0.995, log_every=50, grid_every=500, checkpoint_every=500),
        DataOptions(),
    )


def _birds(model: Literal["box", "keypoints"]) -> Preset:
    """600 epochs of 8,855 training pictures, batches of 16; rates halved every 100."""
    return Preset(
        Config(model=model, adam=Adams(halve_every=55_300)),
        Training(steps=332_000, batch=16, ema=0.0, checkpoint_every=5_000, grid_every=5_000),
        DataOptions(load_size=150),
    )


PRESETS = {
    "smoke": _smoke("box"),
    "smoke-keypoints": _smoke("keypoints"),
    "smoke-completion": _smoke("completion"),
    "demo": _demo("box", 2000),
    "demo-keypoints": _demo("keypoints", 2000),
    "demo-completion": Preset(
        Config(model="completion", size=64, width=32),
        Training(steps=4000, batch=64, ema=0.99, log_every=100, grid_every=1000, checkpoint_every=1000, score_every=0),
        DataOptions(),
    ),
    "cub128-box": _birds("box"),
    "cub128-keypoints": _birds("keypoints"),
    # 200 epochs, batches of 64.
    "cub-completion": Preset(
        Config(model="completion"),
        Training(steps=27_600, batch=64, ema=0.0, checkpoint_every=2_500, grid_every=2_500, score_every=0),
        DataOptions(),
    ),
}
