"""The offline feature network, against the package that its weights come from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics import networks
from ganvas.metrics.networks import FeatureNetwork, efficientnet_lite0

CPU = torch.device("cpu")
pytest.importorskip("efficientnet_lite_pytorch")


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return networks.find("efficientnet_lite0", device=CPU)


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Six smooth pictures with edges, 40 x 40."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 5, 5, 3), dtype=np.uint8)
    return torch.from_numpy(small.repeat(8, axis=1).repeat(8, axis=2))


def prepared_by_pillow(images: Tensor) -> Tensor:
    """(RGB - 127) / 128 of Pillow's bicubic resize to 224 pixels, as float64."""
    planes = [
        [np.asarray(Image.fromarray(image[:, :, c].astype(np.float32)).resize((224, 224), 3)) for c in range(3)]
        for image in images.numpy()
    ]
    return (torch.from_numpy(np.array(planes)).double().clamp(0, 255) - 127) / 128


def test_features_are_the_packages_own(network: FeatureNetwork, images: Tensor) -> None:
    """Against the package's network as it comes, unfolded and in float64, on pictures prepared by Pillow."""
    package = efficientnet_lite0.from_package()[0].double()
    with torch.no_grad():
        vectors = package.extract_features(prepared_by_pillow(images[:2])).mean((2, 3))
        logits = package._fc(vectors)
    found = network.features(images[:2])
    assert found.vectors.shape == (2, network.dimensions) and network.dimensions == 1280
    torch.testing.assert_close(found.vectors.double(), vectors, rtol=0, atol=2e-4)
    assert found.probabilities is not None and found.probabilities.shape == (2, network.classes)
    torch.testing.assert_close(found.probabilities.double(), logits.softmax(1), rtol=1e-3, atol=1e-6)


def test_folding_leaves_the_function_as_it_is() -> None:
    """Against the unfolded network: 1e-5 of the largest in fp32, in float64 the rounding of fp32 weights."""
    package, folded = efficientnet_lite0.from_package()[0], efficientnet_lite0.from_package()[0]
    efficientnet_lite0.fold(folded)
    assert not [module for module in folded.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    torch.manual_seed(0)
    inputs = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        before, after = package.extract_features(inputs), folded.extract_features(inputs)
        assert (before - after).abs().max() < 1e-5 * before.abs().max()
        before, after = (one.double().extract_features(inputs[:1].double()) for one in (package, folded))
        assert (before - after).abs().max() < 1e-6 * before.abs().max()


def test_a_pictures_features_do_not_depend_on_its_company(network: FeatureNetwork, images: Tensor) -> None:
    together = network.features(images)
    for part in (slice(0, 1), slice(1, 4), slice(3, 6)):
        apart = network.features(images[part])
        assert torch.equal(apart.vectors, together.vectors[part])
        assert torch.equal(apart.probabilities, together.probabilities[part])


def test_stages_are_the_last_blocks_before_each_change_of_resolution(network: FeatureNetwork, images: Tensor) -> None:
    """Against hooks on blocks of the package's network: it changes resolution after blocks 0, 2, 4 and 10."""
    package = efficientnet_lite0.from_package()[0]
    caught: dict[int, Tensor] = {}
    for index in (0, 2, 4, 10, 15):
        package._blocks[index].register_forward_hook(
            lambda module, inputs, output, index=index: caught.update({index: output})
        )
    with torch.no_grad():
        package(prepared_by_pillow(images[:2]).float())
    stages = network.stages(images[:2])
    assert [tuple(stage.shape) for stage in stages] == [
        (2, 16, 112, 112),
        (2, 24, 56, 56),
        (2, 40, 28, 28),
        (2, 112, 14, 14),
        (2, 320, 7, 7),
    ]
    for stage, wanted in zip(stages, caught.values(), strict=True):
        torch.testing.assert_close(stage, wanted, rtol=0, atol=1e-4 * float(wanted.abs().max()))


def test_bf16_is_close_and_gives_float32(network: FeatureNetwork, images: Tensor) -> None:
    rounded = networks.find("efficientnet_lite0", device=CPU, precision="bf16").features(images[:1])
    exact = network.features(images[:1])
    assert rounded.vectors.dtype == torch.float32
    difference = (rounded.vectors - exact.vectors).norm() / exact.vectors.norm()
    assert 1e-5 < difference < 0.1


def test_loading_is_silent_and_leaves_random_numbers_alone(capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    found = networks.find("efficientnet_lite0", device=CPU)
    assert torch.equal(torch.rand(4), wanted)
    assert capfd.readouterr() == ("", "")
    assert all(not parameter.requires_grad for parameter in efficientnet_lite0.from_package()[0].parameters())
    path = efficientnet_lite0.from_package()[1]
    assert path.stem.endswith(found.weights[:8])  # the file is named after its SHA-256


def test_what_is_missing_or_too_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="leave --weights out"):
        networks.find("efficientnet_lite0", weights=Path("x"), device=CPU)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(UserError, match=r"efficientnet_lite_pytorch.*pip install"):
        networks.find("efficientnet_lite0", device=CPU)
