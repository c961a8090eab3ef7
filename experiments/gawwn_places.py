"""F13 and F14: is the object where it was asked for, and are missing keypoints placed well? (Reed et al. 2016, GAWWN)

`python experiments/gawwn_places.py` trains three seeds of each model:

* box, on pictures of one coloured shape (easy-vqa): a segmenter trained on real pictures finds the object in samples,
  and its box is compared with the one asked for (IoU). Beside it that of the boxes asked for of other samples (chance)
  and of real pictures (the most that the segmenter finds); and whether the shape asked for is in it;
* keypoints, on emoji before plain backgrounds with their extremal points: a network trained on real pictures finds the
  points in samples; their distance from those asked for, in diagonals of the picture, with the same two beside it;
* completion, G_k, on the same points: two of four are given, the others are placed by G_k. Their distance from the true
  ones, against that of the mean of training, with the same two given as they are.

Writes results/gawwn_places.json and .png. About two minutes a run on one core.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

import ganvas
from captioned import CLASSES, train_judge, vectors
from findings import above, arguments, over_seeds, paired, save, show, trained, write
from ganvas.data import DataOptions, open_data
from ganvas.data.described import Described
from ganvas.data.sampler import to_float
from ganvas.metrics.layout_scores import (
    box_iou,
    find_boxes,
    keypoint_distance,
    train_keypoint_finder,
    train_object_segmenter,
)

TRAIN, TEST = "openmoji-layout:train", "openmoji-layout:test"
"""Of the second neither generators nor judges have seen any emoji."""

GIVEN = (0, 3)
"""Of the four points in the order of their names (bottom, left, right, top) those that G_k is given."""


def open_described(data: str, size: int, needs: set[str]) -> tuple[Described, torch.Tensor, dict[str, torch.Tensor]]:
    """Data, its pictures in [-1, 1] and what is known of each."""
    described = open_data(data, DataOptions(flip=False), size=size, needs=frozenset({"image", *needs}))
    assert isinstance(described, Described)
    pictures = to_float(torch.from_numpy(np.array(described.pictures.images[described.rows])))
    return described, pictures, described.conditions(list(range(len(described))))


def boxes(runs: list[Path], size: int, n: int) -> dict[str, Any]:
    """IoU of the boxes found in samples with those asked for."""
    _, real, given = open_described("shapes:train", size, {"boxes"})
    segmenter = train_object_segmenter(real, boxes=given["boxes"])
    _, others, test = open_described("shapes:test", size, {"boxes"})
    judge = train_judge(size)
    wanted = torch.arange(n) % len(CLASSES)
    asked = test["boxes"][:n]
    text = vectors(CLASSES)[wanted]
    found: dict[str, list[float]] = {"iou": [], "iou of other boxes": [], "class": []}
    for run in runs:
        pictures = ganvas.load(run).sample(n, conditions={"text": text, "boxes": asked})
        seen = find_boxes(segmenter, pictures)
        found["iou"].append(float(box_iou(seen, asked).mean()))
        found["iou of other boxes"].append(float(box_iou(seen, asked.roll(1, 0)).mean()))
        found["class"].append(float(judge.shares(pictures, wanted)["class"].mean()))
    ceiling = float(box_iou(find_boxes(segmenter, others), test["boxes"]).mean())
    return {
        "values": found,
        "iou of real pictures, not trained on": ceiling,
        "judge": judge.accuracy,
        "boxes": "those of shapes:test, which no network was trained on",
    }


def keypoints(runs: list[Path], size: int, n: int) -> dict[str, Any]:
    """Distances of the keypoints found in samples from those asked for."""
    _, real, given = open_described(TRAIN, size, {"text", "keypoints"})
    finder = train_keypoint_finder(real, given["keypoints"])
    _, others, test = open_described(TEST, size, {"text", "keypoints"})
    rows = torch.arange(n) % len(others)
    text, asked = test["text"][rows], test["keypoints"][rows]
    found: dict[str, list[float]] = {"distance": [], "distance from other keypoints": []}
    for run in runs:
        pictures = ganvas.load(run).sample(len(rows), conditions={"text": text, "keypoints": asked})
        seen = finder.find(pictures)
        found["distance"].append(float(keypoint_distance(seen, asked).mean()))
        found["distance from other keypoints"].append(float(keypoint_distance(seen, asked.roll(1, 0)).mean()))
    ceiling = float(keypoint_distance(finder.find(others), test["keypoints"]).mean())
    return {"values": found, "distance in real pictures, not trained on": ceiling, "samples": len(rows)}


def completed(runs: list[Path], size: int, n: int) -> dict[str, Any]:
    """Distances of completed keypoints from the true ones, of those that were not given.

    The emoji are others than those of training.
    """
    _, _, given = open_described(TRAIN, size, {"text", "keypoints"})
    _, _, test = open_described(TEST, size, {"text", "keypoints"})
    rows = torch.arange(n) % len(test["text"])
    truth, text = test["keypoints"][rows], test["text"][rows]
    shown = torch.zeros_like(truth)
    shown[:, GIVEN] = truth[:, GIVEN]
    missing = truth.clone()
    missing[:, GIVEN, 2] = 0  # only those count
    mean = given["keypoints"][..., :2].mean(0)
    # The mean of where a point is from the middle of the two that are given, which knows where the object is.
    middle = given["keypoints"][:, GIVEN, :2].mean(1, keepdim=True)
    offset = (given["keypoints"][..., :2] - middle).mean(0)
    guesses = {
        "mean": torch.cat([mean.expand(len(truth), -1, -1), truth[..., 2:]], 2),
        "mean offset": torch.cat([truth[:, GIVEN, :2].mean(1, keepdim=True) + offset, truth[..., 2:]], 2),
    }
    found: dict[str, list[float]] = {
        name: [float(keypoint_distance(g, missing).mean())] * len(runs) for name, g in guesses.items()
    }
    found["G_k"] = []
    for run in runs:
        with torch.no_grad():
            ours = ganvas.load(run).system.complete(shown, text, range(len(text)))
        assert torch.equal(ours[:, GIVEN], truth[:, GIVEN])
        found["G_k"].append(float(keypoint_distance(ours, missing).mean()))
    return {"values": found, "given": "bottom and top", "samples": len(text)}


def main() -> None:
    args = arguments(__doc__, "gawwn", 480)
    runs = trained(args.study, args.runs, ["box", "keypoints", "completion"], args.parallel)
    size = args.study.variants[0].chosen.config.size
    paths = {name: [run.path for run in of] for name, of in runs.items()}
    found = {
        "box": boxes(paths["box"], size, args.n),
        "keypoints": keypoints(paths["keypoints"], size, args.n),
        "completion": completed(paths["completion"], size, args.n),
    }
    values = {name: of.pop("values") for name, of in found.items()}
    gaps = {
        "IoU of the box asked for minus that of others": paired(
            values["box"]["iou"], values["box"]["iou of other boxes"]
        ),
        "distance from other keypoints minus that from those asked for": paired(
            values["keypoints"]["distance from other keypoints"], values["keypoints"]["distance"]
        ),
        "distance of the mean minus that of G_k": paired(values["completion"]["mean"], values["completion"]["G_k"]),
        "distance of the mean offset minus that of G_k": paired(
            values["completion"]["mean offset"], values["completion"]["G_k"]
        ),
    }
    box, keypoint, mean, _ = gaps.values()
    result = {
        "finding": "F13: the object is where it was asked for; F14: G_k completes keypoints better than the mean",
        "reproduced": {"F13": above(box) and above(keypoint), "F14": above(mean)},
        **{name: of | {key: over_seeds(v) for key, v in values[name].items()} for name, of in found.items()},
        **gaps,
    }
    path = args.results / "gawwn_places.json"
    write(path, result, args.study.seeds, [run for of in runs.values() for run in of])
    draw(path.with_suffix(".png"), {name: of[0] for name, of in paths.items()}, size)


def draw(path: Path, first: dict[str, Path], size: int, columns: int = 9) -> None:
    """The box moved and made larger, at one caption and one latent; emoji drawn at keypoints, given and completed."""
    figure, axes = plt.subplots(6, columns, figsize=(1.15 * columns, 7.4))
    shares = torch.linspace(0, 1, columns)[:, None]
    left, right = torch.tensor([0.02, 0.3, 0.4, 0.4]), torch.tensor([0.58, 0.3, 0.4, 0.4])
    small, large = torch.tensor([0.4, 0.4, 0.2, 0.2]), torch.tensor([0.1, 0.1, 0.8, 0.8])
    system = ganvas.load(first["box"]).system
    rows = [("red circle", left, right), ("blue triangle", left, right), ("green rectangle", small, large)]
    for row, (name, start, end) in zip(axes, rows, strict=False):
        moved = torch.lerp(start, end, shares)
        with torch.no_grad():
            pictures = system.sample([0] * columns, {"text": vectors([name]).expand(columns, -1), "boxes": moved})
        for axis, picture, box in zip(row, pictures, moved, strict=True):
            show(axis, picture)
            x, y, w, h = (box * size).tolist()
            axis.add_patch(Rectangle((x - 0.5, y - 0.5), w, h, fill=False, edgecolor="magenta", linewidth=0.8))
        row[0].set_ylabel(name, fontsize=7)
    _, real, given = open_described(TEST, size, {"text", "keypoints"})
    system = ganvas.load(first["keypoints"]).system
    completion = ganvas.load(first["completion"]).system
    chosen = torch.arange(columns) * 11 % len(real)
    text, points = given["text"][chosen], given["keypoints"][chosen]
    two = torch.zeros_like(points)
    two[:, GIVEN] = points[:, GIVEN]
    with torch.no_grad():
        whole = completion.complete(two, text, range(columns))
        drawn = [system.sample(range(columns), {"text": text, "keypoints": k}) for k in (points, whole)]
    for row, pictures, dots, label in (
        (axes[3], real[chosen], points, "real"),
        (axes[4], drawn[0], points, "keypoints"),
        (axes[5], drawn[1], whole, "two, completed"),
    ):
        for axis, picture, one in zip(row, pictures, dots, strict=True):
            show(axis, picture)
            axis.scatter(one[:, 0] * size - 0.5, one[:, 1] * size - 0.5, s=9, c="magenta", marker="x", linewidths=0.9)
            axis.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
        row[0].set_ylabel(label, fontsize=7)
    save(figure, path)


if __name__ == "__main__":
    main()
