"""What those who judge see: the line that they agree to, one picture after another, and the end."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ganvas.studio.actions import Ask, action
from ganvas.studio.judging.blind import Judging, View, judging_at
from ganvas.studio.judging.store import NobodysToken
from ganvas.studio.judging.tables import told
from ganvas.studio.panel import panel
from ganvas.studio.studio import Studio

Id = Annotated[str, Field(max_length=40)]
Token = Annotated[str, Field(max_length=100)]
Number = Annotated[int, Field(ge=0, lt=2**31)]


class Arriving(Ask):
    """A person with the address of a study, or of none, and with the token of an earlier visit, or none."""

    study: Id
    token: Token


class Joining(Ask):
    """A person who agrees to take part, or does not."""

    study: Id
    agreed: bool


class Person(Ask):
    """One who takes part."""

    study: Id
    token: Token


class Example(Person):
    """One of the pictures that are shown with their scores."""

    number: Number


class Answer(Person):
    """What a person says of the picture at a place of their order."""

    place: Number
    said: Annotated[str, Field(max_length=20)]


def build(studio: Studio) -> None:
    """The page."""
    functions = (arrive, join, see, example, answer)
    panel("judging", [action(function, studio) for function in functions], None)


def arrive(studio: Studio, asked: Arriving) -> dict[str, Any]:
    """What the study is, and how far the person is in it; or which studies there are."""
    judging = judging_at(studio.work)
    study = asked.study
    if not study:
        there = [one for one in judging.store.studies() if one.closed is None]
        if len(there) != 1:
            return {"studies": [{"id": one.id, "title": one.title} for one in there]}
        study = there[0].id
    known, content = judging.store.study(study), judging.content(study)
    result = judging.result(study) if known.closed else None
    return {
        "study": study,
        "title": known.title,
        "consent": known.consent,
        "question": content.question,
        "choices": [[said, label] for said, label in content.choices.items()],
        "count": len(content.names),
        "examples": len(content.examples),
        "licence": [*content.licence],
        "closed": known.closed is not None,
        "view": _if_known(judging, study, asked.token),
        "result": told(result, people=False) if result else None,
    }


def join(studio: Studio, asked: Joining) -> dict[str, Any]:
    """A token of one's own."""
    return {"token": judging_at(studio.work).join(asked.study, asked.agreed)}


def see(studio: Studio, asked: Person) -> dict[str, Any]:
    """The picture that comes next."""
    return _shown(judging_at(studio.work).view(asked.study, asked.token))


def example(studio: Studio, asked: Example) -> dict[str, Any]:
    """A picture, and the score that it stands for."""
    picture, score = judging_at(studio.work).example(asked.study, asked.token, asked.number)
    return {"picture": picture, "score": str(score)}


def answer(studio: Studio, asked: Answer) -> dict[str, Any]:
    """The picture that comes next, once the answer is on the disk."""
    return _shown(judging_at(studio.work).answer(asked.study, asked.token, asked.place, asked.said))


def _shown(view: View) -> dict[str, Any]:
    return {"count": view.count, "done": view.done, "place": view.place, "picture": view.picture}


def _if_known(judging: Judging, study: str, token: str) -> dict[str, Any] | None:
    try:
        return _shown(judging.view(study, token)) if token else None
    except NobodysToken:
        return None
