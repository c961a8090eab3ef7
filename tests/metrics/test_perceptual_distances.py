"""Distances by networks, square by square: against loops over squares, torchvision's numbering of layers, and rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from safetensors.torch import save_file
from test_enlarged import photo
from torch.nn import functional as F

from ganvas.data.sampler import to_float
from ganvas.errors import UserError
from ganvas.losses.perceptual import VGG
from ganvas.metrics import networks
from ganvas.metrics.perceptual import of_features, of_vgg, squares, vgg_distance

RELU = {"vgg16": (3, 8, 15, 22, 29), "vgg19": (3, 8, 17, 26, 35)}
"""torchvision's places of the activations before each pooling, as LPIPS takes them of VGG16."""


@pytest.fixture(scope="module", params=["vgg16", "vgg19"])
def weights(request, tmp_path_factory):
    """A file of random weights, scaled to keep activations alive."""
    torch.manual_seed(0)
    vgg = VGG(request.param)
    tensors = dict(vgg.features.named_parameters(prefix="features"))
    for tensor in tensors.values():
        tensor.data.mul_(2.4 if tensor.dim() == 4 else 1)
    path = tmp_path_factory.mktemp("vgg") / "weights.safetensors"
    save_file({name: tensor.data for name, tensor in tensors.items()}, path)
    return request.param, path


def test_squares_are_the_middle_of_the_picture():
    """Each pixel says where it is from: of 9 x 16 pixels a row is left over at the end, of 15 columns one and two."""
    picture = torch.arange(9 * 16).reshape(9, 16, 1).to(torch.uint8)
    found = squares(picture, 4)
    assert found.shape == (8, 4, 4, 1)
    assert found[:, 0, 0, 0].tolist() == [row * 16 + column for row in (0, 4) for column in (0, 4, 8, 12)]
    assert torch.equal(found[5, :, :, 0], picture[4:8, 4:8, 0])
    middle = squares(picture[:, :15], 4)
    assert middle.shape == (6, 4, 4, 1) and middle[0, 0, 0, 0] == 1
    assert torch.equal(squares(picture, 224)[0], picture[:, 3:12])


def test_vgg_distance_is_the_sum_over_five_layers(weights):
    """Of torchvision's layers, one picture at a time, in float64, with the normalisation written out."""
    name, path = weights
    vgg = VGG.load(name, path)
    a, b = (to_float(torch.from_numpy(photo(40, 35, seed))[None]) for seed in (0, 1))
    layers = vgg.features.double()
    total = 0.0
    mean, deviation = (torch.tensor(of)[:, None, None] for of in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    for place in RELU[name]:
        units = []
        for images in (a, b):
            maps = layers[: place + 1](((images.double() + 1) / 2 - mean) / deviation)
            units.append(maps / maps.square().sum(1, keepdim=True).sqrt().clamp_min(1e-10))
        total += (units[0] - units[1]).square().sum(1).mean().item()
    vgg.features.float()
    assert vgg_distance(VGG.load(name, path), a, b).item() == pytest.approx(total, rel=1e-4)


def test_vgg_distance_as_a_distance(weights):
    vgg = VGG.load(*weights)
    image = Image.fromarray(photo(64, 48, 0))
    versions = [np.asarray(image.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 0.5, 1, 2, 4)]
    sharp, *blurred = (to_float(torch.from_numpy(np.array(of))[None]) for of in versions)
    assert vgg_distance(vgg, sharp, sharp).item() == 0
    distances = [vgg_distance(vgg, of, sharp).item() for of in blurred]
    assert distances == sorted(distances) and distances[0] > 0 and distances[-1] < 10
    back = vgg_distance(vgg, sharp, blurred[1]).item()
    assert back == pytest.approx(distances[1], rel=1e-6)
    both = vgg_distance(vgg, torch.cat(blurred), sharp.expand(4, -1, -1, -1))
    assert both.tolist() == pytest.approx(distances, rel=1e-5)


def test_a_photo_is_the_mean_of_its_squares(weights, monkeypatch):
    """And it does not matter how many squares pass through the network together."""
    monkeypatch.setattr("ganvas.metrics.perceptual.SIDE", 64)
    name, path = weights
    found = of_vgg(path, torch.device("cpu"))
    assert found.name == f"{name}_distance" and found.protocol["features"]["network"] == name
    truth, other = (torch.from_numpy(photo(140, 70, seed)) for seed in (0, 1))
    blurred = F.avg_pool2d(truth.permute(2, 0, 1).float()[None], 3, 1, 1)[0].permute(1, 2, 0).to(torch.uint8)
    values = found(truth, [other, blurred, truth])
    vgg = VGG.load(name, path)
    for value, picture in zip(values, (other, blurred, truth), strict=True):
        parts = []
        for left in (6, 70):
            ours, theirs = (to_float(of[None, 3:67, left : left + 64]) for of in (picture, truth))
            parts.append(vgg_distance(vgg, ours, theirs).item())
        assert value == pytest.approx(np.mean(parts), rel=1e-4, abs=1e-9)
    assert values[0] > values[1] > values[2] == 0
    monkeypatch.setattr("ganvas.metrics.perceptual.AT_ONCE", 1)
    assert found(truth, [other, blurred, truth]) == pytest.approx(values, rel=1e-5)


def test_a_feature_network():
    """1 - cosine of its features, and its stages, at the size that it takes: nothing is resized."""
    pytest.importorskip("efficientnet_lite_pytorch")
    network = networks.find("efficientnet_lite0", device=torch.device("cpu"))
    features, stages = of_features(network)
    assert (features.name, stages.name) == (
        "feature_distance_efficientnet_lite0", "perceptual_distance_efficientnet_lite0",
    )  # fmt: skip
    truth, other = (torch.from_numpy(photo(460, 225, seed)) for seed in (0, 1))
    parts = []
    for left in (6, 230):
        ours, theirs = (network.features(of[None, :224, left : left + 224]).vectors for of in (other, truth))
        parts.append(1 - F.cosine_similarity(ours.double(), theirs.double()).item())
    assert features(truth, [other, truth]) == pytest.approx([np.mean(parts), 0], rel=1e-5, abs=1e-9)
    image = Image.fromarray(truth.numpy())
    blurred = [torch.from_numpy(np.array(image.filter(ImageFilter.GaussianBlur(radius)))) for radius in (0.5, 1, 2)]
    for distance in (features, stages):
        values = distance(truth, blurred)
        assert values == sorted(values) and values[0] > 0
    assert distance.protocol["features"] == network.protocol and "224" in distance.protocol["squares"]


def test_files_that_hold_neither(tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "part.pth")
    with pytest.raises(UserError, match="does not hold the convolutions of vgg16"):
        of_vgg(tmp_path / "part.pth", torch.device("cpu"))
    with pytest.raises(UserError, match="there is no file"):
        of_vgg(tmp_path / "nowhere.pth", torch.device("cpu"))
