"""F5: walks in z change the picture smoothly (Radford et al. 2016, section 6.1).

`python experiments/dcgan_walks.py` walks in straight lines between the latents of eight seeds and back, in the DCGAN
runs of the study dcgan_learning_rates at rate 2e-4, and measures each step in features of efficientnet_lite0 beside
the distance of unrelated samples. The control is what a generator would do that has learnt pictures by heart: for
every frame of the same walk the training picture nearest in pixels.

Writes results/dcgan_walks.json and .png. About three minutes on one core, with the runs there.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from matplotlib import pyplot as plt

import ganvas
from findings import above, arguments, features, over_seeds, paired, real_pictures, save, show, trained, write
from ganvas.inspect import jumps, nearest_pictures, walk
from ganvas.viz.grids import to_bytes

VARIANT = "dcgan-2e-4"
SEEDS = range(8)
STEPS = 16
"""From one seed to the next."""
UNRELATED = 200
NUMBERS = ("unevenness", "largest_of_unrelated", "mean_of_unrelated")


def measured(pictures: torch.Tensor, unrelated: torch.Tensor) -> dict[str, float]:
    """The numbers of a closed walk."""
    found = asdict(jumps(features(pictures), unrelated, closed=True))
    if not found["mean"]:  # always the same picture: no step is larger than another
        found["unevenness"] = 1.0
    return found | {"mean_of_unrelated": found["largest_of_unrelated"] / found["unevenness"]}


def main() -> None:
    args = arguments(__doc__, "dcgan_learning_rates", UNRELATED)
    runs = trained(args.study, args.runs, (VARIANT,), args.parallel)[VARIANT]
    train, _ = real_pictures(args.study.variants[0].data, args.study.variants[0].chosen.config.size)
    known = torch.from_numpy(to_bytes(train))
    walks, lookups, rows = [], [], []
    for run in runs:
        opened = ganvas.load(run.path)
        unrelated = features(opened.sample(args.n, seed=40_000))
        pictures = walk(opened, SEEDS, STEPS, "linear")
        nearest = train[nearest_pictures(torch.from_numpy(to_bytes(pictures)), known)[1]]
        walks.append(measured(pictures, unrelated))
        lookups.append(measured(nearest, unrelated))
        rows.append((pictures, nearest))
    result = {
        kind: {name: over_seeds([one[name] for one in of]) for name in NUMBERS}
        for kind, of in (("walk", walks), ("nearest training picture", lookups))
    }
    gap = {name: paired([one[name] for one in lookups], [one[name] for one in walks]) for name in NUMBERS}
    largest = result["walk"]["largest_of_unrelated"]
    found = {
        "finding": "F5: walks in z change the picture smoothly, without jumps",
        "frames": len(SEEDS) * STEPS,
        "numbers": {
            "unevenness": "largest step over the mean step",
            "largest_of_unrelated": "largest step over the mean distance of unrelated samples; near 1 is a jump",
            "mean_of_unrelated": "mean step over the same",
        },
        "by_kind": result,
        "nearest training picture minus walk": gap,
        "largest step of a walk is shorter than half the distance of unrelated samples": largest["high"] is not None
        and largest["high"] < 0.5,
        "reproduced": all(above(gap[name]) for name in ("unevenness", "largest_of_unrelated")),
    }
    path = args.results / "dcgan_walks.json"
    write(path, found, args.study.seeds, runs)
    draw(path.with_suffix(".png"), rows)


def draw(path: Path, rows: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """The first leg of each run's walk, and what is nearest to its frames."""
    figure, axes = plt.subplots(2 * len(rows), STEPS + 1, figsize=(0.75 * (STEPS + 1), 1.7 * len(rows)))
    for place, pair in enumerate(rows):
        for below, (pictures, label) in enumerate(zip(pair, ("walk", "nearest"), strict=True)):
            for column in range(STEPS + 1):
                show(axes[2 * place + below, column], pictures[column])
            axes[2 * place + below, 0].set_ylabel(f"run {place}\n{label}", fontsize=7)
    figure.suptitle(
        "From the latent of seed 0 to that of seed 1; below each frame the training picture nearest to it", fontsize=9
    )
    save(figure, path)


if __name__ == "__main__":
    main()
