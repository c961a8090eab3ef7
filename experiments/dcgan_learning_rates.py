"""F4: DCGAN trains over a wider range of learning rates than a GAN of perceptrons (Radford et al. 2016, section 3).

`python experiments/dcgan_learning_rates.py` trains DCGAN and GAN on `digits:train` at a quarter, 1, 5 and 25 times the
rates of their papers (Adam 2e-4, gradient descent 0.1), and the GAN with DCGAN's Adam as well; three seeds each, equal
steps. Scored is the Frechet distance of 1,000 samples to `digits:train` in the ten logits of a classifier that was
trained on other real digits (digits:test): a network trained on ImageNet takes a background that is not quite black
for more of a difference than a digit that cannot be read. Training works at a rate if the distance is at most a limit.
How wide the range of such rates is, in decades, is read off the line through the four scores of a seed, distance and
rate both as logarithms; it cannot exceed the rates that were tried. A run that was given up because its gradients
were not finite, after the engine's retries, counts as one that draws black pictures. Two limits:

* the same for all: twice the lowest median distance of all;
* of each its own: twice its own lowest median, so that only the range counts and not the quality.

Writes results/dcgan_learning_rates.json, .png and _samples.png. About 1.3 minutes a DCGAN on one core, 0.6 a GAN.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt

import ganvas
from digit_classifier import train_judge
from findings import above, arguments, over_seeds, paired, real_pictures, save, write
from ganvas.metrics.frechet import Moments, frechet_distance
from ganvas.study import run_study
from ganvas.viz.grids import grid, save_png

ARMS = {"dcgan": "tab:red", "gan-sgd": "tab:blue", "gan-adam": "tab:cyan"}
PAPER = {"dcgan": 2e-4, "gan-sgd": 0.1, "gan-adam": 2e-4}
"""Rates of the papers; of gan-adam, DCGAN's."""
LIMIT = 2.0


def spread(logits: torch.Tensor) -> Moments:
    """Mean and covariance, also of pictures that are all alike, which `ganvas.metrics.frechet.moments` refuses."""
    logits = logits.double()
    return Moments(logits.mean(0), logits.T.cov(), len(logits))


def width_of(rates: list[float], scores: list[float], limit: float) -> float:
    """Decades of the rate over which the line through the scores is at or below the limit.

    Args:
        rates: Ascending.
        scores: Of each; what is not above 0 counts as a hundredth of the limit.
        limit: Above 0.
    """
    fine = np.linspace(np.log10(rates[0]), np.log10(rates[-1]), 10_001)
    line = np.interp(fine, np.log10(rates), np.log10(np.maximum(scores, limit / 100)))
    return float((line <= np.log10(limit)).mean() * (fine[-1] - fine[0]))


def main() -> None:
    args = arguments(__doc__, "dcgan_learning_rates", 1000)
    study = args.study
    result = run_study(study, args.runs, parallel=args.parallel, results=args.runs or Path("runs", study.name))
    if result.stopped:
        sys.exit("not all runs are trained: the same command goes on")
    runs = {v.name: [run for run in study.runs(args.runs) if run.variant == v.name] for v in study.variants}
    given_up = [run.name for of in runs.values() for run in of if not run.trained]
    size = study.variants[0].chosen.config.size
    judge = train_judge(size)
    real = spread(judge.logits(real_pictures(study.variants[0].data, size)[0]))
    heldout = spread(judge.logits(real_pictures("digits:train", size)[0][: args.n]))

    # scores[arm][multiple of the paper's rate] = one a seed
    scores: dict[str, dict[float, list[float]]] = {arm: {} for arm in ARMS}
    first = {}
    for variant in study.variants:
        arm = next(arm for arm in ARMS if variant.name.startswith(arm))
        multiple = round(float(variant.name.removeprefix(f"{arm}-")) / PAPER[arm], 6)
        black = torch.full((args.n, 1, size, size), -1.0)
        drawn = [
            ganvas.load(run.path).sample(args.n, seed=10_000) if run.trained else black for run in runs[variant.name]
        ]
        scores[arm][multiple] = [frechet_distance(spread(judge.logits(images)), real) for images in drawn]
        first[arm, multiple] = drawn[0][:12]
    multiples = sorted(scores["dcgan"])
    medians = {arm: {m: float(np.median(of[m])) for m in multiples} for arm, of in scores.items()}
    own = {arm: LIMIT * min(of.values()) for arm, of in medians.items()}
    limits = {"the same for all": dict.fromkeys(ARMS, min(own.values())), "each its own": own}
    widths = {
        name: {
            arm: [width_of(multiples, [of[m][seed] for m in multiples], limit[arm]) for seed in range(len(study.seeds))]
            for arm, of in scores.items()
        }
        for name, limit in limits.items()
    }
    gaps = {name: {arm: paired(of["dcgan"], of[arm]) for arm in ARMS if arm != "dcgan"} for name, of in widths.items()}
    found = {
        "finding": "F4: DCGAN trains over a wider range of learning rates than an MLP GAN",
        "rates of the papers": PAPER,
        "multiples": multiples,
        "judge": {"trained on": "digits:test", "accuracy on digits:train": judge.accuracy},
        "samples": args.n,
        "Frechet distance": {arm: {m: over_seeds(of[m]) for m in multiples} for arm, of in scores.items()},
        "medians": medians,
        "given up": given_up,
        "for comparison, as many real digits": frechet_distance(heldout, real),
        "limits": limits,
        "width in decades": {name: {arm: over_seeds(v) for arm, v in of.items()} for name, of in widths.items()},
        "width tried": float(np.log10(multiples[-1] / multiples[0])),
        "dcgan minus": gaps,
        "reproduced, the same limit for all": all(map(above, gaps["the same for all"].values())),
        "reproduced, each its own limit": all(map(above, gaps["each its own"].values())),
        "reproduced": all(above(gap) for of in gaps.values() for gap in of.values()),
    }
    path = args.results / "dcgan_learning_rates.json"
    write(path, found, study.seeds, [run for of in runs.values() for run in of if run.trained])

    figure, axis = plt.subplots(figsize=(7.5, 4.8))
    for arm, colour in ARMS.items():
        values = np.array([scores[arm][m] for m in multiples])
        axis.plot(multiples, values, "o", color=colour, alpha=0.5)
        axis.plot(multiples, np.median(values, 1), color=colour, label=f"{arm}, median of {len(study.seeds)} seeds")
        axis.axhline(own[arm], color=colour, linestyle=":", linewidth=1)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate of both networks, in multiples of the paper's (Adam 2e-4, descent 0.1)",
        ylabel="Frechet distance in a digit classifier's logits",
    )
    steps = study.variants[0].chosen.training.steps
    axis.set_title(f"digits, {size} px, {steps} steps of 64; dotted: twice the best of each", fontsize=10)
    axis.legend(fontsize=8)
    save(figure, path.with_suffix(".png"))
    samples = path.with_name(f"{path.stem}_samples.png")
    named = ", ".join(f"{arm} x{m:g}" for arm in ARMS for m in multiples)
    rows = torch.cat([first[arm, m] for arm in ARMS for m in multiples])
    save_png(samples, grid(rows, columns=len(rows) // len(first), least=32), {"Rows": named})
    print(samples)


if __name__ == "__main__":
    main()
