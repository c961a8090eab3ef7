"""Nearest training pictures, against brute force in integers; copies and mirrored copies; numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ganvas.errors import UserError
from ganvas.inspect import nearest, nearest_pictures, nearness


def noise(count, seed, side=6, channels=3):
    values = np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), np.uint8)
    return torch.from_numpy(values)


def squared(a, b):
    """Sums of squared differences, (M, N), exact."""
    difference = a.numpy()[:, None].astype(np.int64) - b.numpy()[None]
    return (difference**2).reshape(*difference.shape[:2], -1).sum(2)


@pytest.mark.parametrize("block", [2**24, 6 * 6 * 3 * 7])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_nearest_of_all(block, mirrored, monkeypatch):
    """Whether the training pictures are taken at once or seven at a time, the last alone."""
    monkeypatch.setattr("ganvas.inspect.nearest.BLOCK", block)
    queries, train = noise(11, 0), noise(36, 1)
    all_ways = squared(queries, train)
    if mirrored:
        all_ways = np.minimum(all_ways, squared(queries.flip(2), train))
    distances, places = nearest_pictures(queries, train, mirrored=mirrored)
    assert places.tolist() == all_ways.argmin(1).tolist()
    np.testing.assert_allclose(distances, np.sqrt(all_ways.min(1)), rtol=1e-12)


@pytest.mark.parametrize("block", [2**24, 6 * 6 * 3 * 7])
def test_no_picture_is_its_own_neighbour_nor_its_mirror_image(block, monkeypatch):
    monkeypatch.setattr("ganvas.inspect.nearest.BLOCK", block)
    train = noise(36, 1)
    train[20] = train[3]  # a twin is a neighbour
    train[21, :, :3] = train[21, :, 3:].flip(1)  # and its mirror image is itself
    own = torch.tensor([35, 3, 20, 0, 21])
    all_ways = np.minimum(squared(train[own], train), squared(train[own].flip(2), train))
    all_ways[np.arange(5), own] = 10**12
    distances, places = nearest_pictures(train[own], train, mirrored=True, own=own)
    assert places.tolist() == all_ways.argmin(1).tolist() and places[1:3].tolist() == [20, 3]
    np.testing.assert_allclose(distances, np.sqrt(all_ways.min(1)), rtol=1e-12)


def test_copies_are_counted_either_way_round():
    """Two copies, one of them mirrored, one that differs by 1 in one value, and five others."""
    train, samples = noise(30, 1), noise(8, 2)
    samples[0], samples[1], samples[2] = train[5], train[6].flip(1), train[7]
    samples[2, 0, 0, 0] ^= 1
    assert nearness(samples, train).copies == 1 / 8
    both = nearness(samples, train, mirrored=True)
    assert both.copies == 2 / 8 and (both.samples, both.pictures) == (8, 30)
    assert nearest_pictures(samples, train, mirrored=True)[0][:3].tolist() == [0.0, 0.0, 1.0]


def test_the_median_ratio_by_hand():
    """Flat pictures of 0, 10, 20, ..., 190 have neighbours 10 away; samples of 4, 24, 44 are 4 away from theirs."""
    train = (torch.arange(20) * 10).to(torch.uint8)[:, None, None, None].expand(20, 4, 4, 1)
    samples = torch.tensor([4, 24, 44], dtype=torch.uint8)[:, None, None, None].expand(3, 4, 4, 1)
    found = nearness(samples, train)
    assert found.median == pytest.approx(4) and found.median_ratio == pytest.approx(0.4) and found.copies == 0
    assert nearness(samples, train, most=2).median_ratio == pytest.approx(0.4)
    twins = torch.cat([train, train])
    assert math.isnan(nearness(samples, twins).median_ratio)


def test_what_cannot_be_compared():
    for samples, train in ((noise(0, 0), noise(3, 0)), (noise(2, 0), noise(1, 0)), (noise(2, 0), noise(3, 0, side=4))):
        with pytest.raises(UserError, match="two or more training pictures of the same size"):
            nearness(samples, train)


def test_the_package_still_has_its_module():
    """`nearest` is a module; functions of the same name as theirs are not hidden by it."""
    assert nearest.nearest_pictures is nearest_pictures
