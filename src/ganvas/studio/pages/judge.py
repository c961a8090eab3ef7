"""*Judge*: blind studies, for those who ask people; what these see is `ganvas.studio.judging.page`."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from typing import Annotated, Any

from pydantic import Field

from ganvas.errors import UserError
from ganvas.studio.actions import Ask, Line, Name, Seed, action
from ganvas.studio.judging.blind import CONSENT, LONGEST, Judging, judging_at
from ganvas.studio.judging.store import Opened as OpenStudy
from ganvas.studio.judging.tables import told
from ganvas.studio.panel import panel
from ganvas.studio.studio import Opened, Studio

TITLE, ADDRESS = "Judge", "studies"
WORDS = (
    "Ask people what they see, blind: which pictures are real, or how good enlarged photos are. "
    "Give them the address of a study; nothing on their page says what made a picture."
)

MOST_PICTURES = 200
"""Of each kind, or photos, in a study that is made here."""

MOST_METHODS = 8


class Nothing(Ask):
    """No question."""


class Texts(Ask):
    """What people are told."""

    title: Line
    consent: Line


class Adding(Texts):
    """A study that lies in the studio's folder."""

    folder: Name


class Making(Texts):
    """A study of runs."""

    runs: Annotated[list[Name], Field(min_length=1, max_length=MOST_METHODS)]
    n: Annotated[int, Field(ge=1, le=MOST_PICTURES)]
    seed: Seed


class Which(Ask):
    """A study."""

    study: Annotated[str, Field(max_length=40)]


def fits(studio: Studio) -> bool:
    """Everywhere but before strangers: studies are files."""
    return not studio.public


def build(studio: Studio) -> None:
    """The page."""
    facts = {
        "draw": [opened.name for opened in studio.fitting(shows_pictures)],
        "enlarge": [opened.name for opened in studio.fitting(enlarges)],
        "consent": CONSENT,
        "longest": LONGEST,
        "work": str(studio.work / "studies"),
    }
    functions = (studies, add, ask_real, ask_opinions, result, close)
    panel("studies", [action(function, studio) for function in functions], facts)


def shows_pictures(opened: Opened) -> bool:
    """Whether its pictures can be taken for real: it draws them, or makes them of others at their own size."""
    return opened.draws or (opened.translates and not enlarges(opened))


def enlarges(opened: Opened) -> bool:
    """Whether it makes photos larger."""
    return opened.translates and opened.untrained.scale > 1


def studies(studio: Studio, asked: Nothing) -> dict[str, Any]:
    """All studies with how far they are, and the folders that could become one."""
    judging = judging_at(studio.work)
    return {"studies": [_row(judging, one) for one in judging.store.studies()], "folders": judging.found()}


def add(studio: Studio, asked: Adding) -> dict[str, Any]:
    """Opens a study that one of the two commands put into the studio's folder."""
    judging = judging_at(studio.work)
    if asked.folder not in judging.found():
        raise UserError("there is no such study in the studio's folder: reload the page")
    return _opened(judging, judging.add(judging.place / "studies" / asked.folder, asked.title, asked.consent))


def ask_real(studio: Studio, asked: Making) -> dict[str, Any]:
    """Makes a visual Turing test of the first run's pictures and those that it learnt from."""
    judging = judging_at(studio.work)
    with studio.at_work(asked.runs[0]) as run:
        folder = judging.make_turing(run, asked.n, asked.seed)
    return _opened(judging, judging.add(folder, asked.title, asked.consent))


def ask_opinions(studio: Studio, asked: Making) -> dict[str, Any]:
    """Makes a study of photos of the first run's data, enlarged by all of the runs."""
    judging = judging_at(studio.work)
    if len(set(asked.runs)) < len(asked.runs):
        raise UserError("a run is named twice: name each once")
    runs = {}
    for name in asked.runs:
        with studio.at_work(name) as run:
            runs[re.sub(r"[^\w.+-]", "-", name)] = run
    truth = studio.find(asked.runs[0]).settings.source
    with studio.at_work(asked.runs[0]):
        folder = judging.make_mos(truth, runs, asked.n, asked.seed)
    return _opened(judging, judging.add(folder, asked.title, asked.consent))


def result(studio: Studio, asked: Which) -> dict[str, Any]:
    """What a study amounts to so far, and everybody's answers as files."""
    judging = judging_at(studio.work)
    found = judging.result(asked.study)
    row = _row(judging, judging.store.study(asked.study))
    if found is None:
        return {"row": row, "result": None, "said": "Nobody has answered anything yet."}
    numbers = json.dumps(found.to_json(), indent=2).encode()
    files = {
        "answers.zip": _uri("application/zip", _zipped(judging.csvs(asked.study))),
        "result.json": _uri("application/json", numbers),
    }
    return {"row": row, "result": told(found, people=True), "files": files}


def close(studio: Studio, asked: Which) -> dict[str, Any]:
    """Takes no more answers; those who judged see the result from now on."""
    judging = judging_at(studio.work)
    judging.close(asked.study)
    return {"row": _row(judging, judging.store.study(asked.study)), "said": "The study is closed."}


def _opened(judging: Judging, study: str) -> dict[str, Any]:
    return {"study": study, "said": "The study is open. Give people its address."}


def _row(judging: Judging, study: OpenStudy) -> dict[str, Any]:
    people, answers = judging.store.count(study.id)
    return {
        "id": study.id,
        "title": study.title,
        "folder": study.folder.name,
        "people": people,
        "answers": answers,
        "closed": (study.closed or "")[:16].replace("T", " "),
    }


def _zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
