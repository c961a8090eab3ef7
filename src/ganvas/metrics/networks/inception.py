"""`inception`: the 2015 Inception weights converted from TensorFlow, through torch-fidelity: the network of FID.

Heusel et al. (2017, arXiv:1706.08500) computed the Fréchet Inception distance with these very weights, the resize and
the padding of TensorFlow 1; other Inception weights give other numbers. torch-fidelity reproduces both, so everything
from 8-bit pictures to features is left to it, and only the file that it publishes is taken.
"""

from __future__ import annotations

import hashlib
import io
import sys
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal

import torch
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.networks._base import FeatureNetwork, chunk_size

CHUNK = 4


def load(weights: Path | None, device: torch.device, precision: Literal["fp32", "bf16"]) -> FeatureNetwork:
    """The network, whose weights are downloaded once into PyTorch's cache, as torch-fidelity does.

    Args:
        weights: The file that would be downloaded.
        device: Where to compute.
        precision: Must be `fp32`, so that a score called FID means one thing.

    Raises:
        UserError: If torch-fidelity or the file is missing, or it is another file.
    """
    if precision != "fp32":
        raise UserError("inception computes in fp32 only, as for published FIDs: use --precision fp32")
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as torch_fidelity
    except (ImportError, RuntimeError) as error:  # the latter from a torchvision made for another PyTorch
        reason = getattr(error, "name", None) or " ".join(str(error).split())
        raise UserError(
            f"the feature network inception needs a package that is missing or does not fit PyTorch ({reason}): "
            'pip install "ganvas[inception]"'
        ) from error
    url: str = torch_fidelity.URL_INCEPTION_V3
    path = weights or _downloaded(url)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; it is to be had from {url}") from None
    digest = hashlib.sha256(data).hexdigest()
    published = Path(url).stem.rpartition("-")[2]  # the file's name ends in the start of its SHA-256
    if not digest.startswith(published):
        raise UserError(
            f"{path} is not the file that FID is computed with: its SHA-256 starts with {digest[:8]}, not {published}; "
            f"replace it by {url}"
        )
    # torch-fidelity would unpickle anything; this reads tensors alone, and what it has read is harmless to read again.
    try:
        torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        network = torch_fidelity.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=io.BytesIO(data)
        )
    except (RuntimeError, UnpicklingError, ValueError, EOFError) as error:
        raise UserError(f"{path} does not hold the weights of Inception: replace it by {url}") from error
    network.to(device)

    def forward(inputs: Tensor) -> tuple[Tensor, Tensor]:
        vectors, logits = network(inputs)
        return vectors, logits

    return FeatureNetwork(
        name="inception",
        dimensions=2048,
        classes=network.fc.out_features,
        size=network.INPUT_IMAGE_SIZE,
        resize="bilinear as TensorFlow 1 (not antialiased, corners not aligned), by torch-fidelity",
        normalisation="(RGB - 128) / 128",
        weights=digest,
        device=device,
        precision=precision,
        chunk=chunk_size(device, CHUNK),
        prepare=lambda images: images.permute(0, 3, 1, 2).contiguous(),
        forward=forward,
    )


def _downloaded(url: str) -> Path:
    """Where the file is after it was downloaded, now or before.

    Raises:
        UserError: If it cannot be had.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=sys.stderr.isatty())
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"the weights of inception cannot be downloaded ({reason}): "
            f"fetch {url} and name the file with --weights FILE"
        ) from error
    return path
