"""F2: early in training the non-saturating loss gives G a far larger gradient than the minimax loss.

Goodfellow et al. 2014, section 3, last paragraph. `python experiments/gan_gradients.py` takes the networks and the
gradient descent of the preset `mnist`, trains the discriminator alone on `digits:train` against the generator's first
weights, and on the way measures the norm of the gradient that all of G's weights would get from either loss, on the
same fakes with the same dropout. In the logit a the two are known: -sigmoid(a) of log(1 - D), -(1 - sigmoid(a)) of
-log D.

Writes results/gan_gradients.json and .png. About two minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt

from findings import over_seeds, save, write
from ganvas.data import DataOptions, open_data
from ganvas.engine.seeding import seed_for
from ganvas.losses.objectives import objective
from ganvas.systems import gan

OBJECTIVES = ("minimax", "non-saturating")
BATCH = 100
FAR = 10
"""Times as large: what counts as far larger, of the last measurement."""


def in_the_logit() -> dict[str, float]:
    """Largest difference between the derivatives in the logit and their closed forms, float64, from -40 to 40.

    PyTorch takes softplus for a straight line above 20, which costs sigmoid(-20) = 2e-9.
    """
    differences = {}
    forms = {"minimax": lambda a: -torch.sigmoid(a), "non-saturating": lambda a: -torch.sigmoid(-a)}
    for name, form in forms.items():
        logits = torch.linspace(-40, 40, 8001, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(objective(name).generator(logits).sum(), logits)
        differences[name] = float((gradient - form(logits.detach())).abs().max())
    return differences


def gradient_norms(system: gan.GAN, z: torch.Tensor, step: int) -> dict[str, float]:
    """Norms of the gradients that the generator would get; and D(G(z)), a mean over pictures."""
    norms = {}
    for name in OBJECTIVES:
        torch.manual_seed(seed_for("dropout of the discriminator", step))
        logits = system.discriminator(system.generator(z)).heads["image"]
        parameters = [*system.generator.parameters()]
        gradients = torch.autograd.grad(objective(name).generator(logits).mean(), parameters)
        norms[name] = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
    return norms | {"answer": float(torch.sigmoid(logits.detach()).mean())}


def course(data, seed: int, steps: int) -> dict[int, dict[str, float]]:
    """What G would get after each number of discriminator steps."""
    torch.manual_seed(seed_for("first weights", seed))
    system = gan.GAN(gan.Config())
    sampler = data.sampler(batch=BATCH, seed=seed, options=DataOptions(flip=False), device="cpu", size=28)
    system.begin(sampler.batch(0, draw=1 + i) for i in range(10))
    optimizers = system.optimizers()
    found = {}
    for step in range(steps + 1):
        torch.manual_seed(seed_for("latents", seed, step))
        z = system.prior.draw(BATCH)
        if step % 20 == 0 or step == steps:
            found[step] = gradient_norms(system, z, step)
        torch.manual_seed(seed_for("discriminator step", seed, step))
        with torch.no_grad():
            fake = system.generator(z)
        system.schedule(step, optimizers)
        optimizers["discriminator"].zero_grad()
        sum(system.adversarial.discriminator_terms(sampler.batch(step)["image"], fake, step=step).values()).backward()
        optimizers["discriminator"].step()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600, help="of the discriminator")
    parser.add_argument("--results", type=Path, default=Path("results"))
    args = parser.parse_args()
    seeds = range(args.seeds)
    data = open_data("digits:train", DataOptions(flip=False), size=28, channels=1)
    courses = [course(data, seed, args.steps) for seed in seeds]
    steps = sorted(courses[0])
    logarithm = {
        step: over_seeds([float(np.log10(of[step]["non-saturating"] / of[step]["minimax"])) for of in courses])
        for step in steps
    }
    middle = [step for step in steps if step]
    found = {
        "finding": "F2: early on the non-saturating loss gives G a far larger gradient than the minimax loss",
        "largest difference from the closed form in the logit": in_the_logit(),
        "norms": {
            name: {step: over_seeds([of[step][name] for of in courses]) for step in steps} for name in OBJECTIVES
        },
        "D(G(z))": {step: over_seeds([of[step]["answer"] for of in courses]) for step in steps},
        "log10 of the ratio": logarithm,
        "median ratio over all steps but the first": over_seeds(
            [float(np.median([of[step]["non-saturating"] / of[step]["minimax"] for step in middle])) for of in courses]
        ),
        "far larger": f"{FAR} times, at the last step",
        "reproduced": bool((logarithm[steps[-1]]["low"] or 0.0) > np.log10(FAR)),
    }
    path = args.results / "gan_gradients.json"
    write(path, found, list(seeds))
    draw(path.with_suffix(".png"), courses)


def draw(path: Path, courses: list[dict[int, dict[str, float]]]) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(14, 4))
    steps = sorted(courses[0])
    curves = {name: np.array([[of[step][name] for of in courses] for step in steps]) for name in courses[0][0]}
    for name, colour in zip(OBJECTIVES, ("tab:gray", "tab:red"), strict=True):
        axes[0].plot(steps, curves[name], color=colour, linewidth=1)
        axes[0].plot([], [], color=colour, label=name)
    axes[0].set(yscale="log", title="norm of G's gradient (one line a seed)")
    axes[0].legend(fontsize=8)
    axes[1].plot(steps, curves["non-saturating"] / curves["minimax"], color="tab:red", linewidth=1)
    axes[1].axhline(1, color="0.5", linewidth=0.8)
    axes[1].set(yscale="log", title="non-saturating over minimax")
    axes[2].plot(steps, curves["answer"], color="tab:blue", linewidth=1)
    axes[2].set(yscale="log", title="D(G(z)), mean over pictures")
    for axis in axes:
        axis.set_xlabel("steps of the discriminator, generator as it began")
    save(figure, path)


if __name__ == "__main__":
    main()
