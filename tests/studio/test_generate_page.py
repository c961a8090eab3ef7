"""*Generate*: its pictures against `Run.sample`, its words against the discriminator asked by hand; in a browser."""

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas.errors import UserError
from ganvas.studio.pages import generate
from ganvas.studio.pages.generate import Drawing, Looking
from ganvas.studio.studio import Studio
from ganvas.viz.grids import to_bytes

pytest.importorskip("gradio", reason="needs gradio")


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def kept(page, name):
    """Keeps a picture of the whole page for a person to look at, where one asked for it."""
    if folder := os.environ.get("GANVAS_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def studio(trained):
    return Studio.of([trained("unetgan"), trained("cgan")])


def test_pictures_are_those_of_sample(studio, trained):
    answer = generate.draw(studio, Drawing(run="unetgan", seed=5, n=4, truncation=0.5))
    expected = to_bytes(ganvas.load(trained("unetgan")).sample(4, 5, 0.5))
    assert all((pixels(uri) == picture).all() for uri, picture in zip(answer["pictures"], expected, strict=True))
    assert answer["seeds"] == [5, 6, 7, 8] and answer["labels"] == [None] * 4


def test_classes_in_turn_and_one_alone(studio, trained):
    run = ganvas.load(trained("cgan"))
    in_turn = generate.draw(studio, Drawing(run="cgan", seed=3, n=3))
    assert in_turn["labels"] == [seed % len(run.classes) for seed in (3, 4, 5)]
    one = generate.draw(studio, Drawing(run="cgan", seed=3, n=1, label=in_turn["labels"][0]))
    assert one["pictures"][0] == in_turn["pictures"][0]
    with pytest.raises(UserError, match="no class"):
        generate.draw(studio, Drawing(run="cgan", seed=0, n=1, label=len(run.classes)))


def test_the_discriminators_word(studio, trained):
    found = generate.look(studio, Looking(run="unetgan", seed=2))
    run = ganvas.load(trained("unetgan"))
    with torch.no_grad():
        verdict = run.system.discriminator(run.sample(1, 2))
    encoder, decoder = verdict.heads.values()
    assert f"{torch.sigmoid(encoder.float()).item():.2f}" in found["note"]
    assert f"{(decoder > 0).float().mean().item():.0%}" in found["note"]
    assert pixels(found["map"]).shape[:2] == tuple(decoder.shape[-2:])


def test_neighbours_are_the_nearest_training_pictures(studio, trained):
    found = generate.neighbours(studio, Looking(run="unetgan", seed=2))
    run = ganvas.load(trained("unetgan"))
    train, total = generate.training_pictures(run)
    sample = to_bytes(run.sample(1, 2))[0].astype(float)
    ways = np.stack([sample, sample[:, ::-1]]) if run.settings.chosen.data.flip else sample[None]
    distances = np.stack([((train.numpy().astype(float) - way) ** 2).mean((1, 2, 3)) for way in ways]).min(0)
    order = np.argsort(distances)[: generate.NEIGHBOURS]
    shown = [pixels(uri) for uri in found["pictures"]]
    for got, place in zip(shown, order, strict=True):
        assert np.isclose(((train[place].numpy().astype(float) - got) ** 2).mean(), 0) or np.isclose(
            distances[place], min(((got.astype(float) - way) ** 2).mean() for way in ways)
        )
    assert found["names"][0] == f"{distances[order[0]] ** 0.5:.0f} levels away" and f"{total:,}" in found["note"]


def test_no_checkpoint_yet_is_said(trained, tmp_path):
    run = tmp_path / "young"
    run.mkdir()
    (run / "config.json").write_bytes((trained("unetgan") / "config.json").read_bytes())
    studio = Studio.of([run])
    assert generate.fits(studio)
    with pytest.raises(UserError, match="checkpoint"):
        generate.draw(studio, Drawing(run="young", seed=0, n=1))


@pytest.mark.parametrize("width", [1200, 390])
def test_in_a_browser(page, studio_at, trained, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{studio_at(trained('unetgan'), trained('cgan'))}/generate")
    pictures = page.locator(".tiles").first.locator("button")
    page.wait_for_function("document.querySelectorAll('.tiles button').length === 16")
    first = pictures.nth(1).locator("img").get_attribute("src")
    page.get_by_role("button", name="Next seeds").click()
    page.wait_for_function("document.querySelector('.tiles button').title === 'seed 16'")
    page.get_by_label("First seed").fill("1")
    page.get_by_label("First seed").press("Enter")
    page.wait_for_function("document.querySelector('.tiles button').title === 'seed 1'")
    assert pictures.first.locator("img").get_attribute("src") == first
    pictures.nth(2).focus()
    page.keyboard.press("Enter")
    page.locator(".nearest figure").nth(4).wait_for()
    assert page.locator(".chosen h2").inner_text() == "seed 3" and page.locator(".chosen .row img").count() == 2
    assert pictures.nth(2).get_attribute("aria-pressed") == "true"
    kept(page, f"generate-{width}")
    page.get_by_label("Truncation").fill("0.3")
    page.wait_for_function("document.querySelector('.controls .value').textContent === '0.3'")
    page.get_by_role("combobox", name="Run").select_option("cgan")
    page.wait_for_function("document.querySelectorAll('select[name=label] option').length > 3")
    page.get_by_label("Class").select_option(index=2)
    classes = "new Set([...document.querySelectorAll('.tiles button')].map(button => button.title.split(', ')[1]))"
    page.wait_for_function(f"{classes}.size === 1")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
