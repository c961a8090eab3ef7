"""The contract between a GAN and the training loop.

A system yields, for every step, the updates that its paper's algorithm makes. The loop knows nothing
else about it, so a new system never touches the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch.optim import Optimizer

if TYPE_CHECKING:
    from ganvas.nn.latent import Prior
    from ganvas.nn.optim import Adams, Descent
    from ganvas.nn.text import Standing

Batch = dict[str, Tensor]
"""Named tensors of one micro-batch: `image` (B, C, H, W) in [-1, 1], `label` (B,) int64, ...

With two sides `image` is what is to be drawn and `source` what it is drawn from, of the same height and width, or of
both divided by the system's `scale`. `text` (B, E) are embedded captions, `boxes` (B, 4) are x, y, width and height in
shares of the picture, `keypoints` (B, K, 3) are x and y in such shares and 1 where visible, else all 0.

Every update of a step receives the same dictionaries, so a system may leave a tensor in one for a later
update of the same step (pix2pix reuses its fakes; the key is the system's own).
"""

Terms = dict[str, Tensor]
"""Named, already weighted, scalar losses; their sum is what an update minimises."""


@dataclass(frozen=True)
class Update:
    """One optimiser step: minimise the sum of `loss`'s terms over the parameters of `networks`.

    Attributes:
        name: Key of the optimiser in `System.optimizers()` and prefix in the log, such as `discriminator`.
        networks: The networks whose parameters move; all others are frozen while `loss` runs.
        loss: Terms of one micro-batch. Each is a mean over the micro-batch, so that micro-batches average.
        repeats: How often the update is made; every repeat after the first draws a fresh batch.
    """

    name: str
    networks: tuple[nn.Module, ...]
    loss: Callable[[Batch], Terms]
    repeats: int = 1


class System(nn.Module):
    """A generative adversarial network: its networks, its losses, its schedule.

    The only base class, one level deep. Subclasses take their `Config` alone in `__init__`.
    Everything that must survive a restart is a parameter or a registered buffer.

    A system of a `generator` and a `discriminator` that sets `rates` has its optimisers, and one that draws from noise
    and sets `prior` is sampled, by what stands here; its file is left with its networks and losses.
    """

    generator: nn.Module
    discriminator: nn.Module

    rates: Adams | Descent
    """How the two are optimised."""

    needs: frozenset[str] = frozenset({"image"})
    """Batch keys the system requires; checked against the data before the first step."""

    prior: Prior | None = None
    """Where z comes from; None for a system that draws from no noise. With it comes `from_latents`."""

    classes: int = 0
    """Number of classes that pictures are drawn of; 0 without."""

    standing: Standing
    """Conditions that stand in where `sample` is given none; systems that draw from captions have it."""

    inherited: tuple[str, ...] = ()
    """Beginnings of names in `state_dict` that come from another run, by `--init-from`: it cannot do without."""

    sides: Literal["", "paired", "unpaired"] = ""
    """Whether it turns pictures (`source`) into others (`image`), and learns it from pairs or from two unrelated sets.

    Such a system has `translate`, and its `Config` has `source_channels` beside `channels`.
    """

    directions: tuple[str, ...] = ("AtoB",)
    """Of a system with sides: what it can translate into what, A being the source side; the first unless asked."""

    multiple: int = 1
    """Pixels. Of a system with sides: height and width of pictures to be translated are multiples of this."""

    scale: int = 1
    """Of a system with sides: how many times as high and wide what it draws is as its source.

    Where it can be more than 1, `Config` has it.
    """

    def begin(self, batches: Iterable[Batch]) -> None:
        """Called once before the first step of a new run, for weights whose first values depend on the data.

        Args:
            batches: The first few training batches, read only as far as they are iterated over.
        """

    def updates(self, step: int) -> Iterable[Update | tuple[Update, ...]]:
        """The updates of one step, in order.

        A tuple of updates is simultaneous: all gradients are taken before any of its optimisers moves
        (Goodfellow et al. 2014, published code). Its members have `repeats == 1`.
        """
        raise NotImplementedError

    def optimizers(self) -> dict[str, Optimizer]:
        """New optimisers, one for each update's name. Called once, after the system is on its device."""
        return self.rates.optimizers(self.generator, self.discriminator)

    def schedule(self, step: int, optimizers: Mapping[str, Optimizer]) -> None:
        """Set learning rates or momenta for this step, as a pure function of `step`."""
        self.rates.schedule(step, optimizers)

    def averaged(self) -> dict[str, nn.Module]:
        """The networks of which an exponential moving average is kept; sampling uses the average."""
        return {"generator": self.generator}

    def prepare_sampling(self) -> None:
        """Called once whenever other weights are put in place to sample from, in eval mode and without gradients.

        The generator's batch-norm statistics are estimated anew here: those kept during training belong to other
        weights ("standing statistics", Brock et al. 2019, appendix B).
        """
        from ganvas.nn.latent import refresh_statistics

        refresh_statistics(self, self.generator)

    def sample(self, seeds: Sequence[int], conditions: Batch, truncation: float | None = None) -> Tensor:
        """Pictures, one for each seed, the same for the same seed however many are asked for.

        Args:
            seeds: One integer >= 0 a picture.
            conditions: What the pictures are conditioned on, each (B, ...) with B = len(seeds): `label`,
                `source`, `text`, ... A missing label is chosen by the system (in turn), and so are captions, boxes and
                keypoints among those it keeps; a source cannot be.
            truncation: Latents are drawn from a normal cut off at +-truncation (Brock et al. 2019, section 3.1);
                None cuts off nothing.

        Returns:
            (B, C, H, W), float32, in [-1, 1], on the system's device.
        """
        if self.sides:
            return self.translate(conditions["source"], seeds)
        if self.prior is None:
            raise NotImplementedError("a system without a prior or sides has a `sample` of its own")
        if self.classes and "label" not in conditions:
            conditions = {**conditions, "label": torch.as_tensor(list(seeds)) % self.classes}
        if hasattr(self, "standing"):
            conditions = self.standing.filled(seeds, conditions)
        return self.from_latents(self.prior.seeded(seeds, truncation), conditions)

    def from_latents(self, latents: Tensor, conditions: Batch) -> Tensor:
        """Pictures at given latents, for walks between them; every system with a prior has it.

        Args:
            latents: (B, Z), Z = `prior.dim`; those that `prior.seeded` gives draw what `sample` does.
            conditions: As `sample` takes them, but none may be missing.

        Returns:
            As `sample`.
        """
        device = next(self.generator.parameters()).device
        pictures: Tensor = self.generator(latents.to(device), conditions["label"].to(device) if self.classes else None)
        return pictures

    def translate(self, source: Tensor, seeds: Sequence[int], direction: str = "AtoB") -> Tensor:
        """Pictures of one side turned into the other; every system with `sides` has it.

        Args:
            source: (B, C, H, W) in [-1, 1], H and W multiples of `multiple`.
            seeds: One integer >= 0 a picture, for systems whose translations are drawn at random. A picture of a given
                seed is translated in the same way whatever stands beside it in the batch.
            direction: One of `directions`.

        Returns:
            (B, C', scale H, scale W), float32, in [-1, 1].
        """
        raise NotImplementedError("a system with sides has a `translate` of its own")

    def pictured(self, batch: Batch) -> Tensor:
        """What of a batch samples are like, (B, C, H, W) in [-1, 1]: its pictures, unless samples are not such."""
        return batch["image"]

    def picture(self, data: Any) -> UInt8[np.ndarray, "H W C"] | None:
        """A picture of how training stands, for systems whose samples are not pictures themselves.

        Args:
            data: What is trained on, `ganvas.data.Prepared` or `ganvas.data.points.Points`.

        Returns:
            8-bit gray or RGB; None where a grid of samples is what there is to see.
        """
        return None


@dataclass(frozen=True)
class Preset:
    """A named, complete setting of a system: what to build, how to train it, how to read its pictures."""

    config: Any
    training: Any
    data: Any
