"""The report as a file: what is in it, that it is safe, that it is small."""

import base64
import io
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from report_runs import draw, numbers, scored, write_run

from ganvas.errors import UserError
from ganvas.report import pictures, write_report
from ganvas.report.pictures import every_so_many

BAD = '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'


class Page(HTMLParser):
    """Elements with their attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.cdata_elem is None:
            self.text += " ".join(data.split()) + " "

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(run):
    return Page(write_report(run).read_text(encoding="utf-8"))


def hostile_run(path):
    """A run with a script in every text that a page could show."""
    line = scored(2, 0.5, 0.1, **{BAD: BAD}) | {"flags": [BAD]}
    line["scores"][BAD] = {"value": 1, "protocol": {BAD: {BAD: [BAD]}}}
    return write_run(
        path / "<img src=x onerror=alert(1)>",
        data={"licence": BAD, "classes": [BAD, "b"], "source": BAD, BAD: BAD},
        environment={BAD: BAD, "command": ["ganvas", BAD]},
        stats=[
            numbers(1, **{f"generator__{BAD}": 1.0, f"{BAD}__fake": 1.0, "generator__x": 2.0}),
            numbers(2, **{f"generator__{BAD}": 1.0, f"{BAD}__fake": 1.0, "generator__x": 1.0}),
            {"step": 2, "event": BAD, BAD: BAD},
        ],
        metrics=[line, line | {"step": 1}],
        evaluation=line,
        grids=[0, 2],
        inspect={"pages": [{"file": BAD, "title": BAD, "caption": BAD, "note": BAD}]},
    )


def test_text_from_files_is_text(tmp_path):
    text = write_report(hostile_run(tmp_path)).read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.all("script")) == text.count("<script") == text.count("</script") == 3
    nonce = re.search(r"script-src 'nonce-([\w-]{20,})'", text)[1]
    assert [script.get("nonce") for script in page.all("script")] == [None, None, nonce]
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert len(page.all("img")) == 3 and page.text.count(BAD) >= 15  # shown as it is written


def test_nothing_is_loaded_from_anywhere(tmp_path):
    page = page_of(hostile_run(tmp_path))
    loads = [attributes.get(name) for _, attributes in page.elements for name in ("src", "href", "srcset", "data")]
    assert {load.split(":")[0] for load in loads if load} == {"data"}
    policy = page.all("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; img-src data: blob:;") and "http" not in policy


def test_what_a_report_says(tmp_path):
    run = write_run(
        tmp_path / "run",
        seed=3,
        stats=[
            {"step": 0, "event": "grid", "diversity": 0.9},
            numbers(2, generator__fake=1.0),
            {"step": 2, "event": "non-finite", "what": "the loss generator/fake"},
            {"step": 2, "event": "collapse", "diversity": 0.1},
        ],
        metrics=[scored(1, 0.75), scored(2, 0.5, 0.125) | {"flags": ["copies the data"]}],
        evaluation={"scores": {"fd": {"value": 12.5, "lower_is_better": True, "protocol": {"n": 1000}}}, "n": 1000},
        environment={"torch": "2.99", "command": ["ganvas", "train"]},
        grids=[0, 2],
        inspect={
            "pages": [{"file": "a.png", "title": "Maps", "caption": "What it sees"}, {"file": None, "note": "no"}]
        },
    )
    draw(run / "inspect" / "a.png")
    page = page_of(run)
    for said in (
        "unetgan smoke", "step 2 of 4, not finished when this was written", "CC BY 4.0", "digits, 7 pictures", "2.99",
        "ganvas train", "non-finite", "the loss generator/fake", "collapse", "copies the data", "0.5 ± 0.12", "12.5",
        "n = 1,000", "samples.n 64", "lower is better", "Maps", "What it sees", "No picture.", "seed 3 0",
    ):  # fmt: skip
        assert said in page.text, said
    assert "0.75" not in page.text  # the newest score only
    shown = [image for image in page.all("img") if "hidden" not in image]
    assert [image["alt"] for image in shown] == ["Samples after step 2", "Real pictures of the data", "Maps"]
    slider = next(entry for entry in page.all("input") if entry["id"] == "step")
    assert (slider["min"], slider["max"], slider["value"], slider["aria-valuetext"]) == ("0", "1", "1", "step 2")
    assert {"for": "step"} in page.all("label") and page.all("html") == [{"lang": "en"}]


def test_settings_that_differ_from_the_preset_come_first(tmp_path):
    text = write_report(write_run(tmp_path / "run", batch=2, cutmix=0.25)).read_text(encoding="utf-8")
    differing, everything = text.split("<summary>All ", 1)
    assert "cutmix</th><td>0.25</td><td>0.5</td>" in differing and "batch</th><td>2</td><td>4</td>" in differing
    assert "latent" not in Page(differing).text and "latent" in everything


def test_a_preset_that_is_not_known_any_more(tmp_path):
    run = write_run(tmp_path / "run")
    settings = json.loads((run / "config.json").read_text()) | {"system": "lostgan", "preset": None}
    (run / "config.json").write_text(json.dumps(settings))
    assert "lostgan of no preset" in page_of(run).text


def test_a_run_at_step_0(tmp_path):
    page = page_of(write_run(tmp_path / "run"))
    assert "step 0 of 4" in page.text and "No samples yet." in page.text and "No numbers yet." in page.text
    assert "No scores yet" in page.text and "Nothing out of the ordinary." in page.text
    assert page.all("img") == []


def test_a_finished_run(tmp_path):
    assert "step 4 of 4, finished" in page_of(write_run(tmp_path / "run", stats=[numbers(4)])).text


def test_what_cannot_be_written_or_read(tmp_path):
    with pytest.raises(UserError, match="is not a run"):
        write_report(tmp_path)
    run = write_run(tmp_path / "run")
    (run / "report.html").mkdir()
    with pytest.raises(OSError):
        write_report(run)


def test_charts_are_strict_json_with_gaps(tmp_path):
    run = write_run(tmp_path / "r", stats=[numbers(1, generator__fake="nan"), numbers(2, generator__fake=1.0)])
    text = write_report(run).read_text(encoding="utf-8")
    packed = re.search(r'id="charts">(.*?)</script>', text)[1]
    charts = json.loads(packed, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert charts[0]["title"] == "Losses of the generator" and charts[0]["lines"][0]["y"] == [None, 1.0]


def test_grids_are_chosen_evenly_and_keep_their_place():
    """A longer run shows a part of what it showed before, so that old grids need not be read again."""
    shown = set()
    for count in range(1, 400):
        steps = [*range(0, 5 * count, 5)]
        chosen = every_so_many(steps, 40)
        assert len(chosen) <= 40 and chosen[0] == 0 and chosen[-1] == steps[-1]
        gaps = {b - a for a, b in itertools.pairwise(chosen[:-1])}
        assert len(gaps) <= 1 and (count <= 39 or len(chosen) >= 20)
        assert set(chosen[:-1]) <= shown | set(steps[-2:])
        shown |= set(chosen)
    assert every_so_many([], 40) == []


def test_many_large_pictures_stay_within_15_megabytes(tmp_path):
    run = write_run(tmp_path / "run", stats=[numbers(4)])
    draw(run / "samples" / "step-00000000.png", side=1300)  # 5 MB of noise, the worst there is
    path = write_report(run)
    (image,) = Page(path.read_text()).all("img")
    kind, data = image["src"].split(",", 1)
    assert kind == "data:image/webp;base64" and len(base64.b64decode(data)) <= pictures.GRID_BYTES
    with Image.open(io.BytesIO(base64.b64decode(data))) as small:
        small.load()
        assert min(small.size) > 200 and small.size == (int(image["width"]), int(image["height"]))
    most = 41 * pictures.GRID_BYTES + pictures.INSPECT_BYTES  # 40 grids, the real pictures, what inspect drew
    assert path.stat().st_size - len(data) + most * 4 / 3 < 15e6


def test_small_pictures_are_kept_as_they_are(tmp_path):
    run = write_run(tmp_path / "run", stats=[numbers(4)], grids=[4])
    source = page_of(run).all("img")[0]["src"]
    assert base64.b64decode(source.split(",")[1]) == (run / "samples" / "step-00000004.png").read_bytes()


def moving(path, frames, side=48):
    """A GIF of noise, which does not compress; each frame lasts 70 ms longer than the one before."""
    shape = (frames, side, side, 3)
    noise = [Image.fromarray(frame) for frame in np.random.default_rng(0).integers(0, 256, shape, np.uint8)]
    noise[0].save(path, save_all=True, append_images=noise[1:], duration=[70 * (i + 1) for i in range(frames)], loop=0)


def test_moving_pictures_keep_moving_and_fit(tmp_path):
    """A small GIF is embedded as it is, a large one as WebP, read back here: all frames, their times, the bound."""
    pages = [{"file": "a.gif", "title": "A", "files": ["a.mp4", 3]}, {"file": "b.gif", "title": "B"}, {"title": "C"}]
    run = write_run(tmp_path / "run", inspect={"pages": pages})
    moving(run / "inspect/a.gif", 3)
    moving(run / "inspect/b.gif", 12, side=600)
    assert (run / "inspect/b.gif").stat().st_size > pictures.INSPECT_BYTES
    page = page_of(run)
    small, large = (image["src"].split(",") for image in page.all("img"))
    assert small[0] == "data:image/gif;base64" and large[0] == "data:image/webp;base64"
    assert base64.b64decode(small[1]) == (run / "inspect/a.gif").read_bytes()
    data = base64.b64decode(large[1])
    left = pictures.INSPECT_BYTES - (run / "inspect/a.gif").stat().st_size
    assert left / 2 < len(data) <= left
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.n_frames == 12 and picture.size == (int(page.all("img")[1]["width"]),) * 2
        durations = []
        for i in range(12):
            picture.seek(i)
            picture.load()
            durations.append(picture.info["duration"])
    assert durations == [70 * (i + 1) for i in range(12)]
    assert "Also in the run's folder inspect : a.mp4, 3" in page.text and page.text.count("No picture.") == 1


def test_a_damaged_moving_picture_is_left_out(tmp_path):
    run = write_run(tmp_path / "run", inspect={"pages": [{"file": "a.gif", "title": "A"}]})
    moving(run / "inspect/a.gif", 3)
    path = run / "inspect/a.gif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert page_of(run).all("img") == []


def test_what_small_pictures_leave_is_shared_by_large_ones():
    assert pictures.fair_share([10, 20, 30], 100) >= 30
    assert pictures.fair_share([10, 500, 90, 600], 1000) == 450  # 10 and 90 leave 900 for two
    assert pictures.fair_share([500, 500], 100) == 50 and pictures.fair_share([], 100) == 100
    for sizes in ([1, 2, 3, 400], [50] * 7, [99, 1], [100, 200, 300]):
        most = pictures.fair_share(sizes, 100)
        assert sum(min(size, most) for size in sizes) <= 100


def test_pictures_that_are_damaged_or_of_a_dropped_future_or_elsewhere_are_left_out(tmp_path):
    pages = [{"file": "../samples/real.png", "title": "Outside"}, {"file": "lost.png", "title": "Lost"}, 3]
    run = write_run(tmp_path / "run", stats=[numbers(2)], grids=[1, 2, 3], inspect={"pages": pages})
    whole = (run / "samples" / "step-00000001.png").read_bytes()
    (run / "samples" / "step-00000001.png").write_bytes(whole[:100] + b"\0" + whole[101:])
    (run / "samples" / "step-best.png").write_bytes(b"no picture")
    page = page_of(run)
    assert [image["alt"] for image in page.all("img")] == ["Samples after step 2", "Real pictures of the data"]
    assert page.text.count("No picture.") == 2
