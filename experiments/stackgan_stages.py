"""F15 and F16: stages and conditioning augmentation (Zhang et al. 2017, StackGAN).

`python experiments/stackgan_stages.py` trains stage I (32 px), stage II on it (64 px), one stage of 64 px that computes
as much as both, and stage I without conditioning augmentation, on pictures of one coloured shape (easy-vqa), three
seeds each.

* F15: stage II against stage I enlarged (bicubic) and against the single stage, at 64 px: the kernel distance
  of their features from those of real pictures, and how often a classifier of real pictures sees the class asked for;
* F16: with conditioning augmentation against without: how different the pictures of one caption are.

Writes results/stackgan_stages.json and .png. About two minutes a run on one core.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib import pyplot as plt

import ganvas
from captioned import CLASSES, asked, diversity_ratio, drawn, train_judge, vectors
from findings import above, arguments, features, over_seeds, paired, save, show, trained, write
from ganvas.data.resizing import as_stored, enlarge
from ganvas.metrics.kernel import kernel_distance
from ganvas.study.results import minutes_of_training

HIGH = ("stage1 enlarged", "stage2", "one-stage")
VARIANTS = ("stage1", "stage2", "one-stage", "stage1-without-ca")


def main() -> None:
    args = arguments(__doc__, "stackgan", 15)
    trained(args.study, args.runs, ["stage1"], args.parallel)  # which stage 2 goes on from
    runs = trained(args.study, args.runs, list(VARIANTS), args.parallel)
    sizes = {variant.name: variant.chosen.config.size for variant in args.study.variants}
    judge, small = train_judge(sizes["stage2"]), train_judge(sizes["stage1"])
    wanted = asked(args.n)
    text = vectors(CLASSES)[wanted]
    real = features(judge.real[:500])
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in (*HIGH, "stage1", "stage1-without-ca")}

    def add(name: str, **values: float) -> None:
        for score, value in values.items():
            scores[name].setdefault(score, []).append(value)

    for name in VARIANTS:
        for run in runs[name]:
            pictures = drawn(run.path, {"text": text})
            own = judge if name in HIGH else small
            add(
                name,
                accuracy=float(own.shares(pictures, wanted)["class"].mean()),
                diversity=diversity_ratio(pictures, wanted, own),
            )
            high = {"stage1": "stage1 enlarged"}.get(name, name)
            if high not in HIGH:
                continue
            if name == "stage1":
                pictures = as_stored(enlarge(pictures, sizes["stage2"] // sizes["stage1"]))
                add(high, accuracy=float(judge.shares(pictures, wanted)["class"].mean()))
            found = features(pictures)
            add(high, kernel=kernel_distance(found, real).value)
    better = {
        f"stage II better than {other}": {
            "kernel": paired(scores[other]["kernel"], scores["stage2"]["kernel"]),
            "accuracy": paired(scores["stage2"]["accuracy"], scores[other]["accuracy"]),
        }
        for other in HIGH
        if other != "stage2"
    }
    augmented = {
        score: paired(scores["stage1"][score], scores["stage1-without-ca"][score])
        for score in ("diversity", "accuracy")
    }
    result = {
        "finding": "F15: stage II beats stage I enlarged and one stage of the same cost; F16: CA adds diversity",
        "reproduced": {
            "F15": all(above(value["kernel"]) for value in better.values()),
            "F16": above(augmented["diversity"]),
        },
        "judge": {f"accuracy on real, {of.real.shape[-1]} px": of.accuracy for of in (judge, small)},
        "samples": len(wanted),
        "distances": "features of efficientnet_lite0, against 500 real pictures that the judge was not trained on",
        "minutes of training": {
            name: over_seeds([minutes_of_training(run) for run in runs[name]])
            for name in ("stage1", "stage2", "one-stage")
        },
        "scores": {name: {score: over_seeds(of) for score, of in values.items()} for name, values in scores.items()},
        **better,
        "with conditioning augmentation minus without": augmented,
    }
    path = args.results / "stackgan_stages.json"
    write(path, result, args.study.seeds, [run for of in runs.values() for run in of])
    draw(path.with_suffix(".png"), {name: of[0].path for name, of in runs.items()})


def draw(path: Path, first: dict[str, Path]) -> None:
    """Six captions, two latents each, of seed 0."""
    names = ["red circle", "blue triangle", "green rectangle", "black circle", "yellow triangle", "teal rectangle"]
    text = vectors(names).repeat_interleave(2, 0)
    figure, axes = plt.subplots(len(first), len(text), figsize=(1.1 * len(text), 1.25 * len(first)))
    for row, (name, run) in zip(axes, first.items(), strict=True):
        with torch.no_grad():
            pictures = ganvas.load(run).system.sample([0, 1] * len(names), {"text": text})
        for column, (axis, picture) in enumerate(zip(row, pictures, strict=True)):
            show(axis, picture, names[column // 2] if row is axes[0] and column % 2 == 0 else "")
        row[0].set_ylabel(name, fontsize=7)
    save(figure, path)


if __name__ == "__main__":
    main()
