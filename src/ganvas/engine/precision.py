"""Where to compute and in which number format."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Literal

import torch
from torch.nn import functional as F

from ganvas.engine.training import Device, Precision
from ganvas.errors import UserError


def resolve_device(device: Device, local_rank: int = 0) -> torch.device:
    """The device that a setting means on this machine.

    Args:
        device: The setting; `auto` takes the first of CUDA, MPS, CPU that is there.
        local_rank: Number of this process on its machine, which chooses among several GPUs.

    Raises:
        UserError: If the device asked for is not there.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(kind for kind, there in available.items() if there) if device == "auto" else device
    if not available[name]:
        raise UserError(f"this machine has no {name} device that PyTorch can use: try --device auto")
    if name != "cuda":
        return torch.device(name)
    if local_rank >= torch.cuda.device_count():
        raise UserError(
            f"process {local_rank + 1} of a machine with {torch.cuda.device_count()} GPUs: start one for each GPU"
        )
    return torch.device("cuda", local_rank)


def resolve_precision(precision: Precision, device: torch.device) -> Literal["fp32", "bf16"]:
    """The number format that a setting means on this device.

    `auto` on a processor is decided by timing one convolution both ways: what the processor's flags promise
    and what PyTorch's kernels make of them are different things.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device.type == "cpu" and _processor_gains_from_bf16() else "fp32"


def autocast(precision: Literal["fp32", "bf16"], device: torch.device) -> AbstractContextManager[object]:
    """The context in which networks compute in `precision`; weights stay fp32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


@cache
def _processor_gains_from_bf16(least_gain: float = 1.3) -> bool:
    """Whether a convolution takes less time in bf16, in a tenth of a second of interleaved runs."""
    best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        pictures = torch.randn(4, 64, 32, 32).contiguous(memory_format=torch.channels_last)
        kernel = torch.randn(64, 64, 3, 3).contiguous(memory_format=torch.channels_last)
        for _ in range(16):
            for dtype in best:
                inputs, weight = pictures.to(dtype), kernel.to(dtype)
                start = time.perf_counter()
                F.conv2d(inputs, weight, padding=1)
                best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.float32] > least_gain * best[torch.bfloat16]
