"""Boxes and keypoints found in pictures, against closed forms, skimage, and drawings whose places are known."""

import math

import numpy as np
import pytest
import torch
from skimage.measure import label, regionprops

from ganvas.errors import UserError
from ganvas.metrics.layout_scores import (
    KeypointFinder,
    box_iou,
    box_of,
    find_boxes,
    keypoint_distance,
    largest_part,
    mask_of,
    train_keypoint_finder,
    train_object_segmenter,
)


def test_overlaps_by_hand():
    """Equal, apart, touching, a quarter of each, one inside the other, no area."""
    a = torch.tensor([[0.1, 0.2, 0.4, 0.4]] * 5 + [[0.5, 0.5, 0, 0]])
    b = torch.tensor(
        [[0.1, 0.2, 0.4, 0.4], [0.6, 0.7, 0.1, 0.1], [0.5, 0.2, 0.4, 0.4], [0.3, 0.4, 0.4, 0.4], [0.2, 0.3, 0.1, 0.2],
         [0.5, 0.5, 0, 0]]
    )  # fmt: skip
    expected = [1, 0, 0, 0.04 / 0.28, 0.02 / 0.16, 0]
    assert box_iou(a, b).tolist() == pytest.approx(expected, abs=1e-6)
    assert box_iou(b, a).tolist() == pytest.approx(expected, abs=1e-6)
    # x and y are not exchanged: a wide box and a high one have a square in common.
    wide, high = torch.tensor([[0.0, 0, 0.8, 0.2]]), torch.tensor([[0.0, 0, 0.2, 0.8]])
    assert box_iou(wide, high).item() == pytest.approx(0.04 / 0.28)
    with pytest.raises(UserError, match="row by row"):
        box_iou(a, b[:2])


def test_overlaps_of_many_boxes_are_those_of_their_pixels():
    """Boxes on a grid of pixels: intersection and union are counted."""
    random = np.random.default_rng(0)
    first, second = (random.integers(0, 10, (40, 2, 2)) for _ in range(2))
    a, b = (torch.from_numpy(np.concatenate([of[:, 0], 1 + of[:, 1]], 1) / 20) for of in (first, second))
    ours, theirs = mask_of(a, 20, 20), mask_of(b, 20, 20)
    counted = (ours & theirs).sum((1, 2)) / (ours | theirs).sum((1, 2))
    assert box_iou(a, b).tolist() == pytest.approx(counted.tolist(), abs=1e-6)


def test_boxes_and_masks_are_each_others():
    """On a picture that is not square: x goes along the columns; no pixel of an edge is lost or gained."""
    boxes = torch.tensor([[0.25, 0.5, 0.5, 0.25], [0, 0, 1, 1], [0.75, 0, 0.25, 0.125]])
    masks = mask_of(boxes, 8, 16)
    assert masks.shape == (3, 8, 16) and masks[0, 4:6, 4:12].all() and masks[0].sum() == 16
    assert torch.equal(box_of(masks), boxes)
    random = torch.rand(5, 9, 7, generator=torch.Generator().manual_seed(0)) > 0.9
    for mask, found in zip(random, box_of(random), strict=True):
        rows, columns = mask.nonzero().unbind(1)
        top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        expected = [left / 7, top / 9, (right - left) / 7, (bottom - top) / 9]
        assert found.tolist() == pytest.approx([float(value) for value in expected])
    assert box_of(torch.zeros(1, 4, 4, dtype=torch.bool)).tolist() == [[0, 0, 0, 0]]


def test_the_largest_part_is_that_of_scikit_image():
    masks = torch.rand(6, 20, 20, generator=torch.Generator().manual_seed(1)) > 0.55
    for mask, found in zip(masks.numpy(), largest_part(masks).numpy(), strict=True):
        areas = [int(region.area) for region in regionprops(label(mask, connectivity=1))]
        assert found.sum() == max(areas) < mask.sum() and not (found & ~mask).any()
        assert label(found, connectivity=1).max() == 1
    assert not largest_part(torch.zeros(2, 4, 4, dtype=torch.bool)).any()


def test_distances_by_hand():
    """3-4-5 triangles; invisible ones and those found invisible do not count; the unit is the diagonal."""
    asked = torch.tensor(
        [[[0.1, 0.2, 1], [0.5, 0.5, 1], [0, 0, 0]], [[0.3, 0.3, 1], [0, 0, 0], [0, 0, 0]], [[0.0] * 3] * 3]
    )
    found = asked.clone()
    found[0, 0, :2] += torch.tensor([0.03, 0.04])
    found[0, 2] = 0.9
    found[1, 0, :2] -= torch.tensor([0.3, 0.0])
    values = keypoint_distance(found, asked)
    assert values[:2].tolist() == pytest.approx([0.025 / math.sqrt(2), 0.3 / math.sqrt(2)], abs=1e-6)
    assert math.isnan(values[2])
    boxes = torch.tensor([[0, 0, 0.3, 0.4], [0, 0, 0.6, 0.8], [0, 0, 1, 1]])
    assert keypoint_distance(found, asked, boxes)[:2].tolist() == pytest.approx([0.05, 0.3], abs=1e-6)
    corner = torch.tensor([[[0.0, 0, 1]]])
    assert keypoint_distance(corner + torch.tensor([1.0, 1, 0]), corner).item() == pytest.approx(1)
    with pytest.raises(UserError, match="one by one"):
        keypoint_distance(found, asked[:, :2])
    with pytest.raises(UserError, match=r"boxes \(2, 4\) of 3 pictures"):
        keypoint_distance(found, asked, boxes[:2])


SIDE = 24


def drawings(n, seed, side=SIDE):
    """A gray ground with noise; on it a bright bar with a red left end and a blue right end.

    Returns pictures, boxes of all of it, and keypoints: the middles of the red and the blue pixel squares (2 x 2).
    """
    random = np.random.default_rng(seed)
    pixels = random.normal(0, 0.1, (n, 3, side, side))
    boxes, points = np.zeros((n, 4)), np.ones((n, 2, 3))
    for i in range(n):
        width, height = random.integers(7, 14), random.integers(4, 9)
        left, top = random.integers(0, side - width + 1), random.integers(0, side - height + 1)
        pixels[i, :, top : top + height, left : left + width] = 0.8
        middle = top + height // 2
        for k, (start, colour) in enumerate(((left, 0), (left + width - 2, 2))):
            pixels[i, :, middle - 1 : middle + 1, start : start + 2] = -0.9
            pixels[i, colour, middle - 1 : middle + 1, start : start + 2] = 0.9
            points[i, k, :2] = (start + 1) / side, middle / side
        boxes[i] = left / side, top / side, width / side, height / side
    return (torch.from_numpy(array).float() for array in (pixels.clip(-1, 1), boxes, points))


@pytest.mark.slow
def test_a_judge_trained_on_boxes_finds_boxes():
    """Beside what a constant answer would get, and boxes of other pictures."""
    pictures, boxes, _ = drawings(300, 0)
    others, truth, _ = drawings(80, 1)
    before = torch.get_rng_state()
    judge = train_object_segmenter(pictures, boxes=boxes, steps=120)
    assert torch.equal(torch.get_rng_state(), before)
    found = find_boxes(judge, others)
    assert box_iou(found, truth).mean() > 0.9
    assert box_iou(found, truth.roll(1, 0)).mean() < 0.4 > box_iou(boxes.mean(0).expand(80, 4), truth).mean()
    # A stray pixel does not stretch a box; where nothing is to be seen there is none.
    corner = others.clone()
    corner[:, :, -1, -1] = 0.8
    assert box_iou(find_boxes(judge, corner), truth).mean() > 0.9
    assert find_boxes(judge, torch.zeros(1, 3, SIDE, SIDE)).tolist() == [[0, 0, 0, 0]]
    by_masks = train_object_segmenter(pictures, masks=mask_of(boxes, SIDE, SIDE), steps=120)
    assert torch.equal(find_boxes(by_masks, others), found)
    for given in ({}, {"boxes": boxes, "masks": mask_of(boxes, SIDE, SIDE)}):
        with pytest.raises(UserError, match="give one of them"):
            train_object_segmenter(pictures, **given)


def test_keypoints_are_found_to_a_part_of_a_pixel():
    """Against where they were drawn: no shift by half a pixel, and left and right are told apart."""
    pictures, _, points = drawings(300, 2)
    points[::7, 1] = 0  # some are not visible
    others, _, truth = drawings(80, 3)
    before = torch.get_rng_state()
    judge = train_keypoint_finder(pictures, points, steps=150)
    assert torch.equal(torch.get_rng_state(), before)
    found = judge.find(others)
    pixels = SIDE * (found - truth)[..., :2]
    assert pixels.abs().median() < 0.35 and pixels.median(0).values.abs().max() < 0.25
    right = keypoint_distance(found, truth).mean()
    assert right < 0.03 < 0.2 < keypoint_distance(found.flip(1), truth).mean()
    assert (found[..., 2] == 1).all()
    again = train_keypoint_finder(pictures, points, steps=150)
    assert torch.equal(again.find(others), found)


def test_a_place_is_the_centre_of_what_is_likely():
    """Closed form: one pixel, x = (column + 1/2) / W; two equal neighbours: between them; a far lesser peak: no."""
    maps = torch.full((1, 3, 8, 16), -50.0)  # logits
    maps[0, 0, 2, 5] = 0
    maps[0, 1, 3, 7:9] = 0
    maps[0, 2, 6, 1], maps[0, 2, 1, 14] = 0, -1

    class Given(torch.nn.Module):
        def forward(self, images):
            return maps

    found = KeypointFinder(Given()).find(torch.zeros(1, 3, 8, 16))[0]
    assert found[:, 0].tolist() == pytest.approx([5.5 / 16, 8 / 16, 1.5 / 16], abs=1e-6)
    assert found[:, 1].tolist() == pytest.approx([2.5 / 8, 3.5 / 8, 6.5 / 8], abs=1e-6)


def test_keypoints_that_do_not_fit_are_refused():
    pictures = torch.zeros(4, 3, 8, 8)
    for points, images, said in (
        (torch.ones(3, 2, 3), pictures, "of 4 pictures"),
        (torch.zeros(4, 2, 3), pictures, "no keypoint is visible"),
        (torch.ones(4, 2, 3), torch.zeros(4, 3, 10, 8), "multiples of 4"),
    ):
        with pytest.raises(UserError, match=said):
            train_keypoint_finder(images, points)
