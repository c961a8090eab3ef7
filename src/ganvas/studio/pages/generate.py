"""*Generate*: pictures of seeds; of each what the discriminator says of it, and the training pictures nearest to it."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from ganvas.data import Prepared
from ganvas.errors import UserError
from ganvas.inspect.nearest import VALUES, nearest_pictures
from ganvas.inspect.sheet import to_rgb
from ganvas.inspect.subject import NotMade, Subject
from ganvas.metrics.pictures import Choice
from ganvas.run import Run
from ganvas.studio.actions import Ask, Name, Seed, action
from ganvas.studio.panel import panel
from ganvas.studio.pictures import uri_of, uris
from ganvas.studio.studio import Studio
from ganvas.viz.grids import to_bytes

TITLE, ADDRESS = "Generate", "generate"
WORDS = "Draw pictures of seeds. Choose one to see what the discriminator says of it, and what it was learnt from."

MOST = 64
"""Pictures at once."""

NEIGHBOURS = 5


class Looking(Ask):
    """A picture."""

    run: Name
    seed: Seed
    label: Annotated[int, Field(ge=0)] | None = None
    truncation: Annotated[float, Field(ge=0.05, le=10)] | None = None


class Drawing(Looking):
    """Pictures of seeds that follow each other."""

    n: Annotated[int, Field(ge=1, le=MOST)]


def fits(studio: Studio) -> bool:
    """Whether a run draws from noise."""
    return bool(studio.fitting(lambda opened: opened.draws))


def build(studio: Studio) -> None:
    """The page."""
    runs = [opened.facts() for opened in studio.fitting(lambda opened: opened.draws)]
    actions = [action(draw, studio), action(look, studio)]
    if not studio.public:
        actions.append(action(neighbours, studio))
    panel("generate", actions, {"runs": runs, "data": not studio.public})


def draw(studio: Studio, asked: Drawing) -> dict[str, Any]:
    """Pictures, and what each is called."""
    with studio.at_work(asked.run) as run:
        pictures = run.sample(asked.n, asked.seed, asked.truncation, classes=asked.label)
        seeds = list(range(asked.seed, asked.seed + asked.n))
        labels = labels_of(run, seeds, asked.label)
        step = run.step
    names = [name_of(run, seed, label) for seed, label in zip(seeds, labels, strict=True)]
    return {"pictures": uris(pictures), "names": names, "seeds": seeds, "labels": labels, "said": f"Step {step:,}"}


def look(studio: Studio, asked: Looking) -> dict[str, Any]:
    """One picture, large, and the discriminator's word on it."""
    with studio.at_work(asked.run) as run:
        picture = picture_of(run, asked)
        answer = {"name": name_of(run, asked.seed, asked.label), "picture": uris(picture)[0], "map": "", "note": ""}
        subject = Subject(run, None, 1, 0)
        try:
            label = None if asked.label is None else torch.tensor([asked.label])
            judged = subject.judge(subject.system_of(run), picture, label)
        except NotMade as why:
            return answer | {"note": f"The discriminator is not asked: {why}."}
    said = [sentence(judged.said(0)), judged.note]
    if judged.decoder is not None:
        said.append(f"Of its pixels {float((judged.decoder[0] > 0).float().mean()):.0%} look real to it")
        answer |= {"map": uri_of(to_rgb(torch.sigmoid(judged.decoder[0]))), "reading": subject.reading()}
    return answer | {"note": " ".join(f"{part}." for part in said if part)}


def neighbours(studio: Studio, asked: Looking) -> dict[str, Any]:
    """The training pictures nearest to one of these, by their pixels."""
    opened = studio.find(asked.run)
    with studio.at_work(asked.run) as run:
        pictures = opened.keep("training pictures", lambda: training_pictures(run))
        if isinstance(pictures, str):
            return {"pictures": [], "names": [], "note": pictures}
        query = torch.from_numpy(to_bytes(picture_of(run, asked)))
        train, total = pictures
        mirrored = run.settings.chosen.data.flip
        left, found, distances = torch.arange(len(train)), [], []
        for _ in range(min(NEIGHBOURS, len(train))):
            distance, place = nearest_pictures(query, train[left], mirrored=mirrored)
            found.append(int(left[place[0]]))
            distances.append(float(distance[0]) / query[0].numel() ** 0.5)
            left = left[left != found[-1]]
    among = f"all {total:,}" if len(train) == total else f"{len(train):,} of {total:,}"
    return {
        "pictures": [uri_of(train[place].numpy()[..., :3]) for place in found],
        "names": [f"{distance:.0f} levels away" for distance in distances],
        "note": f"Among {among}; the root mean square difference of pixels, of 255 levels.",
    }


def training_pictures(run: Run) -> tuple[Tensor, int] | str:
    """As many as pictures are compared with, uint8 (N, H, W, C), and how many there are; words if there are none."""
    try:
        data = Subject(run, None, 1, 0).prepared
    except NotMade as why:
        return f"Not compared: {why}."
    assert isinstance(data, Prepared)
    size, channels = run.config.size, getattr(run.config, "channels", 3)
    chosen = Choice.draw(data, VALUES // (channels * size**2), 0, size)
    return chosen(range(len(chosen))), len(data)


def picture_of(run: Run, asked: Looking) -> Tensor:
    """The picture that is meant, (1, C, H, W)."""
    return run.sample(1, asked.seed, asked.truncation, classes=asked.label)


def labels_of(run: Run, seeds: list[int], label: int | None) -> list[int | None]:
    """The class of each picture; None without classes."""
    count = getattr(run.config, "classes", 0)
    if label is not None and label >= count:
        raise UserError(f"there is no class {label} here")
    return [(label if label is not None else seed % count) if count else None for seed in seeds]


def name_of(run: Run, seed: int, label: int | None) -> str:
    """What a picture is called."""
    return f"seed {seed}" + (f", {run.classes[label]}" if label is not None else "")


def sentence(said: str) -> str:
    """The probability that a discriminator gives, in words."""
    name, _, value = said.rpartition(" ")
    return f"{name}: real with probability {value}" if said else ""
