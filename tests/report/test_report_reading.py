"""Reading run folders, whole and damaged ones; curves as data."""

import json
import math

import numpy as np
import pytest
from report_runs import numbers, scored, write_run

from ganvas.errors import UserError
from ganvas.report.charts import run_charts, thin
from ganvas.report.read import Score, flatten, number, read_run


def test_a_folder_that_is_not_a_run(tmp_path):
    with pytest.raises(UserError, match="is not a run"):
        read_run(tmp_path)
    (tmp_path / "config.json").write_text('{"system": "unetgan", "config": 3}')
    with pytest.raises(UserError, match="is not the config"):
        read_run(tmp_path)


def test_a_run_at_step_0_has_gaps_and_no_errors(tmp_path):
    run = read_run(write_run(tmp_path / "run"))
    assert (run.step, run.steps, run.seconds, run.licence) == (0, 4, 0.0, "CC BY 4.0")
    assert run_charts(run) == [] and run.measurements == [] and run.evaluation is None and run.environment == {}


def test_damaged_lines_and_scores_are_passed_over(tmp_path):
    path = write_run(tmp_path / "run", stats=[numbers(1), numbers(4)], metrics=[scored(2, 0.5), scored(4, 0.25)])
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "scores": [1]}\n7\n{"step": 4, "scores": {"kd": {"val')
    with (path / "stats.jsonl").open("ab") as file:
        file.write(b'{"step": 5, "discriminator/\xff')
    (path / "environment.json").write_text("[")
    (path / "evaluation.json").write_text(json.dumps({"scores": {"kd": {"value": None}, "fd": {"value": 2}}, "n": 3}))
    run = read_run(path)
    assert run.step == 4 and [line.scores["kd"].value for line in run.measurements] == [0.5, 0.25]
    assert run.evaluation is not None and run.evaluation.scores == {"fd": Score(2.0)}


def test_scores_of_steps_that_a_run_went_back_from_do_not_count(tmp_path):
    """Steps done are those of the numbers: events that stay when a run goes back may lie beyond."""
    stats = [numbers(2), {"step": 9, "event": "non-finite"}, {"step": 2, "event": "grid", "diversity": 1.0}]
    run = read_run(write_run(tmp_path / "run", stats=stats, metrics=[scored(2, 1.0), scored(4, 0.5), scored(2, 0.8)]))
    assert run.step == 2
    assert [(line.step, line.scores["kd"].value) for line in run.measurements] == [(2, 0.8)]  # the last of a step


def test_seconds_of_training_are_pictures_over_pace(tmp_path):
    stats = [numbers(10) | {"images_per_second": 5.0}, numbers(30) | {"images_per_second": 20.0}]
    run = read_run(write_run(tmp_path / "run", batch=4, stats=stats))
    assert run.seconds == pytest.approx(10 * 4 / 5 + 20 * 4 / 20)


def test_scores_compare_where_all_but_the_names_of_the_pictures_agree():
    one = Score(1.0, protocol={"samples": {"n": 8, "source": "a run", "step": 4}, "reference": {"hash": "aa"}})
    other = Score(2.0, protocol={"reference": {"hash": "aa"}, "samples": {"source": "another", "n": 8, "step": 9}})
    fewer = Score(1.0, protocol={"samples": {"n": 7, "source": "a run", "step": 4}, "reference": {"hash": "aa"}})
    assert one.way == other.way == {"samples.n": 8, "reference.hash": "aa"} and one.way != fewer.way
    assert flatten({"a": {"b": {"c": 1}}, "d": []}) == {"a.b.c": 1, "d": []}


def test_numbers_are_finite_or_none():
    assert [number(value) for value in (1, 2.5, "nan", math.nan, math.inf, None, True, [1])] == [1.0, 2.5] + [None] * 6


def test_thinning_is_the_mean_of_equal_groups():
    """Against numpy; a gap is a group without any number, others are means of what there is."""
    values = np.random.default_rng(0).normal(size=5001)
    steps = list(range(1, 5002))
    x, y, size = thin(steps, values.tolist(), 2000)
    assert size == 3 and len(x) == 1667 <= 2000 and x == [*range(3, 5002, 3)]
    np.testing.assert_allclose(y, values.reshape(-1, 3).mean(1), rtol=1e-5)
    assert thin([1, 2, 3, 4, 5], [1.0, "nan", "nan", "inf", 5.0], 3) == ([2, 4, 5], [1.0, None, 5.0], 2)
    assert thin([1, 2], [0.5, "nan"]) == ([1, 2], [0.5, None], 1) and thin([], []) == ([], [], 1)


def test_a_chart_an_update_with_a_line_a_term(tmp_path):
    stats = [
        {"step": 0, "event": "grid", "diversity": 0.5},
        numbers(1, discriminator__real=1.0, discriminator__gradient_norm=3.0, generator__fake=2.0),
        numbers(2, discriminator__real="nan", discriminator__r1=0.1, generator__fake=1.0),
        numbers(3, discriminator__real=0.5, generator__fake=0.5),
    ]
    metrics = [scored(1, 4.0, 0.5), scored(2, 3.0, 0.25), scored(3, 2.0, pictures={"size": 9})]
    charts = {
        chart.title: chart for chart in run_charts(read_run(write_run(tmp_path / "r", stats=stats, metrics=metrics)))
    }
    assert list(charts) == [
        "kd", "Losses of the discriminator", "Losses of the generator", "Gradient norms", "Diversity of samples",
        "Speed",
    ]  # fmt: skip
    r1, real = charts["Losses of the discriminator"].lines
    assert (r1.name, r1.x, r1.y) == ("r1", [2], [0.1]) and (real.x, real.y) == ([1, 2, 3], [1.0, None, 0.5])
    kept, other = charts["kd"].lines  # another protocol is another line
    assert (kept.x, kept.y, kept.low, kept.high) == ([1, 2], [4.0, 3.0], [3.5, 2.75], [4.5, 3.25])
    assert (other.x, other.y, other.low) == ([3], [2.0], [None]) and charts["kd"].unit == "lower is better"


def test_long_curves_say_that_they_are_thinned_out(tmp_path):
    stats = [numbers(step, generator__fake=float(step % 7)) for step in range(1, 9001)]
    run = read_run(write_run(tmp_path / "run", stats=stats))
    for chart in run_charts(run):
        assert all(len(line.x) == 1800 for line in chart.lines)
        assert "mean of up to 5 lines" in chart.note
