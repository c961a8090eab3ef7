"""Grids made during training: against the pictures that they show."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganvas import systems
from ganvas.engine.preview import Preview
from ganvas.viz.grids import grid
from ganvas.viz.layouts import marked


def preview(folder: Path, **conditions: torch.Tensor) -> Preview:
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    nothing: Any = None
    return Preview(folder, nothing, {"image": images, **conditions}, images, {}, nullcontext, 4, 0, nothing)


def test_boxes_and_keypoints_are_marked_in_samples_and_in_real_pictures(tmp_path: Path) -> None:
    boxes = torch.tensor([[0.25, 0.25, 0.5, 0.5]] * 4)
    keypoints = torch.tensor([[[0.5, 0.5, 1]]] * 4)
    shown = preview(tmp_path, boxes=boxes, keypoints=keypoints)
    system = systems.find("worded").SYSTEM(systems.find("worded").Config())
    laid_out = shown.laid_out(system, shown.pictures)
    assert np.array_equal(laid_out, grid(marked(shown.pictures, boxes, keypoints)))
    assert (laid_out == [255, 0, 255]).all(2).sum() == 4 * (4 * 32 - 4)


def test_other_samples_stay_as_they_are(tmp_path: Path) -> None:
    shown = preview(tmp_path, text=torch.rand(4, 5), label=torch.zeros(4, dtype=torch.int64))
    system = systems.find("worded").SYSTEM(systems.find("worded").Config())
    assert np.array_equal(shown.laid_out(system, shown.pictures), grid(shown.pictures))
