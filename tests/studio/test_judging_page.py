"""Blind studies through a real browser, and the actions of both pages."""

import base64
import io
import itertools
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from judged_folders import make_mos, make_turing
from PIL import Image
from scipy import stats

from ganvas.data import open_data
from ganvas.metrics import mos, turing

pytest.importorskip("gradio", reason="needs gradio")

from ganvas.studio.actions import action
from ganvas.studio.judging import page as judges
from ganvas.studio.judging.blind import judging_at
from ganvas.studio.pages import judge as owners
from ganvas.studio.studio import Studio


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The two kinds of study, as the commands write them."""
    place = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANVAS_CACHE", str(place / "cache"))
        return {"colours": make_turing(place / "turing"), "photos": make_mos(place / "mos")}


@pytest.fixture
def work(tmp_path, studies):
    """A folder of a studio that holds both."""
    for name, folder in studies.items():
        shutil.copytree(folder, tmp_path / "work" / "studies" / name)
    return tmp_path / "work"


@pytest.fixture
def person(chromium):
    """A function that opens the browser of another person."""
    made = []

    def come(width=1200):
        context = chromium.new_context(viewport={"width": width, "height": 844}, has_touch=width < 500)
        made.append((context, []))
        page = context.new_page()
        page.on("pageerror", lambda error: made[-1][1].append(str(error)))
        return page

    yield come
    for context, errors in made:
        context.close()
        assert not errors


def shoot(page, name):
    if folder := os.environ.get("GANVAS_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def open_study(page, base, folder, **texts):
    """By the owner; the address for people."""
    page.goto(f"{base}/studies")
    page.wait_for_selector("#studies option[value=add]", state="attached")
    page.select_option("#studies [name=kind]", "add")
    page.select_option("#studies [name=folder]", folder)
    for name, text in texts.items():
        page.fill(f"#studies [name={name}]", text)
    page.click("#studies .main")
    return page.wait_for_selector("#studies article a").get_attribute("href")


def begin(page, address):
    page.goto(address)
    page.wait_for_selector("#judging .start:not([hidden])")
    page.check("#judging [name=agreed]")
    page.click("#judging .start .main")
    wait_for(page, "1 of")


def wait_for(page, text):
    """Until this picture can be answered."""
    page.wait_for_function(
        "text => document.querySelector('#judging .place')?.textContent.includes(text)",
        arg=text,
    )


def shown(page):
    """The pixels on the page."""
    uri = page.get_attribute("#judging .frame img", "src")
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def is_real(page):
    red, _, blue = shown(page).getpixel((8, 8))
    return red > blue


def result_of(page):
    """The numbers that the owner can save, and the text that the page shows."""
    page.click("#studies article button:has-text('Show the result')")
    page.wait_for_selector("#studies .result table")
    links = {
        link.get_attribute("download"): link.get_attribute("href") for link in page.query_selector_all("a[download]")
    }
    files = {name: base64.b64decode(uri.partition(",")[2]) for name, uri in links.items()}
    with zipfile.ZipFile(io.BytesIO(files["answers.zip"])) as archive:
        csvs = {name: archive.read(name).decode() for name in archive.namelist()}
    return json.loads(files["result.json"]), csvs, page.inner_text("#studies .result")


def test_forty_judgements_through_the_page(page, person, trained, studio_at, work, tmp_path):
    """By keys and clicks, right or wrong by a coin: the statistics are scipy's of what was said, and those of files."""
    base = studio_at(trained("unetgan"), work=work)
    address = open_study(page, base, "colours", title="Red or blue?")
    one = person()
    begin(one, address)
    coin, counts = np.random.default_rng(8), np.zeros((2, 2), int)
    for number in range(40):
        wait_for(one, f"{number + 1} of 40")
        real, right = is_real(one), coin.random() < 0.7
        said = real if right else not real
        counts[int(not real), int(not said)] += 1
        if number % 3:
            one.keyboard.press("r" if said else "g")
        else:
            one.click(f"#judging .answers button[value={'real' if said else 'generated'}]")
    one.wait_for_selector("#judging .end:not([hidden])")
    assert "You have judged all 40 pictures" in one.inner_text("#judging .end")
    assert counts.sum() == 40 and counts.sum(1).tolist() == [20, 20]

    numbers, csvs, text = result_of(page)
    shoot(page, "judge-owner")
    right = int(np.trace(counts))
    test = stats.binomtest(right, 40)
    assert (numbers["n"], numbers["correct"], numbers["accuracy"]) == (40, right, right / 40)
    assert numbers["interval_exact"] == pytest.approx(tuple(test.proportion_ci(method="exact")), abs=1e-12)
    assert numbers["interval_wilson"] == pytest.approx(tuple(test.proportion_ci(method="wilson")), abs=1e-12)
    assert numbers["p_two_sided"] == pytest.approx(test.pvalue, abs=1e-12)
    assert numbers["p_one_sided"] == pytest.approx(stats.binom.sf(right - 1, 40, 0.5), abs=1e-12)
    assert [[*row.values()] for row in numbers["confusion"].values()] == counts.tolist()
    low, high = test.proportion_ci(method="exact")
    assert f"{right} of 40 right, {100 * right / 40:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %" in text
    assert [*csvs] == ["person-01.csv"]
    (tmp_path / "person-01.csv").write_text(csvs["person-01.csv"])
    read = turing.score(work / "studies" / "colours", [tmp_path / "person-01.csv"])
    assert read.pooled.counts == tuple(counts.ravel())


def test_people_at_once_do_not_mix(page, person, trained, studio_at, work):
    """In turn in two browsers, one always right and one always wrong; and orders of their own."""
    base = studio_at(trained("unetgan"), work=work)
    address = open_study(page, base, "colours")
    people = [person(), person(390)]
    seen = [[], []]
    for one in people:
        begin(one, address)
    for number in range(40):
        for place, one in enumerate(people):
            wait_for(one, f"{number + 1} of 40")
            seen[place].append(shown(one).tobytes())
            one.keyboard.press("r" if is_real(one) == (place == 0) else "g")
    for one in people:
        one.wait_for_selector("#judging .end:not([hidden])")
    assert sorted(seen[0]) == sorted(seen[1]) and seen[0] != seen[1]
    numbers, csvs, _ = result_of(page)
    assert [subject["correct"] for subject in numbers["subjects"]] == [40, 0] and len(csvs) == 2


SLOW = "() => new Promise(done => setTimeout(done, 600))"
"""A picture takes its time to appear."""


def test_coming_back_and_slips(page, person, trained, studio_at, work):
    """A page loaded again goes on; a key that is held and a double click answer once, a wrong key not at all."""
    base = studio_at(trained("unetgan"), work=work)
    address = open_study(page, base, "colours")
    one = person()
    begin(one, address)
    one.keyboard.press("x")
    one.keyboard.press("1")
    one.keyboard.press("Control+r")
    wait_for(one, "1 of 40")
    one.keyboard.down("r")
    wait_for(one, "2 of 40")
    for _ in range(4):
        one.keyboard.down("r")  # as a key that is held repeats itself
        one.wait_for_timeout(100)
    one.keyboard.up("r")
    wait_for(one, "2 of 40")
    one.dblclick("#judging .answers button[value=real]", delay=0)
    wait_for(one, "3 of 40")
    one.wait_for_timeout(300)
    assert one.inner_text("#judging .place") == "3 of 40"
    before = shown(one).tobytes()
    one.reload()
    wait_for(one, "3 of 40")
    assert shown(one).tobytes() == before
    one.goto(address.partition("?")[0])  # the only open study needs no name
    wait_for(one, "3 of 40")
    page.reload()
    assert "1 person, 2 answers" in page.wait_for_selector("#studies .counts").inner_text()
    # What is pressed before the next picture is there is not said of that one.
    one.evaluate(f"HTMLImageElement.prototype.decode = {SLOW}")
    one.keyboard.press("r")
    one.wait_for_timeout(250)
    one.keyboard.press("r")
    wait_for(one, "4 of 40")
    one.wait_for_timeout(900)
    assert one.inner_text("#judging .place") == "4 of 40"
    # By Tab and Enter alone, with a ring around what has the focus.
    one.focus("#judging .frame")
    one.keyboard.press("Tab")
    assert one.evaluate("document.activeElement.value") == "real"
    assert one.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    one.keyboard.press("Enter")
    wait_for(one, "5 of 40")
    assert one.evaluate("document.activeElement.value") == "real"


def test_nothing_tells_the_kinds_apart(page, person, trained, studio_at, work):
    """All that goes over the wire to one who judges: no names, kinds, hashes or folders; and answers of one shape."""
    base = studio_at(trained("unetgan"), work=work)
    address = open_study(page, base, "colours")
    one, bodies, urls = person(), [], []
    one.on("response", lambda response: urls.append(response.url))
    one.on(
        "response",
        lambda response: bodies.append(response.text()) if "component_server" in response.url else None,
    )
    begin(one, address)
    for number in range(40):
        wait_for(one, f"{number + 1} of 40")
        one.keyboard.press("r")
    one.wait_for_selector("#judging .end:not([hidden])")
    pictures = json.loads((work / "studies" / "colours" / "key.json").read_text())["pictures"]
    config = one.request.get(f"{base}/judge/config").text()
    everything = "\n".join([*bodies, *urls, one.content(), config])
    for name, of in pictures.items():
        assert name not in everything and of["sha256"] not in everything
        assert f'"{of["from"]}"' not in everything
    assert "colours" not in everything and str(work) not in everything and "unetgan" not in everything
    views = [json.loads(body) for body in bodies if '"place"' in body]
    assert len(views) == 41 and {tuple(view) for view in views} == {("count", "done", "place", "picture")}
    assert [view["place"] for view in views] == [*range(40), None]
    # What the owner can do is not there.
    assert "Show the result" not in everything and '"studies"' not in config and "ask_real" not in config


def test_opinions_on_a_phone(page, person, trained, studio_at, work, studies):
    """Examples, then scores by keys and by touch; closed by the owner, the result is shown to who judged."""
    base = studio_at(trained("unetgan"), work=work)
    address = open_study(page, base, "photos", title="Photos", consent="I agree.")
    one = person(390)
    one.goto(address)
    one.wait_for_selector("#judging .start:not([hidden])")
    shoot(one, "judge-start-390")
    assert "I agree." in one.inner_text("#judging .start")
    one.click("#judging .start .main")  # without agreeing: the browser itself says that it has to be ticked
    assert one.is_visible("#judging .start")
    one.tap("#judging .agree")
    one.tap("#judging .start .main")
    study = mos.load(work / "studies" / "photos")
    for number, (name, told) in enumerate(study.calibration):
        wait_for(one, f"Example {number + 1} of 6")
        assert f"This is a {told}," in one.inner_text("#judging h2:visible")
        assert shown(one).tobytes() == Image.open(study.picture(name)).convert("RGB").tobytes()
        one.keyboard.press("n")
    methods = {Image.open(study.picture(name)).tobytes(): item.method for name, item in study.items.items()}
    said = {method: [] for method in study.methods}
    scores = itertools.cycle([5, 1, 2, 4, 3])
    for number in range(20):
        wait_for(one, f"{number + 1} of 20")
        score = next(scores)
        said[methods[shown(one).tobytes()]].append(score)
        if number == 3:
            shoot(one, "judge-opinion-390")
            # Pixel for pixel, nothing wider than the phone, and fingers find the buttons.
            assert one.evaluate("document.querySelector('#judging img').clientWidth") == shown(one).width
            assert one.evaluate("document.documentElement.scrollWidth") <= 390
            boxes = [button.bounding_box() for button in one.query_selector_all("#judging .answers button")]
            assert len(boxes) == 5 and min(box["height"] for box in boxes) >= 44
            assert min(box["width"] for box in boxes) >= 44
        if number % 2:
            one.keyboard.press(str(score))
        else:
            one.tap(f"#judging .answers button[value='{score}']")
    one.wait_for_selector("#judging .end:not([hidden])")
    assert not one.inner_text("#judging .result")
    numbers, csvs, text = result_of(page)
    for method, values in said.items():
        assert numbers["methods"][method]["n"] == 5 == len(values)
        assert numbers["methods"][method]["mean"] == pytest.approx(np.mean(values))
        assert f"{np.mean(values):.2f}" in text
    (work / "studies" / "photos" / "answers" / "person-01.csv").write_text(csvs["person-01.csv"])
    assert mos.score(work / "studies" / "photos").to_json()["methods"] == numbers["methods"]
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#studies article .end")
    page.wait_for_selector("#studies article .counts:has-text('closed')")
    shoot(page, "judge-owner-opinions")
    one.goto(address)
    one.wait_for_selector("#judging .result table")
    shoot(one, "judge-end-390")
    told = one.inner_text("#judging .result")
    assert f"{np.mean(said['darker']):.2f}" in told and "person" not in told.replace("same person", "")
    assert one.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_owners_page_on_a_phone(page, trained, studio_at, work):
    page.set_viewport_size({"width": 390, "height": 844})
    base = studio_at(trained("unetgan"), work=work)
    open_study(page, base, "colours")
    shoot(page, "judge-owner-390")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click("#studies article button:has-text('Show the result')")
    page.wait_for_selector("#studies .status:has-text('Nobody has answered anything yet')")


def test_a_study_of_a_run(trained, tmp_path):
    """Its samples and its data: the pictures on the page are those of `run.sample`, and no others are generated."""
    studio = Studio.of([trained("unetgan")], work=tmp_path / "work")
    (name,) = studio.opened
    made = action(owners.ask_real, studio)({"runs": [name], "n": 3, "seed": 5, "title": "", "consent": ""})
    study = made["study"]
    token = action(judges.join, studio)({"study": study, "agreed": True})["token"]
    samples = studio.find(name).run.sample(3, 5)
    expected = {((sample + 1) * 127.5).round().byte().permute(1, 2, 0).numpy().tobytes() for sample in samples}
    view, generated = action(judges.see, studio)({"study": study, "token": token}), set()
    while view["place"] is not None:
        pixels = Image.open(io.BytesIO(base64.b64decode(view["picture"].partition(",")[2]))).tobytes()
        generated |= {pixels} & expected
        said = "generated" if pixels in expected else "real"
        asked = {"study": study, "token": token, "place": view["place"], "said": said}
        view = action(judges.answer, studio)(asked)
    assert generated == expected
    found = action(owners.result, studio)({"study": study})
    assert found["result"]["said"][0].startswith("6 of 6 right, 100.0 %")
    assert action(judges.arrive, studio)({"study": "", "token": token})["view"] == view


@pytest.mark.slow
@pytest.mark.parametrize("system", ["pix2pix", "simgan"])
def test_a_study_of_a_run_that_translates(trained, tmp_path, system):
    """Real are targets of the data, by their pixels, and of pairs none of those whose sources are translated."""
    studio = Studio.of([trained(system)], work=tmp_path / "work")
    (name,) = studio.opened
    made = action(owners.ask_real, studio)({"runs": [name], "n": 3, "seed": 5, "title": "", "consent": ""})
    content, run = judging_at(studio.work).content(made["study"]), studio.find(name).run
    config = run.config
    data = open_data(
        run.settings.source, run.settings.chosen.data, size=config.size, channels=config.channels,
        source_channels=config.source_channels, sides=run.system.sides,
    )  # fmt: skip
    key = json.loads((content.folder / "key.json").read_text())
    assert key["real"] == run.settings.source and [*content.key.values()].count("real") == 3
    size, whole = config.size, data.target.images.shape[1]
    middle = slice((whole - size) // 2, (whole - size) // 2 + size)
    for picture, of in key["pictures"].items():
        if of["is"] == "real":
            row = int(of["from"].partition(".")[0])
            shown = np.asarray(Image.open(content.folder / "pictures" / picture).convert("RGB"))
            assert np.array_equal(shown, np.broadcast_to(data.target.images[row][middle, middle], shown.shape))
            assert row in data.target_rows
            if data.paired:
                assert data.source.names[row] not in {
                    other["from"].partition(",")[0] for other in key["pictures"].values()
                }


def test_a_study_of_runs_that_enlarge(trained, tmp_path):
    """Photos of the data by both anchors, bicubic and the run, by the name of its folder."""
    studio = Studio.of([trained("srgan")], work=tmp_path / "work")
    (name,) = studio.opened
    assert not owners.shows_pictures(studio.find(name)) and owners.enlarges(studio.find(name))
    asked = {"runs": [name], "n": 2, "seed": 0, "title": "t", "consent": "c"}
    made = action(owners.ask_opinions, studio)(asked)
    content = judging_at(studio.work).content(made["study"])
    assert content.study.methods == ["nearest", "bicubic", name, "original"] and len(content.names) == 8
    told = action(judges.arrive, studio)({"study": made["study"], "token": ""})
    assert (told["title"], told["consent"], told["count"], told["closed"]) == ("t", "c", 8, False)
    assert action(owners.ask_opinions, studio)(asked | {"runs": [name, name]})["error"].startswith(
        "a run is named twice"
    )


@pytest.mark.parametrize("wrong", [None, 3, "x", [], {}, {"study": None}, {"study": "x" * 10**7}])
def test_what_pages_may_not_ask(trained, work, wrong):
    """One plain line each, of no length; nothing is made."""
    studio = Studio.of([trained("unetgan")], work=work)
    functions = [*(judges.arrive, judges.join, judges.see, judges.example, judges.answer)]
    functions += [owners.add, owners.ask_real, owners.ask_opinions, owners.result, owners.close]
    for function in functions:
        answer = action(function, studio)(wrong)
        assert [*answer] == ["error"] and "\n" not in answer["error"] and len(answer["error"]) < 300
    folders = ["..", "../colours", "/etc", "colours/pictures", ""]
    for folder in folders:
        answer = action(owners.add, studio)({"folder": folder, "title": "", "consent": ""})
        assert "no such study in the studio's folder" in answer["error"]
    assert action(owners.studies, studio)({}) == {"studies": [], "folders": ["colours", "photos"]}


def test_odd_answers_over_the_wire(page, trained, studio_at, work):
    """Straight to the address that the page calls: refused in words, and none is stored."""
    base = studio_at(trained("unetgan"), work=work)
    study = open_study(page, base, "colours").partition("=")[2]
    post = poster(page, base)
    token = post("join", {"study": study, "agreed": True})["token"]
    assert post("join", {"study": study, "agreed": False})["error"].startswith("nobody takes part without agreeing")
    sayings, places = ["7", 7, None, "real\0", "x" * 10**6, "real"], [5, -1, "0", 1e300, 0.5, True, None, 10**18]
    for said, place in itertools.product(sayings, places):
        answer = post("answer", {"study": study, "token": token, "place": place, "said": said})
        assert [*answer] == ["error"] and len(answer["error"]) < 300
    assert "error" in post("see", {"study": study, "token": "x" * 10**7})
    assert post("see", {"study": study, "token": token})["done"] == 0
    for name in ("studies", "result", "close", "add", "ask_real", "__init__", "postprocess"):
        assert "error" in post(name, {"study": study}) or "detail" in post(name, {"study": study})


def poster(page, base):
    """A function that asks as the page of those who judge does."""
    config = page.request.get(f"{base}/judge/config").json()
    (part,) = (of["id"] for of in config["components"] if of["props"].get("elem_id") == "judging")

    def post(name, asked):
        body = {"session_hash": "test", "component_id": part, "fn_name": name, "data_type": "component_server"}
        text = json.dumps(body | {"data": asked})
        headers = {"content-type": "application/json"}
        return page.request.post(f"{base}/judge/gradio_api/component_server/", data=text, headers=headers).json()

    return post
