"""F21: two coupled directions avoid the collapse of one (Kim et al. 2017, section 4.1, figure 4).

`python experiments/discogan_modes.py` trains, on five modes (A) to be translated into ten (B), the paper's three
models: one direction alone (gan), one with the way back (recongan) and both directions (discogan), all with the same
networks, rates, batches and steps. Twice: with A's modes close together (mixtures2d:close), five seeds each, and as far
apart as B's are (mixtures2d), three seeds each. Exact, because the mixtures are known:

* A's modes kept apart: different modes of B that are nearest to the means of A's translated modes, five at best;
* B's modes covered: those that at least 2 % of A's points are translated to, within three deviations;
* points on target: translated to within three deviations of any mode of B;
* lost on the way back: mean squared distance of G_BA(G_AB(x)) from x, over the variance of A.

A model that collapses keeps fewer than five apart and covers fewer than five; means are of little use where few points
are on target. Writes results/discogan_modes.json and .png. About ten minutes on
one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib import pyplot as plt

import ganvas
from findings import above, over_seeds, paired, save, write
from ganvas.data import DataOptions, open_data
from ganvas.data.sides import Sides
from ganvas.viz.mixtures import draw_source, draw_translated, mode_points

MODELS = ("gan", "recongan", "discogan")
DATA = ("mixtures2d:close", "mixtures2d")
FEWER = 3
"""Seeds of the second kind of data."""
POINTS = 2000
"""Of each mode of A."""
SHARE, REACH = 0.02, 3
"""A mode of B is covered by this share of A's points within so many deviations."""
KEPT, COVERED, ON_TARGET, LOST = MEASURES = (
    "A's modes kept apart", "B's modes covered", "points on target", "lost on the way back"
)  # fmt: skip
COUNTS = (KEPT, COVERED)
"""What the models are compared by."""


def measured(system: torch.nn.Module, data: Sides) -> dict[str, float]:
    """Where the points of A go."""
    points = mode_points(data.source, POINTS)  # (K, N, 2)
    modes = torch.tensor(data.target.means, dtype=torch.float64)
    with torch.no_grad():
        moved = system.generator["AtoB"](points.float().reshape(-1, 2, 1, 1))
        back = system.generator["BtoA"](moved).flatten(1) if "BtoA" in system.generator else None
    moved = moved.flatten(1).double()
    away, nearest = torch.cdist(moved, modes).min(1)
    hit = away < REACH * data.target.deviations[0]
    shares = torch.bincount(nearest[hit], minlength=len(modes)) / len(moved)
    means = moved.reshape(len(points), POINTS, 2).mean(1)
    found = {
        KEPT: len(set(torch.cdist(means, modes).argmin(1).tolist())),
        COVERED: int((shares >= SHARE).sum()),
        ON_TARGET: float(hit.double().mean()),
    }
    if back is not None:
        found[LOST] = float((back - points.flatten(0, 1)).square().sum(1).mean() / points.flatten(0, 1).var(0).sum())
    return found


def made(path: Path, model: str, data: str, seed: int, settings: dict) -> ganvas.Run:
    """A run, trained as far as it is not yet."""
    if not (path / "config.json").exists():
        return ganvas.train("discogan", "mixtures2d", data=data, out=path, model=model, seed=seed, **settings)
    if ganvas.Run(path).step < settings["steps"]:
        return ganvas.resume(path, steps=settings["steps"])
    return ganvas.load(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/discogan_modes"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()
    seeds = list(range(args.seeds))
    settings = {
        "width": 64, "batch": 64, "steps": args.steps, "threads": 1, "log_every": args.steps, "grid_every": 0,
        "checkpoint_every": args.steps,
    }  # fmt: skip
    values: dict[str, dict[str, list[dict[str, float]]]] = {name: {model: [] for model in MODELS} for name in DATA}
    first: dict[str, dict[str, torch.nn.Module]] = {name: {} for name in DATA}
    opened = {
        name: open_data(name, DataOptions(), size=1, channels=2, source_channels=2, sides="unpaired") for name in DATA
    }
    for name in DATA:
        for seed in seeds if name == DATA[0] else seeds[:FEWER]:
            for model in MODELS:
                run = made(args.runs / name.replace(":", "-") / model / f"seed-{seed}", model, name, seed, settings)
                first[name].setdefault(model, run.system)
                values[name][model].append(measured(run.system, opened[name]))
    counts = {
        measure: {name: {model: [of[measure] for of in values[name][model]] for model in MODELS} for name in DATA}
        for measure in COUNTS
    }
    versus = {
        name: {
            measure: {f"discogan minus {model}": paired(of[name]["discogan"], of[name][model]) for model in MODELS[:2]}
            for measure, of in counts.items()
        }
        for name in DATA
    }
    found = {
        "finding": "F21: two coupled directions avoid the mode collapse of one",
        "settings": settings,
        "points of each mode of A": POINTS,
        "by data and model": {
            name: {
                model: {measure: over_seeds([of[measure] for of in rows]) for measure in MEASURES if measure in rows[0]}
                for model, rows in of.items()
            }
            for name, of in values.items()
        },
        "differences by data": versus,
        "reproduced by data": {
            name: {measure: {than: above(gap) for than, gap in gaps.items()} for measure, gaps in of.items()}
            for name, of in versus.items()
        },
    }
    found["reproduced"] = all(above(gap) for gaps in versus[DATA[0]].values() for gap in gaps.values())
    path = args.results / "discogan_modes.json"
    write(path, found, seeds)
    draw(path.with_suffix(".png"), first, opened, counts[COVERED])


def draw(path: Path, first: dict, opened: dict[str, Sides], covered: dict[str, dict[str, list[float]]]) -> None:
    """One row for each kind of data: A, the three models of the first seed, and all seeds."""
    figure, axes = plt.subplots(len(DATA), 5, figsize=(19, 4.1 * len(DATA)))
    for row, name in zip(axes, DATA, strict=True):
        data = opened[name]
        draw_source(row[0], data.source)
        row[0].set_title(f"A of {name}", fontsize=10)
        for axis, model in zip(row[1:4], MODELS, strict=True):
            system = first[name][model]
            draw_translated(axis, system.generator["AtoB"], system.discriminator["B"], data.source, data.target)
            axis.set_title(f"{model}, seed 0: {covered[name][model][0]} of B's modes covered", fontsize=10)
        for place, model in enumerate(MODELS):
            of = covered[name][model]
            row[4].bar(place, sum(of) / len(of), width=0.6, color="lightgray")
            spread = [place + 0.08 * (seed - (len(of) - 1) / 2) for seed in range(len(of))]
            row[4].plot(spread, of, "o", color="tab:blue")
        row[4].set_xticks(range(len(MODELS)), MODELS)
        row[4].set(ylim=(0, 10.4), title="B's modes covered (dots: seeds, bars: means)")
        row[4].title.set_fontsize(10)
    save(figure, path)


if __name__ == "__main__":
    main()
