"""F25: does the history of refined pictures keep the discriminator from forgetting? (SimGAN, section 2.3)

`python experiments/simgan_history.py` trains SimGAN with its history and without, and shows the discriminator of every
checkpoint after the warm-up what the refiner made at that and at all earlier checkpoints, beside real digits that no
run has seen.

* Memory: of refined and real pictures, half each, the share that a discriminator tells rightly by its mean over
  patches; "old" are all pairs of a discriminator and an earlier refiner, "at the end" those of the last discriminator.
  Beside it the area under the ROC curve, which does not depend on where a discriminator draws the line.
* Pictures: the kernel distance of refined from real digits (features of a digit classifier) along the training, and its
  mean change from one checkpoint to the next, relative to its mean, over the second half.

Writes results/simgan_history.json and .png. A minute a run on one core, and two to look.
"""

from __future__ import annotations

import itertools

import torch
from matplotlib import pyplot as plt
from torch import nn

import ganvas
from digit_classifier import train_judge
from findings import above, arguments, over_seeds, paired, real_pictures, save, trained, write
from ganvas.metrics.kernel import kernel_distance
from ganvas.study.plan import StudyRun
from simgan_refined import HELD_OUT, opened, refined, rows_of_pictures, sides

WITH, WITHOUT = "full", "no-history"


def checkpoints(run: StudyRun) -> list[int]:
    """Those at which the refiner and the discriminator have met, and the one before that."""
    config = run.chosen.config
    warm = config.refiner_warmup + config.discriminator_warmup
    return [step for step in ganvas.load(run.path).folder.checkpoints().steps() if step >= warm]


def logits(discriminator: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """What a discriminator says, (N,): the mean over patches, above 0 for real."""
    (head,) = discriminator(pictures).heads.values()
    return head.flatten(1).mean(1)


def told(real: torch.Tensor, fake: torch.Tensor) -> tuple[float, float]:
    """The share told rightly, half of it of each kind, and the area under the ROC curve."""
    right = ((real > 0).double().mean() + (fake <= 0).double().mean()) / 2
    gaps = real[:, None] - fake
    return float(right), float((gaps > 0).double().mean() + (gaps == 0).double().mean() / 2)


def main() -> None:
    args = arguments(__doc__, "simgan", 400)
    runs = trained(args.study, args.runs, (WITH, WITHOUT), args.parallel)
    size = args.study.variants[0].chosen.config.size
    simulated = real_pictures(sides(args.study)[0], size)[0][: args.n]
    real = real_pictures(sides(args.study)[1], size)[0][: args.n]
    unseen = real_pictures(HELD_OUT, size)[0][: args.n]
    judge = train_judge(size)
    of_real = judge.features(real)
    steps = checkpoints(runs[WITH][0])
    measures = ("old", "at the end", "new", "AUC, old", "AUC, at the end")
    memory = {name: {measure: [] for measure in measures} for name in runs}
    table = {name: torch.zeros(len(steps), len(steps)) for name in runs}
    distances: dict[str, list[list[float]]] = {name: [] for name in runs}
    refuted: dict[str, list[list[list[float | None]]]] = {name: [] for name in runs}
    shown = {}
    for name, of in runs.items():
        for run in of:
            pictures = {step: refined(opened(run, step), simulated) for step in steps}
            shown.setdefault(name, pictures)
            distances[name].append([kernel_distance(judge.features(pictures[step]), of_real).value for step in steps])
            score = {}
            refuted[name].append([[None] * len(steps) for _ in steps])
            for row, step in enumerate(steps):
                discriminator = opened(run, step).system.discriminator
                on_real = logits(discriminator, unseen)
                for column, earlier in enumerate(steps[: row + 1]):
                    on_refined = logits(discriminator, pictures[earlier])
                    score[step, earlier] = told(on_real, on_refined)
                    refuted[name][-1][row][column] = round(float((on_refined <= 0).double().mean()), 4)
                    table[name][row, column] += score[step, earlier][0] / len(of)
            old = [pair for pair in score if pair[0] > pair[1]]
            end = [pair for pair in old if pair[0] == steps[-1]]
            new = [pair for pair in score if pair[0] == pair[1]]
            for measure, pairs, which in zip(measures, (old, end, new, old, end), (0, 0, 0, 1, 1), strict=True):
                memory[name][measure].append(sum(score[pair][which] for pair in pairs) / len(pairs))
    later = steps[len(steps) // 2 :]
    mean, unrest = {}, {}
    for name in runs:
        ends = [values[-len(later) :] for values in distances[name]]
        mean[name] = [sum(values) / len(values) for values in ends]
        unrest[name] = [
            sum(abs(b - a) for a, b in itertools.pairwise(values)) / max(1, len(values) - 1) / around
            for values, around in zip(ends, mean[name], strict=True)
        ]
    versus = {measure: paired(memory[WITH][measure], memory[WITHOUT][measure]) for measure in measures}
    closer = paired(mean[WITHOUT], mean[WITH])
    calmer = paired(unrest[WITHOUT], unrest[WITH])
    parts = {
        "old pictures are told better": above(versus["old"]),
        "at the end, old pictures are told better": above(versus["at the end"]),
        "refined pictures are closer to real ones": above(closer),
        "their distance changes less": above(calmer),
    }
    found = {
        "finding": "F25: the history of refined pictures removes artefacts that the discriminator has forgotten",
        "pictures of each kind": args.n,
        "checkpoints": steps,
        "told rightly": {name: {m: over_seeds(values) for m, values in of.items()} for name, of in memory.items()},
        "with history minus without": versus,
        "refined pictures told rightly, by seed; rows: discriminator, columns: refiner": refuted,
        "kernel distance": {
            "features": "of a classifier of digits",
            "raw": kernel_distance(judge.features(simulated), of_real).value,
            "by checkpoint": distances,
            "checkpoints of the second half": later,
            "mean of the second half": {name: over_seeds(values) for name, values in mean.items()},
            "change from checkpoint to checkpoint, relative": {n: over_seeds(values) for n, values in unrest.items()},
            "without history minus with": {"mean": closer, "change": calmer},
        },
        "parts reproduced": parts,
        "reproduced": all(parts.values()),
    }
    path = args.results / "simgan_history.json"
    write(path, found, args.study.seeds, [run for of in runs.values() for run in of])

    figure = plt.figure(figsize=(11, 8))
    top, bottom = figure.add_gridspec(2, 1, height_ratios=(1.2, 1))
    some = [steps[0], *later]
    rows = [(f"{name}, {step}", shown[name][step]) for name in runs for step in some]
    rows_of_pictures(top, [("raw", simulated), *rows, ("real", real)], 24)
    *maps, curves = bottom.subgridspec(1, 3, wspace=0.35).subplots()
    for axis, name in zip(maps, runs, strict=True):
        values = table[name].masked_fill(torch.ones_like(table[name]).triu(1).bool(), torch.nan)
        axis.imshow(values, vmin=0.5, vmax=1, cmap="viridis")
        for row in range(len(steps)):
            for column in range(row + 1):
                number = f"{100 * values[row, column]:.0f}"
                axis.text(column, row, number, ha="center", va="center", fontsize=7, color="white")
        axis.set_xticks(range(len(steps)), steps, fontsize=7, rotation=90)
        axis.set_yticks(range(len(steps)), steps, fontsize=7)
        axis.set_xlabel("refiner of step", fontsize=8)
        axis.set_ylabel("discriminator of step", fontsize=8)
        axis.set_title(f"{name}: told rightly, %, all seeds", fontsize=9)
    for name, colour in zip(runs, ("tab:blue", "tab:orange"), strict=True):
        for number, values in enumerate(distances[name]):
            curves.plot(steps, values, color=colour, alpha=0.8, label=None if number else name)
    curves.set_title("kernel distance of refined from real", fontsize=9)
    curves.set_xlabel("step", fontsize=8)
    curves.legend(fontsize=8)
    curves.grid(alpha=0.3)
    save(figure, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
