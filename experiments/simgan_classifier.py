"""F23 and F24: do refined pictures train a better classifier for real ones, and do they keep their labels? (SimGAN)

`python experiments/simgan_classifier.py` refines digits drawn from fonts towards `digits:train`, whose labels the GAN
never sees, with self-regularisation and without (Shrivastava et al. 2017, sections 2.1 and 3).

* F23: a classifier is trained on raw, on refined or on real pictures, equally many, with the simulator's or the true
  labels, and tested on `digits:test`, which nothing was trained on.
* F24: a judge trained on real digits (`digits:test`) reads raw and refined pictures: how often is it the digit that the
  simulator drew? Of those it reads rightly before they are refined, how many does it still read rightly afterwards? And
  the mean of |R(x) - x|, in units of the range from black to white.

The refiners change from one checkpoint to the next, so both are also looked at with the mean of the weights of the last
four checkpoints, for either arm.

Writes results/simgan_classifier.json and .png. A minute a run on one core, and four for classifiers.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from matplotlib import pyplot as plt

from digit_classifier import train_judge
from findings import above, arguments, over_seeds, paired, real_pictures, save, trained, write
from ganvas.metrics.judges import accuracies
from ganvas.metrics.translation import l1
from simgan_refined import HELD_OUT, LAST, opened, refined, rows_of_pictures, sides

FULL, FREE = "full", "no-regularisation"
AVERAGED = ", averaged"
EPOCHS = 10


def main() -> None:
    args = arguments(__doc__, "simgan", 1000)
    runs = trained(args.study, args.runs, (FULL, FREE), args.parallel)
    seeds = args.study.seeds
    size = args.study.variants[0].chosen.config.size
    (raw, labels), (real, truth) = (
        (images[: args.n], of[: args.n]) for images, of in (real_pictures(side, size) for side in sides(args.study))
    )
    after = {
        name + ending: {run.seed: refined(opened(run, averaged=count), raw) for run in runs[name]}
        for ending, count in (("", 1), (AVERAGED, LAST))
        for name in runs
    }

    arms = {name: partial(lambda of, seed: (of[seed], labels), of) for name, of in after.items()}
    arms = {"raw": lambda seed: (raw, labels), **arms, "real": lambda seed: (real, truth)}
    found_23 = accuracies(arms, real_pictures(HELD_OUT, size), 10, seeds, epochs=EPOCHS)
    gain = {name: paired(found_23[name], found_23["raw"]) for name in after}

    judge = train_judge(size)
    before = judge.classes(raw) == labels
    agreement: dict[str, list[float]] = {}
    kept: dict[str, list[float]] = {}
    change: dict[str, list[float]] = {}
    for name in after:
        right = [judge.classes(after[name][seed]) == labels for seed in seeds]
        agreement[name] = [float(of.double().mean()) for of in right]
        kept[name] = [float(of[before].double().mean()) for of in right]
        change[name] = [float(l1(after[name][seed], raw).mean()) for seed in seeds]
    versus = {
        ending: {
            "labels read": paired(agreement[FULL + ending], agreement[FREE + ending]),
            "labels kept": paired(kept[FULL + ending], kept[FREE + ending]),
            "change": paired(change[FULL + ending], change[FREE + ending]),
            "accuracy of F23": paired(found_23[FULL + ending], found_23[FREE + ending]),
        }
        for ending in ("", AVERAGED)
    }
    found = {
        "pictures": args.n,
        "F23": {
            "finding": "F23: refined pictures train a better classifier for real pictures than raw ones",
            "tested on": HELD_OUT,
            "epochs": EPOCHS,
            "accuracy, trained on": {name: over_seeds(values) for name, values in found_23.items()},
            "minus raw": gain,
            "reproduced": {name: above(gain[name]) for name in (FULL, FULL + AVERAGED)},
        },
        "F24": {
            "finding": "F24: self-regularisation keeps labels",
            "judge": {"trained on": HELD_OUT, "accuracy on digits:train": judge.accuracy},
            "labels read, raw": float(before.double().mean()),
            "labels read, refined": {name: over_seeds(values) for name, values in agreement.items()},
            "labels kept of those read before": {name: over_seeds(values) for name, values in kept.items()},
            "change, mean |R(x) - x|": {name: over_seeds(values) for name, values in change.items()},
            "full minus no-regularisation": {f"weights{ending or ' of the end'}": of for ending, of in versus.items()},
            "reproduced": {
                FULL + ending: above(of["labels read"]) and above(of["labels kept"]) for ending, of in versus.items()
            },
        },
    }
    path = args.results / "simgan_classifier.json"
    write(path, found, seeds, [run for of in runs.values() for run in of])

    rows = [("raw", raw)]
    rows += [(f"{name}, seed {seed}".replace(FREE, "free"), of) for name in after for seed, of in after[name].items()]
    draw(path.with_suffix(".png"), [*rows, ("real", real)], found_23, kept, change)


def draw(path: Path, rows: list[tuple[str, torch.Tensor]], *values: dict[str, list[float]]) -> None:
    """Pictures, then accuracies, labels kept and changes, a point a seed."""
    titles = (
        "accuracy on real digits, by what\nthe classifier was trained on (F23)",
        "labels that are still read (F24)",
    )
    figure = plt.figure(figsize=(11, 9.5))
    top, bottom = figure.add_gridspec(2, 1, height_ratios=(1.9, 1))
    rows_of_pictures(top, rows, 22)
    for axis, of, title in zip(
        bottom.subgridspec(1, 3, wspace=0.3).subplots(), values, (*titles, "mean change of a pixel (F24)"), strict=True
    ):
        dots(axis, of, title)
    save(figure, path)


def dots(axis: plt.Axes, values: dict[str, list[float]], title: str) -> None:
    """A point a seed and a line at the mean, for each name."""
    for place, of in enumerate(values.values()):
        axis.plot([place] * len(of), of, "o", color="tab:blue", alpha=0.6)
        axis.plot([place - 0.2, place + 0.2], [sum(of) / len(of)] * 2, color="tab:red", linewidth=2)
    names = [name.replace(FREE, "free").replace(", ", ",\n").replace("averaged", "mean") for name in values]
    axis.set_xticks(range(len(values)), names, fontsize=7)
    axis.set_xlim(-0.5, len(values) - 0.5)
    axis.set_title(title, fontsize=9)
    axis.grid(axis="y", alpha=0.3)


if __name__ == "__main__":
    main()
