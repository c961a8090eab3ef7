"""The command line as a user meets it: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image
from toy_runs import train_toy

from ganvas import cli, systems
from ganvas.cli import commands, options

Process = Callable[..., CompletedProcess[str]]
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lisst", "there is no command 'lisst': did you mean list?"),
        ("data chek x", "did you mean data check?"),
        ("train", "train takes a system and a preset"),
        ("train toi smoke", "there is no system 'toi': did you mean toy?"),
        ("train toy smok --data digits --out x", "toy has no preset 'smok': did you mean smoke?"),
        ("train toy smoke", "missing --data and --out"),
        ("train toy smoke --data digits --out x --widht 3", "--widht, 3: did you mean --width?"),
        ("train toy smoke --data digits --out x --steps abc", "--steps: 'abc' is not a whole number"),
        ("train toy smoke --data digits --out x --steps 0", "--steps: Input should be greater than 0"),
        ("train toy smoke --data digits --out x --ema 2", "ema is a decay between 0 and 1, not 2.0"),
        ("train toy smoke --data digits --out x --ema x", "--ema: 'x' is not a number"),
        ("train toy smoke --data digits --out x --precision fp16", "invalid choice 'fp16' for argument '--precision'"),
        ("train toy smoke --data digits --out x --steps", "'--steps'"),
        ("train toy smoke --data digits --out x --micro-batch 3", "--micro-batch 3 does not divide"),
        ("train toy smoke --data digits --out x --classes 7", "--classes is 7 but the data has 10 classes"),
        ("train toy smoke --data digits --out x --extra depth", "needs depth for every picture"),
        ("train toy smoke --data digits --out x --extra text", "digits has no text column"),
        ("train toy smoke --data nowhere --out x", "nowhere"),
        ("train toy smoke --data digits --out x --init-from nowhere", "nowhere is not a run"),
        ("resume", "missing RUN"),
        ("resume nowhere", "nowhere is not a run"),
        ("sample", "missing"),
        ("describe toy smoke --jsn", "--jsn"),
    ],
)
def test_mistakes_end_in_one_plain_line(
    words: str, said: str, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(words.split()) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    assert error.startswith("ganvas: ")
    assert said in error
    assert not (tmp_path / "x").exists()


def test_debug_shows_the_traceback(ganvas_process: Process) -> None:
    result = ganvas_process("resume", "nowhere", "--debug")
    assert result.returncode != 0
    assert "Traceback" in result.stderr
    assert "nowhere is not a run" in result.stderr


def test_unexpected_errors_are_one_line_too(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(words: list[str]) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setitem(commands.COMMANDS, "list", broken)
    assert cli.run(["list"]) == 1
    assert capsys.readouterr().err == "ganvas: internal error, ZeroDivisionError: a b (--debug shows where)\n"


def test_list_and_describe_as_json(capsys: Captured) -> None:
    assert cli.run(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["systems"]
    assert listed["toy"] == {"presets": ["smoke", "grand"], "paper": "arXiv:0000.00000"}

    assert cli.run(["describe", "toy", "grand", "--width", "4", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert {"system", "preset", "needs", "networks", "config"} <= described.keys()
    assert described["config"]["width"] == 4
    assert described["config"]["norm"] is True
    assert described["networks"]["discriminator"] == {"parameters": 4 * 16 + 4 + 4 * 64 + 1}
    assert described["needs"] == ["image"]

    assert cli.run(["describe", "toy", "smoke"]) == 0
    assert "generator: " in capsys.readouterr().out


def test_train_sample_and_resume_in_words(capsys: Captured, tmp_path: Path) -> None:
    run = tmp_path / "my run"
    assert cli.run(["train", "toy", "smoke", "--data", "digits", "--out", str(run), "--device", "cpu"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f"samples: {run}/samples/step-00000012.png", f"run: {run}"]
    assert cli.run(["train", "toy", "smoke", "--data", "digits", "--out", str(run)]) == 2
    assert f"resume it with `ganvas resume {run}`" in capsys.readouterr().err
    assert cli.run(["resume", str(run), "--steps", "14"]) == 0
    assert cli.run(["sample", str(run), "--n", "5", "--seed", "3", "--out", str(tmp_path / "a/grid.png")]) == 0
    assert Image.open(tmp_path / "a/grid.png").text["Source"] == "toy smoke, step 14, seed 3"  # type: ignore
    assert cli.run(["sample", str(run), "--n", "2", "--out", str(tmp_path / "files"), "--truncation", "0.5"]) == 0
    assert [path.name for path in sorted((tmp_path / "files").iterdir())] == ["seed-00000000.png", "seed-00000001.png"]
    assert Image.open(tmp_path / "files/seed-00000000.png").size == (8, 8)
    capsys.readouterr()
    for words, said in (
        (["--out", str(tmp_path / "x.jpg")], "written as PNG"),
        (["--out", str(tmp_path / "x.png"), "--class", "3"], "trained without classes"),
        (["--out", str(tmp_path / "x.png"), "--n", "0"], "at least 1"),
        (["--out", str(tmp_path / "x.png"), "--truncation", "-1"], "at least 0"),
        (["--out", str(run / "config.json/x")], "cannot write"),
    ):
        assert cli.run(["sample", str(run), *words]) == 2
        assert said in capsys.readouterr().err


def test_data_commands(capsys: Captured, tmp_path: Path) -> None:
    assert cli.run(["data", "check", "digits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 5000
    assert cli.run(["data", "prepare", "digits", str(tmp_path / "out"), "--size", "8", "--channels", "1"]) == 0
    assert "5000 pictures" in capsys.readouterr().out
    train_toy(tmp_path / "run", steps=1)
    assert cli.run(["data"]) == 0


def test_looking_into_and_comparing_runs_in_words(capsys: Captured, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run, other = tmp_path / "run", tmp_path / "other"
    train_toy(run)
    train_toy(other, seed=1)
    capsys.readouterr()
    assert cli.run(["inspect", str(run)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == f"report: {run}/report.html" and any(line.startswith("not made: ") for line in printed)
    pages = json.loads((run / "inspect" / "inspect.json").read_text())["pages"]
    made = [page["file"] for page in pages if page["file"]]
    assert made and all((run / "inspect" / file).is_file() for file in made)
    assert "losses.png" in made and len(printed) == len(pages) + 1
    assert cli.run(["compare", str(run), str(other), "--curves", str(tmp_path / "curves.html"), "--json"]) == 0
    assert [group["seeds"] for group in json.loads(capsys.readouterr().out)["groups"]] == [[0, 1]]
    assert (tmp_path / "curves.html").stat().st_size > 100_000  # the plotting library is in it
    assert cli.run(["compare", str(run), str(other)]) == 0
    assert "2 runs, seeds 0, 1" in capsys.readouterr().out
    for words, said in (
        (["inspect", str(tmp_path / "no")], "is not a run"),
        (["inspect", str(run), "--out", str(run / "config.json")], "cannot write"),
        (["compare"], "RUN RUN"),
        (["compare", str(tmp_path / "no")], "is not a run"),
        (["compare", str(run), "--curves", str(tmp_path / "curves.svg")], ".html or"),
        (["study", str(tmp_path / "no.toml")], "cannot read"),
    ):
        assert cli.run(words) == 2, words
        assert said in capsys.readouterr().err, words


def test_help_names_every_setting_with_its_default(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as end:
        cli.run(["train", "toy", "smoke", "--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for piece in ("--data", "--out", "--init-from", "--width INT Channels inside. (default: 8)", "--ema-start"):
        assert piece in text
    for piece in ("--micro-batch", "(default: 12)", "--flip", "--no-flip", "--background"):
        assert piece in text


@pytest.mark.parametrize("name", [name for name in systems.names() if name != "toy"])
def test_settings_of_a_system_do_not_share_names(name: str, capsys: Captured) -> None:
    """All three parts of a preset are flags of one flat command line, which shows each."""
    import dataclasses

    presets = systems.find(name).PRESETS
    preset = presets["smoke"]
    fields = [f.name for part in (preset.config, preset.training, preset.data) for f in dataclasses.fields(part)]
    own = [f.name for kind in (options.Training, options.Describing) for f in dataclasses.fields(kind)]
    assert len(fields) == len(set(fields))
    assert not set(fields) & set(own)
    for chosen in presets:
        assert cli.run(["describe", name, chosen, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["networks"]


def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m ganvas --help | head -c 1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def _seconds(*words: str) -> float:
    """The best of three, start of Python included."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def test_import_and_help_do_not_wait_for_torch() -> None:
    """Three times the time that they are meant to take, for machines that are busy."""
    assert _seconds("-c", "import ganvas") < 3 * 0.2 + _seconds("-c", "pass")
    assert _seconds("-m", "ganvas", "--help") < 3 * 0.5
    loaded = "import sys, ganvas.cli as c; c.run(['--help']); assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True)
