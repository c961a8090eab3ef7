"""Pictures larger than a tile: taken apart, translated and put together without a seam, in memory for a row of tiles.

Neighbouring tiles overlap. Where they do the weight of one falls as a raised cosine while the other's rises, so that
nothing jumps where a tile begins or ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ganvas.data.sampler import to_float
from ganvas.errors import UserError
from ganvas.translation.translator import Translator, mirrored
from ganvas.viz.grids import to_bytes

AT_ONCE = {"cpu": 512**2, "cuda": 2048**2, "mps": 1024**2}
"""Pixels that pass through the network at once, unless the number of pictures is given: activations take the memory."""

MOST = 64
"""Pictures at once, unless their number is given: more gain nothing."""

Pixels = UInt8[np.ndarray, "H W C"]


@dataclass(frozen=True)
class Tiling:
    """How pictures are taken apart.

    Attributes:
        side: Side of a tile, pixels; 0 for no tiles.
        overlap: Pixels that neighbours share at least; at most half a tile.
        batch: Pictures or tiles that pass through the network at once; 0 for as many as memory suggests.
    """

    side: int
    overlap: int
    batch: int = 0

    @classmethod
    def fitting(cls, tile: int, overlap: int | None, batch: int | None, multiple: int) -> Tiling:
        """What a user asked for, as the network can do it: a tile is rounded down to a multiple.

        Args:
            tile: Side of a tile, pixels; 0 for no tiles.
            overlap: Pixels; None for an eighth of a tile.
            batch: At once; None for as many as memory suggests.
            multiple: What sides of pictures are multiples of inside the network.

        Raises:
            UserError: It cannot be done so.
        """
        if batch is not None and batch < 1:
            raise UserError(f"--batch {batch}: at least 1 picture passes through the network at once")
        if tile == 0:
            return cls(0, 0, batch or 0)
        if tile < multiple:
            raise UserError(
                f"--tile {tile} is too small: this network takes multiples of {multiple} pixels; give {multiple} or "
                "more, or 0 for no tiles"
            )
        side = tile // multiple * multiple
        overlap = side // 8 if overlap is None else overlap
        if not 0 <= overlap <= side // 2:
            raise UserError(
                f"--overlap {overlap} does not fit into tiles of {side} pixels: it is from 0 to {side // 2}"
            )
        return cls(side, overlap, batch or 0)

    def whole(self, height: int, width: int) -> bool:
        """Whether a picture passes through the network in one piece."""
        return not self.side or max(height, width) <= self.side

    def at_once(self, height: int, width: int, device: torch.device) -> int:
        """How many pictures or tiles of this size pass through the network together."""
        if self.batch:
            return self.batch
        return max(1, min(MOST, AT_ONCE.get(device.type, AT_ONCE["cpu"]) // (height * width)))


def starts(length: int, side: int, overlap: int, multiple: int) -> list[int]:
    """Where tiles begin along one side of a picture.

    They begin at multiples of the network's own, so that it halves the resolution of all of them at the same pixels;
    where that would let them overlap by more than was asked for and a multiple, at those of one of its divisors.

    Args:
        length: Pixels, a multiple of `multiple`.
        side: Of a tile, pixels, a multiple of `multiple`.
        overlap: Pixels that neighbours share at least.
        multiple: The network's.
    """
    if length <= side:
        return [0]
    unit = next(unit for unit in range(min(multiple, max(1, overlap)), 0, -1) if multiple % unit == 0)
    step = max(unit, (side - overlap) // unit * unit)
    return [*range(0, length - side, step), length - side]


def weights(length: int, side: int, overlap: int, begins: Sequence[int]) -> Float[Tensor, "tiles side"]:
    """What each tile counts at each of its pixels along one side of a picture; over all tiles the sum is 1 everywhere.

    Args:
        length: Of the picture, pixels, at least `side`.
        side: Of a tile, pixels.
        overlap: Pixels over which a tile's weight rises and falls, but not at the ends of the picture.
        begins: Where the tiles begin.
    """
    rise = torch.sin((torch.arange(overlap) + 0.5) / max(1, overlap) * (math.pi / 2)).square()
    found = torch.ones(len(begins), side, dtype=torch.float64)
    total = torch.zeros(length, dtype=torch.float64)
    for weight, begin in zip(found, begins, strict=True):
        if begin > 0:
            weight[:overlap] *= rise
        if begin + side < length:
            weight[side - overlap :] *= rise.flip(0)
        total[begin : begin + side] += weight
    return torch.stack([w / total[b : b + side] for w, b in zip(found, begins, strict=True)]).float()


def translate_whole(translator: Translator, pictures: Sequence[Pixels], seeds: Sequence[int]) -> list[Pixels]:
    """Pictures of one size, each in one piece and all at once."""
    return list(to_bytes(translator(to_float(torch.from_numpy(np.stack(pictures))), seeds)))


def translate_tiled(
    translator: Translator,
    picture: Pixels,
    seed: int,
    tiling: Tiling,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pixels:
    """One picture in tiles, all with the same seed.

    Args:
        translator: The network.
        picture: Any size; a side shorter than a tile is taken whole.
        seed: Its seed.
        tiling: How it is taken apart; `side` is not 0.
        progress: Called with the number of tiles done and of all.
    """
    height, width, _ = picture.shape
    tall, wide = translator.padded(height), translator.padded(width)
    high, broad = min(tiling.side, tall), min(tiling.side, wide)
    tops, lefts = (
        starts(length, side, tiling.overlap, translator.multiple) for length, side in ((tall, high), (wide, broad))
    )
    down, across = weights(tall, high, tiling.overlap, tops), weights(wide, broad, tiling.overlap, lefts)
    rows, columns = mirrored(height, tall).numpy(), mirrored(width, wide).numpy()
    edge, side = (tall - height) // 2, (wide - width) // 2
    result = np.empty((height, width, translator.outputs), np.uint8)
    band = torch.zeros(translator.outputs, high, wide)
    count = tiling.at_once(high, broad, translator.device)
    done = 0
    for number, top in enumerate(tops):
        below = rows[top : top + high]
        for group in _chunks(list(zip(lefts, across, strict=True)), count):
            cut = np.stack([picture[below[:, None], columns[left : left + broad]] for left, _ in group])
            found = translator(to_float(torch.from_numpy(cut)), [seed] * len(group))
            for tile, (left, weight) in zip(found, group, strict=True):
                band[:, :, left : left + broad] += tile * (down[number][:, None] * weight)
            done += len(group)
            progress(done, len(tops) * len(lefts))
        # The rows that no tile further down reaches are done: those that are no padding go into the result.
        ready = (tops[number + 1] if number + 1 < len(tops) else tall) - top
        first, last = max(top, edge), min(top + ready, edge + height)
        if first < last:
            finished = band[:, first - top : last - top, side : side + width]
            result[first - edge : last - edge] = to_bytes(finished[None])[0]
        band = torch.cat([band[:, ready:], band.new_zeros(len(band), ready, wide)], 1)
    return result


def _chunks(of: list[tuple[int, Tensor]], count: int) -> Iterator[list[tuple[int, Tensor]]]:
    for start in range(0, len(of), count):
        yield of[start : start + count]
