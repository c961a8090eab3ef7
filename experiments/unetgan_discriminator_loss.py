"""F28: does the U-Net discriminator's loss stay higher for longer than BigGAN's? (Schonfeld et al. 2020, Figure 8)

`python experiments/unetgan_discriminator_loss.py openmoji` reads the logs of the ablation's runs. A loss is shown as a
share of what it is where every logit is zero (2 for hinge, 2 ln 2 for the non-saturating loss, times its weight), so
that 1 is a discriminator that knows nothing. Only BigGAN and the plain U-Net have the same objective (hinge) and the
same pictures; they are what is tested: the mean over the second half of training, of the loss on whole pictures.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib import pyplot as plt

from findings import over_seeds, paired, save
from ganvas.engine.log import read_stats
from ganvas.study.plan import StudyRun
from unetgan_runs import COLOURS, arguments, smooth, study_of, trained, write

PLAIN = ("image", "encoder", "decoder")


def losses(run: StudyRun) -> dict[str, dict[int, float]]:
    """The discriminator's adversarial losses as shares of the loss at chance, by head and step.

    Steps at which every batch was mixed have none.
    """
    hinge = run.chosen.config.adversarial.objective == "hinge"
    chance = 2.0 if hinge else 0.5 * 2 * math.log(2)  # the non-saturating loss has the published weight of one half
    found: dict[str, dict[int, float]] = {}
    for entry in read_stats(run.path / "stats.jsonl"):
        for head in PLAIN:
            if f"discriminator/{head}" in entry:
                found.setdefault(head, {})[entry["step"]] = entry[f"discriminator/{head}"] / chance
    return found


def main() -> None:
    args = arguments(__doc__)
    study = study_of(args.data)
    names = [variant.name for variant in study.variants]
    runs = {name: trained(study, args.runs, name) for name in names}
    shares = {name: [losses(run) for run in runs[name]] for name in names}

    def late(found: dict[str, dict[int, float]], head: str) -> float:
        return float(np.mean([value for step, value in found[head].items() if step > max(found[head]) / 2]))

    late_losses = {
        name: {head: over_seeds([late(found, head) for found in shares[name]]) for head in shares[name][0]}
        for name in names
    }
    biggan = late_losses["biggan"]["image"]["per_seed"]
    test = {head: paired(late_losses["unet"][head]["per_seed"], biggan) for head in ("encoder", "decoder")}
    found = {
        "finding": "F28: the U-Net discriminator's loss stays higher than BigGAN's",
        "measure": "discriminator loss over the second half of training, as a share of the loss at chance",
        "late_loss": late_losses,
        "unet minus biggan": test,
        "reproduced": test["encoder"]["excludes_zero"] and test["encoder"]["mean"] > 0,
    }
    path = args.results / f"unetgan_discriminator_loss_{study.name.removeprefix('unetgan_ablation_')}.json"
    write(path, study, [run for of in runs.values() for run in of], found)

    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2), sharey=True)
    for name in names:
        for head, line in (("image", "-"), ("encoder", "-"), ("decoder", "--")):
            if head not in shares[name][0]:
                continue
            axis = axes[int(head == "decoder")]
            seeds = [seed[head] for seed in shares[name]]
            for seed in seeds:
                axis.plot(list(seed), list(seed.values()), color=COLOURS[name], alpha=0.15, linewidth=0.8)
            steps = sorted(set(seeds[0]).intersection(*seeds))
            mean = [float(np.mean([seed[step] for seed in seeds])) for step in steps]
            axis.plot(steps, smooth(mean), line, color=COLOURS[name], label=name, linewidth=2)
    for axis, title in zip(axes, ("whole pictures (encoder; BigGAN's only head)", "pixels (decoder)"), strict=True):
        axis.axhline(1, color="black", linewidth=0.7, linestyle=":")
        axis.set(xlabel="step", title=title, ylim=(0, 1.6))
        axis.legend(fontsize=8, loc="lower left")
    axes[0].set_ylabel("discriminator loss / loss at chance")
    save(figure, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
