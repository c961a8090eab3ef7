"""*Super-resolve*: against `Run.translate`, Pillow's bicubic, PSNR by hand, scikit-image's SSIM; and in a browser."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from test_generate_page import kept, pixels
from test_translate_page import file_of, noise

import ganvas
from ganvas.errors import UserError
from ganvas.studio.pages import enlarge
from ganvas.studio.pages.enlarge import Beginning, Enlarging
from ganvas.studio.pictures import uri_of
from ganvas.studio.studio import Studio
from ganvas.viz.grids import to_bytes

pytest.importorskip("gradio", reason="needs gradio")


def smooth(height, width, channels=3):
    """A picture of slow waves, which Pillow's and our bicubic agree on but for rounding."""
    y, x = np.mgrid[:height, :width]
    waves = [127.5 + 90 * np.sin(x / (9 + c)) * np.cos(y / (7 + c)) for c in range(channels)]
    return np.stack(waves, 2).round().astype(np.uint8)


def luma(picture):
    """Y of BT.601 by its published weights, in levels of 255."""
    return 16 + (picture.astype(np.float64) @ np.array([65.481, 128.553, 24.966])) / 255


@pytest.fixture(scope="module")
def studio(trained):
    return Studio.of([trained("srgan"), trained("unetgan")])


def test_after_is_what_translate_makes_of_it(studio, trained):
    small = noise(20, 28)
    answer = enlarge.enlarge(studio, Enlarging(run="srgan", small=uri_of(small)))
    given = torch.tensor(small).permute(2, 0, 1)[None].float() / 127.5 - 1
    expected = to_bytes(ganvas.load(trained("srgan"), device="cpu").translate(given))[0]
    assert (pixels(answer["pictures"]["run"]) == expected).all() and expected.shape == (80, 112, 3)
    assert (pixels(answer["small"]) == small).all()
    assert (pixels(answer["pictures"]["nearest"])[::4, ::4] == small).all()
    assert answer["scores"] == [] and "original" not in answer["pictures"]


def test_before_is_bicubic_as_pillow_has_it(studio):
    small = smooth(24, 30)
    answer = enlarge.enlarge(studio, Enlarging(run="srgan", small=uri_of(small)))
    theirs = np.asarray(Image.fromarray(small).resize((120, 96), Image.Resampling.BICUBIC)).astype(int)
    inside = np.s_[12:-12, 12:-12]  # they treat borders in other ways
    assert np.abs(pixels(answer["pictures"]["bicubic"]).astype(int)[inside] - theirs[inside]).max() <= 1


def test_an_original_is_made_small_with_antialiasing_and_compared(studio):
    similarity = pytest.importorskip("skimage.metrics", reason="needs scikit-image").structural_similarity
    original = smooth(98, 123)
    answer = enlarge.enlarge(studio, Enlarging(run="srgan", original=uri_of(original)))
    original = original[:96, :120]  # multiples of 4
    assert (pixels(answer["pictures"]["original"]) == original).all()
    theirs = np.asarray(Image.fromarray(original).resize((30, 24), Image.Resampling.BICUBIC)).astype(int)
    inside = np.s_[3:-3, 3:-3]
    assert np.abs(pixels(answer["small"]).astype(int)[inside] - theirs[inside]).max() <= 1
    assert [score["name"] for score in answer["scores"]] == ["bicubic", "run"]
    cut = np.s_[4:-4, 4:-4]
    for score in answer["scores"]:
        ours, truth = luma(pixels(answer["pictures"][score["name"]]))[cut], luma(original)[cut]
        assert score["psnr"] == pytest.approx(
            20 * np.log10(255) - 10 * np.log10(((ours - truth) ** 2).mean()), abs=1e-6
        )
        options = {
            "data_range": 255,
            "gaussian_weights": True,
            "sigma": 1.5,
            "use_sample_covariance": False,
            "full": True,
        }
        known = similarity(ours, truth, **options)[1][5:-5, 5:-5].mean()
        assert score["ssim"] == pytest.approx(known, abs=1e-6)
    assert "4 pixels at each edge" in answer["protocol"] and "Y" in answer["protocol"]


def test_of_large_pictures_the_same_middle_is_taken_of_both(studio):
    small = noise(300, 281)
    original = small.repeat(4, 0).repeat(4, 1)
    answer = enlarge.enlarge(studio, Enlarging(run="srgan", small=uri_of(small), original=uri_of(original)))
    assert (pixels(answer["small"]) == small[22:278, 12:268]).all() and "middle" in answer["words"]
    assert (pixels(answer["pictures"]["original"]) == original[88:1112, 48:1072]).all()


@pytest.mark.parametrize(
    "small, original, words",
    [
        (None, None, "no picture arrived"),
        (noise(20, 20), noise(80, 84), "is not 4 times"),
        (noise(20, 20), noise(3, 80), "4 pixels a side"),
        (None, noise(80, 2), "4 pixels a side"),
    ],
)
def test_what_does_not_go_together_is_refused(studio, small, original, words):
    given = {name: None if of is None else uri_of(of) for name, of in (("small", small), ("original", original))}
    with pytest.raises(UserError, match=words):
        enlarge.enlarge(studio, Enlarging(run="srgan", **given))


def test_pictures_too_small_to_compare_are_enlarged_all_the_same(studio):
    answer = enlarge.enlarge(studio, Enlarging(run="srgan", original=uri_of(noise(8, 8))))
    assert all(score["psnr"] is None and score["ssim"] is None for score in answer["scores"])
    answer = enlarge.enlarge(studio, Enlarging(run="srgan", original=uri_of(noise(16, 16))))
    assert all(score["psnr"] is not None and score["ssim"] is None for score in answer["scores"])


def test_gray_runs_get_gray_and_are_compared_in_gray(trained):
    studio = Studio.of([trained("srgan", channels=1, source_channels=1)])
    answer = enlarge.enlarge(studio, Enlarging(run="srgan", original=uri_of(smooth(64, 64))))
    original, ours = (pixels(answer["pictures"][name]).astype(float)[4:-4, 4:-4] for name in ("original", "bicubic"))
    assert original.shape == (56, 56)
    assert answer["scores"][0]["psnr"] == pytest.approx(
        -10 * np.log10((((ours - original) / 255) ** 2).mean()), abs=1e-6
    )
    assert "gray" in answer["protocol"]


def test_what_comes_out_is_bounded_whatever_the_scale():
    assert [enlarge.most_of(scale) for scale in (2, 3, 4, 8)] == [256, 256, 256, 128]


def test_training_pictures_are_offered_at_their_high_resolution(studio):
    answer = enlarge.originals(studio, Beginning(run="srgan"))
    assert pixels(answer["pictures"][0]).shape == (32, 32, 3) and answer["note"] == ""
    assert [opened.name for opened in studio.fitting(enlarge.enlarges)] == ["srgan"]


@pytest.mark.parametrize("width", [1200, 390])
def test_in_a_browser(page, studio_at, trained, width, tmp_path):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{studio_at(trained('srgan'))}/enlarge")
    page.locator("#enlarge .tiles button").nth(3).click()
    rows = page.locator(".scores tbody tr")
    rows.nth(1).wait_for()
    assert page.get_by_label("On the left").input_value() == "bicubic"
    files = {"small": tmp_path / "small.png", "large": tmp_path / "large.png"}
    for path, side in zip(files.values(), (40, 160), strict=True):
        path.write_bytes(file_of(Image.fromarray(smooth(side, side))))
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".found").is_hidden()
    page.get_by_role("button", name="Enlarge").click()
    page.locator(".status.problem").wait_for()
    page.get_by_label("Small picture").set_input_files(files["small"])
    page.wait_for_function("document.querySelector('.pair .right').naturalWidth === 160")
    assert rows.count() == 0
    page.get_by_label("Its original").set_input_files(files["large"])
    rows.nth(1).wait_for()
    given = page.locator(".scores").inner_text()
    page.get_by_label("Make the small one").check()
    page.wait_for_function("old => document.querySelector('.scores').innerText !== old", arg=given)
    page.get_by_label("On the left").select_option("original")

    edge = page.get_by_label("Edge between them")
    edge.focus()
    for _ in range(25):
        page.keyboard.press("ArrowLeft")
    assert edge.input_value() == "25" and "original" in edge.get_attribute("aria-valuetext")
    page.get_by_label("Shown").select_option("1")

    def seen():
        shot = page.locator(".pair").screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)

    # Left of the edge it is near one picture and far from the other, and right of it the other way round.
    shot = seen()
    left, right = (pixels(page.locator(f".pair .{of}").get_attribute("src")).astype(int) for of in ("left", "right"))
    for part, near, far in ((np.s_[5:155, 5:35], left, right), (np.s_[5:155, 45:155], right, left)):
        assert 4 * np.abs(shot[part] - near[part]).mean() < np.abs(shot[part] - far[part]).mean()
    # Both lie on each other: of the same picture twice the edge alone is seen.
    page.get_by_label("On the right").select_option("original")
    shot = seen()
    edge.fill("75")
    assert (shot[:, 45:115] == seen()[:, 45:115]).all()
    page.get_by_label("On the right").select_option("run")
    box = page.locator(".pair").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 30)
    page.mouse.up()
    assert edge.input_value() == "60"
    page.get_by_label("Shown").select_option("fit")
    kept(page, f"enlarge-{width}")
    assert page.locator(".save a").first.get_attribute("download") == "enlarged.png"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
