"""F1: with G fixed, D converges to p_data / (p_data + p_g); at the end of the game the densities agree and D is 1/2.

Goodfellow et al. 2014, proposition 1, theorem 1 and figure 1. `python experiments/gan_density.py` asks in two parts:

(a) G is linear, so that p_g = N(3, 0.8^2) is known exactly, and the data are N(4, 0.5^2). The discriminator of the
    preset density1d is trained alone, in fp32: Adam at 2e-3, falling to 0 as a cosine, 5,000 steps of 2,048 fresh
    points of each kind. D is compared with D* where the mixture (p_data + p_g) / 2 is above a thousandth of its peak.
(b) The whole game of density1d with its own settings: mean, standard deviation and Kolmogorov-Smirnov distance of
    p_g, with z in equal steps of probability, and D where the data are.

Writes results/gan_density.json and .png. About eight minutes on one core.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from scipy import stats

import ganvas
from findings import over_seeds, save, write
from ganvas.data import DataOptions, open_data
from ganvas.data.points import Points
from ganvas.engine.seeding import seed_for
from ganvas.systems import gan
from ganvas.viz.density import best_discriminator, density_picture, even_latents

MEAN, DEVIATION = 3.0, 0.8
"""Of p_g in part (a)."""
RATE = 2e-3
GOAL = 0.02
"""How far from D* the discriminator may be on average, weighted by the mixture, part (a)."""
TOLERANCES = {"mean": 0.1, "deviation": 0.1, "ks": 0.1, "discriminator": 0.1}
"""Part (b): of the mean and standard deviation, of the KS distance, and of |D - 1/2| on average over the data."""
LATENTS = 2**16
PLACES = torch.linspace(0, 6.5, 2001, dtype=torch.float64)[:, None]
"""Where D is looked at, (N, 1)."""


def answer(discriminator: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """D(x), (N,) float64."""
    with torch.no_grad():
        return torch.sigmoid(discriminator(x.float()[:, :, None, None]).heads["image"].double())


def against_fixed(data: Points, seed: int, steps: int, batch: int) -> dict:
    """Part (a): trains D alone."""
    config = gan.PRESETS["density1d"].config
    torch.manual_seed(seed_for("fixed generator", seed))
    system = gan.GAN(config)
    sampler = data.sampler(batch=batch, seed=seed, options=DataOptions(), device="cpu", size=1)
    optimizer = torch.optim.Adam(system.discriminator.parameters(), RATE, (config.adam.beta1, config.adam.beta2))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        fake = MEAN + DEVIATION * system.prior.draw(batch)[:, :, None, None]
        optimizer.zero_grad()
        terms = system.adversarial.discriminator_terms(sampler.batch(step)["image"], fake, step=step)
        sum(terms.values()).backward()
        optimizer.step()
    x = PLACES
    real, fake = data.density(x), Points("p_g", ((MEAN,),), (DEVIATION,)).density(x)
    mixture, best, found = (real + fake) / 2, best_discriminator(real, fake), answer(system.discriminator, x)
    seen = mixture > 1e-3 * mixture.max()
    away = (found - best).abs()[seen]
    weights = mixture[seen] / mixture[seen].sum()
    return {
        "mean": float((away * weights).sum()),
        "largest": float(away.max()),
        "curves": (x[:, 0], real, fake, best, found),
    }


def at_checkpoint(run: ganvas.Run, data: Points) -> dict[str, float]:
    """Part (b): where the game stands."""
    system = run.system
    drawn = system.from_latents(even_latents(system.prior, LATENTS), {}).flatten().double()
    (mean,), deviation = data.means[0], data.deviations[0]
    x = PLACES
    weights = data.density(x) / data.density(x).sum()
    return {
        "mean": float(drawn.mean()),
        "deviation": float(drawn.std()),
        "ks": float(stats.kstest(drawn.numpy(), stats.norm(mean, deviation).cdf).statistic),
        "discriminator": float(((answer(system.discriminator, x) - 0.5).abs() * weights).sum()),
    }


def inside(found: dict, target: float, tolerance: float) -> bool:
    """Whether the whole interval is within the tolerance of the target."""
    ends = [end for end in (found["low"], found["high"]) if end is not None]
    return len(ends) == 2 and all(abs(end - target) <= tolerance for end in ends)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/gan_density"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--steps", type=int, help="of both parts, instead of 5,000 and of the preset's")
    parser.add_argument("--batch", type=int, default=2048, help="points of each kind in a step of part (a)")
    args = parser.parse_args()
    seeds = range(args.seeds)
    data = open_data("normal1d", DataOptions(flip=False), size=1, channels=1)

    fixed = [against_fixed(data, seed, args.steps or 5000, args.batch) for seed in seeds]
    steps = args.steps or gan.PRESETS["density1d"].training.steps
    every = max(1, steps // 30)
    games = []
    for seed in seeds:
        path = args.runs / f"seed-{seed}"
        if not (path / "config.json").exists():
            ganvas.train(
                "gan", "density1d", data="normal1d", out=path, seed=seed, steps=steps, checkpoint_every=every, keep=99,
                grid_every=0, threads=1,
            )  # fmt: skip
        elif ganvas.Run(path).step < steps:
            ganvas.resume(path, steps=steps)
        kept = ganvas.Run(path).folder.checkpoints().steps()
        games.append({step: at_checkpoint(ganvas.load(path, checkpoint=step), data) for step in kept})
    last = {name: over_seeds([game[max(game)][name] for game in games]) for name in TOLERANCES}
    targets = {"mean": data.means[0][0], "deviation": data.deviations[0], "ks": 0.0, "discriminator": 0.0}
    met = {name: inside(last[name], targets[name], tolerance) for name, tolerance in TOLERANCES.items()}
    error = over_seeds([result["mean"] for result in fixed])
    found = {
        "finding": "F1: D converges to D* for a fixed G; at the end of the game densities agree and D is 1/2",
        "fixed generator": {
            "mean |D - D*|, weighted by the mixture": error,
            "largest |D - D*|": over_seeds([result["largest"] for result in fixed]),
            "goal of the mean": GOAL,
            "reproduced": error["high"] is not None and error["high"] <= GOAL,
        },
        "the game": {
            "first": {name: over_seeds([game[min(game)][name] for game in games]) for name in TOLERANCES},
            "last": last,
            "step of the last": max(games[0]),
            "targets": targets,
            "tolerances": TOLERANCES,
            "within tolerance": met,
            "by step": [{step: game[step] for step in sorted(game)} for game in games],
            "reproduced": all(met.values()),
        },
    }
    found["reproduced"] = found["fixed generator"]["reproduced"] and found["the game"]["reproduced"]
    path = args.results / "gan_density.json"
    write(path, found, list(seeds))
    draw(path.with_suffix(".png"), args.runs / "seed-0", data, fixed, games)


def draw(path: Path, run: Path, data: Points, fixed: list[dict], games: list[dict]) -> None:
    """Figure 1 at three times of seed 0; D beside D* for the fixed generator; how the game goes."""
    steps = sorted(games[0])
    shown = [steps[0], steps[min(len(steps) - 1, 3)], steps[-1]]
    figure, axes = plt.subplots(2, 3, figsize=(16, 9), height_ratios=(1.2, 1))
    for axis, step in zip(axes[0], shown, strict=True):
        system = ganvas.load(run, checkpoint=step).system
        axis.imshow(density_picture(system.generator, system.discriminator, system.prior, data))
        axis.set_title(f"the game, seed 0, step {step}", fontsize=10)
        axis.axis("off")
    curves, errors, course = axes[1]
    x, real, fake, best, _ = fixed[0]["curves"]
    curves.plot(x, real, "k:", label="$p_{data}$")
    curves.plot(x, fake, color="tab:green", label="$p_g$, fixed")
    curves.plot(x, best, color="tab:red", linewidth=3, alpha=0.4, label="D*")
    for number, result in enumerate(fixed):
        found = result["curves"][4]
        curves.plot(x, found, "--", color="tab:blue", linewidth=1, label=None if number else "D, each seed")
        errors.plot(x, found - best, linewidth=1)
    curves.set(title="D trained against a fixed generator", xlabel="x", xlim=(0.5, 6))
    curves.legend(fontsize=8)
    errors.plot(x, (real + fake) / 2 * 0.1, "k:", label="mixture density x 0.1")
    errors.axhline(0, color="0.6", linewidth=0.6)
    errors.set(title="D - D*, each seed", xlabel="x", xlim=(0.5, 6), ylim=(-0.15, 0.15))
    errors.legend(fontsize=8)
    for name, label in (("ks", "KS distance of $p_g$ to the data"), ("discriminator", "mean |D - 1/2| over the data")):
        values = np.array([[game[step][name] for step in steps] for game in games])
        (line,) = course.plot(steps, values.mean(0), label=label)
        course.fill_between(steps, values.min(0), values.max(0), color=line.get_color(), alpha=0.2, linewidth=0)
    course.set(title="the game: mean and range over seeds", xlabel="step", ylim=(0, None))
    course.legend(fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    main()
