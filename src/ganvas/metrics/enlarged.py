"""The scores of `--metrics super-resolution`: photos beside what they were enlarged to, one at a time, whole.

A run's enlargements are scored beside those of bicubic and of nearest-neighbour interpolation, of the same small
versions by the same rules. Everything is computed from pixels of 8 bits, as a file holds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data import DataOptions
from ganvas.data.source import Problem, Progress, Unusable
from ganvas.engine.distributed import Ranks
from ganvas.engine.seeding import seed_for
from ganvas.errors import UserError
from ganvas.metrics.interval import bootstrap
from ganvas.metrics.perceptual import Distance
from ganvas.metrics.photos import (
    AT_ANY_SIZE,
    CUT,
    SMALL,
    Photos,
    Pixels,
    cut_to_multiple,
    enlarged,
    enlarger,
    open_photos,
    refuse_too_small,
    scale_of,
    small_version,
)
from ganvas.metrics.pictures import gathered, of_chunks
from ganvas.metrics.score import Found, Score, Sets
from ganvas.metrics.translated import DTYPE, ends, ratio
from ganvas.metrics.translation import MOST_PSNR, WINDOW, feature_distance, laplacian_variance, psnr, sharpness, ssim
from ganvas.run import Run

SUPER_RESOLUTION = "super-resolution"
"""What these scores are asked for by."""
ALONE = ("sharpness", "laplacian_variance")
"""What is measured on a picture alone."""
ENLARGED = frozenset({"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "psnr_gray", "ssim_gray", "laplacian_variance"})
"""Scores that no feature network has a part in, beside those of `ganvas.metrics.translated`."""

RESULT = "result"
"""What is scored, beside the methods that it is compared with."""
REFERENCES: tuple[Literal["bicubic", "nearest"], ...] = ("bicubic", "nearest")
"""Enlargements without a network; their scores are named after them: `bicubic_psnr_y`."""

FOLDERS_BORDER = 4
"""Pixels cut off at each edge of pictures of two folders, whose scale nobody says: the paper's, which enlarges by 4."""
LEAST = 16
"""Pixels a side that the deepest layers of VGG need."""
MOST_MISSING = 7
"""Pixels that an enlargement may lack of its photo at the right and the bottom: what is over of a multiple of 8."""

Row = dict[str, Any]
"""What is measured on a photo: its `name`, `width`, `height` and `sha256`, and numbers under `truth` and methods."""


@dataclass(frozen=True)
class Enlargements:
    """Photos beside enlargements.

    Attributes:
        scores: Means over photos, by name; those of methods to compare with begin with their names.
        rows: Each photo's own numbers, in the order of the data.
        problems: Photos that are left out, and why.
        there: How many there are.
    """

    scores: dict[str, Score]
    rows: list[Row]
    problems: list[Problem]
    there: int


@dataclass(frozen=True)
class Scoring:
    """How photos are scored.

    Attributes:
        run: Whose enlargements; None where they are in a folder.
        subject: Run or folder, in words for a protocol, JSON types.
        data: The photos, or small versions and photos, as the user names them; the results are in a folder: that.
        options: How they are read.
        border: Pixels cut off at each edge for PSNR and SSIM; None for the scale.
        n: How many of them; None for all.
        seed: Of which these are, and of the first enlargement.
        distances: By networks.
    """

    run: Run | None
    subject: dict[str, Any]
    data: str
    options: DataOptions
    border: int | None
    n: int | None
    seed: int
    distances: Sequence[Distance]

    @property
    def scale(self) -> int | None:
        """Of the run's enlargements."""
        return None if self.run is None else scale_of(self.run)

    @property
    def cut(self) -> int:
        """Pixels cut off at each edge."""
        return (self.scale or FOLDERS_BORDER) if self.border is None else self.border

    def __call__(self, ranks: Ranks, report: Progress) -> Enlargements:
        """Scores them, all processes together.

        Args:
            ranks: This process among the others.
            report: Told of progress.

        Raises:
            UserError: No photo can be scored, or the run's numbers are not finite.
        """
        spec = self.data if self.run else f"{self.subject['source']}::{self.data}"
        with open_photos(spec, self.options) as photos:
            order = np.random.default_rng(seed_for("scored photos", self.seed)).permutation(len(photos))
            numbers = sorted(order[: self.n].tolist())
            mine = numbers[ranks.rank :: ranks.world]

            def work() -> list[Row | Problem]:
                found = []
                for done, number in enumerate(mine, 1):
                    found.append(self.measured(photos, number))
                    report("photos", done, len(mine))
                return found

            parts = gathered(work, ranks)
        found = [parts[place % ranks.world][place // ranks.world] for place in range(len(numbers))]
        rows = [row for row in found if not isinstance(row, Problem)]
        problems = [*photos.problems, *(row for row in found if isinstance(row, Problem))]
        if not rows:
            raise UserError(f"no picture of {photos.name} can be scored; the first: {problems[0]}")
        small = None
        if self.scale is not None:
            small = "given" if photos.items[0][0] else SMALL.format(scale=self.scale)
        return Enlargements(self.scores(rows, small, len(photos)), rows, problems, len(photos))

    def measured(self, photos: Photos, number: int) -> Row | Problem:
        """The numbers of one photo, or why there are none."""
        name = photos.items[number][1].name
        try:
            channels = 3 if self.run is None else self.run.config.channels
            partner, truth = photos.read(number, channels, self.run.config.size if self.run else AT_ANY_SIZE)
            truth, results = self.enlargements(partner, truth, self.seed + number)
        except Unusable as error:
            return Problem(name, str(error))
        height, width, _ = truth.shape
        digest = hashlib.sha256(truth.tobytes()).hexdigest()
        row: Row = {"name": name, "width": width, "height": height, "sha256": digest}
        photo, *tensors = (torch.from_numpy(np.ascontiguousarray(of)) for of in (truth, *results.values()))
        theirs = _floats(photo[None])
        row["truth"] = _numbers(seen(theirs))
        for method, of in zip(results, tensors, strict=True):
            row[method] = _numbers(beside(_floats(of[None]), theirs, self.cut))
        for distance in self.distances:
            for method, value in zip(results, distance(photo, tensors), strict=True):
                row[method][distance.name] = value
        return row

    def enlargements(self, partner: Pixels | None, truth: Pixels, seed: int) -> tuple[Pixels, dict[str, Pixels]]:
        """A photo as it is compared, and what it is compared with.

        Raises:
            Unusable: The two pictures do not go together, or are too small.
        """
        least = max(LEAST, WINDOW + 2 * self.cut)
        if self.run is None:
            assert partner is not None
            (height, width, _), (tall, wide, _) = partner.shape, truth.shape
            if not (0 <= tall - height <= MOST_MISSING and 0 <= wide - width <= MOST_MISSING):
                raise Unusable(
                    f"{wide}x{tall} pixels, and its partner in {self.subject['source']} has {width}x{height}"
                )
            truth = truth[:height, :width]
            refuse_too_small(truth, least)
            return truth, {RESULT: partner}
        scale = scale_of(self.run)
        if partner is None:
            truth = cut_to_multiple(truth, scale)
            refuse_too_small(truth, least)
            partner = small_version(truth, scale)
        (height, width, _), (tall, wide, _) = partner.shape, truth.shape
        if (tall, wide) != (scale * height, scale * width):
            raise Unusable(f"{wide}x{tall} pixels are not {scale} times the {width}x{height} of its small version")
        refuse_too_small(truth, least)
        results = {RESULT: enlarger(self.run)(partner, seed)}
        return truth, results | {method: enlarged(partner, scale, method) for method in REFERENCES}

    def scores(self, rows: Sequence[Row], small: str | None, there: int) -> dict[str, Score]:
        """Means over photos, with what it takes to compute them again."""
        digest = hashlib.sha256("".join(f"{row['name']}\n{row['sha256']}\n" for row in rows).encode()).hexdigest()
        pictures: dict[str, Any] = {"size": "each photo's own", "channels": 3 if "psnr_y" in rows[0][RESULT] else 1}
        if small is None:
            pictures |= {"cut": f"to the enlargement, at most {MOST_MISSING} pixels at the right and the bottom"}
        elif small == "given":
            pictures |= {"scale": self.scale, "small": small}
        else:
            pictures |= {"scale": self.scale, "cut": CUT.format(scale=self.scale), "small": small}
        common = {
            "samples": {"n": len(rows), **self.subject},
            "reference": {"n": len(rows), "of": there, "source": self.data, "hash": digest},
            "pictures": pictures,
        }
        told = protocols(self.cut) | {distance.name: distance.protocol for distance in self.distances}
        scores = {}
        for method in (RESULT, *REFERENCES):
            if method not in rows[0]:
                continue
            more = {} if method == RESULT else {"method": method}
            for name, about in told.items():
                if (score := _mean(rows, method, name, {**more, **common, **about})) is not None:
                    scores[name if method == RESULT else f"{method}_{name}"] = score
        return scores


def refuse_other(
    run: Run | None, n: int | None, size: int | None, reference: int | None, truncation: float | None, direction: str
) -> None:
    """Makes sure that nothing is asked of `super-resolution` that it does not do.

    Raises:
        UserError: Something is.
    """
    if run is not None and scale_of(run) == 1:
        raise UserError(f"{run.path} enlarges nothing: super-resolution is for runs that do, and for two folders")
    if n is not None and n < 1:
        raise UserError(f"--n {n} is too few: at least 1 picture is scored")
    if size is not None or reference is not None:
        raise UserError(
            "super-resolution takes each photo at its own size beside itself: leave out --size, --reference"
        )
    if truncation is not None or direction != "AtoB":
        raise UserError("super-resolution draws nothing and has one direction: leave out --truncation, --direction")


def super_resolution(sets: Sets) -> Found:
    """The scores of pixels and the distance of features where all pictures have one size, as while training.

    The border that is cut off is the scale.

    Raises:
        UserError: Pictures are not enlarged from small versions of the others.
    """
    real = sets.real_pictures
    if real.scale == 1 or not real.paired:
        raise UserError("super-resolution is scored where pictures are enlarged, and these are not")
    n = min(len(sets.fake), len(real))

    def compared(numbers: range) -> dict[str, Tensor]:
        ours, theirs = (_floats(of(numbers)) for of in (sets.fake_pictures, real))
        return beside(ours, theirs, real.scale) | {f"true {name}": value for name, value in seen(theirs).items()}

    parts = of_chunks(compared, n, sets.ranks)
    found = {name: torch.cat([part[name] for part in parts]).tolist() for name in parts[0]}
    found["feature_distance"] = feature_distance(sets.fake.vectors[:n], sets.real.vectors[:n]).tolist()
    rows: list[Row] = []
    for values in zip(*found.values(), strict=True):
        own = dict(zip(found, values, strict=True))
        rows.append({RESULT: own, "truth": {name: own[f"true {name}"] for name in ALONE}})
    scores = {}
    features = {"features": sets.network.protocol, "estimator": "1 - cosine of the features"}
    for name, about in (protocols(real.scale) | {"feature_distance": features}).items():
        if (score := _mean(rows, RESULT, name, {**sets.protocol, "scale": real.scale, **about})) is not None:
            scores[name] = score
    return scores, []


def beside(
    ours: Float64[Tensor, "B C H W"], theirs: Float64[Tensor, "B C H W"], border: int
) -> dict[str, Float64[Tensor, " B"]]:
    """What is measured on enlargements beside their photos, in [-1, 1]; PSNR and SSIM within a border of pixels.

    SSIM is left out where its window does not fit in.
    """
    kinds = {"y": True, "rgb": False} if ours.shape[1] == 3 else {"gray": False}
    found = {}
    for kind, luma in kinds.items():
        found[f"psnr_{kind}"] = psnr(ours, theirs, luma=luma, border=border)
        if min(ours.shape[2:]) - 2 * border >= WINDOW:
            found[f"ssim_{kind}"] = ssim(ours, theirs, luma=luma, border=border)
    return found | seen(ours)


def seen(pictures: Float64[Tensor, "B C H W"]) -> dict[str, Float64[Tensor, " B"]]:
    """What is measured on each picture alone, all of it: see `ALONE`."""
    return dict(zip(ALONE, (sharpness(pictures), laplacian_variance(pictures)), strict=True))


def _numbers(values: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in values.items()}


def protocols(border: int) -> dict[str, dict[str, Any]]:
    """What the scores of pixels are, by name."""
    found = {}
    y = "Y of BT.601, 16 to 235, against a range of 255"
    peak = f"10 log10(range^2 / mean squared difference), dB, at most {MOST_PSNR:g}"
    window = "Wang et al. 2004, Gaussian window 11x11, sigma 1.5, K1 0.01, K2 0.03"
    for kind, channels in {"y": y, "rgb": "RGB", "gray": "gray"}.items():
        for name, estimator in (("psnr", peak), ("ssim", window)):
            more = {"psnr": ", over all channels", "ssim": ", mean over channels"}[name] if kind == "rgb" else ""
            told = {"estimator": estimator + more, "channels": channels, "border": border, "dtype": DTYPE}
            found[f"{name}_{kind}"] = told
    estimator = "mean squared gradient over that of the photos; best at 1"
    found["sharpness_ratio"] = {"estimator": estimator, "channels": "all", "border": 0, "dtype": DTYPE}
    estimator = "variance of the Laplacian (4 neighbours), gray levels squared; best at that of the photos"
    found["laplacian_variance"] = {"estimator": estimator, "channels": f"{y}, or gray", "border": 0, "dtype": DTYPE}
    return found


def _mean(rows: Sequence[Row], method: str, name: str, protocol: Mapping[str, Any]) -> Score | None:
    """One score, with the bootstrap interval over photos; None where it was not measured or is not defined."""
    lower = "distance" in name
    protocol = {**protocol, "n": len(rows)}
    if name == "sharpness_ratio":
        values = np.array([[row[method]["sharpness"], row["truth"]["sharpness"]] for row in rows])
        if not values[:, 1].any():
            return None
        found = bootstrap(values, ratio)
        protocol["of_the_data"] = float(values[:, 1].mean())
        return Score(found.mean, protocol, lower, None, ends(found))
    if name not in rows[0][method]:
        return None
    numbers: NDArray[np.float64] = np.array([row[method][name] for row in rows])
    found = bootstrap(numbers[:, None])
    if name == "laplacian_variance":
        protocol["of_the_data"] = float(np.mean([row["truth"][name] for row in rows]))
    error = float(numbers.std(ddof=1) / len(rows) ** 0.5) if len(rows) > 1 else None
    return Score(found.mean, protocol, lower, error, ends(found))


def table(scores: Mapping[str, Score]) -> list[str]:
    """The scores for people to read: a row each, a column a method."""
    own = [name for name in scores if name.partition("_")[0] not in REFERENCES]
    there = [method for method in REFERENCES if any(name.startswith(f"{method}_") for name in scores)]
    rows = [("", RESULT, "95 % interval", *there, "")]
    for name in own:
        score = scores[name]
        between = "" if score.interval is None else "{:.5g} to {:.5g}".format(*score.interval)
        values = (f"{scores[f'{method}_{name}'].value:.5g}" for method in there)
        rows.append((name, f"{score.value:.5g}", between, *values, _better(name, score)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = []
    for first, *others, last in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:-1], strict=True)]
        shown.append("  ".join([f"  {first:{widths[0]}}", *cells, last]).rstrip())
    return shown


def _better(name: str, score: Score) -> str:
    if name == "sharpness_ratio":
        return "best at 1"
    if name == "laplacian_variance":
        return f"best at {score.protocol['of_the_data']:.5g}, the photos'"
    return "lower is better" if score.lower_is_better else "higher is better"


def _floats(images: UInt8[Tensor, "B H W C"]) -> Float64[Tensor, "B C H W"]:
    return images.permute(0, 3, 1, 2).double() / 127.5 - 1
