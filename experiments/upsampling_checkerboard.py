"""F9: kernels that the stride does not divide show checkerboards; resize and ICNR sub-pixel convolutions do not.

Odena et al. 2016 (Distill), Aitken et al. 2017 (arXiv 1707.02937). `python experiments/upsampling_checkerboard.py`
asks it

* of the layers alone: equal weights on a constant picture, where overlap is all there is (exact);
* of generators of DCGAN (32 px) at their first weights, twenty draws of them: pictures, and the features that the
  last doubling but one gives; with sub-pixel convolutions also without ICNR;
* of DCGANs trained on openmoji, three seeds each, beside the real pictures.

The scores (`ganvas.metrics.checkerboard`): the share of a picture's variance that is a pattern of period 2, and by
how many decibels the finest frequencies stand out of their neighbours (mean of the three). A third one is for the
first weights: by how much the variance differs between the four phases of period 2 (standard deviation over mean),
for where the sign of weights is random a kernel's uneven cover shows in the variance of its outputs.

Writes results/upsampling_checkerboard.json and .png. About a minute a run on one core.
"""

from __future__ import annotations

from dataclasses import asdict

import torch
from matplotlib import pyplot as plt
from torch import nn

import ganvas
from findings import above, arguments, over_seeds, paired, real_pictures, show, trained, write
from ganvas.engine.system import System
from ganvas.inspect.latents import at_latents
from ganvas.metrics.checkerboard import nyquist, phase_score, power_spectrum
from ganvas.nn.upsample import upsample
from ganvas.systems import dcgan

INITS = 20
PLAIN = "subpixel, not ICNR"
UNEVEN = ("transposed-3", "transposed-5")
"""Kernels that a stride of 2 does not divide."""


def overlap(kernel: int) -> dict[str, float]:
    """A transposed convolution of ones on a constant: the values inside, and the share of variance with period 2."""
    layer = upsample("transposed", 1, 1, kernel)
    nn.init.ones_(layer.weight)
    with torch.no_grad():
        inside = layer(torch.ones(1, 1, 32, 32))[..., 8:-8, 8:-8]
    return {"values": inside.unique().tolist(), "phase": float(phase_score(inside, 2))}


def blocks(icnr: bool) -> float:
    """Standard deviation within blocks of 2x2, over that of all values, of a sub-pixel convolution of noise."""
    torch.manual_seed(0)
    layer = upsample("subpixel", 8, 8)
    if not icnr:
        nn.init.normal_(layer[0].weight, 0, 0.02)
    with torch.no_grad():
        values = layer(torch.randn(4, 8, 16, 16))
    within = values.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).var((3, 5), correction=0).mean()
    return float((within / values.var()).sqrt())


def phase_variances(images: torch.Tensor) -> float:
    """How unevenly variance is shared among the four phases: standard deviation over mean."""
    pixels = images.double() - images.double().mean((2, 3), keepdim=True)
    variances = torch.stack([pixels[..., y::2, x::2].var((0, 2, 3)) for y in (0, 1) for x in (0, 1)])  # (4, C)
    return float((variances.std(0, correction=0) / variances.mean(0).clamp_min(1e-12)).mean())


def scores(images: torch.Tensor) -> dict[str, float]:
    """The three scores of pictures."""
    finest = asdict(nyquist(images))
    return {
        "phase": float(phase_score(images, 2).mean()),
        "nyquist_db": sum(finest.values()) / len(finest),
        "variances": phase_variances(images),
    }


def plain_shuffle(system: System) -> None:
    """Draws the convolutions before a pixel shuffle anew, each output for itself."""
    for module in system.generator.modules():
        if isinstance(module, nn.Sequential) and isinstance(module[-1], nn.PixelShuffle):
            nn.init.normal_(module[0].weight, 0, 0.02)


def at_first(config: dcgan.Config, seed: int, n: int, icnr: bool = True) -> tuple[dict, torch.Tensor]:
    """Scores of pictures and of features at first weights."""
    torch.manual_seed(seed)
    system = dcgan.DCGAN(config)
    if not icnr:
        plain_shuffle(system)
    system.eval().requires_grad_(False)
    system.prepare_sampling()
    system.eval()
    caught: list[torch.Tensor] = []
    doubling = [
        layer for layer in system.generator.layers if not isinstance(layer, nn.BatchNorm2d | nn.ReLU | nn.Identity)
    ]
    hook = doubling[-2].register_forward_hook(lambda layer, inputs, output: caught.append(output.float()))
    pictures = at_latents(system, system.prior.seeded(range(n)))
    hook.remove()
    return {"pictures": scores(pictures), "features": scores(torch.cat(caught))}, pictures


def main() -> None:
    args = arguments(__doc__, "upsampling_checkerboard", 500)
    study = args.study
    names = [variant.name for variant in study.variants]
    runs = trained(study, args.runs, names, args.parallel)
    config = {variant.name: variant.chosen.config for variant in study.variants}
    few = min(args.n, 64)
    arms = {name: (config[name], True) for name in names} | {PLAIN: (config["subpixel"], False)}
    first: dict[str, list[dict]] = {}
    looks: dict[str, list[torch.Tensor]] = {}
    for name, (chosen, icnr) in arms.items():
        measured = [at_first(chosen, seed, few, icnr) for seed in range(INITS)]
        first[name], looks[name] = [one for one, _ in measured], [measured[0][1]]
    samples = {name: [ganvas.load(run.path).sample(args.n, seed=50_000) for run in runs[name]] for name in names}
    after = {name: [scores(images) for images in samples[name]] for name in names}
    real = real_pictures(study.variants[0].data, 32, 3)[0][: args.n]

    kinds = ("phase", "nyquist_db", "variances")
    at_start = {
        name: {
            where: {kind: over_seeds([one[where][kind] for one in of]) for kind in kinds}
            for where in ("pictures", "features")
        }
        for name, of in first.items()
    }
    even = [name for name in arms if name not in UNEVEN and name != PLAIN]
    start_gaps = {
        f"{a} minus {b}": {
            where: {
                kind: paired([x[where][kind] for x in first[a]], [x[where][kind] for x in first[b]]) for kind in kinds
            }
            for where in ("pictures", "features")
        }
        for a in (*UNEVEN, PLAIN)
        for b in even
    }
    trained_gaps = {
        f"{a} minus {b}": {kind: paired([x[kind] for x in after[a]], [x[kind] for x in after[b]]) for kind in kinds}
        for a in UNEVEN
        for b in even
    }
    smooth = ("resize", "subpixel")
    found = {
        "finding": "F9: kernels not divisible by the stride show checkerboards, resize + conv and ICNR sub-pixel not",
        "equal weights on a constant": {f"transposed-{kernel}": overlap(kernel) for kernel in (3, 5, 4)},
        "standard deviation within 2x2 blocks over that of all": {"ICNR": blocks(True), "not ICNR": blocks(False)},
        "first weights": {"draws": INITS, "by_arm": at_start, "differences": start_gaps},
        "trained": {
            "real pictures": scores(real),
            "by_arm": {
                name: {kind: over_seeds([one[kind] for one in after[name]]) for kind in kinds} for name in names
            },
            "differences": trained_gaps,
        },
        "reproduced": {
            "equal weights (exact)": all(overlap(kernel)["phase"] > 0.99 for kernel in (3, 5))
            and overlap(4)["phase"] == 0,
            "ICNR against not (exact)": blocks(True) == 0 and blocks(False) > 0,
            "first weights: uneven kernels against resize and ICNR, pictures, phase": all(
                above(start_gaps[f"{a} minus {b}"]["pictures"]["phase"]) for a in (*UNEVEN, PLAIN) for b in smooth
            ),
            "first weights: uneven kernels against kernel 4, pictures, phase": all(
                above(start_gaps[f"{a} minus transposed-4"]["pictures"]["phase"]) for a in UNEVEN
            ),
            "first weights: uneven kernels against kernel 4, pictures, variances": all(
                above(start_gaps[f"{a} minus transposed-4"]["pictures"]["variances"]) for a in UNEVEN
            ),
            "trained: uneven kernels against resize and ICNR, nyquist_db": all(
                above(trained_gaps[f"{a} minus {b}"]["nyquist_db"]) for a in UNEVEN for b in smooth
            ),
            "trained: uneven kernels against kernel 4, nyquist_db": all(
                above(trained_gaps[f"{a} minus transposed-4"]["nyquist_db"]) for a in UNEVEN
            ),
        },
    }
    path = args.results / "upsampling_checkerboard.json"
    write(path, found, study.seeds, [run for of in runs.values() for run in of])
    licence = ganvas.load(runs[names[0]][0].path).settings.data["licence"]
    draw(path.with_suffix(".png"), looks, samples, real, licence)


def draw(path, looks: dict, samples: dict, real: torch.Tensor, licence: str | None) -> None:
    """A column an arm: a picture at first weights, a sample after training, the middle of it, spectra of both."""
    names = [*looks, "real pictures"]
    figure, axes = plt.subplots(5, len(names), figsize=(1.9 * len(names), 9.6))
    low, high = -45, 15
    for column, name in zip(axes.T, names, strict=True):
        begin = None if name not in looks else looks[name][0]
        end = real if name == "real pictures" else samples[name][0] if name in samples else None
        for axis in column:
            axis.axis("off")
        column[0].set_title(name, fontsize=9)
        for place, images in ((0, begin), (2, end)):
            if images is None:
                continue
            cells = column[place : place + 2] if place == 0 else (column[2], column[4])
            picture = images[0]
            if place == 0:  # faint as yet: to the full range
                picture = 2 * (picture - picture.min()) / (picture.max() - picture.min()) - 1
            cells[0].axis("on")
            show(cells[0], picture, name if place == 0 else "")
            spectrum = 10 * torch.log10(torch.fft.fftshift(power_spectrum(images)) + 1e-9)
            spectrum = spectrum - spectrum.max() + high if place == 0 else spectrum
            cells[1].imshow(spectrum, vmin=low, vmax=high, cmap="viridis")
        if end is not None:
            column[3].axis("on")
            show(column[3], end[0][:, 8:24, 8:24])
    labels = ("first weights", "spectrum", "trained", "its middle", "spectrum")
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.axis("on")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_ylabel(label, fontsize=9)
    figure.suptitle(
        "Spectra in decibels, the finest frequencies at the edges and corners; the same seed in each row", fontsize=9
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Copyright": licence} if licence else None)
    print(path)


if __name__ == "__main__":
    main()
