"""What the experiments on pix2pix share: held-out pairs, translations of them by the runs of a study, their scores."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt

import findings
import ganvas
from ganvas.data import DataOptions, open_data
from ganvas.data.sampler import to_float
from ganvas.data.sides import Sides
from ganvas.metrics.checkerboard import nyquist
from ganvas.metrics.colour import intersection, lab_histograms, to_lab
from ganvas.metrics.judges import Classifier, train_classifier
from ganvas.metrics.kernel import kernel_distance
from ganvas.metrics.translation import feature_distance, l1, psnr, sharpness, ssim
from ganvas.study.plan import StudyRun
from ganvas.viz.grids import to_bytes

LOWER = ("feature_distance", "kd", "l1")
"""Scores that are better when lower; of the rest but `sharpness_ratio` and `nyquist_db` more is better."""
COLOURED = 5.0
"""Chroma in Lab from which a pixel of the truth counts as coloured: what is left are lines, grays and the ground."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures in [-1, 1].

    Attributes:
        source: (N, S, H, W), what is translated.
        truth: (N, C, H, W), what it should become.
        kinds: (N,) numbers of the pictures' folders, of emoji their categories.
        licence: Lines of attribution.
    """

    source: torch.Tensor
    truth: torch.Tensor
    kinds: torch.Tensor
    licence: str | None


def pairs(
    spec: str, size: int, channels: int, source_channels: int, n: int | None = None, *, swap: bool = False
) -> Pairs:
    """The pairs of a set of data; the first n of them, the other way round if swapped."""
    options = DataOptions(flip=False, swap=swap)
    sides = open_data(spec, options, size=size, channels=channels, source_channels=source_channels, sides="paired")
    assert isinstance(sides, Sides)
    rows, partners = sides.source_rows[:n], sides.target_rows[:n]
    folders = [name.split("/")[0] for name in sides.target.names]
    number = {name: i for i, name in enumerate(sorted(set(folders)))}
    pictures = (
        to_float(torch.from_numpy(side.images[of])) for side, of in ((sides.source, rows), (sides.target, partners))
    )
    return Pairs(*pictures, torch.tensor([number[folders[row]] for row in partners]), sides.licence)


@dataclass(frozen=True, eq=False)
class Held:
    """Pairs that no run has seen, and what their truths are scored by.

    Attributes:
        pairs: The pairs.
        features: Of the truths, (N, D).
        judge: A classifier of the pictures' kinds, trained on the true pictures of the runs' own data, halved.
    """

    pairs: Pairs
    features: torch.Tensor
    judge: Classifier

    def scores(self, outputs: torch.Tensor) -> dict[str, float]:
        """Of translations of all sources, (N, C, H, W) in [-1, 1], rounded to 8 bits first."""
        outputs = to_float(torch.from_numpy(to_bytes(outputs)))
        truth, found = self.pairs.truth, findings.features(outputs)
        values: dict[str, float] = {
            "feature_distance": float(feature_distance(found, self.features).mean()),
            "kd": kernel_distance(found, self.features).value,
            "sharpness_ratio": float(sharpness(outputs).mean() / sharpness(truth).mean()),
            "l1": float(l1(outputs, truth).mean()),
            "psnr": float(psnr(outputs, truth).mean()),
            "ssim": float(ssim(outputs, truth).mean()),
        }
        for place, images in (("", lambda all: all), (" where coloured", self.coloured)):
            ours, theirs = lab_histograms(images(outputs)), lab_histograms(images(truth))
            values |= {
                f"intersection of {name}{place}": intersection(*both)
                for name, both in zip("Lab", zip(ours, theirs, strict=True), strict=True)
            }
        finest = nyquist(outputs)
        values["nyquist_db"] = (finest.horizontal + finest.vertical + finest.both) / 3
        values["kind recognised"] = self.judge.accuracy_on(halved(outputs), self.pairs.kinds)
        return values

    @functools.cached_property
    def mask(self) -> torch.Tensor:
        """(N, H, W): where the truth is coloured."""
        return to_lab(self.pairs.truth)[:, 1:].norm(dim=1) > COLOURED

    def coloured(self, images: torch.Tensor) -> torch.Tensor:
        """The pixels of pictures where the truth is coloured, as one row, (1, C, 1, M)."""
        return images.permute(1, 0, 2, 3)[:, self.mask][None, :, None]


@functools.cache
def held_out(data: str, config: Any, n: int) -> Held:
    """The pairs of `:test` that belong to the `:train` of these data."""
    sides = config.size, config.channels, config.source_channels
    seen, others = pairs(data, *sides), pairs(data.replace(":train", ":test"), *sides, n)
    judge = train_classifier(halved(seen.truth), seen.kinds, int(seen.kinds.max()) + 1, epochs=EPOCHS, edge=1.0)
    return Held(others, findings.features(others.truth), judge)


EPOCHS = 8
"""Of the judge of kinds."""


def halved(images: torch.Tensor) -> torch.Tensor:
    """At half the resolution, where the judge looks at them, for time."""
    return F.avg_pool2d(images, 2)


@dataclass(frozen=True)
class Compared:
    """What an experiment compares.

    Attributes:
        args: Its command line.
        runs: By variant.
        held: What is translated.
        outputs: By variant, the translations of its first run.
        scores: By score and variant, a value a seed.
    """

    args: argparse.Namespace
    runs: dict[str, list[StudyRun]]
    held: Held
    outputs: dict[str, torch.Tensor]
    scores: dict[str, dict[str, list[float]]]

    def gap(self, first: str, second: str, score: str) -> dict[str, Any]:
        """The interval of one variant's mean less another's, paired by seed."""
        return findings.paired(self.scores[score][first], self.scores[score][second])

    def gaps(self, first: str, second: str) -> dict[str, dict[str, Any]]:
        """The same for every score."""
        return {score: self.gap(first, second, score) for score in self.scores}

    def better(self, first: str, second: str, score: str) -> bool:
        """Whether one variant is better than another, the whole interval on that side."""
        found = self.gap(first, second, score)
        return bool(found["excludes_zero"] and (found["mean"] < 0) == (score in LOWER))

    def of_the_truth(self) -> dict[str, Any]:
        """Scores that true pictures have."""
        return {
            "kind recognised": self.held.judge.accuracy_on(halved(self.held.pairs.truth), self.held.pairs.kinds),
            "most frequent kind": float(torch.bincount(self.held.pairs.kinds).max() / len(self.held.pairs.kinds)),
            "nyquist_db": sum(vars(nyquist(self.held.pairs.truth)).values()) / 3,
            "share of coloured pixels": float(self.held.mask.double().mean()),
        }

    def by_score(self) -> dict[str, Any]:
        """Every value with intervals, for the JSON file."""
        return {
            score: {name: findings.over_seeds(values) for name, values in of.items()}
            for score, of in self.scores.items()
        }

    def write(self, name: str, found: dict[str, Any]) -> Path:
        """Writes the JSON file; returns the path of the picture that belongs beside it."""
        path: Path = self.args.results / f"{name}.json"
        about = {"pairs": len(self.held.pairs.truth), "true pictures": self.of_the_truth(), "by_score": self.by_score()}
        runs = [run for of in self.runs.values() for run in of]
        findings.write(path, found | about, self.args.study.seeds, runs)
        return path.with_suffix(".png")


def compared(description: str | None, names: Sequence[str]) -> Compared:
    """Trains what is missing of some variants and scores them all on the same held-out pairs."""
    args = findings.arguments(description, "pix2pix", 154)
    runs = findings.trained(args.study, args.runs, names, args.parallel)
    first = args.study.variants[0]
    held = held_out(first.data, first.chosen.config, args.n)
    outputs: dict[str, torch.Tensor] = {}
    scores: dict[str, dict[str, list[float]]] = {}
    for name, of in runs.items():
        for run in of:
            translated, values = scored(run.path, run.seed, held)
            outputs.setdefault(name, translated)
            for score, value in values.items():
                scores.setdefault(score, {}).setdefault(name, []).append(value)
    return Compared(args, runs, held, outputs, scores)


@functools.cache
def scored(path: Path, seed: int, held: Held) -> tuple[torch.Tensor, dict[str, float]]:
    """A run's translations of the held-out sources, every run with other noise, and their scores."""
    source = held.pairs.source
    translated = ganvas.load(path).translate(source, seed=seed * len(source), batch=22)
    return translated, held.scores(translated)


def draw(
    found: Compared, path: Path, names: Mapping[str, str], shown: Mapping[str, str], examples: int = 8, start: int = 0
) -> None:
    """A column of held-out translations a variant, input and truth at the sides, and below them points of scores.

    Args:
        found: What was compared.
        path: The picture.
        names: Variants and what they are called.
        shown: Scores and what they are called.
        examples: Rows of pictures: the first ones of the data from `start`, none chosen.
        start: See `examples`.
    """
    held = found.held.pairs
    columns = {"input": held.source, **{names[name]: found.outputs[name] for name in names}, "truth": held.truth}
    rows = min(examples, len(held.truth))
    figure = plt.figure(figsize=(max(1.15 * len(columns), 7.5), 1.08 * rows + 2.6))
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.08 * rows, 2.6])
    axes = upper.subplots(rows, len(columns), squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    for (title, pictures), column in zip(columns.items(), axes.T, strict=True):
        for row, axis in enumerate(column):
            findings.show(axis, pictures[start + row].expand(3, -1, -1), "" if row else title)
            for spine in axis.spines.values():
                spine.set_color("lightgray")
    points = lower.subplots(1, len(shown), squeeze=False)[0]
    for axis, (score, title) in zip(points, shown.items(), strict=True):
        for place, name in enumerate(names):
            values = found.scores[score][name]
            axis.plot(values, [place] * len(values), "o", color="tab:blue", alpha=0.6, markersize=4)
            axis.plot([sum(values) / len(values)] * 2, [place - 0.3, place + 0.3], color="tab:red")
        axis.set_yticks(range(len(names)), names.values() if axis is points[0] else [""] * len(names), fontsize=7)
        axis.invert_yaxis()
        axis.tick_params(axis="x", labelsize=6)
        axis.set_title(title, fontsize=7)
        axis.grid(axis="x", alpha=0.3)
    lower.subplots_adjust(left=0.18, right=0.98, bottom=0.12, top=0.85, wspace=0.15)
    upper.subplots_adjust(left=0.02, right=0.98, bottom=0.01, top=0.96)
    figure.savefig(path, dpi=110, metadata={"Copyright": held.licence} if held.licence else None)
    print(path)
