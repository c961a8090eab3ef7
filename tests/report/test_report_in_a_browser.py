"""The report as a browser shows it, without a network. Skipped where Chromium or Selenium is missing."""

import json
import shutil

import pytest
from report_runs import numbers, scored, write_run
from test_report_page import hostile_run

from ganvas.compare import compare
from ganvas.report import write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
waiting = pytest.importorskip("selenium.webdriver.support.wait", reason="needs selenium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1200,900"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.get("about:blank")
    yield browser
    browser.quit()


def open_page(browser, path):
    """Opens a page from disk and waits until its curves are drawn; returns what the page asked for."""
    browser.get_log("performance")
    browser.get(path.absolute().as_uri())
    drawn = "return [...document.querySelectorAll('.plot')].every(plot => plot.querySelector('svg.main-svg'))"
    waiting.WebDriverWait(browser, 30).until(lambda b: b.execute_script(drawn))
    logged = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [entry["params"]["request"]["url"] for entry in logged if entry["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if not url.startswith(("data:", "chrome:"))]


def count(browser, selector):
    return len(browser.find_elements("css selector", selector))


def test_curves_slider_and_silence(browser, tmp_path):
    stats = [numbers(step, discriminator__real=1 / step, generator__fake=float(step)) for step in (1, 2, 3, 4)]
    run = write_run(tmp_path / "run", stats=stats, metrics=[scored(2, 0.5, 0.1), scored(4, 0.25, 0.1)], grids=[0, 2, 4])
    path = write_report(run)
    assert open_page(browser, path) == [path.absolute().as_uri()]
    assert count(browser, ".plot") == 4 and count(browser, ".plot .scatterlayer .trace path.js-line") == 6
    assert count(browser, ".plot .errorbar") == 2

    shown = "return [...document.querySelectorAll('#timeline img')].filter(i => i.offsetWidth).map(i => i.dataset.step)"
    loaded = "return [...document.images].every(image => image.hidden || image.naturalWidth === 24)"
    slider = browser.find_element("id", "step")
    assert browser.execute_script(shown) == ["4"] and browser.execute_script(loaded)
    slider.send_keys(webdriver.Keys.ARROW_LEFT)
    assert browser.execute_script(shown) == ["2"] and browser.execute_script(loaded)
    assert browser.find_element("id", "shown-step").text == "2"
    assert slider.get_attribute("aria-valuetext") == "step 2"
    slider.send_keys(webdriver.Keys.HOME)
    assert browser.execute_script(shown) == ["0"]

    # Without smoothing a curve is drawn once, not as a faint and a smooth line.
    browser.find_element("id", "smoothing").send_keys(webdriver.Keys.HOME)
    assert count(browser, ".plot .scatterlayer .trace path.js-line") == 4
    assert browser.get_log("browser") == []


def test_smoothing_is_a_running_mean_that_weighs_its_start_correctly(browser, tmp_path):
    """Against the definition: weights 0.6^k of the values k before, divided by their sum; gaps stay."""
    values = [4.0, 1.0, "nan", 3.0, 2.0]
    stats = [numbers(step, generator__fake=value) for step, value in enumerate(values, 1)]
    open_page(browser, write_report(write_run(tmp_path / "run", steps=5, stats=stats)))
    smooth = browser.execute_script("return Array.from(document.querySelector('.plot').data[1].y)")
    finite = [value for value in values if value != "nan"]
    means = []
    for end in range(1, 5):
        weights = [0.6 ** (end - 1 - at) for at in range(end)]
        means.append(sum(w * v for w, v in zip(weights, finite, strict=False)) / sum(weights))
    assert smooth[2] is None
    assert [value for value in smooth if value is not None] == pytest.approx(means)


def test_no_script_of_a_run_is_executed(browser, tmp_path):
    path = write_report(hostile_run(tmp_path))
    assert open_page(browser, path) == [path.absolute().as_uri()]
    assert browser.execute_script("return window.hacked") is None
    assert count(browser, "img[onerror], svg image, svg a") == 0
    assert "<script>window.hacked" in browser.find_element("css selector", ".plot .legendtext").get_attribute(
        "textContent"
    )
    assert browser.get_log("browser") == []


def test_a_phone_scrolls_down_only(browser, tmp_path):
    run = write_run(tmp_path / "run", stats=[numbers(1, generator__fake=1.0)], metrics=[scored(1, 0.5)], grids=[0, 1])
    narrow = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    try:
        open_page(browser, write_report(run))
        assert browser.execute_script("return document.documentElement.scrollWidth") == 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_comparison_draws_a_band_a_group(browser, tmp_path):
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
    assert open_page(browser, path) == [path.absolute().as_uri()]
    assert count(browser, ".plot") == 1 and count(browser, ".plot .js-fill") == 2
    assert browser.find_element("css selector", ".legend").text.split("\n") == [
        "[1] generator_rate=0.001",
        "[2] generator_rate=0.002",
    ]
    assert browser.get_log("browser") == []
