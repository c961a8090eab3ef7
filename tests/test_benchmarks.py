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
