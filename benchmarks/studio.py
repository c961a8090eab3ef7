"""How soon the studio answers: `python benchmarks/studio.py`. Goals: 16 pictures of 64 px in 300 ms, 5 pictures a
second while a box or a slider is dragged, and as much memory after a thousand drawings as after fifty.

The studio runs in a process of its own and a headless Chromium asks it, as a person would: a grid's time is from the
click until all of its pictures are decoded, and pictures a second are those that were shown while the mouse went round
with the box, or keys moved the slider. `server` is the time of the same request without the browser. Runs are made
first, one step long: speed does not depend on what the weights are.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ganvas
from ganvas.engine.folder import environment

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

GOALS = {"grid_ms": 300, "pictures_per_second": 5}

SECONDS = 5.0
"""That a box or a slider is dragged."""


class Studio:
    """A studio in a process of its own."""

    def __init__(self, runs: list[Path]) -> None:
        words = [sys.executable, "-m", "ganvas", "studio", *map(str, runs), "--port", "0"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = next((re.search(r"http://\S+?:\d+", line) for line in self.process.stdout if "http" in line), None)
        if found is None:
            raise SystemExit("the studio did not start")
        self.address = found[0]
        with urllib.request.urlopen(f"{self.address}/config") as answer:
            parts = json.load(answer)["components"]
        self.parts = {part["props"].get("elem_id"): part["id"] for part in parts}

    def ask(self, page: str, action: str, **asked: Any) -> dict[str, Any]:
        """What the script of a page asks, and the answer."""
        body = {"component_id": self.parts[page], "fn_name": action, "session_hash": "bench", "data": asked}
        request = urllib.request.Request(
            f"{self.address}/gradio_api/component_server/", json.dumps(body).encode(),
            {"content-type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        if "error" in found:
            raise SystemExit(f"{page} {action}: {found['error']}")
        return found

    def resident(self) -> float:
        """Memory that it holds, MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", text)[0]) / 1024


def summary(milliseconds: list[float]) -> dict[str, float]:
    """Of times that were measured."""
    return {"median_ms": round(statistics.median(milliseconds), 1), "largest_ms": round(max(milliseconds), 1)}


def timed(work: Callable[[int], object], times: int, warm: int = 3) -> dict[str, float]:
    """Milliseconds of a call, given how often it was called before."""
    found = []
    for number in range(warm + times):
        start = time.perf_counter()
        work(number)
        found.append(1000 * (time.perf_counter() - start))
    return summary(found[warm:])


def grid(studio: Studio, page: Any, name: str, times: int) -> dict[str, Any]:
    """Sixteen new pictures, each time of other seeds."""
    server = timed(lambda n: studio.ask("generate", "draw", run=name, seed=16 * n, n=16), times)
    page.goto(f"{studio.address}/generate")
    page.wait_for_function("document.querySelectorAll('.tiles button').length === 16")
    click = """async () => {
        const first = document.querySelector('.tiles button').title, start = performance.now();
        document.querySelector('.more').click();
        while (document.querySelector('.tiles button').title === first) await new Promise(requestAnimationFrame);
        await Promise.all([...document.querySelectorAll('.tiles img')].map(image => image.decode()));
        return performance.now() - start;
    }"""
    found = [page.evaluate(click) for _ in range(3 + times)][3:]
    return {"server": server, "page": summary(found)}


COUNT = """selector => {
    window.shown = 0;
    new MutationObserver(all => { window.shown += all.filter(one => one.attributeName === 'src').length; })
        .observe(document.querySelector(selector), {attributes: true});
}"""


def dragged_box(studio: Studio, page: Any, name: str, times: int) -> dict[str, Any]:
    """Pictures a second while the mouse moves a box in circles."""
    moved = lambda n: [0.1 + 0.4 * (n % 7) / 7, 0.2, 0.5, 0.4]  # noqa: E731
    server = timed(lambda n: studio.ask("place", "draw", run=name, seed=0, n=1, box=moved(n)), times)
    page.goto(f"{studio.address}/place")
    page.locator("#place .picture[src]").wait_for()
    page.get_by_role("combobox", name="Pictures").select_option("1")
    page.wait_for_timeout(1000)
    box, board = (page.locator(f"#place {part}").bounding_box() for part in (".box", ".board"))
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(COUNT, "#place .picture")
    page.mouse.move(x, y)
    page.mouse.down()
    start = time.perf_counter()
    while (spent := time.perf_counter() - start) < SECONDS:
        radius = board["width"] / 8
        page.mouse.move(x + radius * math.sin(5 * spent), y + radius * math.cos(5 * spent) - radius)
        time.sleep(1 / 60)
    shown = page.evaluate("window.shown")
    page.mouse.up()
    return {"server": server, "pictures_per_second": round(shown / spent, 1)}


def moved_slider(studio: Studio, page: Any, name: str, times: int) -> dict[str, Any]:
    """Grids of sixteen a second while keys move the slider of the truncation."""
    page.goto(f"{studio.address}/generate")
    page.wait_for_function("document.querySelectorAll('.tiles button').length === 16")
    page.evaluate("""() => {
        window.shown = 0;
        new MutationObserver(all => { window.shown += all.length; })
            .observe(document.querySelector('.tiles img'), {attributeFilter: ['src']});
    }""")
    slider = page.get_by_role("slider", name="Truncation")
    slider.focus()
    start = time.perf_counter()
    number = 0
    while (spent := time.perf_counter() - start) < SECONDS:
        page.keyboard.press("ArrowLeft" if number // 20 % 2 == 0 else "ArrowRight")
        number += 1
        time.sleep(1 / 30)
    return {"grids_per_second": round(page.evaluate("window.shown") / spent, 1)}


def memory(studio: Studio, name: str, drawings: int) -> dict[str, Any]:
    """What the process holds after some drawings, and after many."""
    found = {}
    for number in range(drawings):
        studio.ask("generate", "draw", run=name, seed=number, n=16)
        if number + 1 in (50, drawings // 2, drawings):
            found[str(number + 1)] = round(studio.resident(), 1)
    return {"resident_mib_after_drawings": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="demo", help="of the runs that are made")
    parser.add_argument("--times", type=int, default=20, help="requests of each kind that are timed")
    parser.add_argument("--drawings", type=int, default=1000, help="after which memory is looked at")
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ["GANVAS_CACHE"] = str(place / "cache")
        settings: dict[str, Any] = {
            "preset": args.preset,
            "steps": 1,
            "device": "cpu",
            "grid_every": 0,
            "score_every": 0,
        }
        if args.preset == "demo":
            settings["size"] = 64
        ganvas.train("unetgan", data="openmoji", out=place / "faces", **settings)
        ganvas.train("gawwn", data="openmoji-layout", out=place / "placed", **settings)
        studio = Studio([place / "faces", place / "placed"])
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                page = browser.new_page(viewport={"width": 1200, "height": 900})
                rows["grid of 16"] = grid(studio, page, "faces", args.times)
                rows["box dragged"] = dragged_box(studio, page, "placed", args.times)
                rows["slider moved"] = moved_slider(studio, page, "faces", args.times)
                browser.close()
            rows["memory"] = memory(studio, "faces", args.drawings)
        finally:
            studio.process.terminate()
    for name, row in rows.items():
        print(f"{name:14} {json.dumps(row)}")
    if args.out:
        about = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
        args.out.write_text(json.dumps(about | {"goals": GOALS, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
