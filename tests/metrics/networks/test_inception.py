"""The network of FID, against torch-fidelity's own, with random weights in place of the 95 MB that it downloads."""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from ganvas.errors import UserError
from ganvas.metrics import networks
from ganvas.metrics.networks import inception

CPU = torch.device("cpu")
FOLDER = Path(sys.prefix) / "torch-fidelity"
"""Where `make` puts torch-fidelity without its dependencies, out of sight of torchmetrics, which would import it."""


@pytest.fixture(scope="module")
def library() -> Iterator[Any]:
    """torch-fidelity's Inception. Its package imports torchvision, of which Inception itself uses nothing."""
    name = "torch_fidelity.feature_extractor_inceptionv3"
    if find_spec("torch_fidelity") is not None and find_spec("torchvision") is not None:
        yield importlib.import_module(name)
        return
    if not FOLDER.is_dir():
        pytest.skip("torch-fidelity is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(FOLDER)])
        for stub in (
            "torchvision",
            "torchvision.datasets",
            "torchvision.transforms",
            "torchvision.transforms.functional",
        ):
            module = ModuleType(stub)
            module.__path__ = []
            module.__spec__ = ModuleSpec(stub, None)
            patch.setitem(sys.modules, stub, module)
            parent, _, child = stub.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, module)
        for dataset in ("CIFAR10", "CIFAR100", "STL10"):
            setattr(sys.modules["torchvision.datasets"], dataset, object)
        yield importlib.import_module(name)
    for loaded in [one for one in sys.modules if one.partition(".")[0] == "torch_fidelity"]:
        del sys.modules[loaded]


@pytest.fixture(scope="module")
def weights(library: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with random weights, named as the real one is: by the start of its SHA-256."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(library.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = library.FeatureExtractorInceptionV3("random", ["2048"])
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)  # keeps the features' scale through the layers
    return written(tmp_path_factory.mktemp("inception"), network.state_dict())


def written(folder: Path, content: Any) -> Path:
    file = io.BytesIO()
    torch.save(content, file)
    path = folder / f"weights-2015-{hashlib.sha256(file.getvalue()).hexdigest()[:8]}.pth"
    path.write_bytes(file.getvalue())
    return path


@pytest.fixture
def published(library: Any, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if the random weights were the ones that torch-fidelity publishes."""
    monkeypatch.setattr(library, "URL_INCEPTION_V3", weights.as_uri())
    return weights


def test_features_are_torch_fidelitys(library: Any, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, from 8-bit pictures on; probabilities from the logits without bias, as its Inception score."""
    monkeypatch.setattr(inception, "CHUNK", 2)  # 5.7 thousand million multiplications a picture
    network = networks.find("inception", weights=published, device=CPU)
    torch.manual_seed(1)
    images = torch.randint(0, 256, (2, 20, 20, 3), dtype=torch.uint8)
    theirs = library.FeatureExtractorInceptionV3("theirs", ["2048", "logits_unbiased"], str(published))
    vectors, logits = theirs(images.permute(0, 3, 1, 2).contiguous())
    together = network.features(images)
    assert together.vectors.shape == (2, 2048) and torch.equal(together.vectors, vectors)
    assert vectors.std() > 0.1  # random weights that say something
    assert together.probabilities is not None and network.classes == 1008
    torch.testing.assert_close(together.probabilities.double(), logits.double().softmax(1), rtol=1e-5, atol=0)
    alone = network.features(images[-1:])
    assert torch.equal(alone.vectors, together.vectors[-1:])
    assert torch.equal(alone.probabilities, together.probabilities[-1:])
    assert network.weights == hashlib.sha256(published.read_bytes()).hexdigest()
    assert network.stages(images) == []


def test_weights_are_downloaded_once(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    networks.find("inception", device=CPU)
    copy = tmp_path / "hub" / "checkpoints" / published.name
    assert copy.read_bytes() == published.read_bytes()
    kept = published.rename(published.with_suffix(".away"))
    try:
        networks.find("inception", device=CPU)
    finally:
        kept.rename(published)


def refused(**arguments: Any) -> str:
    with pytest.raises(UserError) as raised:
        networks.find("inception", device=CPU, **arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_download_that_fails_names_the_source(library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:9/weights-12345678.pth"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(library, "URL_INCEPTION_V3", url)
    said = refused()
    assert url in said and "--weights FILE" in said
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_files_are_refused(library: Any, published: Path, tmp_path: Path) -> None:
    state = torch.load(published, weights_only=True)
    state["fc.bias"] += 1
    other = written(tmp_path, state)  # the same network with other weights, such as torchvision's
    said = refused(weights=other)
    assert f"{other} is not the file" in said and published.stem[-8:] in said and library.URL_INCEPTION_V3 in said
    assert str(tmp_path / "none.pth") in refused(weights=tmp_path / "none.pth")
    assert str(tmp_path) in refused(weights=tmp_path)


class Trap:
    """Pickles to a program that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["state", "pickle", "noise"])
def test_a_file_of_the_right_name_that_holds_something_else_is_refused_and_not_run(
    library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    trapped = tmp_path / "trapped"
    data: Any = {"state": {"fc.weight": torch.zeros(3)}, "pickle": {"fc.weight": Trap(trapped)}, "noise": b""}[kind]
    path = written(tmp_path, data)
    if kind == "noise":
        path = tmp_path / f"weights-{hashlib.sha256(b'noise').hexdigest()[:8]}.pth"
        path.write_bytes(b"noise")
    monkeypatch.setattr(library, "URL_INCEPTION_V3", path.as_uri())
    assert "does not hold the weights of Inception" in refused(weights=path)
    assert not trapped.exists()
    pickle.loads(pickle.dumps(Trap(trapped)))
    assert trapped.exists()  # the trap works


def test_fid_has_one_precision(library: Any, published: Path) -> None:
    assert "--precision fp32" in refused(weights=published, precision="bf16")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    said = refused()
    assert "(torch_fidelity)" in said and 'pip install "ganvas[inception]"' in said


def test_a_torchvision_for_another_pytorch_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch_fidelity.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.delitem(sys.modules, "torch_fidelity", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert "does not fit PyTorch (operator torchvision::nms does not exist)" in refused()


def test_the_source_is_torch_fidelitys(library: Any) -> None:
    """The file's name ends in the start of its SHA-256, which is how it is checked."""
    assert library.URL_INCEPTION_V3.endswith("/weights-inception-2015-12-05-6726825d.pth")
