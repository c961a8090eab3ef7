"""The Hugging Face hub: folders of weights come from there, and folders of every kind go there."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Literal

from ganvas.engine.checkpoint import MODEL
from ganvas.errors import UserError

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
"""USER/NAME."""

Kind = Literal["model", "gradio", "static"]
"""What a repository is: a model, or a Space, made with Gradio or of plain files."""

WANTED = ["config.json", MODEL, "README.md"]
"""What is downloaded: JSON, tensors and text; never anything that runs when it is opened."""


def is_on_hub(path: str | Path) -> bool:
    """Whether this can only be a name on the hub: USER/NAME, and there is no such folder here, nor one called USER."""
    text = str(path)
    return NAME.fullmatch(text) is not None and not Path(text).exists() and not Path(text).parent.is_dir()


def fetched(name: str) -> Path:
    """The folder that a model of the hub was downloaded into, by huggingface_hub, into its own cache.

    Raises:
        UserError: There is no such model of ganvas, it cannot be reached, or huggingface_hub is missing.
    """
    hub = _library(f"{name} is no folder here, and from the hub")
    try:
        folder = Path(hub.snapshot_download(name, allow_patterns=WANTED))
    except Exception as error:  # the HTTP client, and with it what it raises, differs between versions
        raise UserError(f"cannot get {name}, which is no folder here, from the hub: {_reason(error)}") from error
    if not (folder / "config.json").is_file() or not (folder / MODEL).is_file():
        raise UserError(f"{name} on the hub is no model of ganvas: it has no config.json and {MODEL}")
    return folder


def check_name(name: str) -> None:
    """Makes sure, before anything is computed, that a folder can be pushed under a name.

    Raises:
        UserError: It is no such name, or huggingface_hub is missing.
    """
    if NAME.fullmatch(name) is None or "--" in name or ".." in name:
        raise UserError(f"{name!r} is no name on the hub: give --push-to USER/NAME, of letters, digits, -, _ and .")
    _library("to the hub")


def pushed(folder: Path, name: str, kind: Kind) -> str:
    """Uploads a folder, into a repository that is made if there is none yet.

    Args:
        folder: All that is in it goes up.
        name: USER/NAME.
        kind: Of the repository.

    Returns:
        Where it can be seen.

    Raises:
        UserError: Nobody is logged in, may not write there, or the hub cannot be reached.
    """
    api = _library("to the hub").HfApi()
    of, sdk = ("model", None) if kind == "model" else ("space", kind)
    try:
        url = api.create_repo(name, repo_type=of, exist_ok=True, space_sdk=sdk)
        api.upload_folder(repo_id=name, folder_path=folder, repo_type=of, commit_message="From ganvas")
    except Exception as error:
        raise UserError(f"{folder} is written, but cannot be pushed to {name}: {_reason(error)}") from error
    return str(url)


def _library(what: str) -> ModuleType:
    try:
        import huggingface_hub
    except ImportError:
        raise UserError(f'{what} files go through huggingface_hub: pip install "ganvas[hub]"') from None
    return huggingface_hub


def _reason(error: BaseException) -> str:
    """What went wrong and what to do, in one line."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.LocalTokenNotFoundError) or status == 401:
        return "there is no such repository for somebody who is not logged in: `hf auth login`, or set HF_TOKEN"
    if status == 403:
        return "this login may not do that there: name a repository of your own, or use a token that may write"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository, or this login may not see it"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids to ask it"
    if status is None and not isinstance(error, ValueError):
        cause = " ".join(str(error.__cause__ or error).split())[:200]
        return f"it cannot be reached ({cause or type(error).__name__})"
    return " ".join(str(error).split())[:300] or type(error).__name__
