"""Looking into a run, of any system: what its latents, its discriminator and its training hold.

`pages.py` says which pictures there are; each other file is one of them, or one part:

* `through_training.py`, `timelapse.py`, `scores.py`, `losses.py`: how training went;
* `walks.py`, `arithmetic.py`, `class_grid.py`, `truncation.py`: what latents mean;
* `nearest.py`, `spectrum.py`: samples beside the data;
* `cutmix.py`, `agreement.py`, `probe.py`: what the discriminator has learnt;
* `verdicts.py`: what a discriminator says, and numbers that sum it up, as pure functions;
* `latents.py`: pictures at given latents; `subject.py`: the run that is looked at, its real and generated pictures;
* `sheet.py`: rows of pictures and of per-pixel maps.
"""

from ganvas.inspect.pages import Page, inspect

# Last, since functions take the place of the modules that have their names.
from ganvas.inspect.arithmetic import Arithmetic, Group, arithmetic, read_groups  # isort: skip
from ganvas.inspect.class_grid import class_grid  # isort: skip
from ganvas.inspect.nearest import Nearness, nearest_pictures, nearness  # isort: skip
from ganvas.inspect.probe import Probe, activations, probe, randomised  # isort: skip
from ganvas.inspect.timelapse import timelapse  # isort: skip
from ganvas.inspect.truncation import truncation_sweep  # isort: skip
from ganvas.inspect.walks import Jumps, jumps, slerp, trail, walk  # isort: skip

__all__ = [
    "Arithmetic", "Group", "Jumps", "Nearness", "Page", "Probe", "activations", "arithmetic", "class_grid", "inspect",
    "jumps", "nearest_pictures", "nearness", "probe", "randomised", "read_groups", "slerp", "timelapse", "trail",
    "truncation_sweep", "walk",
]  # fmt: skip
