"""Blind studies without a page: orders, blindness, what may be answered, what survives, the same numbers as files."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from judged_folders import make_mos, make_turing
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy import stats

from ganvas.errors import UserError
from ganvas.metrics import mos, turing
from ganvas.studio.judging.blind import Judging
from ganvas.studio.judging.store import Store


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tested(tmp_path):
    return make_turing(tmp_path / "turing", 6)


@pytest.fixture
def judging(tmp_path):
    return Judging(tmp_path / "work")


def pixels(uri: str) -> Image.Image:
    assert uri.startswith("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def go_through(judging, study, say, token=None, most=10**6):
    """Answers what is shown, and says which pictures that were; `say` is given the picture's pixels and place."""
    token = token or judging.join(study, True)
    seen, view = [], judging.view(study, token)
    while view.place is not None and len(seen) < most:
        seen.append(view.picture)
        view = judging.answer(study, token, view.place, say(pixels(view.picture), view.place))
    return token, seen


def by_colour(image, place):
    """Always right, of red pictures and blue ones."""
    red, _, blue = image.getpixel((8, 8))
    return "real" if red > blue else "generated"


def test_two_people_see_all_pictures_in_orders_of_their_own(judging, tested):
    """The pictures that the files hold, each once; and people are right where they say what the colour says."""
    study = judging.add(tested)
    (_, first), (_, second) = (go_through(judging, study, by_colour) for _ in range(2))
    files = [Image.open(path).convert("RGB").tobytes() for path in sorted((tested / "pictures").iterdir())]
    assert sorted(pixels(uri).tobytes() for uri in first) == sorted(files)
    assert sorted(first) == sorted(second) and first != second
    outcome = judging.result(study)
    assert [subject.confusion.counts for subject in outcome.subjects] == [(6, 0, 0, 6)] * 2
    assert outcome.pooled.interval() == pytest.approx(tuple(stats.binomtest(24, 24).proportion_ci(0.95)))


def test_orders_are_as_likely_as_any(judging, tested):
    """Among 600 people every picture comes first about equally often: chi-squared, 11 degrees of freedom."""
    content = judging.content(judging.add(tested))
    first = Counter(content.order(number)[0] for number in range(1, 601))
    assert len(first) == 12 and stats.chisquare([*first.values()]).pvalue > 1e-4
    assert content.order(7) == content.order(7) != content.order(8)


def test_pictures_tell_nothing_but_their_pixels(judging, tested):
    """No texts, one format, one depth, no name; and nothing of a view differs between kinds but the pixels."""
    study = judging.add(tested)
    token = judging.join(study, True)
    view = judging.view(study, token)
    for _ in range(12):
        image = pixels(view.picture)
        assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", (24, 24), {})
        data = base64.b64decode(view.picture.partition(",")[2])
        chunks, at = [], 8
        while at < len(data):
            chunks.append(data[at + 4 : at + 8])
            at += 12 + int.from_bytes(data[at : at + 4])
        assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}
        assert (view.count, view.done, view.place) == (12, view.done, view.done)
        view = judging.answer(study, token, view.place, "real")
    assert view.picture == "" and view.place is None and view.done == 12


def test_files_that_tell_more_than_their_pixels(judging, tested):
    """A palette, a text, a colour profile's gamma and a resolution in one file: none of it reaches the page."""
    note, path = PngInfo(), tested / "pictures" / "004.png"
    note.add_text("Comment", "made by a generator")
    note.add(b"gAMA", (45455).to_bytes(4, "big"))
    image = Image.open(path).convert("P")
    colours = image.convert("RGB").tobytes()
    image.save(path, pnginfo=note, dpi=(72, 72))
    key = json.loads((tested / "key.json").read_text())
    key["pictures"]["004.png"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tested / "key.json").write_text(json.dumps(key))
    _, seen = go_through(judging, judging.add(tested), by_colour)
    assert colours in [pixels(uri).tobytes() for uri in seen]
    assert {(pixels(uri).mode, *pixels(uri).info) for uri in seen} == {("RGB",)}
    assert not any(b"generator" in base64.b64decode(uri.partition(",")[2]) for uri in seen)


def test_a_gray_test_is_shown_in_colour(tmp_path, judging):
    """Gray files become RGB of three equal channels, like all others."""
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        for i in range(2):
            Image.new("L", (16, 16), 40 * i + 60).save(tmp_path / side / f"{i}.png")
    folder = turing.prepare(tmp_path / "a", tmp_path / "b", tmp_path / "t", n=2)
    study = judging.add(folder)
    _, seen = go_through(judging, study, lambda image, place: "real")
    assert {pixels(uri).mode for uri in seen} == {"RGB"}
    assert {pixels(uri).getpixel((0, 0)) for uri in seen} == {(60, 60, 60), (100, 100, 100)}


def test_a_person_comes_back_where_they_were(tmp_path, tested):
    """Another process of the studio later: the same order, going on, and the first answers kept."""
    judging = Judging(tmp_path / "work")
    study = judging.add(tested)
    token, before = go_through(judging, study, by_colour, most=5)
    next_one = judging.view(study, token).picture
    later = Judging(tmp_path / "work")
    assert later.add(tested) == study
    assert later.view(study, token).picture == next_one and later.view(study, token).done == 5
    _, after = go_through(later, study, by_colour, token)
    assert len(after) == 7 and len({*before, *after}) == 12
    assert later.result(study).pooled.counts == (6, 0, 0, 6)


def test_the_first_answer_counts(judging, tested):
    """Sent twice, or from another window with another answer: one answer, the first, and the next picture."""
    study = judging.add(tested)
    token = judging.join(study, True)
    first = judging.answer(study, token, 0, "real")
    assert judging.answer(study, token, 0, "real") == first == judging.answer(study, token, 0, "generated")
    (said,) = judging.said(study).values()
    assert [*said.values()] == ["real"] and judging.view(study, token).done == 1


def test_consent_comes_first_and_its_time_is_kept(judging, tested):
    """Nobody who has not agreed has a token, so no picture either; nothing is stored of them."""
    study = judging.add(tested, consent="  I agree\n to all. ")
    for not_agreed in (False, None, "yes", 1):
        with pytest.raises(UserError, match="without agreeing"):
            judging.join(study, not_agreed)
    token = judging.join(study, True)
    database = sqlite3.connect(judging.store.path)
    assert database.execute("SELECT consent FROM study").fetchall() == [("I agree to all.",)]
    ((number, kept, time),) = database.execute("SELECT number, token, consented FROM person").fetchall()
    assert number == 1 and kept != token and token not in "".join(database.iterdump())
    assert 0 <= np.datetime64("now") - np.datetime64(time[:19]) < np.timedelta64(60, "s")
    database.close()


@pytest.mark.parametrize(
    ("place", "said", "words"),
    [
        (0, "7", "this is no answer: give real or generated"),
        (0, 7, "this is no answer"),
        (0, None, "this is no answer"),
        (0, "Real", "this is no answer"),
        (0, ["real"], "this is no answer"),
        (1, "real", "has not been shown yet"),
        (11, "real", "has not been shown yet"),
        (12, "real", "the study has 12 pictures, and none with this number"),
        (-1, "real", "none with this number"),
        (True, "real", "none with this number"),
        (0.0, "real", "none with this number"),
        ("001.png", "real", "none with this number"),
        (10**30, "real", "none with this number"),
    ],
)
def test_answers_that_are_none(judging, tested, place, said, words):
    study = judging.add(tested)
    token = judging.join(study, True)
    with pytest.raises(UserError, match=words):
        judging.answer(study, token, place, said)
    assert judging.view(study, token).done == 0 and judging.result(study) is None


def test_scores_that_are_none(judging, tmp_path):
    study = judging.add(make_mos(tmp_path / "mos", 2))
    token = judging.join(study, True)
    for score in ("7", "0", "3.5", "", 3, "real", "३"):
        with pytest.raises(UserError, match="this is no answer: give 1 or 2 or 3 or 4 or 5"):
            judging.answer(study, token, 0, score)
    for number in (-1, 4, True, "0", None):
        with pytest.raises(UserError, match="there are 4 examples"):
            judging.example(study, token, number)


def test_tokens_and_studies_that_are_none(judging, tested, tmp_path):
    """Another study's, none, ten megabytes, odd types: one line that never repeats what came."""
    study, other = judging.add(tested), judging.add(make_mos(tmp_path / "mos", 2))
    token = judging.join(other, True)
    for wrong in (token, "", "x" * 10**7, "é" * 32, "a\0b", None, 3, ["x"], {"x": 1}, b"x", "' OR 1=1 --"):
        for call in (judging.view, lambda *given: judging.answer(*given, 0, "real")):
            with pytest.raises(UserError) as refused:
                call(study, wrong)
            assert str(refused.value) == "nobody takes part in this study with this token: begin anew"
    for wrong in ("", "0" * 12, "../..", "x" * 10**7, None, 3, ["x"]):
        for call in (judging.close, judging.result, judging.csvs, lambda of: judging.join(of, True)):
            with pytest.raises(UserError, match=r"^there is no such study here: ask for the address of the page"):
                call(wrong)
    assert judging.said(study) == judging.said(other) == {}


def test_folders_that_are_no_study(judging, tested, tmp_path):
    with pytest.raises(UserError, match="holds no study: it has no key"):
        judging.add(tmp_path)
    with pytest.raises(UserError, match="300 characters at most"):
        judging.add(tested, title="x" * 301)
    key = json.loads((tested / "key.json").read_text())
    for name in ("../key.json", "009.png"):
        wrong = key["pictures"] | {name: key["pictures"]["001.png"]}
        (tested / "pictures" / "009.png").unlink(missing_ok=True)
        (tested / "key.json").write_text(json.dumps(key | {"pictures": wrong}))
        with pytest.raises(UserError, match=r"there is no picture|is not the picture"):
            judging.add(tested)
    (tested / "key.json").write_text(json.dumps(key | {"pictures": {}}))
    with pytest.raises(UserError, match="holds no study"):
        judging.add(tested)


def test_other_pictures_under_the_same_names(tmp_path, tested):
    """A folder that was made anew between two sittings: its answers would be of other pictures."""
    judging = Judging(tmp_path / "work")
    study = judging.add(tested)
    token, _ = go_through(judging, study, by_colour, most=3)
    key = json.loads((tested / "key.json").read_text())
    (tested / "key.json").write_text(json.dumps(key | {"seed": 99}))
    later = Judging(tmp_path / "work")
    for call in (lambda: later.view(study, token), lambda: later.result(study), lambda: later.join(study, True)):
        with pytest.raises(UserError, match="holds other pictures than when this study was opened"):
            call()
    anew = later.add(tested)
    assert anew != study and later.result(anew) is None


def test_closed_studies(judging, tested):
    """No answer more, and what was answered stays; opened again it is a study of its own."""
    study = judging.add(tested)
    token, _ = go_through(judging, study, by_colour, most=4)
    judging.close(study)
    with pytest.raises(UserError, match="this study is closed: it takes no more answers"):
        judging.answer(study, token, 4, "real")
    with pytest.raises(UserError, match="takes no more people"):
        judging.join(study, True)
    assert judging.answer(study, token, 3, "real").done == 4
    assert judging.result(study).pooled.n == judging.result(study).pooled.correct == 4
    again = judging.add(tested)
    assert again != study and judging.join(again, True)


def test_turing_tests_give_the_same_as_files(judging, tested, tmp_path):
    """`ganvas turing score` of the files that come out: all statistics, with an unfinished person and one idle."""
    study = judging.add(tested)
    go_through(judging, study, by_colour)
    go_through(judging, study, lambda image, place: ("real", "generated")[place % 2])
    go_through(judging, study, lambda image, place: "real", most=5)
    judging.join(study, True)
    files = judging.csvs(study)
    assert [*files] == ["person-01.csv", "person-02.csv", "person-03.csv"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        assert text.splitlines()[0] == "picture,answer" and len(text.splitlines()) == 13
    read, kept = turing.score(tested, [tmp_path / name for name in files]).to_json(), judging.result(study).to_json()
    for subject in (*read["subjects"], *kept["subjects"]):
        subject["name"] = Path(subject["name"]).stem
    assert read == kept and kept["n"] == 12 + 12 + 5 and len(kept["subjects"][2]["unanswered"]) == 7
    right = sum(subject["correct"] for subject in kept["subjects"])
    assert kept["p_two_sided"] == pytest.approx(stats.binomtest(right, 29).pvalue)


def test_mean_opinion_scores_give_the_same_as_files(judging, tmp_path):
    """`ganvas mos score` of the files, put in the place of the empty ones: scores, intervals and differences."""
    folder = make_mos(tmp_path / "mos")
    study = judging.add(folder)
    random = np.random.default_rng(0)
    for most in (100, 100, 7):
        go_through(judging, study, lambda image, place: str(random.integers(1, 6)), most=most)
    for name, text in judging.csvs(study).items():
        (folder / "answers" / name).write_text(text)
    read, kept = mos.score(folder).to_json(), judging.result(study).to_json()
    named = json.dumps(read).replace(f"{folder}/answers/", "").replace(".csv", "")
    assert json.loads(named) == kept and [rater["name"][-2:] for rater in kept["raters"]] == ["01", "02", "03"]
    assert "person-03: 13 pictures are not rated, which are left out" in kept["flags"]
    assert sum(of["n"] for of in kept["methods"].values()) == 20 + 20 + 7
    own = [int(score) for answers in judging.said(study).values() for score in answers.values()]
    weighted = sum(of["mean"] * of["n"] for of in kept["methods"].values()) / 47
    assert weighted == pytest.approx(np.mean(own))


def test_opinions_begin_with_both_ends(judging, tmp_path):
    """Examples are the calibration of the study, and no two versions of a photo follow each other."""
    folder = make_mos(tmp_path / "mos")
    study = judging.add(folder)
    token = judging.join(study, True)
    made = mos.load(folder)
    for number, (name, score) in enumerate(made.calibration):
        shown, told = judging.example(study, token, number)
        assert told == score and pixels(shown).tobytes() == Image.open(made.picture(name)).convert("RGB").tobytes()
    for number in (1, 2, 40):
        photos = [made.items[name].photo for name in judging.content(study).order(number)]
        assert len(photos) == 20 and all(a != b for a, b in itertools.pairwise(photos))


def test_many_people_at_once(judging, tested):
    """Eight threads: everyone's answers are their own, and numbers are 1 to 8."""
    study = judging.add(tested)
    barrier, failures = threading.Barrier(8), []

    def one(right):
        try:
            barrier.wait()
            say = (
                by_colour
                if right
                else lambda image, place: {"real": "generated", "generated": "real"}[by_colour(image, place)]
            )
            go_through(judging, study, say)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number % 2,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    subjects = judging.result(study).subjects
    assert [subject.name for subject in subjects] == [f"person-{number:02}" for number in range(1, 9)]
    assert sorted(subject.confusion.correct for subject in subjects) == [0] * 4 + [12] * 4


KILLED = """
import itertools, sys
from pathlib import Path
from ganvas.studio.judging.blind import Judging
judging = Judging(Path(sys.argv[1]))
study = judging.add(sys.argv[2])
for person in itertools.count():
    token = judging.join(study, True)
    view = judging.view(study, token)
    while view.place is not None:
        said = ("real", "generated")[(person + view.place) % 2]
        view = judging.answer(study, token, view.place, said)
        print(person + 1, view.done - 1, said, flush=True)
"""


def test_killed_in_the_middle(tmp_path, tested):
    """SIGKILL while answers come in: every one that was acknowledged is there, and the studio goes on."""
    words = [sys.executable, "-c", KILLED, str(tmp_path / "work"), str(tested)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        told = [process.stdout.readline() for _ in range(40)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL and len(told) >= 40
    judging = Judging(tmp_path / "work")
    study = judging.add(tested)
    said = judging.said(study)
    kept = {
        (number, place, answer)
        for number, answers in enumerate(said.values(), 1)
        for place, answer in enumerate(answers.values())
    }
    assert {(int(a), int(b), c) for a, b, c in map(str.split, told)} <= kept
    assert len(kept) <= len(told) + 1
    assert len(go_through(judging, study, by_colour)[1]) == 12


def test_files_that_are_no_store(tmp_path):
    (tmp_path / "text").write_text("these are no tables, only words" * 40)
    with pytest.raises(UserError, match=r"text cannot be used .*nothing was stored"):
        Store(tmp_path / "text")
    later = sqlite3.connect(tmp_path / "later")
    later.execute("PRAGMA user_version = 9")
    later.close()
    with pytest.raises(UserError, match="was written by a later version of ganvas"):
        Store(tmp_path / "later")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        Judging(tmp_path / "file")


def test_a_full_disk_is_said_and_nothing_half_kept(judging, tested):
    """A disk that takes nothing: the answer is refused in plain words, and can be given again once it does."""
    study = judging.add(tested)
    token = judging.join(study, True)
    connected = judging.store._connected

    @contextlib.contextmanager
    def refusing():
        with connected() as database:
            database.execute("PRAGMA query_only = ON")
            yield database

    judging.store._connected = refusing
    with pytest.raises(UserError, match=r"cannot be used .*nothing was stored, try again"):
        judging.answer(study, token, 0, "real")
    judging.store._connected = connected
    assert judging.view(study, token).done == 0
    assert judging.answer(study, token, 0, "real").done == 1
