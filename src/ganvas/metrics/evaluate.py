"""`ganvas evaluate`: scores of a run's samples, or of any folder of pictures, against any other pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ganvas.data import DataOptions, Problem
from ganvas.data.options import cache_folder
from ganvas.data.prepare import shown_progress
from ganvas.data.source import absolute, open_source
from ganvas.engine.distributed import Ranks, join
from ganvas.engine.files import write_atomically
from ganvas.engine.folder import RunFolder, to_text
from ganvas.engine.precision import autocast
from ganvas.engine.training import Device
from ganvas.errors import UserError
from ganvas.metrics import networks
from ganvas.metrics.compute import METRICS, check_names, compute, likelihood, score_name
from ganvas.metrics.enlarged import SUPER_RESOLUTION, Scoring, refuse_other, table
from ganvas.metrics.extract import cached
from ganvas.metrics.judged import default_names
from ganvas.metrics.networks import FeatureNetwork, Features
from ganvas.metrics.perceptual import Distance, of_features, of_vgg
from ganvas.metrics.photos import scale_of
from ganvas.metrics.pictures import Choice, Pictures, check_channels, drawn, features_of
from ganvas.metrics.references import CONDITIONS, Reading, as_trained, references, translates
from ganvas.metrics.score import Score, Sets
from ganvas.nn.weights import weight_scope
from ganvas.run import Run, Which

MOST_SAMPLES = 10_000
"""Samples drawn from a run unless told otherwise, where the data is larger than that."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of one set of pictures against another.

    Attributes:
        scores: By name; each carries its protocol.
        n: Pictures scored.
        reference: Pictures of the data they were compared with.
        subject: What was scored, in words.
        data: What it was compared with, as the user named it.
        step: Of a run, the steps behind what was scored.
        flags: What a reader of the numbers must know: scores that could not be computed, suspicions of copying.
        seconds: How long it took.
        images_per_second: Pictures through the feature network, drawing and reading them included; 0 without one.
        pictures: Of photos that are scored one by one, the numbers of each.
    """

    scores: dict[str, Score]
    n: int
    reference: int
    subject: str
    data: str
    step: int | None = None
    flags: list[str] = field(default_factory=list)
    seconds: float = 0.0
    images_per_second: float = 0.0
    pictures: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "n": self.n,
            "reference": self.reference,
            "subject": self.subject,
            "data": self.data,
            **({} if self.step is None else {"step": self.step}),
            "flags": self.flags,
            "seconds": round(self.seconds, 2),
            "images_per_second": round(self.images_per_second, 2),
            **({"pictures": self.pictures} if self.pictures else {}),
        }

    def lines(self) -> list[str]:
        """For people to read."""
        width = max(map(len, self.scores), default=0)
        rows = [f"{self.n} pictures of {self.subject} against {self.reference} of {self.data}"]
        if self.pictures:
            rows += table(self.scores)
        else:
            rows += [f"  {name:{width}}  {score}" for name, score in self.scores.items()]
        return rows + [f"note: {flag}" for flag in self.flags]


def evaluate(
    subject: str | Path | Run,
    *,
    data: str | Path | None = None,
    metrics: Sequence[str] | None = None,
    n: int | None = None,
    reference: int | None = None,
    features: str = "efficientnet_lite0",
    weights: str | Path | None = None,
    checkpoint: Which = "newest",
    seed: int = 0,
    truncation: float | None = None,
    direction: str = "AtoB",
    size: int | None = None,
    border: int | None = None,
    vgg_weights: str | Path | None = None,
    options: DataOptions | None = None,
    device: Device = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    keep: bool = True,
    progress: bool = False,
) -> Evaluation:
    """Scores a run's samples, or a folder of pictures, against other pictures.

    Under `torchrun` all processes share the work and all return the same.

    Args:
        subject: A run, or pictures: a folder, a zip or built-in data.
        data: The pictures to compare with; a run's own training data if not given.
        metrics: Which scores, of `ganvas.metrics.compute.COMPUTED`; by default all of `METRICS` that these pictures
            allow, `translation` of a run that learnt from pairs, and of a run that draws from captions, boxes or
            keypoints what judges trained on the data say of them. `parzen` alone needs no feature network.
            `translation` takes the data of a run that learnt without pairs for pairs, and pairs the pictures of two
            folders by their names. A run that enlarges is scored by `super-resolution`, which takes whole photos, each
            at its own size; of two folders it takes those with the same names.
        n: Pictures to score: by default as many of a run as the data has, at most 10,000, and all of a folder.
        reference: Pictures of the data to compare with; by default all.
        features: Feature network: `efficientnet_lite0`, `inception`, `dinov2` or a TorchScript or ONNX file.
        weights: Its weights, where they are not to be downloaded.
        checkpoint: Which of a run's checkpoints; see `Run`. A `Run` is scored at its own.
        seed: Of the first sample, and of the choice of pictures where not all are used.
        truncation: See `System.sample`.
        direction: Of a run with two sides, `AtoB` or, where it can, `BtoA`.
        size: Side in pixels that samples and data are brought to; by default the run's, or that of the folder's first
            picture.
        border: Of `super-resolution`, pixels cut off at each edge for PSNR and SSIM; by default the scale of a run, and
            4 of two folders.
        vgg_weights: Of `super-resolution`, a file with the weights of VGG16 or VGG19: their distance is computed too.
        options: How pictures are read; by default as the run was trained, but those that are translated not cut.
        device: Where to compute.
        precision: Number format inside the feature network.
        keep: Whether a run keeps the scores, in `evaluation.json` in its folder.
        progress: Whether to show a line of progress on standard error.

    Raises:
        UserError: If something is not there, or asked of too few pictures.
    """
    began = time.perf_counter()
    asked = METRICS if metrics is None else tuple(metrics)
    check_names(asked)
    with join(device) as ranks:
        place = None if weights is None else Path(weights)
        network = None
        if set(asked) != {"parzen"}:
            network = networks.find(features, weights=place, device=ranks.device, precision=precision)
        run = _as_run(subject, device, checkpoint)
        enlarging = run is not None and scale_of(run) > 1
        if not (enlarging or SUPER_RESOLUTION in asked) and (border is not None or vgg_weights is not None):
            raise UserError(f"--border and --vgg-weights are for {SUPER_RESOLUTION}: leave them out")
        if run is None and data is None:
            raise UserError(f"{subject} is not a run, so --data must name the pictures to compare it with")
        if run is None and (truncation is not None or checkpoint != "newest" or direction != "AtoB"):
            raise UserError(f"{subject} is not a run: --truncation, --checkpoint and --direction say how a run draws")
        if enlarging or SUPER_RESOLUTION in asked:
            if metrics is not None and set(metrics) != {SUPER_RESOLUTION}:
                others = ", ".join(name for name in metrics if name != SUPER_RESOLUTION)
                raise UserError(
                    f"{SUPER_RESOLUTION} compares whole photos, and {others} pictures of one size: give one"
                )
            refuse_other(run, n, size, reference, truncation, direction)
            looks = [] if network is None else of_features(network)
            looks += [] if vgg_weights is None else [of_vgg(Path(vgg_weights), ranks.device)]
            options = options or (run.settings.chosen.data if run else DataOptions())
            evaluation = _of_photos(run, str(subject), data, options, border, n, seed, looks, ranks, progress)
            if run is not None and keep and ranks.first:
                _keep(run.folder, evaluation)
            return evaluation
        if options is None:
            options = run.settings.chosen.data if run else DataOptions()
            if run is not None and translates(run):
                # Larger ones are for jitter in training: what a user translates is not cut.
                options = dataclasses.replace(options, load_size=0)
            elif run is not None and size is not None:
                # So that the middle of a picture is the same part of it, and the data the same, at every size.
                options = dataclasses.replace(options, load_size=round(options.load_size * size / run.config.size))
        if run is not None and run.system.needs & CONDITIONS:
            options = as_trained(options, run, data is not None and absolute(str(data)) != run.settings.source)
        size = size or (run.config.size if run else first_side(str(subject), options, network.size if network else 64))
        source = str(data) if data is not None else run.settings.source  # type: ignore[union-attr]
        reading = Reading(options, size, ranks, progress and ranks.first)
        most = _count(reference, "reference")
        real, sides = references(subject, run, source, "translation" in asked, most, seed, direction, reading)
        check_channels(real)
        if metrics is None:
            asked = (
                *asked,
                *(("translation",) if real.paired else ()),
                *(() if real.pictured else default_names(real.keys)),
            )
        pictures: Pictures
        if run is not None:
            if real.sources is not None and truncation is not None:
                raise UserError(f"{run.path} translates pictures: --truncation is for runs that draw from noise")
            there = len(real.described or (real.data if real.sources is None else real.sources))
            count = _count(n, "n") or min(there, MOST_SAMPLES)
            context = partial(autocast, run.precision, run.device)
            pictures = drawn(run.system, real.conditions, seed, truncation, context, direction, size)
            name = f"{run.settings.system} {run.settings.preset}, step {run.step}"
            samples: dict[str, Any] = {"n": count, "source": name, "seed": seed, "truncation": truncation}
            if not real.scale > 1 and run.config.size != size:
                samples["resized"] = f"{run.config.size} to {size} pixels, antialiased Lanczos"
            subject_name = str(run.path)
            compared = real.described or real.data if sides is None else sides
            trained_on = data is None or compared.hash == run.settings.data["hash"]
        else:
            trained_on = False
            fewer, chosen = _count(n, "n"), real.sources
            if chosen is None:
                chosen = Choice.draw(reading.pictures(str(subject)), fewer, seed, size)
            pictures, count = chosen, min(len(chosen), fewer or len(chosen))
            samples = {"n": count, "source": str(subject), "hash": chosen.data.hash}
            subject_name = str(subject)
        if real.sources is not None:
            samples |= {"direction": direction, "paired": real.paired, "translated": describe(real.sources)}
        samples |= real.drawn_from()
        protocol = {"samples": samples, "reference": describe(real), "pictures": picture_protocol(real, options)}
        if network is None:
            pace = 0.0
            with weight_scope():
                found, flags = likelihood(pictures, count, real, protocol)
            scores = {score_name(name, ""): score for name, score in found.items()}
        else:
            with shown_progress(progress and ranks.first) as report:
                theirs = reference_features(network, real, seed, options, ranks, lambda k: report("data", k, len(real)))
                scored = time.perf_counter()
                with weight_scope():  # of the generator, whose weights do not change between chunks
                    ours = features_of(network, pictures, count, ranks, lambda k: report("samples", k, count))
                pace = count / (time.perf_counter() - scored)
            sets = Sets(network, ours, theirs, pictures, real, protocol, ranks)
            scores, flags = compute(asked, sets, strict=metrics is not None)
        if sides is not None and sides.skipped:
            flags.append(_left_out(sides.skipped, source))
        if "parzen" in asked and trained_on:
            flags.append(f"parzen: {source} is what the run was trained on: give pictures held out from it with --data")
        step = None if run is None else run.step
        seconds = time.perf_counter() - began
        evaluation = Evaluation(scores, count, len(real), subject_name, source, step, flags, seconds, pace)
        if run is not None and keep and ranks.first:
            _keep(run.folder, evaluation)
    return evaluation


def _of_photos(
    run: Run | None,
    subject: str,
    data: str | Path | None,
    options: DataOptions,
    border: int | None,
    n: int | None,
    seed: int,
    distances: Sequence[Distance],
    ranks: Ranks,
    progress: bool,
) -> Evaluation:
    """Scores of `super-resolution`."""
    began = time.perf_counter()
    source = str(data) if data is not None else run.settings.source  # type: ignore[union-attr]
    about: dict[str, Any] = {"source": subject}
    if run is not None:
        name = f"{run.settings.system} {run.settings.preset}, step {run.step}"
        about = {"source": name, "seed": seed}
    scoring = Scoring(run, about, source, options, border, n, seed, distances)
    with shown_progress(progress and ranks.first) as report, weight_scope():
        found = scoring(ranks, report)
    flags = [_left_out(found.problems, source)] if found.problems else []
    if options.blur or options.noise or options.jpeg:
        flags.append("small versions are made without the --blur, --noise and --jpeg of training: pairs can have them")
    seconds = time.perf_counter() - began
    step = None if run is None else run.step
    count = len(found.rows)
    shown = str(run.path) if run else subject
    return Evaluation(found.scores, count, count, shown, source, step, flags, seconds, count / seconds, found.rows)


def _left_out(problems: Sequence[Problem], source: str, most: int = 3) -> str:
    """What is not used, the first few by name, in one line."""
    more = f"; and {len(problems) - most} more" if len(problems) > most else ""
    return f"{len(problems)} of {source} are left out: {'; '.join(map(str, problems[:most]))}{more}"


def reference_features(
    network: FeatureNetwork,
    real: Choice,
    seed: int,
    options: DataOptions,
    ranks: Ranks,
    progress: Callable[[int], None] = lambda done: None,
) -> Features:
    """Features of the data's pictures, from the cache where they are there."""
    key = {"data": real.data.hash, "size": real.size, "n": len(real), "seed": seed, "network": network.protocol}
    if not np.array_equal(real.rows, Choice.draw(real.data, len(real), seed, real.size).rows):
        key["rows"] = hashlib.sha256(real.rows.tobytes()).hexdigest()
    if real.pictured is not None and real.described is not None:
        key["pictured"] = real.described.hash
    return cached(
        cache_folder(options) / "features", key, partial(features_of, network, real, len(real), ranks, progress), ranks
    )


def describe(real: Choice) -> dict[str, Any]:
    """What a protocol says about the pictures of the data."""
    known = {} if real.described is None else {"of": len(real.described), "hash": real.described.hash}
    return {"n": len(real), "of": len(real.data), "source": real.data.source, "hash": real.data.hash, **known}


def picture_protocol(real: Choice, options: DataOptions) -> dict[str, Any]:
    """What a protocol says about how pictures came to their size, before the feature network resizes them."""
    side, channels = real.data.images.shape[2:]
    filtered = {} if options.fit == "tiles" else {"filter": "antialiased Lanczos"}
    cut = {} if side == real.size else {"cut": f"middle of {side} pixels"}
    return {"size": real.size, "channels": channels, "fit": options.fit, **filtered, **cut}


def first_side(spec: str, options: DataOptions, wanted: int) -> int:
    """The shorter side of a source's first readable picture, in pixels; what is drawn to order is drawn at `wanted`.

    Raises:
        UserError: If none can be read.
    """
    with open_source(spec, options) as source:
        for item in source.items[:100]:
            try:
                found = item.read(wanted)
                with Image.open(io.BytesIO(found)) if isinstance(found, bytes) else found as picture:
                    return min(picture.size)
            except (OSError, ValueError, SyntaxError):
                continue
    raise UserError(f"none of the first pictures of {spec} can be read: `ganvas data check {spec}` tells why")


def _as_run(subject: str | Path | Run, device: Device, checkpoint: Which) -> Run | None:
    """The run that is meant, None if it is a source of pictures."""
    if isinstance(subject, Run):
        return subject
    return Run(subject, device, checkpoint=checkpoint) if (Path(subject) / "config.json").is_file() else None


def _count(number: int | None, name: str) -> int | None:
    if number is not None and number < 2:
        raise UserError(f"--{name} {number} is too few: a score needs at least 2 pictures")
    return number


def _keep(folder: RunFolder, evaluation: Evaluation) -> None:
    """Writes `evaluation.json` into a run's folder."""
    try:
        write_atomically(folder.path / "evaluation.json", to_text(evaluation.to_json()))
    except OSError as error:
        raise UserError(f"cannot write to {folder.path}: {error.strerror or error}") from error
