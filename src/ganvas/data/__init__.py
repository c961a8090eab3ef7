"""Reading pictures, keeping them prepared, and sampling batches from them.

    open_data(SRC) -> Prepared -> Sampler      -> {"image": (B, C, H, W) in [-1, 1], "label": (B,)}
                   -> Points   -> PointSampler -> {"image": (B, D, 1, 1)}

`source.py` says what a source is, `folder.py`, `archive.py` and each file in `builtin/` are one kind each;
`decode.py` turns bytes into a square picture, `store.py` is the format on disk, `prepare.py` the cache,
`sampler.py` what a training step calls. `points.py` is data made of numbers, for demonstrations.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganvas.data.check import Report, check_data
    from ganvas.data.options import DataOptions
    from ganvas.data.points import Points
    from ganvas.data.prepare import Data, open_data, open_pictures, prepare_data
    from ganvas.data.sampler import Sampler
    from ganvas.data.source import Item, Problem, Source
    from ganvas.data.store import Prepared

__all__ = [
    "Data",
    "DataOptions",
    "Item",
    "Points",
    "Prepared",
    "Problem",
    "Report",
    "Sampler",
    "Source",
    "check_data",
    "open_data",
    "open_pictures",
    "prepare_data",
]

_HOME = {
    "Data": "prepare",
    "DataOptions": "options",
    "Item": "source",
    "Points": "points",
    "Prepared": "store",
    "Problem": "source",
    "Report": "check",
    "Sampler": "sampler",
    "Source": "source",
    "check_data": "check",
    "open_data": "prepare",
    "open_pictures": "prepare",
    "prepare_data": "prepare",
}


def __getattr__(name: str) -> Any:
    # Late, so that the options (which the command line needs for --help) do not pay for torch.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
