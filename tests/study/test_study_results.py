"""What is made of the scores of runs, for runs that were never trained: files written here."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from ganvas.study import StudyRun, load_study
from ganvas.study.results import compare, minutes_of_training, portable, table

STUDY = """
    system = "toy"
    preset = "smoke"
    data = "digits"
    seeds = [0, 1, 2]
    [evaluate]
    [variants.a]
    [variants.b]
    cache = "/home/me/cache"
    [variants.c]
    width = 4
"""
SCORES = {"a": [20.0, 21.0, 24.0], "b": [10.0, 12.0, 14.0], "c": [11.0, 12.5, 14.5]}


@pytest.fixture
def runs(tmp_path: Path) -> list[StudyRun]:
    (tmp_path / "three.toml").write_text(STUDY)
    runs = load_study(tmp_path / "three.toml").runs(tmp_path / "runs")
    for run in runs:
        (run.path / "checkpoints").mkdir(parents=True)
        (run.path / "checkpoints" / "step-00000012.safetensors").touch()
        (run.path / "config.json").write_text('{"system": "toy", "training": {"precision": "fp32"}}')
        environment = {"commit": f"commit {run.variant > 'a'}", "command": ["/usr/bin/ganvas"], "cores": 2}
        (run.path / "environment.json").write_text(json.dumps(environment))
        lines = [
            {"step": 0, "event": "grid"},
            {"step": 10, "images_per_second": 4.0, "generator/x": 0.1},
            {"step": 10, "event": "resumed"},
            {"step": 12, "images_per_second": 0.5, "generator/x": 0.1},
        ]
        (run.path / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        score(run, SCORES[run.variant][run.seed])
    return runs


def score(run: StudyRun, value: float, **protocol: Any) -> None:
    found = {"value": value, "protocol": {"samples": {"n": 5, "source": run.name}, **protocol}}
    run.evaluation.write_text(json.dumps({"request": run.request(), "scores": {"fd": found}}))


def compared(runs: list[StudyRun]) -> dict[str, Any]:
    """The record, which is what its file will hold."""
    record = compare(load_study(runs[0].path.parents[2] / "three.toml"), runs)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    return record


def test_means_and_paired_differences_have_students_intervals(runs: list[StudyRun]) -> None:
    """Against SciPy: the interval of one sample, and that of the paired t test."""
    record = compared(runs)
    for name, values in SCORES.items():
        found = record["variants"][name]["scores"]["fd"]
        mean = sum(values) / 3
        low, high = stats.t.interval(0.95, 2, mean, stats.sem(values))
        assert found["values"] == {str(seed): value for seed, value in enumerate(values)}
        assert [found["mean"], found["low"], found["high"]] == pytest.approx([mean, low, high])
        assert found["n"] == 3
    # To the first variant, then to the one before; what is both stands there once.
    assert [(d["of"], d["less"]) for d in record["differences"]] == [("b", "a"), ("c", "a"), ("c", "b")]
    for found in record["differences"]:
        of, less = SCORES[found["of"]], SCORES[found["less"]]
        ends = stats.ttest_rel(of, less).confidence_interval(0.95)
        assert [found["low"], found["high"]] == pytest.approx(list(ends))
        assert found["mean"] == pytest.approx(sum(of) / 3 - sum(less) / 3)


def test_only_seeds_that_both_have_are_paired(runs: list[StudyRun]) -> None:
    (runs[1].path / "checkpoints" / "step-00000012.safetensors").unlink()  # b, seed 0
    record = compared(runs)
    assert record["variants"]["b"]["scores"]["fd"]["values"] == {"1": 12.0, "2": 14.0}
    means = {(d["of"], d["less"]): (d["mean"], d["n"]) for d in record["differences"]}
    assert means == {
        ("b", "a"): (pytest.approx(-9.5), 2),
        ("c", "a"): (pytest.approx(-9.0), 3),
        ("c", "b"): (pytest.approx(0.5), 2),
    }


def test_a_score_that_is_not_finite_leaves_no_mean(runs: list[StudyRun]) -> None:
    """Without the worst run the others would look better than they are."""
    score(runs[4], math.nan)  # b, seed 1
    record = compared(runs)
    assert record["variants"]["b"]["scores"]["fd"]["values"] == {"0": 10.0, "1": None, "2": 14.0}
    assert [d["mean"] is None for d in record["differences"]] == [True, False, True]
    assert table(record).splitlines()[2] == "b        3     0.9      -"


def test_what_was_not_scored_alike_is_not_compared(runs: list[StudyRun]) -> None:
    score(runs[8], 14.5, reference={"n": 7})
    record = compared(runs)
    assert record["differences"] == []
    assert record["protocols"]["fd"] == [{"samples": {"n": 5}}, {"samples": {"n": 5}, "reference": {"n": 7}}]
    assert table(record).splitlines()[-1] == "fd: not computed alike in all runs, so not compared"


def test_settings_are_shared_or_a_variants_own(runs: list[StudyRun]) -> None:
    record = compared(runs)
    own = {name: variant["settings"] for name, variant in record["variants"].items()}
    assert own == {
        "a": {"width": 8, "cache": None},
        "b": {"width": 8, "cache": "cache"},
        "c": {"width": 4, "cache": None},
    }
    assert (record["settings"]["system"], record["settings"]["steps"]) == ("toy", 12)
    assert not {"seed", "width", "cache"} & record["settings"].keys()
    assert record["commits"] == ["commit False", "commit True"]
    assert record["machines"] == [{"cores": 2, "precision": "fp32"}]
    assert "/" not in json.dumps(record)


def test_minutes_are_those_of_training(runs: list[StudyRun]) -> None:
    """10 steps of 8 pictures at 4 a second, then 2 at 0.5."""
    assert minutes_of_training(runs[0]) * 60 == pytest.approx(10 * 8 / 4 + 2 * 8 / 0.5)


def test_the_table_is_aligned(runs: list[StudyRun]) -> None:
    assert table(compared(runs)).splitlines() == [
        "variant  runs  minutes  fd",
        "a        3     0.9      21.67 [16.5, 26.84]",
        "b        3     0.9      12 [7.032, 16.97]",
        "c        3     0.9      12.67 [8.305, 17.03]",
        "b - a                   -9.667 [-11.1, -8.232]",
        "c - a                   -9 [-10.24, -7.758]",
        "c - b                   0.6667 [-0.05044, 1.384]",
    ]


def test_portable_keeps_all_but_where_files_lie() -> None:
    assert portable({0: ["/a/b.png", "a/b.png", math.inf, 1.5, None, True]}) == {
        "0": ["b.png", "a/b.png", None, 1.5, None, True]
    }
