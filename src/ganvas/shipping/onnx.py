"""Networks of runs for programs that have no PyTorch: ONNX files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ganvas.engine.files import write_atomically
from ganvas.engine.folder import ganvas_version
from ganvas.errors import UserError
from ganvas.nn.weights import reference_scope
from ganvas.run import Run
from ganvas.shipping.network import Network, network_of

AGREE = 1e-4
"""Most that what onnxruntime computes may differ from PyTorch, in units of pictures in [-1, 1]."""


@dataclass(frozen=True)
class Exported:
    """An ONNX file that was compared with PyTorch.

    Attributes:
        path: The file.
        inputs: Shapes of its inputs by name, such as `latent`: `B 128`.
        output: Shape of its output `image`.
        multiple: What H and W of `source` must be multiples of.
        compared: What onnxruntime was compared with PyTorch on.
        difference: The largest difference between the two, in units of pictures in [-1, 1].
    """

    path: Path
    inputs: dict[str, str]
    output: str
    multiple: int
    compared: str
    difference: float

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self) | {"path": str(self.path)}

    def lines(self) -> list[str]:
        """For people to read."""
        wanted = f", H and W multiples of {self.multiple}" if self.multiple > 1 else ""
        inputs = ", ".join(f"{name} ({shape})" for name, shape in self.inputs.items())
        return [
            f"{self.path}: {inputs} -> image ({self.output}), in [-1, 1]{wanted}",
            f"onnxruntime and PyTorch differ by at most {self.difference:.2g} on {self.compared}",
        ]


def export_onnx(run: Run, path: Path, direction: str = "AtoB", noise: bool = True) -> Exported:
    """Writes what a run draws or translates with, for any number of pictures, and any height and width of sources.

    The averaged weights and the statistics that sampling uses are in it. A run that draws has the inputs `latent`
    (B, Z), float32, and as it needs them `label` (B,), int64, `text` (B, E), `boxes` (B, 4) and `keypoints` (B, K, 3);
    one that translates has `source` (B, C, H, W) in [-1, 1]. The output `image` (B, D, H, W) is float32, RGB or gray,
    in [-1, 1], may leave that a little and is to be cut off. Before it is written onnxruntime computes pictures with
    it, of seeds, that are compared with those of the run.

    Args:
        run: On the CPU, in fp32.
        path: The file; its folder is made.
        direction: Of a run that translates.
        noise: See `network_of`.

    Raises:
        UserError: There is no such function, it cannot be exported, differs from PyTorch by more than `AGREE`, or
            cannot be written; or a package is missing.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  what torch.onnx needs
    except ImportError:
        raise UserError('ONNX files are made with onnxscript and onnxruntime: pip install "ganvas[onnx]"') from None
    network = network_of(run, direction, noise)
    model = _model(network, run)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    difference = 0.0
    for example in network.examples:
        given = {name: value.numpy() for name, value in example.inputs.items()}
        found = torch.from_numpy(session.run(["image"], given)[0])
        if found.shape != example.image.shape or not torch.isfinite(found).all():
            raise UserError(f"what {run.path} became computes something else, or nothing finite: not exported")
        difference = max(difference, float((found - example.image).abs().max()))
    if not difference <= AGREE:
        raise UserError(f"onnxruntime and PyTorch differ by {difference:.2g}, more than {AGREE:g}: not exported")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, model)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    told = [example.what for example in network.examples]
    listed = f"{', '.join(told[:-1])} and {told[-1]}"
    compared = f"pictures of {listed} pixels" if "source" in network.inputs else f"{listed} pictures of seeds from 0 on"
    return Exported(path, network.inputs, network.output, network.multiple, compared, difference)


def _model(network: Network, run: Run) -> bytes:
    """The ONNX file.

    Raises:
        UserError: PyTorch cannot export it.
    """
    try:
        # Not folded: which way is faster depends on the size, and is no part of the function.
        with _silent(), reference_scope(), torch.no_grad():
            program = torch.onnx.export(
                network.module, tuple(network.examples[0].inputs.values()), dynamo=True, dynamic_shapes=network.dims,
                input_names=list(network.inputs), output_names=["image"], verbose=False,
            )  # fmt: skip
    except Exception as error:
        raise UserError(f"{run.path} cannot be exported: {_first_line(error.__cause__ or error)}") from error
    assert program is not None
    model = program.model_proto
    settings = run.settings
    model.producer_name, model.producer_version = "ganvas", ganvas_version()
    model.doc_string = (
        f"{settings.system} {settings.preset}, step {run.step}. {network.about}. "
        "Pictures: float32 in [-1, 1], RGB or gray, (B, C, H, W)."
    )
    if settings.data["licence"]:
        model.metadata_props.add(key="Copyright", value=settings.data["licence"])
    return bytes(model.SerializeToString())


@contextmanager
def _silent() -> Iterator[None]:
    """Without what the exporter says of other packages and of itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    lines: Sequence[str] = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
