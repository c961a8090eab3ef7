"""`dinov2`: a vision transformer trained without labels, which needs the library `transformers`.

DINOv2 (Oquab et al., 2023, arXiv:2304.07193), ViT-L/14, as Stein et al. (2023, arXiv:2306.04675) use it for FD-DINOv2,
the distance that they found to agree best with people: 224 pixels, bicubic, ImageNet's mean and deviation, the class
token after the last layer norm.

The network is that of `transformers`, but for its positions: learnt at 518 pixels, they are interpolated for 224 as
the authors' own code does, which samples them at a scale of 16.1 / 37 and not 16 / 37.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.data.cache import hash_file
from ganvas.errors import UserError
from ganvas.metrics.networks._base import RESIZE, FeatureNetwork, chunk_size, resize

HUB = "facebook/dinov2-large"
FILES = ("config.json", "model.safetensors")
SIZE = 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PUBLISHED = 1024
"""Dimensions of ViT-L; other sizes of DINOv2 are named after theirs, so that `fd_dinov2` means one thing."""
CHUNK = 4


def load(weights: Path | None, device: torch.device, precision: Literal["fp32", "bf16"]) -> FeatureNetwork:
    """The network, downloaded once into the cache of Hugging Face.

    Args:
        weights: A folder with the files `FILES` instead, of any size of DINOv2 without registers.
        device: Where to compute.
        precision: Number format of its layers.

    Raises:
        UserError: If transformers or the weights are missing, or the folder holds another network.
    """
    try:
        import huggingface_hub
        import transformers
    except ImportError as error:
        raise UserError(
            f'the feature network dinov2 needs a package that is missing ({error.name}): pip install "ganvas[dinov2]"'
        ) from None
    folder = weights
    if folder is None:
        try:
            folder = Path(huggingface_hub.snapshot_download(HUB, allow_patterns=list(FILES)))
        except Exception as error:  # of several libraries: each failure has a class of its own
            raise UserError(
                f"the weights of dinov2 cannot be downloaded ({type(error).__name__}): fetch {' and '.join(FILES)} of "
                f"https://huggingface.co/{HUB} and name their folder with --weights FOLDER"
            ) from error
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise UserError(f"{folder} is not a folder with the weights of dinov2: it has no {missing[0]}")
    network = _read(transformers, folder)
    interpolate_positions(network)
    network.to(device)
    mean, deviation = (torch.tensor(values, device=device).view(3, 1, 1) for values in (MEAN, DEVIATION))
    width = int(network.config.hidden_size)

    def forward(inputs: Tensor) -> tuple[Tensor, None]:
        return network(pixel_values=inputs).pooler_output, None

    return FeatureNetwork(
        name="dinov2" if width == PUBLISHED else f"dinov2_{width}",
        dimensions=width,
        classes=0,
        size=SIZE,
        resize=RESIZE,
        normalisation="(RGB / 255 - mean) / deviation of ImageNet",
        weights=hash_file(folder / "model.safetensors"),
        device=device,
        precision=precision,
        chunk=chunk_size(device, CHUNK),
        prepare=lambda images: (resize(images, SIZE) / 255 - mean) / deviation,
        forward=forward,
    )


def _read(transformers: Any, folder: Path) -> Any:
    """The network in a folder, in eval mode, none of its weights left to chance.

    Raises:
        UserError: If it is another network, or not all of one.
    """
    try:
        with _quiet(transformers.utils.logging):
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            if config.model_type != "dinov2" or config.patch_size != 14:
                raise UserError(f"{folder} holds {config.model_type}: dinov2 with patches of 14 pixels is wanted")
            network, found = transformers.Dinov2Model.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
    except UserError:
        raise
    except Exception as error:  # a damaged file, another configuration: each has a class of its own
        raise UserError(f"{folder} does not hold the weights of dinov2: {' '.join(str(error).split())}") from error
    if found["missing_keys"]:
        raise UserError(f"{folder} does not hold all weights of dinov2: {min(found['missing_keys'])} is missing")
    return network.eval().requires_grad_(False)


@contextmanager
def _quiet(said: Any) -> Iterator[None]:
    """Without the warnings and the progress bar of transformers, for a while."""
    level, bar = said.get_verbosity(), said.is_progress_bar_enabled()
    said.set_verbosity_error()
    said.disable_progress_bar()
    try:
        yield
    finally:
        said.set_verbosity(level)
        if bar:
            said.enable_progress_bar()


@torch.no_grad()
def interpolate_positions(network: Any) -> None:
    """Puts the position embeddings of `SIZE` pixels in the place of those the network was trained with.

    Bicubic (a = -0.75), not antialiased; the 0.1 is the authors', there to keep rounding from losing a row, and
    their scale takes part in where samples lie.
    """
    embeddings = network.embeddings
    token, patches = embeddings.position_embeddings.split([1, embeddings.position_embeddings.shape[1] - 1], dim=1)
    side, wanted = math.isqrt(patches.shape[1]), SIZE // 14
    if side == wanted:
        return
    grid = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, scale_factor=((wanted + 0.1) / side,) * 2, mode="bicubic")
    embeddings.position_embeddings = nn.Parameter(
        torch.cat([token, grid.flatten(2).transpose(1, 2)], dim=1), requires_grad=False
    )
