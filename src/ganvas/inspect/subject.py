"""The run that is looked at: its checkpoints, its real and generated pictures, and its discriminator's word on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganvas import systems
from ganvas.data import Prepared, open_pictures
from ganvas.engine.folder import plain
from ganvas.engine.preview import sample_in_batches
from ganvas.engine.system import Batch, System
from ganvas.errors import UserError
from ganvas.inspect.latents import BATCH
from ganvas.inspect.verdicts import verdicts
from ganvas.metrics.networks import FeatureNetwork, find
from ganvas.nn.latent import Prior, class_condition
from ganvas.run import Run
from ganvas.viz.grids import to_bytes

if TYPE_CHECKING:
    from ganvas.inspect.arithmetic import Group

NETWORK = "efficientnet_lite0"
"""The feature network that pictures are compared with: it needs no download."""

KNOWN_NEEDS = frozenset({"image", "label"})
"""What pictures may be conditioned on here: nothing, or a class."""


class NotMade(Exception):
    """A picture cannot be made of this run; the message is one plain line that says why."""


@dataclass(frozen=True)
class Drawn:
    """A picture that was made.

    Attributes:
        caption: What it shows, in sentences.
        note: What is missing from it and why; empty if nothing is.
        numbers: What was measured for it, JSON types.
        files: Names of further files that belong to it, in the same folder.
    """

    caption: str
    note: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What a user wants to see of a run, as far as that is left to them.

    Attributes:
        walk: How walks lead from latent to latent; None is what suits the system.
        walk_seeds: What they lead through; empty is a few from the subject's seed on.
        walk_frames: Frames from one seed to the next.
        groups: What latent arithmetic is to be done; empty is none.
        label: Class of the pictures of walks and arithmetic; None is that of the first seed.
    """

    walk: Literal["spherical", "linear"] | None = None
    walk_seeds: tuple[int, ...] = ()
    walk_frames: int = 16
    groups: tuple[Group, ...] = ()
    label: int | None = None


@dataclass(frozen=True)
class Judged:
    """Pictures with the discriminator's logits, all on the CPU.

    Attributes:
        images: (B, C, H, W) in [-1, 1].
        encoder: (B,), or None if no head judges whole pictures.
        decoder: (B, H, W), or None if no head judges pixels.
        note: Why there are no logits of pixels; empty if there are.
    """

    images: Tensor
    encoder: Tensor | None
    decoder: Tensor | None
    note: str

    def part(self, start: int, stop: int) -> Judged:
        """The pictures from `start` to before `stop`."""
        cut = slice(start, stop)
        encoder = None if self.encoder is None else self.encoder[cut]
        decoder = None if self.decoder is None else self.decoder[cut]
        return Judged(self.images[cut], encoder, decoder, self.note)

    @property
    def judge_name(self) -> str:
        """What the head that judges whole pictures is called: it is an encoder only where a decoder follows."""
        return "D" if self.decoder is None else "D encoder"

    def said(self, index: int) -> str:
        """That head's probability that a picture is real, as a label; empty if there is no such head."""
        return "" if self.encoder is None else f"{self.judge_name} {float(torch.sigmoid(self.encoder[index])):.2f}"


class Subject:
    """A run under inspection.

    Attributes:
        run: The run, at the checkpoint that most pictures are made from.
        n: Real and generated pictures that numbers are measured on.
        seed: Seed of the first generated picture, and of which real ones are taken.
        asked: What else the user chose.
    """

    def __init__(self, run: Run, data: str | None, n: int, seed: int, asked: Asked | None = None) -> None:
        """Opens nothing yet.

        Args:
            run: The run.
            data: Where its pictures are now, if they have moved.
            n: How many pictures.
            seed: Where random numbers start.
            asked: What else the user chose.
        """
        self.run, self.n, self.seed, self.asked = run, n, seed, asked or Asked()
        self.source = run.settings.source if data is None else data
        self.classes: int = getattr(run.config, "classes", 0)

    @property
    def name(self) -> str:
        """What titles call the run: its folder, with the one around it, which often says more."""
        return "/".join(self.run.path.absolute().parts[-2:])

    @property
    def step(self) -> int | None:
        """Steps of training behind `system`; None if there is no whole checkpoint."""
        try:
            return self.run.step
        except UserError:
            return None

    @cached_property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that are still there."""
        return self.run.folder.checkpoints().steps()

    @cached_property
    def system(self) -> System:
        """The networks of the run's own checkpoint: averaged where an average is kept, the discriminator as it was."""
        return self.system_of(self.run)

    def system_at(self, step: int) -> System:
        """The networks after `step` steps; see `system`."""
        return self.system_of(Run(self.run.path, self.run.device.type, checkpoint=step))  # type: ignore[arg-type]

    def system_of(self, run: Run) -> System:
        """The networks of an opened run.

        Raises:
            NotMade: There is no whole checkpoint, or pictures need more than a class to be drawn.
        """
        try:
            system = run.system
        except UserError as error:
            raise NotMade(str(error)) from error
        self.refuse_sides()
        if more := sorted(system.needs - KNOWN_NEEDS):
            raise NotMade(f"the system is conditioned on {' and '.join(more)}, which this picture does not give it")
        if run.config.size == 1:
            raise NotMade("the system draws numbers, not pictures")
        return system

    def refuse_sides(self) -> None:
        """For pictures of systems that draw from noise.

        Raises:
            NotMade: The system translates.
        """
        if systems.find(self.run.settings.system).SYSTEM.sides:
            raise NotMade("the system translates pictures and draws none from noise: see translations.png")

    @property
    def prior(self) -> Prior:
        """Where the system's latents come from.

        Raises:
            NotMade: It draws from no noise; and see `system_of`.
        """
        if self.system.prior is None:
            raise NotMade("the system draws from no noise, so there are no latents to go to")
        return self.system.prior

    @cached_property
    def network(self) -> FeatureNetwork | None:
        """The feature network that pictures are compared with; None, and `no_network` says why, if it is missing."""
        try:
            return find(NETWORK, device=self.run.device)
        except UserError as error:
            self._no_network = str(error)
            return None

    @property
    def no_network(self) -> str:
        """Why there is no feature network; empty if there is one."""
        return self._no_network if self.network is None else ""

    def features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """What `network` makes of pictures in [-1, 1]; there must be one."""
        assert self.network is not None
        shown = images[:, :3] if images.shape[1] >= 3 else images[:, :1]
        return self.network.features(torch.from_numpy(to_bytes(shown))).vectors

    @cached_property
    def prepared(self) -> Prepared:
        """The run's data.

        Raises:
            NotMade: It is gone, or has not the classes that the run was trained on.
        """
        self.refuse_sides()
        run, config = self.run, self.run.config
        channels = getattr(config, "channels", 3)
        try:
            prepared = open_pictures(self.source, run.settings.chosen.data, size=config.size, channels=channels)
        except UserError as error:
            raise NotMade(f"the real pictures are not there: {error}") from error
        if self.classes and prepared.classes != run.classes:
            raise NotMade(f"the classes of {self.source} are not those that the run was trained on")
        return prepared

    @property
    def is_other_data(self) -> bool:
        """Whether the pictures are not those that the run was trained on."""
        return self.prepared.hash != self.run.settings.data["hash"]

    @cached_property
    def real(self) -> Batch:
        """`image` and perhaps `label` of `n` pictures of the data, or of all if there are fewer.

        Raises:
            NotMade: See `prepared`.
        """
        data, options, size = self.prepared, self.run.settings.chosen.data, self.run.config.size
        count = min(self.n, len(data))
        return data.sampler(batch=count, seed=self.seed, options=options, device="cpu", size=size).batch(0)

    @cached_property
    def fake(self) -> Batch:
        """As many generated pictures as `real` has, of the same classes.

        Raises:
            NotMade: See `prepared` and `system_of`.
        """
        count = len(self.real["image"])
        labels = self.real["label"] if self.classes else None
        return {**self.real, "image": self.draw(self.system, range(self.seed, self.seed + count), labels)}

    def labels(self, seeds: Sequence[int]) -> Tensor | None:
        """Classes in turn, as sampling chooses them; None without classes."""
        return torch.as_tensor(list(seeds)) % self.classes if self.classes else None

    def named(self, text: str, label: int | None) -> str:
        """A label for a row of pictures, with the name of their class under it."""
        if label is None:
            return text
        name = self.run.classes[label]
        return f"{text}\n{name if len(name) <= 18 else name[:17] + '…'}"

    def draw(
        self, system: System, seeds: Sequence[int], labels: Tensor | None, truncation: float | None = None
    ) -> Float[Tensor, "B C H W"]:
        """One picture a seed, on the CPU."""
        conditions = {} if labels is None else {"label": labels}
        return torch.cat(list(sample_in_batches(system, seeds, conditions, truncation, BATCH)))

    def judge(self, system: System, images: Float[Tensor, "B C H W"], labels: Tensor | None) -> Judged:
        """The word of a system's own discriminator on pictures, in batches.

        A system without one, or whose discriminator answers otherwise than with a `Verdict`, gives no logits and a
        note that says so.
        """
        discriminator = getattr(system, "discriminator", None)
        if not isinstance(discriminator, nn.Module):
            return Judged(images, None, None, "the system has no network named discriminator")
        device = next(system.parameters()).device
        parts = []
        try:
            for start in range(0, len(images), BATCH):
                batch = {"image": images[start : start + BATCH].to(device)}
                if labels is not None:
                    batch["label"] = labels[start : start + BATCH].to(device)
                parts.append(verdicts(discriminator, batch["image"], class_condition(batch, self.classes)))
        except (TypeError, ValueError) as error:
            return Judged(images, None, None, f"the discriminator could not be asked: {error}")
        encoder, decoder = (_joined([part[i] for part in parts]) for i in (0, 1))
        note = "" if decoder is not None else "the discriminator has no head with a logit for every pixel"
        return Judged(images, encoder, decoder, note)

    @property
    def texts(self) -> dict[str, str]:
        """What every PNG says about itself."""
        licence = self.run.settings.data["licence"]
        return {"Software": "ganvas", "Source": f"{self.run.settings.system}, {self.name}"} | (
            {"Copyright": licence} if licence else {}
        )

    def reading(self) -> str:
        """How the colour scale is meant, a sentence for captions."""
        objective = plain(self.run.config).get("objective", "")
        sentence = "Colours are the sigmoid of the decoder's logit, bright for real"
        if objective in ("minimax", "non-saturating", ""):
            return sentence + "."
        return f"{sentence}; trained with the {objective} objective it is no calibrated probability."


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    return None if any(part is None for part in parts) else torch.cat([part for part in parts if part is not None])
