"""Mean Opinion Scores: people rate enlarged photos from 1 (bad) to 5 (excellent), not knowing what made them.

Ledig et al. 2017 (arXiv 1609.04802, section 3.3): 26 raters, calibrated on nearest-neighbour enlargements as a 1 and on
originals as a 5, rated every method's version of every photo, both of those among them, in random order.

    STUDY/rate.html             shows a rater one picture at a time and gives the file of ratings
    STUDY/pictures/             what is shown, under names that say nothing
    STUDY/answers/rater-01.csv  each rater's pictures in their order, to be filled in
    STUDY/key.json              which is which: not for raters
    STUDY/README.txt            how to go about it
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganvas.data import DataOptions
from ganvas.data.prepare import shown_progress
from ganvas.data.sampler import stream
from ganvas.data.source import Item as SourceItem
from ganvas.data.source import Progress, Unusable, open_source, printable
from ganvas.engine.folder import ganvas_version, to_text
from ganvas.engine.training import Device
from ganvas.errors import UserError
from ganvas.metrics.answers import read_answers, read_key, sha256_of
from ganvas.metrics.opinions import NEAREST, ORIGINAL, WORDS, Opinions, Rater
from ganvas.metrics.photos import (
    AT_ANY_SIZE,
    Photos,
    Pixels,
    cut_to_multiple,
    enlarged,
    enlarger,
    open_photos,
    refuse_too_small,
    scale_of,
    small_version,
)
from ganvas.run import Run, Which
from ganvas.viz.grids import save_png

BICUBIC = "bicubic"
"""A method that needs neither a run nor pictures."""

HEADER = ("picture", "score")
"""Columns of a file of ratings."""

CALIBRATED_ON = 3
"""Photos, at most, that raters are calibrated on: where there are more than are rated, others."""

SCALE = 4
"""By how much photos are enlarged where no run says it."""

LEAST = 16
"""Pixels a side of a photo, at least."""

Maker = Callable[[str, Pixels, Pixels], Pixels]
"""Makes a method's version of a photo, given its name, small version and pixels."""

HOW = """\
{raters} to give {count} pictures a score each, from 1 (bad) to 5 (excellent).

Give raters rate.html and pictures/, but not key.json, and tell each their number. The page first shows {calibration}
pictures with the scores that they stand for, then the others one at a time, in an order of the rater's own, and gives a
file of ratings in the end. Without a browser: look at these first,

{told}
then at the pictures that answers/rater-NN.csv names, in its order, and write their scores into it.

Put the files that come back into answers/, in the place of the empty ones. Then

    ganvas mos score FOLDER

says what they made of it.
"""


@dataclass(frozen=True)
class Item:
    """A picture that is rated.

    Attributes:
        name: Of its file in `pictures/`.
        photo: Name of the photo that it shows.
        method: What made it; `nearest` and `original` are anchors.
    """

    name: str
    photo: str
    method: str


@dataclass(frozen=True)
class Study:
    """Pictures to be rated, and who sees them in which order.

    Attributes:
        folder: Where they are.
        items: By the names of their files.
        methods: What is compared, between the two anchors.
        calibration: Names of the files that raters are shown first, with the scores that they are told.
        orders: For rater 1, 2, ... the names of all items.
    """

    folder: Path
    items: Mapping[str, Item]
    methods: Sequence[str]
    calibration: Sequence[tuple[str, int]]
    orders: Sequence[Sequence[str]]

    def picture(self, name: str) -> Path:
        """The file of a picture."""
        return self.folder / "pictures" / name

    def score(self, raters: Sequence[Rater]) -> Opinions:
        """What raters made of it.

        Raises:
            UserError: Nobody rated anything, or someone a picture that is not there or with other than 1 to 5.
        """
        photos = [*dict.fromkeys(item.photo for item in self.items.values())]
        scores = np.full((len(self.methods), len(raters), len(photos)), np.nan)
        for place, rater in enumerate(raters):
            for name, score in rater.scores.items():
                if name not in self.items:
                    raise UserError(f"{rater.name}: there is no picture {name!r}")
                if score not in WORDS:
                    raise UserError(f"{rater.name}: the score of {name} is a whole number from 1 to 5, not {score!r}")
                item = self.items[name]
                scores[self.methods.index(item.method), place, photos.index(item.photo)] = score
        if np.isnan(scores).all():
            raise UserError("nothing is rated: raters write a score from 1 to 5 beside each picture")
        return Opinions(tuple(self.methods), tuple(raters), tuple(photos), scores)


def prepare(
    truth: str | Path,
    methods: Sequence[str] | Mapping[str, str | Path | Run],
    out: str | Path,
    *,
    raters: int = 1,
    seed: int = 0,
    n: int | None = None,
    scale: int | None = None,
    checkpoint: Which = "newest",
    device: Device = "auto",
    options: DataOptions | None = None,
    progress: bool | Progress = False,
) -> Study:
    """Writes a study: every photo as every method enlarges it, enlarged by nearest neighbours, and as it is.

    Args:
        truth: The photos: a folder, a zip or built-in data; each is cut to a multiple of the scale at the right and the
            bottom. Of two sides the first are their small versions.
        methods: What is compared, by name, or `NAME=PLACE` each: a run, which enlarges the small versions, or pictures
            with the names and sizes of the photos; or `bicubic`, by itself.
        out: A new folder.
        raters: How many, with an order each.
        seed: Of the choice of photos, the orders, the names of files, and runs.
        n: Photos that are rated; by default all.
        scale: By how much photos are enlarged; by default that of the runs, else 4.
        checkpoint: Of runs. A `Run` has its own.
        device: Where runs compute.
        options: How pictures are read.
        progress: As in `ganvas.data.open_pictures`.

    Raises:
        UserError: A method is not there, lacks a photo, or has it at another size or scale; or the folder holds
            something or cannot be written.
    """
    folder = Path(out).expanduser()
    if raters < 1 or (n is not None and n < 1):
        raise UserError(f"a study takes at least 1 rater and 1 photo, not {raters} (--raters) and {n} (--n)")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{printable(str(folder))} is not an empty folder; choose another, or remove what it holds")
    options = options or DataOptions()
    places = {name: _opened(place, device, checkpoint) for name, place in _named(methods).items()}
    scale = _agreed(places, scale)
    with contextlib.ExitStack() as opened, shown_progress(progress) as report:
        photos = opened.enter_context(open_photos(str(truth), options))
        rights = [photos.licence]
        makers: dict[str, Maker] = {NEAREST: lambda name, small, photo: enlarged(small, scale, "nearest")}
        for method, place in places.items():
            if isinstance(place, Run):
                rights.append(place.settings.data["licence"])
                makers[method] = _of_run(place, seed)
            elif method == BICUBIC and place == BICUBIC:
                makers[method] = lambda name, small, photo: enlarged(small, scale, "bicubic")
            else:
                source = opened.enter_context(open_source(place, photos.options))
                rights.append(source.licence)
                makers[method] = _of_pictures(method, photos, source.name, photos.beside(source))
        makers[ORIGINAL] = lambda name, small, photo: photo
        order = stream(seed, "mos photos").permutation(len(photos)).tolist()
        rated, others = sorted(order[:n]), order[n:] if n is not None else []
        shown = others[:CALIBRATED_ON] or rated[:CALIBRATED_ON]
        names = _names(seed)
        items: dict[str, Item] = {}
        calibration: list[tuple[str, int]] = []
        try:
            (folder / "pictures").mkdir(parents=True, exist_ok=True)
            for number in shown:
                name, small, photo = _read(photos, number, scale)
                for method, score in ((NEAREST, min(WORDS)), (ORIGINAL, max(WORDS))):
                    calibration.append((next(names), score))
                    save_png(folder / "pictures" / calibration[-1][0], makers[method](name, small, photo))
            for done, number in enumerate(rated, 1):
                name, small, photo = _read(photos, number, scale)
                for method, maker in makers.items():
                    item = Item(next(names), name, method)
                    items[item.name] = item
                    save_png(folder / "pictures" / item.name, maker(name, small, photo))
                report("photos", done, len(rated))
            orders = [shuffled([*items.values()], stream(seed, "mos order", rater)) for rater in range(1, raters + 1)]
            study = Study(folder, items, [*makers], calibration, orders)
            about = {name: _told(place) for name, place in places.items()}
            facts = {"ganvas": ganvas_version(), "truth": str(truth), "methods": about, "seed": seed, "scale": scale}
            _write(study, facts, [*dict.fromkeys(filter(None, rights))])
        except BaseException as error:
            shutil.rmtree(folder / "pictures", ignore_errors=True)
            if isinstance(error, OSError):
                raise UserError(f"cannot write to {printable(str(folder))}: {error.strerror or error}") from error
            raise
    return study


def load(folder: str | Path) -> Study:
    """A study that `prepare` made.

    Raises:
        UserError: It is none, or a picture of it has changed.
    """
    folder = Path(folder).expanduser()
    key = read_key(folder, "study", ("photo", "method"))
    items = {name: Item(name, of["photo"], of["method"]) for name, of in key["pictures"].items()}
    methods = [NEAREST, *key["methods"], ORIGINAL]
    return Study(folder, items, methods, [(name, score) for name, score in key["calibration"]], key["orders"])


def score(folder: str | Path, answers: Sequence[str | Path] = ()) -> Opinions:
    """What people made of a study.

    Args:
        folder: What `prepare` made.
        answers: A filled-in file for each rater; by default those in `answers/` that are not empty.

    Raises:
        UserError: Something is missing, has changed, or is no score; the message names the row.
    """
    study = load(folder)
    paths = [Path(path).expanduser() for path in answers]
    twice = [path for path, count in Counter(path.resolve() for path in paths).items() if count > 1]
    if twice:
        raise UserError(f"{printable(str(twice[0]))} is given twice: each rater counts once")
    raters = [read(path, study) for path in paths or sorted((study.folder / "answers").glob("*.csv"))]
    if paths:
        for rater in raters:
            if not rater.scores:
                raise UserError(f"nothing is rated in {rater.name}: leave it out, or have it filled in")
    return study.score([rater for rater in raters if rater.scores])


def read(path: Path, study: Study) -> Rater:
    """One rater's file.

    Raises:
        UserError: It cannot be read, or a row of it is no score.
    """
    scores: dict[str, int] = {}
    for place, name, said in read_answers(path, HEADER, study.items):
        if said and said not in map(str, WORDS):
            raise UserError(f"{place}: {said!r} is no score, give 1 to 5, or nothing")
        if said:
            scores[name] = int(said)
    return Rater(printable(str(path)), scores, len(study.items) - len(scores))


def shuffled(items: Sequence[Item], random: np.random.Generator) -> list[str]:
    """The names of items in random order, where no two that follow each other show one photo, if that can be.

    One after another is drawn from those that leave an order possible: no photo may have more left than every second
    place, nor the one just drawn be needed at the next.
    """
    left = [items[place] for place in random.permutation(len(items))]
    counts = Counter(item.photo for item in left)
    order: list[Item] = []
    while left:
        last = order[-1].photo if order else None
        allowed = {photo for photo in counts if photo != last and _possible(photo, counts, len(left) - 1)}
        chosen = next((item for item in left if item.photo in allowed), left[0])
        left.remove(chosen)
        counts[chosen.photo] -= 1
        order.append(chosen)
    return [item.name for item in order]


def _possible(photo: str, counts: Mapping[str, int], rest: int) -> bool:
    """Whether the `rest` can be put in order once this photo, of which there is one left or more, has been shown."""
    others = all(count <= (rest + 1) // 2 for name, count in counts.items() if name != photo)
    return others and 0 < counts[photo] <= rest // 2 + 1


def _named(methods: Sequence[str] | Mapping[str, str | Path | Run]) -> dict[str, str | Path | Run]:
    """The methods by name.

    Raises:
        UserError: There is none, two have one name, or it is one that a method cannot have.
    """
    if isinstance(methods, Mapping):
        pairs = [*methods.items()]
    else:
        pairs = [(BICUBIC, BICUBIC) if text == BICUBIC else (*text.partition("=")[::2],) for text in methods]
    named: dict[str, str | Path | Run] = {}
    for name, place in pairs:
        if not name or not place:
            raise UserError(f"--methods {name or place}: a method is NAME=PLACE, a run or a folder, or bicubic")
        if name in (NEAREST, ORIGINAL) or not re.fullmatch(r"[\w.+-]+", name):
            raise UserError(
                f"a method cannot be called {name!r}: give it letters, digits, dots or dashes, and no anchor's"
            )
        if name in named:
            raise UserError(f"two methods are called {name}: give each a name of its own")
        named[name] = place
    if not named:
        raise UserError("a study compares methods: give --methods NAME=RUN NAME=FOLDER ..., or bicubic")
    return named


def _opened(place: str | Path | Run, device: Device, checkpoint: Which) -> str | Run:
    """A run, or what else is named."""
    if isinstance(place, Run):
        return place
    return Run(place, device, checkpoint=checkpoint) if (Path(place) / "config.json").is_file() else str(place)


def _agreed(places: Mapping[str, str | Run], scale: int | None) -> int:
    """By how much all methods enlarge.

    Raises:
        UserError: They do not agree, or not with what was asked for.
    """
    found = {name: scale_of(place) for name, place in places.items() if isinstance(place, Run)}
    wanted = next(iter(found.values()), SCALE) if scale is None else scale
    if wanted < 2:
        raise UserError(f"a study is of enlargements, by 2 or more, not by {wanted}")
    for name, own in found.items():
        if own != wanted:
            raise UserError(f"{name} enlarges {own} times, and the study {wanted} times: all methods must agree")
    return wanted


def _of_run(run: Run, seed: int) -> Maker:
    enlarge, channels = enlarger(run), run.config.channels

    def made(name: str, small: Pixels, photo: Pixels) -> Pixels:
        if channels == 1:
            gray = np.array(Image.fromarray(small).convert("L"))
            return enlarge(gray[:, :, None], seed).repeat(3, axis=2)
        return enlarge(small, seed)

    return made


def _of_pictures(method: str, photos: Photos, source: str, pictures: Mapping[str, SourceItem]) -> Maker:
    def found(name: str, small: Pixels, photo: Pixels) -> Pixels:
        if name not in pictures:
            raise UserError(f"{method}: {source} has no version of {name}")
        try:
            pixels = photos.pixels(pictures[name], 3, photo.shape[0])
        except Unusable as error:
            raise UserError(f"{method}: {source}: {pictures[name].name}: {error}") from error
        (height, width, _), (tall, wide, _) = photo.shape, pixels.shape
        # A version of the photo as it was before it was cut is cut alike.
        over = height // small.shape[0] - 1
        if not (0 <= tall - height <= over and 0 <= wide - width <= over):
            raise UserError(f"{method}: {source}: {pictures[name].name} has {wide}x{tall} pixels, not {width}x{height}")
        return pixels[:height, :width]

    return found


def _read(photos: Photos, number: int, scale: int) -> tuple[str, Pixels, Pixels]:
    """A photo's name, its small version, and itself.

    Raises:
        UserError: It cannot be used.
    """
    name = photos.items[number][1].name
    try:
        small, photo = photos.read(number, 3, AT_ANY_SIZE)
        photo = cut_to_multiple(photo, scale)
        refuse_too_small(photo, LEAST)
        small = small_version(photo, scale) if small is None else small
        if (photo.shape[0], photo.shape[1]) != (scale * small.shape[0], scale * small.shape[1]):
            raise Unusable(f"it is not {scale} times as high and wide as its small version")
    except Unusable as error:
        raise UserError(f"{photos.name}: {name}: {error}") from error
    return name, small, photo


def _names(seed: int) -> Iterator[str]:
    """Names of files that say nothing, each another."""
    random, used = stream(seed, "mos names"), set[str]()
    while True:
        name = f"{random.bytes(5).hex()}.png"
        if name not in used:
            used.add(name)
            yield name


def _told(place: str | Run) -> str:
    if isinstance(place, Run):
        return f"{place.path}: {place.settings.system} {place.settings.preset}, step {place.step}"
    return place


def _write(study: Study, facts: Mapping[str, Any], rights: Sequence[str]) -> None:
    """The files beside the pictures."""
    folder = study.folder
    key = {
        name: {"photo": item.photo, "method": item.method, "sha256": sha256_of(study.picture(name))}
        for name, item in sorted(study.items.items())
    }
    names = [*study.items, *(name for name, _ in study.calibration)]
    now = time.time()
    for name in names:
        os.utime(study.picture(name), (now, now))  # the order in which they were written tells which is which
    more = {"calibration": study.calibration, "orders": study.orders, "licence": rights, "pictures": key}
    (folder / "key.json").write_bytes(to_text({**facts, **more}))
    (folder / "answers").mkdir()
    digits = max(2, len(str(len(study.orders))))
    for rater, order in enumerate(study.orders, 1):
        rows = [",".join(HEADER), *(f"{name}," for name in order)]
        (folder / "answers" / f"rater-{rater:0{digits}}.csv").write_text("\n".join(rows) + "\n")
    told = "".join(f"    pictures/{name} is {score}, {WORDS[score]}\n" for name, score in study.calibration)
    people = f"{len(study.orders)} raters are" if len(study.orders) > 1 else "1 rater is"
    how = HOW.format(raters=people, count=len(study.items), calibration=len(study.calibration), told=told)
    how += "".join(f"\nThe pictures are made from: {line}\n" for line in rights)
    (folder / "README.txt").write_text(how, encoding="utf-8")
    given = {"calibration": study.calibration, "orders": study.orders, "words": WORDS, "digits": digits}
    page = files("ganvas.metrics").joinpath("mos.html").read_text(encoding="utf-8")
    (folder / "rate.html").write_text(page.replace("{{study}}", json.dumps(given)), encoding="utf-8")
