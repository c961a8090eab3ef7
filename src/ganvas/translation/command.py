"""`ganvas translate`: pictures of one side turned into the other, whatever their size, file by file."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from ganvas import systems
from ganvas.data.decode import Decoder, quiet
from ganvas.data.prepare import refusal, shown_progress
from ganvas.data.source import Problem, Progress
from ganvas.engine.training import Device, Precision
from ganvas.errors import UserError
from ganvas.run import Run, Which
from ganvas.translation.files import (
    compare_paths,
    make_writable,
    output_names,
    refuse_place,
    refuse_written,
    rows_of,
    write,
)
from ganvas.translation.reading import open_input
from ganvas.translation.tiles import Tiling
from ganvas.translation.work import Work
from ganvas.translation.writing import Format, format_of

LISTED = 20
"""Lines of one kind that `Translation.lines` prints before it only counts the rest."""


@dataclass(frozen=True)
class Translation:
    """What `translate` did.

    Attributes:
        out: The file or folder that was written.
        pictures: How many were translated.
        there: How many were left out because they were there already.
        skipped: Files that cannot be used.
        notes: Files that were used, but not as they are.
        direction: `AtoB` or `BtoA`.
        scale: By how much pictures were enlarged each way.
        megapixels: Of what came out in all.
        seconds: From the first picture read to the last one written.
    """

    out: Path
    pictures: int
    there: int
    skipped: list[Problem]
    notes: list[Problem]
    direction: str
    scale: int
    megapixels: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "out": str(self.out),
            "pictures": self.pictures,
            "there": self.there,
            "skipped": [{"name": p.name, "reason": p.reason} for p in self.skipped],
            "notes": [{"name": p.name, "reason": p.reason} for p in self.notes],
            "direction": self.direction,
            "scale": self.scale,
            "megapixels": round(self.megapixels, 6),
            "seconds": round(self.seconds, 3),
            "megapixels_per_second": round(self.megapixels / self.seconds, 3),
        }

    def lines(self) -> list[str]:
        """For people to read."""
        count = f"{self.pictures:,} picture" + "s" * (self.pictures != 1)
        pace = f"{self.seconds:.1f} s, {self.megapixels / self.seconds:.3g} megapixels/s"
        there = f", {self.there:,} were there" if self.there else ""
        what = self.direction if self.scale == 1 else f"{self.scale} times as large each way"
        lines = [f"{self.out}: {count} {what} in {pace}{there}"]
        for said, found in (("used, but", self.notes), ("skipped", self.skipped)):
            if found:
                lines += [f"{said} ({len(found):,}):", *(f"  {problem}" for problem in found[:LISTED])]
                lines += [f"  ... and {len(found) - LISTED:,} more"] if len(found) > LISTED else []
        return lines


def translate(
    run: str | Path | Run,
    input: str | Path,
    output: str | Path,
    *,
    direction: str = "AtoB",
    seed: int = 0,
    size: int | None = None,
    scale: int | None = None,
    tile: int | None = None,
    overlap: int | None = None,
    batch: int | None = None,
    format: Format | None = None,
    quality: int = 92,
    force: bool = False,
    go_on: bool = False,
    strict: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    checkpoint: Which = "newest",
    compare: str | Path | None = None,
    progress: bool | Progress = False,
) -> Translation:
    """Translates pictures, each at its own size, into files that name the run and the licence of its data.

    Args:
        run: Of a system that translates.
        input: A picture, a folder, a zip or built-in data; of data with two sides (`FIRST::SECOND`, or a built-in)
            the side that `direction` starts from.
        output: A file for a picture, else a folder, in which the structure of the input is kept. Labels and columns go
            into its `metadata.jsonl`, where class folders do not say the same.
        direction: `AtoB` or `BtoA`, also written `A->B`, `a-b`, ...
        seed: Of the first picture; picture i of a folder has `seed` + i.
        size: Pixels to resize the shorter side to first; None for none.
        scale: By how much the run must enlarge each way; None for whatever it does.
        tile: Side of the tiles that larger pictures are translated in, pixels before enlarging; 0 for none; None for
            `Tiling.fitting`'s choice.
        overlap: Pixels that neighbouring tiles share; None for `Tiling.fitting`'s choice.
        batch: Pictures of one size, or tiles, that pass through the network at once; by default as many as memory
            suggests.
        format: Of the pictures of a folder; by default PNG. The name of a single file says it.
        quality: Of JPEG and WebP, 1 to 100.
        force: Overwrite what is there.
        go_on: Leave out pictures that are there.
        strict: Refuse what cannot be read, where otherwise it is skipped and counted.
        device: Where to compute. A `Run` computes where it is.
        precision: Number format inside the network. A `Run` has its own.
        checkpoint: Which of the run's checkpoints. A `Run` has its own.
        compare: Where to show pictures before and after: a `.png` file for a single one, or a folder; None for nowhere.
        progress: Whether to show a line on standard error, or what to call instead with (what, done, total).

    Raises:
        UserError: The run does not translate, or not in this direction; a setting is not possible; the input is not
            there, no picture of it can be used, or the output cannot be written.
    """
    if seed < 0 or not 1 <= quality <= 100 or (size is not None and size < 1):
        raise UserError(
            f"the seed ({seed}) is 0 or more, the quality ({quality}) 1 to 100, and the size ({size}) 1 pixel or more"
        )
    if force and go_on:
        raise UserError("--force overwrites what is there and --continue leaves it: give one of the two")
    run = run if isinstance(run, Run) else Run(run, device, precision, checkpoint)
    if run.config.size == 1 and systems.find(run.settings.system).SYSTEM.sides:
        raise UserError(f"{run.path} translates points, not pictures: `Run.translate` takes them as tensors")
    translator = run.translator(direction)
    if scale not in (None, translator.scale):
        does = f"enlarges {translator.scale} times, not {scale}" if translator.scale > 1 else "does not enlarge"
        raise UserError(f"{run.path} {does}: leave out --scale, or take a run that was trained with --scale {scale}")
    if compare and not {translator.inputs, translator.outputs} <= {1, 3}:
        raise UserError("--compare shows gray and coloured pictures alone: leave it out")
    tiling = Tiling.fitting(tile, overlap, batch, translator.multiple, translator.scale)
    options = replace(run.settings.chosen.data, min_side=1, max_pixels=2 * (Image.MAX_IMAGE_PIXELS or 2**26))
    source, one = open_input(input, options, translator.direction)
    out = Path(output).expanduser()
    with source, quiet(), shown_progress(progress) as report:
        refuse_place(input, out, one)
        kind = format_of(out.name if one else "", format, translator.outputs)
        names = [out.name] if one else output_names(source.items, f".{kind}")
        paths = [out] if one else [out / name for name in names]
        done = {number for number, path in enumerate(paths) if path.exists()} if go_on else set[int]()
        compares = compare_paths(Path(compare).expanduser(), input, paths, names) if compare else []
        table = out / "metadata.jsonl"
        if not (force or go_on):
            tables = [] if one or rows_of(source, names, ()) is None else [table]
            refuse_written([*paths, *tables, *compares])
        if strict and source.problems:
            raise refusal(source.name, source.problems)
        make_writable(out, one)
        if compares:
            make_writable(compares[0], True)
        began, there = time.perf_counter(), len(done)
        work = Work(run, translator, tiling, source, paths, kind, quality, seed, size, Decoder(options), compares)
        skipped, notes, megapixels = list(source.problems), [], 0.0
        for job in work([number for number in range(len(paths)) if number not in done], report):
            item = source.items[job.number]
            if job.size is None:
                skipped.append(Problem(item.name, job.note or ""))
                if strict:
                    raise refusal(source.name, skipped)
                continue
            done.add(job.number)
            megapixels += math.prod(job.size) / 1e6
            if job.note:
                notes.append(Problem(item.name, job.note))
        if not done:
            first = skipped[len(source.problems)]
            several = f"none of the {len(paths)} pictures can be used; the first: {first}"
            raise UserError(f"cannot translate {source.name}: {first.reason if one else several}")
        if not one and (rows := rows_of(source, names, done)):
            write(table, rows)
        seconds = time.perf_counter() - began
    return Translation(
        out, len(done) - there, there, skipped, notes, translator.direction, translator.scale, megapixels, seconds
    )
