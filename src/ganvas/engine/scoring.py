"""Scores of a run while it trains: `metrics.jsonl`, the best checkpoint, and stopping when nothing gets better.

A line of `metrics.jsonl` is a JSON object: `step`, `scores` (each with its value and protocol, as `ganvas evaluate`
gives them), `flags`, `seconds` that it took, and `share`, the part of this sitting's time that scoring has taken.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganvas.data import DataOptions, Prepared, Sides
from ganvas.data.described import Described
from ganvas.data.reduced import Reduced
from ganvas.engine.checkpoint import State
from ganvas.engine.distributed import Ranks
from ganvas.engine.files import write_atomically
from ganvas.engine.log import FullDiskGuard, Log, read_stats
from ganvas.engine.training import Training
from ganvas.errors import UserError

if TYPE_CHECKING:
    from ganvas.metrics.watch import Watch

FIRST_SCORE = 60.0
"""Seconds of training before `score_every auto` takes its first score."""


@dataclass
class Scorer:
    """Scores samples against the data at intervals; implements the loop's `Judge`.

    Attributes:
        path: `metrics.jsonl`.
        prepared: The data; None for data without pictures, of which no scores are taken.
        size: Side of the system's pictures, in pixels.
        options: How the data was read.
        training: Settings.
        ranks: This process among the others.
        autocast: Makes the context that networks compute in.
        log: Where scores are told.
        about: What a protocol says about the samples, beside the step.
        best: The step with the best score so far.
        patient: Whether there is reason to train on.
    """

    path: Path
    prepared: Prepared | Sides | Reduced | Described | None
    size: int
    options: DataOptions
    training: Training
    ranks: Ranks
    autocast: Callable[[], AbstractContextManager[object]]
    log: Log
    about: Mapping[str, Any]
    best: int | None = None
    patient: bool = True
    spent: float = 0.0
    began: float = field(default_factory=time.perf_counter)
    off: bool = False

    def __post_init__(self) -> None:
        self.watch: Watch | None = None
        if self.training.score_every == "auto":
            self.off = self.prepared is None
        elif self.training.score_every != 0:
            self.watch = self.open()  # what is missing is said before training, not hours later

    def open(self) -> Watch:
        """The feature network with the pictures to compare with.

        Raises:
            UserError: If there are no pictures, the network cannot be had, or there is no such metric.
        """
        from ganvas.metrics.watch import Watch

        if self.prepared is None:
            raise UserError("scores compare pictures and this data has none: leave --score-every out, or give 0")
        return Watch(self.prepared, self.size, self.options, self.training, self.ranks)

    def start_at(self, step: int) -> None:
        """Forgets the scores past `step`."""
        lines = [line for line in read_stats(self.path) if line["step"] <= step]
        if self.ranks.first and self.path.exists():
            with FullDiskGuard(self.log):
                write_atomically(self.path, "".join(json.dumps(line) + "\n" for line in lines).encode())
        self.best, waited = standing(lines)
        self.patient = not self.training.patience or waited < self.training.patience

    def due(self, step: int) -> bool:
        """Whether samples are to be scored after `step` steps; decided by the first process for all."""
        training = self.training
        every, last = training.score_every, step == training.steps
        if every == 0:
            return False
        if every != "auto":
            return last or step % every == 0
        if not last and step % training.checkpoint_every:
            return False
        return self.ranks.any(self.ranks.first and self.affordable())

    def affordable(self) -> bool:
        """Whether one more score keeps scoring within its share of this sitting's time."""
        elapsed = time.perf_counter() - self.began
        if self.off or elapsed < FIRST_SCORE:
            return False
        started = time.perf_counter()
        try:
            self.watch = self.watch or self.open()
            cost = self.watch.cost()
        except UserError as error:
            self.off = True
            self.log.note(f"no scores while training: {error}")
            return False
        self.spent += time.perf_counter() - started
        return self.spent + cost <= self.training.score_share * (elapsed + cost)

    def __call__(self, state: State) -> None:
        """Scores samples of the averaged weights and takes in whether they are better than before.

        Samples that cannot be scored are told of; they are no reason to stop training.
        """
        start = time.perf_counter()
        self.watch = self.watch or self.open()
        try:
            with state.average.in_place(state.system, self.training.seed):
                found = self.watch.score(state.system, self.autocast, {**self.about, "step": state.step})
        except UserError as error:  # in every process alike
            found = {"n": 0, "scores": {}, "flags": [f"not scored: {error}"]}
        line = {"step": state.step, **found}
        seconds = time.perf_counter() - start
        self.spent += seconds
        share = self.spent / (time.perf_counter() - self.began)
        line |= {"seconds": round(seconds, 2), "share": round(share, 4)}
        lines = [entry for entry in read_stats(self.path) if entry["step"] < state.step] if self.ranks.first else []
        self.best, waited = self.ranks.gather(standing([*lines, line]))[0]
        self.patient = not self.training.patience or waited < self.training.patience
        if not self.patient:
            line["stopped"] = True
        if self.ranks.first:
            with FullDiskGuard(self.log):
                text = "".join(json.dumps(entry) + "\n" for entry in [*lines, line])
                write_atomically(self.path, text.encode())
            self.tell(line)

    def tell(self, line: Mapping[str, Any]) -> None:
        """Shows a line of `metrics.jsonl`, and passes its scores on."""
        self.log.scores(line["step"], {name: score["value"] for name, score in line["scores"].items()})
        values = "  ".join(f"{name} {score['value']:.4g}" for name, score in line["scores"].items()) or "no score"
        best = "the best so far" if self.best == line["step"] else f"best at step {self.best}"
        self.log.note(f"step {line['step']}: {values} ({best}; scoring takes {line['share']:.1%} of the time)")
        for flag in line["flags"]:
            self.log.note(f"step {line['step']}: {flag}")


def standing(lines: list[dict[str, Any]]) -> tuple[int | None, int]:
    """The best step among lines of `metrics.jsonl`, and how many scores have passed without a better one.

    A line's first score decides. Lines of another score than the newest's do not count, nor, for the patience,
    those before a stop that patience ran out at.
    """
    best: tuple[float, int] | None = None
    waited = 0
    newest = next((name for line in reversed(lines) for name in line["scores"]), None)
    for line in lines:
        score = line["scores"].get(newest)
        if score is None or not isinstance(score["value"], int | float):
            continue
        value = score["value"] if score["lower_is_better"] else -score["value"]
        if best is None or value < best[0]:
            best, waited = (value, line["step"]), 0
        else:
            waited += 1
        if line.get("stopped"):
            waited = 0
    return best and best[1], waited


def best_step(path: Path) -> int:
    """The step with the best score in a run's `metrics.jsonl`.

    Raises:
        UserError: If the run has no scores.
    """
    best, _ = standing(read_stats(path))
    if best is None:
        raise UserError(f"{path.parent} has no scores to choose the best checkpoint by: take --checkpoint newest")
    return best
