"""Reading pictures, keeping them prepared, and sampling batches from them.

    open_data(SRC) -> Prepared -> Sampler      -> {"image": (B, C, H, W) in [-1, 1], "label": (B,)}
                   -> Points   -> PointSampler -> {"image": (B, D, 1, 1)}
                   -> Sides    -> SidesSampler -> {"source": (B, C, H, W), "image": (B, D, H, W)}
                   -> Described -> DescribedSampler -> {"image", "label", "text": (B, E), "boxes": (B, 4),
                                                        "keypoints": (B, K, 3)}
                   -> Reduced  -> ReducedSampler -> {"source": (B, C, H / r, W / r), "image": (B, C, H, W)}

`source.py` says what a source is, `folder.py`, `archive.py` and each file in `builtin/` are one kind each;
`decode.py` turns bytes into a square picture, `store.py` is the format on disk, `prepare.py` the cache,
`sampler.py` what a training step calls. `points.py` is data made of numbers, for demonstrations. `pairing.py` finds
the two sides of what a user named and `sides.py` draws from both; `squares.py` cuts pictures at their own resolution,
`resizing.py` makes small versions and `reduced.py` draws photos with theirs; `places.py` moves boxes and keypoints with
their pictures and `described.py` draws pictures with these and with captions; `opening.py` is where a system's data is
opened.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganvas.data.check import Report, SidesReport, check_data
    from ganvas.data.described import Described
    from ganvas.data.opening import Data, open_data
    from ganvas.data.options import DataOptions
    from ganvas.data.points import Points
    from ganvas.data.prepare import open_pictures, prepare_data
    from ganvas.data.reduced import Reduced
    from ganvas.data.sampler import Sampler
    from ganvas.data.sides import Sides
    from ganvas.data.source import Item, Problem, Source
    from ganvas.data.store import Prepared

__all__ = [
    "Data",
    "DataOptions",
    "Described",
    "Item",
    "Points",
    "Prepared",
    "Problem",
    "Reduced",
    "Report",
    "Sampler",
    "Sides",
    "SidesReport",
    "Source",
    "check_data",
    "open_data",
    "open_pictures",
    "prepare_data",
]

_HOME = {
    "Data": "opening",
    "DataOptions": "options",
    "Described": "described",
    "Item": "source",
    "Points": "points",
    "Prepared": "store",
    "Problem": "source",
    "Reduced": "reduced",
    "Report": "check",
    "Sampler": "sampler",
    "Sides": "sides",
    "SidesReport": "check",
    "Source": "source",
    "check_data": "check",
    "open_data": "opening",
    "open_pictures": "prepare",
    "prepare_data": "prepare",
}


def __getattr__(name: str) -> Any:
    # Late, so that the options (which the command line needs for --help) do not pay for torch.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
