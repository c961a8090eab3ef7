"""F18: a U-Net translates better than an encoder-decoder (Isola et al. 2017, section 4.2).

`python experiments/pix2pix_unet.py` takes the runs of the study pix2pix, outlines of emoji into colour at 64 px, that
differ in whether decoder layers see the encoder's of the same size, each with L1 and with L1 + cGAN, three seeds each,
and translates the 154 pairs of `openmoji-outlines:test`. Scores: see pix2pix_losses.py.

Writes results/pix2pix_unet.json and .png. About half a minute a run on one quiet core, where they must be trained.
"""

from __future__ import annotations

from pix2pix_runs import compared, draw

NAMES = {
    "encoder-decoder-l1": "enc-dec, L1",
    "l1": "U-Net, L1",
    "encoder-decoder": "enc-dec, L1 + cGAN",
    "l1+cgan": "U-Net, L1 + cGAN",
}
ARMS = {"L1": ("l1", "encoder-decoder-l1"), "L1 + cGAN": ("l1+cgan", "encoder-decoder")}
SCORES = ("feature_distance", "kd", "l1", "psnr", "ssim", "kind recognised")
SHOWN = {
    "feature_distance": "feature distance",
    "kd": "kernel distance",
    "sharpness_ratio": "sharpness ratio",
    "l1": "L1",
    "ssim": "SSIM",
    "kind recognised": "category recognised",
}


def main() -> None:
    found = compared(__doc__, tuple(NAMES))
    better = {loss: {score: found.better(*arms, score) for score in SCORES} for loss, arms in ARMS.items()}
    result = {
        "finding": "F18: U-Net beats encoder-decoder",
        "U-Net minus encoder-decoder": {loss: found.gaps(*arms) for loss, arms in ARMS.items()},
        "reproduced by loss and score": better,
        "reproduced": all(of[score] for of in better.values() for score in ("feature_distance", "l1", "psnr", "ssim")),
    }
    draw(found, found.write("pix2pix_unet", result), NAMES, SHOWN)


if __name__ == "__main__":
    main()
