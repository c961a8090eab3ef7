"""`ganvas export`: one front for every format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ganvas.errors import UserError
from ganvas.run import Run, Which, load
from ganvas.shipping import hub
from ganvas.shipping.folder import Folder, make_folder
from ganvas.shipping.onnx import Exported, export_onnx

Format = Literal["onnx", "safetensors", "web", "space"]


def export(
    run: str | Path | Run,
    out: str | Path,
    *,
    format: Format = "onnx",
    direction: str = "AtoB",
    noise: bool = True,
    text: Sequence[str] = (),
    runtime: str | Path | None = None,
    push_to: str | None = None,
    force: bool = False,
    checkpoint: Which = "newest",
) -> Exported | Folder:
    """Writes a trained run for others.

    Args:
        run: The run, its folder or its name on the hub.
        out: A `.onnx` file, else a folder.
        format: `onnx`: an ONNX file, see `export_onnx`. `safetensors`: a folder that `ganvas.load` opens, with a model
            card. `web`: a folder that any web server makes a page of, which draws or translates in the browser.
            `space`: a folder that is a Space of the Hugging Face hub, with the studio.
        direction: Of a run that translates, for `onnx` and `web`: `AtoB`, or `BtoA` where it has learnt that.
        noise: Whether a run that translates with dropout does so in `onnx` and `web`, which cannot hold it.
        text: Captions that the page of `web` offers.
        runtime: Folder of the npm package onnxruntime-web, for `web`.
        push_to: USER/NAME on the Hugging Face hub, where the folder is uploaded to.
        force: Write over what is there.
        checkpoint: Which of the run's checkpoints. A `Run` has its own.

    Raises:
        UserError: The run cannot be shipped this way, or something cannot be written, found or reached.
    """
    path = Path(out).expanduser()
    if format == "onnx" and path.suffix.lower() != ".onnx":
        raise UserError(f"{path}: networks are written as ONNX; name a .onnx file")
    if format == "onnx" and path.exists() and not force:
        raise UserError(f"{path} is there already: give --force to overwrite, or write elsewhere")
    if format != "onnx" and path.suffix.lower() == ".onnx":
        raise UserError(f"{path}: {format} is a folder, not a file; name a folder")
    if format not in ("onnx", "web") and (direction != "AtoB" or not noise):
        raise UserError(f"--direction and --without-noise are for onnx and web: leave them out with {format}")
    if format != "web" and (text or runtime is not None):
        raise UserError("--text and --runtime are for --format web: leave them out")
    if push_to is not None:
        if format == "onnx":
            raise UserError("--push-to uploads a folder: give --format safetensors, web or space")
        hub.check_name(push_to)
    opened = _opened(run, checkpoint)
    if format == "onnx":
        return export_onnx(opened, path, direction, noise)
    make_folder(path, force)
    folder = _folder(opened, path, format, direction, noise, text, runtime, push_to)
    if push_to is None:
        return folder
    # A page without a server of its own is a Space too, of plain files.
    url = hub.pushed(path, push_to, _KINDS[format])
    return Folder(folder.path, format, folder.use, folder.network, url)


_KINDS: dict[str, hub.Kind] = {"safetensors": "model", "web": "static", "space": "gradio"}
"""What folders are on the hub."""


def _opened(run: str | Path | Run, checkpoint: Which) -> Run:
    """The run on the CPU in fp32, which files are made from and compared with."""
    if not isinstance(run, Run):
        return load(run, device="cpu", checkpoint=checkpoint)
    if run.device.type == "cpu" and run.precision == "fp32":
        return run
    return load(run.path, device="cpu", checkpoint=run.which)


def _folder(
    run: Run,
    path: Path,
    format: Format,
    direction: str,
    noise: bool,
    text: Sequence[str],
    runtime: str | Path | None,
    name: str | None,
) -> Folder:
    if format == "safetensors":
        from ganvas.shipping.weights import write_weights

        write_weights(run, path, name)
        return Folder(path, format, f'open it with ganvas.load("{path}") or `ganvas sample {path} --out PATH`')
    if format == "space":
        from ganvas.shipping.space import write_space

        write_space(run, path, name)
        return Folder(path, format, f"try it with `python app.py` in {path}, or give --push-to USER/NAME")
    from ganvas.shipping.web import write_web

    network = write_web(run, path, direction, noise, text, runtime)
    use = f"look at it with `python -m http.server --directory {path}`, on http://localhost:8000"
    return Folder(path, format, use, network)
