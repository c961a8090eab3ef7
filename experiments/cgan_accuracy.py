"""F8: is the class asked for the class drawn? (Mirza & Osindero 2014; Radford et al. 2016, code for MNIST)

`python experiments/cgan_accuracy.py` trains conditional GANs on `digits:train`, convolutions and perceptrons, three
seeds each, about equal minutes, and the convolutional one on the same pictures with shuffled labels. Two judges:

* a classifier trained on real digits that no GAN has seen (digits:test): does it see in a sample the digit asked for?
* the other way round (published code): a 1-NN classifier whose training pictures are samples, with the class asked
  for as label: how well does it tell real digits (digits:test)? Beside it the same of as many real ones.

Writes results/cgan_accuracy.json and .png. About two minutes a run on one core.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from matplotlib import pyplot as plt

import ganvas
from digit_classifier import train_judge
from findings import above, arguments, over_seeds, paired, real_pictures, save, trained, write
from ganvas.metrics.neighbours import nearest
from ganvas.study.file import Study
from ganvas.viz.grids import save_png, to_bytes

CHANCE = 0.1
CONTROL = "conv-shuffled"


def with_control(study: Study, folder: Path, size: int) -> Study:
    """The study with one more variant: the first one on the same pictures, their labels shuffled once for all seeds."""
    if not folder.exists():
        images, labels = real_pictures(study.variants[0].data, size)
        shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
        for label in labels.unique().tolist():
            (folder / str(label)).mkdir(parents=True)
        for number, (picture, label) in enumerate(zip(to_bytes(images), shuffled.tolist(), strict=True)):
            save_png(folder / str(label) / f"{number:04}.png", picture)
    control = dataclasses.replace(study.variants[0], name=CONTROL, data=str(folder))
    return dataclasses.replace(study, variants=(*study.variants, control))


def neighbour_accuracy(images: torch.Tensor, labels: torch.Tensor, size: int, count: int) -> float:
    """Of a 1-NN classifier with the first `count` of these pictures, on the digits that nothing is trained on."""
    real, truth = real_pictures("digits:test", size)
    _, rows = nearest(real.flatten(1).double(), images[:count].flatten(1).double())
    return float((labels[rows[:, 0]] == truth).double().mean())


def main() -> None:
    args = arguments(__doc__, "cgan_accuracy", 10_000)
    size = args.study.variants[0].chosen.config.size
    folder = (args.runs or Path("runs", args.study.name)).absolute()
    study = with_control(args.study, folder / "shuffled", size)
    names = [variant.name for variant in study.variants]
    runs = trained(study, args.runs, names, args.parallel)
    judge = train_judge(size)
    wanted = torch.arange(args.n) % 10
    real, truth = real_pictures("digits:train", size)
    counts = sorted({min(1000, args.n), args.n})
    accuracy: dict[str, list[float]] = {name: [] for name in names}
    neighbours: dict[str, dict[int, list[float]]] = {name: {count: [] for count in counts} for name in names}
    confusion = {name: torch.zeros(10, 10) for name in names}
    for name in names:
        for run in runs[name]:
            samples = ganvas.load(run.path).sample(args.n, classes=range(10))  # classes in turn
            seen = judge.classes(samples)
            accuracy[name].append(float((seen == wanted).double().mean()))
            confusion[name] += torch.bincount(10 * wanted + seen, minlength=100).view(10, 10)
            for count in counts:
                neighbours[name][count].append(neighbour_accuracy(samples, wanted, size, count))
    result = {
        name: {
            "accuracy": over_seeds(accuracy[name]),
            "minus_chance": over_seeds([value - CHANCE for value in accuracy[name]]),
            "1-NN accuracy, trained on as many samples": {
                count: over_seeds(values) for count, values in neighbours[name].items()
            },
            "confusion, rows are asked for": (confusion[name] / confusion[name].sum(1, keepdim=True)).tolist(),
        }
        for name in names
    }
    versus = {name: paired(accuracy[name], accuracy[CONTROL]) for name in names if name != CONTROL}
    found = {
        "finding": "F8: the class asked for is the class drawn",
        "judge": {"trained on": "digits:test", "accuracy on digits:train": judge.accuracy},
        "samples": args.n,
        "chance": CHANCE,
        "by_variant": result,
        "accuracy minus that of shuffled labels": versus,
        "1-NN accuracy, trained on real pictures": {
            count: neighbour_accuracy(real, truth, size, count) for count in (1000, len(real))
        },
        "reproduced": all(above(value) for value in versus.values())
        and all(above(result[name]["minus_chance"]) for name in versus),
    }
    path = args.results / "cgan_accuracy.json"
    write(path, found, study.seeds, [run for of in runs.values() for run in of])
    draw(path.with_suffix(".png"), {name: runs[name][0].path for name in names}, confusion, accuracy)


def draw(path: Path, first: dict[str, Path], confusion: dict[str, torch.Tensor], accuracy: dict[str, list]) -> None:
    """A grid of the first seed's samples and the confusion of all seeds, for each variant."""
    figure, axes = plt.subplots(2, len(first), figsize=(4.2 * len(first), 8.4))
    for (top, bottom), name in zip(axes.T, first, strict=True):
        samples = ganvas.load(first[name]).sample(100, seed=20_000, classes=[k for k in range(10) for _ in range(10)])
        height, width = samples.shape[2:]
        sheet = samples.view(10, 10, height, width).transpose(1, 2).reshape(10 * height, 10 * width)
        top.imshow(sheet, cmap="gray", vmin=-1, vmax=1)
        top.set(xticks=[], yticks=[height * (k + 0.5) for k in range(10)], yticklabels=range(10), ylabel="asked for")
        top.set_title(f"{name}: samples of seed 0, not chosen", fontsize=10)
        share = confusion[name] / confusion[name].sum(1, keepdim=True)
        bottom.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row in range(10):
            for column in range(10):
                value = float(share[row, column])
                if value >= 0.005:
                    colour = "white" if value > 0.5 else "black"
                    bottom.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=colour, fontsize=7)
        bottom.set(xticks=range(10), yticks=range(10), xlabel="seen by the judge", ylabel="asked for")
        mean = sum(accuracy[name]) / len(accuracy[name])
        bottom.set_title(f"percent of each row, all seeds; right in {mean:.1%}", fontsize=10)
    save(figure, path)


if __name__ == "__main__":
    main()
