"""Colours in Lab and how far their histograms overlap, against scikit-image and by hand."""

import pytest
import torch
from skimage.color import rgb2lab

from ganvas.errors import UserError
from ganvas.metrics.colour import BIN, REACH, intersection, lab_histograms, to_lab


def cube(steps=18):
    """All of sRGB at even steps, as one picture in [-1, 1]."""
    values = torch.linspace(-1, 1, steps, dtype=torch.float64)
    return torch.cartesian_prod(values, values, values).T.reshape(1, 3, steps, -1)


def test_lab_is_that_of_scikit_image():
    """Its matrix and white have other last digits: 0.03 of a unit. Red and blue exchanged would be off by tens."""
    expected = torch.from_numpy(rgb2lab(((cube() + 1) / 2).permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)
    assert (to_lab(cube()) - expected).abs().max() < 0.03


def test_gray_has_no_colour_and_all_of_srgb_is_within_the_bins():
    gray = torch.linspace(-1, 1, 256, dtype=torch.float64).expand(1, 3, 1, 256)
    lab = to_lab(gray)
    assert lab[:, 1:].abs().max() < 1e-9
    assert lab[0, 0, 0, 0].item() == pytest.approx(0, abs=1e-9) and lab[0, 0, 0, -1].item() == pytest.approx(100)
    lab = to_lab(cube(32))
    assert lab[:, 1:].abs().max() < REACH and lab[:, 0].min() > -1e-9 and lab[:, 0].max() < 100 + 1e-9


def test_a_histogram_counts_every_pixel_in_its_bin():
    found = lab_histograms(cube())
    assert [len(part) for part in found] == [50, 111, 111]
    assert [int(part.sum()) for part in found] == [18**3] * 3
    black = lab_histograms(torch.full((2, 3, 4, 5), -1.0))
    assert black.l[0] == 40 and black.a[REACH // 2] == 40 and black.b[REACH // 2] == 40
    white = lab_histograms(torch.ones(1, 1, 4, 5))  # gray pictures of one channel
    assert white.l[-1] == 20 and white.b[REACH // 2] == 20
    # Pure blue has the lowest b there is: a = 79.2, b = -107.9 (scikit-image agrees above).
    blue = lab_histograms(torch.tensor([-1.0, -1, 1]).view(1, 3, 1, 1))
    assert int(blue.b.argmax()) == int((-107.86 + REACH) // BIN) and int(blue.a.argmax()) == int((79.19 + REACH) // BIN)


def test_the_intersection_of_equal_disjoint_and_half_equal_histograms():
    """By hand; counts of different sums are shares."""
    assert intersection(torch.tensor([2, 2, 0]), torch.tensor([30, 30, 0])) == pytest.approx(1)
    assert intersection(torch.tensor([5, 0, 0]), torch.tensor([0, 1, 6])) == 0
    assert intersection(torch.tensor([1, 1, 0]), torch.tensor([0, 3, 1])) == pytest.approx(0.5)
    with pytest.raises(UserError, match="no pixels"):
        intersection(torch.tensor([0, 0]), torch.tensor([1, 0]))


def test_gray_pictures_lose_the_colours_of_colourful_ones():
    """What L1 alone does: a and b narrow (Isola et al. 2017, figure 7), while L stays as it is."""
    colourful = cube()
    duller = colourful.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    ours, theirs = lab_histograms(duller), lab_histograms(colourful)
    assert intersection(ours.a, theirs.a) < 0.2 < 0.6 < intersection(ours.l, theirs.l)
    with pytest.raises(UserError, match="4 channels"):
        lab_histograms(torch.zeros(1, 4, 2, 2))
