"""One run of a study: its folder, its settings, and the commands that make it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganvas.engine.folder import RunFolder, plain
from ganvas.engine.log import read_stats
from ganvas.engine.system import Preset
from ganvas.errors import UserError
from ganvas.run import Run

WHERE = frozenset({"device", "threads", "workers", "cache"})
"""Settings that say where and how fast a run is computed, not what."""

WATCHING = frozenset(
    {"log_every", "grid_every", "grid_images", "checkpoint_every", "keep", "writers"}
    | {"score_every", "score_share", "score_metrics", "score_features", "score_samples"}
)
"""Settings that say what is written down on the way; they change no weights unless a score can end the run."""


@dataclass(frozen=True)
class StudyRun:
    """One run of a study: a variant with a seed.

    Attributes:
        name: `VARIANT/seed-N`.
        variant: Name of the variant.
        seed: Its seed.
        path: Its folder, absolute.
        system: Name of the system.
        preset: Name of the preset it starts from.
        data: The pictures; an absolute path, or the name of built-in data.
        chosen: All its settings.
        changed: Names of the settings that are not left to the preset.
        evaluate: Options of `ganvas evaluate`, None if it is not scored.
        init_from: The run of the study whose weights it starts from, absolute; None for none.
    """

    name: str
    variant: str
    seed: int
    path: Path
    system: str
    preset: str
    data: str
    chosen: Preset
    changed: tuple[str, ...]
    evaluate: dict[str, Any] | None = None
    init_from: str | None = None

    @property
    def log(self) -> Path:
        """The file that its processes write to."""
        return self.path.with_name(f"{self.path.name}.log")

    @property
    def evaluation(self) -> Path:
        """The file of its scores."""
        return self.path / "evaluation.json"

    @property
    def exists(self) -> bool:
        """Whether it was started before."""
        return (self.path / "config.json").exists()

    @property
    def step(self) -> int:
        """Steps that are done and saved."""
        return max(RunFolder(self.path).checkpoints().steps(), default=0)

    @property
    def trained(self) -> bool:
        """Whether it came to its last step, or ran out of patience before."""
        if not self.exists:
            return False
        step = self.step
        stops = [e["step"] for e in read_stats(RunFolder(self.path).stats) if e.get("event") == "out of patience"]
        return step >= self.chosen.training.steps or step in stops[-1:]

    @property
    def scored(self) -> bool:
        """Whether the scores that the study asks for are there."""
        return self.evaluate is None or self._evaluation().get("request") == self.request()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.trained and self.scored

    @property
    def scores(self) -> dict[str, Any]:
        """The scores that `ganvas evaluate` gave it, by name; none if the study asks for none."""
        scores: dict[str, Any] = {} if self.evaluate is None else self._evaluation().get("scores", {})
        return scores

    def _evaluation(self) -> dict[str, Any]:
        """What its file of scores holds; nothing if it is not there."""
        try:
            found = json.loads(self.evaluation.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def request(self) -> dict[str, Any]:
        """What its scores depend on, JSON types."""
        return {"step": self.step, "data": self.data, **(self.evaluate or {})}

    def commands(self) -> list[list[str]]:
        """What is left to do, as arguments of `ganvas`."""
        train = [] if self.trained else [self.train_words()]
        score = [] if self.finished or self.evaluate is None else [self.evaluate_words()]
        return [*train, *score]

    def train_words(self) -> list[str]:
        """Its `ganvas train` or, if it was started before, `ganvas resume`, without the first word."""
        if self.exists:
            return ["resume", str(self.path), f"--steps={self.chosen.training.steps}"]
        values = flat(self.chosen)
        return [
            *("train", self.system, self.preset, f"--data={self.data}", f"--out={self.path}"),
            *([f"--init-from={self.init_from}"] if self.init_from else []),
            *flags({name: values[name] for name in self.changed}),
        ]

    def evaluate_words(self) -> list[str]:
        """Its `ganvas evaluate`, without the first word."""
        return ["evaluate", str(self.path), "--json", *flags({"data": self.data, **(self.evaluate or {})})]

    def refuse_other_settings(self) -> None:
        """Makes sure that what is in its folder, if anything, is this run.

        Raises:
            UserError: If it was trained with other settings, longer, or is not a run.
        """
        if not self.exists:
            RunFolder(self.path).refuse_used()
            return
        there = Run(self.path, "cpu").settings
        wanted: dict[str, Any] = {"system": self.system, "preset": self.preset, "init-from": self.init_from}
        found: dict[str, Any] = {"system": there.system, "preset": there.preset, "init-from": there.init_from}
        wanted["data"], found["data"] = self.data, there.source
        wanted |= flat(self.chosen)
        found |= flat(there.chosen)
        for name in ("precision", "classes", "embedding", "keypoints"):  # stored as they were found to be
            if wanted.get(name) == "auto":
                del wanted[name]
        found["steps"] = max(self.step, wanted["steps"])  # steps that are not done yet can still be decided on
        harmless = WHERE if self.chosen.training.patience else WHERE | WATCHING
        other = [name for name in wanted if name not in harmless and wanted[name] != found.get(name)]
        if other:
            said = ", ".join(f"{name} {found.get(name)!r} instead of {wanted[name]!r}" for name in other)
            raise UserError(f"{self.path} was trained with {said}: choose another --out, or move that run away")


def flat(chosen: Preset) -> dict[str, Any]:
    """All settings of a preset by name, JSON types; no two of its parts share a name."""
    return {**plain(chosen.config), **plain(chosen.training), **plain(chosen.data)}


def flags(values: Mapping[str, Any]) -> list[str]:
    """Options as the command line takes them."""
    words: list[str] = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list):
            words += [f"--{flag}", *map(str, value)]
        else:
            words.append(f"--{flag}={value}")  # one word, so that a value may start with a dash
    return words
