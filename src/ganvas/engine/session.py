"""One sitting of a run: everything put together around the loop."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ganvas.data import Data, Described, Points, Sides
from ganvas.engine.checkpoint import MODEL, Checkpoint, State, load_model
from ganvas.engine.distributed import Ranks
from ganvas.engine.ema import Average
from ganvas.engine.folder import RunFolder, Settings, one_line
from ganvas.engine.lock import TrainingLock, refusal
from ganvas.engine.log import FullDiskGuard, Log
from ganvas.engine.loop import Loop
from ganvas.engine.precision import autocast
from ganvas.engine.preview import Preview
from ganvas.engine.scoring import Scorer
from ganvas.engine.signals import StopRequest
from ganvas.engine.system import System
from ganvas.engine.writers import check_writers, open_writers
from ganvas.errors import UserError

FIRST_BATCHES = 10
"""Training batches that a new system may look at before its first step."""


def train_run(
    folder: RunFolder,
    settings: Settings,
    prepared: Data,
    system: System,
    ranks: Ranks,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Trains a system in a run's folder, to the last step or until asked to stop.

    Args:
        folder: Of the run; made here if the run is new, and held as the one that trains it.
        settings: What the run was asked to do.
        prepared: Its data.
        system: On its device.
        ranks: This process among the others.
        checkpoint: Where to go on from; None to start.

    Raises:
        UserError: If the settings do not fit the data, another process trains the run, or training fails; see
            `Loop.run`.
    """
    training = settings.chosen.training
    check_writers(training.writers)
    if training.threads:
        torch.set_num_threads(training.threads)
    size, options = settings.chosen.config.size, settings.chosen.data
    sampler = partial(prepared.sampler, seed=training.seed, options=options, device=ranks.device, size=size)
    batches = sampler(batch=training.batch, rank=ranks.rank, world=ranks.world)
    initialised = None
    if checkpoint is None:
        system.begin(batches.batch(step) for step in range(FIRST_BATCHES))
    if checkpoint is None and settings.init_from is not None:
        source = RunFolder(Path(settings.init_from))
        source.read_settings()  # says so if it is no run at all
        found = load_model(source.path / MODEL) if source.shipped else source.checkpoints().load()
        initialised = initialise(system, found)
    ranks.broadcast([*system.parameters(), *system.buffers()])
    state = State(system, system.optimizers(), Average(system, training.ema, training.ema_start))
    if checkpoint is not None:
        checkpoint.restore(state)
    if training.compile:
        for network in system.children():
            network.compile()
    context = partial(autocast, training.precision, ranks.device)
    with (
        Log(folder.stats if ranks.first else None, training.steps, training.batch) as log,
        StopRequest() as stop,
        TrainingLock(folder.path) as lock,
    ):
        real = sampler(batch=min(training.grid_images, len(prepared))).batch(0)
        preview = Preview(
            folder.samples,
            prepared,
            real,
            system.pictured(real),
            {"Software": "ganvas", "Copyright": settings.data["licence"]},
            context,
            ranks.cut(training.batch, training.micro_batch)[0],
            training.seed,
            log,
        )
        subject = {"source": f"{settings.system} {settings.preset}", "weights": "averaged"}
        scored = None if isinstance(prepared, Points) or prepared.pictures is None else prepared
        judge = Scorer(folder.metrics, scored, size, options, training, ranks, context, log, subject)
        loop = Loop(
            state,
            batches,
            training,
            ranks,
            context,
            folder.checkpoints(training.keep),
            log,
            settings.to_json(),
            preview,
            judge,
            partial(refresh_report, folder.path, log),
            stop,
        )
        # Only now is it certain that the settings go together.
        if ranks.any(ranks.first and not lock.take()):
            raise refusal(folder.path)
        if ranks.first:
            folder.create(settings)
            folder.clean()
        ranks.wait()
        if ranks.first:
            told = settings.to_json()
            log.writers = open_writers(training.writers, folder.path, told, log.note, resumed=checkpoint is not None)
        tell_data(log, prepared, settings.source)
        if checkpoint is not None:
            for damaged in checkpoint.damaged:
                log.note(f"passed over {damaged}; going on from step {state.step}")
                log.event(state.step, "damaged checkpoint", what=damaged)
            preview.remember(folder.stats, state.step)
            log.event(state.step, "resumed", attempt=state.attempt)
            if state.step >= training.steps:
                log.note(f"all {training.steps} steps are done: `ganvas resume {folder.path} --steps N` adds more")
        if initialised is not None:
            log.event(0, "initialised", **initialised)
            log.note(initialised["summary"])
        if not loop.run():
            if judge.patient:
                log.event(state.step, "stopped")
                log.note(f"stopped at step {state.step} and saved: go on with `ganvas resume {folder.path}`")
            else:
                log.event(state.step, "out of patience", best=judge.best)
                log.note(
                    f"stopped at step {state.step}: {training.patience} scores in a row were no better than that of "
                    f"step {judge.best}, which is kept (--checkpoint best); `ganvas resume {folder.path}` goes on"
                )
        if ranks.first:
            refresh_report(folder.path, log)


def refresh_report(path: Path, log: Log) -> None:
    """Writes a run's `report.html` anew. A report that cannot be made is no reason to stop training."""
    from ganvas.report import write_report

    try:
        with FullDiskGuard(log):
            write_report(path)
    except Exception as error:
        log.note(f"report.html could not be written: {type(error).__name__}: {one_line(error)}")


def tell_data(log: Log, prepared: Data, source: str) -> None:
    """Says how much is trained on, how many pictures were passed over, what to know of captions, and whose they are."""
    count = len(prepared.skipped)
    sides = f" --sides {'paired' if prepared.paired else 'unpaired'}" if isinstance(prepared, Sides) else ""
    skipped = f", {count} skipped: `ganvas data check {source}{sides}` names them" if count else ""
    log.note(f"{prepared.amount} of {source}{skipped}")
    if isinstance(prepared, Described) and prepared.remark:
        log.note(prepared.remark)
    if prepared.licence:
        log.note(prepared.licence)


def initialise(system: System, source: Checkpoint) -> dict[str, Any]:
    """Loads what fits of another run's weights, averaged ones first, and reports what did not.

    A system that inherits loads just that, and all of it.

    Raises:
        UserError: If nothing fits, or something that is inherited does not.
    """
    theirs = source.weights("system") | source.weights("average")
    ours = system.state_dict()
    if system.inherited:
        ours = {key: value for key, value in ours.items() if key.startswith(system.inherited)}
        for key, value in ours.items():
            if key not in theirs or theirs[key].shape != value.shape:
                there = "none of that name" if key not in theirs else f"it as {tuple(theirs[key].shape)}"
                raise UserError(
                    f"this stage goes on from a run of the stages before it with the same settings: {key} is "
                    f"{tuple(value.shape)} here, and {source.path} has {there}"
                )
    fitting = {key for key, value in ours.items() if key in theirs and theirs[key].shape == value.shape}
    if not fitting:
        raise UserError(f"nothing in {source.path} fits this system: no tensor has the same name and shape")
    with torch.no_grad():
        for key in fitting:
            ours[key].copy_(theirs[key])
    reshaped = sorted(key for key in ours if key in theirs and key not in fitting)
    missing = sorted(set(ours) - set(theirs))
    summary = (
        f"{len(fitting)} of {len(ours)} tensors start from {source.path}; "
        f"new: {_some(missing)}; of another shape: {_some(reshaped)}"
    )
    return {
        "summary": summary,
        "source": str(source.path),
        "missing": missing,
        "reshaped": reshaped,
        "unused": sorted(set(theirs) - set(ours)),
    }


def _some(names: Sequence[str], most: int = 3) -> str:
    """A list for one line."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "none"
