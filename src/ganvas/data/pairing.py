"""The two sides of what a user named: which pictures are translated into which.

    sketches/::photos/         two sources of any kind
    pairs/                     a folder or zip with two folders in it, see `FOLDERS`
    pairs/ with metadata       whose rows name two files each, see `ganvas.data.metadata`
    pairs/ and a `side`        pictures that lie side by side in one file
    earth-maps                 a built-in with two sides

Where the layout does not say which pictures are a pair, those of the same name are, folders included and the extension
not: `a/1.png` and `a/1.jpg`. Nothing else is guessed.
"""

from __future__ import annotations

import contextlib
import itertools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Literal

from ganvas.data import archive, folder, store
from ganvas.data.layout import ARRAYS, PICTURES, Files, arrange, tables_of
from ganvas.data.metadata import PairRow, read_pairs
from ganvas.data.options import DataOptions
from ganvas.data.source import Problem, Progress, Source, find_builtin, open_source, path_errors, printable, split_sides
from ganvas.errors import UserError

FOLDERS = (("source", "target"), ("input", "output"), ("A", "B"), ("trainA", "trainB"), ("low", "high"), ("LR", "HR"))
"""Names of two folders that make a layout, in capitals or not; the first of each is what is translated."""

EXAMPLES = 3
"""Names of each side that are shown where no two agree."""


class OneSided(UserError):
    """Raised for what cannot be told to have two sides, which data with one has not."""


@dataclass
class TwoSources:
    """Two sources, of which one is translated into the other.

    Attributes:
        name: What the user called them.
        source: What is translated.
        target: What it becomes.
        pairs: The names of the two items of each pair, as the layout says; None where their names say it.
        problems: What the layout names but is not there.
    """

    name: str
    source: Source
    target: Source
    pairs: Sequence[tuple[str, str]] | None = None
    problems: Sequence[Problem] = ()

    def __enter__(self) -> TwoSources:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.release()
        self.target.release()

    def swapped(self) -> TwoSources:
        """The same with the sides exchanged."""
        pairs = None if self.pairs is None else [(b, a) for a, b in self.pairs]
        return replace(self, source=self.target, target=self.source, pairs=pairs)

    def called(self, side: Source, name: str) -> str:
        """How an item is named in messages: with its side's name before it where the sides have names of their own."""
        return name if side.name == self.name else f"{side.name.rstrip('/')}/{name}"

    def matched(self) -> tuple[Sequence[tuple[str, str]], list[Problem]]:
        """The names of the two items of each pair, and what has no partner.

        Raises:
            UserError: There is no pair at all.
        """
        if self.pairs is not None:
            return self.pairs, []
        problems: list[Problem] = []
        sources, targets = (self._by_stem(side, problems) for side in (self.source, self.target))
        pairs = [(name, targets[stem]) for stem, name in sources.items() if stem in targets]
        if not pairs:
            raise UserError(
                f"{self.name} holds no pairs: no picture of {_some(self.source)} has the name of one of "
                f"{_some(self.target)}. Partners have the same name, but for the extension."
            )
        for side, own, others, other in (
            (self.source, sources, targets, self.target),
            (self.target, targets, sources, self.source),
        ):
            lonely = [name for stem, name in own.items() if stem not in others]
            problems += [Problem(self.called(side, name), f"has no partner in {other.name}") for name in lonely]
        return pairs, problems

    def _by_stem(self, side: Source, problems: list[Problem]) -> dict[str, str]:
        """Items by what partners have in common; of two that have the same, the second is a problem."""
        found: dict[str, str] = {}
        for item in side.items:
            path = PurePosixPath(unicodedata.normalize("NFC", item.name))
            extension = path.suffix.lower()
            stem = str(path.with_suffix("")) if extension in PICTURES or extension == ARRAYS else str(path)
            if stem in found:
                reason = f"has the same name, but for the extension, as {found[stem]}, which is used"
                problems.append(Problem(self.called(side, item.name), reason))
            else:
                found[stem] = item.name
        return found


def open_two(spec: str | Path, options: DataOptions) -> TwoSources:
    """The two sources that a user named; nothing is decoded yet.

    Args:
        spec: See the top of this file.
        options: How to read it; `side` and `swap` are used.

    Raises:
        OneSided: Its two sides cannot be told.
        UserError: There is no such source, or `side` is given where the sides are known.
    """
    two = _open_two(spec, options)
    return two.swapped() if options.swap else two


def has_sides(spec: str | Path) -> bool:
    """Whether `spec` names a built-in with two sides."""
    found = find_builtin(spec)
    return found is not None and (hasattr(found[0], "open_sides") or hasattr(found[0], "open_point_sides"))


def _open_two(spec: str | Path, options: DataOptions) -> TwoSources:
    shown = printable(str(spec))
    if both := split_sides(spec):
        _without_side(shown, options)
        with contextlib.ExitStack() as opened:
            first, second = (opened.enter_context(_open_one(one, options)) for one in both)
            opened.pop_all()
        return TwoSources(shown, first, second)
    if found := find_builtin(spec):
        module, parts = found
        if hasattr(module, "open_point_sides"):
            raise UserError(f"{shown} makes points without end, not pictures: train a system of points on it.")
        if not hasattr(module, "open_sides"):
            raise OneSided(f"{shown} is one side only; name the other too, as in {shown}::OTHER.")
        _without_side(shown, options)
        first, second = module.open_sides(parts, options)
        return TwoSources(shown, first, second)
    path = Path(spec).expanduser()
    with path_errors(shown):
        known = path.exists() and not store.is_prepared(path)
        if known:
            files = folder.open_files(path, options) if path.is_dir() else archive.open_files(path, options)
    if not known:
        with open_source(spec, options):  # says so if there is nothing
            raise OneSided(f"{shown} is prepared and one side only; name the other too, as in {shown}::OTHER.")
    try:
        return _laid_out(files.unwrapped(), options)
    except BaseException:
        files.release()
        raise


def _open_one(spec: str, options: DataOptions) -> Source:
    """One of two sources; the folder around everything in a zip is no part of the names."""
    path = Path(spec).expanduser()
    if find_builtin(spec) or not path.is_file():
        return open_source(spec, options)
    files = archive.open_files(path, options)
    try:
        return arrange(files.unwrapped())
    except BaseException:
        files.release()
        raise


def _laid_out(files: Files, options: DataOptions) -> TwoSources:
    """The two sides of a folder or zip."""
    shown = files.shown
    top = {PurePosixPath(name).parts[0] for name in files.readers if "/" in name}
    there = {name.lower(): name for name in sorted(top)}
    for a, b in FOLDERS:
        if {a.lower(), b.lower()} <= there.keys():
            _without_side(shown, options)
            first, second = (arrange(files.below(there[name.lower()])) for name in (a, b))
            return TwoSources(shown, first, second)
    tables = tables_of(files)
    if rows := read_pairs(tables, shown) if tables else []:
        _without_side(shown, options)
        return _named_in_rows(files, rows)
    if options.side:
        other: Literal["left", "right"] = "right" if options.side == "left" else "left"
        whole = arrange(files)
        return TwoSources(shown, _half_of(whole, options.side), _half_of(whole, other))
    folders = ", ".join(f"{a}/ and {b}/" for a, b in FOLDERS)
    raise OneSided(
        f"The two sides of {shown} cannot be told. These would do: two folders, zips or built-ins, FIRST::SECOND; two "
        f"folders in it ({folders}); metadata with source_file_name and target_file_name; or, of pictures that "
        "lie side by side, --side left or --side right for the half that is translated."
    )


def _named_in_rows(files: Files, rows: Sequence[PairRow]) -> TwoSources:
    shown = files.shown
    real = {unicodedata.normalize("NFC", name): name for name in files.readers}
    pairs, problems = [], []
    for row in rows:
        found = [real.get(unicodedata.normalize("NFC", name)) for name in (row.source, row.target)]
        missing = [name for name, there in zip((row.source, row.target), found, strict=True) if there is None]
        problems += [Problem(printable(name), f"{row.place} names it, but there is no such file") for name in missing]
        if found[0] is not None and found[1] is not None:
            pairs.append((found[0], found[1]))
    if not pairs:
        raise UserError(f"No row of the metadata of {shown} names two files that are there; {problems[0]}.")
    sides = []
    for side in zip(*pairs, strict=True):
        names = dict.fromkeys(side)
        sides.append(arrange(replace(files, readers={name: files.readers[name] for name in names}, problems=())))
    first, second = sides
    return TwoSources(shown, first, second, [(printable(a), printable(b)) for a, b in pairs], problems)


def _half_of(whole: Source, half: Literal["left", "right"]) -> Source:
    def tokens(progress: Progress) -> list[str]:
        return [f"{token}:{half}" for token in whole.tokens(progress)]

    items = [replace(item, half=half, label=None) for item in whole.items]
    return replace(whole, items=items, tokens=tokens, classes=())


def _without_side(shown: str, options: DataOptions) -> None:
    if options.side:
        raise UserError(
            f"--side is for pictures that lie side by side in one file, and the two sides of {shown} are apart: leave "
            "it out (--swap exchanges them)."
        )


def _some(side: Source) -> str:
    names = [item.name for item in itertools.islice(side.items, EXAMPLES)]
    more = ", ..." if len(side.items) > EXAMPLES else ""
    return f"{side.name} ({', '.join(names)}{more})"
