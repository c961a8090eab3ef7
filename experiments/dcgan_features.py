"""F7: D's features beat random features and raw pixels where labels are few (Radford et al. 2016, section 5).

`python experiments/dcgan_features.py` takes the discriminators of the DCGAN runs of the study dcgan_learning_rates at
rate 2e-4, trained on `digits:train` without labels, and classifies `digits:test` with a linear SVM on their
convolutions' outputs, max-pooled to 4x4, with 5, 10 and 50 labelled pictures a class. Beside it: the same features at
the run's own first weights, at random weights of He et al. 2015, and pixels. Means over ten choices of the labelled
pictures; intervals over runs.

Writes results/dcgan_features.json and .png. About three minutes on one core, with the runs there.
"""

from __future__ import annotations

import torch
from matplotlib import pyplot as plt

import ganvas
from findings import above, arguments, over_seeds, paired, real_pictures, save, trained, write
from ganvas.inspect import probe, randomised
from ganvas.run import build

VARIANT = "dcgan-2e-4"
PER_CLASS = (5, 10, 50)
KINDS = ("trained", "first weights", "random weights", "pixels")


def main() -> None:
    args = arguments(__doc__, "dcgan_learning_rates", 10)
    runs = trained(args.study, args.runs, (VARIANT,), args.parallel)[VARIANT]
    images, labels = real_pictures("digits:test", args.study.variants[0].chosen.config.size)
    accuracy: dict[int, dict[str, list[float]]] = {count: {kind: [] for kind in KINDS} for count in PER_CLASS}
    for run in runs:
        opened = ganvas.load(run.path)
        discriminator = opened.system.discriminator
        first = build(opened.settings, torch.device("cpu")).discriminator
        for count in PER_CLASS:
            one = probe(discriminator, images, labels, count, range(args.n), fresh=first)
            other = probe(
                discriminator, images, labels, count, range(args.n), fresh=randomised(discriminator, run.seed)
            )
            means = (one.trained.mean, one.random.mean, other.random.mean, one.pixels.mean)
            for kind, mean in zip(KINDS, means, strict=True):
                accuracy[count][kind].append(mean)
    versus = {
        count: {kind: paired(of["trained"], of[kind]) for kind in KINDS if kind != "trained"}
        for count, of in accuracy.items()
    }
    found = {
        "finding": "F7: D's features beat random features and raw pixels with few labels",
        "choices of labelled pictures": args.n,
        "features": one.features,
        "accuracy by labels a class": {
            count: {kind: over_seeds(values) for kind, values in of.items()} for count, of in accuracy.items()
        },
        "trained minus": versus,
        "reproduced by labels a class": {
            count: {kind: above(gap) for kind, gap in of.items()} for count, of in versus.items()
        },
        "reproduced": all(above(gap) for of in versus.values() for gap in of.values()),
    }
    path = args.results / "dcgan_features.json"
    write(path, found, args.study.seeds, runs)

    figure, axis = plt.subplots(figsize=(7, 4.2))
    for kind, colour in zip(KINDS, ("tab:red", "tab:orange", "tab:gray", "tab:blue"), strict=True):
        for place, count in enumerate(PER_CLASS):
            at = place + 0.16 * (KINDS.index(kind) - 1.5)
            values = accuracy[count][kind]
            axis.plot([at] * len(values), values, "o", color=colour, alpha=0.6, label=None if place else kind)
            axis.plot([at - 0.06, at + 0.06], [sum(values) / len(values)] * 2, color=colour, linewidth=2)
    axis.set_xticks(range(len(PER_CLASS)), [f"{count} labels a class" for count in PER_CLASS])
    axis.set(
        ylabel="accuracy on the other digits of digits:test",
        title="A linear classifier on features (points: runs; line: mean)",
    )
    axis.legend(fontsize=8)
    axis.grid(axis="y", alpha=0.3)
    save(figure, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
