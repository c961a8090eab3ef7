"""A network of the user's own, in a TorchScript (.pt, .ts, .torchscript) or ONNX (.onnx) file.

It takes float32 (B, 3, S, S), RGB in [0, 1], and does any other normalisation itself. S is what an ONNX file says, and
in a TorchScript module its attribute `size`, an int; else 224. It gives vectors (B, D), or maps (B, D, h, w) that are
averaged over positions; or a pair of such and logits (B, K), whose softmax are the probabilities.

Its scores are named after the file. Neither kind of file holds Python code, but both are programs that run with the
rights of whoever opens them: take them from people you trust.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ganvas.data.cache import hash_file
from ganvas.errors import UserError
from ganvas.metrics.networks._base import RESIZE, FeatureNetwork, chunk_size, resize

ENDINGS = (".pt", ".ts", ".torchscript", ".onnx")
SIZE = 224
CHUNK = 8


def load(path: Path, device: torch.device, precision: Literal["fp32", "bf16"]) -> FeatureNetwork:
    """The network in a file, tried once.

    Args:
        path: The file.
        device: Where to compute.
        precision: Must be `fp32`: a file computes in the number format that it was written in.

    Raises:
        UserError: If it cannot be read, or takes or gives something else.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    chunk = chunk_size(device, CHUNK)
    if precision != "fp32":
        raise UserError(f"{path} computes in the number format that it was written in: use --precision fp32")
    if path.suffix.lower() == ".onnx":
        call, size, chunk = _onnx(path, device, chunk)
    else:
        call, size = _torchscript(path, device)

    def forward(inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        found = call(inputs)
        outputs: list[Any] = list(found) if isinstance(found, tuple | list) else [found]
        dims = [output.dim() if isinstance(output, Tensor) else None for output in outputs]
        if dims not in ([2], [4], [2, 2], [4, 2]) or any(len(output) != len(inputs) for output in outputs):
            shapes = [tuple(getattr(output, "shape", ())) for output in outputs]
            raise UserError(f"{path} gives {shapes}: wanted are (B, D) or (B, D, h, w), alone or with logits (B, K)")
        vectors = outputs[0].float().mean((2, 3)) if outputs[0].dim() == 4 else outputs[0]
        return vectors, outputs[1] if len(outputs) == 2 else None

    try:
        with torch.no_grad():
            vectors, logits = forward(torch.zeros(chunk, 3, size, size, device=device))
    except UserError:
        raise
    except Exception as error:  # whatever a strange program may raise
        wanted = f"float32 pictures ({chunk}, 3, {size}, {size})"
        raise UserError(f"{path} does not take {wanted}: {_one_line(error)}") from error
    return FeatureNetwork(
        name=path.stem,
        dimensions=vectors.shape[1],
        classes=0 if logits is None else logits.shape[1],
        size=size,
        resize=RESIZE,
        normalisation="RGB / 255, then the file's own",
        weights=hash_file(path),
        device=device,
        precision=precision,
        chunk=chunk,
        prepare=lambda images: resize(images, size).div_(255),
        forward=forward,
    )


def _torchscript(path: Path, device: torch.device) -> tuple[Callable[[Tensor], Any], int]:
    """What a TorchScript file computes, and the size of its pictures."""
    try:
        module: Any = torch.jit.load(path, map_location=device).eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path} is not a TorchScript file: write one with torch.jit.save") from error
    size = getattr(module, "size", SIZE)
    return module, size if isinstance(size, int) else SIZE


def _onnx(path: Path, device: torch.device, chunk: int) -> tuple[Callable[[Tensor], Sequence[Tensor]], int, int]:
    """What an ONNX file computes, the size of its pictures and how many it takes at a time."""
    try:
        import onnxruntime
    except ImportError:
        raise UserError('an ONNX file is read by onnxruntime: pip install "ganvas[onnx]"') from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors, which are raised anyway
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [name for name in [*wanted, "CPUExecutionProvider"] if name in onnxruntime.get_available_providers()]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers)
    except Exception as error:  # onnxruntime has a class for each way to be damaged
        raise UserError(f"{path} is not an ONNX file that onnxruntime can read: {_one_line(error)}") from error
    takes = session.get_inputs()
    shape = takes[0].shape if takes else []
    fixed = [length if isinstance(length, int) else None for length in shape]  # names stand for lengths left open
    sides = {side for side in fixed[2:] if side}
    if len(takes) != 1 or len(shape) != 4 or fixed[1] not in (3, None) or len(sides) > 1:
        raise UserError(f"{path} takes {[(one.name, one.shape) for one in takes]}, not pictures (B, 3, S, S) alone")

    def call(inputs: Tensor) -> list[Tensor]:
        found = session.run(None, {takes[0].name: inputs.cpu().numpy()})
        return [torch.from_numpy(output) for output in found]

    return call, sides.pop() if sides else SIZE, fixed[0] or chunk


def _one_line(error: Exception) -> str:
    """What an error says at its end, where TorchScript gives the reason."""
    return str(error).strip().rpartition("\n")[2]
