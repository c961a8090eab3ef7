"""Comparing runs: groups, means and intervals over seeds, and what must never be averaged."""

import json
import math
import re
from pathlib import Path

import pytest
from PIL import Image
from scipy import stats

from ganvas import systems
from ganvas.compare import compare
from ganvas.engine.folder import Settings
from ganvas.errors import UserError
from ganvas.launch import override
from ganvas.report.seeds import group_charts, mean_line


def make_run(path, *, lines=None, scores=(), evaluation=None, data=None, **settings):
    """A run of 4 steps.

    `lines` are those of stats.jsonl; `scores` are (step, value, protocol) of the score `kd`, `evaluation` is one too.
    """
    chosen = override(systems.find_preset("unetgan", "smoke"), settings)
    facts = {"source": "digits", "hash": "aa", "classes": [], "licence": "CC0", "count": 7} | (data or {})
    path.mkdir(parents=True)
    about = Settings("unetgan", "smoke", chosen, facts.pop("source"), facts).to_json()
    (path / "config.json").write_text(json.dumps(about))
    lines = [line(step) for step in (1, 2, 3, 4)] if lines is None else lines
    (path / "stats.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    measured = [{"step": step, "scores": {"kd": scored(value, protocol)}} for step, value, protocol in scores]
    (path / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in measured))
    if evaluation is not None:
        (path / "evaluation.json").write_text(json.dumps({"scores": {"kd": scored(*evaluation)}}))
    return path


def scored(value, protocol):
    return {"value": value, "lower_is_better": True, "protocol": protocol}


def line(step, loss=1.0):
    return {"step": step, "images_per_second": 8.0, "generator/fake": loss}


def row(comparison, name):
    return next(row for row in comparison.rows if row.name == name)


FEW, MANY = {"samples": {"n": 64}}, {"samples": {"n": 1000}}


def test_runs_that_differ_in_the_seed_alone_are_one_group(tmp_path):
    runs = [
        make_run(tmp_path / objective / str(seed), objective=objective, cutmix=cutmix, seed=seed, threads=1 + seed)
        for objective, cutmix in (("hinge", 0.0), ("non-saturating", 0.5))
        for seed in (0, 1, 2)
    ]
    found = compare(runs[::-1])
    assert [group.label for group in found.groups] == [
        "objective=non-saturating cutmix=0.5",
        "objective=hinge cutmix=0.0",
    ]
    assert [[run.path.name for run in group.runs] for group in found.groups] == [["2", "1", "0"]] * 2
    assert found.groups[0].summary == "3 runs, seeds 2, 1, 0, 4 steps" and found.warnings == []


def test_means_and_intervals_over_seeds(tmp_path):
    """Against scipy's interval of a t-test; images per second and minutes against the definition."""
    values = [0.5, 0.75, 0.6]
    runs = [
        make_run(tmp_path / str(seed), seed=seed, batch=2, scores=[(2, 9.0, FEW), (4, value, FEW)])
        for seed, value in enumerate(values)
    ]
    found = compare(runs)
    interval = row(found, "kd").interval(0)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((sum(values) / 3, low, high))
    told = found.to_json()["groups"][0]["values"]
    assert told["kd"]["by_run"] == values and told["kd"]["n"] == 3 and told["kd"]["low"] == pytest.approx(low)
    assert told["images per second"]["mean"] == pytest.approx(8)
    assert told["minutes of training"]["mean"] == pytest.approx(4 * 2 / 8 / 60)
    assert found.to_json()["protocols"] == {"kd": {"samples.n": 64}}
    assert f"{'kd':21}0.6167 [{low:.4g}, {high:.4g}]" in "\n".join(found.lines())
    json.dumps(found.to_json(), allow_nan=False)


def test_the_final_loss_is_the_mean_of_the_last_tenth_without_what_is_not_finite(tmp_path):
    losses = [line(step, loss=step) for step in range(1, 41)]
    losses[36]["generator/fake"] = "nan"  # steps 37 to 40 are the last tenth
    found = compare([make_run(tmp_path / "a", steps=40, lines=losses)])
    assert row(found, "loss generator/fake").values == [[pytest.approx((38 + 39 + 40) / 3)]]


def test_one_run_has_a_value_and_no_interval(tmp_path):
    found = compare([make_run(tmp_path / "alone", scores=[(4, 0.5, FEW)])])
    assert found.groups[0].label == "alone" and row(found, "kd").cell(0) == "0.5"
    assert found.to_json()["groups"][0]["values"]["kd"] == {
        "kind": "score", "by_run": [0.5], "mean": 0.5, "low": None, "high": None, "n": 1,
    }  # fmt: skip


def test_a_group_that_nothing_sets_apart_is_called_after_its_folder(tmp_path):
    runs = [make_run(tmp_path / "hinge" / f"seed-{seed}", seed=seed) for seed in (0, 1)]
    assert compare(runs).groups[0].label == "hinge"


def test_scores_measured_in_different_ways_are_never_averaged(tmp_path):
    runs = [
        make_run(tmp_path / "a", seed=0, scores=[(4, 1.0, FEW)]),
        make_run(tmp_path / "b", seed=1, scores=[(4, 2.0, MANY)]),
        make_run(tmp_path / "c", seed=2, scores=[(4, 4.0, MANY)]),
    ]
    found = compare(runs)
    assert [(r.name, r.values) for r in found.rows if r.kind == "score"] == [
        ("kd (1)", [[1.0, None, None]]),
        ("kd (2)", [[None, 2.0, 4.0]]),
    ]
    assert found.warnings == ["kd was measured in 2 ways, which do not compare: samples.n 64 / 1000"]
    assert f"warning: {found.warnings[0]}" in found.lines() and row(found, "kd (2)").cell(0).endswith("(2 of 3 runs)")
    titles = [chart.title for chart in group_charts([("all", found.groups[0].runs)])]
    assert titles[:2] == ["kd, way 1 of measuring it", "kd, way 2 of measuring it"]


def test_the_way_that_all_runs_have_is_taken(tmp_path):
    """One run was also evaluated with more samples: that number has nothing to stand beside."""
    runs = [
        make_run(tmp_path / "a", seed=0, scores=[(4, 1.0, FEW)], evaluation=(0.1, MANY)),
        make_run(tmp_path / "b", seed=1, scores=[(4, 2.0, FEW)]),
    ]
    assert row(compare(runs), "kd").values == [[1.0, 2.0]] and compare(runs).warnings == []
    runs.append(make_run(tmp_path / "c", seed=2, scores=[(4, 3.0, FEW)], evaluation=(0.3, FEW)))
    assert row(compare(runs), "kd").values == [[1.0, 2.0, 0.3]]  # of ganvas evaluate, where both are the same way


def test_long_values_of_a_protocol_that_differ_at_their_end_differ(tmp_path):
    runs = [
        make_run(tmp_path / end, seed=seed, scores=[(4, 1.0, {"weights": "0" * 63 + end})])
        for seed, end in enumerate("ab")
    ]
    assert len([r for r in compare(runs).rows if r.kind == "score"]) == 2
    assert compare(runs).warnings[0].endswith("weights 000000000000...00000000a / 000000000000...00000000b")


@pytest.mark.parametrize(
    ("other", "warning"),
    [
        ({"data": {"hash": "bb"}}, "different pictures: digits@aa, digits@bb"),
        ({"lines": [line(1), line(2)]}, "different numbers of steps"),
        ({"seed": 0}, "have the same seed"),
        ({"scores": [(2, 1.0, FEW)]}, "kd was measured after different numbers of steps: 2, 4"),
        ({"scores": [(4, "nan", FEW)]}, "kd of .*other is not a number and is left out"),
    ],
)
def test_what_keeps_runs_from_being_compared_is_said(tmp_path, other, warning):
    first = make_run(tmp_path / "first", seed=0, scores=[(4, 1.0, FEW)])
    second = make_run(tmp_path / "other", **({"seed": 1, "scores": [(4, 1.0, FEW)]} | other))
    found = compare([first, second])
    assert len(found.warnings) == 1
    assert re.search(warning, found.warnings[0])


def test_the_same_pictures_of_another_folder_are_the_same_data(tmp_path):
    runs = [make_run(tmp_path / str(seed), seed=seed, data={"source": f"/photos{seed}"}) for seed in (0, 1)]
    assert len(compare(runs).groups) == 1 and compare(runs).warnings == []
    runs.append(make_run(tmp_path / "other", cutmix=0.0, data={"source": "/photos2"}))
    assert [group.label for group in compare(runs).groups] == ["cutmix=0.5", "cutmix=0.0"]
    runs.append(make_run(tmp_path / "more", data={"source": "/photos3", "hash": "bb"}))
    assert compare(runs).groups[2].label == "data=photos3@bb cutmix=0.5"


def test_what_cannot_be_compared(tmp_path):
    good = make_run(tmp_path / "good")
    with pytest.raises(UserError, match="nothing to compare"):
        compare([])
    with pytest.raises(UserError, match="is not a run"):
        compare([good, tmp_path])
    with pytest.raises(UserError, match="named twice"):
        compare([good, tmp_path / "." / "good"])
    with pytest.raises(UserError, match="has no statistics yet"):
        compare([good, make_run(tmp_path / "new", lines=[])])


def test_many_groups_stand_below_each_other(tmp_path):
    runs = [make_run(tmp_path / str(batch), batch=batch) for batch in range(1, 7)]
    heads = [line.split() for line in compare(runs).lines() if line.strip().startswith("[") and "=" not in line]
    assert heads == [["[1]", "[2]", "[3]", "[4]"], ["[5]", "[6]"]]


def test_a_mean_curve_is_over_steps_that_all_runs_have():
    """Bands against scipy; where one run has no number the curve has a gap."""
    curves = [{1: 1.0, 2: 2.0, 3: "nan", 4: 1.0}, {1: 2.0, 2: 5.0, 3: 1.0}, {0: 9.0, 1: 6.0, 2: 5.0, 3: 1.0}]
    drawn = mean_line("a", curves)
    assert (drawn.x, drawn.y) == ([1, 2, 3], [3.0, 4.0, None])
    for place, values in enumerate(([1, 2, 6], [2, 5, 5])):
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (drawn.low[place], drawn.high[place]) == pytest.approx((low, high), rel=1e-5)
    assert drawn.low[2] is None
    alone = mean_line("b", [{1: 1.0}])
    assert (alone.y, alone.low, alone.high) == ([1.0], [None], [None])
    assert mean_line("c", [{1: 1.0}, {2: 1.0}]).x == [] and mean_line("d", [{}, {1: 1.0}]).y == [1.0]


def test_curves_as_files(tmp_path):
    runs = [
        make_run(
            tmp_path / f"{rate}{seed}", seed=seed, generator_rate=rate, scores=[(2, rate, FEW), (4, rate / 2, FEW)]
        )
        for rate in (1.0, 2.0)
        for seed in (0, 1)
    ]
    found = compare(runs)
    found.write_curves(tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width == 1000 and len(image.convert("RGB").getcolors(1_000_000)) > 10
    found.write_curves(tmp_path / "curves.html")
    page = (tmp_path / "curves.html").read_text(encoding="utf-8")
    assert "generator_rate=2.0" in page and "CC0" in page and "lower is better" in page
    for path, said in (
        ("curves.txt", "as .html or .png"),
        ("no/curves.html", "cannot write"),
        ("no/c.png", "cannot write"),
    ):
        with pytest.raises(UserError, match=said):
            found.write_curves(tmp_path / path)
    with pytest.raises(UserError, match="nothing to draw"):
        compare([make_run(tmp_path / "bare", lines=[{"step": 1, "images_per_second": math.pi}])]).write_curves(
            Path("c.png")
        )
