"""Networks of runs for programs that have no PyTorch: ONNX files of those that translate pictures."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.engine.files import write_atomically
from ganvas.engine.folder import ganvas_version
from ganvas.engine.system import System
from ganvas.errors import UserError
from ganvas.nn.weights import reference_scope
from ganvas.run import Run, Which

AGREE = 1e-4
"""Most that what onnxruntime computes may differ from PyTorch, in units of pictures in [-1, 1]."""

CHECKED = ((2, 24, 20), (1, 37, 53))
"""Number, height and width of the pictures that both are compared on, heights and widths up to the next multiple."""


@dataclass(frozen=True)
class Exported:
    """What `export_onnx` wrote.

    Attributes:
        path: The file.
        takes: Shape of its input `source`, such as `B 3 H W`.
        gives: Shape of its output `image`.
        multiple: What H and W must be multiples of.
        sizes: Height and width of the pictures on which onnxruntime was compared with PyTorch.
        difference: The largest difference between the two, in units of pictures in [-1, 1].
    """

    path: Path
    takes: str
    gives: str
    multiple: int
    sizes: tuple[tuple[int, int], ...]
    difference: float

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self) | {"path": str(self.path)}

    def lines(self) -> list[str]:
        """For people to read."""
        wanted = f", H and W multiples of {self.multiple}" if self.multiple > 1 else ""
        sizes = " and ".join(f"{width}x{height}" for height, width in self.sizes)
        return [
            f"{self.path}: source ({self.takes}) -> image ({self.gives}), float32 in [-1, 1]{wanted}",
            f"onnxruntime and PyTorch differ by at most {self.difference:.2g} on pictures of {sizes} pixels",
        ]


def export_onnx(
    run: str | Path | Run,
    out: str | Path,
    *,
    direction: str = "AtoB",
    force: bool = False,
    checkpoint: Which = "newest",
) -> Exported:
    """Writes the network of a run that translates as ONNX, for any number, height and width of pictures.

    Its input `source` (B, C, H, W) and output `image` (B, D, r H, r W) are float32, RGB or gray, in [-1, 1]; the output
    may leave that a little and is to be cut off. Before it is written onnxruntime computes a few pictures with it.

    Args:
        run: Of a system that translates.
        out: A `.onnx` file.
        direction: `AtoB`, or `BtoA` where the run has learnt it.
        force: Overwrite what is there.
        checkpoint: Which of the run's checkpoints. A `Run` has its own.

    Raises:
        UserError: The run draws from noise, or translates at random; it cannot be exported, differs from PyTorch by
            more than `AGREE`, or cannot be written; or a package is missing.
    """
    path = Path(out).expanduser()
    if path.suffix.lower() != ".onnx":
        raise UserError(f"{path}: networks are written as ONNX; name a .onnx file")
    if path.exists() and not force:
        raise UserError(f"{path} is there already: give --force to overwrite, or write elsewhere")
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  what torch.onnx needs
    except ImportError:
        raise UserError('ONNX files are made with onnxscript and onnxruntime: pip install "ganvas[onnx]"') from None
    if isinstance(run, Run):
        run, checkpoint = (run, run.which) if run.device.type == "cpu" else (run.path, run.which)
    run = run if isinstance(run, Run) else Run(run, "cpu", checkpoint=checkpoint)
    translator = run.translator(direction)
    network = _Network(run.system, translator.direction)
    sources = [_noise(n, translator.inputs, *map(translator.padded, size)) for n, *size in CHECKED]
    if not torch.equal(*(translator(sources[0], [seed] * len(sources[0])) for seed in (0, 1))):
        raise UserError(f"{run.path} translates at random, each seed otherwise, which ONNX does not hold: not exported")
    model = _exported(network, sources[0], translator.multiple, run)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    difference = 0.0
    for source in sources:
        found = torch.from_numpy(session.run(None, {"source": source.numpy()})[0])
        expected = network(source)
        if found.shape != expected.shape or not torch.isfinite(found).all():
            raise UserError(f"what {run.path} became computes something else, or nothing finite: not exported")
        difference = max(difference, float((found - expected).abs().max()))
    if difference > AGREE:
        raise UserError(f"onnxruntime and PyTorch differ by {difference:.2g}, more than {AGREE:g}: not exported")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, model)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    r = "" if translator.scale == 1 else f"{translator.scale}"
    return Exported(
        path, f"B {translator.inputs} H W", f"B {translator.outputs} {r}H {r}W", translator.multiple,
        tuple((source.shape[2], source.shape[3]) for source in sources), difference,
    )  # fmt: skip


class _Network(nn.Module):
    """A translation as a function of the pictures alone."""

    def __init__(self, system: System, direction: str) -> None:
        super().__init__()
        self.system = system
        self.direction = direction

    def forward(self, source: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H2 W2"]:
        with torch.no_grad():
            # One seed for all, since a list of one a picture would fix their number: none of them is looked at.
            return self.system.translate(source, [0], self.direction)


def _noise(count: int, channels: int, height: int, width: int) -> Float[Tensor, "B C H W"]:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(height)) * 2 - 1


def _exported(network: _Network, source: Float[Tensor, "B C H W"], multiple: int, run: Run) -> bytes:
    """The ONNX file.

    Raises:
        UserError: PyTorch cannot export it.
    """
    height, width = (multiple * torch.export.Dim(name) for name in "hw")
    dims = {0: torch.export.Dim("b"), 2: height, 3: width}
    try:
        # Not folded: which way is faster depends on the size, and is no part of the function.
        with _silent(), reference_scope(), torch.no_grad():
            program = torch.onnx.export(
                network, (source,), dynamo=True, dynamic_shapes=(dims,), input_names=["source"],
                output_names=["image"], verbose=False,
            )  # fmt: skip
    except Exception as error:
        raise UserError(f"{run.path} cannot be exported: {_first_line(error)}") from error
    assert program is not None
    model = program.model_proto
    settings = run.settings
    model.producer_name, model.producer_version = "ganvas", ganvas_version()
    model.doc_string = (
        f"{settings.system} {settings.preset}, step {run.step}, {network.direction}. source and image: float32 in "
        f"[-1, 1], RGB or gray, (B, C, H, W); heights and widths of source are multiples of {multiple}."
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


def _first_line(error: Exception) -> str:
    lines: Sequence[str] = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
