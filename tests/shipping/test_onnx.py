"""ONNX files of runs: against PyTorch, in onnxruntime, at sizes that were not looked at while exporting."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import cli, systems
from ganvas.errors import UserError
from ganvas.shipping import onnx as shipped
from ganvas.shipping.export import export
from ganvas.shipping.network import without_noise

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SIDED = Path(__file__).parents[1] / "translation" / "sided_systems"


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


def translating(system: str, out: Path, folder: Path, **settings: Any) -> ganvas.Run:
    data = f"{folder / 'a'}::{folder / 'b'}"
    return ganvas.train(
        system, "smoke", data=data, out=out, device="cpu", steps=1, batch=2, grid_every=0, score_every=0, **settings
    )


def computed(path: Path, pictures: torch.Tensor | None = None, **inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = inputs if pictures is None else {"source": pictures}
    return torch.from_numpy(session.run(["image"], {name: value.numpy() for name, value in given.items()})[0])


def smallest() -> list[Any]:
    """Every system in each of its presets for tests; with `make test` in the first of them."""
    found = [(name, preset) for name in systems.names() for preset in systems.find(name).PRESETS if "smoke" in preset]
    return [pytest.param(*one, marks=[pytest.mark.slow] if one[1] != "smoke" else []) for one in found]


@pytest.mark.parametrize(("system", "preset"), smallest())
def test_every_system(system: str, preset: str, trained: Any, tmp_path: Path) -> None:
    """Against the pictures of the run, for numbers of pictures and seeds that exporting did not look at."""
    run = ganvas.load(trained(system, preset), device="cpu")
    if system == "pix2pix":
        with pytest.raises(UserError, match="translates at random, each seed otherwise"):
            export(run, tmp_path / "x.onnx")
    found = export(run, tmp_path / "x.onnx", noise=system != "pix2pix")
    print(f"parity {system} {preset}: {found.difference:.1e}")
    assert found.difference < 2e-5
    if run.system.sides:
        height, width = 2 * found.multiple, 3 * found.multiple
        pictures = torch.rand(3, run.config.source_channels, height, width) * 2 - 1
        translator = run.translator()
        if system == "pix2pix":
            translator = replace(translator, system=without_noise(run.system))
        expected = translator(pictures, [0, 1, 2])
        torch.testing.assert_close(computed(tmp_path / "x.onnx", pictures), expected, atol=1e-4, rtol=0)
        return
    for seed, count in ((100, 1), (7, 4)):
        seeds = range(seed, seed + count)
        inputs = {"latent": run.system.prior.seeded(seeds)}
        if "label" in found.inputs:
            inputs["label"] = torch.tensor([2, 0, 1, 1])[:count]
        for name in ("text", "boxes", "keypoints"):
            if name in found.inputs:  # other ones than those of these seeds, which sampling alone would take
                inputs[name] = run.system.standing.get_buffer(name)[[1, 5, 2, 9][:count]]
        assert list(inputs) == list(found.inputs)
        conditions = {name: value for name, value in inputs.items() if name != "latent"}
        expected = run.sample(count, seed, conditions=conditions)
        assert expected.std() > 0
        torch.testing.assert_close(computed(tmp_path / "x.onnx", **inputs), expected, atol=1e-4, rtol=0)


def test_a_latent_or_a_condition_changes_the_picture(trained: Any, tmp_path: Path) -> None:
    """So that no input is a constant of the file."""
    run = ganvas.load(trained("gawwn"), device="cpu")
    found = export(run, tmp_path / "x.onnx")
    assert found.inputs == {"latent": "B 8", "text": "B 16", "boxes": "B 4"} and found.output == "B 3 32 32"
    standing = run.system.standing
    given = {"latent": run.system.prior.seeded([0]), "text": standing.text[:1], "boxes": standing.boxes[:1]}
    before = computed(tmp_path / "x.onnx", **given)
    for name, value in given.items():
        changed = computed(tmp_path / "x.onnx", **{**given, name: value * 0.5})
        assert (changed - before).abs().max() > 1e-4, name


def test_the_averaged_weights_are_in_it(trained: Any, tmp_path: Path) -> None:
    """Against a generator with the weights of the last step, whose pictures are others."""
    run = ganvas.load(trained("dcgan"), device="cpu")
    export(run, tmp_path / "x.onnx")
    latent = run.system.prior.seeded([3])
    found = computed(tmp_path / "x.onnx", latent=latent)
    torch.testing.assert_close(found, run.sample(1, 3), atol=1e-5, rtol=0)
    last = ganvas.load(run.path, device="cpu").system
    last.load_state_dict(run.checkpoint.weights("system"))
    with torch.no_grad():
        last.prepare_sampling()
        assert (last.eval().from_latents(latent, {}) - found).abs().max() > 1e-3


@pytest.mark.parametrize(("scale", "upsample"), [(4, "subpixel"), (2, "resize"), (3, "transposed"), (3, "resize")])
def test_srgan_at_any_number_and_size(scale: int, upsample: str, folder: Path, tmp_path: Path) -> None:
    run = ganvas.train(
        "srgan", "smoke", data=folder / "a", out=tmp_path / "run", device="cpu", steps=1, batch=2, grid_every=0,
        score_every=0, scale=scale, size=24, upsample=upsample,
    )  # fmt: skip
    found = export(run, tmp_path / "x.onnx")
    assert found.difference < 1e-5
    assert (found.inputs, found.output) == ({"source": "B 3 H W"}, f"B 3 {scale}H {scale}W")
    for count, height, width in ((1, 1, 1), (3, 1, 1), (1, 17, 23), (2, 64, 48)):
        pictures = torch.rand(count, 3, height, width) * 2 - 1
        expected = run.translate(pictures)
        assert expected.std() > 0
        got = computed(tmp_path / "x.onnx", pictures)
        assert got.shape == (count, 3, scale * height, scale * width)
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_directions_and_multiples(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Means of 16 px blocks, and the negative of them the other way."""
    run = translating("sides", tmp_path / "run", folder, rule="blocks", multiple=16, both=True, size=16)
    capsys.readouterr()
    words = ["export", str(run.path), str(tmp_path / "x.onnx"), "--direction", "b-a", "--json"]
    assert cli.run(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["multiple"], found["compared"]) == (16, "pictures of 48x32, 64x48 and 16x16 pixels")
    pictures = torch.rand(2, 3, 48, 16) * 2 - 1
    expected = run.translate(pictures, direction="BtoA")
    assert expected.mean() < 0 or (expected + run.translate(pictures)).abs().max() < 1e-6
    torch.testing.assert_close(computed(tmp_path / "x.onnx", pictures), expected, atol=1e-6, rtol=0)


def test_what_a_file_says(folder: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    run = translating("sides", tmp_path / "run", folder, size=16)
    run.settings.data["licence"] = "CC BY"
    text = "\n".join(export(run, tmp_path / "deep" / "x.onnx").lines())
    assert "source (B 3 H W) -> image (B 3 H W), in [-1, 1]\n" in text
    assert "differ by at most" in text and "on pictures of 20x24, 53x37 and 9x9 pixels" in text
    model = onnx.load(tmp_path / "deep" / "x.onnx")
    onnx.checker.check_model(model)
    assert model.doc_string.startswith("sides smoke, step 1. AtoB; heights")
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
    run = translating("sides", tmp_path / "run", folder, size=16)
    random = translating("sides", tmp_path / "random", folder, size=16, rule="seed")
    assert "translates at random, each seed otherwise" in said(random.path, out)
    noise = ganvas.train("gan", "density1d", data="normal1d", out=tmp_path / "gan", steps=1, device="cpu")
    assert "makes points, not pictures" in said(noise.path, out)
    diverged = translating("sides", tmp_path / "nothing", folder, size=16, rule="nothing")
    assert "this run has diverged" in said(diverged.path, out)
    assert "nowhere is not a run" in said(Path("nowhere"), out)
    assert "name a .onnx file" in said(run.path, tmp_path / "x.pt")
    assert "has learnt AtoB alone" in said(run.path, out, "--direction", "BtoA")
    (tmp_path / "file").write_text("x")
    assert "cannot write" in said(run.path, tmp_path / "file" / "x.onnx")
    assert "web is a folder, not a file" in said(run.path, out, "--format", "web")
    assert "--push-to uploads a folder" in said(run.path, out, "--push-to", "user/name")
    assert "are for onnx and web" in said(run.path, tmp_path / "y", "--format", "space", "--without-noise")
    assert "are for --format web" in said(run.path, out, "--text", "a bird")
    assert not out.exists()
    export(run, out)
    assert "is there already: give --force" in said(run.path, out)
    export(run, out, force=True)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r'pip install "ganvas\[onnx\]"'):
        export(run, tmp_path / "y.onnx")


def test_a_file_that_computes_something_else_is_not_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = translating("sides", tmp_path / "run", folder, size=16)
    monkeypatch.setattr(shipped, "AGREE", -1.0)
    with pytest.raises(UserError, match="onnxruntime and PyTorch differ by"):
        export(run, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
