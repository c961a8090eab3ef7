"""Feature networks that a user brings in a TorchScript or ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganvas.errors import UserError
from ganvas.metrics import networks

CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
WEIGHT = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


class Vectors(nn.Module):
    """Means of the channels times `WEIGHT`."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 10
        self.weight = nn.Parameter(torch.from_numpy(WEIGHT.copy()))

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.mean((2, 3)) @ self.weight


class Maps(nn.Module):
    """Maps whose means are the channels' means, and logits."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return pictures, 3 * pictures.mean((2, 3))


class Wrong(nn.Module):
    """Gives what is neither vectors nor maps."""

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.mean()


class Narrow(nn.Module):
    """Takes another number of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layer(pictures)


def scripted(module: nn.Module, path: Path) -> str:
    torch.jit.save(torch.jit.script(module), path)
    return str(path)


def exported(path: Path, shape: list[int | str], outputs: int = 1) -> str:
    """An ONNX file that gives the means of the channels times `WEIGHT`, and where asked the means as logits."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, real = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("GlobalAveragePool", ["pictures"], ["means"]),
        make.make_node("Flatten", ["means"], ["flat"]),
        make.make_node("MatMul", ["flat", "weight"], ["vectors"]),
    ]
    results = [make.make_tensor_value_info("vectors", real, [shape[0], 5])]
    if outputs > 1:
        results.append(make.make_tensor_value_info("flat", real, [shape[0], 3]))
    weight = WEIGHT[: shape[1]] if isinstance(shape[1], int) else WEIGHT
    graph = make.make_graph(
        nodes,
        "means",
        [make.make_tensor_value_info("pictures", real, shape)],
        results,
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return str(path)


@pytest.fixture
def images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (11, 10, 10, 3), dtype=np.uint8))


def means(images: Tensor) -> Any:
    """Of each channel, from 0 to 1."""
    return images.numpy().astype(np.float64).mean((1, 2)) / 255


def test_a_torchscript_file_gives_vectors(tmp_path: Path, images: Tensor) -> None:
    network = networks.find(scripted(Vectors(), tmp_path / "mine.pt"), device=CPU)
    assert (network.name, network.dimensions, network.classes, network.size) == ("mine", 5, 0, 10)
    found = network.features(images)
    np.testing.assert_allclose(found.vectors, means(images) @ WEIGHT, atol=1e-5)
    assert found.probabilities is None


def test_maps_are_averaged_and_logits_become_probabilities(tmp_path: Path, images: Tensor) -> None:
    network = networks.find(scripted(Maps(), tmp_path / "two.TS"), device=CPU)
    assert (network.dimensions, network.classes, network.size) == (3, 3, 224)
    found = network.features(images)
    np.testing.assert_allclose(found.vectors, means(images), atol=2e-3)  # interpolation keeps means, but for the rim
    powers = np.exp(3 * found.vectors.double().numpy())
    np.testing.assert_allclose(found.probabilities, powers / powers.sum(1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "size", "chunk"), [(["n", 3, 10, 10], 10, 8), ([4, 3, 10, 10], 10, 4), (["n", 3, "h", "w"], 224, 8)]
)
def test_an_onnx_file_gives_vectors(
    tmp_path: Path, images: Tensor, shape: list[int | str], size: int, chunk: int
) -> None:
    """Of a fixed or an open number of pictures, of a fixed or an open size."""
    network = networks.find(exported(tmp_path / "mine.onnx", shape), device=CPU)
    assert (network.name, network.dimensions, network.size, network.chunk) == ("mine", 5, size, chunk)
    found = network.features(images)
    np.testing.assert_allclose(found.vectors, means(images) @ WEIGHT, atol=1e-5 if size == 10 else 1e-2)


def test_an_onnx_file_gives_probabilities(tmp_path: Path, images: Tensor) -> None:
    network = networks.find(exported(tmp_path / "two.onnx", ["n", 3, 10, 10], outputs=2), device=CPU)
    powers = np.exp(means(images))
    found = network.features(images).probabilities
    np.testing.assert_allclose(found, powers / powers.sum(1, keepdims=True), rtol=1e-5)


def refused(name: str, **arguments: Any) -> str:
    with pytest.raises(UserError) as raised:
        networks.find(name, device=CPU, **arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_files_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path) -> None:
    noise = tmp_path / "noise.pt"
    noise.write_bytes(b"noise")
    assert "not a TorchScript file" in refused(str(noise))
    torch.save({"weight": torch.zeros(2)}, tmp_path / "state.pt")
    assert "not a TorchScript file" in refused(str(tmp_path / "state.pt"))
    assert "wanted are (B, D)" in refused(scripted(Wrong(), tmp_path / "wrong.pt"))
    assert "does not take float32 pictures (8, 3, 224, 224)" in refused(scripted(Narrow(), tmp_path / "narrow.pt"))
    good = scripted(Vectors(), tmp_path / "good.pt")
    assert "leave --weights out" in refused(good, weights=noise)
    assert "--precision fp32" in refused(good, precision="bf16")


def test_onnx_files_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path) -> None:
    exported(tmp_path / "good.onnx", ["n", 3, 10, 10])
    noise = tmp_path / "noise.onnx"
    noise.write_bytes(b"noise")
    assert "not an ONNX file" in refused(str(noise))
    assert "not pictures (B, 3, S, S)" in refused(exported(tmp_path / "gray.onnx", ["n", 1, 10, 10]))
    assert "not pictures (B, 3, S, S)" in refused(exported(tmp_path / "wide.onnx", ["n", 3, 10, 20]))
    assert "--precision fp32" in refused(str(tmp_path / "good.onnx"), precision="bf16")
