"""Types of numbers: losses and statistics are never narrower than float32."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """`x` itself if it is float32 or wider, else a float32 copy."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
