"""Runs in Python: training, loading, sampling, and what is left on disk."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toy_runs import differing, events, tensors, train_toy

import ganvas


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ganvas.Run:
    return train_toy(tmp_path_factory.mktemp("run") / "toy", norm=True)


def test_a_picture_depends_on_its_seed_alone(run: ganvas.Run) -> None:
    many = run.sample(9, seed=5)
    assert many.shape == (9, 1, 8, 8)
    assert many.abs().max() <= 1
    torch.testing.assert_close(run.sample(1, seed=8)[0], many[3])
    torch.testing.assert_close(run.sample(9, seed=5, batch=2), many)
    assert not torch.equal(many[0], many[1])


def test_truncation_pulls_pictures_together(run: ganvas.Run) -> None:
    spread = [float(run.sample(64, truncation=t).std(0).mean()) for t in (None, 1.0, 0.3, 0.0)]
    assert spread == sorted(spread, reverse=True)
    assert spread[-1] < 1e-6


def test_loading_takes_the_averaged_weights_and_leaves_the_callers_random_numbers(run: ganvas.Run) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    loaded = ganvas.load(run.path)
    pictures = loaded.sample(3)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(pictures, run.sample(3))
    averages = loaded.checkpoint.weights("average")
    assert torch.equal(loaded.system.generator[0].weight, averages["generator.0.weight"])
    assert not loaded.system.training
    assert loaded.step == 12
    assert loaded.config.norm


def test_the_folder_tells_everything(run: ganvas.Run) -> None:
    assert sorted(path.name for path in run.path.iterdir()) == [
        "checkpoints", "config.json", "environment.json", "report.html", "samples", "stats.jsonl", "training.lock",
    ]  # fmt: skip
    config = json.loads((run.path / "config.json").read_text())
    assert (config["system"], config["preset"]) == ("toy", "smoke")
    assert config["data"]["source"] == "digits"
    assert config["data"]["classes"] == [str(digit) for digit in range(10)]
    assert config["training"]["precision"] in ("fp32", "bf16")
    environment = json.loads((run.path / "environment.json").read_text())
    assert {"python", "torch", "platform", "processor", "commit", "command"} <= environment.keys()
    names = sorted(path.name for path in (run.path / "samples").iterdir())
    assert names == ["real.png"] + [f"step-{step:08}.png" for step in (0, 4, 8, 12)]
    picture = Image.open(run.path / "samples/step-00000012.png")
    assert "Copyright" in picture.text  # type: ignore[attr-defined]


def test_classes_are_taken_from_the_data(tmp_path: Path) -> None:
    run = train_toy(tmp_path / "run", steps=1, classes="auto")
    assert run.config.classes == 10
    assert (run.label("7"), run.label(3), run.label(np.int64(3))) == (7, 3, 3)
    with pytest.raises(ganvas.UserError, match="there is no class 'x'"):
        run.label("x")


@pytest.mark.parametrize(
    ("classes", "asked", "found"),
    [
        (["ant", "cat"], "cat", [1]),
        (["ant", "cat"], "1", [1]),
        (["ant", "cat"], 0, [0]),
        (["ant", "cat"], "cat,ant, cat", [1, 0, 1]),
        (["ant", "cat"], ["cat", 0], [1, 0]),
        (["ant", "cat"], np.array([1, 0]), [1, 0]),
        (["3", "7", "9"], "7", [1]),  # a name
        (["3", "7", "9"], 2, [2]),  # a number
        (["3", "7", "9"], "9,3", [2, 0]),
        (["-1", "4"], "-1", [0]),
        (["cat, big", "dog"], "cat, big", [0]),
    ],
)
def test_names_and_numbers_of_classes(run: ganvas.Run, monkeypatch, classes, asked, found) -> None:  # type: ignore
    set_classes(run, monkeypatch, classes)
    assert run.labels(asked) == found


@pytest.mark.parametrize(
    ("classes", "asked", "said"),
    [
        (["ant", "cat"], "cats", "there is no class 'cats': did you mean cat?"),
        (["ant", "cat"], -1, "there is no class number -1: they go from 0 to 1"),
        (["ant", "cat"], "-1", "there is no class number -1: they go from 0 to 1"),
        (["ant", "cat"], 2, "there is no class number 2: they go from 0 to 1"),
        (["ant", "cat"], "2", "there is no class number 2"),
        (["ant", "cat"], 1.0, "there is no class 1.0"),
        (["ant", "cat"], "1.0", "there is no class '1.0'"),
        (["ant", "cat"], True, "there is no class True"),
        (["ant", "cat"], "9" * 5000, "there is no class '99"),
        (["ant", "cat"], "", "there is no class ''"),
        (["ant", "cat"], "ant,", "there is no class ''"),
        (["ant", "cat"], "ant,dog", "there is no class 'dog'"),
        (["ant", "cat"], [], "no class is named"),
        (["3", "7", "9"], "1", "there is no class '1': known are 3, 7, 9"),  # not the second one, 7
        (["3", "7", "9"], 7, "there is no class number 7: they go from 0 to 2"),
    ],
)
def test_classes_that_are_not_there(run: ganvas.Run, monkeypatch, classes, asked, said) -> None:  # type: ignore
    set_classes(run, monkeypatch, classes)
    with pytest.raises(ganvas.UserError, match=re.escape(said)) as refused:
        run.sample(2, classes=asked)
    assert "\n" not in str(refused.value)


def set_classes(run: ganvas.Run, monkeypatch, classes) -> None:  # type: ignore
    """Makes it look as if the run had been trained on data with these classes."""
    config = dataclasses.replace(run.config, classes=len(classes))
    chosen = dataclasses.replace(run.settings.chosen, config=config)
    settings = dataclasses.replace(run.settings, chosen=chosen, data=run.settings.data | {"classes": classes})
    monkeypatch.setattr(run, "settings", settings)


def test_no_classes_where_a_run_has_none(run: ganvas.Run) -> None:
    with pytest.raises(ganvas.UserError, match="was trained without classes"):
        run.sample(2, classes="7")


def test_missing_labels_are_said_to_be_missing_and_why(tmp_path: Path) -> None:
    for i, name in enumerate(["a/1.png", "b/2.png", "stray.png"]):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9), 80 * i, np.uint8)).save(path)
    said = r"needs labels and the data has none \(stray.png lies in no class folder\)"
    with pytest.raises(ganvas.UserError, match=said):
        ganvas.train("toy", "smoke", data=tmp_path / "in", out=tmp_path / "run", device="cpu", batch=2, classes="auto")
    assert not (tmp_path / "run").exists()


def test_a_run_that_balances_its_classes_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    """Bit for bit; and not with what it would see without, or the test would show nothing."""
    given = {"drawing": "batch", "balance": True}
    train_toy(tmp_path / "once", steps=6, **given)
    train_toy(tmp_path / "twice", steps=4, **given)
    ganvas.resume(tmp_path / "twice", steps=6)
    train_toy(tmp_path / "without", steps=6, drawing="batch")
    assert not differing(tensors(tmp_path / "once"), tensors(tmp_path / "twice"))
    assert differing(tensors(tmp_path / "once"), tensors(tmp_path / "without"))


def test_settings_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ganvas.UserError, match="there is no setting 'widht': did you mean width"):
        train_toy(tmp_path / "run", widht=3)
    with pytest.raises(ganvas.UserError, match="steps"):
        train_toy(tmp_path / "run", steps=-1)
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_refused(tmp_path: Path, run: ganvas.Run) -> None:
    with pytest.raises(ganvas.UserError, match="is not empty"):
        train_toy(run.path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ganvas.UserError, match="is a file"):
        train_toy(tmp_path / "file")
    with pytest.raises(ganvas.UserError, match="cannot write"):
        train_toy(tmp_path / "file/run")
    (tmp_path / "empty").mkdir()
    assert train_toy(tmp_path / "empty", steps=1).step == 1


def test_collapse_is_reported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:  # type: ignore
    from ganvas.systems import find

    toy = find("toy").SYSTEM
    monkeypatch.setattr(toy, "sample", lambda self, seeds, c, t=None: torch.zeros(len(seeds), 1, 8, 8))
    train_toy(tmp_path / "run", grid_every=2, steps=8)
    assert capsys.readouterr().out.count("may have collapsed") == 1
    assert [entry["step"] for entry in events(tmp_path / "run", "collapse")] == [4]


def test_training_says_what_it_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(8):
        Image.fromarray(generator.integers(0, 256, (16, 16), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    ganvas.train("toy", "smoke", data=folder, out=tmp_path / "run", device="cpu", batch=8)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"8 pictures of {folder}, 1 skipped: `ganvas data check {folder}` names them"
