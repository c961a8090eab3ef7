"""Grids of samples as frames: which, in which order, how labelled, how large."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ganvas.inspect import timelapse
from ganvas.inspect.timelapse import LEAST, STRIP


def write(folder, step, value, size=(30, 20)):
    Image.new("L", size, value).save(folder / f"step-{step:08d}.png")


def test_frames_are_the_grids_in_order_under_their_labels(tmp_path):
    for step in (100, 20, 3, 1000):
        write(tmp_path, step, step % 251)
    write(tmp_path, 50, 9, (10, 10))  # another shape
    (tmp_path / "step-00000060.png").write_bytes(b"no picture")
    write(tmp_path, 5000, 0)  # of a future that was dropped
    Image.new("L", (30, 20)).save(tmp_path / "real.png")
    steps, frames = timelapse(tmp_path, until=1000)
    assert steps == [3, 20, 100, 1000]
    assert frames.shape == (4, 20 + STRIP, LEAST, 3) and frames.dtype == np.uint8
    assert [int(frame[STRIP + 5, 5, 0]) for frame in frames] == [3, 20, 100, 1000 % 251]
    labels = frames[:, :STRIP]
    assert all((label == 255).any() and (label < 128).any() for label in labels)
    assert not np.array_equal(labels[0], labels[1]) and bool((frames[:, STRIP:, 30:] == 255).all())


def test_at_most_sixty_evenly_spaced_and_no_larger_than_asked(tmp_path):
    for step in range(0, 121):
        write(tmp_path, step, step, (100, 50))
    steps, frames = timelapse(tmp_path, side=40)
    assert len(steps) == len(frames) == 60 and (steps[0], steps[-1]) == (0, 120)
    assert set(np.diff(steps)) == {2, 3}
    assert frames.shape[1:3] == (20 + STRIP, LEAST) and int(frames[-1, -1, 39, 0]) == 120


def test_no_grids(tmp_path):
    steps, frames = timelapse(tmp_path)
    assert steps == [] and len(frames) == 0
