"""Distances between pictures as a classifier of photographs sees them: the convolutions of VGG16 and VGG19.

Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition" (ICLR 2015), arXiv 1409.1556.
A layer is named (i, j) as SRGAN names it (Ledig et al. 2017, section 2.2.1): the j-th convolution before the i-th
pooling. The weights are torchvision's, downloaded at first use, or those of a file: safetensors or a state dict with
torchvision's names (`features.0.weight`, ...).
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast
from urllib.error import URLError

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.data.cache import locked
from ganvas.data.options import DataOptions, cache_folder
from ganvas.errors import UserError
from ganvas.nn.dtypes import at_least_float32
from ganvas.nn.weights import autocast_dtype

Network = Literal["vgg16", "vgg19"]
Layer = tuple[int, int]
"""(i, j): the j-th convolution before the i-th pooling, both from 1."""

CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Before each of the five poolings."""

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the convolutions before each pooling."""

FILES = {"vgg16": "vgg16-397923af.pth", "vgg19": "vgg19-dcbb9e9d.pth"}
"""torchvision's, each with the beginning of its SHA-256."""

PLACE = "https://download.pytorch.org/models/"

Colours = Literal["auto", "torchvision", "caffe"]
"""What weights take: torchvision's RGB in [0, 1] less mean over deviation, or Caffe's BGR in 0 to 255 less mean."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)


class VGG(nn.Module):
    """The convolutions of a VGG network, frozen; random until weights are loaded.

    Args:
        network: Which of the two.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: Network = "vgg19") -> None:
        super().__init__()
        self.network = network
        layers: list[nn.Module] = []
        self.places: dict[Layer, int] = {}
        inputs = 3
        for i, (count, width) in enumerate(zip(CONVOLUTIONS[network], WIDTHS, strict=True), 1):
            for j in range(1, count + 1):
                self.places[i, j] = len(layers)
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)
        self.kept: dict[tuple[torch.dtype, torch.memory_format, torch.device], dict[int, tuple[Tensor, Tensor]]] = {}
        self.requires_grad_(False).eval()

    @classmethod
    def load(cls, network: Network = "vgg19", weights: Path | None = None, colours: Colours = "auto") -> VGG:
        """The network with weights.

        Args:
            network: Which of the two.
            weights: A file; None for torchvision's, which are downloaded once.
            colours: What the weights take; `auto`: Caffe's if the file's metadata say BGR, else torchvision's.

        Raises:
            UserError: There is no such file, it holds something else, or the download fails.
        """
        tensors, said = _read(weights) if weights else (_downloaded(network), "")
        vgg = cls(network)
        wanted = dict(vgg.features.named_parameters(prefix="features"))
        wrong = [name for name, value in wanted.items() if name not in tensors or tensors[name].shape != value.shape]
        extra = any(name.startswith("features.") for name in tensors.keys() - wanted.keys())
        if wrong or extra:
            what = f"{wrong[0]} is missing or has another shape" if wrong else "it has more convolutions"
            raise UserError(f"{weights} does not hold the convolutions of {network}: {what}")
        with torch.no_grad():
            for name, value in wanted.items():
                value.copy_(tensors[name])
            if colours == "caffe" or (colours == "auto" and "BGR" in said):
                first = vgg.features[0]
                assert isinstance(first, nn.Conv2d)
                first.weight.copy_(first.weight.flip(1))
                vgg.mean.copy_(torch.tensor(CAFFE_MEAN).view(3, 1, 1))
                vgg.deviation.fill_(1 / 255)
        return vgg

    def train(self, mode: bool = True) -> VGG:
        """Stays as it is: it has nothing that training would change."""
        return super().train(False)

    def forward(
        self, images: Float[Tensor, "B C H W"], layers: Sequence[Layer], *, after_activation: bool = True
    ) -> list[Float[Tensor, "B D h w"]]:
        """What some layers see.

        Args:
            images: In [-1, 1], red, green, blue or gray, at least 16 pixels high and wide for the deepest layers.
            layers: Which.
            after_activation: After the ReLU that follows the convolution (SRGAN), or before (ESRGAN).

        Returns:
            The features of each, in the order of `layers`.

        Raises:
            UserError: There is no such layer.
        """
        for layer in layers:
            self.place(layer)
        last = max(self.places[layer] for layer in layers)
        parameters = self._cast(images)
        x = ((images + 1) / 2 - self.mean) / self.deviation
        found: dict[Layer, Tensor] = {}
        index = {place: layer for layer, place in self.places.items()}
        for place, operation in enumerate(itertools.islice(self.features, last + 2)):
            if isinstance(operation, nn.Conv2d):
                weight, bias = parameters[place]
                x = F.conv2d(x.to(weight.dtype), weight, bias, padding=1)
                if not after_activation and index[place] in layers:
                    found[index[place]] = x
            elif isinstance(operation, nn.ReLU):
                x = F.relu(x)
                if after_activation and index[place - 1] in layers:
                    found[index[place - 1]] = x
            else:
                x = F.max_pool2d(x, 2)
        return [found[layer] for layer in layers]

    def place(self, layer: Layer) -> int:
        """Position of a layer's convolution in `features`, as torchvision counts.

        Raises:
            UserError: There is no such layer.
        """
        if layer not in self.places:
            counts = CONVOLUTIONS[self.network]
            there = ", ".join(f"{i}.1 to {i}.{count}" for i, count in enumerate(counts, 1))
            raise UserError(f"{self.network} has no convolution {layer[0]}.{layer[1]}: there are {there}")
        return self.places[layer]

    def _cast(self, images: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        """Kernels and biases in the type to compute in and laid out as the pictures, made once: they never change."""
        layers = {place: layer for place, layer in enumerate(self.features) if isinstance(layer, nn.Conv2d)}
        dtype, device = autocast_dtype(self.mean), images.device
        order = torch.contiguous_format if images.is_contiguous() else torch.channels_last
        key = (dtype, order, device)
        if key not in self.kept:
            self.kept[key] = {
                place: (
                    layer.weight.detach().to(device, dtype, memory_format=order),
                    cast(Tensor, layer.bias).detach().to(device, dtype),
                )
                for place, layer in layers.items()
            }
        return self.kept[key]


def difference(a: Float[Tensor, "B D h w"], b: Float[Tensor, "B D h w"]) -> Float[Tensor, ""]:
    """Squared differences summed over channels, mean over places and pictures, in float32 (SRGAN, eq. 5)."""
    return (at_least_float32(a) - at_least_float32(b)).square().sum(1).mean()


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file, and what its metadata say of the pictures it takes."""
    if not path.is_file():
        raise UserError(f"there is no file {path} with the weights of VGG")
    try:
        with safe_open(path, "pt") as file:
            said = (file.metadata() or {}).get("preprocessing", "")
            return {name: file.get_tensor(name) for name in file.keys()}, said  # noqa: SIM118
    except SafetensorError:
        pass
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        # Tensors alone: a file that would run code is refused.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} is neither a safetensors file nor a PyTorch state dict, or is damaged") from error
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} holds no state dict: a dictionary of tensors with torchvision's names is wanted")
    return found, ""


def _downloaded(network: Network) -> dict[str, Tensor]:
    """torchvision's weights, downloaded once into the cache; the beginning of their hash is compared.

    Raises:
        UserError: They cannot be had.
    """
    folder, name = cache_folder(DataOptions()) / "weights", FILES[network]
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Of several processes that start together one downloads, and the others find it done.
        with locked(path.with_suffix(".lock")):
            if not path.exists():
                digest = path.stem.rpartition("-")[2]
                torch.hub.download_url_to_file(PLACE + name, str(path), hash_prefix=digest, progress=True)
    except (OSError, RuntimeError, URLError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"the weights of {network} could not be downloaded from {PLACE}{name} ({reason}): try again, or give a "
            "file with --vgg-weights"
        ) from error
    return _read(path)[0]
