"""Scores of a picture beside its truth, against scikit-image, torchmetrics and closed forms."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from ganvas.errors import UserError
from ganvas.metrics.translation import feature_distance, l1, psnr, retrieval, sharpness, ssim


def pictures(seed, n=3, channels=3, height=24, width=31):
    """Smooth pictures with noise, in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 5, 6, generator=generator, dtype=torch.float64)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    noise = 0.2 * torch.randn(smooth.shape, generator=generator, dtype=torch.float64)
    return (2 * smooth - 1 + noise).clamp(-1, 1)


def in_01(images):
    """As the other libraries take them: (B, H, W, C) in [0, 1]."""
    return ((images + 1) / 2).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("border", [0, 3])
def test_psnr_and_ssim_are_those_of_scikit_image(channels, border):
    """scikit-image crops SSIM's border by half a window, which is where the window fits."""
    ours, theirs = pictures(0, channels=channels), pictures(1, channels=channels)
    theirs = 0.7 * ours + 0.3 * theirs
    inside = slice(border, -border or None)
    for row, (a, b) in enumerate(zip(in_01(ours), in_01(theirs), strict=True)):
        a, b = a[inside, inside], b[inside, inside]
        expected = peak_signal_noise_ratio(b, a, data_range=1)
        assert psnr(ours, theirs, border=border)[row].item() == pytest.approx(expected, rel=1e-12)
        gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        expected = structural_similarity(a, b, data_range=1, channel_axis=2, **gaussian)
        assert ssim(ours, theirs, border=border)[row].item() == pytest.approx(expected, abs=1e-12)


def test_ssim_is_that_of_torchmetrics():
    """Of its map, which goes on over the edges by mirroring, the part where the window fits in."""
    ours, theirs = pictures(2, height=40, width=33), pictures(3, height=40, width=33)
    given = {"sigma": 1.5, "reduction": "none", "data_range": 1.0, "return_full_image": True}
    _, found = structural_similarity_index_measure((ours + 1) / 2, (theirs + 1) / 2, **given)
    expected = found[..., 5:-5, 5:-5].mean((1, 2, 3))
    assert torch.allclose(ssim(ours, theirs), expected, atol=1e-9)


def test_y_is_that_of_bt601():
    """White is 235 and black 16 of 255, so Y of white against black is 219 / 255 of the range; green weighs most."""
    white, black = torch.ones(1, 3, 12, 12), -torch.ones(1, 3, 12, 12)
    assert psnr(white, black, luma=True).item() == pytest.approx(-20 * math.log10(219 / 255), abs=1e-9)
    losses = []
    for channel in range(3):
        shifted = black.clone()
        shifted[:, channel] = 1
        losses.append(psnr(black, shifted, luma=True).item())
    weights = [10 ** (-loss / 20) for loss in losses]
    assert weights == pytest.approx([65.481 / 255, 128.553 / 255, 24.966 / 255], rel=1e-6)


@pytest.mark.parametrize("shift", [0.25, 0.01, 1 / 255])
def test_a_constant_shift(shift):
    """Closed form: l1 is the shift in units of the range, PSNR -20 log10 of it."""
    ours = torch.zeros(2, 3, 16, 16, dtype=torch.float64)
    theirs = ours + 2 * shift
    assert l1(ours, theirs).tolist() == pytest.approx([shift] * 2, rel=1e-12)
    assert psnr(ours, theirs).tolist() == pytest.approx([-20 * math.log10(shift)] * 2, rel=1e-12)
    assert l1(-torch.ones(1, 1, 12, 12), torch.ones(1, 1, 12, 12)).item() == 1


def test_equal_pictures():
    """No infinity: 100 dB."""
    ours = pictures(4)
    assert l1(ours, ours).tolist() == [0] * 3
    assert psnr(ours, ours).tolist() == [100] * 3
    assert ssim(ours, ours).tolist() == pytest.approx([1] * 3, abs=1e-12)


def test_every_picture_has_its_own_number():
    """A mean over the batch would mix them."""
    ours, theirs = pictures(5), pictures(6)
    for score in (l1, psnr, ssim):
        one_by_one = torch.cat([score(ours[i : i + 1], theirs[i : i + 1]) for i in range(3)])
        assert torch.allclose(score(ours, theirs), one_by_one, rtol=1e-13) and len(set(one_by_one.tolist())) == 3


def test_a_shift_by_one_pixel_is_seen():
    ours = pictures(7)
    assert (ssim(ours, ours.roll(1, 3)) < 0.95).all() and (l1(ours, ours.roll(1, 3)) > 0.01).all()


def test_the_border_is_cut_on_all_four_sides():
    ours = torch.zeros(1, 1, 20, 22)
    for row, column in ((0, 9), (19, 9), (9, 0), (9, 21), (1, 9), (18, 9), (9, 1), (9, 20)):
        theirs = ours.clone()
        theirs[..., row, column] = 1
        assert psnr(ours, theirs, border=2).item() == 100 > psnr(ours, theirs).item()
    theirs = ours.clone()
    theirs[..., 2, 2] = 1
    assert psnr(ours, theirs, border=2).item() < 100


def test_what_cannot_be_compared():
    ours = torch.zeros(1, 3, 16, 16)
    for call, said in (
        (lambda: psnr(ours, ours, border=8), "border of 8"),
        (lambda: ssim(ours, ours, border=3), "11 pixels or more, not 10 x 10"),
        (lambda: psnr(ours[:, :1], ours[:, :1], luma=True), "1 channels"),
        (lambda: feature_distance(torch.ones(2, 3), torch.ones(2, 4)), "3 and of 4 dimensions"),
        (lambda: feature_distance(torch.ones(2, 3), torch.ones(3, 3)), "2 pictures cannot be compared with 3"),
        (lambda: retrieval(torch.rand(2, 3), torch.rand(3, 3)), "2 pictures cannot each"),
        (lambda: retrieval(torch.full((2, 3), torch.nan), torch.rand(2, 3)), "not finite"),
    ):
        with pytest.raises(UserError, match=said):
            call()


def test_the_distance_of_features_is_one_minus_the_cosine():
    """Against numpy's dot product; lengths do not count, and orthogonal and opposite ones have 1 and 2."""
    a, b = torch.randn(5, 9), torch.randn(5, 9)
    x, y = a.double().numpy(), b.double().numpy()
    cosine = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    assert feature_distance(a, b).tolist() == pytest.approx((1 - cosine).tolist(), abs=1e-12)
    assert torch.allclose(feature_distance(3 * a, a), torch.zeros(5).double(), atol=1e-12)
    unit = torch.eye(2)
    assert feature_distance(unit, unit.flip(0)).tolist() == pytest.approx([1, 1])
    assert feature_distance(unit, -unit).tolist() == pytest.approx([2, 2])


def test_sharpness_of_ramps_and_of_what_is_blurred():
    """Closed form: a ramp from black to white over W pixels has 1 / (W - 1)^2 everywhere."""
    ramp = torch.linspace(-1, 1, 17, dtype=torch.float64)
    across = ramp.expand(1, 3, 9, 17)
    assert sharpness(across).item() == pytest.approx(1 / 16**2)
    assert sharpness(across.mT).item() == pytest.approx(1 / 16**2)
    diagonal = (ramp[:, None] + ramp)[None, None] / 2
    assert sharpness(diagonal).item() == pytest.approx(2 / 32**2)
    # An edge over four pixels has a fourth of one over a single pixel.
    edge = torch.where(torch.arange(40) < 20, -1.0, 1.0).expand(1, 1, 12, 40)
    wide = ((torch.arange(40) - 18) / 2 - 1).clamp(-1, 1).expand(1, 1, 12, 40)
    assert (sharpness(wide) / sharpness(edge)).item() == pytest.approx(1 / 4)
    ours = pictures(8)
    assert (sharpness(torch.nn.functional.avg_pool2d(ours, 3, 1, 1)) < 0.5 * sharpness(ours)).all()
    assert sharpness(torch.full((1, 1, 8, 8), 0.3)).item() == 0


def test_partners_are_found_where_they_are():
    truth = torch.randn(200, 16)
    own = retrieval(truth + 0.01 * torch.randn(200, 16), truth)
    assert own.within(1).mean() == 1 and own.ranks.mean() == 1
    # Against a plain matrix of distances, and whatever the blocks.
    queries = truth + torch.randn(200, 16)
    distances = torch.cdist(queries.double(), truth.double())
    nearer = (distances < distances.diagonal()[:, None]).sum(1)
    for block in (7, 512):
        found = retrieval(queries, truth, block=block)
        assert torch.equal(found.nearer, nearer) and found.equal.sum() == 0
        assert torch.equal(found.within(5) == 1, nearer < 5)


def test_shuffled_partners_are_found_by_chance():
    """1 / N, k / N and (N + 1) / 2, to four standard errors."""
    n = 400
    found = retrieval(torch.randn(n, 8), torch.randn(n, 8))
    assert abs(found.within(1).sum().item() - 1) < 4 + 1
    assert abs(found.within(100).mean().item() - 0.25) < 4 * (0.25 * 0.75 / n) ** 0.5
    assert abs(found.ranks.mean().item() - (n + 1) / 2) < 4 * n / (12 * n) ** 0.5


def test_equal_candidates_share_the_places():
    """All alike: exactly chance. Twins: one half of the first place each; rounding makes no difference."""
    same = retrieval(torch.randn(10, 4), torch.full((10, 4), 7.3))
    assert same.within(1).tolist() == pytest.approx([0.1] * 10) and same.within(5).tolist() == pytest.approx([0.5] * 10)
    assert same.ranks.tolist() == pytest.approx([5.5] * 10)
    twins = torch.randn(6, 4).repeat(2, 1) + 1000
    found = retrieval(twins, twins)
    assert found.within(1).tolist() == pytest.approx([0.5] * 12) and found.within(2).tolist() == [1] * 12
    # One picture for every source finds one partner.
    collapsed = retrieval(torch.randn(1, 4).expand(50, 4).contiguous(), torch.randn(50, 4))
    assert collapsed.within(1).mean().item() == pytest.approx(1 / 50)
