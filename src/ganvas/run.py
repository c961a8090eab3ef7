"""Runs that are on disk: opening them, drawing pictures and translating them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas import systems
from ganvas.data import DataOptions
from ganvas.engine.checkpoint import Checkpoint
from ganvas.engine.files import write_atomically
from ganvas.engine.folder import RunFolder, Settings, ganvas_version
from ganvas.engine.precision import autocast, resolve_device, resolve_precision
from ganvas.engine.preview import sample_in_batches
from ganvas.engine.scoring import best_step
from ganvas.engine.seeding import seed_for
from ganvas.engine.system import Batch, System
from ganvas.engine.training import Device, Precision
from ganvas.errors import UserError
from ganvas.translation.translator import Translator, direction_of
from ganvas.viz.grids import grid, save_png, to_bytes

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
            path: The run's folder.
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
            torch.manual_seed(seed_for("prepare sampling", self.settings.chosen.training.seed))
            with torch.no_grad(), autocast(self.precision, self.device):
                system.prepare_sampling()
        return system.eval()

    def sample(
        self,
        n: int,
        seed: int = 0,
        truncation: float | None = None,
        *,
        classes: str | int | Sequence[str | int] | None = None,
        conditions: Batch | None = None,
        batch: int = 32,
    ) -> Float[Tensor, "n C H W"]:
        """Draws pictures; picture i depends on `seed` + i and its own conditions alone.

        Args:
            n: How many.
            seed: Seed of the first.
            truncation: Threshold at which latents are cut off, see `System.sample`; None cuts off nothing.
            classes: Names or numbers of classes to draw, in turn, see `labels`; the system chooses if not given.
            conditions: Other tensors to condition on, with n entries each.
            batch: Pictures that pass through the networks at once.

        Returns:
            Pictures in [-1, 1], float32, on the CPU.

        Raises:
            UserError: If there are no pictures to draw, or no such class, or the run translates pictures.
        """
        return torch.cat(list(self.draw(n, seed, truncation, classes=classes, conditions=conditions, batch=batch)))

    def draw(
        self,
        n: int,
        seed: int = 0,
        truncation: float | None = None,
        *,
        classes: str | int | Sequence[str | int] | None = None,
        conditions: Batch | None = None,
        batch: int = 32,
    ) -> Iterator[Float[Tensor, "B C H W"]]:
        """Draws the pictures of `sample` a batch at a time, for more of them than memory holds."""
        if n < 1 or seed < 0:
            raise UserError(f"cannot draw {n} pictures from seed {seed}: at least 1 picture, and a seed of 0 or more")
        if truncation is not None and not truncation >= 0:
            raise UserError(f"truncation is a threshold of at least 0, not {truncation}")
        conditions = dict(conditions or {})
        if "source" not in conditions:
            self._refuse_to_draw()
        if classes is not None:
            labels = self.labels(classes)
            conditions["label"] = torch.tensor([labels[i % len(labels)] for i in range(n)])
        system, seeds = self.system, range(seed, seed + n)
        with autocast(self.precision, self.device):
            yield from sample_in_batches(system, seeds, conditions, truncation, batch)

    def save_samples(
        self,
        out: str | Path,
        n: int,
        seed: int = 0,
        truncation: float | None = None,
        *,
        classes: str | int | Sequence[str | int] | None = None,
    ) -> None:
        """Draws pictures into files that name the run and the licence of its data.

        Args:
            out: A `.png` file for one grid of all, or a folder for one file a picture, named by its seed. Of a run on
                points, a `.csv` file with a row for each.
            n: How many.
            seed: Seed of the first.
            truncation: See `sample`.
            classes: See `sample`.

        Raises:
            UserError: If `out` cannot be written, and as `sample` does.
        """
        self._refuse_to_draw()
        path = Path(out)
        one_file = path.suffix.lower() in (".png", ".csv") and not path.is_dir()
        if path.suffix.lower() in (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"):
            raise UserError(f"{path}: pictures are written as PNG; name a .png file or a folder")
        of_points = self.config.size == 1
        if of_points != (path.suffix.lower() == ".csv"):
            raise UserError(
                f"{self.path} draws numbers, not pictures: name a .csv file" if of_points
                else f"{path}: pictures are written as PNG; name a .png file or a folder"
            )  # fmt: skip
        batches = self.draw(n, seed, truncation, classes=classes)
        texts = {
            "Software": f"ganvas {ganvas_version()}",
            "Source": f"{self.settings.system} {self.settings.preset}, step {self.step}, seed {seed}",
            "Copyright": self.settings.data["licence"],
        }
        try:
            (path.parent if one_file else path).mkdir(parents=True, exist_ok=True)
            if of_points:
                rows = torch.cat(list(batches)).flatten(1).tolist()
                write_atomically(path, "".join(",".join(map(repr, row)) + "\n" for row in rows).encode())
                return
            if one_file:
                save_png(path, grid(torch.cat(list(batches))), texts)
                return
            for picture in itertools.chain.from_iterable(batches):
                save_png(path / f"seed-{seed:08d}.png", to_bytes(picture[None])[0], texts)
                seed += 1
        except OSError as error:
            raise UserError(f"cannot write to {path}: {error.strerror or error}") from error

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

    def _refuse_to_draw(self) -> None:
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


def _is_number(name: Any) -> bool:
    """Whether this is a whole number, or text that is one."""
    return not isinstance(name, bool) and re.fullmatch(r"-?[0-9]{1,18}", str(name)) is not None


def load(
    path: str | Path, *, device: Device = "auto", precision: Precision = "fp32", checkpoint: Which = "newest"
) -> Run:
    """Opens a run.

    Args:
        path: The run's folder.
        device: Where to put the networks.
        precision: Number format to sample in.
        checkpoint: `newest`, `best` or a number of steps; see `Run`.

    Raises:
        UserError: If it is not a run, or the checkpoint is not there or not whole.
    """
    run = Run(path, device, precision, checkpoint)
    _ = run.checkpoint
    return run


def build(settings: Settings, device: torch.device) -> System:
    """The system with its first weights, which depend on the seed alone, on its device."""
    torch.manual_seed(seed_for("weights", settings.chosen.training.seed))
    system: System = systems.find(settings.system).SYSTEM(settings.chosen.config)
    return system.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
