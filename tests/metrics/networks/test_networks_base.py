"""What all feature networks share: chunks, gray pictures, resizing, finding one by its name."""

from __future__ import annotations

from typing import Any

import jaxtyping
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics import networks
from ganvas.metrics.networks import FeatureNetwork
from ganvas.metrics.networks._base import resize

CPU = torch.device("cpu")


def pictures(n: int, height: int = 6, width: int = 6, channels: int = 3, seed: int = 0) -> Tensor:
    shape = (n, height, width, channels)
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


class Means:
    """A network whose features are the means of the channels; it notes what it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(tuple(inputs.shape))
        means = self.weight * inputs.mean((2, 3))
        return means, means[:, :2]


def network(**changes: Any) -> tuple[FeatureNetwork, Means]:
    means = Means()
    fields: dict[str, Any] = {
        "name": "means",
        "dimensions": 3,
        "classes": 2,
        "size": 6,
        "resize": "none",
        "normalisation": "none",
        "weights": "0" * 64,
        "device": CPU,
        "precision": "fp32",
        "chunk": 4,
        "prepare": lambda images: images.permute(0, 3, 1, 2).float(),
        "forward": means.forward,
    }
    return FeatureNetwork(**(fields | changes)), means


def test_features_are_those_of_each_picture_in_order() -> None:
    """Against the means of each picture, computed by NumPy; and the softmax, in float64."""
    net, _ = network()
    images = pictures(11)
    found = net.features(images)
    means = images.numpy().astype(np.float64).mean((1, 2))
    np.testing.assert_allclose(found.vectors.numpy(), means, rtol=1e-6)
    powers = np.exp(means[:, :2])
    np.testing.assert_allclose(found.probabilities, powers / powers.sum(1, keepdims=True), rtol=1e-4)
    assert found.vectors.dtype == torch.float32 and not found.vectors.requires_grad


def test_the_network_only_ever_sees_full_chunks() -> None:
    net, means = network()
    for n in (1, 4, 9):
        assert len(net.features(pictures(n))) == n
    assert set(means.seen) == {(4, 3, 6, 6)} and len(means.seen) == 1 + 1 + 3


def test_gray_is_repeated_to_three_channels() -> None:
    net, _ = network()
    gray = pictures(5, channels=1)
    assert torch.equal(net.features(gray).vectors, net.features(gray.repeat(1, 1, 1, 3)).vectors)


def test_no_pictures_have_no_features() -> None:
    found = network()[0].features(pictures(0))
    assert found.vectors.shape == (0, 3) and found.probabilities is not None and found.probabilities.shape == (0, 2)


@pytest.mark.parametrize(
    "images",
    [pictures(2).float(), pictures(2)[0], pictures(2, channels=2)],
    ids=["float", "one picture", "two channels"],
)
def test_what_is_not_8_bit_gray_or_rgb_is_refused(images: Tensor) -> None:
    with pytest.raises((ValueError, jaxtyping.TypeCheckError)):  # the latter where annotations are checked
        network()[0].features(images)


def test_stages_are_of_all_pictures_and_empty_where_there_are_none() -> None:
    def maps(inputs: Tensor) -> list[Tensor]:
        return [inputs.bfloat16(), inputs[:, :1, ::2, ::2]]

    images = pictures(6)
    fine, coarse = network(maps=maps)[0].stages(images)
    wanted = images.permute(0, 3, 1, 2).float()
    assert torch.equal(fine, wanted.bfloat16().float())
    assert torch.equal(coarse, wanted[:, :1, ::2, ::2])
    assert network()[0].stages(images) == []


def test_bf16_is_for_the_network_alone() -> None:
    """Products are rounded to bf16, what is prepared and what comes out is float32."""
    seen: list[torch.dtype] = []
    weight = torch.full((2, 3), 1 + 2**-10)  # rounds to 1 in bf16, which has 8 bits

    def forward(inputs: Tensor) -> tuple[Tensor, None]:
        seen.append(inputs.dtype)
        return torch.nn.functional.linear(inputs.mean((2, 3)), weight), None

    white = torch.full((1, 6, 6, 3), 1, dtype=torch.uint8)
    exact, rounded = (
        network(forward=forward, dimensions=2, classes=0, precision=precision)[0].features(white)
        for precision in ("fp32", "bf16")
    )
    assert rounded.vectors.tolist() == [[3, 3]] and exact.vectors.tolist() == [[3 * (1 + 2**-10)] * 2]
    assert rounded.vectors.dtype == torch.float32 and seen == [torch.float32] * 2
    assert rounded.probabilities is None


def test_the_protocol_is_json_and_tells_networks_apart() -> None:
    one, other = network()[0].protocol, network(precision="bf16")[0].protocol
    assert one == {
        "network": "means",
        "size": 6,
        "resize": "none",
        "normalisation": "none",
        "weights": "0" * 64,
        "dtype": "float32",
    }
    assert other["dtype"] == "bfloat16"


@pytest.mark.parametrize(("height", "width"), [(7, 5), (16, 16), (40, 33), (100, 90)])
def test_resizing_is_pillows_bicubic_in_float(height: int, width: int) -> None:
    """Against Pillow's resize of float planes, up and down; no rounding to whole numbers on the way."""
    images = pictures(2, height, width)
    found = resize(images, 16)
    assert found.dtype == torch.float32 and found.shape == (2, 3, 16, 16)
    for image, planes in zip(images.numpy(), found.numpy(), strict=True):
        for channel in range(3):
            plane = Image.fromarray(image[:, :, channel].astype(np.float32))
            wanted = np.asarray(plane.resize((16, 16), Image.Resampling.BICUBIC)).clip(0, 255)
            np.testing.assert_allclose(planes[channel], wanted, atol=2e-3)


def test_networks_are_found_by_their_files() -> None:
    assert networks.names() == ["dinov2", "efficientnet_lite0", "inception"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("inceptoin", "did you mean inception"),
        ("_base", "no feature network '_base'"),
        ("vgg/../inception", "no feature network"),
        ("nowhere/inception.onnx", "name of another network, inception"),
        ("nowhere/mine.pt", "no file nowhere/mine.pt"),
    ],
)
def test_unknown_networks_are_named_in_one_line(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        networks.find(name, device=CPU)
    assert "\n" not in str(raised.value)
