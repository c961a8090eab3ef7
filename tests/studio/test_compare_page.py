"""*Compare*: pictures against what the runs themselves make, numbers against `ganvas compare`, and a browser."""

import base64
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas.compare import compare as compare_runs
from ganvas.errors import UserError
from ganvas.launch import describe
from ganvas.studio.actions import action
from ganvas.studio.studio import Studio
from ganvas.systems import find_preset

compare = pytest.importorskip("ganvas.studio.pages.compare", reason="needs gradio")


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def to_bytes(images):
    """(N, C, H, W) in [-1, 1] as (N, H, W, C); of one channel (N, H, W)."""
    found = (images.permute(0, 2, 3, 1) * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    return found[..., 0] if found.shape[3] == 1 else found


@pytest.fixture(scope="module")
def drawing(trained):
    """Two runs that differ in their seeds, and one of captions."""
    return [trained("unetgan"), trained("unetgan", seed=1), trained("gancls")]


@pytest.fixture(scope="module")
def translating(trained):
    return [trained("pix2pix"), trained("pix2pix", seed=1)]


def test_runs_of_one_kind_stand_together(drawing, translating, trained):
    studio = Studio.of([*drawing, *translating, trained("srgan")])
    names = list(studio.opened)
    assert compare.kinds(studio) == {
        "noise": names[:3], "other pictures": names[3:5], "pictures that are 4 times smaller": names[5:]
    }  # fmt: skip
    assert compare.fits(studio)
    assert not compare.fits(Studio.of([drawing[0], translating[0]])) and not compare.fits(Studio.of(drawing[:1]))


def test_rows_are_what_each_run_draws_of_the_same_seeds(drawing):
    """Against `Run.sample`, pixel by pixel; the caption goes to the run that learnt from captions and to no other."""
    studio = Studio.of(drawing)
    for (name, opened), text in [(pair, text) for pair in studio.opened.items() for text in ("", "a red circle")]:
        answer = compare.draw(studio, compare.Drawing(run=name, seed=5, n=3, text=text))
        run = ganvas.load(opened.path, device="cpu")
        asked = {"text": text} if text and opened.settings.system == "gancls" else {}
        expected = to_bytes(run.sample(3, 5, **asked))
        assert np.array_equal(np.stack([pixels(uri) for uri in answer["pictures"]]), expected)
        assert (answer["names"], answer["step"]) == (["seed 5", "seed 6", "seed 7"], run.step)


def test_the_same_class_is_found_by_its_name(trained):
    """Two runs that number their classes differently would otherwise be asked for different things."""
    run = ganvas.load(trained("cgan"), device="cpu")
    studio = Studio.of([run.path])
    name = run.classes[-1]
    answer = compare.draw(studio, compare.Drawing(run="cgan", seed=0, n=2, label=name))
    assert np.array_equal(
        np.stack([pixels(uri) for uri in answer["pictures"]]), to_bytes(run.sample(2, 0, classes=len(run.classes) - 1))
    )
    with pytest.raises(UserError, match="there is no class 'x'"):
        compare.draw(studio, compare.Drawing(run="cgan", seed=0, n=2, label="x"))


def test_the_same_picture_is_translated_by_each_run(translating):
    """Against `Run.translate` of the pixels that were sent; the two runs differ."""
    studio = Studio.of(translating)
    names = list(studio.opened)
    found = compare.example(studio, compare.Example(run=names[0], number=3, direction="AtoB"))
    made = []
    for name in names:
        asked = compare.Translating(run=name, picture=found["picture"], direction="AtoB")
        answer = compare.translate(studio, asked)
        run = ganvas.load(studio.find(name).path, device="cpu")
        sent = torch.tensor(pixels(found["picture"]).reshape(1, 32, 32, -1)).permute(0, 3, 1, 2) / 127.5 - 1
        made.append(pixels(answer["pictures"][0]))
        assert np.abs(made[-1].astype(int) - to_bytes(run.translate(sent))[0]).max() <= 1
    assert not np.array_equal(*made)
    with pytest.raises(UserError, match="no picture arrived"):
        compare.translate(studio, compare.Translating(run=names[0], picture="", direction="AtoB"))


def test_examples_are_of_the_side_that_is_asked_for(trained):
    """Against the run's own data, read here."""
    from ganvas.data import open_data

    run = ganvas.load(trained("discogan"), device="cpu")
    studio = Studio.of([run.path])
    config, options = run.config, run.settings.chosen.data
    data = open_data(
        run.settings.source, options, size=config.size, channels=config.channels,
        source_channels=config.source_channels, sides=run.system.sides,
    )  # fmt: skip
    batch = data.sampler(batch=16, seed=0, options=options, device="cpu", size=config.size).batch(0)
    for direction, side in (("AtoB", "source"), ("BtoA", "image")):
        found = compare.example(studio, compare.Example(run="discogan", number=2, direction=direction))
        assert np.array_equal(pixels(found["picture"]), to_bytes(batch[side][2:3])[0])
        assert found["truth"] == ""  # nothing belongs to it


def test_examples_of_pairs_come_with_what_they_belong_to(translating):
    found = compare.example(Studio.of(translating[:1]), compare.Example(run="pix2pix", number=0, direction="AtoB"))
    assert pixels(found["truth"]).shape == (32, 32, 3) and found["truth"] != found["picture"]


def test_numbers_are_those_of_the_compare_command(drawing):
    """Against `ganvas compare` of the same runs, each in a group of its own there too."""
    studio = Studio.of([drawing[0], drawing[2]])
    names = list(studio.opened)
    answer = compare.numbers(studio, compare.Measuring(runs=names))
    assert json.loads(json.dumps(answer))["names"] == names
    theirs = compare_runs([drawing[0], drawing[2]])
    assert [row["name"] for row in [*answer["scores"], *answer["others"]]] == [row.name for row in theirs.rows]
    for ours, row in zip([*answer["scores"], *answer["others"]], theirs.rows, strict=True):
        for place in range(2):
            if (found := row.interval(place)) is None:
                assert ours["cells"][place] == "-"
            else:
                assert float(ours["cells"][place]) == pytest.approx(found.mean, rel=1e-3)
    assert any("different pictures" in warning for warning in answer["warnings"])
    assert str(drawing[0].parent) not in json.dumps(answer)


def test_scores_measured_in_other_ways_do_not_share_a_row(drawing, tmp_path):
    runs = []
    for name, n in (("one", 100), ("two", 200)):
        runs.append(Path(shutil.copytree(drawing[0], tmp_path / name)))
        score = {"value": n / 7, "lower_is_better": True, "protocol": {"samples": {"n": n}, "features": "same"}}
        (runs[-1] / "evaluation.json").write_text(json.dumps({"step": 4, "scores": {"fid": score}}))
    answer = compare.numbers(Studio.of(runs), compare.Measuring(runs=["one", "two"]))
    rows = [(row["name"], row["cells"], row["protocol"]) for row in answer["scores"]]
    assert rows == [
        ("fid (1)", ["14.29", "-"], [["samples.n", "100"], ["features", "same"]]),
        ("fid (2)", ["-", "28.57"], [["samples.n", "200"], ["features", "same"]]),
    ]
    assert "fid was measured in 2 ways, which do not compare: samples.n 100 / 200" in answer["warnings"]


def test_parameters_are_those_that_describe_counts(drawing):
    """Against `ganvas describe`, which counts on networks without weights."""
    answer = compare.numbers(Studio.of(drawing[:1]), compare.Measuring(runs=["unetgan"]))
    expected = describe("unetgan", "smoke", find_preset("unetgan", "smoke"))["networks"]
    about = {name.strip(): cells[0] for name, cells in answer["about"]}
    for name, count in expected.items():
        assert about[name] == f"{count['parameters']:,}"
    assert about["parameters"] == f"{sum(count['parameters'] for count in expected.values()):,}"


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        ("numbers", {"runs": ["a", "b", "c", "d", "e"]}),
        ("numbers", {"runs": ["../unetgan"]}),
        ("numbers", {"runs": []}),
        ("draw", {"run": "unetgan", "seed": 0, "n": 17}),
        ("draw", {"run": "unetgan", "seed": 0, "n": 1, "label": "x"}),
        ("translate", {"run": "unetgan", "picture": "data:,", "direction": "AtoB"}),
        ("example", {"run": "unetgan", "number": 0, "direction": "AtoB"}),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(drawing, function, asked):
    found = action(getattr(compare, function), Studio.of(drawing[:1]))(asked)
    assert list(found) == ["error"] and "\n" not in found["error"] and "inside of ganvas" not in found["error"]


def screenshot(page, name):
    if folder := os.environ.get("GANVAS_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("width", [1200, 390])
def test_comparing_in_a_browser(drawing, translating, studio_at, page, tmp_path, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{studio_at(*drawing, *translating)}/compare")
    page.wait_for_selector("#compare .chosen-runs input")
    boxes = page.locator("#compare .chosen-runs input")
    assert boxes.count() == 3 and page.locator("#compare .of-text").is_hidden()
    boxes.nth(2).focus()
    page.keyboard.press("Space")
    page.get_by_label("Caption").fill("a red circle")
    page.locator("#compare [name=n]").select_option("4")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#compare .measured:not([hidden])", timeout=60_000)
    assert page.locator("#compare .side").count() == 3 and page.locator("#compare .side img").count() == 12
    assert page.locator("#compare thead th").count() == 3
    assert page.locator("#compare .warnings li").count() >= 1
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    screenshot(page, f"compare-noise-{width}")
    # A picture of one's own, and one of the data.
    page.locator("#compare [name=kind]").select_option("other pictures")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#compare .status.problem")
    Image.fromarray(np.full((40, 56, 3), 200, np.uint8)).save(tmp_path / "own.png")
    page.locator("#compare [name=file]").set_input_files(tmp_path / "own.png")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#compare .measured:not([hidden])", timeout=60_000)
    assert "45 × 32 pixels" in page.locator("#compare .pictures").inner_text()
    page.locator("#compare [name=example]").select_option(index=2)
    page.get_by_role("button", name="Compare").click()
    page.wait_for_function("() => document.querySelectorAll('#compare .pictures img').length === 4")
    page.wait_for_selector("#compare .measured:not([hidden])", timeout=60_000)
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    screenshot(page, f"compare-pictures-{width}")
