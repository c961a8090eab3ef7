"""DINOv2 with tiny random weights, against transformers' own and a brute-force interpolation."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from ganvas.errors import UserError
from ganvas.metrics import networks
from ganvas.metrics.networks import dinov2

transformers = pytest.importorskip("transformers")
CPU = torch.device("cpu")


def saved(folder: Path, size: int) -> Path:
    """A folder with a network of two layers that was made for pictures of `size` pixels."""
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=size, patch_size=14
    )
    network = transformers.Dinov2Model(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    return folder


def test_features_are_the_class_token_of_normalised_pictures(tmp_path: Path) -> None:
    """Against transformers' network on pictures that Pillow resized and NumPy normalised, as Stein et al. do."""
    folder = saved(tmp_path, 224)
    network = networks.find("dinov2", weights=folder, device=CPU)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 30, 30, 3), dtype=np.uint8))
    planes = [
        [np.asarray(Image.fromarray(image[:, :, c].astype(np.float32)).resize((224, 224), 3)) for c in range(3)]
        for image in images.numpy()
    ]
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    inputs = (np.array(planes).clip(0, 255) / 255 - mean[:, None, None]) / deviation[:, None, None]
    theirs = transformers.Dinov2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        tokens = theirs(pixel_values=torch.from_numpy(inputs).float()).last_hidden_state
    found = network.features(images)
    torch.testing.assert_close(found.vectors, tokens[:, 0], rtol=0, atol=1e-4)
    assert (tokens[0, 0] - tokens[1, 0]).abs().max() > 1e-2  # pictures differ by far more
    assert torch.equal(network.features(images[4:]).vectors, found.vectors[4:])
    assert found.probabilities is None and network.classes == 0 and network.stages(images) == []


def test_positions_are_interpolated_as_the_authors_do(tmp_path: Path) -> None:
    """Against the cubic of Keys (a = -0.75) in float64, sample by sample, at a scale of 16.1 / 5."""
    network = transformers.Dinov2Model.from_pretrained(saved(tmp_path, 70))
    before = network.embeddings.position_embeddings.detach().double().numpy()[0]
    dinov2.interpolate_positions(network)
    after = network.embeddings.position_embeddings.detach().double().numpy()[0]

    def cubic(x: float, a: float = -0.75) -> float:
        x = abs(x)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0

    weights = np.zeros((16, 5))
    for i in range(16):
        center = (i + 0.5) * 5 / 16.1 - 0.5
        for tap in range(int(np.floor(center)) - 1, int(np.floor(center)) + 3):
            weights[i, min(max(tap, 0), 4)] += cubic(center - tap)
    wanted = np.einsum("ia,jb,abd->ijd", weights, weights, before[1:].reshape(5, 5, -1)).reshape(256, -1)
    np.testing.assert_allclose(after[1:], wanted, atol=1e-5)
    np.testing.assert_array_equal(after[0], before[0])


def test_only_the_published_size_is_called_dinov2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path, 70)
    network = networks.find("dinov2", weights=folder, device=CPU)
    assert network.name == "dinov2_32" and network.dimensions == 32
    monkeypatch.setattr(dinov2, "PUBLISHED", 32)
    assert networks.find("dinov2", weights=folder, device=CPU).name == "dinov2"


def test_loading_is_silent_and_leaves_random_numbers_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path, 224)
    torch.manual_seed(3)
    wanted = torch.rand(4)
    capfd.readouterr()
    torch.manual_seed(3)
    networks.find("dinov2", weights=folder, device=CPU)
    assert torch.equal(torch.rand(4), wanted)
    assert capfd.readouterr() == ("", "")


def test_bf16_is_close(tmp_path: Path) -> None:
    folder = saved(tmp_path, 224)
    images = torch.randint(0, 256, (1, 30, 30, 3), dtype=torch.uint8)
    exact, rounded = (
        networks.find("dinov2", weights=folder, device=CPU, precision=precision).features(images).vectors
        for precision in ("fp32", "bf16")
    )
    assert rounded.dtype == torch.float32
    assert 1e-5 < (rounded - exact).norm() / exact.norm() < 0.1


def refused(folder: Path | None) -> str:
    with pytest.raises(UserError) as raised:
        networks.find("dinov2", weights=folder, device=CPU)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_folders_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    assert "config.json" in refused(tmp_path)
    folder = saved(tmp_path / "short", 70)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights.pop("layernorm.weight")
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "layernorm.weight is missing" in refused(folder)

    folder = saved(tmp_path / "other", 70)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "vit"}))
    assert "holds vit" in refused(folder)

    folder = saved(tmp_path / "torn", 70)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    assert str(folder) in refused(folder)


def test_a_download_that_fails_names_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    said = refused(None)
    assert "https://huggingface.co/facebook/dinov2-large" in said and "--weights FOLDER" in said


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert 'pip install "ganvas[dinov2]"' in refused(None)
