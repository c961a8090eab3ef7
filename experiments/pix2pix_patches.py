"""F19: what the size of the discriminator's patch does (Isola et al. 2017, section 4.4).

Patches of 1 px colour and do not sharpen; 16 sharpen, but leave tiles; 70 are best; the whole picture is no better.
`python experiments/pix2pix_patches.py` takes the runs of the study pix2pix with L1 + cGAN, outlines of emoji into
colour at 64 px, whose patches are 1, 16, 34 and 70 px wide, three seeds each, and translates the 154 pairs of
`openmoji-outlines:test`. The paper's pictures have 256 px: 16 here are to the picture what 64 are there, and a patch of
70 sees all of it. Scores: see pix2pix_losses.py; `nyquist_db` says by how much the finest frequencies stand out of
their neighbours, which is how a pattern of two pixels shows; the true pictures have a value of their own.

Writes results/pix2pix_patches.json and .png. About half a minute a run on one quiet core, where they must be trained.
"""

from __future__ import annotations

from findings import above
from pix2pix_runs import compared, draw

NAMES = {"l1": "no patch (L1)", "patch-1": "1", "patch-16": "16", "l1+cgan": "34", "patch-70": "70 (all)"}
SHOWN = {
    "feature_distance": "feature distance",
    "kd": "kernel distance",
    "sharpness_ratio": "sharpness ratio",
    "nyquist_db": "Nyquist, dB",
    "intersection of a": "histogram of a",
    "intersection of b": "histogram of b",
}
DISTANCES = ("feature_distance", "kd")


def main() -> None:
    found = compared(__doc__, tuple(NAMES))
    colours = [f"intersection of {channel}" for channel in "ab"]
    result = {
        "finding": "F19: patches of 1 px colour, 16 tile, about a quarter of the picture is best, the whole no better",
        "differences": {
            f"{NAMES[a]} minus {NAMES[b]}": found.gaps(a, b)
            for a, b in (
                ("patch-1", "l1"),
                ("patch-16", "l1"),
                ("patch-16", "patch-1"),
                ("l1+cgan", "patch-1"),
                ("l1+cgan", "patch-16"),
                ("patch-70", "l1+cgan"),
                ("patch-70", "patch-16"),
            )
        },
        "reproduced": {
            "1 colours better than L1 alone": all(above(found.gap("patch-1", "l1", score)) for score in colours),
            "1 is not settled to be sharper than L1 alone": not above(found.gap("patch-1", "l1", "sharpness_ratio")),
            "16 is sharper than 1": above(found.gap("patch-16", "patch-1", "sharpness_ratio")),
            "16 has a finer pattern than 34": above(found.gap("patch-16", "l1+cgan", "nyquist_db")),
            "34 is nearer than 1": any(found.better("l1+cgan", "patch-1", score) for score in DISTANCES),
            "34 is nearer than 16": any(found.better("l1+cgan", "patch-16", score) for score in DISTANCES),
            "70 is not settled to be nearer than 34": not any(
                found.better("patch-70", "l1+cgan", score) for score in DISTANCES
            ),
        },
    }
    draw(found, found.write("pix2pix_patches", result), NAMES, SHOWN)


if __name__ == "__main__":
    main()
