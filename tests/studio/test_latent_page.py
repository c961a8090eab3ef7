"""*Latent space*: its pictures against those that `Run.sample` draws at the ends, and in a browser."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from test_generate_page import kept, pixels

import ganvas
from ganvas.errors import UserError
from ganvas.studio.actions import action
from ganvas.studio.pages import latent
from ganvas.studio.pages.latent import Adding, Choosing, Concept, Walking
from ganvas.studio.studio import Studio
from ganvas.viz.grids import to_bytes

pytest.importorskip("gradio", reason="needs gradio")


@pytest.fixture(scope="module")
def studio(trained):
    return Studio.of([trained("unetgan"), trained("cgan"), trained("pix2pix")])


def near(uri, picture):
    """Whether a picture shows this one, but for rounding."""
    return np.abs(pixels(uri).astype(int) - to_bytes(picture[None])[0].astype(int)).max() <= 1


def test_a_walk_meets_its_seeds(studio, trained):
    run = ganvas.load(trained("unetgan"))
    answer = latent.walk(studio, Walking(run="unetgan", seeds=[7, 2, 9], steps=4))
    frames = answer["frames"]
    assert len(frames) == 12 and all(near(frames[4 * n], run.sample(1, seed)[0]) for n, seed in enumerate((7, 2, 9)))
    opened = latent.walk(studio, Walking(run="unetgan", seeds=[7, 2], steps=4, closed=False, kind="linear"))["frames"]
    assert len(opened) == 5 and near(opened[0], run.sample(1, 7)[0]) and near(opened[4], run.sample(1, 2)[0])
    middle = run.system.prior.seeded([7, 2]).mean(0, keepdim=True)
    with torch.no_grad():
        assert near(opened[2], run.system.from_latents(middle, {})[0])


def test_a_walk_keeps_the_class_of_its_first_seed_or_the_one_chosen(studio, trained):
    run = ganvas.load(trained("cgan"))
    label = 5 % len(run.classes)
    frames = latent.walk(studio, Walking(run="cgan", seeds=[5, 8], steps=2))["frames"]
    assert near(frames[2], run.sample(1, 8, classes=label)[0])
    frames = latent.walk(studio, Walking(run="cgan", seeds=[5, 8], steps=2, label=1))["frames"]
    assert near(frames[2], run.sample(1, 8, classes=1)[0])


def test_the_animation_has_every_frame_and_says_whose_it_is(studio):
    asked = Walking(run="unetgan", seeds=[0, 1], steps=3)
    frames = latent.walk(studio, asked)["frames"]
    data = latent.animation(studio, asked)["gif"]
    with Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))) as moving:
        assert moving.n_frames == len(frames) and b"OpenMoji" in moving.info["comment"]


def test_sums(studio, trained):
    """The picture of a + b - b is that of the mean latent of a."""
    run = ganvas.load(trained("unetgan"))
    groups = [(1, [1, 2, 3]), (1, [4, 5, 6]), (-1, [4, 5, 6])]
    asked = Adding(run="unetgan", groups=[Concept(name="x", seeds=seeds, sign=sign) for sign, seeds in groups])
    answer = latent.add(studio, asked)
    mean = run.system.prior.seeded([1, 2, 3]).mean(0, keepdim=True)
    with torch.no_grad():
        expected = run.system.from_latents(mean, {})[0]
    assert near(answer["block"][4], expected) and near(answer["rows"][0]["mean"], expected)
    assert [len(row["pictures"]) for row in answer["rows"]] == [3, 3, 3] and answer["rows"][2]["name"] == "- x"


def test_what_cannot_be_is_said(studio):
    with pytest.raises(UserError, match="3 or more different seeds"):
        latent.add(studio, Adding(run="unetgan", groups=[Concept(name="one", seeds=[1], sign=1)]))
    with pytest.raises(UserError, match="no class"):
        latent.walk(studio, Walking(run="cgan", seeds=[0, 1], steps=2, label=99))
    with pytest.raises(UserError, match="no noise"):
        latent.walk(studio, Walking(run="pix2pix", seeds=[0, 1], steps=2))
    with pytest.raises(UserError, match="no run"):
        latent.choose(studio, Choosing(run="/etc", first=0))
    assert "seeds" in action(latent.walk, studio)({"run": "unetgan", "seeds": [1], "steps": 2})["error"]
    assert "steps" in action(latent.walk, studio)({"run": "unetgan", "seeds": [1, 2], "steps": 10**6})["error"]


@pytest.mark.parametrize("width", [1200, 390])
def test_in_a_browser(page, studio_at, trained, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{studio_at(trained('unetgan'), trained('cgan'))}/latent")
    palette = page.locator(".palette button")
    palette.nth(23).wait_for()
    assert [palette.nth(n).get_attribute("aria-pressed") for n in (3, 4)] == ["true", "false"]
    palette.nth(5).press("Enter")
    assert page.get_by_label("Through seeds").input_value() == "0, 1, 2, 3, 5"
    palette.nth(0).press("Space")
    page.get_by_role("button", name="Walk").click()
    position = page.get_by_label("Position")
    page.wait_for_function("document.querySelector('.position').max === '63'")
    shown = page.locator(".frame").get_attribute("src")
    position.press("ArrowRight")
    assert page.locator(".frame").get_attribute("src") != shown
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("Number(document.querySelector('.position').value) > 3")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Make an animation").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save walk.gif").click()
    assert saved.value.suggested_filename == "walk.gif"

    page.locator(".group .seeds").first.focus()
    for number in (1, 2, 3):
        palette.nth(number).click()
    assert page.locator(".group .seeds").first.input_value() == "1, 2, 3"
    page.get_by_role("button", name="Add up").click()
    page.locator(".status.problem", has_text="3 or more different seeds").wait_for()
    for _ in range(2):
        page.get_by_role("button", name="Remove this group").last.click()
    page.get_by_role("button", name="Add up").click()
    page.locator(".nine img").nth(8).wait_for()
    assert page.locator(".status.problem").all_inner_texts() == []
    kept(page, f"latent-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
