"""Points instead of pictures, through the whole engine, with the system that draws them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from toy_runs import differing, tensors

import ganvas
from ganvas import cli


def train(out: Path, data: str = "normal1d", **overrides: Any) -> ganvas.Run:
    return ganvas.train(
        "gan", "density1d", data=data, out=out, device="cpu", **{"steps": 6, "grid_every": 0} | overrides
    )


def test_a_run_says_what_its_points_are_and_takes_no_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tmp_path / "run", "normal1d:-1,2", score_every="auto", score_share=1.0, checkpoint_every=2)
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "endless points of normal1d:-1,2" and "score" not in said
    written = json.loads((run.path / "config.json").read_text())["data"]
    assert (written["source"], written["count"], written["classes"]) == ("normal1d:-1,2", None, [])
    assert (run.path / "report.html").is_file() and not (run.path / "metrics.jsonl").exists()


def test_a_resumed_run_draws_the_points_it_would_have(tmp_path: Path) -> None:
    """Bit for bit; and no other points than those that it started with."""
    train(tmp_path / "once")
    train(tmp_path / "twice", steps=3)
    ganvas.resume(tmp_path / "twice", steps=6)
    assert not differing(tensors(tmp_path / "once"), tensors(tmp_path / "twice"))
    with pytest.raises(ganvas.UserError, match=r"normal1d:4,0\.6 are no longer those"):
        ganvas.resume(tmp_path / "twice", steps=7, data="normal1d:4,0.6")
    ganvas.resume(tmp_path / "twice", steps=7, data="normal1d:4,0.5")  # the same by another name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train gan density1d --data normal1d:4,-1 --out x", "normal1d:4,-1 cannot be learnt"),
        ("train gan density1d --data normal1d:x --out x", "as in normal1d:4,0.5; not 'x'"),
        ("train gan density1d --data normal1d --out x --balance", "--balance is for pictures"),
        ("train gan density1d --data normal1d --out x --channels 2", "this system draws 2: use --channels 1"),
        (
            "train gan density1d --data normal1d --out x --score-every 5",
            "scores compare pictures and this data has none",
        ),
        ("train gan density1d --data digits --out x", "Pictures of 1 pixel hold nothing to learn"),
        ("train toy smoke --data normal1d --out x", "this system draws pictures of 8 pixels"),
        ("data check normal1d", "normal1d makes points without end, not pictures"),
        ("data prepare normal1d x --size 8", "normal1d makes points without end, not pictures"),
        ("data prepare digits x --size 1", "Pictures of 1 pixel hold nothing to learn"),
    ],
)
def test_what_does_not_go_together_ends_in_one_plain_line(
    words: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(words.split()) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and error.startswith("ganvas: ") and said in error
    assert not (tmp_path / "x").exists()
