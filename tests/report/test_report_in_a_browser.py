"""The report as a browser shows it, without a network."""

import pytest
from report_runs import numbers, scored, write_run
from test_report_page import hostile_run

from ganvas.compare import compare
from ganvas.report import write_report


@pytest.fixture
def page(chromium):
    """A page; `page.said` is what its scripts complained of, `page.asked` what was asked for."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    context.close()


def open_page(page, path):
    """Opens a page from disk and waits until its curves are drawn; returns what the page asked for."""
    page.goto(path.absolute().as_uri())
    page.wait_for_function("[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('svg.main-svg'))")
    return [url for url in page.asked if not url.startswith(("data:", "chrome:"))]


def count(page, selector):
    return page.locator(selector).count()


def test_curves_slider_and_silence(page, tmp_path):
    stats = [numbers(step, discriminator__real=1 / step, generator__fake=float(step)) for step in (1, 2, 3, 4)]
    run = write_run(tmp_path / "run", stats=stats, metrics=[scored(2, 0.5, 0.1), scored(4, 0.25, 0.1)], grids=[0, 2, 4])
    path = write_report(run)
    assert open_page(page, path) == [path.absolute().as_uri()]
    assert count(page, ".plot") == 4 and count(page, ".plot .scatterlayer .trace path.js-line") == 6
    assert count(page, ".plot .errorbar") == 2

    shown = "[...document.querySelectorAll('#timeline img')].filter(i => i.offsetWidth).map(i => i.dataset.step)"
    loaded = "[...document.images].every(image => image.hidden || image.naturalWidth === 24)"
    slider = page.locator("#step")
    assert page.evaluate(shown) == ["4"] and page.evaluate(loaded)
    slider.press("ArrowLeft")
    assert page.evaluate(shown) == ["2"] and page.evaluate(loaded)
    assert page.locator("#shown-step").inner_text() == "2"
    assert slider.get_attribute("aria-valuetext") == "step 2"
    slider.press("Home")
    assert page.evaluate(shown) == ["0"]

    # Without smoothing a curve is drawn once, not as a faint and a smooth line.
    page.locator("#smoothing").press("Home")
    assert count(page, ".plot .scatterlayer .trace path.js-line") == 4
    assert page.said == []


def test_smoothing_is_a_running_mean_that_weighs_its_start_correctly(page, tmp_path):
    """Against the definition: weights 0.6^k of the values k before, divided by their sum; gaps stay."""
    values = [4.0, 1.0, "nan", 3.0, 2.0]
    stats = [numbers(step, generator__fake=value) for step, value in enumerate(values, 1)]
    open_page(page, write_report(write_run(tmp_path / "run", steps=5, stats=stats)))
    smooth = page.evaluate("Array.from(document.querySelector('.plot').data[1].y)")
    finite = [value for value in values if value != "nan"]
    means = []
    for end in range(1, 5):
        weights = [0.6 ** (end - 1 - at) for at in range(end)]
        means.append(sum(w * v for w, v in zip(weights, finite, strict=False)) / sum(weights))
    assert smooth[2] is None
    assert [value for value in smooth if value is not None] == pytest.approx(means)


def test_no_script_of_a_run_is_executed(page, tmp_path):
    path = write_report(hostile_run(tmp_path))
    assert open_page(page, path) == [path.absolute().as_uri()]
    assert page.evaluate("window.hacked") is None
    assert count(page, "img[onerror], svg image, svg a") == 0
    assert "<script>window.hacked" in page.locator(".plot .legendtext").first.text_content()
    assert page.said == []


def test_a_phone_scrolls_down_only(page, tmp_path):
    run = write_run(tmp_path / "run", stats=[numbers(1, generator__fake=1.0)], metrics=[scored(1, 0.5)], grids=[0, 1])
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, write_report(run))
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_comparison_draws_a_band_a_group(page, tmp_path):
    runs = [
        write_run(
            tmp_path / f"{rate}-{seed}",
            seed=seed,
            generator_rate=rate,
            stats=[numbers(step, generator__fake=rate * step + seed) for step in (1, 2, 3)],
        )
        for rate in (1e-3, 2e-3)
        for seed in (0, 1, 2)
    ]
    path = tmp_path / "curves.html"
    compare(runs).write_curves(path)
    assert open_page(page, path) == [path.absolute().as_uri()]
    assert count(page, ".plot") == 1 and count(page, ".plot .js-fill") == 2
    assert page.locator(".legend").first.inner_text().split("\n") == [
        "[1] generator_rate=0.001",
        "[2] generator_rate=0.002",
    ]
    assert page.said == []
