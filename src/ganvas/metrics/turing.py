"""A visual Turing test: people are shown real and generated pictures and say which is which.

Shrivastava et al. 2017 (arXiv 1612.07828, section 3.1): ten people each saw 50 real and 50 refined pictures and were
right in 517 of 1,000 answers, 51.7 %. The p value of 0.148 that the paper gives is one-sided, the probability to be
right at least so often by guessing; two-sided it is 0.297.

    FOLDER/pictures/001.png   what people are shown, in an order that says nothing
    FOLDER/answers.csv        to be filled in, one copy a person
    FOLDER/key.json           which is which
    FOLDER/README.txt         how to go about it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from ganvas import systems
from ganvas.data import DataOptions, Sides, open_data, open_pictures
from ganvas.data.reduced import Reduced
from ganvas.data.sampler import stream
from ganvas.data.source import Progress, printable
from ganvas.engine.folder import ganvas_version, to_text
from ganvas.engine.training import Device
from ganvas.errors import UserError
from ganvas.metrics.answers import read_answers, read_key, sha256_of
from ganvas.metrics.evaluate import first_side
from ganvas.metrics.pictures import Choice, to_side
from ganvas.run import Run, Which
from ganvas.viz.grids import save_png, to_bytes

REAL, GENERATED = "real", "generated"
"""The two answers."""

HEADER = ("picture", "answer")
"""Columns of a file of answers."""

ASKED_FOR = 64
"""Pixels: the side that generated pictures which can be drawn at any size are asked for."""

HOW = """\
pictures/ holds {count} pictures, {n} of them real and {n} generated, in random order.

Give pictures/ and a copy of answers.csv, but not key.json, to each person that you ask. They write `real` or
`generated` beside the name of each picture, and leave empty what they cannot say. Then

    ganvas turing score FOLDER --answers THEIR.csv THEIRS.csv ...

says how often they were right and how likely that is by guessing.
"""


@dataclass(frozen=True)
class Confusion:
    """What was said of what.

    Attributes:
        real_real: Real pictures taken for real.
        real_generated: Real pictures taken for generated.
        generated_real: Generated pictures taken for real.
        generated_generated: Generated pictures taken for generated.
    """

    real_real: int
    real_generated: int
    generated_real: int
    generated_generated: int

    def __add__(self, other: Confusion) -> Confusion:
        """The answers of both."""
        return Confusion(*(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """All four, in their order."""
        return self.real_real, self.real_generated, self.generated_real, self.generated_generated

    @property
    def n(self) -> int:
        """Answers."""
        return sum(self.counts)

    @property
    def correct(self) -> int:
        """Answers that are right."""
        return self.real_real + self.generated_generated

    @property
    def accuracy(self) -> float:
        """Share of the answers that are right."""
        return self.correct / self.n

    def interval(self, method: Literal["exact", "wilson"] = "exact", confidence: float = 0.95) -> tuple[float, float]:
        """A confidence interval for the accuracy, each answer taken for independent of the others.

        Args:
            method: Clopper & Pearson's (1934), which holds what it promises, or Wilson's (1927), which is narrower.
            confidence: Share of such intervals that hold the true accuracy.
        """
        from scipy import stats

        found = stats.binomtest(self.correct, self.n).proportion_ci(confidence, method)
        return float(found.low), float(found.high)

    def p_value(self, alternative: Literal["two-sided", "greater"] = "two-sided") -> float:
        """Probability, by guessing, of an accuracy as far from one half, or (`greater`) at least as high. Exact."""
        from scipy import stats

        return float(stats.binomtest(self.correct, self.n, 0.5, alternative).pvalue)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "n": self.n,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval_exact": self.interval(),
            "interval_wilson": self.interval("wilson"),
            "p_two_sided": self.p_value(),
            "p_one_sided": self.p_value("greater"),
            "confusion": {
                REAL: {REAL: self.real_real, GENERATED: self.real_generated},
                GENERATED: {REAL: self.generated_real, GENERATED: self.generated_generated},
            },
        }

    def lines(self) -> list[str]:
        """For people to read."""
        intervals = (self.interval(), self.interval("wilson"))
        exact, wilson = (f"{100 * low:.1f} to {100 * high:.1f} %" for low, high in intervals)
        return [
            f"{self.correct} of {self.n} right, {100 * self.accuracy:.1f} % (95 % interval {exact}, Wilson's {wilson})",
            f"by guessing: p = {self.p_value():.3g} two-sided, {self.p_value('greater'):.3g} for as many or more",
            "             said real  said generated",
            f"real        {self.real_real:10}  {self.real_generated:14}",
            f"generated   {self.generated_real:10}  {self.generated_generated:14}",
        ]


@dataclass(frozen=True)
class Subject:
    """One person's answers.

    Attributes:
        name: Of the file.
        confusion: What was said of what.
        unanswered: Pictures of which nothing was said.
    """

    name: str
    confusion: Confusion
    unanswered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a test went.

    Attributes:
        subjects: The people that were asked.
    """

    subjects: tuple[Subject, ...]

    @property
    def pooled(self) -> Confusion:
        """The answers of all of them."""
        return sum((subject.confusion for subject in self.subjects), Confusion(0, 0, 0, 0))

    def to_json(self) -> dict[str, Any]:
        """As JSON types: the pooled answers, and those of each person under `subjects`."""
        subjects = [
            {"name": one.name, "unanswered": list(one.unanswered)}
            | (one.confusion.to_json() if one.confusion.n else {"n": 0})
            for one in self.subjects
        ]
        return self.pooled.to_json() | {"subjects": subjects}

    def lines(self) -> list[str]:
        """For people to read."""
        lines = []
        for subject in self.subjects:
            lines += [f"{subject.name}:"] if len(self.subjects) > 1 else []
            lines += subject.confusion.lines() if subject.confusion.n else ["nothing answered"]
            if subject.unanswered:
                lines.append(f"unanswered, left out ({len(subject.unanswered)}): {', '.join(subject.unanswered)}")
        return lines + ([f"all {len(self.subjects)}:", *self.pooled.lines()] if len(self.subjects) > 1 else [])


def prepare(
    real: str | Path,
    generated: str | Path | Run,
    out: str | Path,
    *,
    n: int = 50,
    seed: int = 0,
    size: int | None = None,
    direction: str = "AtoB",
    checkpoint: Which = "newest",
    device: Device = "auto",
    options: DataOptions | None = None,
    progress: bool | Progress = False,
) -> Path:
    """Writes the pictures of a test, all of one size and format, with the answers apart from them.

    Args:
        real: The real pictures: a folder, a zip or built-in data.
        generated: A run, which draws them, or translates pictures of the data that it was trained on; or pictures.
        out: A new folder.
        n: Real pictures, and as many generated ones.
        seed: Of the choice and the order of pictures, and of the first one that a run draws.
        size: Side that all are brought to, pixels; by default the run's, or that of the first generated picture.
        direction: Of a run that translates.
        checkpoint: Of a run. A `Run` has its own.
        device: Where a run computes.
        options: How pictures are read; by default as the run was trained.
        progress: As in `ganvas.data.open_pictures`.

    Returns:
        The folder.

    Raises:
        UserError: There are not enough pictures, the folder holds something, or it cannot be written.
    """
    folder = Path(out).expanduser()
    if n < 1:
        raise UserError(f"--n {n}: a test takes at least 1 picture of each kind")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{printable(str(folder))} is not an empty folder; choose another, or remove what it holds")
    run: Run | None = generated if isinstance(generated, Run) else None
    if run is None and (Path(str(generated)) / "config.json").is_file():
        run = Run(str(generated), device, checkpoint=checkpoint)
    read = replace(options or (run.settings.chosen.data if run else DataOptions()), load_size=0)
    side = size or (run.config.size if run else first_side(str(generated), read, ASKED_FOR))
    if run is not None:
        theirs, origins, about = _of_run(run, n, seed, side, direction, progress)
        licence = run.settings.data["licence"]
    else:
        theirs, origins, licence = _of_source(str(generated), GENERATED, read, n, seed, side, 3, progress)
        about = str(generated)
    ours, names, own = _of_source(str(real), REAL, read, n, seed, side, theirs.shape[3], progress)
    pictures = [*((REAL, name, of) for name, of in zip(names, ours, strict=True))]
    pictures += [(GENERATED, name, of) for name, of in zip(origins, theirs, strict=True)]
    order = stream(seed, "turing order").permutation(len(pictures))
    digits = max(3, len(str(len(order))))
    key: dict[str, Any] = {}
    rights = [*dict.fromkeys(filter(None, (own, licence)))]
    try:
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        for number, place in enumerate(order, 1):
            kind, name, pixels = pictures[place]
            path = folder / "pictures" / f"{number:0{digits}}.png"
            save_png(path, pixels)  # without the texts that other pictures carry: they would tell
            key[path.name] = {"is": kind, "from": name, "sha256": sha256_of(path)}
        facts = {"ganvas": ganvas_version(), REAL: str(real), GENERATED: about, "seed": seed, "size": side}
        (folder / "key.json").write_bytes(to_text(facts | {"licence": rights, "pictures": key}))
        (folder / "answers.csv").write_text("".join([",".join(HEADER) + "\n", *(f"{name},\n" for name in key)]))
        how = HOW.format(count=2 * n, n=n) + "".join(f"\nThe pictures are made from: {line}\n" for line in rights)
        (folder / "README.txt").write_text(how, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {printable(str(folder))}: {error.strerror or error}") from error
    return folder


def score(folder: str | Path, answers: Sequence[str | Path] = ()) -> Outcome:
    """How often people were right.

    Args:
        folder: What `prepare` made.
        answers: A filled-in file for each person; by default `answers.csv` in the folder.

    Raises:
        UserError: Something is missing, has changed, or is no answer; the message names the row.
    """
    folder = Path(folder).expanduser()
    key = {name: of["is"] for name, of in read_key(folder, "test", ("is",))["pictures"].items()}
    subjects = [_subject(Path(path).expanduser(), key) for path in answers or [folder / "answers.csv"]]
    if not any(subject.confusion.n for subject in subjects):
        raise UserError(f"nothing is answered in {subjects[0].name}: write {REAL} or {GENERATED} beside the pictures")
    return Outcome(tuple(subjects))


def judge(key: Mapping[str, str], answers: Mapping[str, str]) -> Confusion:
    """What was said of what.

    Args:
        key: `real` or `generated` for every picture.
        answers: The same as it was said, of any of them.
    """
    pairs = [(key[name], said) for name, said in answers.items()]
    return Confusion(*(pairs.count((true, said)) for true in (REAL, GENERATED) for said in (REAL, GENERATED)))


def _of_source(
    spec: str, kind: str, options: DataOptions, n: int, seed: int, side: int, channels: int, progress: bool | Progress
) -> tuple[UInt8[np.ndarray, "n S S C"], list[str], str | None]:
    """Pictures chosen from a source, their names and its licence."""
    data = open_pictures(spec, options, size=side, channels=channels, progress=progress)
    if len(data) < n:
        raise UserError(f"{data.source} has {len(data)} pictures, and the test takes {n}: give --n {len(data)} or less")
    rows = stream(seed, f"turing {kind}").permutation(len(data))[:n]
    return np.asarray(data.images[rows]), [data.names[row] for row in rows], data.licence


def _of_run(
    run: Run, n: int, seed: int, side: int, direction: str, progress: bool | Progress
) -> tuple[UInt8[np.ndarray, "n S S C"], list[str], str]:
    """Pictures that a run draws or translates, where each comes from, and what the run is."""
    about = f"{run.settings.system} {run.settings.preset}, step {run.step}"
    config = run.config
    if config.size == 1:
        raise UserError(f"{run.path} draws points, not pictures, which nobody can tell from real ones by looking")
    if not systems.find(run.settings.system).SYSTEM.sides:
        found, origins = run.sample(n, seed), [f"seed {seed + i}" for i in range(n)]
    else:
        translator = run.translator(direction)
        direction, about = translator.direction, f"{about}, {translator.direction}"
        data = open_data(
            run.settings.source, run.settings.chosen.data, size=config.size, channels=config.channels,
            source_channels=config.source_channels, sides=run.system.sides, scale=run.system.scale, progress=progress,
        )  # fmt: skip
        if isinstance(data, Reduced):
            choice = chosen = Choice.of_photos(data, n, seed, config.size)
        else:
            assert isinstance(data, Sides)
            choice = Choice.of_sides(data, n, seed, config.size, direction)
            assert choice.sources is not None
            chosen = choice.sources
        if len(chosen) < n:
            raise UserError(f"{data.name} has {len(chosen)} pictures to translate, and the test takes {n}")
        found = run.translate(choice.conditions(range(n))["source"], seed, direction)
        origins = [f"{chosen.data.names[row]}, seed {seed + i}" for i, row in enumerate(chosen.rows[:n])]
    if found.shape[1] not in (1, 3):
        raise UserError(f"{run.path} draws pictures of {found.shape[1]} channels, and people see 1 or 3")
    return to_side(to_bytes(found), side), origins, about


def _subject(path: Path, key: Mapping[str, str]) -> Subject:
    """One person's file.

    Raises:
        UserError: It cannot be read, or a row of it is no answer.
    """
    answers: dict[str, str] = {}
    for place, name, said in read_answers(path, HEADER, key):
        if said and said.lower() not in (REAL, GENERATED):
            raise UserError(f"{place}: {said!r} is no answer, give {REAL} or {GENERATED}, or nothing")
        if said:
            answers[name] = said.lower()
    return Subject(printable(str(path)), judge(key, answers), tuple(name for name in key if name not in answers))
