"""Fair samples beside the training pictures nearest to them, and numbers that say whether samples are copies.

The layout is that of Goodfellow et al. 2014 (arXiv 1406.2661, fig. 2): samples are the first that come, not chosen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from ganvas.data import DataOptions
from ganvas.engine.distributed import Ranks
from ganvas.errors import UserError
from ganvas.inspect.sheet import Row, draw_sheet
from ganvas.inspect.subject import Drawn, Subject
from ganvas.metrics.evaluate import reference_features
from ganvas.metrics.neighbours import nearest
from ganvas.metrics.pictures import Choice
from ganvas.viz.grids import to_bytes

ROWS, COLUMNS = 4, 5
VALUES = 2**27
"""Of all training pictures together, channels times pixels, that samples are compared with; it bounds the time."""
BLOCK = 2**24
"""Of them, as many are converted to float64 at a time."""
WITH_FEATURES = 1000
"""Training pictures whose features are taken; each costs a pass through the network, and is then kept in the cache."""


@dataclass(frozen=True)
class Nearness:
    """How near samples are to training pictures, beside how near training pictures are to each other.

    Attributes:
        samples: Samples that were measured.
        pictures: Training pictures that they were compared with.
        median: Median distance of a sample to the nearest training picture, root mean square of 8-bit values.
        median_ratio: `median` over the median distance of a training picture to the nearest other one. Below 1 samples
            are nearer than is usual. NaN where most training pictures have a twin.
        copies: Share of samples that are a training picture, value for value.
    """

    samples: int
    pictures: int
    median: float
    median_ratio: float
    copies: float


def nearness(
    samples: UInt8[Tensor, "M H W C"], train: UInt8[Tensor, "N H W C"], *, mirrored: bool = False, most: int = 128
) -> Nearness:
    """Compares samples with training pictures, pixel by pixel.

    Args:
        samples: One or more.
        train: Two or more, of the same shape.
        mirrored: Whether training showed each picture mirrored, too: then the nearer of the two counts, on both sides.
        most: Training pictures that are compared with all others, leaving themselves out.

    Raises:
        UserError: There are too few, or shapes differ.
    """
    if not len(samples) or len(train) < 2 or samples.shape[1:] != train.shape[1:]:
        raise UserError("nearness is measured of samples to two or more training pictures of the same size")
    distances, _ = nearest_pictures(samples, train, mirrored=mirrored)
    own = torch.linspace(0, len(train) - 1, min(most, len(train))).long()
    usual, _ = nearest_pictures(train[own], train, mirrored=mirrored, own=own)
    unit = samples[0].numel() ** 0.5
    median, among = distances.median() / unit, usual.median() / unit
    return Nearness(
        len(samples),
        len(train),
        float(median),
        float(median / among) if among else float("nan"),
        float((distances == 0).double().mean()),
    )


def nearest_pictures(
    queries: UInt8[Tensor, "M H W C"],
    train: UInt8[Tensor, "N H W C"],
    *,
    mirrored: bool = False,
    own: Int64[Tensor, " M"] | None = None,
) -> tuple[Float[Tensor, " M"], Int64[Tensor, " M"]]:
    """For each picture the training picture with the smallest squared Euclidean distance of 8-bit values.

    Args:
        queries: The pictures.
        train: Those to find it among.
        mirrored: Whether left and right may be exchanged.
        own: Where each query is itself in `train`: it is no neighbour of its own, nor is its mirror image.

    Returns:
        Distances (the root of the squared ones, float64, 0 for equal pictures), and places in `train`.
    """
    ways = [queries, queries.flip(2)] if mirrored else [queries]
    asked = torch.cat([way.flatten(1) for way in ways]).double()
    there = None if own is None else own.repeat(len(ways))
    values = train[0].numel()
    best = torch.full((len(asked),), torch.inf, dtype=torch.float64)
    place = torch.zeros(len(asked), dtype=torch.int64)
    block = max(2, BLOCK // values)
    for start in range(0, len(train), block):
        part = train[start : start + block].flatten(1).double()
        wanted = 1 if there is None else min(2, len(part))
        found, rows = nearest(asked, part, wanted, block=max(1, 2**21 // values))
        rows = rows + start
        if there is not None:
            found = found.masked_fill(rows == there[:, None], torch.inf)
        first = found.argmin(1, keepdim=True)
        distances, rows = found.gather(1, first)[:, 0], rows.gather(1, first)[:, 0]
        better = distances < best
        best, place = torch.where(better, distances, best), torch.where(better, rows, place)
    best, way = best.reshape(len(ways), -1).min(0)
    return best, place.reshape(len(ways), -1).gather(0, way[None])[0]


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws rows of samples, each with the training pictures nearest to its last one.

    Raises:
        NotMade: There is no data or no checkpoint.
    """
    seeds = range(subject.seed, subject.seed + ROWS * COLUMNS)
    samples = subject.draw(subject.system, seeds, subject.labels(seeds))
    options, channels = subject.run.settings.chosen.data, samples.shape[1]
    size = subject.run.config.size
    chosen = Choice.draw(subject.prepared, VALUES // (channels * size**2), 0, size)
    train = chosen(range(len(chosen)))
    last = samples[COLUMNS - 1 :: COLUMNS]
    _, by_pixels = nearest_pictures(_bytes(last), train, mirrored=options.flip)
    found = nearness(_bytes(subject.fake["image"]), train, mirrored=options.flip)
    columns = [samples.reshape(ROWS, COLUMNS, *samples.shape[1:]), _floats(train[by_pixels])[:, None]]
    headings = ["sample", *[""] * (COLUMNS - 1), "nearest: pixels"]
    by_features = _by_features(subject, last, options)
    if by_features is not None:
        columns.append(_floats(by_features)[:, None])
        headings.append("nearest: features")
    rows = [
        Row(f"seeds {seeds[i * COLUMNS]}\nto {seeds[i * COLUMNS + COLUMNS - 1]}", row)
        for i, row in enumerate(torch.cat(columns, 1))
    ]
    title = f"{subject.name}, step {subject.run.step}: the nearest training pictures"
    draw_sheet(path, title, rows, headings, subject.texts)
    return Drawn(
        _caption(subject, found, len(chosen)),
        subject.no_network and f"no column of features: {subject.no_network}",
        asdict(found),
    )


def _by_features(subject: Subject, samples: Tensor, options: DataOptions) -> UInt8[Tensor, "M H W C"] | None:
    """The training pictures nearest in features, among some; None without a feature network."""
    if subject.network is None:
        return None
    chosen = Choice.draw(subject.prepared, WITH_FEATURES, 0, subject.run.config.size)
    features = reference_features(subject.network, chosen, 0, options, Ranks())
    _, rows = nearest(subject.features(samples), features.vectors)
    return chosen(rows[:, 0].tolist())


def _caption(subject: Subject, found: Nearness, pictures: int) -> str:
    total = len(subject.prepared)
    among = (
        f"all {total:,} pictures" if pictures == total else f"{pictures:,} of the {total:,} pictures, chosen at random,"
    )
    changed = " It has changed since the run was trained." if subject.is_other_data else ""
    caption = (
        "Samples of seeds in order, none chosen; beside each row, the picture of the data nearest to its last sample "
        f"in squared Euclidean distance of pixels, among {among} of the data.{changed}"
    )
    if subject.run.settings.chosen.data.flip:
        caption += " Pictures were mirrored in training, so the nearer of the two ways round counts."
    if subject.network is not None:
        few = min(WITH_FEATURES, total)
        caption += f" In the last column, the one nearest in features of {subject.network.name}, among {few:,} of them."
    ratio = "undefined" if found.median_ratio != found.median_ratio else f"{found.median_ratio:.2f}"
    return (
        f"{caption} The median distance of {found.samples} samples to the nearest picture is {ratio} times that of a "
        f"picture of the data to the nearest other one; {found.copies:.1%} of the samples are exact copies."
    )


def _bytes(images: Float[Tensor, "B C H W"]) -> UInt8[Tensor, "B H W C"]:
    return torch.from_numpy(to_bytes(images))


def _floats(images: UInt8[Tensor, "B H W C"]) -> Float[Tensor, "B C H W"]:
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1
