"""From what a user named to prepared data: read once, kept in the cache, opened at once the next time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganvas.data import store
from ganvas.data.cache import cache_errors, locked, new_folder
from ganvas.data.decode import Decoder, Picture, background_colour, quiet, to_square
from ganvas.data.options import DataOptions, cache_folder, worker_count
from ganvas.data.parallel import in_order
from ganvas.data.places import marked, placed, unit_of
from ganvas.data.source import Item, Problem, Progress, Source, Unusable, open_source, printable
from ganvas.data.squares import squares
from ganvas.data.store import Prepared, Writer
from ganvas.errors import UserError

METHOD = 1
"""Part of every cache key. Raise it when a change of the code changes the pixels."""

Square = tuple[str, NDArray[np.uint8]]
"""What is added to a picture's name, and (side, side, channels)."""

NOTHING = (0, 0, 0)
"""What arrays of five channels or more are padded with: a background colour says nothing about them."""


def open_pictures(
    spec: str | Path,
    options: DataOptions,
    *,
    size: int,
    channels: int = 3,
    progress: bool | Progress = False,
) -> Prepared:
    """Prepared data of a folder, a zip or a built-in, from the cache where it is there.

    A folder written by `prepare_data` is used where it lies if its size fits.

    Args:
        spec: What to read; see `ganvas.data.source.open_source`.
        options: How to read it.
        size: Side of the pictures in training, in pixels.
        channels: 1 (gray), 3 (red, green, blue), 2 or 4 (the same with opacity), or as many as its arrays have.
        progress: Whether to show a line on standard error while preparing, or what to call instead with
            (what, done, total).

    Raises:
        UserError: The source cannot be used, or has fewer than two usable pictures, or (with `strict`) any
            that cannot be used.
    """
    with open_source(spec, options) as source, shown_progress(progress) as report:
        return pictures_of(source, options, size=size, channels=channels, report=report)


def pictures_of(
    source: Source,
    options: DataOptions,
    *,
    size: int,
    channels: int,
    report: Progress,
    sized: bool = False,
    unit: int = 1,
) -> Prepared:
    """Prepared data of an opened source, as `open_pictures`.

    Args:
        source: What to read.
        options: How to read it.
        size: Side of the pictures in training, in pixels.
        channels: As in `open_pictures`.
        report: Called while preparing.
        sized: Whether the sizes of the files are wanted too, which older caches do not hold.
        unit: Squares that pictures are cut into begin at multiples of this, in pixels.

    Raises:
        UserError: As in `open_pictures`.
    """
    unit = unit if options.fit == "tiles" else 1
    side = prepared_side(options, size, channels)
    ready = source.prepared
    if ready is not None and ready.images.shape[1:] == (side, side, channels):
        return _checked(ready, options)
    if options.strict and source.problems:
        raise refusal(source.name, source.problems)
    final = cache_folder(options) / "prepared" / _key(source, options, side, channels, report, unit)
    with cache_errors(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
    # Of several processes that start together (torchrun), one does the work and the others wait for it.
    with locked(final.with_suffix(".lock")) as alone:
        if alone:
            for left in final.parent.glob(f"{final.name}.part-*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
        data = _prepared(source, options, side, channels, report, final, sized, unit)
    # The same pixels may have come from elsewhere; what this call named is what it is told.
    return _checked(replace(data, source=source.name, unlabelled=source.unlabelled), options)


def prepare_data(
    spec: str | Path,
    out: str | Path,
    options: DataOptions,
    *,
    size: int,
    channels: int = 3,
    progress: bool | Progress = False,
) -> Prepared:
    """Prepare into a folder of one's own, which can then be given as a source.

    Its two files are described in `ganvas.data.store`.

    Args:
        spec: What to read; see `ganvas.data.source.open_source`.
        out: A folder that is empty or not there yet. Nothing is written elsewhere.
        options: How to read it.
        size: Side of the pictures in training, in pixels; `load_size`, if given, is what is written.
        channels: As in `open_pictures`.
        progress: As in `open_pictures`.

    Raises:
        UserError: As in `open_pictures`, or `out` holds something or cannot be written.
    """
    refuse_sided(options)
    refuse_degraded(options, "which are made in training")
    folder, shown = Path(out).expanduser(), printable(str(out))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{shown} is not an empty folder; choose another, or remove what it holds.")
    with open_source(spec, options) as source, shown_progress(progress) as report:
        side = prepared_side(options, size, channels)
        if options.strict and source.problems:
            raise refusal(source.name, source.problems)
        made = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(source, options, side, channels, report, folder)
            made = False
        except OSError as error:
            raise UserError(f"Cannot write {shown}: {error.strerror or error}.") from error
        finally:
            if made:
                shutil.rmtree(folder, ignore_errors=True)
    return store.load(folder)


def prepared_side(options: DataOptions, size: int, channels: int) -> int:
    """The side that pictures are prepared at, in pixels.

    Raises:
        UserError: The options, size and channels do not go together.
    """
    if size < 1:
        raise UserError(f"The size is {size} pixels; it must be at least 1.")
    if size == 1:
        raise UserError("Pictures of 1 pixel hold nothing to learn; choose a larger size, or points such as normal1d.")
    if channels < 1:
        raise UserError(f"Pictures with {channels} channels cannot be made; choose 1 (gray), 3 (colour) or another.")
    if options.load_size and options.load_size < size:
        raise UserError(f"load_size ({options.load_size}) is smaller than the size in training ({size}).")
    background_colour(options)
    return options.load_size or size


def _pixel_options(options: DataOptions) -> dict[str, Any]:
    """The options on which the pixels, or which of them there are, depend."""
    return {
        "fit": options.fit,
        "background": background_colour(options),
        "max_pixels": options.max_pixels,
        "max_bytes": options.max_bytes,
        "min_side": options.min_side,
    }


def _key(source: Source, options: DataOptions, side: int, channels: int, report: Progress, unit: int) -> str:
    digest = hashlib.sha256()
    head = [METHOD, side, channels, _pixel_options(options), list(source.classes), source.licence]
    head += [unit] if unit > 1 else []
    head += [unit_of(source, options)] if marked(source) else []
    digest.update(json.dumps([*head, [str(p) for p in source.problems]]).encode())
    for item, token in zip(source.items, source.tokens(report), strict=True):
        digest.update(json.dumps([item.name, item.label, dict(item.columns), token], sort_keys=True).encode())
    return digest.hexdigest()[:40]


def _prepared(
    source: Source,
    options: DataOptions,
    side: int,
    channels: int,
    report: Progress,
    final: Path,
    sized: bool,
    unit: int,
) -> Prepared:
    if final.exists():
        with contextlib.suppress(store.Damaged):
            data = store.load(final)
            if data.sizes is not None or not sized:
                return data
        shutil.rmtree(final)
    with cache_errors(final.parent), new_folder(final) as part:
        _write(source, options, side, channels, report, part, unit)
    return store.load(final)


def _write(
    source: Source,
    options: DataOptions,
    side: int,
    channels: int,
    report: Progress,
    folder: Path,
    unit: int = 1,
) -> None:
    if options.fit == "tiles" and marked(source):
        raise UserError(
            f"The pictures of {source.name} have boxes or keypoints, which do not go with --fit tiles; choose another."
        )
    decoder = Decoder(options)
    skipped, notes = list(source.problems), []
    tiled = options.fit == "tiles"
    unit_taken = unit_of(source, options) if marked(source) else None
    facts = _pixel_options(options) | ({"coordinates": unit_taken} if unit_taken else {})

    def prepared(item: Item) -> tuple[Item, Iterable[Square] | None, tuple[int, int] | None, str | None]:
        try:
            with decoder.open(item, side, channels) as picture:
                note = picture.note
                if unit_taken:
                    columns, remarks = placed(item.columns, unit_taken, picture.image.size, side, options.fit)
                    item = replace(item, columns=columns)
                    note = "; ".join([note, *remarks] if note else remarks) or None
                return item, taken(picture), picture.image.size, note
        except Unusable as error:
            return item, None, None, str(error)

    def taken(picture: Picture) -> Iterable[Square]:
        if tiled:
            width, height = picture.image.size
            if min(width, height) < side:
                flag = "--load-size" if options.load_size else "--size"
                raise Unusable(f"{width}x{height} pixels, smaller than a square of {side}: give a smaller {flag}")
            return squares(picture.layers, side, channels, unit)
        if len(picture.layers) == 1:
            return [("", to_square(picture.image, side, channels, options.fit, decoder.background))]
        layers = [to_square(layer, side, 1, options.fit, NOTHING) for layer in picture.layers]
        return [("", np.concatenate(layers, axis=2))]

    # Whole pictures take too much memory for more than a few at once.
    threads, ahead = (min(2, worker_count(options)), 1) if tiled else (worker_count(options), 4)
    with quiet(), Writer(folder, side, channels) as writer, in_order(prepared, source.items, threads, ahead) as results:
        for done, (item, found, dimensions, note) in enumerate(results, 1):
            if found is None:
                skipped.append(Problem(item.name, note or ""))
                if options.strict:
                    raise refusal(source.name, skipped)
            else:
                for place, pixels in found:
                    writer.add(replace(item, name=item.name + place), pixels, dimensions)
                if note:
                    notes.append(Problem(item.name, note))
            report("preparing", done, len(source.items))
        if len(writer.names) < 2:
            first = f"; {len(skipped)} skipped, first {skipped[0]}" if skipped else ""
            raise UserError(f"{source.name} holds {_pictures(len(writer.names))}; at least 2 are needed{first}.")
        writer.finish(source, skipped, notes, facts)


def _checked(data: Prepared, options: DataOptions) -> Prepared:
    if options.strict and data.skipped:
        raise refusal(data.source, data.skipped)
    return data


def refuse_sided(options: DataOptions) -> None:
    """Refuses options of data with two sides, for data with one.

    Raises:
        UserError: One is set.
    """
    for name in ("side", "swap", "halves"):
        if getattr(options, name):
            raise UserError(f"--{name} is for systems that translate pictures, whose data has two sides; leave it out.")


def refuse_degraded(options: DataOptions, why: str) -> None:
    """Refuses options of small versions where none are made.

    Args:
        options: How data is read.
        why: What there is instead of such.

    Raises:
        UserError: One is set.
    """
    for name in ("blur", "noise", "jpeg"):
        if getattr(options, name):
            raise UserError(f"--{name} is for small versions that super-resolution learns from, {why}; leave it out.")


def refuse_undescribed(options: DataOptions, needs: frozenset[str]) -> None:
    """Refuses options of captions and keypoints where none are needed.

    Raises:
        UserError: One is set.
    """
    for name, key, what in (("embeddings", "text", "captions"), ("parts", "keypoints", "keypoints")):
        if getattr(options, name) and key not in needs:
            raise UserError(f"--{name} is for systems that learn from {what}, and this one does not; leave it out.")


def refusal(name: str, problems: Sequence[Problem]) -> UserError:
    """What is said of data with problems, where `strict` allows none."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return UserError(f"Refused {name}, because of strict: {problems[0]}{more}.")


def _pictures(count: int) -> str:
    return f"{count} usable picture" + ("" if count == 1 else "s")


@contextlib.contextmanager
def shown_progress(progress: bool | Progress) -> Iterator[Progress]:
    """What to report progress to."""
    if callable(progress):
        yield progress
    elif not progress or not sys.stderr.isatty():
        yield lambda what, done, total: None
    else:
        from rich.console import Console
        from rich.progress import Progress as Bars

        with Bars(console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task("", total=None)
            yield lambda what, done, total: bars.update(task, description=what, completed=done, total=total)
