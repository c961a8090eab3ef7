"""Studies of people as they are judged in the studio: which pictures, in which order, and what the answers amount to.

What `ganvas turing prepare` and `ganvas mos prepare` wrote is read here, and what their `score` says comes out.
"""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from PIL import Image

from ganvas.data.sampler import stream
from ganvas.data.source import printable
from ganvas.errors import UserError
from ganvas.metrics import mos, turing
from ganvas.metrics.answers import read_key, sha256_of
from ganvas.metrics.opinions import WORDS, Opinions, Rater

Said = Mapping[str, Mapping[str, str]]
"""By the names of people, what each said of pictures, by the names of these."""


@dataclass(frozen=True, eq=False)
class TuringTest:
    """A visual Turing test: each picture is said to be real or generated.

    Attributes:
        folder: What `ganvas turing prepare` made.
        seed: Of the orders.
        licence: Lines of attribution.
        key: `real` or `generated` for the name of every picture.
    """

    folder: Path
    seed: int
    licence: Sequence[str]
    key: Mapping[str, str]

    question: ClassVar[str] = "Is this picture real, or was it generated?"
    choices: ClassVar[Mapping[str, str]] = {turing.REAL: "real", turing.GENERATED: "generated"}
    header: ClassVar[tuple[str, str]] = turing.HEADER
    examples: ClassVar[Sequence[tuple[str, int]]] = ()

    @property
    def names(self) -> Sequence[str]:
        """Of the pictures."""
        return [*self.key]

    def order(self, number: int) -> list[str]:
        """The pictures as person `number` sees them: at random, and the same when the person comes back."""
        return stream(self.seed, "turing judge", number).permutation(self.names).tolist()

    def result(self, said: Said) -> turing.Outcome:
        """How often people were right."""
        subjects = (
            turing.Subject(name, turing.judge(self.key, answers), tuple(of for of in self.key if of not in answers))
            for name, answers in said.items()
        )
        return turing.Outcome(tuple(subjects))


@dataclass(frozen=True, eq=False)
class OpinionTest:
    """Mean opinion scores: each picture is given 1 (bad) to 5 (excellent), after examples of both ends.

    Attributes:
        folder: What `ganvas mos prepare` made.
        seed: Of the orders.
        licence: Lines of attribution.
        study: What is in it.
    """

    folder: Path
    seed: int
    licence: Sequence[str]
    study: mos.Study

    question: ClassVar[str] = "How good is this picture, as a photograph?"
    choices: ClassVar[Mapping[str, str]] = {str(score): f"{score} {word}" for score, word in WORDS.items()}
    header: ClassVar[tuple[str, str]] = mos.HEADER

    @property
    def examples(self) -> Sequence[tuple[str, int]]:
        """Pictures that people see first, with the scores that they stand for."""
        return self.study.calibration

    @property
    def names(self) -> Sequence[str]:
        """Of the pictures, without the examples."""
        return [*self.study.items]

    def order(self, number: int) -> list[str]:
        """The pictures as person `number` sees them: at random, but two versions of a photo not in a row."""
        return mos.shuffled([*self.study.items.values()], stream(self.seed, "mos order", number))

    def result(self, said: Said) -> Opinions:
        """The mean opinion scores."""
        raters = [
            Rater(name, {of: int(score) for of, score in answers.items()}, len(self.names) - len(answers))
            for name, answers in said.items()
        ]
        return self.study.score(raters)


Study = TuringTest | OpinionTest


def open_study(folder: Path) -> Study:
    """A study that one of the two commands made.

    Raises:
        UserError: It is none, or a picture of it has changed, is missing or has a strange name.
    """
    key = read_key(folder, "study", ())
    shown = printable(str(folder))
    seed, pictures = key.get("seed"), key["pictures"]
    if not pictures or not isinstance(seed, int):
        raise UserError(f"{shown} holds no study: make one with `ganvas turing prepare` or `ganvas mos prepare`")
    rights = [str(line) for line in key.get("licence", ())]
    if "calibration" in key:
        study: Study = OpinionTest(folder, seed, rights, mos.load(folder))
    else:
        kinds = read_key(folder, "study", ("is",))["pictures"]
        study = TuringTest(folder, seed, rights, {name: of["is"] for name, of in kinds.items()})
    for name in [*study.names, *(name for name, _ in study.examples)]:
        if not re.fullmatch(r"[\w-]+\.png", name, re.ASCII) or not (folder / "pictures" / name).is_file():
            raise UserError(f"{shown}: there is no picture {name!r}, of which key.json speaks: make the study anew")
    return study


def key_of(folder: Path) -> str:
    """SHA-256 of a study's key, in which are those of its pictures.

    Raises:
        UserError: There is none.
    """
    try:
        return sha256_of(folder / "key.json")
    except OSError:
        raise UserError(f"{printable(str(folder))} holds no study: it has no key.json") from None


def data_uri(study: Study, name: str) -> str:
    """A picture for a page: PNG of 8-bit colour, written anew, so that no file tells more than its pixels do.

    Raises:
        UserError: It cannot be read any more.
    """
    try:
        with Image.open(study.folder / "pictures" / name) as image:
            plain = Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())
    except OSError:
        raise UserError("a picture of this study cannot be read any more: tell who asked you") from None
    file = io.BytesIO()
    plain.save(file, "PNG", compress_level=1)  # three times as fast as the default, a tenth larger
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def as_csv(study: Study, answers: Mapping[str, str]) -> str:
    """A person's answers as `ganvas turing score` and `ganvas mos score` read them, with a line for every picture."""
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(study.header)
    rows.writerows((name, answers.get(name, "")) for name in study.names)
    return file.getvalue()
