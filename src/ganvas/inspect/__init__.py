"""Looking into a run: the pictures of the U-Net GAN paper, for any system.

`pages.py` says which pictures there are; each other file is one of them, or one part:

* `through_training.py`, `cutmix.py`, `interpolation.py`, `scores.py`, `agreement.py`, `losses.py`: a picture each;
* `verdicts.py`: what a discriminator says, and numbers that sum it up, as pure functions;
* `subject.py`: the run that is looked at, its real and its generated pictures;
* `sheet.py`: rows of pictures and of per-pixel maps.
"""

from ganvas.inspect.pages import Page, inspect

__all__ = ["Page", "inspect"]
