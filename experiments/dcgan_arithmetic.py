"""F6: arithmetic on averaged z transfers an attribute (Radford et al. 2016, section 6.3.2 and figure 7).

`python experiments/dcgan_arithmetic.py` looks into the DCGAN runs of the study dcgan_learning_rates at rate 2e-4,
trained on `digits:train`. The attribute is the thickness of strokes: the ink of a picture, a mean over pixels of (x +
1) / 2. From 4,000 samples of a run, each digit's quarter with the most ink is thick, that with the least thin; digits
are told by a classifier trained on real ones (digits:test), where it is sure (0.9). Each trial draws digits a and b
and computes

    z = mean z(thick a) - mean z(thin a) + mean z(thin b)

of three exemplars each: is the result thicker than the picture at the mean of the thin b, and still a b? Two controls
of as many trials: a's six exemplars drawn without regard to ink, and single exemplars instead of three.

Writes results/dcgan_arithmetic.json and .png. About two minutes on one core, with the runs there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt

import ganvas
from digit_classifier import Judge, train_judge
from findings import above, arguments, over_seeds, paired, save, show, trained, write
from ganvas.engine.system import System
from ganvas.inspect import Group, arithmetic
from ganvas.inspect.arithmetic import combined, mean_latent
from ganvas.inspect.latents import at_latents

VARIANT = "dcgan-2e-4"
SURE = 0.9
EXEMPLARS = 3
TRIALS = 300
ARMS = ("arithmetic", "unrelated groups", "single exemplars")


def ink(images: torch.Tensor) -> torch.Tensor:
    """Mean over pixels of (x + 1) / 2, (B,)."""
    return (images.mean((1, 2, 3)) + 1) / 2


@dataclass
class Samples:
    """Seeds of a run's samples by digit: all that the judge is sure of, the quarter with most ink, that with least."""

    any: dict[int, np.ndarray]
    thick: dict[int, np.ndarray]
    thin: dict[int, np.ndarray]

    @classmethod
    def of(cls, system: System, judge: Judge, count: int) -> Samples:
        images = at_latents(system, system.prior.seeded(range(count)))
        chances, digits = judge.logits(images).softmax(1).max(1)
        weights = ink(images)
        any_, thick, thin = {}, {}, {}
        for digit in range(10):
            seeds = torch.where((digits == digit) & (chances >= SURE))[0]
            ordered = seeds[weights[seeds].argsort()].numpy()
            quarter = len(ordered) // 4
            if quarter >= 2 * EXEMPLARS:
                any_[digit], thick[digit], thin[digit] = ordered, ordered[-quarter:], ordered[:quarter]
        return cls(any_, thick, thin)


def groups_of(samples: Samples, arm: str, a: int, b: int, random: np.random.Generator) -> tuple[Group, ...] | list:
    """The three groups of a trial, as seeds."""
    if arm == "unrelated groups":
        drawn = random.choice(samples.any[a], 2 * EXEMPLARS, replace=False)
        first, second = drawn[:EXEMPLARS], drawn[EXEMPLARS:]
    else:
        first = random.choice(samples.thick[a], EXEMPLARS, replace=False)
        second = random.choice(samples.thin[a], EXEMPLARS, replace=False)
    third = random.choice(samples.thin[b], EXEMPLARS, replace=False)
    return tuple(
        Group(name, tuple(seeds.tolist()), sign)
        for name, seeds, sign in ((f"thick {a}", first, 1), (f"thin {a}", second, -1), (f"thin {b}", third, 1))
    )


def trials(system: System, judge: Judge, samples: Samples, arm: str, seed: int, count: int) -> dict[str, float]:
    """What comes of many trials: ink gained over the picture that was added to, and the digits of both."""
    random = np.random.default_rng([seed, ARMS.index(arm)])
    results, starts, wanted = [], [], []
    for _ in range(count):
        a, b = random.choice(sorted(samples.any), 2, replace=False).tolist()
        groups = groups_of(samples, arm, a, b, random)
        if arm == "single exemplars":
            one, two, three = (system.prior.seeded(group.seeds[:1])[0] for group in groups)
            results.append(one - two + three)
            starts.append(three)
        else:
            results.append(combined(system.prior, groups))
            starts.append(mean_latent(system.prior, groups[2]))
        wanted.append(b)
    after, before = at_latents(system, torch.stack(results)), at_latents(system, torch.stack(starts))
    truth = torch.tensor(wanted)
    gained = ink(after) - ink(before)
    return {
        "ink": float(ink(before).mean()),
        "gain": float(gained.mean()),
        "thicker": float((gained > 0).double().mean()),
        "kept": float((judge.classes(after) == truth).double().mean()),
        "kept_before": float((judge.classes(before) == truth).double().mean()),
    }


def main() -> None:
    args = arguments(__doc__, "dcgan_learning_rates", 4000)
    runs = trained(args.study, args.runs, (VARIANT,), args.parallel)[VARIANT]
    judge = train_judge(args.study.variants[0].chosen.config.size)
    count = min(TRIALS, args.n)
    found_of: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    drawn = []
    for run in runs:
        system = ganvas.load(run.path).system
        samples = Samples.of(system, judge, args.n)
        drawn.append((system, samples))
        for arm in ARMS:
            found_of[arm].append(trials(system, judge, samples, arm, run.seed, count))
    names = [*found_of[ARMS[0]][0]]
    result = {arm: {name: over_seeds([one[name] for one in found_of[arm]]) for name in names} for arm in ARMS}
    versus = {
        arm: {
            name: paired([one[name] for one in found_of[ARMS[0]]], [one[name] for one in found_of[arm]])
            for name in ("gain", "kept")
        }
        for arm in ARMS[1:]
    }
    found = {
        "finding": "F6: arithmetic on averaged z transfers an attribute",
        "judge": {"trained on": "digits:test", "accuracy on digits:train": judge.accuracy},
        "trials": count,
        "numbers": {
            "ink": "of the picture at the mean of the thin b, 0 to 1",
            "gain": "ink of the result less that",
            "thicker": "share of trials with a gain above 0",
            "kept": "share of results that the judge calls a b; kept_before: of the pictures at the mean of the thin b",
        },
        "by_arm": result,
        "arithmetic minus control": versus,
        "averaging keeps the digit more often than single exemplars": above(versus["single exemplars"]["kept"]),
        "reproduced": above(result["arithmetic"]["gain"]) and above(versus["unrelated groups"]["gain"]),
    }
    path = args.results / "dcgan_arithmetic.json"
    write(path, found, args.study.seeds, runs)
    draw(path.with_suffix(".png"), drawn)


def draw(path: Path, drawn: list[tuple[System, Samples]]) -> None:
    """Figure 7, one trial a run, none chosen: exemplars under their mean, and the result among its neighbours."""
    figure, axes = plt.subplots(4 * len(drawn), 7, figsize=(6.2, 3.6 * len(drawn)))
    for axis in axes.flat:
        axis.axis("off")
    for place, (system, samples) in enumerate(drawn):
        random = np.random.default_rng(place)
        a, b = random.choice(sorted(samples.any), 2, replace=False).tolist()
        groups = groups_of(samples, ARMS[0], a, b, random)
        found = arithmetic(system, groups)
        rows = axes[4 * place : 4 * place + 4]
        for column, (group, exemplars) in enumerate(zip(groups, found.exemplars, strict=True)):
            sign = {-1: "- ", 1: "+ " if column else ""}[group.sign]
            for row, picture in enumerate([*exemplars, found.means[column]]):
                title = f"{sign}{group.name}" if row == 0 else "mean z" if row == 3 else ""
                rows[row, column].axis("on")
                show(rows[row, column], picture, title)
        for number, picture in enumerate(found.block):
            cell = rows[number // 3, 4 + number % 3]
            cell.axis("on")
            show(cell, picture, "= result" if number == 4 else "")
    save(figure, path)


if __name__ == "__main__":
    main()
