"""F30: does consistency sharpen where the decoder sees the real part of CutMix pictures? (Schonfeld et al. 2020, 3.2)

`python experiments/unetgan_localisation.py openmoji` mixes real pictures and each run's own samples with the same
masks and compares the decoder's map with the mask: mean intersection over union of the regions called real and fake
(logit > 0), and, without a threshold, how often a real pixel has the larger logit than a fake one (area under the
ROC curve, of all pixels together).
"""

from __future__ import annotations

import torch
from matplotlib import pyplot as plt

import ganvas
from findings import batches, over_seeds, paired
from ganvas.inspect.verdicts import localisation, separation, verdicts
from ganvas.losses.cutmix import mix
from unetgan_runs import arguments, masks, pictures_of, study_of, trained, write

SHOWN = 6


def maps_of(path, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mixed pictures, their masks (n, H, W) and the decoder's logits (n, H, W)."""
    run = ganvas.load(path)
    real, fake = pictures_of(run, n)
    mask = masks(real)
    mixed = mix(real, fake, mask)
    maps = torch.cat([verdicts(run.system.discriminator, batch)[1] for (batch,) in batches(mixed)])
    return mixed, mask[:, 0], maps


def main() -> None:
    args = arguments(__doc__)
    study = study_of(args.data)
    names = [variant.name for variant in study.variants if variant.chosen.config.discriminator == "unet"]
    runs = {name: trained(study, args.runs, name) for name in names}
    maps = {name: [maps_of(run.path, args.n) for run in runs[name]] for name in names}
    result = {
        name: {
            "iou": over_seeds([float(localisation(seen, mask).mean()) for _, mask, seen in maps[name]]),
            "separation": over_seeds([separation(seen[mask > 0.5], seen[mask < 0.5]) for _, mask, seen in maps[name]]),
        }
        for name in names
    }
    with_it, without = result["unet-cutmix-consistency"], result["unet-cutmix"]
    test = {key: paired(with_it[key]["per_seed"], without[key]["per_seed"]) for key in ("iou", "separation")}
    found = {
        "finding": "F30: consistency sharpens the decoder's localisation on CutMix pictures",
        "pictures": args.n,
        "by_variant": result,
        "with consistency minus without": test,
        "reproduced": test["iou"]["excludes_zero"] and test["iou"]["mean"] > 0,
    }
    path = args.results / f"unetgan_localisation_{study.name.removeprefix('unetgan_ablation_')}.json"
    write(path, study, [run for of in runs.values() for run in of], found)

    rows = 1 + 2 * len(names)
    figure, axes = plt.subplots(rows, SHOWN, figsize=(1.5 * SHOWN + 1, 1.5 * rows))
    for column in range(SHOWN):
        axes[0, column].imshow(maps[names[0]][0][1][column], cmap="gray", vmin=0, vmax=1)
        for place, name in enumerate(names):
            mixed, _, seen = maps[name][0]
            axes[1 + 2 * place, column].imshow((mixed[column].permute(1, 2, 0) + 1) / 2)
            shown = axes[2 + 2 * place, column].imshow(seen[column].sigmoid(), cmap="coolwarm_r", vmin=0, vmax=1)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    labels = ["mask\n(white: real)"] + [text for name in names for text in (f"{name}\nmixed", "decoder")]
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(label.replace("unet-cutmix-consistency", "+ consistency").replace("unet-", "+ "), fontsize=8)
    figure.tight_layout()
    figure.colorbar(shown, ax=axes, label="decoder: probability of real, 0 to 1", shrink=0.4)
    figure.savefig(path.with_suffix(".png"), dpi=110)
    print(path.with_suffix(".png"))


if __name__ == "__main__":
    main()
