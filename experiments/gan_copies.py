"""F3: samples are not copies of training pictures (Goodfellow et al. 2014, figure 2).

`python experiments/gan_copies.py` takes the DCGAN and GAN runs of the study dcgan_learning_rates at the rates of
their papers, trained on `digits:train`, and asks whether their samples are nearer to training pictures than digits
are that were not trained on (digits:test): in pixels, and in features of efficientnet_lite0. The test must be able to
fail: training pictures with a little noise, and a quarter of such among other real digits, have to be flagged as
copies.

Writes results/gan_copies.json and .png. About six minutes on one core, with the runs there.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib import pyplot as plt

import ganvas
from findings import arguments, features, over_seeds, real_pictures, save, show, trained, write
from ganvas.inspect import nearest_pictures
from ganvas.metrics.copying import Copying, copying
from ganvas.metrics.neighbours import nearest
from ganvas.viz.grids import to_bytes

VARIANTS = ("dcgan-2e-4", "gan-sgd-0.1")
NOISE = 0.1
"""Standard deviation of the noise on the positive control, of pictures in [-1, 1]."""
ROWS = 4


def as_bytes(images: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(to_bytes(images))


def vectors(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Pictures as the two judges see them."""
    return {"pixels": images.flatten(1), "features": features(images)}


def verdict(found: Copying) -> dict:
    return {
        "flagged as copies": found.copies > 0, "share of copies": found.copies, "share of repeats": found.repeats,
        "median ratio": found.median_ratio, "reason": found.reason,
    }  # fmt: skip


def main() -> None:
    args = arguments(__doc__, "dcgan_learning_rates", 500)
    runs = trained(args.study, args.runs, VARIANTS, args.parallel)
    size = args.study.variants[0].chosen.config.size
    train, _ = real_pictures(args.study.variants[0].data, size)
    heldout = real_pictures("digits:test", size)[0][: args.n]
    known, unseen = vectors(train), vectors(heldout)

    def judged(images: torch.Tensor) -> dict:
        seen = vectors(images)
        return {kind: verdict(copying(seen[kind], known[kind], unseen[kind])) for kind in known}

    random = torch.Generator().manual_seed(0)
    noisy = (train + NOISE * torch.randn(train.shape, generator=random)).clamp(-1, 1)[:: max(1, len(train) // args.n)]
    noisy = noisy[: args.n]
    quarter = torch.cat([noisy[: len(noisy) // 4], heldout[: 3 * len(noisy) // 4]])
    controls = {"training pictures with noise": judged(noisy), "a quarter of them, among real": judged(quarter)}
    usual, _ = nearest_pictures(as_bytes(heldout), as_bytes(train))
    samples = {name: [ganvas.load(run.path).sample(args.n, seed=30_000) for run in runs[name]] for name in VARIANTS}
    by_variant = {}
    for name in VARIANTS:
        verdicts = [judged(images) for images in samples[name]]
        exact = [
            float((nearest_pictures(as_bytes(images), as_bytes(train))[0] == 0).double().mean())
            for images in samples[name]
        ]
        by_variant[name] = {
            "exact copies": exact,
            **{
                kind: {
                    "median ratio": over_seeds([one[kind]["median ratio"] for one in verdicts]),
                    "share of copies": [one[kind]["share of copies"] for one in verdicts],
                    "share of repeats": [one[kind]["share of repeats"] for one in verdicts],
                }
                for kind in known
            },
        }
    clean = all(
        share == 0 for of in by_variant.values() for kind in known for share in of[kind]["share of copies"]
    ) and not any(share for of in by_variant.values() for share in of["exact copies"])
    told = all(one["flagged as copies"] for of in controls.values() for one in of.values())
    found = {
        "finding": "F3: samples are not copies of training pictures",
        "samples": args.n,
        "median ratio": "median distance of a sample to its nearest training picture, over that of held-out digits",
        "held-out digits to training pictures, median, root mean square of 8-bit values": float(usual.median() / size),
        "by_variant": by_variant,
        "positive controls": controls,
        "controls are flagged by both": told,
        "reproduced": clean and told,
    }
    path = args.results / "gan_copies.json"
    write(path, found, args.study.seeds, [run for of in runs.values() for run in of])
    draw(path.with_suffix(".png"), {name: of[0] for name, of in samples.items()}, train, known["features"])


def draw(path: Path, samples: dict[str, torch.Tensor], train: torch.Tensor, known: torch.Tensor) -> None:
    """The layout of figure 2: rows of five samples, then what is nearest to the last one in pixels and in features."""
    figure, axes = plt.subplots(ROWS, 7 * len(samples), figsize=(1.05 * 7 * len(samples), 1.3 * ROWS))
    for place, (name, images) in enumerate(samples.items()):
        images = images[: 5 * ROWS]
        last = images[4::5]
        _, by_pixels = nearest_pictures(as_bytes(last), as_bytes(train))
        by_features = nearest(features(last), known)[1][:, 0]
        for row in range(ROWS):
            cells = axes[row, 7 * place : 7 * place + 7]
            for column in range(5):
                show(cells[column], images[5 * row + column], name if row == column == 0 else "")
            show(cells[5], train[by_pixels[row]], "nearest:\npixels" if row == 0 else "")
            show(cells[6], train[by_features[row]], "nearest:\nfeatures" if row == 0 else "")
            for cell, colour in ((cells[5], "tab:orange"), (cells[6], "tab:green")):
                for spine in cell.spines.values():
                    spine.set(color=colour, linewidth=2)
    save(figure, path)


if __name__ == "__main__":
    main()
