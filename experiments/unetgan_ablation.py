"""F27: does each part of the U-Net GAN lower the distance to the data? (Schonfeld et al. 2020, Table 2, Figure 6)

`python experiments/unetgan_ablation.py openmoji` trains BigGAN, + U-Net discriminator, + CutMix, + consistency, three
seeds each, equal steps, scores the end and the checkpoints on the way, and writes results/unetgan_ablation_DATA.json
with two pictures. Run it again to go on after an interruption. About 4 minutes a run on one core.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt

import ganvas
from findings import over_seeds, paired, save
from ganvas.study import run_study
from ganvas.study.plan import StudyRun
from ganvas.viz.grids import grid, save_png
from unetgan_runs import COLOURS, arguments, study_of, trained, write

SCORES = {"fd_efficientnet_lite0": "Frechet distance", "kd_efficientnet_lite0": "kernel distance"}


def curve(run: StudyRun, n: int) -> dict[int, float]:
    """The kernel distance at each checkpoint that was kept; computed once."""
    path = run.path / f"curve-{n}.json"
    if not path.exists():
        steps = ganvas.Run(run.path).folder.checkpoints().steps()
        found = {}
        for step in steps[1:]:
            at_step = ganvas.load(run.path, checkpoint=step)
            scores = ganvas.evaluate(at_step, metrics=("kd",), n=n, seed=1_000_000, keep=False).scores
            found[step] = scores["kd_efficientnet_lite0"].value
        path.write_text(json.dumps(found))
    return {int(step): value for step, value in json.loads(path.read_text()).items()}


def main() -> None:
    args = arguments(__doc__)
    study = study_of(args.data)
    run_study(study, args.runs, results=args.results)
    names = [variant.name for variant in study.variants]
    runs = {name: trained(study, args.runs, name) for name in names}
    curves = {name: [curve(run, args.n) for run in runs[name]] for name in names}

    path = args.results / f"{study.name}.json"
    record = json.loads(path.read_text())
    scored = [score for score in SCORES if score in runs[names[0]][0].scores]
    final = {name: {score: [run.scores[score]["value"] for run in runs[name]] for score in scored} for name in names}
    steps = [*itertools.pairwise(names), (names[0], names[-1])]
    findings = {
        f"{after} against {before}": {score: paired(final[after][score], final[before][score]) for score in scored}
        for before, after in steps
    }
    for found in findings.values():
        for of_score in found.values():
            of_score["lower"] = of_score["excludes_zero"] and of_score["mean"] < 0
    found = {
        "finding": "F27: BigGAN -> U-Net discriminator -> + CutMix -> + consistency lowers the distance at each step",
        "medians": {
            name: {score: float(np.median(values)) for score, values in of.items()} for name, of in final.items()
        },
        "final": {name: {score: over_seeds(values) for score, values in of.items()} for name, of in final.items()},
        "differences": findings,
        "curve_kernel_distance": {"n": args.n, **curves},
        "study_record": record.get("study_record", record),
    }
    write(path, study, [run for of in runs.values() for run in of], found)
    draw(names, final, curves, path.with_suffix(".png"), args.data)
    rows = torch.cat([ganvas.load(runs[name][0].path).sample(12, seed=0) for name in names])
    licence = ganvas.load(runs[names[0]][0].path).settings.data["licence"]
    samples = path.with_name(f"{path.stem}_samples.png")
    save_png(samples, grid(rows, columns=12), {"Copyright": licence, "Rows": ", ".join(names)})
    print(samples)


def draw(names: list[str], final: dict, curves: dict, path: Path, data: str) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2))
    for axis, (score, title) in zip(axes, SCORES.items(), strict=False):
        if score not in final[names[0]]:
            continue
        for place, name in enumerate(names):
            values = final[name][score]
            axis.plot([place] * len(values), values, "o", color=COLOURS[name], alpha=0.6)
            axis.plot([place - 0.25, place + 0.25], [np.median(values)] * 2, color=COLOURS[name], linewidth=2)
        axis.set_xticks(
            range(len(names)),
            [name.replace("-", "\n+ ") for name in names],
        )
        axis.set_title(f"{title} at the end\n(points: seeds, line: median; lower is better)", fontsize=10)
        axis.set_ylim(0, 1.1 * max(max(of[score]) for of in final.values()))
    for name in names:
        steps = sorted(curves[name][0])
        values = np.array([[seed[step] for step in steps] for seed in curves[name]])
        axes[2].plot(steps, values.mean(0), "o-", color=COLOURS[name], label=name)
        axes[2].fill_between(steps, values.min(0), values.max(0), color=COLOURS[name], alpha=0.15, linewidth=0)
    axes[2].set_title("kernel distance while training\n(mean and range over seeds)", fontsize=10)
    axes[2].set_xlabel("step")
    axes[2].set_ylim(bottom=0)
    axes[2].legend(fontsize=8)
    figure.suptitle(f"{data}, features of efficientnet_lite0")
    save(figure, path)


if __name__ == "__main__":
    main()
