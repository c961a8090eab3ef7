"""F4: DCGAN trains over a wider range of learning rates than a GAN of perceptrons (Radford et al. 2016, section 3).

`python experiments/dcgan_learning_rates.py` trains DCGAN and GAN on `digits:train` at four rates, three seeds each,
equal steps, and scores the end by the kernel distance of 1,000 samples to 2,000 pictures of the data, features of
efficientnet_lite0. Training works at a rate if the distance is at most a limit. How wide the range of such rates is,
in decades, is read off the line through the four scores of a seed, distance and rate both as logarithms; it cannot
exceed the rates that were tried. Two limits, both set before the runs were looked at:

* the same for both systems: twice the lowest median distance of all;
* of each system its own: twice its own lowest median, so that only the range counts and not the quality.

Writes results/dcgan_learning_rates.json, .png and _samples.png. About 1.3 minutes a DCGAN on one core, 0.8 a GAN.
"""

from __future__ import annotations

import json

import numpy as np
import torch
from matplotlib import pyplot as plt

import ganvas
from findings import above, arguments, features, over_seeds, paired, real_pictures, save, trained, write
from ganvas.metrics.kernel import kernel_distance
from ganvas.study import run_study
from ganvas.viz.grids import grid, save_png

SYSTEMS = {"dcgan": "tab:red", "gan": "tab:blue"}
FACTOR = 2.0
SCORE = "kd_efficientnet_lite0"


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
    run_study(study, args.runs, parallel=args.parallel, results=args.results)
    runs = trained(study, args.runs, [variant.name for variant in study.variants])
    path = args.results / "dcgan_learning_rates.json"
    record = json.loads((args.results / f"{study.name}.json").read_text())
    rates = sorted({variant.chosen.config.adam.generator_rate for variant in study.variants})
    # scores[system][rate] = one a seed
    scores: dict[str, dict[float, list[float]]] = {system: {} for system in SYSTEMS}
    first = {}
    for variant in study.variants:
        rate = variant.chosen.config.adam.generator_rate
        scores[variant.system][rate] = [run.scores[SCORE]["value"] for run in runs[variant.name]]
        first[variant.system, rate] = runs[variant.name][0].path
    medians = {system: {rate: float(np.median(of[rate])) for rate in rates} for system, of in scores.items()}
    own = {system: FACTOR * min(of.values()) for system, of in medians.items()}
    limits = {"the same for both": dict.fromkeys(SYSTEMS, min(own.values())), "each system's own": own}
    widths = {
        name: {
            system: [
                width_of(rates, [of[rate][seed] for rate in rates], limit[system]) for seed in range(len(study.seeds))
            ]
            for system, of in scores.items()
        }
        for name, limit in limits.items()
    }
    gaps = {name: paired(of["dcgan"], of["gan"]) for name, of in widths.items()}
    heldout, train = (real_pictures(part, 32)[0][: args.n] for part in ("digits:test", study.variants[0].data))
    found = {
        "finding": "F4: DCGAN trains over a wider range of learning rates than an MLP GAN",
        "rates": rates,
        "kernel distance": {system: {rate: over_seeds(of[rate]) for rate in rates} for system, of in scores.items()},
        "medians": medians,
        "for comparison, held-out digits": kernel_distance(features(heldout), features(train)).value,
        "limits": limits,
        "width in decades": {name: {s: over_seeds(v) for s, v in of.items()} for name, of in widths.items()},
        "width tried": float(np.log10(rates[-1] / rates[0])),
        "dcgan minus gan": gaps,
        "reproduced, the same limit for both": above(gaps["the same for both"]),
        "reproduced, each system's own limit": above(gaps["each system's own"]),
        "reproduced": all(above(gap) for gap in gaps.values()),
        "study_record": record.get("study_record", record),
    }
    write(path, found, study.seeds, [run for of in runs.values() for run in of])

    figure, axis = plt.subplots(figsize=(7.5, 4.8))
    for system, colour in SYSTEMS.items():
        values = np.array([scores[system][rate] for rate in rates])
        axis.plot(rates, values, "o", color=colour, alpha=0.5)
        axis.plot(rates, np.median(values, 1), color=colour, label=f"{system}, median of {len(study.seeds)} seeds")
        axis.axhline(own[system], color=colour, linestyle=":", linewidth=1, label=f"twice the best of {system}")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate of both networks",
        ylabel="kernel distance to the data, lower is better",
    )
    axis.set_title(f"digits, 32 px, {study.variants[0].chosen.training.steps} steps of 64 pictures", fontsize=10)
    axis.legend(fontsize=8)
    save(figure, path.with_suffix(".png"))
    rows = torch.cat([ganvas.load(first[system, rate]).sample(12, seed=0) for system in SYSTEMS for rate in rates])
    samples = path.with_name(f"{path.stem}_samples.png")
    named = ", ".join(f"{system} {rate:g}" for system in SYSTEMS for rate in rates)
    save_png(samples, grid(rows, columns=12, least=32), {"Rows": named})
    print(samples)


if __name__ == "__main__":
    main()
