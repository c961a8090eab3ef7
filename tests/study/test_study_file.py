"""What a study's file may say, and what it is told when it says something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ganvas import systems
from ganvas.cli import options, parsing
from ganvas.errors import UserError
from ganvas.study import load_study, study
from ganvas.study.plan import flags, flat

Write = Callable[..., Path]


def test_seeds_are_outermost_and_settings_add_up(write: Write, tmp_path: Path) -> None:
    path = write("[variants.other]", 'system = "biggan"', "[evaluate]", settings="batch = 2")
    study = load_study(path)
    runs = study.runs(tmp_path / "out")
    assert study.name == "two"
    assert [run.name for run in runs] == [f"{v}/seed-{s}" for s in (0, 1) for v in ("narrow", "wide", "other")]
    assert [str(run.path.relative_to(tmp_path)) for run in runs[:2]] == ["out/narrow/seed-0", "out/wide/seed-0"]
    assert {run.chosen.training.seed for run in runs if run.seed == 1} == {1}
    assert {run.chosen.training.batch for run in runs} == {2}
    assert [run.chosen.config.width for run in runs[:3]] == [4, 8, 4]
    assert [run.system for run in runs[:3]] == ["toy", "toy", "biggan"]
    assert study.evaluate == {}
    assert load_study(write()).evaluate is None
    assert study.runs()[0].path == Path.cwd() / "runs" / "two" / "narrow" / "seed-0"


def test_a_folder_is_found_from_anywhere(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    path = write("[variants.mine]", 'data = "photos"')
    assert {run.data for run in load_study(path).runs()} == {"digits", str(tmp_path / "photos")}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"top": "seed = [0]"}, "seed: there is no such key: did you mean seeds?"),
        ({"top": "seeds = []"}, "seeds: it is a list of different whole numbers"),
        ({"top": "seeds = [1, 1]"}, "seeds: it is a list of different whole numbers"),
        ({"top": "seeds = [true]"}, "seeds: it is a list of different whole numbers"),
        ({"top": "seeds = 3"}, "seeds: it is a list of different whole numbers"),
        ({"top": "seeds = [0"}, "two.toml is not a TOML file: "),
        ({"settings": "stepps = 3"}, "settings.stepps: there is no setting 'stepps': did you mean steps?"),
        ({"settings": "steps = 0"}, "settings.steps: Input should be greater than 0"),
        ({"settings": 'ema = "x"'}, "settings.ema: Input should be a valid number"),
        ({"settings": "ema = 2"}, "settings.ema: ema is a decay between 0 and 1, not 2.0"),
        ({"settings": "seed = 3"}, "settings.seed: a study's seeds are the list `seeds`"),
        ({"settings": "micro_batch = 3"}, "variants.narrow: --micro-batch 3 does not divide"),
        (["[variants.x]", "widht = 3"], "variants.x.widht: there is no setting 'widht': did you mean width?"),
        (["[variants.x]", "seed = 3"], "variants.x.seed: a study's seeds"),
        (["[variants.x]", 'system = "toi"'], "variants.x: there is no system 'toi': did you mean toy?"),
        (["[variants.x]", 'preset = "grnd"'], "variants.x: toy has no preset 'grnd': did you mean grand?"),
        (["[variants.x]", "data = 3"], "variants.x.data: it is a text in quotes, not 3"),
        (['[variants."a/b"]'], "variants.a/b: name variants with letters"),
        (['[variants.".."]'], "variants...: name variants with letters"),
        (
            ["[variants.x]", 'system = "unetgan"', 'discriminator = "resnet"', "batch = 4"],
            "variants.x: CutMix needs the unet discriminator",
        ),
        (["[variants.x.y]"], "variants.x.y: there is no setting 'y'"),
        (["[evaluate]", "metrix = 3"], "evaluate.metrix: there is no such option: did you mean metrics?"),
        (["[evaluate]", 'subject = "x"'], "evaluate.subject: there is no such option"),
        (["[evaluate]", 'device = "gpu"'], "evaluate: invalid choice 'gpu' for argument '--device'"),
        (["[evaluate]", 'metrics = ["fdd"]'], "evaluate: there is no metric 'fdd': did you mean fd?"),
        (["[variants.x]", 'data = "openmoji"', "[evaluate]"], "evaluate.data: variants have different data"),
    ],
)
def test_mistakes_name_the_file_and_the_key(more: dict[str, str] | list[str], said: str, write: Write) -> None:
    path = write(*more) if isinstance(more, list) else write(**more)
    with pytest.raises(UserError, match=re.escape(said)) as error:
        load_study(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "few.toml"
    with pytest.raises(UserError, match=r"cannot read the study .*few.toml: No such file"):
        load_study(path)
    path.write_text('system = "toy"\npreset = "smoke"\nseeds = [0]\n')
    with pytest.raises(UserError, match="variants: a study needs at least one"):
        load_study(path)
    path.write_text(path.read_text() + "[variants.x]")
    with pytest.raises(UserError, match=r'data: it is missing: give data = "..." at the top'):
        load_study(path)
    path.write_text("variants = 3\nseeds = [0]")
    with pytest.raises(UserError, match=r"variants: it is a table, \[variants\], not 3"):
        load_study(path)


@pytest.mark.parametrize("name", systems.names())
def test_flags_say_what_was_set(name: str) -> None:
    """The command line reads every setting of every preset, given as flags of another preset, as it was."""
    presets = systems.find(name).PRESETS
    for preset in presets.values():
        values = {key: value for key, value in flat(preset).items() if value is not None}
        words = flags({"data": "x", "out": "y"} | values)
        _, parsed = parsing.parse_with_settings(options.Training, words, "train", name, "smoke")
        assert parsed == preset


def test_flags_of_a_new_run_are_those_of_the_file_alone(write: Write, tmp_path: Path) -> None:
    run = load_study(write(settings="flip = false\nsteps = 3.0")).runs(tmp_path)[0]
    assert run.train_words() == [
        *("train", "toy", "smoke", "--data=digits", f"--out={tmp_path}/narrow/seed-0"),
        *("--score-every=0", "--no-flip", "--steps=3", "--width=4", "--seed=0"),
    ]


def test_a_dry_run_prints_commands_and_does_nothing(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study(write("[evaluate]", "n = 5", top="seeds = [7]"), out=tmp_path / "my runs", dry_run=True)
    runs = f"{tmp_path}/my runs"
    assert capsys.readouterr().out.splitlines() == [
        f"ganvas train toy smoke --data=digits '--out={runs}/narrow/seed-7' --score-every=0 --width=4 --seed=7",
        f"ganvas evaluate '{runs}/narrow/seed-7' --json --data=digits --n=5",
        f"ganvas train toy smoke --data=digits '--out={runs}/wide/seed-7' --score-every=0 --optimizer=sgd --seed=7",
        f"ganvas evaluate '{runs}/wide/seed-7' --json --data=digits --n=5",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["two.toml"]


def test_a_variant_starts_from_another_ones_run_of_the_same_seed(write: Write, tmp_path: Path) -> None:
    study = load_study(write("[variants.on]", 'init_from = "wide"'))
    runs = {run.name: run for run in study.runs(tmp_path)}
    assert runs["on/seed-1"].init_from == str(tmp_path / "wide" / "seed-1")
    assert f"--init-from={tmp_path / 'wide' / 'seed-1'}" in runs["on/seed-1"].train_words()
    assert runs["wide/seed-1"].init_from is None and not any(
        "init" in word for word in runs["wide/seed-1"].train_words()
    )
    for start in ("wid", "on"):
        with pytest.raises(UserError, match=r"variants\.on\.init_from: it names a variant that starts from no other"):
            load_study(write("[variants.on]", f'init_from = "{start}"'))
