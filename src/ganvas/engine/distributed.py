"""Many processes, one run: what `torchrun` starts, each with its slice of every batch.

Gradients are summed explicitly once an update, not by a wrapper around `forward`, which misses every call
that does not go through it. All processes read the same run folder; rank 0 alone writes to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ganvas.engine.precision import resolve_device
from ganvas.engine.training import Device
from ganvas.errors import UserError

CPU = torch.device("cpu")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run; alone by default.

    Attributes:
        rank: Number of this process. Rank 0 alone writes and speaks.
        world: How many processes there are.
        device: Where this process computes.
        control: Group for single numbers on the CPU, so that agreeing on something never waits for a GPU.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = CPU
    control: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def cut(self, batch: int, micro_batch: int) -> tuple[int, int]:
        """How a batch is cut into pieces that pass through the networks at once.

        Args:
            batch: Pictures a step, over all processes.
            micro_batch: Pictures wanted in a piece; 0 for a process's whole share.

        Returns:
            Pictures in a piece, and pieces a process.

        Raises:
            UserError: If it cannot be cut evenly.
        """
        if batch % self.world:
            raise UserError(f"a batch of {batch} cannot be shared evenly by {self.world} processes")
        share = batch // self.world
        micro = micro_batch or share
        if share % micro:
            raise UserError(f"--micro-batch {micro} does not divide the {share} pictures of a process's batch")
        return micro, share // micro

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set in any process; all get the same answer."""
        if self.world == 1:
            return flag
        answer = torch.tensor([int(flag)])
        dist.all_reduce(answer, dist.ReduceOp.MAX, group=self.control)
        return bool(answer.item())

    def gather(self, value: Any) -> list[Any]:
        """Every process's `value`, in the order of their numbers; all get the same list."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value, group=self.control)
        return values

    def in_turn(self, work: Callable[[], Result]) -> Result:
        """Lets the first process do `work`, then the others, which find what it left on the disk."""
        if not self.first:
            self.wait()
        result = work()
        if self.first:
            self.wait()
        return result

    def wait(self) -> None:
        """Waits until every process has come here."""
        if self.world > 1:
            dist.barrier(group=self.control)

    @torch.no_grad()
    def sum_gradients(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Sums gradients over the processes, in place, together with one scalar: a single all-reduce.

        A parameter that took part in the loss of some processes only gets the sum of theirs; one that took
        part in none keeps no gradient, as in a single process.

        Args:
            parameters: The same in every process, in the same order.
            loss: () this process's part of the loss.

        Returns:
            () the sum of `loss` over the processes.
        """
        if self.world == 1:
            return loss
        has = [float(parameter.grad is not None) for parameter in parameters]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        pieces = [*gradients, loss.detach(), torch.tensor(has, device=loss.device)]
        flat = torch.cat([piece.reshape(-1).float() for piece in pieces])
        dist.all_reduce(flat)
        *summed, total, takers = torch.split(flat, [piece.numel() for piece in pieces])
        # A process that has a gradient knows that there is one; only the others need to look.
        taken = takers.tolist() if 0.0 in has else has
        for parameter, gradient, there in zip(parameters, summed, taken, strict=True):
            if there:
                if parameter.grad is None:
                    parameter.grad = torch.empty_like(parameter)
                parameter.grad.copy_(gradient.view(parameter.shape))
        return total[0]

    @torch.no_grad()
    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Gives every process rank 0's values of `tensors`, in place."""
        if self.world > 1:
            for tensor in tensors:
                value = tensor.detach().contiguous()
                dist.broadcast(value, 0)
                tensor.copy_(value)


@contextmanager
def join(device: Device) -> Iterator[Ranks]:
    """Joins the processes that `torchrun` started, or none, for the length of the context.

    Args:
        device: The setting; GPUs talk through NCCL, processors through Gloo.

    Raises:
        UserError: If the device is not there.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or dist.is_initialized():
        yield Ranks(device=resolve_device(device))
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    place = resolve_device(device, local)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", rank=rank, world_size=world)
    try:
        control = dist.group.WORLD if place.type != "cuda" else dist.new_group(backend="gloo")
        yield Ranks(rank, world, place, control)
    finally:
        dist.destroy_process_group()
