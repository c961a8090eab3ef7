"""Exported pages in a real browser, served by `python -m http.server` alone, against the runs in PyTorch."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas import UserError
from ganvas.shipping import runtime as runtimes
from ganvas.shipping.export import export
from ganvas.shipping.network import without_noise

AGREE = 1e-3
"""In units of pictures in [-1, 1]: what is asked of the page."""


@pytest.fixture(scope="module")
def site(runtime, trained, tmp_path_factory):
    """A function from a system and options of `export` to the run and the address of its page."""
    root = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(root)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    port = re.search(r"port (\d+)", server.stdout.readline())[1]

    def made(system, preset="smoke", **options):
        name = "-".join([system, preset, *options])
        run = trained(system, preset)
        if not (root / name).is_dir():
            export(run, root / name, format="web", runtime=runtime, **options)
        return ganvas.load(run, device="cpu"), f"http://127.0.0.1:{port}/{name}/"

    yield made
    server.terminate()
    server.wait(10)


@pytest.fixture
def page(chromium):
    """Afterwards: no error of a script, nothing asked of another machine, nothing refused by the page's own policy."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # But for the browser's advice on reading canvases often, which only these tests do.
    bad = lambda said: said.type in ("error", "warning") and "readback" not in said.text  # noqa: E731
    page.on("console", lambda said: errors.append(said.text) if bad(said) else None)
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(60_000)
    yield page
    context.close()
    assert not errors
    assert not [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]


def opened(page, address):
    page.goto(address)
    page.evaluate("ganvas.ready")
    settled(page)


def settled(page):
    page.wait_for_selector("#status", state="hidden")
    assert page.locator("#problem").is_hidden()


def shot(page, name):
    if folder := os.environ.get("GANVAS_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"web-{name}.png", full_page=True)


def drawn(page, seed, **asked):
    return torch.tensor(page.evaluate("([seed, asked]) => ganvas.draw(seed, asked)", [seed, asked]))


def bytes_of(page, selector):
    """The pixels of a canvas, (H, W, 3)."""
    code = "c => [c.width, c.height, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    width, height, values = page.locator(selector).first.evaluate(code)
    return np.array(values, dtype=np.uint8).reshape(height, width, 4)[..., :3]


def as_bytes(image):
    return ((image.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def test_drawing_is_that_of_the_run(site, page):
    run, address = site("unetgan")
    opened(page, address)
    for seed in (0, 3, 255):
        assert (drawn(page, seed) - run.sample(1, seed).flatten()).abs().max() < AGREE
    for truncation in (0.0, 0.4, 1.0, 2.5):
        assert (drawn(page, 7, truncation=truncation) - run.sample(1, 7, truncation).flatten()).abs().max() < AGREE
    assert (drawn(page, 5, label=1) - run.sample(1, 5, classes=1).flatten()).abs().max() < AGREE
    assert (drawn(page, 5, label=1) - drawn(page, 5, label=2)).abs().max() > AGREE
    # What people see, up to one of 255 where the two round differently.
    seen = bytes_of(page, "#grid button:nth-child(4) canvas")
    assert np.abs(seen.astype(int) - as_bytes(run.sample(1, 3)[0])).max() <= 1


def test_a_prior_that_is_uniform(site, page):
    """Its truncation goes through the normal's distribution both ways."""
    run, address = site("gan")
    assert run.system.prior.kind == "uniform"
    opened(page, address)
    for truncation in (None, 0.5):
        asked = {} if truncation is None else {"truncation": truncation}
        assert (drawn(page, 9, **asked) - run.sample(1, 9, truncation).flatten()).abs().max() < AGREE


def test_other_seeds_are_drawn_and_said_to_be_others(site, page):
    """Their latents have the mean and the deviation of the prior, and a seed draws the same again."""
    _, address = site("unetgan")
    opened(page, address)
    assert page.locator("#note").is_hidden()
    page.fill("#seed", "250")
    page.press("#seed", "Enter")
    page.locator("#forth").focus()
    settled(page)
    assert page.locator("#note").is_visible()
    assert "ganvas draws other pictures for them" in page.text_content("#note")
    first, again, other = drawn(page, 1000), drawn(page, 1000), drawn(page, 1001)
    assert torch.equal(first, again) and (first - other).abs().max() > AGREE
    values = np.array(page.evaluate("Array.from({length: 50}, (_, i) => Array.from(normals(1000 + i, 200))).flat()"))
    assert abs(values.mean()) < 0.04 and abs(values.std() - 1) < 0.03  # 10,000 of them: four standard errors
    page.fill("#seed", "-3")
    page.locator("#forth").focus()
    assert "A seed is a whole number" in page.text_content("#problem")


def test_the_controls_with_the_keyboard(site, page):
    run, address = site("unetgan")
    opened(page, address)
    shot(page, "draw")
    before = bytes_of(page, "#grid canvas")
    page.locator("#truncated").focus()
    page.keyboard.press("Space")
    settled(page)
    page.locator("#truncation").focus()
    page.keyboard.press("Home")
    settled(page)
    assert page.text_content("#threshold") == "0.00"
    assert not np.array_equal(bytes_of(page, "#grid canvas"), before)
    page.select_option("#class", "2")
    settled(page)
    expected = as_bytes(run.sample(1, 0, 0.0, classes=2)[0])
    assert np.abs(bytes_of(page, "#grid canvas").astype(int) - expected).max() <= 1
    page.locator("#forth").press("Enter")
    settled(page)
    assert page.locator("#grid button").first.get_attribute("aria-label") == "Seed 16: show large"
    page.locator("#grid button").nth(1).press("Enter")
    assert page.text_content("#large-title") == "Seed 17"
    page.keyboard.press("ArrowRight")
    assert page.text_content("#large-title") == "Seed 18"
    shot(page, "large")
    with page.expect_download() as download:
        page.locator("#download").press("Enter")
    assert download.value.suggested_filename == "seed-18.png"
    with Image.open(download.value.path()) as picture:
        assert np.array_equal(np.asarray(picture)[..., :3], bytes_of(page, "#large-picture"))
    page.keyboard.press("Escape")
    assert not page.locator("#large").is_visible()


def test_captions_and_a_box_to_drag(site, page):
    """Kept conditions without a wish; a box from a drag and from the keys is the one that is drawn in."""
    run, address = site("gawwn")
    opened(page, address)
    assert (drawn(page, 3) - run.sample(1, 3).flatten()).abs().max() < AGREE
    box = [0.1, 0.2, 0.5, 0.4]
    assert (drawn(page, 3, box=box) - run.sample(1, 3, box=box).flatten()).abs().max() < AGREE
    assert (drawn(page, 3, box=box) - drawn(page, 3)).abs().max() > AGREE
    page.check("#boxed")
    settled(page)
    pad, middle = page.locator("#pad").bounding_box(), page.locator("#box").bounding_box()
    assert abs(middle["x"] - pad["x"] - 0.25 * pad["width"]) < 2
    page.mouse.move(middle["x"] + 20, middle["y"] + 20)
    page.mouse.down()
    page.mouse.move(middle["x"] + 20 - 500, middle["y"] + 20 + 0.1 * pad["height"], steps=4)
    page.mouse.up()
    page.locator("#box").press("Shift+ArrowRight")
    settled(page)
    shot(page, "box")
    x, y, width, height = page.evaluate("box")
    assert x == 0 and abs(y - 0.35) < 0.02 and abs(width - 0.55) < 1e-6 and height == 0.5  # it stays inside
    expected = as_bytes(run.sample(1, 0, box=[x, y, width, height])[0])
    assert np.abs(bytes_of(page, "#grid canvas").astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("system", "options"), [("pix2pix", {"noise": False}), ("srgan", {}), ("simgan", {})])
def test_translations_are_those_of_the_run(system, options, site, page):
    """Sizes that are no multiples are mirrored and cut back as `run.translate` does it."""
    run, address = site(system, **options)
    opened(page, address)
    translator = run.translator()
    if not options.get("noise", True):
        translator = replace(translator, system=without_noise(run.system))
    for height, width in ((37, 53), (1, 3), (32, 32)):
        source = torch.rand(1, run.config.source_channels, height, width) * 2 - 1
        code = "([data, h, w]) => ganvas.translate(data, h, w)"
        found = page.evaluate(code, [source.flatten().tolist(), height, width])
        expected = translator(source, [0])
        assert (found["height"], found["width"]) == tuple(expected.shape[2:])
        assert (torch.tensor(found["data"]) - expected.flatten()).abs().max() < AGREE


def test_upload_draw_and_save(site, page, tmp_path):
    """An upload at its own size, against the run on the same pixels; strokes change the result; no picture is said."""
    run, address = site("srgan")
    opened(page, address)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "source.png")
    page.set_input_files("#file", tmp_path / "source.png")
    page.wait_for_selector("text=20 x 30 pixels became 80 x 120.")
    settled(page)
    assert np.array_equal(bytes_of(page, "#given"), pixels)
    source = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    before = bytes_of(page, "#result")
    assert np.abs(before.astype(int) - as_bytes(run.translate(source)[0])).max() <= 1
    place = page.locator("#given").bounding_box()
    page.mouse.move(place["x"] + 20, place["y"] + 20)
    page.mouse.down()
    page.mouse.move(place["x"] + 120, place["y"] + 160, steps=4)
    page.mouse.up()
    settled(page)
    assert not np.array_equal(bytes_of(page, "#given"), pixels)
    assert not np.array_equal(bytes_of(page, "#result"), before)
    shot(page, "translate")
    with page.expect_download() as download:
        page.click("#save")
    with Image.open(download.value.path()) as picture:
        assert picture.size == (80, 120)
    large = Image.fromarray(np.zeros((300, 900, 3), np.uint8))
    large.save(tmp_path / "large.png")
    page.set_input_files("#file", tmp_path / "large.png")
    page.wait_for_selector("text=128 x 43 pixels became 512 x 172.")  # bounded, in proportion
    (tmp_path / "no.png").write_text("this is text")
    page.set_input_files("#file", tmp_path / "no.png")
    page.wait_for_selector("text=no.png is no picture that this browser can read")


def test_a_phone_in_the_dark(site, chromium):
    """Nothing is wider than the screen, and text stands out from its ground."""
    for system, options in (("unetgan", {}), ("srgan", {})):
        _, address = site(system, **options)
        context = chromium.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
        page = context.new_page()
        opened(page, address)
        shot(page, f"phone-{system}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        colours = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        text, ground = (sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in colours)
        assert text - ground > 150
        context.close()


def test_a_file_that_is_missing_is_said(site, chromium, tmp_path):
    _, address = site("unetgan")
    context = chromium.new_context()
    page = context.new_page()
    page.route("**/model.onnx", lambda route: route.fulfill(status=404, body=""))
    page.goto(address)
    page.wait_for_selector("text=model.onnx is not there (404)")
    context.close()


def test_what_the_folder_holds(runtime, trained, tmp_path):
    """Only the files that the page needs, and the latents of ganvas."""
    run = ganvas.load(trained("unetgan"), device="cpu")
    found = export(run, tmp_path / "out", format="web", runtime=runtime)
    assert set(found.sizes()) == {
        "README.md", "index.html", "latents.bin", "manifest.json", "model.onnx", "page.css", "page.js",
        "runtime/ort-wasm-simd-threaded.mjs", "runtime/ort-wasm-simd-threaded.wasm", "runtime/ort.wasm.min.js",
    }  # fmt: skip
    assert found.network is not None and found.network.difference < 1e-4
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["classes"], manifest["latent"], manifest["seeds"]) == (["a", "b", "c"], 8, 256)
    raw = np.fromfile(tmp_path / "out" / "latents.bin", "<f4").reshape(256, 8)
    assert np.array_equal(raw, run.system.prior.seeded(range(256)).numpy())  # the prior is a standard normal


def test_where_the_runtime_comes_from(runtime, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="is not the npm package onnxruntime-web"):
        runtimes.find_runtime(tmp_path)
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    monkeypatch.setattr(runtimes.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="neither is npm to bring it: give --runtime DIR"):
        runtimes.find_runtime()
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "onnxruntime-web").symlink_to(runtime)
    found = runtimes.find_runtime()
    assert found.version == runtimes.VERSION and all(path.is_file() for path in found.files)
    monkeypatch.setattr(runtimes.shutil, "which", lambda _: "/bin/false")
    (tmp_path / "node_modules" / "onnxruntime-web").unlink()
    with pytest.raises(UserError, match="npm cannot bring onnxruntime-web"):
        runtimes.find_runtime()
