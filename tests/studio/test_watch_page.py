"""*Watch*: what it says of runs, against their files; stopping and resuming, with processes; and a browser."""

import base64
import io
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganvas
from ganvas.engine.lock import NAME, TrainingLock, holder
from ganvas.errors import UserError
from ganvas.report import charts
from ganvas.report.read import read_run
from ganvas.studio.progress import POINTS, Progress, Thinned, glance_at
from ganvas.studio.studio import Studio
from ganvas.studio.trainings import LOG, Trainings

watch = pytest.importorskip("ganvas.studio.pages.watch", reason="needs gradio")


def copied(run, folder):
    """A copy of a run, to be changed."""
    return Path(shutil.copytree(run, folder))


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def line_of(run):
    (found,) = watch.overview(Studio.of([run]), Trainings(), frozenset(), watch.Overview())["runs"]
    return found


def wait_for(answer, seconds=90):
    """Waits until a function answers with something true."""
    end = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)
    return found


# What is read of logs


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100, 1001])
def test_a_thinned_log_has_the_means_of_its_lines(count):
    """Against NumPy's means of slices; of the pace, the pace over all of the slice's pictures (a harmonic mean)."""
    random = np.random.default_rng(count)
    losses, paces = random.normal(size=count), random.uniform(1, 100, count)
    thinned = Thinned(most=8)
    for step, (loss, pace) in enumerate(zip(losses, paces, strict=True), 1):
        thinned.add({"step": step, "images_per_second": pace, "generator/adversarial": loss})
    entries, size = thinned.entries(), thinned.size
    assert len(entries) <= 8 and len(entries) == -(-count // size) and (count <= 8 or len(entries) > 4)
    for place, entry in enumerate(entries):
        part = slice(place * size, (place + 1) * size)
        assert entry["step"] == min(count, (place + 1) * size)
        assert entry["generator/adversarial"] == pytest.approx(losses[part].mean(), rel=1e-5)
        assert entry["images_per_second"] == pytest.approx(1 / np.mean(1 / paces[part]), rel=1e-5)


def test_what_is_not_finite_leaves_a_gap_and_does_not_spoil_the_mean():
    thinned = Thinned(most=2)
    for step, loss in enumerate(["nan", "inf", "nan", 4.0], 1):
        thinned.add({"step": step, "g/a": loss})
    assert thinned.entries() == [{"step": 2, "g/a": None}, {"step": 4, "g/a": 4.0}]


def test_a_log_read_bit_by_bit_is_the_log_read_at_once(trained, tmp_path):
    """Against `read_run` after every line that is added, torn ones included; and after the run goes back."""
    run = copied(trained("unetgan"), tmp_path / "run")
    lines = (run / "stats.jsonl").read_text().splitlines(keepends=True)
    (run / "stats.jsonl").write_text("")
    progress = Progress(run)
    versions = []
    for text in lines:
        for part in (text[:9], text[9:]):
            with (run / "stats.jsonl").open("a") as file:
                file.write(part)
            assert progress.read() == 1
            versions.append(progress.version())
        record, whole = progress.record(), read_run(run)
        assert [entry["step"] for entry in record.numbers] == [entry["step"] for entry in whole.numbers]
        for ours, theirs in zip(record.numbers, whole.numbers, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5)
        assert (record.events, record.measurements) == (whole.events, whole.measurements)
        assert record.seconds == pytest.approx(whole.seconds, rel=1e-5)
    assert len(set(versions)) == len(versions)  # each time there was something new to see
    kept = [text for text in lines if json.loads(text)["step"] == 0]
    (run / "new").write_text("".join(kept))
    (run / "new").replace(run / "stats.jsonl")  # as a run that goes back writes it
    progress.read()
    assert progress.record().numbers == [] and progress.record().events == read_run(run).events


def test_a_long_log_is_read_in_portions_and_its_end_at_once(trained, tmp_path, monkeypatch):
    """A hundred thousand lines: a look at the end costs what a short log costs; a page is never kept waiting long."""
    run = copied(trained("unetgan"), tmp_path / "run")
    with (run / "stats.jsonl").open("w") as file:
        for step in range(1, 100_001):
            file.write(json.dumps({"step": step, "images_per_second": 50.0, "generator/encoder": step / 7}) + "\n")
    start = time.perf_counter()
    glance = glance_at(run / "stats.jsonl")
    assert time.perf_counter() - start < 2 and (glance.step, glance.pace) == (100_000, 50.0)
    monkeypatch.setattr("ganvas.studio.progress.PORTION", 2**20)
    progress = Progress(run)
    shares = []
    while not shares or shares[-1] < 1:
        start = time.perf_counter()
        shares.append(progress.read())
        assert time.perf_counter() - start < 10
    assert shares == sorted(shares) and len(shares) == -(-(run / "stats.jsonl").stat().st_size // 2**20)
    (curve,) = [chart for chart in charts.run_charts(progress.record()) if chart.title == "Losses of the generator"]
    (line,) = curve.lines
    assert POINTS // 2 < len(line.x) <= POINTS and line.x[-1] == 100_000
    size = progress.thinned
    assert line.y[0] == pytest.approx(np.mean(np.arange(1, size + 1) / 7), rel=1e-5)


def test_of_a_very_long_log_every_kth_line_counts_and_every_event(trained, tmp_path, monkeypatch):
    """Against the mean of those lines; the rest of the log is not even parsed."""
    run = copied(trained("unetgan"), tmp_path / "run")
    lines = [json.dumps({"step": step, "g/a": float(step)}) + "\n" for step in range(1, 5001)]
    lines[2500:2500] = [json.dumps({"step": 2500, "event": "collapse", "diversity": 0.1}) + "\n"]
    (run / "stats.jsonl").write_text("".join(lines))
    size = (run / "stats.jsonl").stat().st_size
    monkeypatch.setattr("ganvas.studio.progress.WHOLE", size // 3)
    monkeypatch.setattr("ganvas.studio.progress.PORTION", 10_000)
    progress = Progress(run)
    while progress.read() < 1:
        pass
    record, counted = progress.record(), [json.loads(text) for text in lines[::4] if "event" not in text]
    assert [event["event"] for event in record.events] == ["collapse"]
    values = [entry["g/a"] for entry in counted]
    found = [entry["g/a"] for entry in record.numbers]
    assert progress.thinned == 8 and found == pytest.approx([np.mean(values[at : at + 2]) for at in range(0, 1250, 2)])


# How runs are


def test_the_table_says_how_far_a_run_is(trained, tmp_path):
    run = copied(trained("unetgan"), tmp_path / "run")
    whole = read_run(run)
    found = line_of(run)
    assert (found["name"], found["system"], found["preset"], found["data"]) == ("run", "unetgan", "smoke", "openmoji")
    assert (found["step"], found["steps"], found["state"]) == (whole.step, whole.steps, "finished")
    assert (found["pace"], found["left"], found["trained"]) == (None, None, False)
    config = json.loads((run / "config.json").read_text())
    config["training"]["steps"] += 30
    (run / "config.json").write_text(json.dumps(config))
    with TrainingLock(run) as lock:
        assert lock.take()
        found = line_of(run)
    pace = whole.numbers[-1]["images_per_second"]
    assert found["state"] == "running" and found["trained"] and found["pace"] == pace
    assert found["left"] == pytest.approx(30 * config["training"]["batch"] / pace)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "stopped"),
        ([("stopped", {})], "stopped"),
        ([("out of patience", {"best": 1})], "out of patience"),
        ([("non-finite", {"gave_up": False})], "stopped"),
        ([("non-finite", {"gave_up": True})], "diverged"),
        ([("non-finite", {"gave_up": True}), ("resumed", {})], "stopped"),
        ([("grid", {"diversity": 0.1}), ("grid", {"diversity": 0.2})], "collapsed"),
        ([("grid", {"diversity": 0.1}), ("grid", {"diversity": 0.9})], "stopped"),
    ],
)
def test_why_a_run_is_at_rest(trained, tmp_path, events, state):
    run = copied(trained("unetgan"), tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["training"]["steps"] += 30
    (run / "config.json").write_text(json.dumps(config))
    (run / NAME).write_text(f"{os.getpid()} {platform.node()}\n")  # a number alone says nothing
    with (run / "stats.jsonl").open("a") as file:
        for event, details in events:
            file.write(json.dumps({"step": 4, "event": event, **details}) + "\n")
    found = line_of(run)
    assert (found["state"], found["collapsed"]) == (("stopped", True) if state == "collapsed" else (state, False))


def test_networks_without_their_training_are_not_said_to_have_stopped(trained, tmp_path):
    from ganvas.engine.checkpoint import MODEL

    run = copied(trained("unetgan"), tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    (run / "stats.jsonl").unlink()
    (run / MODEL).write_bytes(b"")
    assert (line_of(run)["state"], line_of(run)["shipped"]) == ("shipped", True)


def test_a_run_whose_folder_is_damaged_does_not_hide_the_others(trained, tmp_path):
    runs = [copied(trained("unetgan"), tmp_path / name) for name in ("bad", "gone", "good")]
    studio = Studio.of(runs)
    (runs[0] / "config.json").write_text('{"system": "unetgan"}')
    shutil.rmtree(runs[1])
    found = watch.overview(studio, Trainings(), frozenset(), watch.Overview())["runs"]
    assert [run["state"] for run in found] == ["finished", "its folder cannot be read", "finished"]


def test_runs_that_appear_are_shown_under_names_of_their_own(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    studio = Studio.of([])
    assert watch.overview(studio, Trainings(), frozenset(), watch.Overview()) == {"runs": []}
    copied(trained("unetgan"), tmp_path / "runs" / "one")
    first = frozenset({"one"})
    assert [run["new"] for run in watch.overview(studio, Trainings(), first, watch.Overview())["runs"]] == [False]
    copied(trained("unetgan"), tmp_path / "runs" / "study" / "one")
    found = watch.overview(studio, Trainings(), first, watch.Overview())["runs"]
    assert [(run["name"], run["new"]) for run in found] == [("one", False), ("study/one", True)]
    named = Studio.of([tmp_path / "runs" / "one"])
    assert len(watch.overview(named, Trainings(), first, watch.Overview())["runs"]) == 1


# One run


def test_the_losses_of_encoder_and_decoder_are_apart(trained):
    run = trained("unetgan")
    answer = watch.follow(Studio.of([run]), Trainings(), watch.Following(run="unetgan"))
    assert json.loads(json.dumps(answer)) == answer
    whole = read_run(run)
    for update in ("generator", "discriminator"):
        (chart,) = [chart for chart in answer["charts"] if chart["title"] == f"Losses of the {update}"]
        lines = {line["name"]: line for line in chart["lines"]}
        for term in ("encoder", "decoder"):
            points = [(entry["step"], entry[name]) for entry in whole.numbers if (name := f"{update}/{term}") in entry]
            assert lines[term]["x"] == [step for step, _ in points]
            assert lines[term]["y"] == pytest.approx([value for _, value in points], rel=1e-5)
    again = watch.follow(Studio.of([run]), Trainings(), watch.Following(run="unetgan", version=answer["version"]))
    assert again == {"version": answer["version"], "failure": []}


def test_events_and_alarms_are_told_without_where_files_lie(trained, tmp_path):
    run = copied(trained("unetgan"), tmp_path / "run")
    with (run / "stats.jsonl").open("a") as file:
        file.write(json.dumps({"step": 3, "event": "collapse", "diversity": 0.125}) + "\n")
        found = {"step": 2, "event": "non-finite", "what": "generator", "failed_step": 3, "gave_up": False}
        file.write(json.dumps(found) + "\n")
        file.write(json.dumps({"step": 0, "event": "initialised", "source": "/home/x", "summary": "/home/x"}) + "\n")
    answer = watch.follow(Studio.of([run]), Trainings(), watch.Following(run="run"))
    assert answer["alarms"] == [
        "Step 3: pictures were nearly alike, their diversity was 12% of the data's.",
        "Step 3: generator was not finite; went back.",
    ]
    assert [event[:2] for event in answer["events"]] == [[0, "initialised"], [2, "non-finite"], [3, "collapse"]]
    assert "/home" not in json.dumps(answer) and str(tmp_path) not in json.dumps(answer)


def test_grids_are_those_of_the_files(trained):
    run = trained("unetgan")
    studio = Studio.of([run])
    steps = watch.follow(studio, Trainings(), watch.Following(run="unetgan"))["grids"]
    assert steps == sorted(int(path.stem[5:]) for path in (run / "samples").glob("step-*.png")) and len(steps) > 1
    for step, name in [*((step, f"step-{step:08}.png") for step in steps), (None, "real.png")]:
        shown = pixels(watch.grid(studio, watch.AtStep(run="unetgan", step=step))["picture"])
        assert np.array_equal(shown, np.asarray(Image.open(run / "samples" / name)))
    with pytest.raises(UserError, match="no pictures of step 12,345"):
        watch.grid(studio, watch.AtStep(run="unetgan", step=12_345))


def test_maps_are_what_the_discriminator_of_each_checkpoint_says(trained):
    """Against the network itself, asked here, and matplotlib's colours."""
    from matplotlib import colormaps

    run = trained("unetgan")
    studio = Studio.of([run])
    steps = watch.follow(studio, Trainings(), watch.Following(run="unetgan"))["maps"]
    assert len(steps) > 1
    for step in steps:
        answer = watch.maps(studio, watch.AtStep(run="unetgan", step=step))
        opened = ganvas.load(run, device="cpu", checkpoint=step)
        images = opened.sample(4, seed=0)
        with torch.no_grad():
            heads = opened.system.discriminator(images, None).heads
        expected = colormaps["viridis"](torch.sigmoid(heads["decoder"][:, 0]).numpy(), bytes=True)[..., :3]
        for place in range(4):
            assert np.array_equal(pixels(answer["pictures"][place]), np.asarray(to_bytes(images[place])))
            assert np.abs(pixels(answer["maps"][place]).astype(int) - expected[place]).max() <= 1
            assert answer["said"][place] == f"D encoder {torch.sigmoid(heads['encoder'][place]).item():.2f}"
    with pytest.raises(UserError, match="no longer there"):
        watch.maps(studio, watch.AtStep(run="unetgan", step=999))


def to_bytes(image):
    return (image.permute(1, 2, 0) * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def test_no_maps_are_offered_of_runs_that_translate_or_read(trained):
    for system in ("pix2pix", "gancls"):
        studio = Studio.of([trained(system)])
        assert watch.follow(studio, Trainings(), watch.Following(run=system))["maps"] == []


# Stop and resume


def test_a_run_is_resumed_and_stopped(trained, tmp_path):
    """With the real command in a process of its own, which hears nothing of what interrupts the studio."""
    run = copied(trained("unetgan"), tmp_path / "-run; $(touch x)")
    name, studio, trainings = run.name, Studio.of([run]), Trainings()
    before = read_run(run).step
    with pytest.raises(UserError, match=f"{before} steps are done: ask for more"):
        watch.resume_training(studio, trainings, watch.Resuming(run=name))
    with pytest.raises(UserError, match="nobody trains this run"):
        watch.stop_training(studio, trainings, watch.Stopping(run=name))
    watch.resume_training(studio, trainings, watch.Resuming(run=name, steps=10**8))
    assert line_of_with(studio, trainings)["state"] in ("starting", "running")
    with pytest.raises(UserError, match="is being trained already"):
        watch.resume_training(studio, trainings, watch.Resuming(run=name, steps=10**8))
    process = wait_for(lambda: holder(run))
    words = Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")[:-1]
    assert words == [sys.executable, "-m", "ganvas", "resume", str(run), "--steps", str(10**8)]
    assert os.getsid(process) != os.getsid(0)
    wait_for(lambda: line_of_with(studio, trainings)["step"] > before)
    assert line_of_with(studio, trainings)["state"] == "running"
    watch.stop_training(studio, trainings, watch.Stopping(run=name))
    wait_for(lambda: not line_of_with(studio, trainings)["trained"])
    assert line_of_with(studio, trainings)["state"] == "stopped" and trainings.failure(run) == []
    assert read_run(run).events[-1]["event"] == "stopped"
    assert ganvas.load(run).step == read_run(run).step > before
    assert "stopped at step" in (run / LOG).read_text() and sorted(tmp_path.iterdir()) == [run]


def line_of_with(studio, trainings):
    (found,) = watch.overview(studio, trainings, frozenset(), watch.Overview())["runs"]
    return found


def test_the_last_words_of_a_training_that_fails_are_shown(trained, tmp_path):
    run = copied(trained("unetgan"), tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["data"]["source"] = str(tmp_path / "moved")
    (run / "config.json").write_text(json.dumps(config))
    studio, trainings = Studio.of([run]), Trainings()
    (run / LOG).write_text("words of another time\n")
    watch.resume_training(studio, trainings, watch.Resuming(run="run", steps=999))
    wait_for(lambda: not line_of_with(studio, trainings)["trained"])
    (said,) = watch.follow(studio, trainings, watch.Following(run="run"))["failure"]
    assert said.startswith("ganvas: ") and str(tmp_path / "moved") in said


def test_strangers_can_neither_stop_nor_resume(trained, monkeypatch):
    offered = []
    monkeypatch.setattr(watch, "panel", lambda name, actions, *_: offered.append({one.__name__ for one in actions}))
    for public in (False, True):
        watch.build(Studio.of([trained("unetgan")], public=public))
    assert offered[0] - offered[1] == {"stop_training", "resume_training"}
    assert offered[1] == {"overview", "follow", "grid", "maps", "plotly"}


# In a browser


def screenshot(page, name):
    if folder := os.environ.get("GANVAS_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def drawn(page):
    """Points of all curves that plotly has drawn, by the title of their chart."""
    return page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('#watch figure')].map(figure => "
        "[figure.querySelector('h4').textContent, figure.querySelector('.plot').data.map(line => line.x.length)]))"
    )


def fits_width(page):
    return page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("width", [1200, 390])
def test_watching_in_a_browser(trained, studio_at, page, width):
    runs = [trained("unetgan"), trained("pix2pix")]
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(studio_at(*runs))
    page.wait_for_selector("#watch .runs tbody tr:nth-child(2)")
    assert page.locator("#watch .runs tr[aria-current=true] button").inner_text() == "unetgan"
    assert "finished" in page.locator("#watch .runs tbody tr").first.inner_text()
    # Pictures: arrow keys move through training.
    page.wait_for_selector("#watch .drawn[src^=data]")
    newest = page.locator("#watch .drawn").get_attribute("src")
    page.locator("#watch [name=at]").focus()
    page.keyboard.press("Home")
    page.wait_for_function("old => document.querySelector('#watch .drawn').src !== old", arg=newest)
    assert page.locator("#watch .timeline .value").inner_text() == "step 0"
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("old => document.querySelector('#watch .drawn').src === old", arg=newest)
    page.get_by_label("Real pictures beside").check()
    page.wait_for_selector("#watch .true[src^=data]")
    # Curves.
    for figure in page.locator("#watch .charts figure").all():
        figure.scroll_into_view_if_needed()
        page.wait_for_timeout(150)
    page.wait_for_function(
        "() => [...document.querySelectorAll('#watch .plot')].every(one => one.data)", timeout=60_000
    )
    assert drawn(page)["Gradient norms"] == 4 * [len(read_run(runs[0]).numbers)]  # as logged, and smoothed
    page.locator("#watch [name=smoothing]").fill("0")
    assert page.locator("#watch .curves .value").inner_text() == "0"
    # Maps.
    page.get_by_role("button", name="Ask the discriminators").click()
    page.wait_for_function("() => document.querySelectorAll('#watch .maps img').length >= 16", timeout=60_000)
    assert fits_width(page)
    screenshot(page, f"watch-{width}")
    # The other run, by keyboard.
    page.locator("#watch .runs button").nth(1).focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#watch .which').textContent === 'pix2pix'")
    page.wait_for_selector("#watch .drawn[src^=data]")
    assert page.locator("#watch .asking").is_hidden()


def test_a_page_of_no_runs_says_how_to_have_one(studio_at, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page.goto(studio_at())
    page.wait_for_selector("#watch .empty:not([hidden])")
    assert "ganvas train" in page.locator("#watch .empty").inner_text()
    assert page.locator("#watch .runs").is_hidden() and page.locator("#watch .one").is_hidden()
    screenshot(page, "watch-empty")


def test_a_run_is_resumed_watched_and_stopped_in_a_browser(trained, studio_at, page, tmp_path):
    """The rows of the table stay the same elements while numbers change: nothing flickers. Names are text."""
    run = copied(trained("unetgan"), tmp_path / "<img src=x onerror=alert(1)>")
    page.goto(studio_at(run))
    page.get_by_label("Steps in all").fill("1")
    page.get_by_role("button", name="Resume").click()
    page.wait_for_selector("#watch .doing .status.problem")
    assert "steps are done" in page.locator("#watch .doing .status").inner_text()
    page.wait_for_timeout(2500)  # looks at the runs do not wipe it away
    assert "steps are done" in page.locator("#watch .doing .status").inner_text()
    page.get_by_label("Steps in all").fill("100000000")
    page.get_by_role("button", name="Resume").click()
    page.evaluate("() => { window.row = document.querySelector('#watch .runs tbody tr'); }")
    page.wait_for_selector("#watch .stop:not([hidden])")
    page.wait_for_function("() => window.row.querySelector('.state').textContent.startsWith('running')", timeout=90_000)
    page.wait_for_function("() => window.row.querySelector('.pace').textContent !== ''", timeout=30_000)
    first = page.locator("#watch .steps").inner_text()
    page.wait_for_function(
        "old => window.row.isConnected && window.row.querySelector('.steps').textContent !== old", arg=first
    )
    screenshot(page, "watch-running")
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Let it train").click()
    assert holder(run) is not None
    page.get_by_role("button", name="Stop…").click()
    screenshot(page, "watch-sure")
    page.get_by_role("button", name="Stop it").click()
    page.wait_for_function("() => window.row.querySelector('.state').textContent.startsWith('stopped')", timeout=60_000)
    assert holder(run) is None and read_run(run).events[-1]["event"] == "stopped"
