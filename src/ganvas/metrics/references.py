"""Which pictures a run, or a folder of pictures, is compared with, and from which sources."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ganvas import systems
from ganvas.data import DataOptions, Prepared, Sides, open_data, open_pictures
from ganvas.data.prepare import refuse_sided
from ganvas.engine.distributed import Ranks
from ganvas.errors import UserError
from ganvas.metrics.pictures import Choice
from ganvas.run import Run
from ganvas.systems import nearest

if TYPE_CHECKING:
    from ganvas.data.described import Described


@dataclass(frozen=True)
class Reading:
    """How pictures are read; the first process prepares them, the others find them done.

    Attributes:
        options: How.
        size: Side in pixels that they are brought to.
        ranks: This process among the others.
        progress: Whether to show it.
    """

    options: DataOptions
    size: int
    ranks: Ranks
    progress: bool

    def pictures(self, spec: str, channels: int = 3) -> Prepared:
        """Pictures with one side."""
        size, shown = self.size, self.progress
        return self.ranks.in_turn(
            lambda: open_pictures(spec, self.options, size=size, channels=channels, progress=shown)
        )

    def described(self, spec: str, needs: frozenset[str], channels: int) -> Described:
        """Pictures with captions, boxes or keypoints."""
        options, size, shown = self.options, self.size, self.progress
        found = self.ranks.in_turn(
            lambda: open_data(spec, options, size=size, channels=channels, needs=needs, progress=shown)
        )
        return found  # type: ignore[return-value]

    def sides(self, spec: str, kind: Literal["paired", "unpaired"], channels: int = 3, own: int = 3) -> Sides:
        """Data with two sides; `own` are the channels of the source."""
        options = self.options
        if kind == "paired":
            options = dataclasses.replace(options, halves=False)  # what training hides is what is asked for
        size, shown = self.size, self.progress
        found = self.ranks.in_turn(
            lambda: open_data(
                spec, options, size=size, channels=channels, source_channels=own, sides=kind, progress=shown
            )
        )
        assert isinstance(found, Sides)
        return found


def references(
    subject: str | Path | Run,
    run: Run | None,
    source: str,
    in_pairs: bool,
    most: int | None,
    seed: int,
    direction: str,
    reading: Reading,
) -> tuple[Choice, Sides | None]:
    """The pictures to compare with; and where they have sources, the data that both are of.

    Args:
        subject: What is scored; pictures, where it is no run, are the sources of their true partners.
        run: The run that is scored.
        source: The data.
        in_pairs: Whether each picture is to be compared with its true partner.
        most: Pictures of the data; None is all.
        seed: Of which these are.
        direction: Of a run that translates.
        reading: How the data is read.

    Raises:
        UserError: They cannot be had, or the run does not translate in this way.
    """
    size = reading.size
    if run is None:
        if not in_pairs:
            refuse_sided(reading.options)
            return Choice.draw(reading.pictures(source), most, seed, size), None
        sides = reading.sides(f"{subject}::{source}", "paired")
        return Choice.of_sides(sides, most, seed, size), sides
    if not translates(run):
        if in_pairs:
            raise UserError(f"{run.path} draws pictures from noise, not from others: leave out translation")
        if direction != "AtoB":
            raise UserError(f"{run.path} does not translate pictures: leave out --direction")
        refuse_sided(reading.options)
        needs = run.system.needs
        if needs & CONDITIONS:
            described = reading.described(source, needs, getattr(run.config, "channels", 3))
            _check_like(described, run, source, reading.options)
            return Choice.of_described(described, most, seed, size).like(run.system), None
        compared = _as_numbered(reading.pictures(source, getattr(run.config, "channels", 3)), run)
        return Choice.draw(compared, most, seed, size), None
    system = run.system
    if direction not in system.directions:
        there = " and ".join(system.directions)
        raise UserError(f"{run.settings.system} has no direction {direction!r}; it has {there}")
    if size % system.multiple:
        raise UserError(f"{run.path} translates pictures of multiples of {system.multiple} pixels, not of {size}")
    kind: Literal["paired", "unpaired"] = "unpaired" if system.sides == "unpaired" and not in_pairs else "paired"
    sides = reading.sides(source, kind, run.config.channels, run.config.source_channels)
    return Choice.of_sides(sides, most, seed, size, direction), sides


CONDITIONS = frozenset({"text", "boxes", "keypoints"})
"""Keys of what samples of a run may be drawn from, beside classes."""


def as_trained(options: DataOptions, run: Run, other: bool) -> DataOptions:
    """How data is read whose captions, boxes or keypoints are to mean what they meant in training.

    Args:
        options: How else; what is not set is as the run has it.
        run: What is scored.
        other: Whether this is other data than the run was trained on, of which its file of embeddings says nothing.
    """
    own, unset = run.settings.chosen.data, DataOptions()
    given = options.embeddings
    if other and given == own.embeddings:
        given = None
    elif not other and given is None:
        given = own.embeddings
    as_own = {
        name: getattr(own, name) for name in ("captions", "parts") if getattr(options, name) == getattr(unset, name)
    }
    return dataclasses.replace(options, encoder=own.encoder, embeddings=given, **as_own)


def _check_like(data: Described, run: Run, source: str, options: DataOptions) -> None:
    """Makes sure that captions and keypoints mean what they meant in training.

    Raises:
        UserError: They do not.
    """
    facts, needs = run.settings.data, run.system.needs
    theirs, ours = facts.get("encoder") or {}, data.encoder
    from_file = run.settings.chosen.data.embeddings is not None
    if "text" in needs and from_file and options.embeddings is None:
        raise UserError(f"{run.path} was trained on embeddings from a file: give those of {source} with --embeddings")
    if "text" in needs and ours.get("dim") != theirs.get("dim"):
        lengths = f"{ours.get('dim')} numbers, and those that {run.path} was trained on {theirs.get('dim')}"
        raise UserError(f"embedded captions of {source} have {lengths}: give such with --embeddings")
    if "text" in needs and not from_file and options.embeddings is None and ours.get("hash") != theirs.get("hash"):
        raise UserError(
            f"captions of {source} would mean something else than in training, because the encoder "
            f"{theirs.get('name')} has changed since {run.path} was trained: install it as it was"
        )
    if "keypoints" in needs and list(data.parts) != list(facts.get("parts") or []):
        trained = ", ".join(facts.get("parts") or [])
        raise UserError(f"{source} has the keypoints {', '.join(data.parts)}, and {run.path} was trained on {trained}")


def translates(run: Run) -> bool:
    """Whether a run turns pictures into others."""
    return bool(systems.find(run.settings.system).SYSTEM.sides)


def _as_numbered(data: Prepared, run: Run) -> Prepared:
    """The data with its labels as the run numbers its classes, which are told apart by their names.

    Raises:
        UserError: A class of the data is none of the run's.
    """
    if data.labels is None or not getattr(run.config, "classes", 0):
        return data
    for name in data.classes:
        if name not in run.classes:
            raise UserError(
                f"{data.source} has a class {name!r} that {run.path} was not trained on{nearest(name, run.classes)}"
            )
    places = np.array([run.classes.index(name) for name in data.classes])
    return dataclasses.replace(data, labels=places[data.labels], classes=run.classes)
