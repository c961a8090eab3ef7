"""Whole runs of every system, on a few random pictures: training, resuming, sampling."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import systems
from ganvas.engine.checkpoint import Checkpoints

NAMES = systems.names()


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of 12 pictures in three classes."""
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for i in range(12):
        folder = tmp_path / "pictures" / "abc"[i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "pictures"


def data_for(name, pictures):
    """The pictures; on both sides of a system that translates, and of one class for one that makes the small side.

    With a caption that is embedded already and a box for each, where captions are drawn from.
    """
    module = systems.find(name)
    if getattr(module.PRESETS["smoke"].config, "scale", 1) > 1:
        return {"data": pictures / "a"}
    if hasattr(module.Config, "embedding"):
        files = sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png"))
        rows = [json.dumps({"file_name": name, "bbox": [0.3, 0.2, 0.5, 0.6]}) for name in files]
        (pictures / "metadata.jsonl").write_text("\n".join(rows))
        np.save(pictures.parent / "captions.npy", np.random.default_rng(1).standard_normal((12, 2, 16), np.float32))
        return {"data": pictures, "embeddings": pictures.parent / "captions.npy"}
    return {"data": f"{pictures}::{pictures}" if module.SYSTEM.sides else pictures}


def tensors(run):
    return Checkpoints(run / "checkpoints").load().tensors


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_ends_with_the_same_bits(name, precision, pictures, tmp_path):
    """Against a run that was not interrupted: weights, averages, optimisers and the last grid."""
    settings = {**data_for(name, pictures), "precision": precision, "device": "cpu"}
    ganvas.train(name, "smoke", out=tmp_path / "whole", steps=4, **settings)
    ganvas.train(name, "smoke", out=tmp_path / "parts", steps=2, **settings)
    ganvas.resume(tmp_path / "parts", steps=4)
    whole, parts = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert [key for key in whole if not torch.equal(whole[key], parts[key])] == []
    grids = [(tmp_path / run / "samples" / "step-00000004.png").read_bytes() for run in ("whole", "parts")]
    assert grids[0] == grids[1]
    lines = [json.loads(line) for line in (tmp_path / "whole" / "stats.jsonl").read_text().splitlines()]
    losses = [v for line in lines for key, v in line.items() if "/" in key]
    assert losses and all(isinstance(value, float) for value in losses)  # text where a number is not finite


@pytest.mark.parametrize("name", NAMES)
def test_classes_come_from_the_data_by_name(name, pictures, tmp_path):
    if not hasattr(systems.find(name).PRESETS["smoke"].config, "classes"):
        pytest.skip("the system knows no classes")
    run = ganvas.train(name, "smoke", data=pictures, out=tmp_path / "run", steps=1, classes="auto", device="cpu")
    assert run.classes == ["a", "b", "c"] and run.config.classes == 3
    a, b, turn = (run.sample(3, classes=c) for c in ("a", "b", None))
    assert not torch.equal(a, b)
    torch.testing.assert_close(turn[0], a[0])  # classes in turn, seed 0 draws the first
    with pytest.raises(ganvas.UserError, match="there is no class 'd'"):
        run.sample(1, classes="d")
    with pytest.raises(ganvas.UserError, match="--classes auto needs labels"):
        ganvas.train(name, "smoke", data=pictures / "a", out=tmp_path / "none", classes="auto", device="cpu")
