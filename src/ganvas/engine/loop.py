"""The training loop, the same for every system.

Each step makes the updates that the system yields, one after the other. An update looks at one or more
micro-batches, adds their gradients up, sums them over the processes, and moves its own networks, no others.

Random numbers. Before the loss of each micro-batch PyTorch's generators are seeded from (seed, attempt, step,
number of the update, repeat, number of the micro-batch in the whole batch), and the data is a function of (seed,
attempt, step, repeat). So a run that was killed goes on as if it had not been, bit for bit on a processor, and N
processes with one micro-batch each do what one process with N of them does, to rounding. How a batch is cut does
matter where a loss draws: the same seed draws other numbers for 8 pictures than for 4 and 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ganvas.engine.checkpoint import Checkpoints, State
from ganvas.engine.distributed import Ranks
from ganvas.engine.log import FullDiskGuard, Log
from ganvas.engine.record import NonFinite, Record
from ganvas.engine.seeding import seed_for, seed_generators
from ganvas.engine.signals import StopRequest
from ganvas.engine.system import Batch, Update
from ganvas.engine.training import Training
from ganvas.errors import UserError
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.weights import update_scope

Gradients = list[tuple[nn.Parameter, Tensor]]


class BatchSource(Protocol):
    """Where batches come from: a function of its arguments, so that a resumed run sees the same pictures."""

    def batch(self, step: int, draw: int = 0, attempt: int = 0) -> Batch:
        """This process's slice of a step's batch; `draw` counts repeats, `attempt` new starts after failures."""
        ...


class Judge(Protocol):
    """What scores a run while it trains."""

    best: int | None
    """The step with the best score so far; its checkpoint is kept."""

    patient: bool
    """Whether there is reason to train on; False after too many scores without a better one."""

    def start_at(self, step: int) -> None:
        """Forgets the scores of steps past `step`, which are about to be made again."""
        ...

    def due(self, step: int) -> bool:
        """Whether samples are to be scored after `step` steps; the same in every process."""
        ...

    def __call__(self, state: State) -> None:
        """Scores samples, all processes together."""
        ...


@dataclass
class Loop:
    """Trains a system to its last step.

    Attributes:
        state: What is trained, at the step where training starts or goes on.
        data: Where batches come from.
        training: Settings.
        ranks: This process among the others.
        autocast: Makes the context that a loss is computed in.
        checkpoints: Where the run is saved.
        log: Where it is told.
        about: What checkpoints say about the run.
        preview: Called with the state at grid intervals; must leave no trace in it.
        judge: Scores samples at its own intervals, without a trace in the state, and knows the best step.
        report: Called in the first process when there is something new to read in the run's folder.
        stop: Asks for an early end.
    """

    state: State
    data: BatchSource
    training: Training
    ranks: Ranks
    autocast: Callable[[], AbstractContextManager[object]]
    checkpoints: Checkpoints
    log: Log
    about: Mapping[str, Any]
    preview: Callable[[State], None]
    judge: Judge
    report: Callable[[], None]
    stop: StopRequest

    def __post_init__(self) -> None:
        self.micro, self.accumulation = self.ranks.cut(self.training.batch, self.training.micro_batch)
        # What the system itself froze, such as a feature network, stays frozen.
        self.trainable = [p for p in self.state.system.parameters() if p.requires_grad]
        self.moving: dict[tuple[nn.Module, ...], list[nn.Parameter]] = {}
        self.record = Record(self.ranks.device)

    def run(self) -> bool:
        """Trains until the last step, or until asked to stop; saves at the end either way.

        Returns:
            Whether the last step was reached; not if asked to stop, or out of patience with the scores.

        Raises:
            UserError: If losses stay non-finite after all retries, or there is no room for a checkpoint.
        """
        state, training = self.state, self.training
        state.system.train()
        self.log.start_at(state.step)
        self.judge.start_at(state.step)
        if self.ranks.any(self.ranks.first and not self.checkpoints.steps()):
            self.show()
            self.save(needed=True)  # so that there is always one to go back to
        while state.step < training.steps:
            try:
                self.step()
                stopping = self.ranks.any(self.stop.made)
                self.pause(stopping)
                if stopping or not self.judge.patient:
                    break
            except NonFinite as problem:
                self.go_back(problem)
        return state.step >= training.steps

    def step(self) -> None:
        """One step: every update of the system, then the averages."""
        state, step = self.state, self.state.step
        draws: dict[int, list[Batch]] = {}
        state.system.schedule(step, state.optimizers)
        for number, group in enumerate(state.system.updates(step)):
            updates = group if isinstance(group, tuple) else (group,)
            for repeat in range(updates[0].repeats):
                if repeat not in draws:
                    draws[repeat] = self.split(self.data.batch(step, draw=repeat, attempt=state.attempt))
                # All gradients of a simultaneous group are taken before any of its optimisers moves.
                gradients = [
                    self.gradients(update, draws[repeat], (number, position, repeat))
                    for position, update in enumerate(updates)
                ]
                for update, taken in zip(updates, gradients, strict=True):
                    self.move(update, taken)
        state.average.update(step)
        state.step += 1
        if state.step >= state.failed_at + self.training.checkpoint_every:
            state.failures = 0  # well past where it failed

    def gradients(self, update: Update, batches: Iterable[Batch], place: tuple[int, ...]) -> Gradients:
        """Gradients of an update's parameters, averaged over the micro-batches of all processes.

        Raises:
            NonFinite: If a loss or a gradient is not finite (on the CPU; later elsewhere).
        """
        state = self.state
        parameters = self.freeze_all_but(update.networks)
        losses = []
        with update_scope():  # spectral norms iterate once, however many micro-batches and forward passes there are
            for index, batch in enumerate(batches):
                number = self.ranks.rank * self.accumulation + index
                seed = seed_for(self.training.seed, state.attempt, state.step, *place, number)
                seed_generators(seed, self.ranks.device)
                with self.autocast():
                    terms = update.loss(batch)
                self.record.add(update.name, terms)
                loss = torch.stack([at_least_float32(term) for term in terms.values()]).sum()
                loss = loss / (self.accumulation * self.ranks.world)
                loss.backward()  # type: ignore[no-untyped-call]
                losses.append(loss.detach())
        loss = self.ranks.sum_gradients(parameters, torch.stack(losses).sum())
        taken = [(p, p.grad) for p in parameters if p.grad is not None]
        norm = nn.utils.get_total_norm([gradient for _, gradient in taken])
        self.record.add(update.name, {"gradient_norm": norm})
        self.record.verify(update.name, loss + norm, state.step)
        return taken

    def freeze_all_but(self, networks: tuple[nn.Module, ...]) -> list[nn.Parameter]:
        """Lets only these networks require gradients, and returns their parameters."""
        if networks not in self.moving:
            own = {id(parameter) for network in networks for parameter in network.parameters()}
            self.moving[networks] = [parameter for parameter in self.trainable if id(parameter) in own]
        for parameter in self.trainable:
            parameter.requires_grad_(False)
            parameter.grad = None
        for parameter in self.moving[networks]:
            parameter.requires_grad_(True)
        return self.moving[networks]

    def move(self, update: Update, gradients: Gradients) -> None:
        """Steps the update's optimiser with these gradients and no others."""
        for parameter in self.trainable:
            parameter.grad = None
        for parameter, gradient in gradients:
            parameter.grad = gradient
        self.state.optimizers[update.name].step()

    def split(self, batch: Batch) -> list[Batch]:
        """The micro-batches of this process's slice of a batch."""
        return [
            {name: value[start : start + self.micro] for name, value in batch.items()}
            for start in range(0, self.micro * self.accumulation, self.micro)
        ]

    def pause(self, stopping: bool) -> None:
        """What is due between two steps: the log, a grid, scores, a checkpoint.

        Raises:
            NonFinite: If the steps since the last pause were not all finite.
        """
        step, training = self.state.step, self.training
        done = step == training.steps
        score = not stopping and self.judge.due(step)
        save = done or stopping or score or step % training.checkpoint_every == 0
        grid = done or (training.grid_every > 0 and step % training.grid_every == 0)
        tell = done or stopping or step % training.log_every == 0
        if not (save or grid or tell):
            return
        self.record.check()
        if tell:
            self.log.stats(step, self.record.means())
            self.record.clear()
        if grid:
            self.show()
        if score:
            self.score()
        if save:  # last, so that a resumed run has nothing of this step left to do
            self.save(needed=done or stopping)

    def save(self, needed: bool = False) -> None:
        """Writes a checkpoint; a full disk is survived unless it is `needed`."""
        # Buffers, such as batch-norm statistics, may differ between processes. A resumed run has rank 0's.
        self.ranks.broadcast(list(self.state.system.buffers()))
        if self.ranks.first:
            start = time.perf_counter()
            with FullDiskGuard(self.log) as guard:
                best = self.judge.best
                self.checkpoints.save(self.state, self.about, protect=() if best is None else (best,))
                self.log.disk_has_room()
            self.report()
            self.log.pause(time.perf_counter() - start)
            if guard.failed and needed:
                kept = ", ".join(map(str, self.checkpoints.steps())) or "none"
                raise UserError(
                    f"the disk is full: step {self.state.step} could not be saved in {self.checkpoints.folder} "
                    f"(saved steps: {kept}); free some space, then resume"
                )
        self.ranks.wait()

    def show(self) -> None:
        """Takes a grid of samples, in the first process."""
        if self.ranks.first:
            start = time.perf_counter()
            self.preview(self.state)
            self.log.pause(time.perf_counter() - start)

    def score(self) -> None:
        """Scores samples, in all processes together."""
        start = time.perf_counter()
        # As for a checkpoint: samples are drawn from rank 0's buffers.
        self.ranks.broadcast(list(self.state.system.buffers()))
        self.judge(self.state)
        self.log.pause(time.perf_counter() - start)

    def go_back(self, problem: NonFinite) -> None:
        """Restores the last good checkpoint, to try again with other random numbers.

        Raises:
            UserError: If that has been done too often without progress.
        """
        state, training = self.state, self.training
        attempt, failures = state.attempt + 1, state.failures + 1
        self.checkpoints.load().restore(state)
        give_up = failures > training.retries
        state.attempt, state.failures, state.failed_at = attempt, 0 if give_up else failures, problem.step
        self.log.start_at(state.step)
        self.judge.start_at(state.step)
        self.record.clear()
        details = {"failed_step": problem.step + 1, "attempt": attempt, "gave_up": give_up}
        self.log.event(state.step, "non-finite", what=problem.what, **details)
        # The attempt is saved, so that a run killed now does not fail in the same way again.
        self.save()
        if give_up:
            raise UserError(
                f"{problem}, also after {training.retries} retries from step {state.step}: "
                "try lower learning rates, --precision fp32 or another --seed"
            )
        self.log.note(f"{problem}: going back to step {state.step}, retry {failures} of {training.retries}")
