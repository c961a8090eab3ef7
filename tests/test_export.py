"""ONNX files of runs: against PyTorch, in onnxruntime, at sizes that were not looked at while exporting."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import cli, systems
from ganvas.errors import UserError
from ganvas.export import export_onnx

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SIDED = Path(__file__).parent / "translation" / "sided_systems"


@pytest.fixture(scope="module", autouse=True)
def _system_and_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(systems, "__path__", [*systems.__path__, str(SIDED)])
    patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of 64 pixels, twice."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        values = np.random.default_rng(len(name)).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / name)
    return folder


def trained(system: str, out: Path, folder: Path, **settings: Any) -> ganvas.Run:
    data = f"{folder / 'a'}::{folder / 'b'}"
    return ganvas.train(
        system, "smoke", data=data, out=out, device="cpu", steps=1, batch=2, grid_every=0, score_every=0, **settings
    )


def computed(path: Path, pictures: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["image"], {"source": pictures.numpy()})[0])


@pytest.mark.parametrize(("scale", "upsample"), [(4, "subpixel"), (2, "resize"), (3, "transposed"), (3, "resize")])
def test_srgan_at_any_number_and_size(scale: int, upsample: str, folder: Path, tmp_path: Path) -> None:
    run = ganvas.train(
        "srgan", "smoke", data=folder / "a", out=tmp_path / "run", device="cpu", steps=1, batch=2, grid_every=0,
        score_every=0, scale=scale, size=24, upsample=upsample,
    )  # fmt: skip
    found = export_onnx(run, tmp_path / "x.onnx")
    assert found.difference < 1e-5
    assert (found.takes, found.gives) == ("B 3 H W", f"B 3 {scale}H {scale}W")
    for count, height, width in ((1, 1, 1), (3, 1, 1), (1, 17, 23), (2, 64, 48)):
        pictures = torch.rand(count, 3, height, width) * 2 - 1
        expected = run.translate(pictures)
        assert expected.std() > 0
        got = computed(tmp_path / "x.onnx", pictures)
        assert got.shape == (count, 3, scale * height, scale * width)
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_directions_and_multiples(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Means of 16 px blocks, and the negative of them the other way."""
    run = trained("sides", tmp_path / "run", folder, rule="blocks", multiple=16, both=True, size=16)
    capsys.readouterr()
    words = ["export", str(run.path), str(tmp_path / "x.onnx"), "--direction", "b-a", "--json"]
    assert cli.run(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["multiple"], found["sizes"]) == (16, [[32, 32], [48, 64]])
    pictures = torch.rand(2, 3, 48, 16) * 2 - 1
    expected = run.translate(pictures, direction="BtoA")
    assert expected.mean() < 0 or (expected + run.translate(pictures)).abs().max() < 1e-6
    torch.testing.assert_close(computed(tmp_path / "x.onnx", pictures), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("system", "settings"), [("discogan", {}), ("simgan", {})])
def test_other_systems_that_translate(
    system: str, settings: dict[str, Any], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(system, tmp_path / "run", folder, **settings)
    found = export_onnx(run, tmp_path / "x.onnx")
    channels = run.config.source_channels
    pictures = torch.rand(3, channels, 2 * found.multiple, 5 * found.multiple) * 2 - 1
    torch.testing.assert_close(computed(tmp_path / "x.onnx", pictures), run.translate(pictures), atol=1e-4, rtol=0)


def test_what_a_file_says(folder: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    run = trained("sides", tmp_path / "run", folder, size=16)
    run.settings.data["licence"] = "CC BY"
    text = "\n".join(export_onnx(run, tmp_path / "deep" / "x.onnx").lines())
    assert "source (B 3 H W) -> image (B 3 H W), float32 in [-1, 1]\n" in text
    assert "differ by at most" in text and "on pictures of 20x24 and 53x37 pixels" in text
    model = onnx.load(tmp_path / "deep" / "x.onnx")
    onnx.checker.check_model(model)
    assert model.doc_string.startswith("sides smoke, step 1, AtoB.")
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("Copyright", "CC BY")]


def test_what_cannot_be_exported(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(run: Path, out: Path, *flags: str) -> str:
        capsys.readouterr()
        assert cli.run(["export", str(run), str(out), *flags]) == 2
        printed, error = capsys.readouterr()
        assert printed == "" and error.count("\n") == 1
        return error

    out = tmp_path / "x.onnx"
    run = trained("sides", tmp_path / "run", folder, size=16)
    random = trained("sides", tmp_path / "random", folder, size=16, rule="seed")
    assert "translates at random, each seed otherwise" in said(random.path, out)
    noise = ganvas.train("gan", "density1d", data="normal1d", out=tmp_path / "gan", steps=1, device="cpu")
    assert "draws pictures and translates none" in said(noise.path, out)
    diverged = trained("sides", tmp_path / "nothing", folder, size=16, rule="nothing")
    assert "this run has diverged" in said(diverged.path, out)
    assert "nowhere is not a run" in said(Path("nowhere"), out)
    assert "name a .onnx file" in said(run.path, tmp_path / "x.pt")
    assert "has learnt AtoB alone" in said(run.path, out, "--direction", "BtoA")
    (tmp_path / "file").write_text("x")
    assert "cannot write" in said(run.path, tmp_path / "file" / "x.onnx")
    assert not out.exists()
    export_onnx(run, out)
    assert "is there already: give --force" in said(run.path, out)
    export_onnx(run, out, force=True)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r'pip install "ganvas\[onnx\]"'):
        export_onnx(run, tmp_path / "y.onnx")


def test_a_file_that_computes_something_else_is_not_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ganvas import export

    run = trained("sides", tmp_path / "run", folder, size=16)
    monkeypatch.setattr(export, "AGREE", -1.0)
    with pytest.raises(UserError, match="onnxruntime and PyTorch differ by"):
        export_onnx(run, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
