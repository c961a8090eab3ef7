"""F10: what the five variants of SRGAN's table are good at (Ledig et al. 2017, section 3.4, table 1).

MSE training wins PSNR and SSIM; adversarial and VGG training wins perceptual distance; each beats bicubic in its own.
`python experiments/srgan_losses.py --vgg-weights FILE` trains generators on squares of `wallpapers`, a quarter of the
size into the whole, with the losses of SRResNet-MSE, SRResNet-VGG22, SRGAN-MSE, SRGAN-VGG22 and SRGAN-VGG54 (of VGG16:
5.3), three seeds each, all from the same three SRResNet-MSE's and with as many steps after that, and enlarges the five
photographs of `skimage-photos`, none of which was seen. FILE holds VGG16's convolutions.

Scores are those of `ganvas evaluate`: PSNR and SSIM of Y without 4 pixels of border; `vgg16_distance`, by the network
that three of the losses look through; `feature_distance` and `perceptual_distance` by efficientnet_lite0, which none
does; sharpness over that of the truth. Differences are paired by seed.

Writes results/srgan_losses.json and .png: a crop of each photograph at full zoom. About an hour on two cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt

import findings
import ganvas
from ganvas.data import DataOptions
from ganvas.data.sampler import to_float
from ganvas.launch import override
from ganvas.metrics.photos import cut_to_multiple, enlarged, enlarger, open_photos, small_version
from ganvas.study import load_study
from ganvas.study.file import Study

NAMES = {
    "srresnet-mse": "SRResNet-MSE",
    "srresnet-vgg22": "SRResNet-VGG22",
    "srgan-mse": "SRGAN-MSE",
    "srgan-vgg22": "SRGAN-VGG22",
    "srgan-vgg53": "SRGAN-VGG53",
}
HIGHER = ("psnr_y", "ssim_y")
PERCEPTUAL = ("vgg16_distance", "feature_distance_efficientnet_lite0", "perceptual_distance_efficientnet_lite0")
SCORES = (*HIGHER, *PERCEPTUAL, "sharpness_ratio")
HELD_OUT = "skimage-photos"
ZOOM = 96
"""Pixels: the side of the crops that are shown."""
PLACES = {
    "astronaut": (72, 180),
    "chelsea": (70, 125),
    "coffee": (230, 315),
    "motorcycle": (260, 335),
    "rocket": (320, 290),
}
"""Top and left of the crop of each photograph, chosen for what is seen there before any was enlarged."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vgg-weights", type=Path, required=True, help="VGG16's convolutions, torchvision's names")
    parser.add_argument(
        "--study", type=Path, default=findings.HERE / "srgan.toml", help="another study of the same variants"
    )
    parser.add_argument("--runs", type=Path, help="where the runs are; runs/srgan by default")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--parallel", type=int, default=2, help="runs at a time, where they must be trained")
    args = parser.parse_args()
    args.study = with_weights(load_study(args.study), args.vgg_weights)
    return args


def with_weights(study: Study, weights: Path) -> Study:
    """The study with the file of VGG's weights where a loss needs them: each machine has it elsewhere."""
    variants = []
    for variant in study.variants:
        if variant.chosen.config.content == "vgg":
            chosen = override(variant.chosen, {"vgg_weights": weights})
            variant = dataclasses.replace(variant, chosen=chosen, changed=(*variant.changed, "vgg_weights"))
        variants.append(variant)
    return dataclasses.replace(study, variants=tuple(variants))


@functools.cache
def scored(path: Path, weights: Path) -> dict[str, Any]:
    """A run's scores on the held-out photographs, those of bicubic, and whether it beats bicubic's PSNR on each."""
    found = ganvas.evaluate(path, data=HELD_OUT, vgg_weights=weights, keep=False)
    return {
        "own": {name: found.scores[name].value for name in SCORES},
        "bicubic": {name: found.scores[f"bicubic_{name}"].value for name in SCORES},
        "psnr_y of each": {row["name"]: row["result"]["psnr_y"] for row in found.pictures},
        "bicubic psnr_y of each": {row["name"]: row["bicubic"]["psnr_y"] for row in found.pictures},
    }


def main() -> None:
    args = arguments()
    # Those that all start from first, so that they are there.
    findings.trained(args.study, args.runs, ["pretrained"], args.parallel)
    runs = findings.trained(args.study, args.runs, list(NAMES), args.parallel)
    found = {name: [scored(run.path, args.vgg_weights) for run in of] for name, of in runs.items()}
    bicubic: dict[str, float] = found["srresnet-mse"][0]["bicubic"]
    values = {score: {name: [run["own"][score] for run in of] for name, of in found.items()} for score in SCORES}

    def gap(first: str, second: str, score: str) -> dict[str, Any]:
        """Positive where the first is better."""
        ours = values[score][first]
        theirs = values[score][second] if second in NAMES else [bicubic[score]] * len(ours)
        return findings.paired(ours, theirs) if score in HIGHER else findings.paired(theirs, ours)

    others = [name for name in NAMES if name != "srresnet-mse"]
    perceptual = ("srgan-vgg22", "srgan-vgg53")
    mse = found["srresnet-mse"]
    gaps = {
        "SRResNet-MSE better than": {
            NAMES.get(name, name): {score: gap("srresnet-mse", name, score) for score in HIGHER}
            for name in [*others, "bicubic"]
        },
        "better than SRResNet-MSE": {
            NAMES[name]: {score: gap(name, "srresnet-mse", score) for score in PERCEPTUAL} for name in others
        },
        "better than bicubic": {
            NAMES[name]: {score: gap(name, "bicubic", score) for score in SCORES[:-1]} for name in NAMES
        },
    }
    best = gaps["SRResNet-MSE better than"]
    result = {
        "finding": "F10: MSE wins PSNR and SSIM, adversarial + VGG perceptual distance; each beats bicubic in its own",
        "reproduced": {
            f"MSE wins {score}": all(findings.above(best[NAMES[name]][score]) for name in others) for score in HIGHER
        }
        | {f"MSE beats bicubic in {score}": findings.above(best["bicubic"][score]) for score in HIGHER}
        | {
            "MSE beats bicubic's PSNR on every photograph, every seed": all(
                run["psnr_y of each"][photo] > value
                for run in mse
                for photo, value in run["bicubic psnr_y of each"].items()
            )
        }
        | {
            f"{NAMES[name]} nearer than {place}, {score}": findings.above(gaps[key][NAMES[name]][score])
            for name in perceptual
            for place, key in (("SRResNet-MSE", "better than SRResNet-MSE"), ("bicubic", "better than bicubic"))
            for score in PERCEPTUAL
        },
        "table": {
            "bicubic": {score: round(value, 4) for score, value in bicubic.items()},
            **{
                title: {score: round(float(np.mean(values[score][name])), 4) for score in SCORES}
                for name, title in NAMES.items()
            },
        },
        "psnr_y of each photograph": {
            "bicubic": mse[0]["bicubic psnr_y of each"],
            "SRResNet-MSE": [run["psnr_y of each"] for run in mse],
        },
        "differences": gaps,
        "by_score": {
            score: {NAMES[name]: findings.over_seeds(of) for name, of in by.items()} for score, by in values.items()
        },
    }
    path = args.results / "srgan_losses.json"
    findings.write(path, result, args.study.seeds, [run for of in runs.values() for run in of])
    draw(path.with_suffix(".png"), {name: of[0].path for name, of in runs.items()})


def draw(path: Path, runs: dict[str, Path]) -> None:
    """A crop of each held-out photograph by every method, pixel by pixel, of the first seed."""
    methods = {title: enlarger(ganvas.load(runs[name])) for name, title in NAMES.items()}
    with open_photos(HELD_OUT, DataOptions()) as photos:
        figure, axes = plt.subplots(
            len(photos), len(NAMES) + 2, figsize=(2 * (len(NAMES) + 2), 2.06 * len(photos)), squeeze=False
        )
        for row, (axis_row, (_, item)) in enumerate(zip(axes, photos.items, strict=True)):
            _, photo = photos.read(row, 3, 64)
            truth = cut_to_multiple(photo, 4)
            small = small_version(truth, 4)
            shown = {"bicubic": enlarged(small, 4, "bicubic")}
            shown |= {title: method(small, 0) for title, method in methods.items()} | {"original": truth}
            top, left = PLACES.get(item.name.partition(".")[0], (0, 0))
            for axis, (title, picture) in zip(axis_row, shown.items(), strict=True):
                crop = torch.from_numpy(np.ascontiguousarray(picture[top : top + ZOOM, left : left + ZOOM]))
                findings.show(axis, to_float(crop[None])[0], "" if row else title)
        figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=0.96, wspace=0.02, hspace=0.02)
        figure.savefig(path, dpi=110, metadata={"Copyright": photos.licence} if photos.licence else None)
    print(path)


if __name__ == "__main__":
    main()
