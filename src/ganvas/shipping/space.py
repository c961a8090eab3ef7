"""A folder that is a Space of the Hugging Face hub: the studio, with one run, for everybody."""

from __future__ import annotations

import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from ganvas.errors import UserError
from ganvas.run import Run
from ganvas.shipping.card import front_matter
from ganvas.shipping.folder import make_folder, put
from ganvas.shipping.weights import write_weights

APP = '''"""The studio of ganvas with the run in model/, open to everybody."""

import os
from pathlib import Path

from ganvas.studio import serve

model = Path(__file__).resolve().parent / "model"
serve([model], host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "7860")), public=True)
'''


def write_space(run: Run, out: Path, name: str | None = None) -> None:
    """Writes `app.py`, `README.md`, `requirements.txt`, the run as `model/`, and ganvas itself.

    Args:
        run: On the CPU, in fp32.
        out: The folder, which exists.
        name: Of the Space, USER/NAME.

    Raises:
        UserError: Gradio is missing, or a file cannot be written.
    """
    try:
        gradio = _public(version("gradio"))
    except PackageNotFoundError:
        raise UserError('a Space is served by Gradio, whose version it names: pip install "ganvas[studio]"') from None
    make_folder(out / "model", force=True)
    write_weights(run, out / "model")
    source = Path(__file__).parents[1]
    try:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "*.part")
        shutil.copytree(source, out / "ganvas", ignore=ignored, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise UserError(f"cannot copy ganvas to {out}: {' '.join(str(error).split())[:200]}") from error
    licence = _licence()
    if licence:
        put(out / "ganvas" / "LICENSE", licence)
    put(out / "requirements.txt", "\n".join(requirements(run)) + "\n")
    put(out / "app.py", APP)
    put(out / "README.md", _readme(run, gradio, name))


def requirements(run: Run) -> list[str]:
    """What pip has to install, in the versions that are here: for ganvas, the studio, and captions if it reads them.

    Args:
        run: What is to be served.

    Raises:
        UserError: ganvas is not installed.
    """
    wanted = {"", "studio", *({"text"} if "text" in run.needs else ())}
    try:
        stated = distribution("ganvas").requires or []
    except PackageNotFoundError:
        raise UserError("ganvas is not installed, so what it needs is not known: pip install it first") from None
    found = []
    for line in stated:
        extra = re.search(r"""extra == ['"](\w+)['"]""", line)
        if (extra[1] if extra else "") in wanted:
            found.append(_pinned(line.partition(";")[0].strip()))
    return sorted(set(found), key=str.lower)


def _pinned(stated: str) -> str:
    """A requirement at the version that is installed; as it is stated where none is."""
    package = re.match(r"[\w.-]+", stated)
    assert package is not None
    try:
        return f"{package[0]}=={_public(version(package[0]))}"
    except PackageNotFoundError:
        return stated


def _public(text: str) -> str:
    """A version without what tells builds of it apart."""
    return text.partition("+")[0]


def _licence() -> str:
    """The licence of ganvas, which goes with every copy; empty if the installed package has none."""
    try:
        here = distribution("ganvas")
        return here.read_text("licenses/LICENSE") or here.read_text("LICENSE") or ""
    except PackageNotFoundError:
        return ""


def _readme(run: Run, gradio: str, name: str | None) -> str:
    settings = run.settings
    title = f"{settings.system} {settings.preset}"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    head = front_matter(
        run, title=title, sdk="gradio", sdk_version=gradio, python_version=python, app_file="app.py", pinned=False,
        tags=["ganvas", "gan", settings.system],
    )  # fmt: skip
    where = f", as https://huggingface.co/spaces/{name} does" if name else ""
    return f"""{head}

# {title}

The studio of ganvas with one run; nothing that is uploaded is kept. After `pip install -r requirements.txt`,
`python app.py` serves it on http://localhost:7860{where}.

`model/README.md` says what the run learnt from, how it was trained and scored, and what to expect of it. `ganvas/` is
the library, Apache-2.0.

Licence of the training pictures: {settings.data["licence"] or "not known"}
"""
