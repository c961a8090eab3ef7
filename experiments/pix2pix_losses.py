"""F17 and F20: what L1 and cGAN each do, and their colours (Isola et al. 2017, sections 4.1 and 4.1.1).

F17: L1 + cGAN beats L1 alone in feature distance and sharpness; L1 alone wins L1. F20: the discriminator brings the
histogram of colours nearer to that of the truth, which L1 narrows. `python experiments/pix2pix_losses.py` trains
generators on `openmoji-outlines:train`, outlines into colour at 64 px, with L1, cGAN, L1 + GAN (whose discriminator
does not see the outline) and L1 + cGAN, three seeds each, and translates the 154 pairs of `openmoji-outlines:test`.

Scores: `feature_distance`, 1 - cosine of features of efficientnet_lite0 of a translation and its truth; `kd`, the
kernel distance of all of them; sharpness over that of the truth; L1, PSNR, SSIM; intersections of the histograms of
Lab over all pixels, as in the paper, and over those where the truth is coloured, since most of an emoji is white
ground. In place of the FCN-score a classifier that was trained on the true colour pictures of the training half says
which of eight categories a translation shows.

Writes results/pix2pix_losses.json and .png. About half a minute a run on one quiet core.
"""

from __future__ import annotations

from findings import above
from pix2pix_runs import compared, draw

NAMES = {"l1": "L1", "cgan": "cGAN", "l1+gan": "L1 + GAN", "l1+cgan": "L1 + cGAN"}
SHOWN = {
    "feature_distance": "feature distance",
    "kd": "kernel distance",
    "sharpness_ratio": "sharpness ratio",
    "l1": "L1",
    "intersection of a": "histogram of a",
    "intersection of b": "histogram of b",
}


def main() -> None:
    found = compared(__doc__, tuple(NAMES))
    colours = {
        f"{name} above L1, {channel}{place}": above(found.gap(name, "l1", f"intersection of {channel}{place}"))
        for place in ("", " where coloured")
        for name in ("l1+cgan", "cgan")
        for channel in "Lab"
    }
    result = {
        "finding": "F17: L1 + cGAN beats L1 in feature distance and sharpness, L1 wins L1; F20: cGAN matches colours",
        "minus L1 alone": {NAMES[name]: found.gaps(name, "l1") for name in ("l1+cgan", "cgan", "l1+gan")},
        "L1 + cGAN minus": {NAMES[name]: found.gaps("l1+cgan", name) for name in ("cgan", "l1+gan")},
        "reproduced": {
            "F17": {
                "L1 + cGAN nearer than L1, feature distance": found.better("l1+cgan", "l1", "feature_distance"),
                "L1 + cGAN nearer than L1, kernel distance": found.better("l1+cgan", "l1", "kd"),
                "L1 + cGAN sharper than L1": above(found.gap("l1+cgan", "l1", "sharpness_ratio")),
                "L1 alone wins L1": all(found.better("l1", name, "l1") for name in NAMES if name != "l1"),
            },
            "F20": colours,
        },
    }
    draw(found, found.write("pix2pix_losses", result), NAMES, SHOWN)


if __name__ == "__main__":
    main()
