"""Scores while training: when they are due, which checkpoint is best, when to stop."""

import json

import pytest
import torch
from toy_runs import make_loop, train_toy

import ganvas
from ganvas.data import DataOptions
from ganvas.engine import scoring
from ganvas.engine.checkpoint import Checkpoints
from ganvas.engine.log import read_stats
from ganvas.engine.scoring import Scorer, best_step, standing
from ganvas.engine.training import Training
from ganvas.errors import UserError

PICTURES = object()
"""Stands for the data where a watch that does not look at it stands for scores."""


def line(step, value, *, name="kd", lower=True, **more):
    return {"step": step, "scores": {name: {"value": value, "lower_is_better": lower}}, **more}


def test_the_best_is_the_lowest_of_a_distance_and_the_highest_of_a_similarity():
    values = [(1, 3.0), (2, 1.0), (3, 2.0)]
    assert standing([line(s, v) for s, v in values]) == (2, 1)
    assert standing([line(s, v, lower=False) for s, v in values]) == (1, 2)
    assert standing([]) == (None, 0)


def test_an_equal_score_is_not_a_better_one():
    assert standing([line(1, 2.0), line(2, 2.0), line(3, 2.0)]) == (1, 2)


def test_scores_of_another_name_and_refused_ones_do_not_count():
    lines = [line(1, 0.1, name="other"), line(2, 3.0), {"step": 3, "scores": {}}, line(4, 2.0)]
    assert standing(lines) == (4, 0)
    # Where the newest samples could not be scored, the best so far stays the best.
    assert standing([*lines, {"step": 5, "scores": {}}]) == (4, 0)


def test_a_stop_gives_the_patience_back_but_not_the_best():
    lines = [line(1, 1.0), line(2, 2.0), line(3, 2.0, stopped=True), line(4, 3.0)]
    assert standing(lines) == (1, 1)


class FakeWatch:
    """Gives scores from a list, one a call."""

    def __init__(self, values):
        self.values = iter(values)
        self.seconds = 1.0

    def cost(self):
        return self.seconds

    def score(self, system, autocast, about):
        assert not system.training  # the averaged weights are in place, in eval mode
        value = next(self.values)
        return {
            "n": 8,
            "scores": {"kd": {"value": value, "lower_is_better": True, "protocol": dict(about)}},
            "flags": [],
        }


@pytest.fixture
def scores(monkeypatch):
    def set_to(*values):
        watch = FakeWatch(values)
        monkeypatch.setattr(Scorer, "open", lambda self: watch)
        return watch

    return set_to


def test_the_best_checkpoint_stays_however_old(tmp_path, scores):
    scores(5.0, 1.0, 3.0, 2.0, 4.0)
    train_toy(tmp_path / "run", steps=10, score_every=2, checkpoint_every=2, keep=2)
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [4, 8, 10]
    assert ganvas.load(tmp_path / "run", checkpoint="best").step == 4
    assert ganvas.load(tmp_path / "run").step == 10
    assert ganvas.load(tmp_path / "run", checkpoint=8).step == 8
    with pytest.raises(UserError, match=r"no checkpoint of step 6.*4, 8, 10"):
        ganvas.load(tmp_path / "run", checkpoint=6)
    lines = read_stats(tmp_path / "run" / "metrics.jsonl")
    assert [entry["step"] for entry in lines] == [2, 4, 6, 8, 10]
    assert all(entry["seconds"] >= 0 and 0 <= entry["share"] <= 1 for entry in lines)
    assert lines[1]["scores"]["kd"]["protocol"]["step"] == 4


def test_a_scored_step_is_saved_between_checkpoints(tmp_path, scores):
    scores(1.0, 2.0, 3.0, 4.0)
    train_toy(tmp_path / "run", steps=10, score_every=3, checkpoint_every=5, keep=1)
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [3, 10]


def test_patience_ends_training_and_a_resumed_run_goes_on(tmp_path, scores, capsys):
    scores(2.0, 1.0, 1.5, 1.5, 9.0, 0.5)
    train_toy(tmp_path / "run", steps=12, score_every=2, checkpoint_every=100, patience=2)
    assert ganvas.load(tmp_path / "run").step == 8
    assert "2 scores in a row were no better than that of step 4" in " ".join(capsys.readouterr().out.split())
    events = [entry.get("event") for entry in read_stats(tmp_path / "run" / "stats.jsonl")]
    assert "out of patience" in events and "stopped" not in events
    ganvas.resume(tmp_path / "run")
    assert ganvas.load(tmp_path / "run").step == 12
    assert best_step(tmp_path / "run" / "metrics.jsonl") == 12


def test_scoring_leaves_no_trace_in_the_training(tmp_path, scores):
    scores(*range(10))
    train_toy(tmp_path / "scored", steps=6, score_every=2)
    train_toy(tmp_path / "plain", steps=6, score_every=0)
    scored, plain = (Checkpoints(tmp_path / name / "checkpoints").load().tensors for name in ("scored", "plain"))
    assert all(torch.equal(scored[name], plain[name]) for name in plain)


def test_going_back_forgets_the_scores_of_the_steps_made_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line(step, value)) + "\n" for step, value in [(2, 3.0), (4, 2.0), (6, 1.0)]))
    loop = make_loop(tmp_path, train_toy(tmp_path / "run").system)
    scorer = Scorer(path, PICTURES, 8, DataOptions(), loop.training, loop.ranks, loop.autocast, loop.log, {})
    scorer.start_at(4)
    assert scorer.best == 4
    assert [entry["step"] for entry in read_stats(path)] == [2, 4]


def make_scorer(tmp_path, pictures=PICTURES, **training):
    loop = make_loop(tmp_path, train_toy(tmp_path / "run").system)
    settings = Training(**{"steps": 1000, "checkpoint_every": 100} | training)
    return Scorer(tmp_path / "m", pictures, 8, DataOptions(), settings, loop.ranks, loop.autocast, loop.log, {})


def test_automatic_scores_keep_to_their_share_of_the_time(tmp_path, scores, monkeypatch):
    scores().seconds = 20.0
    clock = [0.0]
    monkeypatch.setattr(scoring.time, "perf_counter", lambda: clock[0])
    scorer = make_scorer(tmp_path, score_share=0.1)
    scorer.began = 0.0
    taken = 0
    for step in range(1, 1001):
        clock[0] += 1.0
        if scorer.due(step):
            taken += 1
            scorer.spent += 20.0
            clock[0] += 20.0
            assert step % 100 == 0
        assert scorer.spent <= 0.1 * clock[0]
    assert 3 <= taken <= 5


def test_automatic_scores_are_taken_at_no_other_steps_than_checkpoints_and_the_last(tmp_path, scores):
    scores()
    scorer = make_scorer(tmp_path, score_share=1.0, steps=150)
    scorer.began -= 1e6
    assert [step for step in range(1, 151) if scorer.due(step)] == [100, 150]


def test_a_missing_network_is_said_once_and_stops_only_what_asked_for_it(tmp_path, monkeypatch, capsys):
    def missing(self):
        raise UserError("a package is missing: pip install something")

    monkeypatch.setattr(Scorer, "open", missing)
    scorer = make_scorer(tmp_path)
    scorer.began -= 1e6
    assert not scorer.due(100) and not scorer.due(200)
    assert capsys.readouterr().out.count("pip install something") == 1
    with pytest.raises(UserError, match="pip install something"):
        train_toy(tmp_path / "asked", score_every=2)
    assert not (tmp_path / "asked").exists() or not any((tmp_path / "asked").iterdir())


def test_all_processes_still_agree_when_the_first_has_given_up_scoring(tmp_path, scores):
    scores()
    scorer = make_scorer(tmp_path)
    asked = []

    class Together(type(scorer.ranks)):
        def any(self, flag):
            asked.append(flag)  # every process comes here, or those that do wait for ever
            return flag

    scorer.ranks, scorer.off = Together(), True
    scorer.began -= 1e6
    assert not scorer.due(100) and asked == [False]


def test_samples_that_cannot_be_scored_do_not_end_training(tmp_path, scores, monkeypatch, capsys):
    watch = scores(1.0)

    def refuse(*given):
        raise UserError("samples hold numbers that are not finite")

    score = watch.score
    monkeypatch.setattr(watch, "score", lambda *given: score(*given) if given[2]["step"] == 2 else refuse())
    train_toy(tmp_path / "run", steps=6, score_every=2, checkpoint_every=2, keep=1)
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [2, 6]
    assert "not scored: samples hold" in " ".join(capsys.readouterr().out.split())


def test_a_report_that_cannot_be_written_does_not_end_training(tmp_path, monkeypatch, capsys):
    from ganvas import report

    def fail(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(report, "write_report", fail)
    train_toy(tmp_path / "run", steps=2)
    assert ganvas.load(tmp_path / "run").step == 2
    assert "report.html could not be written" in capsys.readouterr().out

    def full(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(report, "write_report", full)
    train_toy(tmp_path / "other", steps=2)  # its checkpoints were written: no reason to end in an error
    assert ganvas.load(tmp_path / "other").step == 2


def test_data_without_pictures_is_not_scored_and_nothing_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Scorer, "open", lambda self: pytest.fail("no feature network looks at numbers"))
    scorer = make_scorer(tmp_path, None, score_share=1.0)
    scorer.began -= 1e6
    assert not any(scorer.due(step) for step in range(1, 1001))
    assert "score" not in capsys.readouterr().out


def test_scores_of_data_without_pictures_are_refused_where_they_are_asked_for(tmp_path):
    with pytest.raises(UserError, match="scores compare pictures and this data has none: leave --score-every out"):
        make_scorer(tmp_path, None, score_every=100)


def test_unknown_metrics_are_refused_before_training(tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch")
    with pytest.raises(UserError, match=r"no metric 'fdd'.*fd"):
        train_toy(tmp_path / "run", score_every=2, score_metrics=("fdd",))


def test_a_run_without_scores_has_no_best(tmp_path):
    train_toy(tmp_path / "run")
    with pytest.raises(UserError, match="no scores"):
        ganvas.load(tmp_path / "run", checkpoint="best")


def test_contradicting_settings_are_refused():
    for wrong in ({"score_every": 0, "patience": 2}, {"score_share": 1.5}, {"score_metrics": ()}):
        with pytest.raises(ValueError, match="score"):
            Training(**wrong)
