"""Every benchmark and experiment runs, at a size where its figures mean nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*words):
    return subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    ).stdout


def test_step(tmp_path):
    out = tmp_path / "step.json"
    words = [
        "unetgan",
        "--preset",
        "smoke",
        "--size",
        "32",
        "--width",
        "4",
        "--batch",
        "4",
        "--repeats",
        "1",
        "--device",
        "cpu",
    ]
    printed = run("benchmarks/step.py", *words, "--out", out)
    result = json.loads(out.read_text())
    assert [row["step"] for row in result["rows"]] == ["plain", "cutmix"]
    for row in result["rows"]:
        # Folding leaves out multiplications, the same ones whatever the speed.
        assert 1.1 < row["naive_gflop_an_image"] / row["gflop_an_image"] < 2.25
        assert row["step"] in printed


def test_data(tmp_path):
    out = tmp_path / "data.json"
    run("benchmarks/data.py", "--count", 40, "--out", out)
    assert json.loads(out.read_text())["pictures"] == 40


def test_startup():
    assert "ganvas --help" in run("benchmarks/startup.py", "--repeats", 1)


def test_metrics(tmp_path):
    pytest.importorskip("resvg_py")
    pytest.importorskip("efficientnet_lite_pytorch")
    out = tmp_path / "metrics.json"
    words = ["--data", "openmoji:food-drink", "--n", 32, "--repeats", 1, "--seconds", 0.2]
    run("benchmarks/metrics.py", *words, "--device", "cpu", "--out", out)
    result = json.loads(out.read_text())
    assert result["images_per_second"]["fp32"]["evaluate / bare"] > 0
    # Other bits of the same numbers: close, and not the same.
    change = result["bf16_change"]["kd_efficientnet_lite0"]
    assert 0 < abs(change) < 0.1


def test_the_experiments_on_the_u_net_gan(tmp_path):
    pytest.importorskip("resvg_py")
    pytest.importorskip("efficientnet_lite_pytorch")
    study = (ROOT / "experiments" / "unetgan_ablation_openmoji.toml").read_text()
    smaller = {
        '"demo"': '"smoke"', '"openmoji"': '"openmoji:food-drink"', "[0, 1, 2]": "[0, 1]", "= 1000": "= 4",
        "= 250": "= 4", "n = 2000": "n = 24", '"fd", "kd", "prdc"': '"kd"', "[settings]": "[settings]\nbatch = 4",
    }  # fmt: skip
    for old, new in smaller.items():
        assert old in study
        study = study.replace(old, new)
    (tmp_path / "small.toml").write_text(study)
    places = ["--runs", tmp_path / "runs", "--results", tmp_path / "results", "--n", 8]
    for name in ("ablation", "discriminator_loss", "disagreement", "localisation"):
        run(f"experiments/unetgan_{name}.py", tmp_path / "small.toml", *places)
    results = tmp_path / "results"
    ablation = json.loads((results / "small.json").read_text())
    variants = ["biggan", "unet", "unet-cutmix", "unet-cutmix-consistency"]
    assert [*ablation["final"]] == variants and len(ablation["differences"]) == 4
    assert len(ablation["final"]["unet"]["kd_efficientnet_lite0"]["per_seed"]) == 2
    assert [*json.loads((results / "unetgan_localisation_small.json").read_text())["by_variant"]] == variants[1:]
    assert {path.suffix for path in results.iterdir()} == {".json", ".png"} and len([*results.iterdir()]) == 9


def test_record_run(tmp_path):
    pytest.importorskip("resvg_py")  # the built-in emoji are an extra
    train = ["-m", "ganvas", "train", "unetgan", "smoke", "--data", "openmoji:food-drink", "--grid-every", "1"]
    run(*train, "--steps", "8", "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--device", "cpu")
    run("experiments/record_run.py", tmp_path / "run", tmp_path / "kept")
    record = json.loads((tmp_path / "kept" / "run.json").read_text())
    assert record["steps"] == 8 and record["command"].endswith("--device cpu")
    assert str(tmp_path) not in record["command"]
    assert "CC BY-SA 4.0" in (tmp_path / "kept" / "LICENCE-OF-PICTURES.txt").read_text()
    assert {path.name for path in (tmp_path / "kept").iterdir()} >= {"grid.png", "timeline.png", "curves.png"}
