"""Checkerboard scores, against closed forms, transposed convolutions of ones, and chance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ganvas.errors import UserError
from ganvas.metrics.checkerboard import STEP, Nyquist, nyquist, phase_score, power_spectrum


def board(height, width, amplitude=1.0, across=True, down=True):
    """+a and -a in turn, across, down or both: the fields of a chessboard."""
    y, x = torch.arange(height)[:, None], torch.arange(width)
    return amplitude * (1.0 - 2.0 * ((y * down + x * across) % 2))[None, None]


def waves(height=32, width=32):
    """A smooth picture that goes on at its edges as it began; of variance 1/8 + 1/8, and no pattern of 2 or 4."""
    y, x = torch.arange(height)[:, None] / height, torch.arange(width) / width
    return 0.5 * (torch.sin(2 * math.pi * x) + torch.cos(4 * math.pi * y))[None, None]


def stamped(kernel, stride):
    """The inside, 24 pixels wide, of what a transposed convolution of ones makes of a constant picture."""
    ones = torch.ones(1, 1, kernel, kernel)
    return F.conv_transpose2d(torch.ones(1, 1, 20, 20), ones, stride=stride)[..., 6:30, 6:30]


def test_uneven_overlap_of_transposed_convolutions():
    """T(3,2) covers 1, 2, 1, 2 (and 1, 2, 2, 4 in the plane), T(5,2) 2, 3 in turn, T(4,2) and T(6,2) all alike."""
    uneven = stamped(3, 2)
    assert sorted(uneven.unique().tolist()) == [1, 2, 4] and sorted(stamped(5, 2).unique().tolist()) == [4, 6, 9]
    assert phase_score(uneven, 2).tolist() == pytest.approx([1]) and phase_score(stamped(5, 2), 2).item() > 0.999
    assert phase_score(stamped(4, 2), 2).tolist() == phase_score(stamped(6, 2), 2).tolist() == [0.0]
    assert phase_score(stamped(5, 3), 3).item() == pytest.approx(1)
    # 1, 2 is 1.5 -+ 0.5: alone in x it is 0.5 times the mean 1.5 of y, in both 0.5 times 0.5.
    found = nyquist(uneven)
    for value, amplitude in ((found.horizontal, 0.75), (found.vertical, 0.75), (found.both, 0.25)):
        assert value == pytest.approx(10 * math.log10(1 + 4 / 9 * 24**2 * amplitude**2 / STEP**2), rel=1e-6)
    assert nyquist(stamped(4, 2)) == Nyquist(0.0, 0.0, 0.0)


@pytest.mark.parametrize("amplitude", [0.01, 0.1, 1.0])
def test_a_drawn_checkerboard_has_its_share(amplitude):
    """On waves of variance 1/4: a^2 / (a^2 + 1/4), whatever the period that it is looked for with."""
    picture = waves() + board(32, 32, amplitude)
    share = amplitude**2 / (amplitude**2 + 0.25)
    assert phase_score(picture, 2).item() == pytest.approx(share, abs=1e-6)
    assert phase_score(picture, 4).item() == pytest.approx(share, abs=1e-6)
    assert phase_score(picture, 3).item() < 0.02
    gray_and_flat = torch.cat([picture, torch.zeros(1, 2, 32, 32)], 1)  # two channels without anything in them
    assert phase_score(gray_and_flat, 2).item() == pytest.approx(share, abs=1e-6)


def test_a_pattern_of_four_is_not_one_of_two():
    """Columns of 1, 1, -1, -1: means over even and odd ones are 0."""
    picture = (1.0 - 2.0 * (torch.arange(32) % 4 >= 2)).expand(1, 1, 32, 32)
    assert phase_score(picture, 2).item() == 0 and phase_score(picture, 4).item() == pytest.approx(1)


@pytest.mark.parametrize("ways", [(True, False), (False, True), (True, True)])
def test_each_way_has_a_frequency_of_its_own(ways):
    found = nyquist(board(32, 24, 0.2, *ways))
    peak = 10 * math.log10(1 + 4 / 9 * 32 * 24 * 0.04 / STEP**2)
    expected = {(True, False): (peak, 0, 0), (False, True): (0, peak, 0), (True, True): (0, 0, peak)}[ways]
    assert (found.horizontal, found.vertical, found.both) == pytest.approx(expected, abs=1e-6)


def test_pictures_without_fine_detail_have_nothing():
    """Constants, waves, and what 8 bits make of them; a ramp does not go on at its edges as it began."""
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    for picture in (torch.full((2, 3, 64, 64), 0.3), waves(64, 64), ramp, ramp.transpose(2, 3)):
        rounded = ((picture + 1) * 127.5).round() / 127.5 - 1
        for image in (picture, rounded):
            assert float(phase_score(image, 2).max()) < 1e-3 and float(phase_score(image, 4).max()) < 5e-3
            found = nyquist(image)
            assert max(abs(found.horizontal), abs(found.vertical), abs(found.both)) < 1.5
    assert nyquist(torch.full((2, 3, 64, 64), 0.3)) == Nyquist(0.0, 0.0, 0.0)
    assert phase_score(torch.full((2, 3, 64, 64), 0.3), 2).tolist() == [0, 0]


def test_noise_has_what_chance_leaves():
    """Means of r^2 groups of H W values: (r^2 - 1) / (H W - 1) of the variance lies between them (as in an ANOVA)."""
    picture = torch.randn(4000, 1, 16, 12, generator=torch.Generator().manual_seed(0))
    for period in (2, 4):
        expected = (period**2 - 1) / (16 * 12 - 1)
        assert float(phase_score(picture, period).mean()) == pytest.approx(expected, rel=0.05)
    noise = torch.randn(2000, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    found = nyquist(noise)
    assert max(abs(found.horizontal), abs(found.vertical), abs(found.both)) < 0.3


def test_scores_do_not_move_with_the_picture():
    """Phases exchange places when a picture moves round; a part cut one pixel further on has nearly the same scores."""
    random = torch.Generator().manual_seed(0)
    field = F.interpolate(torch.randn(64, 3, 20, 20, generator=random), scale_factor=4, mode="bicubic")
    field = field + board(80, 80, 0.1) + 0.05 * torch.randn(64, 3, 80, 80, generator=random)
    here, there = field[..., 8:72, 8:72], field[..., 9:73, 11:75]
    for period in (2, 4):
        moved = here.roll((1, 3), (2, 3))
        torch.testing.assert_close(phase_score(moved, period), phase_score(here, period))
        torch.testing.assert_close(phase_score(there, period), phase_score(here, period), rtol=0.25, atol=0.002)
    a, b = nyquist(here), nyquist(there)
    assert a.both > 15 and b.both == pytest.approx(a.both, abs=1)
    assert abs(a.horizontal - b.horizontal) < 1 and a.horizontal < 3


def test_the_spectrum_against_numpy_and_the_variance_of_noise():
    images = torch.randn(300, 2, 18, 21, generator=torch.Generator().manual_seed(0)) * 3 + 5
    power = power_spectrum(images)
    assert power.shape == (18, 20)
    part = images[..., :20].double().numpy()
    part = part - part.mean((2, 3), keepdims=True)
    window = np.outer(np.hanning(19)[:-1], np.hanning(21)[:-1])  # periodic: the symmetric one of a point more
    expected = np.abs(np.fft.fft2(part * window)) ** 2 / (window**2).sum()
    np.testing.assert_allclose(power, expected.mean((0, 1)), rtol=1e-9)
    assert float(power[4:-4, 4:-4].mean()) == pytest.approx(9, rel=0.05)


def test_what_is_too_small():
    with pytest.raises(UserError, match="period of 2 or more"):
        phase_score(torch.zeros(1, 1, 8, 8), 1)
    with pytest.raises(UserError, match="twice that size"):
        phase_score(torch.zeros(1, 1, 8, 6), 4)
    for images in (torch.zeros(1, 1, 32, 15), torch.zeros(0, 1, 32, 32)):
        with pytest.raises(UserError, match="16 pixels or more"):
            nyquist(images)
