"""F11 and F12: mismatched captions and mixed captions (Reed et al. 2016, GAN-CLS and GAN-INT).

`python experiments/gancls_captions.py` trains the plain conditional GAN, GAN-CLS, GAN-INT and GAN-INT-CLS on pictures
of one coloured shape (easy-vqa), four of whose 24 combinations of colour and shape are left out, three seeds each. A
classifier trained on real pictures of all 24 says how often what is drawn is what the caption asks for:

* F11, mismatched captions raise it: CLS against GAN, INT-CLS against INT, on combinations seen in training;
* F12, mixed captions help with unseen ones: INT-CLS against CLS, INT against GAN, on the four that were left out; and
  captions interpolate: half way between two colours of a shape, is it still that shape, and one of the two colours?

Writes results/gancls_captions.json and .png. About two minutes a run on one core.
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib import pyplot as plt

import ganvas
from captioned import (
    CLASSES,
    SHAPES,
    UNSEEN,
    Judge,
    asked,
    diversity_ratio,
    drawn,
    midpoints,
    neighbours_in_colour,
    train_judge,
    vectors,
)
from findings import above, arguments, over_seeds, paired, save, trained, write

NAMES = {"gan": "GAN", "cls": "GAN-CLS", "int": "GAN-INT", "int-cls": "GAN-INT-CLS"}
SCORES = ("class", "colour", "shape", "unseen class", "diversity", "interpolated shape", "interpolated colour")
SHOWN = ("black triangle", "teal circle", "yellow rectangle", "gray triangle", *UNSEEN)


def scored(run: Path, judge: Judge, per_class: int) -> dict[str, float]:
    wanted = asked(per_class)
    pictures = drawn(run, {"text": vectors(CLASSES)[wanted]})
    right = judge.shares(pictures, wanted)
    unseen = torch.isin(wanted, torch.tensor([CLASSES.index(name) for name in UNSEEN]))
    pairs = neighbours_in_colour()
    pairs = [pair for pair in pairs if not set(pair) & set(UNSEEN)]
    between = torch.arange(len(pairs)).repeat_interleave(per_class)
    seen = judge.network.classes(drawn(run, {"text": midpoints(pairs)[between]}))
    ends = torch.tensor([[CLASSES.index(name) for name in pair] for pair in pairs])[between]
    each = len(SHAPES)
    return {
        **{name: float(share[~unseen].mean()) for name, share in right.items()},
        "unseen class": float(right["class"][unseen].mean()),
        "diversity": diversity_ratio(pictures[~unseen], wanted[~unseen], judge),
        "interpolated shape": float((seen % each == ends[:, 0] % each).double().mean()),
        "interpolated colour": float((seen[:, None] // each == ends // each).any(1).double().mean()),
    }


def main() -> None:
    args = arguments(__doc__, "gancls", 50)
    size = args.study.variants[0].chosen.config.size
    runs = trained(args.study, args.runs, list(NAMES), args.parallel)
    judge = train_judge(size)
    found = {name: [scored(run.path, judge, args.n) for run in of] for name, of in runs.items()}
    values = {name: {score: [one[score] for one in of] for score in SCORES} for name, of in found.items()}

    def gap(a: str, b: str, score: str) -> dict:
        return paired(values[a][score], values[b][score])

    mismatched = {
        f"{NAMES[a]} - {NAMES[b]}": {score: gap(a, b, score) for score in SCORES[:4]}
        for a, b in (("cls", "gan"), ("int-cls", "int"))
    }
    mixed = {
        f"{NAMES[a]} - {NAMES[b]}": {score: gap(a, b, score) for score in SCORES[3:]}
        for a, b in (("int-cls", "cls"), ("int", "gan"))
    }
    result = {
        "finding": "F11: mismatched captions raise text-image agreement; F12: mixed ones help with unseen captions",
        "reproduced": {
            "F11": all(above(value["class"]) for value in mismatched.values()),
            "F12": all(above(value["unseen class"]) for value in mixed.values()),
        },
        "judge": {"accuracy on held-out real pictures": judge.accuracy, "chance": 1 / len(CLASSES)},
        "samples of each class": args.n,
        "unseen": UNSEEN,
        "by_variant": {NAMES[name]: {s: over_seeds(of[s]) for s in SCORES} for name, of in values.items()},
        "accuracy, with mismatched captions minus without": mismatched,
        "with mixed captions minus without": mixed,
    }
    path = args.results / "gancls_captions.json"
    write(path, result, args.study.seeds, [run for of in runs.values() for run in of])
    draw(path.with_suffix(".png"), {name: of[0].path for name, of in runs.items()})


def draw(path: Path, first: dict[str, Path], columns: int = 6) -> None:
    """Samples of the first seed, the same latents for each caption; then a walk between two captions."""
    figure, axes = plt.subplots(2, len(first), figsize=(3.1 * len(first), 5.4), height_ratios=(len(SHOWN), 3))
    texts = vectors(list(SHOWN)).repeat_interleave(columns, 0)
    ends = vectors(
        ["teal circle", "yellow circle", "black triangle", "black circle", "gray rectangle", "red rectangle"]
    )
    shares = torch.linspace(0, 1, columns)[:, None]
    walks = torch.cat([torch.lerp(ends[i], ends[i + 1], shares) for i in (0, 2, 4)])
    for (top, bottom), name in zip(axes.T, first, strict=True):
        system = ganvas.load(first[name]).system
        for axis, text in ((top, texts), (bottom, walks)):
            rows = len(text) // columns
            with torch.no_grad():
                seeds = list(range(columns)) * rows if axis is top else [row for row in range(rows) for _ in shares]
                pictures = system.sample(seeds, {"text": text})
            side = pictures.shape[-1]
            sheet = pictures.view(rows, columns, 3, side, side).permute(0, 3, 1, 4, 2)
            sheet = sheet.reshape(rows * side, columns * side, 3)
            axis.imshow((sheet.clamp(-1, 1) + 1) / 2, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        side = pictures.shape[-1]
        labels = [f"{name} *" if name in UNSEEN else name for name in SHOWN]
        top.set_yticks([side * (row + 0.5) for row in range(len(SHOWN))], labels, fontsize=7)
        top.set_title(NAMES[name], fontsize=10)
        walked = ["teal to yellow circle", "black triangle to circle", "gray to red rectangle"]
        bottom.set_yticks([side * (row + 0.5) for row in range(3)], walked, fontsize=7)
        bottom.set_xlabel("seed 0, not chosen; * never seen", fontsize=7)
    save(figure, path)


if __name__ == "__main__":
    main()
