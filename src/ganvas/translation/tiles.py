"""Pictures larger than a tile: taken apart, translated and put together without a seam, in memory for a row of tiles.

Neighbouring tiles overlap. Where they do the weight of one falls as a raised cosine while the other's rises, so that
nothing jumps where a tile begins or ends. Networks that enlarge do the most work for each of their pixels, and see a
border of zeros wherever a tile ends: there tiles are as small as they can be, and their outermost pixels count nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8, UInt16
from torch import Tensor

from ganvas.data.sampler import to_float
from ganvas.errors import UserError
from ganvas.translation.translator import Translator, mirrored

AT_ONCE = {"cpu": 512**2, "cuda": 2048**2, "mps": 1024**2}
"""Pixels that come out of the network at once, unless the number of pictures is given: activations take the memory."""

MOST = 64
"""Pictures at once, unless their number is given: more gain nothing."""

TILE = 512
"""Pixels: side of the tiles of a network that keeps the size."""

ENLARGED_TILE = 2048
"""Pixels that come out: side of the tiles of a network that enlarges."""

ENLARGED_OVERLAP = 24
"""Pixels that those overlap by."""

SPOILT = 3
"""Eighths of that overlap at each end of a tile which count nothing."""

ROWS = 64
"""Rows that become bytes together: few, so that the numbers between take little memory."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a gray value (ITU-R BT.601), as Pillow has them."""

Pixels = UInt8[np.ndarray, "H W C"] | UInt16[np.ndarray, "H W C"]
"""A picture with 8 or 16 bits. Of one channel it is gray, also where the network takes three, and stays so."""

Drawn = UInt8[np.ndarray, "H2 W2 D"] | UInt16[np.ndarray, "H2 W2 D"]
"""What becomes of one, with as many bits."""


@dataclass(frozen=True)
class Tiling:
    """How pictures are taken apart.

    Attributes:
        side: Side of a tile, pixels; 0 for no tiles.
        overlap: Pixels that neighbours share at least; at most half a tile.
        batch: Pictures or tiles that pass through the network at once; 0 for as many as memory suggests.
        scale: By how much the network enlarges. All other lengths are those of pictures before that.
    """

    side: int
    overlap: int
    batch: int = 0
    scale: int = 1

    @classmethod
    def fitting(cls, tile: int | None, overlap: int | None, batch: int | None, multiple: int, scale: int = 1) -> Tiling:
        """What a user asked for, as the network can do it: a tile is rounded down to a multiple.

        Args:
            tile: Side of a tile, pixels; 0 for no tiles; None for `TILE`, or what becomes `ENLARGED_TILE`.
            overlap: Pixels; None for an eighth of a tile, or `ENLARGED_OVERLAP`.
            batch: At once; None for as many as memory suggests.
            multiple: What sides of pictures are multiples of inside the network.
            scale: By how much it enlarges.

        Raises:
            UserError: It cannot be done so.
        """
        if batch is not None and batch < 1:
            raise UserError(f"--batch {batch}: at least 1 picture passes through the network at once")
        if tile is None:
            tile = max(multiple, TILE if scale == 1 else ENLARGED_TILE // scale)
        if tile == 0:
            return cls(0, 0, batch or 0, scale)
        if tile < multiple:
            raise UserError(
                f"--tile {tile} is too small: this network takes multiples of {multiple} pixels; give {multiple} or "
                "more, or 0 for no tiles"
            )
        side = tile // multiple * multiple
        if overlap is None:
            overlap = side // 8 if scale == 1 else min(ENLARGED_OVERLAP, side // 2)
        if not 0 <= overlap <= side // 2:
            raise UserError(
                f"--overlap {overlap} does not fit into tiles of {side} pixels: it is from 0 to {side // 2}"
            )
        return cls(side, overlap, batch or 0, scale)

    @property
    def spoilt(self) -> int:
        """Pixels at an end of a tile, before enlarging, that count nothing where another tile has them too."""
        return 0 if self.scale == 1 else SPOILT * self.overlap // 8

    def whole(self, height: int, width: int) -> bool:
        """Whether a picture passes through the network in one piece."""
        return not self.side or max(height, width) <= self.side

    def at_once(self, height: int, width: int, device: torch.device) -> int:
        """How many pictures or tiles of this size pass through the network together."""
        if self.batch:
            return self.batch
        return max(1, min(MOST, AT_ONCE.get(device.type, AT_ONCE["cpu"]) // (self.scale**2 * height * width)))

    def side_for(self, length: int) -> int:
        """Side of the tiles along one side of a picture, pixels: of networks that enlarge no larger than it must be."""
        if self.scale == 1 or length <= self.side:
            return min(self.side, length)
        count = -(-(length - self.overlap) // (self.side - self.overlap))
        return -(-(length + (count - 1) * self.overlap) // count)


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


def weights(
    length: int, side: int, overlap: int, begins: Sequence[int], spoilt: int = 0
) -> Float[Tensor, "tiles side"]:
    """What each tile counts at each of its pixels along one side of a picture; over all tiles the sum is 1 everywhere.

    Args:
        length: Of the picture, pixels, at least `side`.
        side: Of a tile, pixels.
        overlap: Pixels over which a tile's weight rises and falls, but not at the ends of the picture.
        begins: Where the tiles begin.
        spoilt: Pixels of the overlap, at each of its ends, at which one tile counts nothing and the other everything.
    """
    along = (torch.arange(overlap) + 0.5 - spoilt) / max(1, overlap - 2 * spoilt)
    rise = torch.sin(along.clamp(0, 1) * (math.pi / 2)).square()
    found = torch.ones(len(begins), side, dtype=torch.float64)
    total = torch.zeros(length, dtype=torch.float64)
    for weight, begin in zip(found, begins, strict=True):
        if begin > 0:
            weight[:overlap] *= rise
        if begin + side < length:
            weight[side - overlap :] *= rise.flip(0)
        total[begin : begin + side] += weight
    return torch.stack([w / total[b : b + side] for w, b in zip(found, begins, strict=True)]).float()


def translate_whole(translator: Translator, pictures: Sequence[Pixels], seeds: Sequence[int]) -> list[Drawn]:
    """Pictures of one size and kind, each in one piece and all at once."""
    found = translator(_given(np.stack(pictures), translator.inputs), seeds)
    return list(_stored(translator, found, pictures[0]))


def translate_tiled(
    translator: Translator,
    picture: Pixels,
    seed: int,
    tiling: Tiling,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Drawn:
    """One picture in tiles, all with the same seed.

    Args:
        translator: The network.
        picture: Any size; a side shorter than a tile is taken whole.
        seed: Its seed.
        tiling: How it is taken apart; `side` is not 0.
        progress: Called with the number of tiles done and of all.
    """
    height, width, _ = picture.shape
    scale = translator.scale
    tall, wide = translator.padded(height), translator.padded(width)
    high, broad = (translator.padded(tiling.side_for(length)) for length in (tall, wide))
    tops, lefts = (
        starts(length, side, tiling.overlap, translator.multiple) for length, side in ((tall, high), (wide, broad))
    )
    overlap, spoilt = scale * tiling.overlap, scale * tiling.spoilt
    down, across = (
        weights(scale * length, scale * side, overlap, [scale * begin for begin in begins], spoilt)
        for length, side, begins in ((tall, high, tops), (wide, broad, lefts))
    )
    rows, columns = mirrored(height, tall).numpy(), mirrored(width, wide).numpy()
    # From here on lengths are those of what comes out, but where a tile is cut.
    edge, side = scale * ((tall - height) // 2), scale * ((wide - width) // 2)
    result: Drawn | None = None
    # With channels last in memory, as what networks give and what files hold.
    band = torch.zeros(scale * high, scale * wide, translator.outputs).permute(2, 0, 1)
    count = tiling.at_once(high, broad, translator.device)
    done = 0
    for number, top in enumerate(tops):
        lines = rows[top : top + high]
        for group in _chunks(list(zip(lefts, across, strict=True)), count):
            cut = np.stack([picture[lines[:, None], columns[left : left + broad]] for left, _ in group])
            found = translator(_given(cut, translator.inputs), [seed] * len(group))
            for tile, (left, weight) in zip(found, group, strict=True):
                _add(band[:, :, scale * left : scale * (left + broad)], tile, down[number], weight)
            done += len(group)
            progress(done, len(tops) * len(lefts))
        # The rows that no tile further down reaches are done: those that are no padding go into the result.
        begin = scale * top
        ready = scale * (tops[number + 1] if number + 1 < len(tops) else tall) - begin
        first, last = max(begin, edge), min(begin + ready, edge + scale * height)
        for row in range(first, last, ROWS):
            below = min(row + ROWS, last)
            drawn = band[None, :, row - begin : below - begin, side : side + scale * width]
            finished = _stored(translator, drawn, picture)[0]
            if result is None:
                result = np.empty((scale * height, scale * width, finished.shape[2]), finished.dtype)
            result[row - edge : below - edge] = finished
        rest = band[:, ready:].clone()
        band.zero_()[:, : rest.shape[1]] = rest
    assert result is not None
    return result


def _add(
    band: Float[Tensor, "C h w"], tile: Float[Tensor, "C h w"], down: Float[Tensor, " h"], across: Float[Tensor, " w"]
) -> None:
    """Adds a tile by its weights; most are 1, and there is nothing to multiply by."""
    for rows, columns in itertools.product(_runs(down), _runs(across)):
        part = (slice(None), rows, columns)
        if (down[rows] == 1).all() and (across[columns] == 1).all():
            band[part].add_(tile[part])
        else:
            band[part].addcmul_(tile[part], down[rows][:, None] * across[columns])


def _runs(weight: Float[Tensor, " side"]) -> list[slice]:
    """What lies before the first weight of 1, from there to the last one, and after it."""
    ones = (weight == 1).nonzero()
    first, last = (int(ones[0]), int(ones[-1]) + 1) if len(ones) else (0, 0)
    return [slice(0, first), slice(first, last), slice(last, len(weight))]


def _given(pixels: UInt8[np.ndarray, "B H W C"] | UInt16[np.ndarray, "B H W C"], channels: int) -> Tensor:
    """Pixels as the network takes them: (B, channels, H, W) in [-1, 1]."""
    if pixels.dtype == np.uint16:
        values = torch.from_numpy(pixels.astype(np.float32)).div_(32767.5).sub_(1).permute(0, 3, 1, 2)
    else:
        values = to_float(torch.from_numpy(pixels))
    return values if values.shape[1] == channels else values.expand(-1, channels, -1, -1)


def _stored(
    translator: Translator, images: Float[Tensor, "B C H W"], like: np.ndarray
) -> UInt8[np.ndarray, "B H W D"] | UInt16[np.ndarray, "B H W D"]:
    """What came out as pixels, with as many bits as the picture had; gray if it was so although the network is not."""
    if like.shape[2] < translator.inputs:
        images = torch.einsum("bchw,c->bhw", images, images.new_tensor(LUMA))[:, None]
    if like.dtype == np.uint16:
        return _levels(images, 65535).numpy().astype(np.uint16)
    return _levels(images, 255).to(torch.uint8).numpy()


def _levels(images: Float[Tensor, "B C H W"], most: int) -> Float[Tensor, "B H W C"]:
    """Pictures in [-1, 1] as levels from 0 to `most`, in one piece of memory."""
    return images.clamp(-1, 1).add_(1).mul_(most / 2).round_().permute(0, 2, 3, 1).contiguous()


def _chunks(of: list[tuple[int, Tensor]], count: int) -> Iterator[list[tuple[int, Tensor]]]:
    for start in range(0, len(of), count):
        yield of[start : start + count]
