"""Runs that are on disk: opening them, drawing pictures and translating them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas import systems
from ganvas.conditions import Asked, Box, along, box_of, captions_of, completed, keypoints_of, repeated
from ganvas.data import DataOptions
from ganvas.engine.checkpoint import MODEL, Checkpoint, load_model
from ganvas.engine.folder import RunFolder, Settings
from ganvas.engine.precision import autocast, resolve_device, resolve_precision
from ganvas.engine.preview import sample_in_batches
from ganvas.engine.scoring import best_step
from ganvas.engine.seeding import seed_for
from ganvas.engine.system import Batch, System
from ganvas.engine.training import Device, Precision
from ganvas.errors import UserError
from ganvas.translation.translator import Translator, direction_of

if TYPE_CHECKING:
    from ganvas.text.encoders import Encoder

Which = Literal["newest", "best"] | int
"""Which checkpoint of a run: the newest that is whole, the one with the best score, or that of a step."""


class Run:
    """A run on disk: its settings, and the networks of one checkpoint, read when first asked for.

    Attributes:
        folder: Where it is.
        settings: What it was asked to do.
    """

    def __init__(
        self,
        path: str | Path,
        device: Device = "auto",
        precision: Precision = "fp32",
        checkpoint: Which = "newest",
    ) -> None:
        """Reads the settings.

        Args:
            path: The run's folder, or one that `ganvas export --format safetensors` wrote of it.
            device: Where to put the networks.
            precision: Number format to sample in.
            checkpoint: `newest` (the newest that is whole), `best` (by the score the run was watched with), or
                the number of steps behind one that was kept.

        Raises:
            UserError: If `path` is not a run.
        """
        self.folder = RunFolder(Path(path))
        values = self.folder.read_settings()
        self.settings = Settings.from_json(values, systems.find(values["system"]).Config, DataOptions)
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self.which = checkpoint

    def __repr__(self) -> str:
        """What it is a run of; reads no checkpoint."""
        return f"Run({str(self.path)!r}: {self.settings.system} {self.settings.preset} on {self.settings.source})"

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def config(self) -> Any:
        """The system's settings."""
        return self.settings.chosen.config

    @property
    def shipped(self) -> bool:
        """Whether this is not the folder of the training but its networks alone, ready to sample from."""
        return self.folder.shipped

    @property
    def step(self) -> int:
        """Steps of training behind `system`."""
        return int(self.checkpoint.meta["step"])

    @property
    def classes(self) -> list[str]:
        """Names of the data's classes, in the order of their labels."""
        return list(self.settings.data["classes"])

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint asked for, without what only training needs.

        Raises:
            UserError: If it is not there, or not whole.
        """
        which = self.which
        if self.shipped:
            found = load_model(self.path / MODEL)
            if which not in ("newest", found.meta["step"]):
                raise UserError(f"{self.path} holds the networks of step {found.meta['step']} alone, not of {which}")
            return found
        if which == "best":
            which = best_step(self.folder.metrics)
        return self.folder.checkpoints().load(None if which == "newest" else which, ("system", "average"))

    @cached_property
    def system(self) -> System:
        """The networks with their averaged weights, in eval mode, ready to sample."""
        with torch.random.fork_rng():
            system = build(self.settings, self.device)
            averages = self.checkpoint.weights("average")
            system.load_state_dict(self.checkpoint.weights("system") | averages)
            system.eval().requires_grad_(False)
            if not self.checkpoint.meta.get("ready"):
                torch.manual_seed(seed_for("prepare sampling", self.settings.chosen.training.seed))
                with torch.no_grad(), autocast(self.precision, self.device):
                    system.prepare_sampling()
        return system.eval()

    @property
    def needs(self) -> frozenset[str]:
        """What it learnt from, by the names of a batch: `image`, `text`, `boxes`, `keypoints`, ..."""
        return self.system.needs

    @cached_property
    def encoder(self) -> Encoder:
        """What makes vectors of captions, the same as in training.

        Raises:
            UserError: If it learnt from no captions or from vectors of a file, or the encoder here is another.
        """
        from ganvas.text.encoders import find_encoder

        known = self.settings.data.get("encoder")
        if not known:
            raise UserError(f"{self.path} was trained without captions")
        name = known["name"]
        if Path(name).suffix.lower() in (".npy", ".safetensors"):
            raise UserError(
                f"{self.path} learnt from vectors in {name}, whose encoder is not known here: give --embeddings FILE "
                "with the vectors of captions instead of --text"
            )
        encoder = find_encoder(name, self.device)
        if encoder.hash != known["hash"]:
            raise UserError(
                f"{self.path} learnt from another version of the encoder {name} (hash {known['hash'][:12]}) than is "
                f"here ({encoder.hash[:12]}): put that one in its place, or give --embeddings FILE"
            )
        return encoder

    def conditions(self, n: int, seed: int = 0, **asked: Unpack[Asked]) -> Batch:
        """What pictures are to be drawn from, as tensors: `text`, `boxes` and `keypoints`, those that are asked for.

        Args:
            n: How many pictures. Several captions are taken in turn.
            seed: Of the first, for keypoints that are completed at random.
            **asked: See `ganvas.conditions.Asked`.

        Raises:
            UserError: If the run does not draw from such, or they cannot be.
        """
        found: Batch = {}
        if (captions := captions_of(self, asked.get("text"), asked.get("embeddings"))) is not None:
            found["text"] = captions.vectors
        if (box := asked.get("box")) is not None:
            found["boxes"] = box_of(self, box)[None]
        other = asked.get("complete")
        if (keypoints := asked.get("keypoints")) is not None or other is not None:
            found["keypoints"] = keypoints_of(self, {} if keypoints is None else keypoints)[None]
        found = repeated(found, n)
        if other is not None:
            seeds = range(seed, seed + n)
            text = self.system.standing.filled(seeds, found)["text"]
            found["keypoints"] = completed(self, self.beside(other), found["keypoints"], text, seeds)
        return found

    def beside(self, other: Run | str | Path) -> Run:
        """Another run, on the same device."""
        return other if isinstance(other, Run) else Run(other, cast(Device, self.device.type))

    def sample(
        self,
        n: int,
        seed: int = 0,
        truncation: float | None = None,
        *,
        classes: str | int | Sequence[str | int] | None = None,
        conditions: Batch | None = None,
        batch: int = 32,
        **asked: Unpack[Asked],
    ) -> Float[Tensor, "n C H W"]:
        """Draws pictures; picture i depends on `seed` + i and its own conditions alone.

        Args:
            n: How many.
            seed: Seed of the first.
            truncation: Threshold at which latents are cut off, see `System.sample`; None cuts off nothing.
            classes: Names or numbers of classes to draw, in turn, see `labels`; the system chooses if not given.
            conditions: Other tensors to condition on, with n entries each.
            batch: Pictures that pass through the networks at once.
            **asked: `text`, `box`, `keypoints`, ...: see `ganvas.conditions.Asked`.

        Returns:
            Pictures in [-1, 1], float32, on the CPU.

        Raises:
            UserError: If there are no pictures to draw, or no such class, or the run translates pictures, or does not
                draw from what is asked for.
        """
        drawn = self.draw(n, seed, truncation, classes=classes, conditions=conditions, batch=batch, **asked)
        return torch.cat(list(drawn))

    def draw(
        self,
        n: int,
        seed: int = 0,
        truncation: float | None = None,
        *,
        classes: str | int | Sequence[str | int] | None = None,
        conditions: Batch | None = None,
        batch: int = 32,
        **asked: Unpack[Asked],
    ) -> Iterator[Float[Tensor, "B C H W"]]:
        """Draws the pictures of `sample` a batch at a time, for more of them than memory holds."""
        check_amount(n, seed, truncation)
        conditions = dict(conditions or {})
        if "source" not in conditions:
            self.refuse_to_draw()
        if classes is not None:
            labels = self.labels(classes)
            conditions["label"] = torch.tensor([labels[i % len(labels)] for i in range(n)])
        conditions |= self.conditions(n, seed, **asked)
        system, seeds = self.system, range(seed, seed + n)
        with autocast(self.precision, self.device):
            yield from sample_in_batches(system, seeds, conditions, truncation, batch)

    def between(
        self,
        n: int,
        seed: int = 0,
        truncation: float | None = None,
        *,
        to_text: str | None = None,
        to_box: Box | None = None,
        frames: int = 9,
        classes: str | int | Sequence[str | int] | None = None,
        batch: int = 32,
        **asked: Unpack[Asked],
    ) -> Float[Tensor, "n frames C H W"]:
        """Pictures on the way from one caption to another, from one box to another, or both; all else stays.

        The vectors of captions, and the four numbers of boxes, lie on a straight line between the two. Each row has the
        latent of one seed, and of the same seed what it is not asked for.

        Args:
            n: Rows.
            seed: Seed of the first row.
            truncation: As for `sample`.
            to_text: Caption of the last picture of each row; `text` is that of the first.
            to_box: Box of the last picture of each row; `box` is that of the first.
            frames: Pictures a row.
            classes: One for each row, in turn.
            batch: Pictures that pass through the networks at once.
            **asked: See `ganvas.conditions.Asked`; keypoints are completed once, with the first caption.

        Returns:
            In [-1, 1], float32, on the CPU.

        Raises:
            UserError: If one end is missing, and as `sample` does.
        """
        check_amount(n, seed, truncation)
        self.refuse_to_draw()
        if to_text is None and to_box is None:
            raise UserError("nothing changes on the way: give --to-text or --to-box")
        if frames < 2:
            raise UserError(f"a way has at least 2 pictures, its ends, not {frames}")
        found = self.conditions(n, seed, **asked)
        conditions = {name: value.repeat_interleave(frames, 0) for name, value in found.items()}
        if to_text is not None:
            ends = captions_of(self, to_text, None)
            start = captions_of(self, asked.get("text"), asked.get("embeddings"))
            if ends is None or start is None or len(start) != 1:
                raise UserError("--to-text is where a way ends: give one --text where it begins")
            conditions["text"] = along(start.vectors[0], ends.vectors[0], frames).repeat(n, 1)
        if to_box is not None:
            end = box_of(self, to_box)
            if "boxes" not in found:
                raise UserError("--to-box is where a way ends: give --box where it begins")
            conditions["boxes"] = along(found["boxes"][0], end, frames).repeat(n, 1)
        if classes is not None:
            labels = self.labels(classes)
            conditions["label"] = torch.tensor([labels[i % len(labels)] for i in range(n)]).repeat_interleave(frames)
        seeds = [row for row in range(seed, seed + n) for _ in range(frames)]
        with autocast(self.precision, self.device):
            pictures = torch.cat(list(sample_in_batches(self.system, seeds, conditions, truncation, batch)))
        return pictures.reshape(n, frames, *pictures.shape[1:])

    def save_samples(
        self,
        out: str | Path,
        n: int,
        seed: int = 0,
        truncation: float | None = None,
        *,
        classes: str | int | Sequence[str | int] | None = None,
        to_text: str | None = None,
        to_box: Box | None = None,
        frames: int = 9,
        **asked: Unpack[Asked],
    ) -> None:
        """Draws pictures into files that name the run and the licence of its data.

        Args:
            out: A `.png` file for one grid of all, with captions beside it, or a folder for one file a picture, named
                by caption and seed. Of a run on points, a `.csv` file with a row for each.
            n: How many of each caption; the seeds are the same for all.
            seed: Seed of the first.
            truncation: See `sample`.
            classes: See `sample`.
            to_text: Draw the way to this caption, see `between`: a row for each of n seeds.
            to_box: Draw the way to this box.
            frames: Pictures a row, on a way.
            **asked: See `ganvas.conditions.Asked`.

        Raises:
            UserError: If `out` cannot be written, and as `sample` does.
        """
        from ganvas.drawing import save_between, save_samples

        if to_text is None and to_box is None:
            save_samples(self, Path(out), n, seed, truncation, classes, asked)
        else:
            save_between(self, Path(out), n, seed, truncation, classes, asked, to_text, to_box, frames)

    def translate(
        self,
        pictures: Float[Tensor, "N C H W"],
        seed: int = 0,
        direction: str = "AtoB",
        *,
        batch: int = 8,
    ) -> Float[Tensor, "N D H2 W2"]:
        """Turns pictures of one side into the other; for files and large pictures see `ganvas.translate`.

        Args:
            pictures: In [-1, 1], any height and width: they are mirrored at their borders as far as the network needs,
                and cut back.
            seed: Of the first; picture i depends on `seed` + i and itself alone.
            direction: `AtoB`, from the source's side, or `BtoA` where the system has it.
            batch: Pictures that pass through the network at once.

        Returns:
            In [-1, 1], float32, on the CPU, as high and wide, or `scale` times where the system has one.

        Raises:
            UserError: If the run does not translate, or not in this direction, or the pictures have other channels than
                it takes.
        """
        translator = self.translator(direction)
        if pictures.ndim != 4 or pictures.shape[1] != translator.inputs or not pictures.numel():
            raise UserError(
                f"{self.path} translates pictures of {translator.inputs} channels, (N, {translator.inputs}, H, W), not "
                f"{tuple(pictures.shape)}"
            )
        seeds = range(seed, seed + len(pictures))
        parts = [slice(start, start + batch) for start in range(0, len(pictures), batch)]
        return torch.cat([translator(pictures[part].float(), seeds[part]) for part in parts])

    def translator(self, direction: str = "AtoB") -> Translator:
        """The network that translates in one direction, for pictures of any size.

        Args:
            direction: See `translate`.

        Raises:
            UserError: As `translate` does.
        """
        if not systems.find(self.settings.system).SYSTEM.sides:
            raise UserError(
                f"{self.path} is a run of {self.settings.system}, which draws pictures and translates none: "
                f"`ganvas sample {self.path} --out PATH` draws them"
            )
        direction = direction_of(direction, self.system.directions)
        sides = self.config.source_channels, self.config.channels
        inputs, outputs = sides if direction == "AtoB" else sides[::-1]
        context = partial(autocast, self.precision, self.device)
        return Translator(self.system, direction, self.device, context, inputs, outputs)

    def refuse_to_draw(self) -> None:
        """Refuses to draw from noise what is drawn from pictures.

        Raises:
            UserError: The run translates.
        """
        if systems.find(self.settings.system).SYSTEM.sides:
            raise UserError(
                f"{self.path} draws nothing from noise, it translates pictures: "
                f"`ganvas translate {self.path} INPUT OUTPUT`"
            )

    def labels(self, classes: str | int | Sequence[str | int]) -> list[int]:
        """The labels of one class or several.

        Args:
            classes: See `label`; text may name several, with commas between them, unless all of it is the name of one.

        Raises:
            UserError: As `label` does, or if none is named.
        """
        names: list[Any]
        if isinstance(classes, str) and classes not in self.classes:
            names = [name.strip() for name in classes.split(",")]
        else:
            names = [classes] if isinstance(classes, str) or not isinstance(classes, Iterable) else [*classes]
        if not names:
            raise UserError("no class is named: name one, or leave the choice to the system")
        return [self.label(name) for name in names]

    def label(self, name: str | int) -> int:
        """The label of a class.

        Args:
            name: Its name in the data, or its number, counted from 0 in the order of `classes`. A number as text is
                such a number too, unless classes of the data are named by numbers: then it can only be a name.

        Raises:
            UserError: If there is no such class, or the run has none.
        """
        count = getattr(self.config, "classes", 0)
        if not count:
            raise UserError(f"{self.path} was trained without classes")
        if isinstance(name, str) and name in self.classes:
            return self.classes.index(name)
        numbered = isinstance(name, str) and any(_is_number(known) for known in self.classes)
        if _is_number(name) and not numbered:
            if 0 <= int(name) < count:
                return int(name)
            raise UserError(f"there is no class number {int(name)}: they go from 0 to {count - 1}")
        raise UserError(f"there is no class {name!r}{systems.nearest(str(name), self.classes)}")


def check_amount(n: int, seed: int, truncation: float | None) -> None:
    """Refuses numbers that nothing can be drawn with.

    Raises:
        UserError: They are such.
    """
    if n < 1 or seed < 0:
        raise UserError(f"cannot draw {n} pictures from seed {seed}: at least 1 picture, and a seed of 0 or more")
    if truncation is not None and not truncation >= 0:
        raise UserError(f"truncation is a threshold of at least 0, not {truncation}")


def _is_number(name: Any) -> bool:
    """Whether this is a whole number, or text that is one."""
    return not isinstance(name, bool) and re.fullmatch(r"-?[0-9]{1,18}", str(name)) is not None


def load(
    path: str | Path, *, device: Device = "auto", precision: Precision = "fp32", checkpoint: Which = "newest"
) -> Run:
    """Opens a run.

    Args:
        path: The run's folder, or one that `ganvas export --format safetensors` wrote of it; or, where there is no such
            folder, the name of one on the Hugging Face hub, `USER/NAME`, which is downloaded.
        device: Where to put the networks.
        precision: Number format to sample in.
        checkpoint: `newest`, `best` or a number of steps; see `Run`.

    Raises:
        UserError: If it is not a run, or the checkpoint is not there or not whole, or it cannot be downloaded.
    """
    from ganvas.shipping.hub import fetched, is_on_hub

    run = Run(fetched(str(path)) if is_on_hub(path) else path, device, precision, checkpoint)
    if run.shipped:
        from ganvas.shipping.weights import without_paths

        run.settings = without_paths(run.settings)  # somebody else's may name any place of this machine
    _ = run.checkpoint
    return run


def build(settings: Settings, device: torch.device) -> System:
    """The system with its first weights, which depend on the seed alone, on its device."""
    torch.manual_seed(seed_for("weights", settings.chosen.training.seed))
    system: System = systems.find(settings.system).SYSTEM(settings.chosen.config)
    return system.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
