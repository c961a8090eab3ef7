"""Studies of opinions: what a rater could see, orders, files of ratings, and the page in a browser."""

from __future__ import annotations

import csv
import itertools
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_enlarged import make_run, nearest_of, photo  # noqa: F401  (a fixture)

from ganvas import cli, systems
from ganvas.data.sampler import stream
from ganvas.errors import UserError
from ganvas.metrics.mos import Item, load, prepare, score, shuffled
from ganvas.metrics.opinions import NEAREST, ORIGINAL, Rater

SIZES = [(41, 50), (34, 33), (60, 36), (36, 36)]
"""Widths and heights of the photos; cut to multiples of 3 or 4 they are all others."""


@pytest.fixture(scope="module", autouse=True)
def _systems_and_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(systems, "__path__", [*systems.__path__, str(Path(__file__).parent / "enlarging_systems")])
        patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("truth")
    for number, size in enumerate(SIZES):
        Image.fromarray(photo(*size, number)).save(folder / f"photo{number}.png", pnginfo=None)
    return folder


@pytest.fixture(scope="module")
def darker(tmp_path_factory):
    """Pictures of another program: the photos at half their brightness, cut to multiples of 4 or not."""
    folder = tmp_path_factory.mktemp("darker")
    for number, (width, height) in enumerate(SIZES):
        pixels = photo(width, height, number) // 2
        pixels = pixels if number % 2 else pixels[: height // 4 * 4, : width // 4 * 4]
        Image.fromarray(pixels).save(folder / f"photo{number}.webp", lossless=True)
    return folder


@pytest.fixture
def study(truth, darker, tmp_path):
    return prepare(truth, ["bicubic", f"darker={darker}"], tmp_path / "study", raters=3, seed=5)


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_every_version_of_every_photo(study, truth):
    """By their pixels, computed here; all versions of a photo have the size that it has when cut to multiples of 4."""
    assert study.methods == [NEAREST, "bicubic", "darker", ORIGINAL]
    made = {(item.photo, item.method): pixels_of(study.picture(name)) for name, item in study.items.items()}
    assert len(made) == 16 == len(study.items)
    for number, (width, height) in enumerate(SIZES):
        whole = photo(width, height, number)[: height // 4 * 4, : width // 4 * 4]
        name = f"photo{number}.png"
        assert np.array_equal(made[name, ORIGINAL], whole)
        assert np.array_equal(made[name, NEAREST], nearest_of(whole, 4))
        assert np.array_equal(made[name, "darker"], whole // 2)
        assert made[name, "bicubic"].shape == whole.shape
        error = {of: np.square(made[name, of].astype(float) - whole).mean() for of in (NEAREST, "bicubic")}
        assert 0 < error["bicubic"] < error[NEAREST]


def test_pictures_tell_nothing_but_what_they_show(study):
    folder = study.folder
    names = sorted(path.name for path in (folder / "pictures").iterdir())
    assert len(names) == 16 + 6 and all(re.fullmatch(r"[0-9a-f]{10}\.png", name) for name in names)
    for name in names:
        with Image.open(folder / "pictures" / name) as image:
            assert (image.format, image.mode, image.info) == ("PNG", "RGB", {})
    assert len({path.stat().st_mtime_ns for path in (folder / "pictures").iterdir()}) == 1
    # Neither names nor orders follow the methods: in sorted order they would stand together or in turn.
    methods = [study.items[name].method for name in names if name in study.items]
    assert methods != sorted(methods) and len({*methods[:4], *methods[4:8]}) > 1
    for path in (folder / "rate.html", folder / "README.txt", *(folder / "answers").iterdir()):
        text = path.read_text()
        assert not any(word in text for word in ("photo0", "darker", "bicubic", NEAREST, ORIGINAL))
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.txt", "answers", "key.json", "pictures", "rate.html",
    ]  # fmt: skip


def test_raters_are_shown_both_ends_first(study):
    """The enlargement by squares is told to be a 1, the photo itself a 5, in files of their own."""
    assert [score for _, score in study.calibration] == [1, 5] * 3
    versions = {item.method: [] for item in study.items.values()}
    for name, item in study.items.items():
        versions[item.method].append(pixels_of(study.picture(name)).tobytes())
    for name, told in study.calibration:
        assert name not in study.items
        assert pixels_of(study.picture(name)).tobytes() in versions[NEAREST if told == 1 else ORIGINAL]
    readme = (study.folder / "README.txt").read_text()
    assert all(f"pictures/{name} is {told}" in readme for name, told in study.calibration)


def test_other_photos_calibrate_where_there_are_some(truth, tmp_path):
    study = prepare(truth, ["bicubic"], tmp_path / "study", n=2, seed=1)
    rated = {item.photo for item in study.items.values()}
    assert len(rated) == 2 and len(study.items) == 6 and len(study.calibration) == 4
    sizes = {pixels_of(study.picture(name)).shape for name in study.items}
    assert sizes.isdisjoint(pixels_of(study.picture(name)).shape for name, _ in study.calibration)


def test_orders(study):
    """Every rater sees all, in an order of their own, and never two versions of a photo in a row."""
    assert len(study.orders) == 3 and len({tuple(order) for order in study.orders}) == 3
    for number, order in enumerate(study.orders, 1):
        assert sorted(order) == sorted(study.items)
        photos = [study.items[name].photo for name in order]
        assert all(a != b for a, b in itertools.pairwise(photos))
        rows = (study.folder / "answers" / f"rater-{number:02}.csv").read_text().splitlines()
        assert rows == ["picture,score", *(f"{name}," for name in order)]


@pytest.mark.parametrize(("photos", "versions"), [(2, 7), (3, 4), (5, 1), (6, 12)])
def test_orders_without_repetition_are_always_found(photos, versions):
    """Of two photos they alternate; and which picture comes first is left to chance."""
    items = [Item(f"{p}-{v}", str(p), str(v)) for p in range(photos) for v in range(versions)]
    firsts: Counter = Counter()
    for seed in range(60):
        order = shuffled(items, stream(seed, "test"))
        shown = [name.split("-")[0] for name in order]
        assert sorted(order) == sorted(item.name for item in items)
        assert all(a != b for a, b in itertools.pairwise(shown))
        firsts[order[0]] += 1
    assert len(firsts) >= min(len(items), 60) * 0.5


def test_one_photo_can_only_be_repeated():
    items = [Item(str(v), "one", str(v)) for v in range(5)]
    assert sorted(shuffled(items, stream(0, "test"))) == list("01234")


def test_the_same_seed_makes_the_same_study(study, truth, darker, tmp_path):
    given = {"raters": 3, "seed": 5}
    again = prepare(truth, {"bicubic": "bicubic", "darker": darker}, tmp_path / "again", **given)
    other = prepare(truth, ["bicubic", f"darker={darker}"], tmp_path / "other", raters=3, seed=6)
    assert (again.folder / "key.json").read_text() == (study.folder / "key.json").read_text()
    assert {*other.items}.isdisjoint(study.items)
    read = load(study.folder)
    assert read.items == study.items and read.methods == study.methods
    assert [*map(tuple, read.calibration)] == study.calibration and read.orders == study.orders


def test_runs_are_methods(make_run, truth, darker, tmp_path):  # noqa: F811
    """A run that enlarges 3 times decides the scale; its pictures are what its rule says of the small versions."""
    run = make_run(channels=1, source_channels=1)
    study = prepare(truth, {"ours": run, "bicubic": "bicubic"}, tmp_path / "study")
    made = {(item.photo, item.method): pixels_of(study.picture(name)) for name, item in study.items.items()}
    whole = photo(*SIZES[0], 0)[: SIZES[0][1] // 3 * 3, : SIZES[0][0] // 3 * 3]
    assert np.array_equal(made["photo0.png", NEAREST], nearest_of(whole, 3))
    gray = np.asarray(Image.fromarray(nearest_of(whole, 3)).convert("L"))
    assert np.array_equal(made["photo0.png", "ours"], gray[:, :, None].repeat(3, 2))
    assert "step 1" in json.loads((study.folder / "key.json").read_text())["methods"]["ours"]
    with pytest.raises(UserError, match="ours enlarges 3 times, and the study 2 times: all methods must agree"):
        prepare(truth, [f"ours={run.path}"], tmp_path / "x", scale=2)
    wrong = tmp_path / "wrong"
    shutil.copytree(darker, wrong)
    Image.new("RGB", (33, 30)).save(wrong / "photo1.webp")
    with pytest.raises(UserError, match=r"other: .*wrong: photo1.webp has 33x30 pixels, not 33x33"):
        prepare(truth, {"ours": run, "other": wrong}, tmp_path / "x")
    assert not (tmp_path / "x" / "pictures").exists()


@pytest.mark.parametrize(
    ("methods", "given", "said"),
    [
        ([], {}, "a study compares methods"),
        (["ours"], {}, "--methods ours: a method is NAME=PLACE"),
        (["=x"], {}, "--methods x: a method is NAME=PLACE"),
        (["nearest=x"], {}, "a method cannot be called 'nearest'"),
        (["a b=x"], {}, "a method cannot be called 'a b'"),
        (["bicubic", "bicubic"], {}, "two methods are called bicubic"),
        (["ours=nowhere"], {}, "There is no folder or zip file nowhere"),
        (["bicubic"], {"scale": 1}, "by 2 or more, not by 1"),
        (["bicubic"], {"raters": 0}, "at least 1 rater"),
        (["bicubic"], {"scale": 64}, r"photo0.png: 0x0 pixels; 16 or more a side are needed"),
    ],
)
def test_studies_that_cannot_be_made(truth, tmp_path, methods, given, said):
    with pytest.raises(UserError, match=said):
        prepare(truth, methods, tmp_path / "study", **given)


def test_methods_that_lack_photos(truth, darker, tmp_path):
    partly = tmp_path / "partly"
    shutil.copytree(darker, partly)
    (partly / "photo2.webp").unlink()
    with pytest.raises(UserError, match=r"ours: .*partly has no version of photo2.png"):
        prepare(truth, [f"ours={partly}"], tmp_path / "study")
    assert len([*prepare(truth, [f"ours={darker}"], tmp_path / "study").items]) == 12
    with pytest.raises(UserError, match="is not an empty folder"):
        prepare(truth, ["bicubic"], tmp_path / "study")


def rated(study: Any, rater: int, given: dict[str, float], seed: int = 0, leave: int = 0, **form: str) -> Path:
    """A file of a rater who gives each method about so much, with the last pictures left out."""
    random = np.random.default_rng([rater, seed])
    path = study.folder / "answers" / form.get("name", f"rater-{rater:02}.csv")
    with path.open("w", newline="", encoding=form.get("encoding", "utf-8")) as file:
        writer = csv.writer(file, delimiter=form.get("delimiter", ","))
        writer.writerow(["picture", "score"])
        for number, name in enumerate(study.orders[rater - 1]):
            value = given[study.items[name].method] + random.uniform(-0.5, 0.5)
            left = number >= len(study.items) - leave
            writer.writerow([name, "" if left else f" {int(np.clip(round(value), 1, 5))} "])
    return path


MEANS = {NEAREST: 1, "bicubic": 2.4, "darker": 3.6, ORIGINAL: 5}


def test_ratings_come_to_their_methods(study):
    """Two of three files filled in, one of them with semicolons and gaps: means by hand from the files."""
    rated(study, 1, MEANS)
    rated(study, 2, MEANS, leave=2, delimiter=";", encoding="utf-8-sig")
    found = score(study.folder)
    assert [len(rater.scores) for rater in found.raters] == [16, 14]
    expected: dict[str, list[int]] = {method: [] for method in study.methods}
    for rater in found.raters:
        for name, value in rater.scores.items():
            expected[study.items[name].method].append(value)
    for method, values in expected.items():
        assert found.mean(method).mean == pytest.approx(np.mean(values)) and found.mean(method).n == len(values)
    assert abs(found.mean("darker").mean - 3.6) < 0.4 and found.difference("darker", "bicubic").mean > 0.5
    assert found.flags == [f"{found.raters[1].name}: 2 pictures are not rated, which are left out"]


def test_the_commands(truth, darker, tmp_path, capsys):
    words = ["mos", "prepare", "--truth", truth, "--methods", "bicubic", f"darker={darker}", "--out", tmp_path / "s"]
    assert cli.run([*map(str, words), "--raters", "2"]) == 0
    assert "16 pictures, 2 orders" in capsys.readouterr().out
    study = load(tmp_path / "s")
    one, two = (rated(study, rater, MEANS) for rater in (1, 2))
    assert cli.run(["mos", "score", str(tmp_path / "s")]) == 0
    assert capsys.readouterr().out.startswith("32 scores of 2 raters and 4 photos")
    assert cli.run(["mos", "score", str(tmp_path / "s"), str(two), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["methods"][ORIGINAL]["mean"] > 4 and [rater["n"] for rater in said["raters"]] == [16]
    assert said["methods"]["darker"]["interval"][0] <= said["methods"]["darker"]["mean"]
    assert cli.run(["mos", "score", str(tmp_path / "s"), str(one), str(one)]) == 2
    assert "is given twice" in capsys.readouterr().err
    assert cli.run(["mos"]) == 0
    assert "mos prepare" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{0},6", "line 2: '6' is no score, give 1 to 5, or nothing"),
        ("{0},3.5", "line 2: '3.5' is no score"),
        ("{0},good", "line 2: 'good' is no score"),
        ("x.png,3", "line 2: there is no picture 'x.png'"),
        ("{0},3\n{0},3", "line 3: .* is there a second time"),
        ("{0},", "nothing is rated"),
    ],
)
def test_ratings_that_are_none(study, row, said):
    path = study.folder / "answers" / "rater-01.csv"
    path.write_text("picture,score\n" + row.format(study.orders[0][0]) + "\n")
    for answers in ([], [path]):
        with pytest.raises(UserError, match=said):
            score(study.folder, answers)


def test_keys_that_do_not_fit(study, tmp_path):
    rated(study, 1, MEANS)
    with pytest.raises(UserError, match=r"cannot read .*nowhere.csv"):
        score(study.folder, [tmp_path / "nowhere.csv"])
    with pytest.raises(UserError, match=r"there is no picture 'x\.png'"):
        study.score([Rater("me", {"x.png": 3})])
    with pytest.raises(UserError, match="a whole number from 1 to 5, not 0"):
        study.score([Rater("me", {study.orders[0][0]: 0})])
    Image.new("RGB", (16, 16)).save(study.picture(study.orders[0][0]))
    with pytest.raises(UserError, match=r"is not the picture that key\.json speaks of: make the study anew"):
        score(study.folder)
    with pytest.raises(UserError, match="holds no study"):
        score(tmp_path)


def test_the_page_in_a_browser(study, tmp_path, chromium):
    """A rater goes through it with keys and buttons, goes back once, comes again, and saves what `score` reads."""
    context = chromium.new_context(accept_downloads=True)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def begin():
        page.goto((study.folder / "rate.html").as_uri())
        said = page.locator("#text").inner_text()
        page.locator("#rater").select_option(index=1)
        page.locator("#next").click()
        return said

    assert "16 pictures are to be rated from 1, bad, to 5, excellent" in begin()
    for name, told in study.calibration:
        assert f"this is a {told}" in page.locator("#text").inner_text()
        assert page.locator("#picture").get_attribute("src").endswith(f"pictures/{name}")
        page.wait_for_function("document.getElementById('picture').complete")
        shown, width = page.locator("#picture").evaluate("picture => [picture.naturalWidth, picture.width]")
        assert shown == width == pixels_of(study.picture(name)).shape[1]
        page.locator("#next").click()
    expected = {}
    for number, name in enumerate(study.orders[1]):
        assert f"Picture {number + 1} of 16" in page.locator("#text").inner_text()
        assert page.locator("#picture").get_attribute("src").endswith(f"pictures/{name}")
        expected[name] = number % 5 + 1
        if number == 3:
            # A slip: back, another score.
            page.locator("#scores button[value='1']").click()
            page.locator("#back").click()
            assert page.locator("#scores .chosen").get_attribute("value") == "1"
        if number == 8:
            begin()
            assert "Picture 9 of 16" in page.locator("#text").inner_text()
        if number % 2:
            page.locator(f"#scores button[value='{expected[name]}']").click()
        else:
            page.keyboard.press(str(expected[name]))
    assert "thank you" in page.locator("#text").inner_text()
    with page.expect_download() as saved:
        page.locator("#save").click()
    assert saved.value.suggested_filename == "rater-02.csv"
    path = tmp_path / "rater-02.csv"
    saved.value.save_as(path)
    assert score(study.folder, [path]).raters[0].scores == expected
    assert not errors
    context.close()
