"""Whole photos, each at its own size, with their small versions and what enlarges those: for scores and raters."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8

from ganvas.data import DataOptions
from ganvas.data.decode import MODES, Decoder
from ganvas.data.pairing import OneSided, TwoSources, open_two
from ganvas.data.resizing import enlarge, reduce
from ganvas.data.sampler import to_float
from ganvas.data.source import Item, Problem, Source, Unusable, open_source
from ganvas.run import Run
from ganvas.translation.tiles import Tiling, translate_tiled
from ganvas.viz.grids import to_bytes

Pixels = UInt8[np.ndarray, "_H _W _C"]

AT_ANY_SIZE = 256
"""Pixels: what sources that can draw at any size are asked for where no run says another."""

SMALL = "1/{scale} by the antialiased bicubic of imresize (Keys, a = -1/2), rounded to 8 bits"
"""How small versions are made, in words."""

CUT = "cut to a multiple of {scale} at the right and the bottom"
"""What is done to photos before, in words."""


@dataclass(frozen=True)
class Photos:
    """Photos to be read one at a time, in a fixed order, each with another picture where the data comes in pairs.

    Attributes:
        name: What the user called them.
        items: The partner of each, or None, and the photo.
        problems: What is not used, and why.
        licence: A line of attribution, or None.
        options: How they are read.
    """

    name: str
    items: Sequence[tuple[Item | None, Item]]
    problems: Sequence[Problem]
    licence: str | None
    options: DataOptions

    def __len__(self) -> int:
        return len(self.items)

    def read(self, number: int, channels: int, side: int) -> tuple[Pixels | None, Pixels]:
        """The partner of a photo, if it has one, and the photo.

        Args:
            number: Which.
            channels: 1 (gray) or 3.
            side: Pixels: what sources that can draw at any size are asked for.

        Raises:
            Unusable: One of them cannot be read.
        """
        partner, photo = self.items[number]
        small = None if partner is None else self.pixels(partner, channels, side)
        return small, self.pixels(photo, channels, side)

    def pixels(self, item: Item, channels: int, side: int) -> Pixels:
        """A picture as these photos are read.

        Args:
            item: Which, of these or of another source.
            channels: As in `read`.
            side: As in `read`.

        Raises:
            Unusable: It cannot be read.
        """
        with Decoder(self.options).open(item, side, channels) as picture:
            return np.atleast_3d(np.array(picture.image.convert(MODES[channels])))

    def beside(self, others: Source) -> dict[str, Item]:
        """The pictures of another source that have the names of photos, by these.

        Raises:
            UserError: There is none.
        """
        photos = Source(self.name, [photo for _, photo in self.items], lambda progress: [])
        pairs, _ = TwoSources(self.name, others, photos).matched()
        places = {item.name: item for item in others.items}
        return {photo: places[name] for name, photo in pairs}


@contextlib.contextmanager
def open_photos(spec: str, options: DataOptions) -> Iterator[Photos]:
    """Photos alone, or where there are two sides pairs of them with the pictures of the first.

    Args:
        spec: See `ganvas.data.source.open_source` and `ganvas.data.pairing`.
        options: How they are read; they are neither cut nor resized, whatever these say of that.

    Raises:
        UserError: There are no such photos, or no two pictures of two sides belong together.
    """
    # What is too small is told by those who know how large it must be.
    options = replace(options, min_side=1)
    two = None
    with contextlib.suppress(OneSided):
        two = open_two(spec, options)
    if two is not None:
        with two:
            yield _pairs(two, options)
        return
    with open_source(spec, options) as source:
        yield Photos(source.name, [(None, item) for item in source.items], source.problems, source.licence, options)


def _pairs(two: TwoSources, options: DataOptions) -> Photos:
    pairs, problems = two.matched()
    sides: list[Source] = [two.source, two.target]
    places = [{item.name: item for item in side.items} for side in sides]
    items = [(places[0][a], places[1][b]) for a, b in pairs]
    known = [Problem(two.called(side, of.name), of.reason) for side in sides for of in side.problems]
    rights = dict.fromkeys(side.licence for side in sides if side.licence)
    return Photos(two.name, items, [*two.problems, *known, *problems], "; ".join(rights) or None, options)


def cut_to_multiple(photo: Pixels, scale: int) -> Pixels:
    """The part of a photo from its top left corner whose height and width are multiples of `scale`."""
    height, width = (length // scale * scale for length in photo.shape[:2])
    return photo[:height, :width]


def small_version(photo: Pixels, scale: int) -> Pixels:
    """1/`scale` of a photo whose height and width are multiples of it, as a file holds it: see `SMALL`.

    Raises:
        UserError: They are not.
    """
    return to_bytes(reduce(to_float(torch.from_numpy(np.ascontiguousarray(photo))[None]), scale))[0]


def enlarged(small: Pixels, scale: int, method: Literal["bicubic", "nearest"]) -> Pixels:
    """`scale` times a small picture, without a network, rounded to 8 bits."""
    return to_bytes(enlarge(to_float(torch.from_numpy(small)[None]), scale, method))[0]


def enlarger(run: Run) -> Callable[[Pixels, int], Pixels]:
    """What a run makes of a small picture, given its seed, rounded to 8 bits; large ones in tiles, as `translate` does.

    Raises:
        UserError: The run translates nothing.
    """
    translator = run.translator()
    tiling = Tiling.fitting(None, None, None, translator.multiple, translator.scale)

    def enlarge(small: Pixels, seed: int) -> Pixels:
        if tiling.whole(*small.shape[:2]):
            return to_bytes(translator(to_float(torch.from_numpy(small)[None]), [seed]))[0]
        return translate_tiled(translator, small, seed, tiling)

    return enlarge


def refuse_too_small(photo: Pixels, least: int) -> None:
    """Makes sure that both sides of a photo have `least` pixels.

    Raises:
        Unusable: They do not.
    """
    height, width, _ = photo.shape
    if min(height, width) < least:
        raise Unusable(f"{width}x{height} pixels; {least} or more a side are needed")


def scale_of(run: Run) -> int:
    """How many times as high and wide as its source a run draws."""
    return int(getattr(run.config, "scale", 1))
