"""What a source holds, before training on it: every file decoded, nothing written."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ganvas.data.annotations import Annotations, annotations_of
from ganvas.data.decode import Decoder, quiet
from ganvas.data.opening import align, another_shape
from ganvas.data.options import DataOptions, worker_count
from ganvas.data.pairing import has_sides, open_two
from ganvas.data.parallel import in_order
from ganvas.data.places import unit_of
from ganvas.data.prepare import refuse_degraded, refuse_sided, shown_progress
from ganvas.data.source import Item, Problem, Progress, Source, Unusable, open_source, split_sides
from ganvas.data.squares import count
from ganvas.errors import UserError

DRAWN_AT = 256
"""Pixels: the side that sources which can draw at any size are checked at."""

LISTED = 20
"""Lines of one kind that `Report.lines` prints before it only counts the rest."""


@dataclass(frozen=True)
class Report:
    """What `check_data` found.

    Attributes:
        source: What the user called the source.
        count: Usable pictures.
        sizes: How many pictures there are of each (width, height), upright.
        modes: How many of each way to store pixels (Pillow's names: L, RGB, P, CMYK, I;16, ...).
        formats: How many of each file format.
        labels: Pictures of each class; empty without labels.
        columns: Names of the further metadata columns.
        annotations: What these say in captions, boxes and keypoints.
        same_file: Groups of names whose files are equal byte for byte.
        same_pixels: Groups of names whose pixels are equal, in files that differ.
        skipped: Files that cannot be used.
        notes: Files that are used, but not as they are.
        ignored: How many other files were passed over because they are no pictures.
        unlabelled: Why there are no labels, where one might think there are; else empty.
        licence: The attribution that the source asks for.
        square: With `fit="tiles"` the side in pixels of the squares that pictures are cut into, 0 if it is not said;
            else None.
    """

    source: str
    count: int
    sizes: dict[tuple[int, int], int]
    modes: dict[str, int]
    formats: dict[str, int]
    labels: dict[str, int]
    columns: list[str]
    annotations: Annotations
    same_file: list[list[str]]
    same_pixels: list[list[str]]
    skipped: list[Problem]
    notes: list[Problem]
    ignored: int
    unlabelled: str
    licence: str | None
    square: int | None = None

    @property
    def squares(self) -> int | None:
        """How many squares the pictures are cut into; None if they are not, or the side is not said."""
        return sum(count(*size, self.square) * n for size, n in self.sizes.items()) if self.square else None

    def to_json(self) -> dict[str, Any]:
        """The whole report as JSON values."""
        return {
            "source": self.source,
            "count": self.count,
            "sizes": [
                {"width": width, "height": height, "count": count} for (width, height), count in self.sizes.items()
            ],
            "modes": self.modes,
            "formats": self.formats,
            "labels": self.labels,
            "columns": self.columns,
            "annotations": self.annotations.to_json(),
            "duplicates": {"same_file": self.same_file, "same_pixels": self.same_pixels},
            "skipped": [{"name": p.name, "reason": p.reason} for p in self.skipped],
            "notes": [{"name": p.name, "reason": p.reason} for p in self.notes],
            "ignored": self.ignored,
            "unlabelled": self.unlabelled,
            "licence": self.licence,
            "squares": self.squares,
        }

    def lines(self) -> list[str]:
        """The report for a person."""
        lines = [f"{self.source}: {self.count:,} usable pictures, {len(self.skipped):,} skipped"]
        if self.sizes:
            shortest = sorted(min(size) for size, count in self.sizes.items() for _ in range(count))
            lines.append(f"shorter side: {shortest[0]} to {shortest[-1]} pixels, median {shortest[len(shortest) // 2]}")
            common = sorted(self.sizes.items(), key=lambda pair: -pair[1])
            lines.append(_counts("sizes", [(f"{w}x{h}", count) for (w, h), count in common]))
            if self.square:
                small = sum(n for size, n in self.sizes.items() if min(size) < self.square)
                smaller = f"; {small:,} pictures are smaller and give none" if small else ""
                lines.append(f"squares of {self.square} pixels: {self.squares:,}{smaller}")
            elif self.square is not None:
                lines.append("squares: --load-size says of how many pixels")
            lines.append(_counts("modes", self.modes.items()))
            lines.append(_counts("formats", self.formats.items()))
        none = "labels: none" + (f", because {self.unlabelled}" if self.unlabelled else "")
        lines.append(_counts("labels", self.labels.items()) if self.labels else none)
        if self.columns:
            lines.append(f"further columns: {', '.join(self.columns)}")
        lines += _annotated(self.annotations, self.count)
        if self.ignored:
            lines.append(f"other files, passed over: {self.ignored:,}")
        groups = [("the same file", self.same_file), ("the same pixels", self.same_pixels)]
        for what, found in groups:
            lines += _some(f"duplicates, {what}", [" = ".join(names) for names in found])
        lines += _some("used, but", [str(p) for p in self.notes])
        lines += _some("skipped", [str(p) for p in self.skipped])
        if self.licence:
            lines.append(f"licence: {self.licence}")
        return lines


@dataclass
class _Seen:
    """What is known of one item after decoding it."""

    item: Item
    problem: str | None = None
    note: str | None = None
    size: tuple[int, int] = (0, 0)
    mode: str = ""
    format: str = ""
    file: bytes = field(default=b"", repr=False)
    pixels: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class SidesReport:
    """What `check_data` found of two sides.

    Attributes:
        source: What is translated.
        target: What it becomes.
        pairs: How many pairs of usable pictures there are; None if pairs were not looked for.
        unpaired: Pictures that are in no pair, and why.
    """

    source: Report
    target: Report
    pairs: int | None
    unpaired: list[Problem]

    def to_json(self) -> dict[str, Any]:
        """The whole report as JSON values."""
        return {
            "pairs": self.pairs,
            "unpaired": [{"name": p.name, "reason": p.reason} for p in self.unpaired],
            "sides": {"source": self.source.to_json(), "target": self.target.to_json()},
        }

    def lines(self) -> list[str]:
        """The report for a person."""
        lines = []
        if self.pairs is not None:
            pairs = "1 pair" if self.pairs == 1 else f"{self.pairs:,} pairs"
            lines = [pairs, *_some("in no pair", self.unpaired)]
        for what, side in (("source", self.source), ("target", self.target)):
            first, *more = side.lines()
            lines += [f"{what}: {first}", *(f"  {line}" for line in more)]
        return lines


def check_data(
    spec: str | Path,
    options: DataOptions,
    *,
    sides: Literal["", "paired", "unpaired"] = "",
    progress: bool | Progress = False,
) -> Report | SidesReport:
    """Decode everything in a source and say what is there. Writes nothing.

    Args:
        spec: What to read; see `ganvas.data.source.open_source` and, of data with two sides, `ganvas.data.pairing`.
        options: How to read it. `strict` changes nothing: problems are what a report is for.
        sides: What data with two sides is wanted for. Empty is pairs of what can only be read as two sides.
        progress: As in `open_pictures`.

    Raises:
        UserError: There is no such source, it holds no pictures at all, its metadata cannot be understood, it has no
            pairs where some are wanted, or an option is set that does nothing.
    """
    refuse_degraded(options, "which are made in training")
    if not sides and (split_sides(spec) or options.side or has_sides(spec)):
        sides = "paired"
    if not sides:
        refuse_sided(options)
        with open_source(spec, options) as source:
            return _check(source, options, progress)[0]
    if options.halves and sides == "paired":
        raise UserError("--halves is for unpaired data: add --sides unpaired, or leave it out.")
    with open_two(spec, options) as two:
        pairs, problems = two.matched() if sides == "paired" else ((), [])
        # Partners are cut alike, and of small and large ones load_size is that of the large ones.
        alike = replace(options, fit="crop") if sides == "paired" else options
        (first, sizes), (second, others) = (
            _check(side, how, progress) for side, how in ((two.source, alike), (two.target, options))
        )
        places = [{name: i for i, name in enumerate(found)} for found in (sizes, others)]
        kept, lost = align(two, pairs, places, [[*sizes.values()], [*others.values()]], differ=another_shape)
        count = len(kept) if sides == "paired" else None
        return SidesReport(first, second, count, [*two.problems, *problems, *lost])


def _check(
    source: Source, options: DataOptions, progress: bool | Progress
) -> tuple[Report, dict[str, tuple[int, int]]]:
    """The report on an opened source, and the size of each usable picture by its name."""
    decoder = Decoder(options)

    def look(item: Item) -> _Seen:
        seen = _Seen(item)

        def read(side: int) -> Any:
            data = item.read(side)
            seen.file = hashlib.sha256(data).digest() if isinstance(data, bytes) else b""
            return data

        try:
            with decoder.open(replace(item, read=read), DRAWN_AT) as picture:
                seen.size, seen.mode, seen.format, seen.note = (
                    picture.image.size,
                    picture.mode,
                    picture.format,
                    picture.note,
                )
                digest = hashlib.sha256(repr(seen.size).encode())
                for layer in picture.layers:
                    digest.update(layer.convert("RGB").tobytes())
                seen.pixels = digest.digest()
        except Unusable as error:
            seen.problem = str(error)
        return seen

    with (
        shown_progress(progress) as report,
        quiet(),
        in_order(look, source.items, worker_count(options)) as results,
    ):
        sizes: dict[str, tuple[int, int]] = {}
        modes, formats, labels = Counter[str](), Counter[str](), Counter[str]()
        files, pixels = defaultdict[bytes, list[str]](list), defaultdict[bytes, list[str]](list)
        skipped, notes, columns = list(source.problems), [], dict[str, Mapping[str, Any]]()
        for done, seen in enumerate(results, 1):
            report("checking", done, len(source.items))
            name = seen.item.name
            if seen.problem is not None:
                skipped.append(Problem(name, seen.problem))
                continue
            sizes[name] = seen.size
            modes[seen.mode] += 1
            formats[seen.format] += 1
            columns[name] = seen.item.columns
            if seen.item.label is not None:
                labels[source.classes[seen.item.label]] += 1
            if seen.note:
                notes.append(Problem(name, seen.note))
            if seen.file:
                files[seen.file].append(name)
            # A file that repeats another byte for byte is told once, not again among equal pixels.
            if len(files.get(seen.file, ())) < 2:
                pixels[seen.pixels].append(name)
        found = Report(
            source=source.name,
            count=len(sizes),
            sizes=dict(sorted(Counter(sizes.values()).items())),
            modes=dict(sorted(modes.items())),
            formats=dict(sorted(formats.items())),
            labels={name: labels[name] for name in source.classes if labels[name]},
            columns=sorted({column for own in columns.values() for column in own}),
            annotations=annotations_of(
                {name: (own, sizes[name]) for name, own in columns.items()}, unit_of(source, options), options
            ),
            same_file=_groups(files),
            same_pixels=_groups(pixels),
            skipped=skipped,
            notes=notes,
            ignored=source.ignored,
            unlabelled=source.unlabelled,
            licence=source.licence,
            square=options.load_size if options.fit == "tiles" else None,
        )
        return found, sizes


def _groups(found: dict[bytes, list[str]]) -> list[list[str]]:
    return [names for names in found.values() if len(names) > 1]


def _counts(what: str, counts: Iterable[tuple[str, int]]) -> str:
    pairs = list(counts)
    text = ", ".join(f"{name} ({count:,})" for name, count in pairs[:LISTED])
    return f"{what}: {text}" + (f", and {len(pairs) - LISTED:,} more" if len(pairs) > LISTED else "")


def _annotated(found: Annotations, pictures: int) -> list[str]:
    """What there is of captions, boxes and keypoints, for a person."""
    lines = []
    if found.captions:
        lines.append(_counts("captions a picture", ((str(count), many) for count, many in found.captions.items())))
    if found.coordinates:
        unit = "pixels" if found.coordinates == "pixels" else "shares of the picture"
        counts = [("boxes", found.boxes), ("keypoints", found.keypoints)]
        lines += [f"{what}: in {count:,} of {pictures:,} pictures, in {unit}" for what, count in counts if count]
    if found.visible:
        lines.append(_counts("keypoints that are visible", found.visible.items()))
    if found.unmirrored:
        lines.append(f"keypoints: {found.unmirrored}")
    lines += _some("captions, empty or missing", found.uncaptioned)
    return [*lines, *_some("boxes and keypoints, out of range or no such", found.misplaced)]


def _some(what: str, entries: Sequence[object]) -> list[str]:
    if not entries:
        return []
    more = [f"  ... and {len(entries) - LISTED:,} more"] if len(entries) > LISTED else []
    return [f"{what} ({len(entries):,}):", *(f"  {entry}" for entry in entries[:LISTED]), *more]
