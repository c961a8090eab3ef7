"""Blind studies with several people at once: who sees which picture next, what may be answered, and the result.

    PLACE/judging.sqlite3    who agreed to take part, and every answer
    PLACE/studies/           studies that were made here, or that either command was told to put here

A page knows its picture only as the number of its place in the person's own order, so nothing on it tells pictures of
one kind from those of another. The answer that a person gives a picture first counts: one that is sent twice, by a
double click or over a bad line, changes nothing, and nobody goes back to a picture after having seen others.
"""

from __future__ import annotations

import contextlib
import functools
import json
import secrets
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganvas.data import Sides, open_data
from ganvas.data.source import printable
from ganvas.engine.folder import to_text
from ganvas.errors import UserError
from ganvas.metrics import mos, turing
from ganvas.metrics.opinions import Opinions
from ganvas.metrics.pictures import Choice
from ganvas.run import Run
from ganvas.studio.judging.store import MOST_PEOPLE, Person, Store
from ganvas.studio.judging.studies import Study, as_csv, data_uri, key_of, open_study
from ganvas.systems import find
from ganvas.viz.grids import save_png

CONSENT = (
    "I take part of my own free will and may stop at any time. My answers are kept with the time at which I give them, "
    "without my name."
)
"""What people agree to where who asks them gives no line of their own."""

LONGEST = 300
"""Characters of a title or a line of consent."""

KEPT = 128
"""Pictures held in memory as they go to pages."""


@dataclass(frozen=True)
class View:
    """What a person sees next.

    Attributes:
        count: Pictures in all.
        done: Of them the person has answered so many.
        place: Of the picture, from 0; None when all are answered.
        picture: It, as a `data:` address; empty when all are answered.
    """

    count: int
    done: int
    place: int | None
    picture: str


class Judging:
    """The studies of a studio."""

    def __init__(self, place: Path) -> None:
        """Opens what is kept there, or begins.

        Args:
            place: A folder, which is made if it is not there.

        Raises:
            UserError: It cannot be written to, or what it holds is of a later version.
        """
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {printable(str(place))}: {error.strerror or error}") from error
        self.place = place
        self.store = Store(place / "judging.sqlite3")
        self._begun: set[str] = set()
        self._content = functools.lru_cache(maxsize=KEPT)(self._opened)
        self._order = functools.lru_cache(maxsize=MOST_PEOPLE)(lambda study, number: self._content(study).order(number))
        self._picture = functools.lru_cache(maxsize=KEPT)(lambda study, name: data_uri(self._content(study), name))

    def add(self, folder: str | Path, title: str = "", consent: str = "") -> str:
        """Opens a study for people to take part in.

        Args:
            folder: What `ganvas turing prepare` or `ganvas mos prepare` made.
            title: What people are told it is; by default no more than what they are asked.
            consent: What they agree to; by default `CONSENT`.

        Returns:
            Its id; the one it has, if it is open already.

        Raises:
            UserError: It is no study, or a text is too long.
        """
        place = Path(folder).expanduser().resolve()
        study = open_study(place)
        texts = [" ".join(text.split()) for text in (title, consent)]
        if max(map(len, texts)) > LONGEST:
            raise UserError(f"a title and a line of consent have {LONGEST} characters at most: shorten it")
        return self.store.add_study(place, key_of(place), texts[0] or study.question, texts[1] or CONSENT)

    def make_turing(self, run: Run, n: int = 20, seed: int = 0) -> Path:
        """Makes a visual Turing test of the pictures that a run learnt from and of its own.

        Args:
            run: Draws its pictures, or translates pictures of its data.
            n: Pictures of each kind.
            seed: As in `ganvas.metrics.turing.prepare`.

        Returns:
            Its folder, for `add`.

        Raises:
            UserError: As there.
        """
        source, folder = run.settings.source, self._new_folder()
        if not find(run.settings.system).SYSTEM.sides:
            return turing.prepare(source, run, folder, n=n, seed=seed)
        with tempfile.TemporaryDirectory() as place:
            write_targets(run, n, seed, Path(place))
            turing.prepare(place, run, folder, n=n, seed=seed)
        key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
        (folder / "key.json").write_bytes(to_text(key | {turing.REAL: source}))
        return folder

    def make_mos(self, truth: str, runs: Mapping[str, Run], n: int = 10, seed: int = 0) -> Path:
        """Makes a study of enlarged photos, with bicubic interpolation for comparison.

        Args:
            truth: As in `ganvas.metrics.mos.prepare`.
            runs: By the names that their methods have in the result.
            n: Photos.
            seed: As there.

        Returns:
            Its folder, for `add`.

        Raises:
            UserError: As there.
        """
        methods: dict[str, str | Path | Run] = {mos.BICUBIC: mos.BICUBIC, **runs}
        return mos.prepare(truth, methods, self._new_folder(), n=n, seed=seed).folder

    def found(self) -> list[str]:
        """Names of the folders in PLACE/studies/ that hold a study, whether it is open or not."""
        return sorted(path.parent.name for path in (self.place / "studies").glob("*/key.json"))

    def content(self, study: str) -> Study:
        """What a study is of.

        Raises:
            UserError: There is none with this id, or it is not what it was when it was opened.
        """
        content = self._content(self.store.study(study).id)
        if study not in self._begun:
            self._begun.add(study)
            # While the first person reads what it is about; afterwards ten would wait for pictures at once.
            threading.Thread(target=self._prepare, args=(study, content.names[:KEPT]), daemon=True).start()
        return content

    def join(self, study: str, agreed: bool) -> str:
        """Lets a person in who agrees to the line of consent.

        Returns:
            The token with which only this person answers and comes back.

        Raises:
            UserError: The person does not agree, or the study is closed, full or not there.
        """
        if agreed is not True:
            raise UserError("nobody takes part without agreeing to the line above: tick it, or leave")
        self.content(study)
        return self.store.join(study)

    def view(self, study: str, token: str) -> View:
        """What a person sees next: the first picture in their order that they have not answered.

        Raises:
            UserError: The study is not there, or the token is nobody's in it.
        """
        return self._view(study, self.store.person(study, token))

    def example(self, study: str, token: str, number: int) -> tuple[str, int]:
        """One of the pictures that people see first, as a `data:` address, and the score that it stands for.

        Raises:
            UserError: As `view` does, or there is no such example.
        """
        self.store.person(study, token)
        examples = self._content(study).examples
        if not _is_below(number, len(examples)):
            raise UserError(f"there are {len(examples)} examples, and none with this number")
        name, score = examples[number]
        return self._picture(study, name), score

    def answer(self, study: str, token: str, place: int, said: str) -> View:
        """Keeps an answer, on the disk before this returns, unless the picture has one.

        Args:
            study: Its id.
            token: The person's.
            place: Of the picture that was shown.
            said: One of the study's `choices`.

        Returns:
            What the person sees next.

        Raises:
            UserError: As `view` does; or it is no answer, the picture has not been shown, or the study is closed.
        """
        person = self.store.person(study, token)
        content, order = self._content(study), self._order(study, person.number)
        if not isinstance(said, str) or said not in content.choices:
            raise UserError(f"this is no answer: give {' or '.join(content.choices)}")
        if not _is_below(place, len(order)):
            raise UserError(f"the study has {len(order)} pictures, and none with this number")
        if order[place] not in person.answers:
            if place != _first_open(order, person):
                raise UserError("this picture has not been shown yet: answer the one that is")
            person = self.store.answer(study, person, order[place], said)
        return self._view(study, person)

    def close(self, study: str) -> None:
        """Ends a study: no more answers are taken, and those who judged may see the result.

        Raises:
            UserError: There is none with this id.
        """
        self.store.close(self.store.study(study).id)

    def said(self, study: str) -> dict[str, dict[str, str]]:
        """What each person said, of all who answered anything: by `person-01`, ..., and the names of pictures.

        Raises:
            UserError: There is no such study.
        """
        people = self.store.people(self.store.study(study).id)
        digits = max(2, len(str(len(people))))
        return {f"person-{one.number:0{digits}}": one.answers for one in people if one.answers}

    def result(self, study: str) -> turing.Outcome | Opinions | None:
        """What it amounts to; None while nobody has answered anything.

        Raises:
            UserError: There is no such study, or it is not what it was when it was opened.
        """
        said = self.said(study)
        return self.content(study).result(said) if said else None

    def csvs(self, study: str) -> dict[str, str]:
        """By the names of files, one a person, what `ganvas turing score` or `ganvas mos score` reads.

        Raises:
            UserError: As `result` does.
        """
        content = self.content(study)
        return {f"{name}.csv": as_csv(content, answers) for name, answers in self.said(study).items()}

    def _opened(self, study: str) -> Study:
        known = self.store.study(study)
        if key_of(known.folder) != known.key:
            raise UserError(
                f"{printable(str(known.folder))} holds other pictures than when this study was opened: put those back, "
                "or open it as a new study"
            )
        return open_study(known.folder)

    def _prepare(self, study: str, names: Sequence[str]) -> None:
        with contextlib.suppress(UserError):
            for name in names:
                self._picture(study, name)

    def _view(self, study: str, person: Person) -> View:
        order = self._order(study, person.number)
        place = _first_open(order, person)
        picture = "" if place is None else self._picture(study, order[place])
        return View(len(order), len(person.answers), place, picture)

    def _new_folder(self) -> Path:
        return self.place / "studies" / secrets.token_hex(6)


def write_targets(run: Run, n: int, seed: int, folder: Path) -> None:
    """Writes pictures of the side that a run translates into: other pairs than it translates, if there are enough.

    Raises:
        UserError: The data cannot be read or has too few.
    """
    config = run.config
    data = open_data(
        run.settings.source, run.settings.chosen.data, size=config.size, channels=config.channels,
        source_channels=config.source_channels, sides=run.system.sides, scale=run.system.scale,
    )  # fmt: skip
    if not isinstance(data, Sides):
        raise UserError(f"{run.path} enlarges photos: ask how good they are")
    choice = Choice.of_sides(data, 2 * n, seed, config.size)
    if len(choice) < n:
        raise UserError(f"{data.name} has {len(choice)} pictures, and the test takes {n} of each kind: take fewer")
    numbers = range(len(choice))[-n:]
    for row, picture in zip(choice.rows[-n:], choice(numbers), strict=True):
        save_png(folder / f"{row}.png", picture.numpy())


@functools.cache
def judging_at(place: Path) -> Judging:
    """The studies that are kept in a folder, the same for all pages.

    Raises:
        UserError: As `Judging` does.
    """
    return Judging(place)


def _first_open(order: list[str], person: Person) -> int | None:
    return next((place for place, name in enumerate(order) if name not in person.answers), None)


def _is_below(number: object, count: int) -> bool:
    """Whether it is one of 0 ... count - 1; what comes from a page may be anything."""
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < count
