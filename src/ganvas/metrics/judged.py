"""The scores `agreement`, `layout` and `caption_diversity`: samples beside the captions, boxes and keypoints asked for.

Judges are trained on four fifths of the data's pictures and checked on the rest. What they say of those stands beside
the number (`of_the_data`), and what they would say of pictures that have nothing to do with what was asked (`chance`):
the same samples, exchanged among each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from ganvas.engine.system import Batch
from ganvas.errors import UserError
from ganvas.metrics import agreement as matching
from ganvas.metrics import layout_scores as placing
from ganvas.metrics.agreement import (
    caption_accuracy,
    distinct,
    kinds_of,
    most_candidates,
    r_precision,
    train_matcher,
)
from ganvas.metrics.diversity import caption_diversity
from ganvas.metrics.interval import Interval, bootstrap
from ganvas.metrics.judges import as_seen, split, train_classifier
from ganvas.metrics.layout_scores import (
    box_iou,
    find_boxes,
    keypoint_distance,
    train_keypoint_finder,
    train_object_segmenter,
)
from ganvas.metrics.pictures import CHUNK, Pictures, gathered, of_chunks
from ganvas.metrics.score import Found, Score, Sets
from ganvas.metrics.translated import ends

MOST_REAL = 5000
"""Pictures of the data, at most, that judges are trained and checked on."""
MOST_JUDGED = 1000
"""Samples, at most, that judges look at: the first ones."""
MOST_PAIRS = 250
"""Captions, at most, of which `caption_diversity` looks at two samples."""
HELD_OUT = 0.2
"""Share of the data's pictures that judges are checked on instead of trained."""
SEED = 0
"""Of the judges, so that every run is judged by the same ones."""
MATCHED_STEPS, PLACED_STEPS = matching.STEPS, placing.STEPS
"""How long the judges of captions are trained, and those of boxes and keypoints."""
CLASSIFIED_SIDE = 32
"""Pixels: larger pictures are reduced to so many a side before the classifier looks at them."""
SEEN = 30_000
"""Pictures that the classifier sees in training, about, those seen again included."""

JUDGED = frozenset({"accuracy", "r_precision", "r_precision_captions", "box_iou", "keypoint_distance"})
"""Scores of judges that are trained for them: no feature network has a part in them."""

Result = TypeVar("Result")


def agreement(sets: Sets) -> Found:
    """How often samples are found to show their captions, and to be of the class that these belong to.

    Raises:
        UserError: Samples were not drawn from captions, or the captions are too few.
    """
    real, given = _data(sets, "text")
    fake, rows = _samples(sets)
    return _by_one(sets, lambda: _agreement(sets, real, given, fake, rows)), []


def layout(sets: Sets) -> Found:
    """How far the object, or its parts, are where they were asked for.

    Raises:
        UserError: Samples were not drawn from boxes or keypoints.
    """
    real, given = _data(sets, "boxes", "keypoints")
    fake, rows = _samples(sets)
    return _by_one(sets, lambda: _layout(sets, real, given, fake, rows)), []


def diversity_per_caption(sets: Sets) -> Found:
    """How much samples of the same caption differ, beside those of different ones.

    Raises:
        UserError: Samples were not drawn from captions, or the network has no inner layers.
    """
    conditions = _given(sets, "text")
    real = sets.real_pictures
    pairs = min(len(real), MOST_PAIRS)
    # Numbers past the last picture of the data have its conditions again, with other seeds.
    first, second = (_drawn(sets.fake_pictures, range(start, start + pairs)) for start in (0, len(real)))
    found = caption_diversity(sets.network.stages, first, second)
    within, across = (bootstrap(values.cpu().numpy()[:, None]) for values in found)
    error = float(found.within.std() / pairs**0.5)
    alike = sorted(conditions - {"text", "label"})
    more: dict[str, Any] = {"also_the_same": alike} if alike else {}
    score = sets.score(
        within.mean,
        error,
        lower=False,
        interval=ends(within),
        estimator="mean perceptual distance of two samples of the same caption, unit-normalised stages, unweighted",
        pairs=pairs,
        of_different_captions=across.mean,
        **more,
    )
    return {"caption_diversity": score}, []


def _given(sets: Sets, *wanted: str) -> frozenset[str]:
    """What samples were drawn from.

    Raises:
        UserError: None of what is wanted.
    """
    keys = sets.real_pictures.keys
    if not keys & {*wanted}:
        raise UserError(f"it is for samples drawn from {' or '.join(wanted)}, and these are not")
    if sets.real_pictures.pictured is not None:
        raise UserError("samples of this run are no pictures like the data's, by which judges are trained")
    return keys


def _data(sets: Sets, *wanted: str) -> tuple[UInt8[Tensor, "N C H W"], Batch]:
    """The data's pictures, and what is known about them, on the device that judges compute on."""
    _given(sets, *wanted)
    real = sets.real_pictures
    count = min(len(real), MOST_REAL)
    images = _drawn(real, range(count)).permute(0, 3, 1, 2).contiguous()
    parts = [real.conditions(range(start, min(start + 256, count))) for start in range(0, count, 256)]
    device = sets.ranks.device
    return images.to(device), {key: torch.cat([part[key] for part in parts]).to(device) for key in parts[0]}


def _samples(sets: Sets) -> tuple[UInt8[Tensor, "n C H W"], Tensor]:
    """Samples, and the rows of the data whose conditions they were drawn from; all processes draw them together."""
    count = min(len(sets.fake), MOST_JUDGED)
    images = torch.cat(of_chunks(sets.fake_pictures, count, sets.ranks)).permute(0, 3, 1, 2).contiguous()
    return images.to(sets.ranks.device), torch.arange(count) % len(sets.real_pictures)


def _drawn(pictures: Pictures, numbers: range) -> UInt8[Tensor, "N H W C"]:
    return torch.cat([pictures(numbers[start : start + CHUNK]) for start in range(0, len(numbers), CHUNK)])


def _by_one(sets: Sets, work: Callable[[], Result]) -> Result:
    """What one process computes, for all: training a judge in each would take as long."""
    found = gathered(lambda: work() if sets.ranks.first else None, sets.ranks)[0]
    assert found is not None
    return found


def _agreement(sets: Sets, real: Tensor, given: Batch, fake: Tensor, rows: Tensor) -> dict[str, Score]:
    scores = {}
    text, labels = given["text"], given.get("label")
    train, rest = split(len(real), HELD_OUT, SEED)
    common: dict[str, Any] = {"trained_on": len(train), "held_out": len(rest), "judge_seed": SEED, "n": len(fake)}
    if labels is not None and int(labels.min()) < int(labels.max()):
        scores["accuracy"] = _class_accuracy(sets, real, labels, fake, rows, common)
    matcher = train_matcher(real, text, held_out=HELD_OUT, seed=SEED, steps=MATCHED_STEPS)
    places, ours, theirs = matcher.of_texts(text), matcher.of_pictures(fake), matcher.of_pictures(real[rest])
    exchanged, pool = ours[_exchanged(len(fake))], distinct(text)
    for name, (kinds, mismatching) in _ways(kinds_of(text), labels).items():
        candidates = most_candidates(kinds[pool])
        if candidates < 2:
            continue

        def precision(pictures: Tensor, own: Tensor, kinds: Tensor = kinds, candidates: int = candidates) -> Interval:
            whose = kinds[own], kinds[pool]
            return r_precision(pictures, places[own], places[pool], kinds=whose, candidates=candidates, seed=SEED)

        scores[name] = _scored(
            sets,
            precision(ours, rows),
            lower=False,
            estimator=(
                "Xu et al. 2018, R = 1: share of samples whose own caption is the nearest of the candidates, the rest "
                f"of which are {mismatching}; ties at random"
            ),
            judge=(
                "strided convolutions of pictures and a linear map of caption vectors, InfoNCE both ways, "
                f"{MATCHED_STEPS} steps, at most {matching.SIDE} pixels a side"
            ),
            candidates=candidates,
            of_the_data=precision(theirs, rest).mean if len(rest) else None,
            chance=precision(exchanged, rows).mean,
            **common,
        )
    if not scores:
        raise UserError("all captions of the data are alike")
    return scores


def _class_accuracy(
    sets: Sets, real: Tensor, labels: Tensor, fake: Tensor, rows: Tensor, common: Mapping[str, Any]
) -> Score:
    train, rest = split(len(real), HELD_OUT, SEED)
    epochs = min(25, max(3, round(SEEN / len(train))))
    seen, drawn = as_seen(real, CLASSIFIED_SIDE), as_seen(fake, CLASSIFIED_SIDE)
    judge = train_classifier(seen[train], labels[train], int(labels.max()) + 1, seed=SEED, epochs=epochs)
    return _scored(
        sets,
        caption_accuracy(judge, drawn, labels[rows]),
        lower=False,
        estimator="share of samples whose class a classifier of real pictures names",
        judge=f"two convolutions, {epochs} epochs, at most {CLASSIFIED_SIDE} pixels a side",
        classes=_count(labels),
        of_the_data=caption_accuracy(judge, seen[rest], labels[rest]).mean if len(rest) else None,
        chance=caption_accuracy(judge, drawn[_exchanged(len(fake))], labels[rows]).mean,
        **common,
    )


def _ways(texts: Tensor, labels: Tensor | None) -> dict[str, tuple[Tensor, str]]:
    """By the name of the score, of which kind each caption is, and what captions of other kinds are called."""
    others = (texts, "other captions")
    if labels is None:
        return {"r_precision": others}
    of_classes = (labels, "captions of other classes")
    if _count(labels) == _count(texts) == _count(texts * (labels.max() + 1) + labels):  # one caption a class
        return {"r_precision": of_classes}
    return {"r_precision": of_classes, "r_precision_captions": others}


def _count(numbers: Tensor) -> int:
    """How many different ones there are."""
    return len(set(numbers.tolist()))


def _layout(sets: Sets, real: Tensor, given: Batch, fake: Tensor, rows: Tensor) -> dict[str, Score]:
    scores = {}
    train, rest = split(len(real), HELD_OUT, SEED)
    common: dict[str, Any] = {"trained_on": len(train), "held_out": len(rest), "judge_seed": SEED}
    exchanged = _exchanged(len(fake))
    looked = f"a U-Net of three resolutions, {PLACED_STEPS} steps, at most {placing.SIDE} pixels a side"
    if "boxes" in given:
        boxes = given["boxes"]
        judge = train_object_segmenter(real[train], boxes=boxes[train], seed=SEED, steps=PLACED_STEPS)
        found = find_boxes(judge, fake)
        scores["box_iou"] = _scored(
            sets,
            _mean(box_iou(found, boxes[rows])),
            lower=False,
            estimator="mean intersection over union of the box found and the box asked for; 0 where no object is found",
            judge=f"{looked}, trained on boxes: all pixels in one count as object",
            nothing_found=float((found[:, 2] == 0).double().mean()),
            of_the_data=_plain(box_iou(find_boxes(judge, real[rest]), boxes[rest])),
            chance=_plain(box_iou(found[exchanged], boxes[rows])),
            n=len(fake),
            **common,
        )
    if "keypoints" in given:
        keypoints = given["keypoints"]
        finder = train_keypoint_finder(real[train], keypoints[train], seed=SEED, steps=PLACED_STEPS)
        places = finder.find(fake)
        values = keypoint_distance(places, keypoints[rows])
        scores["keypoint_distance"] = _scored(
            sets,
            _mean(values),
            lower=True,
            estimator="mean distance of keypoints found from where they were asked for, in diagonals of the picture",
            judge=f"{looked}, a map for each part",
            of_the_data=_plain(keypoint_distance(finder.find(real[rest]), keypoints[rest])),
            chance=_plain(keypoint_distance(places[exchanged], keypoints[rows])),
            n=int((~values.isnan()).sum()),
            **common,
        )
    return scores


def _exchanged(count: int) -> Tensor:
    """Samples in another order: what they show has nothing to do with what was asked in their place."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(SEED))


def _mean(values: Float64[Tensor, " N"]) -> Interval:
    known = values[~values.isnan()]
    if not len(known):
        raise UserError("no keypoint was asked to be visible")
    return bootstrap(known.cpu().numpy()[:, None])


def _plain(values: Float64[Tensor, " N"]) -> float | None:
    """The mean of what there is."""
    mean = float(values.nanmean())
    return mean if np.isfinite(mean) else None


def _scored(sets: Sets, found: Interval, *, lower: bool, **protocol: Any) -> Score:
    return sets.score(found.mean, lower=lower, interval=ends(found), of_pixels=True, **protocol)


def default_names(keys: frozenset[str]) -> tuple[str, ...]:
    """The scores that are computed where none are named, of samples drawn from these keys."""
    wanted: Mapping[str, frozenset[str]] = {
        "agreement": frozenset({"text"}),
        "layout": frozenset({"boxes", "keypoints"}),
        "caption_diversity": frozenset({"text"}),
    }
    return tuple(name for name, any_of in wanted.items() if keys & any_of)
