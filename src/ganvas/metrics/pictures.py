"""Which pictures a score is computed from, and their features: the same however the work is shared.

Pictures are taken in chunks of a fixed length. Chunk i goes to process i modulo their number, so that every
picture passes through the networks beside the same others, however many processes there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ganvas.data import Prepared, Sides
from ganvas.data.decode import to_square
from ganvas.data.reduced import Reduced
from ganvas.data.resizing import as_stored, reduce
from ganvas.data.sampler import Drawn, to_float
from ganvas.engine.distributed import Ranks
from ganvas.engine.seeding import seed_for
from ganvas.engine.system import Batch, System
from ganvas.errors import UserError
from ganvas.metrics.extract import extract
from ganvas.metrics.networks import FeatureNetwork, Features
from ganvas.viz.grids import to_bytes

if TYPE_CHECKING:
    from ganvas.data.described import Described

CHUNK = 32
"""Pictures that pass through a generator together."""

Pictures = Callable[[Sequence[int]], UInt8[Tensor, "B H W C"]]
"""Gives the pictures with these numbers, counted from 0."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Choice:
    """Pictures of prepared data, drawn without replacement by a seed alone.

    Attributes:
        data: The pictures there are.
        rows: Which of them, in the order drawn.
        size: Side in pixels. Larger pictures, prepared so to be cut at random in training, are cut in the middle.
        sources: Of data with two sides, pictures of the other side, which are translated into this one.
        paired: Whether source i belongs to picture i.
        scale: How many times as high and wide as its source a picture is. Where there are no `sources` they are then
            the small versions of the pictures.
        described: Of data with captions, boxes or keypoints that samples are drawn from, that data.
        places: Where in it the pictures are.
        pictured: What of the data samples are like, if not its pictures; see `System.pictured`.
    """

    data: Prepared
    rows: NDArray[np.int64]
    size: int
    sources: Choice | None = None
    paired: bool = False
    scale: int = 1
    described: Described | None = None
    places: NDArray[np.int64] | None = None
    pictured: Callable[[Batch], Tensor] | None = None

    @classmethod
    def draw(cls, data: Prepared, n: int | None, seed: int, size: int) -> Choice:
        """Draws `n` pictures; all of them, where that is None or there are no more."""
        random = np.random.default_rng(seed_for("scored pictures", seed))
        return cls(data, random.permutation(len(data))[:n], size)

    @classmethod
    def of_sides(cls, sides: Sides, n: int | None, seed: int, size: int, direction: str = "AtoB") -> Choice:
        """Draws `n` pictures of the side that is translated into, with the sources of the same pairs.

        Without pairs the sources are all those of the other side, drawn independently.

        Args:
            sides: Data of pictures.
            n: As in `draw`.
            seed: As in `draw`.
            size: As in `draw`.
            direction: `AtoB` into the `image` side, `BtoA` into the `source` side.

        Raises:
            UserError: The sides are not pictures, but points.
        """
        parts = [(sides.source, sides.source_rows), (sides.target, sides.target_rows)]
        (first, sources), (second, targets) = parts if direction == "AtoB" else parts[::-1]
        if not (isinstance(first, Prepared) and isinstance(second, Prepared)):
            raise UserError(f"{sides.name} makes points without end, not pictures, and scores compare pictures")
        order, others = (
            np.random.default_rng(seed_for(use, seed)).permutation(len(rows))
            for use, rows in (("scored pictures", targets), ("translated pictures", sources))
        )
        order = order[:n]
        given = cls(first, sources[order if sides.paired else others], size // sides.scale)
        return cls(second, targets[order], size, given, sides.paired, sides.scale)

    @classmethod
    def of_photos(cls, photos: Reduced, n: int | None, seed: int, size: int) -> Choice:
        """Draws `n` photos, as `draw` does, with their small versions as sources."""
        return replace(cls.draw(photos.photos, n, seed, size), paired=True, scale=photos.scale)

    @classmethod
    def of_described(cls, data: Described, n: int | None, seed: int, size: int) -> Choice:
        """Draws `n` of the usable pictures, as `draw` does, with what is known about them."""
        random = np.random.default_rng(seed_for("scored pictures", seed))
        places = random.permutation(len(data))[:n]
        return cls(data.pictures, np.asarray(data.rows)[places], size, described=data, places=places)

    def like(self, system: System) -> Choice:
        """Of described data, what samples of this system are like, where these are not like its pictures."""
        if self.described is None or type(system).pictured is System.pictured:
            return self
        return replace(self, pictured=system.pictured)

    def __len__(self) -> int:
        return len(self.rows)

    def __call__(self, numbers: Sequence[int]) -> UInt8[Tensor, "B H W C"]:
        """The pictures with these numbers."""
        # So that the middle of a source, whose sides may be odd, is the same part of it.
        start = (self.data.images.shape[1] - self.size) // 2 // self.scale * self.scale
        middle = slice(start, start + self.size)
        if self.pictured is not None:
            return torch.from_numpy(to_bytes(self.pictured(self.conditions(numbers))))
        if self.described is not None and self.places is not None:
            whole, places = self.data.images, self.places[list(numbers)]
            corners = np.full(len(places), (whole.shape[1] - self.size) // 2)
            # The same squares that the boxes and keypoints of `conditions` are places in.
            square = self.described.with_boxes(places, Drawn(np.zeros(len(places), bool), corners, corners), self.size)
            cut = [
                whole[row, top : top + self.size, left : left + self.size]
                for row, top, left in zip(self.rows[list(numbers)], square.top, square.left, strict=True)
            ]
            return torch.from_numpy(np.stack(cut))
        return torch.from_numpy(np.ascontiguousarray(self.data.images[self.rows[list(numbers)]][:, middle, middle]))

    @property
    def keys(self) -> frozenset[str]:
        """Of described data, what is known about the pictures that samples are drawn from."""
        return frozenset() if self.described is None else self.described.keys() - {"image"}

    def drawn_from(self) -> dict[str, Any]:
        """What a protocol says about the conditions of samples, beside classes and sources."""
        if self.described is None:
            return {}
        encoder = {"encoder": self.described.encoder} if self.described.encoder else {}
        return {"drawn_from": sorted(self.keys), **encoder}

    def conditions(self, numbers: Sequence[int]) -> Batch:
        """What is known about these pictures, to draw samples of the same; numbers past the last start again."""
        if self.sources is not None:
            return {"source": to_float(self.sources([number % len(self.sources) for number in numbers]))}
        if self.scale > 1:
            photos = to_float(self([number % len(self) for number in numbers]))
            return {"source": as_stored(reduce(photos, self.scale))}
        if self.described is not None and self.places is not None:
            return self.described.conditions(self.places[np.array(numbers) % len(self)])
        if self.data.labels is None:
            return {}
        return {"label": torch.from_numpy(self.data.labels[self.rows[np.array(numbers) % len(self)]])}


def check_channels(real: Choice) -> None:
    """Makes sure that feature networks can see the pictures.

    Raises:
        UserError: If they are neither gray nor RGB.
    """
    channels = real.data.images.shape[3]
    if channels not in (1, 3):
        raise UserError(
            f"scores compare gray or RGB pictures, and those of {real.data.source} have {channels} channels"
        )


def drawn(
    system: System,
    conditions: Callable[[Sequence[int]], Batch],
    seed: int,
    truncation: float | None,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    direction: str = "AtoB",
    size: int | None = None,
) -> Pictures:
    """Samples of a system, as 8-bit pictures: picture i depends on `seed` + i and its conditions alone.

    Args:
        system: Ready to sample.
        conditions: Tensors to condition on, for pictures of given numbers.
        seed: Of the first picture.
        truncation: See `System.sample`.
        autocast: Makes the context that the system computes in; feature networks choose their own.
        direction: Of a system that translates, which way.
        size: Side that samples of another one are brought to, in pixels, as pictures of data are.
    """
    device = next(system.parameters()).device

    def pictures(numbers: Sequence[int]) -> UInt8[Tensor, "B H W C"]:
        given = {name: value.to(device) for name, value in conditions(numbers).items()}
        seeds = [seed + number for number in numbers]
        with torch.no_grad(), autocast():
            if direction == "AtoB":
                images = system.sample(seeds, given, truncation)
            else:
                images = system.translate(given["source"], seeds, direction)
        if not torch.isfinite(images).all():
            raise UserError("samples hold numbers that are not finite: this run has diverged and cannot be scored")
        return torch.from_numpy(to_bytes(images) if size is None else to_side(to_bytes(images), size))

    return pictures


def to_side(pictures: UInt8[np.ndarray, "N H W C"], side: int) -> UInt8[np.ndarray, "N side side C"]:
    """Gray or RGB pictures resized as those of data are, by antialiased Lanczos; those of this side as they are."""
    if pictures.shape[1:3] == (side, side):
        return pictures
    channels = pictures.shape[3]
    images = [Image.fromarray(of[:, :, 0] if channels == 1 else of) for of in pictures]
    return np.stack([to_square(image, side, channels, "stretch", (0, 0, 0)) for image in images])


def features_of(
    network: FeatureNetwork,
    pictures: Pictures,
    n: int,
    ranks: Ranks,
    progress: Callable[[int], None] = lambda done: None,
) -> Features:
    """Features of pictures 0 to n - 1, extracted by all processes together.

    Args:
        network: What extracts them.
        pictures: Gives them.
        n: How many.
        ranks: This process among the others; all get all the features.
        progress: Called with the number of pictures that this process is past.

    Raises:
        UserError: If samples or features are not finite, in any process; then in all.
    """
    chunks, mine = shares(n, ranks)
    parts = gathered(lambda: extract(network, (pictures(chunk) for chunk in mine), progress=progress), ranks)
    rows = torch.tensor([row for rank in range(ranks.world) for chunk in chunks[rank :: ranks.world] for row in chunk])
    order = torch.argsort(rows)
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    return Features(
        torch.cat([part.vectors for part in parts])[order],
        torch.cat(probabilities)[order] if probabilities else None,
    )


def of_chunks(work: Callable[[range], Result], n: int, ranks: Ranks) -> list[Result]:
    """What `work` gives for each chunk of pictures 0 to n - 1, in order, done by all processes together.

    Raises:
        UserError: If `work` raises one, in any process; then in all.
    """
    chunks, mine = shares(n, ranks)
    parts = gathered(lambda: [work(chunk) for chunk in mine], ranks)
    return [parts[i % ranks.world][i // ranks.world] for i in range(len(chunks))]


def shares(n: int, ranks: Ranks) -> tuple[list[range], list[range]]:
    """All chunks of pictures 0 to n - 1, and those that are this process's."""
    chunks = [range(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
    return chunks, chunks[ranks.rank :: ranks.world]


def gathered(work: Callable[[], Result], ranks: Ranks) -> list[Result]:
    """What `work` gives in every process; all get all.

    Raises:
        UserError: If it raises one, in any process; then in all, for the others wait for this process's part.
    """
    own: Result | UserError
    try:
        own = work()
    except UserError as error:
        own = error
    parts: list[Result] = []
    for part in ranks.gather(own):
        if isinstance(part, UserError):
            raise part
        parts.append(part)
    return parts
