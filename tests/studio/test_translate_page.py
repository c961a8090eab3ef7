"""*Translate*: what it answers against `Run.translate`, Pillow and constructed pictures; drawing, and in a browser."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from test_generate_page import kept, pixels

import ganvas
from ganvas.errors import UserError
from ganvas.inspect.subject import Subject
from ganvas.studio.pages import translate
from ganvas.studio.pages.translate import MOST, Beginning, Taking, Translating
from ganvas.studio.pictures import uri_of
from ganvas.studio.studio import Studio
from ganvas.viz.grids import to_bytes

pytest.importorskip("gradio", reason="needs gradio")


def file_of(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def upload_of(image, kind="PNG", **options):
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file_of(image, kind, **options)).decode()}"


def noise(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def translated(folder, picture, seed=0, direction="AtoB"):
    """A picture of 8 bits as the library translates it."""
    given = torch.tensor(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    return to_bytes(ganvas.load(folder, device="cpu").translate(given, seed, direction))[0]


def asking(run, picture, direction="AtoB", side=32, seed=0):
    return Translating(run=run, direction=direction, picture=uri_of(picture), side=side, seed=seed)


@pytest.fixture(scope="module")
def folders(trained):
    return {
        "pix2pix": trained("pix2pix"),
        "discogan": trained("discogan", data="openmoji-outlines:train"),
        "simgan": trained("simgan", data="openmoji-outlines:train"),
    }


@pytest.fixture(scope="module")
def studio(folders):
    return Studio.of(folders.values())


@pytest.mark.parametrize(
    "system, direction", [("pix2pix", "AtoB"), ("discogan", "AtoB"), ("discogan", "BtoA"), ("simgan", "AtoB")]
)
def test_a_picture_is_what_translate_makes_of_it(studio, folders, system, direction):
    picture = noise(32, 32)
    answer = translate.translate(studio, asking(system, picture, direction, seed=5))
    assert (pixels(answer["picture"]) == translated(folders[system], picture, 5, direction)).all()
    assert "32x32" in answer["words"]


def test_the_two_directions_differ_and_one_that_is_not_there_is_refused(studio):
    asked = [asking("discogan", noise(32, 32), way) for way in ("AtoB", "BtoA")]
    one, other = (translate.translate(studio, ask)["picture"] for ask in asked)
    assert one != other
    with pytest.raises(UserError, match="AtoB"):
        translate.translate(studio, asking("pix2pix", noise(32, 32), "BtoA"))


def test_a_seed_is_asked_for_just_where_it_makes_a_difference(studio, trained):
    sure = Studio.of([trained("pix2pix", test_dropout=False)]).opened["pix2pix"]
    assert not translate.at_random(sure)
    for name, opened in studio.opened.items():
        asked = [asking(name, noise(32, 32), seed=seed) for seed in (0, 1)]
        found = {translate.translate(studio, ask)["picture"] for ask in asked}
        assert translate.at_random(opened) == (len(found) == 2)


def test_drawings_are_made_small_as_training_makes_pictures_small():
    picture = noise(96, 128)
    ours = translate.resized(picture, 48)
    assert (ours == np.asarray(Image.fromarray(picture).resize((64, 48), Image.Resampling.LANCZOS))).all()
    assert translate.resized(picture, 96) is picture
    assert translate.resized(noise(10, 100), 200).shape == (102, 1024, 3)  # the longer side is bounded, not 2000
    assert translate.resized(noise(64, 64, 1), 32).shape == (32, 32, 1)


def test_an_upload_is_bounded_upright_and_on_white(studio):
    turned = Image.fromarray(np.zeros((40, 20, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = upload_of(turned, "JPEG", exif=exif)
    answer = translate.take(studio, Taking(run="pix2pix", direction="AtoB", picture=photo))
    assert (answer["width"], answer["height"]) == (40, 20)
    clear = upload_of(Image.new("RGBA", (2 * MOST, 30), (255, 0, 0, 0)))
    answer = translate.take(studio, Taking(run="discogan", direction="AtoB", picture=clear))
    assert (answer["width"], answer["height"]) == (MOST, 15) and (pixels(answer["picture"]) == 255).all()
    with pytest.raises(UserError, match="cannot be used"):
        translate.take(studio, Taking(run="pix2pix", direction="AtoB", picture="data:image/png;base64,aGVsbG8="))


def test_a_gray_run_is_given_gray(trained):
    studio = Studio.of([trained("pix2pix", source_channels=1)])
    red = Image.new("RGB", (32, 32), (255, 0, 0))
    answer = translate.take(studio, Taking(run="pix2pix", direction="AtoB", picture=upload_of(red)))
    assert (pixels(answer["picture"]) == 76).all()  # 0.299 of 255
    answer = translate.translate(studio, Translating(run="pix2pix", direction="AtoB", picture=upload_of(red), side=32))
    gray = np.full((32, 32, 1), 76, np.uint8)
    assert (pixels(answer["picture"]) == translated(trained("pix2pix", source_channels=1), gray)).all()


def test_large_pictures_come_out_as_large(studio):
    answer = translate.translate(studio, asking("simgan", noise(600, 1200), side=MOST))
    assert pixels(answer["picture"]).shape == (512, 1024, 3)


def test_training_pictures_of_the_side_that_is_translated(studio):
    found = {way: translate.begin(studio, Beginning(run="discogan", direction=way)) for way in ("AtoB", "BtoA")}
    colourful = {
        way: np.mean([np.ptp(pixels(uri), axis=2).max() for uri in answer["pictures"]]) for way, answer in found.items()
    }
    assert colourful["AtoB"] < 30 < colourful["BtoA"]  # outlines are black on white, emoji have colours
    assert found["AtoB"]["ground"] == "#ffffff"
    assert len(found["AtoB"]["pictures"]) == translate.EXAMPLES


def test_the_ground_is_the_commonest_colour():
    picture = torch.ones(1, 3, 4, 4)
    picture[:, :, :3] = torch.tensor([-1.0, 1.0, -1.0])[:, None, None]
    assert translate.commonest(picture) == "#00ff00"
    assert translate.commonest(-torch.ones(1, 1, 2, 2)) == "#000000"


def test_data_that_is_gone_is_said(studio, folders):
    run = ganvas.load(folders["pix2pix"])
    run.settings = replace(run.settings, source="/nowhere/at/all")
    assert "no training pictures" in translate.examples_of(Subject(run, None, 4, 0))


def test_only_runs_that_keep_the_size_are_shown(trained, folders):
    names = ("unetgan", "srgan")
    others = Studio.of([trained(name) for name in names])
    assert not translate.fits(others) and translate.fits(Studio.of([folders["pix2pix"]]))


@pytest.mark.parametrize("width", [1200, 390])
def test_in_a_browser(page, studio_at, folders, width, tmp_path):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{studio_at(*folders.values())}/translate")
    result, sheet = page.locator(".result"), page.locator(".sheet")
    calm = "() => document.querySelector('#translate [aria-busy], [aria-busy]')?.getAttribute('aria-busy') === 'false'"

    def after(act):
        """What comes of it, once it is another picture and no request is under way."""
        before = result.get_attribute("src")
        act()
        page.wait_for_function("old => document.querySelector('.result').src !== old", arg=before)
        page.wait_for_function(calm)
        page.wait_for_timeout(100)
        page.wait_for_function(calm)
        return result.get_attribute("src")

    page.locator(".tiles button").nth(11).wait_for()
    page.wait_for_function("document.querySelector('.result')?.naturalWidth === 32")
    blank = result.get_attribute("src")
    white = translated(folders["pix2pix"], np.full((32, 32, 3), 255, np.uint8))
    assert (pixels(blank) == white).all()

    def line(x0, y0, x1, y1):
        sheet.scroll_into_view_if_needed()
        box = sheet.bounding_box()
        page.mouse.move(box["x"] + x0 * box["width"], box["y"] + y0 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + x1 * box["width"], box["y"] + y1 * box["height"], steps=8)
        page.mouse.up()

    one = after(lambda: line(0.2, 0.5, 0.8, 0.5))
    page.get_by_text("Colour", exact=True).click()
    two = after(lambda: line(0.5, 0.2, 0.5, 0.8))
    ink = page.evaluate(
        """() => {
          const c = document.querySelector("#translate canvas"), d = c.getContext("2d");
          const at = ([x, y]) => [...d.getImageData(x * c.width, y * c.height, 1, 1).data].slice(0, 3);
          return [[.25, .5], [.5, .25], [.1, .1]].map(at);
        }"""
    )
    assert ink == [[0, 0, 0], [224, 64, 48], [255, 255, 255]]
    assert after(lambda: page.get_by_role("button", name="Undo").click()) == one
    assert after(lambda: page.get_by_role("button", name="Clear").click()) == blank
    assert after(lambda: page.get_by_role("button", name="Undo").click()) == one
    assert two != one
    page.get_by_label("Seed").fill("7")
    page.wait_for_function("old => document.querySelector('.result').src !== old", arg=one)

    def by_keyboard():
        sheet.focus()
        page.keyboard.press("Space")
        for _ in range(4):
            page.keyboard.press("Shift+ArrowDown")
        page.keyboard.press("Space")

    page.wait_for_function(calm)
    after(by_keyboard)
    assert "Pen up, 50 % from the left, 90 % from the top" in page.locator(".status").inner_text()
    kept(page, f"translate-{width}")

    page.get_by_label("Seed").fill("0")
    page.wait_for_function(calm)
    chosen = page.locator(".tiles img").nth(2)
    example = after(lambda: page.locator(".tiles button").nth(2).click())
    assert (pixels(example) == translated(folders["pix2pix"], pixels(chosen.get_attribute("src")))).all()

    photo = tmp_path / "photo.png"
    photo.write_bytes(file_of(Image.fromarray(noise(40, 60))))
    uploaded = after(lambda: page.get_by_label("Picture to start from").set_input_files(photo))
    assert (pixels(uploaded) == translated(folders["pix2pix"], noise(40, 60))).all()
    assert "60x40 pixels, as it came" in page.get_by_label("Size").inner_text()
    small = after(lambda: page.get_by_label("Size").select_option("own"))
    assert pixels(small).shape == (32, 48, 3)

    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.get_by_label("Picture to start from").set_input_files(broken)
    page.locator(".status.problem").wait_for()
    assert "cannot be used" in page.locator(".status").inner_text()

    page.get_by_label("Run").select_option("discogan")
    page.wait_for_function("document.querySelector('#translate .of-seed').hidden")
    page.wait_for_function(calm)
    there = result.get_attribute("src")
    page.get_by_label("Direction").select_option("BtoA")
    page.wait_for_function("old => document.querySelector('.result').src !== old", arg=there)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_picture_can_be_dropped_and_pasted(page, studio_at, folders):
    page.goto(f"{studio_at(*folders.values())}/translate")
    page.wait_for_function("document.querySelector('.result')?.naturalWidth === 32")
    for kind, size in (("drop", 44), ("paste", 50)):
        data = base64.b64encode(file_of(Image.fromarray(noise(size, size)))).decode()
        page.evaluate(
            """([kind, data]) => {
              const carried = new DataTransfer(), bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
              carried.items.add(new File([bytes], "picture.png", {type: "image/png"}));
              const event = kind === "drop"
                ? new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true})
                : new ClipboardEvent("paste", {clipboardData: carried, bubbles: true});
              document.querySelector(kind === "drop" ? ".sheet" : "body").dispatchEvent(event);
            }""",
            [kind, data],
        )
        page.wait_for_function("size => document.querySelector('.result').naturalWidth === size", arg=size)
