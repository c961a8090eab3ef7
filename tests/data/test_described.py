"""Captions of pictures: which are used, how they are drawn, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ganvas.data import DataOptions, Described, Prepared, check_data, open_data, prepare_data
from ganvas.data.described import captions_of
from ganvas.data.source import Unusable
from ganvas.errors import UserError
from ganvas.text.encoders import Encoder

Draw = Callable[..., Path]
NEEDS = frozenset({"image", "text"})
E = 5


def vector(text: str) -> torch.Tensor:
    """What the stand-in for an encoder makes of a caption: numbers of its bytes."""
    values = list(hashlib.sha256(text.encode()).digest()[:E])
    return torch.tensor(values, dtype=torch.float32) / 255


class Made(Encoder):
    """A stand-in that needs no weights."""

    def __init__(self) -> None:
        self.name, self.hash = "made", "0" * 64

    def encode(self, texts: Sequence[str], progress: Any = None) -> torch.Tensor:
        return torch.stack([vector(text) for text in texts])


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganvas.text.encoders.find_encoder", lambda name, device="cpu": Made())


def captioned(folder: Path, draw: Draw, texts: Sequence[Any], **more: Sequence[Any]) -> Path:
    """Pictures of noise with these texts; a text of Ellipsis is a row without one."""
    rows = []
    for i, text in enumerate(texts):
        draw(folder / f"{i:02d}.png", seed=i, size=(20, 20))
        row = {"file_name": f"{i:02d}.png"} | ({} if text is ... else {"text": text})
        rows.append(row | {key: values[i] for key, values in more.items()})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def opened(folder: Path, options: DataOptions, needs: frozenset[str] = NEEDS, size: int = 16) -> Described:
    data = open_data(folder, options, size=size, needs=needs)
    assert isinstance(data, Described)
    return data


def test_keys_and_facts(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    data = opened(captioned(tmp_path / "in", draw, ["a", ["b", "c"], "d"], label=["x", "y", "x"]), options)
    assert data.keys() == {"image", "label", "text"} and data.classes == ["x", "y"]
    assert len(data) == 3 and data.amount == "3 pictures" and data.embedding == E and data.parts == ()
    assert data.encoder == {"name": "made", "hash": "0" * 64, "dim": E}
    assert [data.texts(i) for i in range(3)] == [["a"], ["b", "c"], ["d"]]
    told = json.loads(json.dumps(data.describe()))
    assert told["count"] == 3 and told["keys"] == ["image", "label", "text"] and told["encoder"]["dim"] == E
    batch = data.sampler(batch=2, seed=0, options=options, device="cpu", size=16).batch(0)
    assert set(batch) == data.keys() and batch["text"].shape == (2, E) and batch["text"].dtype == torch.float32


def test_without_text_needed_it_is_pictures(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    folder = captioned(tmp_path / "in", draw, ["a", ..., ""])
    data = open_data(folder, options, size=16)
    assert isinstance(data, Prepared) and len(data) == 3 and data.columns["text"] == ["a", None, ""]
    with pytest.raises(UserError, match="--embeddings is for systems that learn from captions"):
        open_data(folder, replace(options, embeddings=Path("x.npy")), size=16)


def test_pictures_are_those_of_the_plain_sampler(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    """The same seed draws the same squares, mirrored alike, with captions or without."""
    folder = captioned(tmp_path / "in", draw, [f"text {i}" for i in range(9)])
    options = replace(options, load_size=20)
    plain, data = open_data(folder, options, size=16), opened(folder, options)
    given = {"batch": 4, "seed": 5, "options": options, "device": "cpu", "size": 16}
    for step in range(4):
        a, b = plain.sampler(**given).batch(step, 1), data.sampler(**given).batch(step, 1)  # type: ignore[arg-type]
        assert torch.equal(a["image"], b["image"])


def test_text_is_the_mean_of_captions_of_the_picture(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    """Of k different ones; of all where it has fewer. Against every choice, by hand."""
    texts = [["a"], ["b", "c"], ["d", "e", "f"], ["g", "h", "i", "j", "k"]]
    folder = captioned(tmp_path / "in", draw, texts, label=["0", "1", "2", "3"])
    options = replace(options, captions=2)
    data = opened(folder, options)
    sampler = data.sampler(batch=4, seed=5, options=options, device="cpu", size=16)
    seen: dict[int, set[int]] = {i: set() for i in range(4)}
    for step in range(150):
        batch = sampler.batch(step)
        for label, text in zip(batch["label"].tolist(), batch["text"], strict=True):
            own = texts[label]
            means = [torch.stack([*map(vector, two)]).mean(0) for two in combinations(own, min(2, len(own)))]
            hits = [i for i, mean in enumerate(means) if torch.allclose(text, mean, atol=1e-6)]
            assert len(hits) == 1
            seen[label].add(hits[0])
    assert {label: len(hits) for label, hits in seen.items()} == {0: 1, 1: 1, 2: 3, 3: 10}


def test_all_captions_where_more_are_asked_for(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    texts = [["a"], ["b", "c"], ["d", "e", "f"]]
    options = replace(options, captions=4)
    data = opened(captioned(tmp_path / "in", draw, texts, label=["0", "1", "2"]), options)
    batch = data.sampler(batch=3, seed=5, options=options, device="cpu", size=16).batch(2)
    for label, text in zip(batch["label"].tolist(), batch["text"], strict=True):
        assert torch.allclose(text, torch.stack([*map(vector, texts[label])]).mean(0), atol=1e-6)


def test_conditions_are_the_first_captions(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    texts = [["a", "b", "c"], ["d"], ["e", "f"]]
    data = opened(captioned(tmp_path / "in", draw, texts, label=["u", "v", "w"]), replace(options, captions=2))
    found = data.conditions([2, 0, 1, 0])
    expected = [vector("e") + vector("f"), vector("a") + vector("b"), 2 * vector("d"), vector("a") + vector("b")]
    assert torch.allclose(found["text"], torch.stack(expected) / 2, atol=1e-6)
    assert found["label"].tolist() == [2, 0, 1, 0] and set(found) == {"label", "text"}


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_together_see_what_one_would(tmp_path: Path, draw: Draw, options: DataOptions, world: int) -> None:
    """Captions, boxes and keypoints too."""
    texts = [[f"{i} {j}" for j in range(i % 4 + 1)] for i in range(11)]
    boxes = [[i, 2, 5, 6] for i in range(11)]
    points = [{"left": [i, 3], "right": [19, i, i % 2]} for i in range(11)]
    folder = captioned(tmp_path / "in", draw, texts, bbox=boxes, keypoints=points)
    options = replace(options, captions=2, load_size=20)
    data = opened(folder, options, frozenset({"image", "text", "boxes", "keypoints"}))
    given: dict[str, Any] = {"batch": 6, "seed": 1, "options": options, "device": "cpu", "size": 16}
    whole = data.sampler(**given)
    parts = [data.sampler(**given, rank=rank, world=world) for rank in range(world)]
    for step in range(5):
        expected, got = whole.batch(step, 1, 2), [part.batch(step, 1, 2) for part in parts]
        assert set(expected) == {"image", "text", "boxes", "keypoints"}
        for key, value in expected.items():
            assert torch.equal(torch.cat([one[key] for one in got]), value)


def test_a_batch_depends_on_nothing_that_came_before(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    data = opened(captioned(tmp_path / "in", draw, [["a", "b", "c"]] * 7), replace(options, captions=1))
    options = replace(options, captions=1)
    given: dict[str, Any] = {"batch": 6, "seed": 1, "options": options, "device": "cpu", "size": 16}
    used = data.sampler(**given)
    batches = [used.batch(step)["text"] for step in range(6)]
    assert torch.equal(data.sampler(**given).batch(4)["text"], batches[4])
    assert len({tuple(batch.flatten().tolist()) for batch in batches}) > 1
    assert not torch.equal(used.batch(4, draw=1)["text"], batches[4])


def test_pictures_without_captions_are_skipped_by_name(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    texts = ["a", ..., "", "   ", None, [], ["", " "], ["", "b"], 5, ["c", 5], "d"]
    data = opened(captioned(tmp_path / "in", draw, texts), options)
    kind = "its text is neither a string nor a list of strings"
    assert [str(problem) for problem in data.skipped] == [
        "01.png: no text", "02.png: an empty text", "03.png: an empty text", "04.png: no text", "05.png: no text",
        "06.png: an empty text", f"08.png: {kind}", f"09.png: {kind}",
    ]  # fmt: skip
    assert data.rows.tolist() == [0, 7, 10] and data.texts(1) == ["b"] and len(data.pictures) == 11
    sampler = data.sampler(batch=3, seed=0, options=options, device="cpu", size=16)
    assert sorted(sampler.indices(0)) == [0, 7, 10]
    said = {0: "a", 7: "b", 10: "d"}
    expected = torch.stack([vector(said[int(row)]) for row in sampler.indices(0)])
    assert torch.allclose(sampler.batch(0)["text"], expected)
    with pytest.raises(UserError, match=r"because of strict: 01\.png: no text \(and 7 more\)"):
        opened(tmp_path / "in", replace(options, strict=True))
    with pytest.raises(UserError, match="holds 3 usable pictures, fewer than a batch of 4; use --batch 3"):
        data.sampler(batch=4, seed=0, options=options, device="cpu", size=16)


def test_labels_are_those_of_usable_pictures(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    data = opened(captioned(tmp_path / "in", draw, ["a", ..., "b", "c"], label=["x", "y", "z", "x"]), options)
    assert data.labels is not None and data.labels.tolist() == [0, 2, 0] and data.classes == ["x", "y", "z"]
    options = replace(options, balance=True)
    batch = data.sampler(batch=2, seed=0, options=options, device="cpu", size=16).batch(0)
    assert sorted(batch["label"].tolist()) == [0, 2]


def test_nothing_that_is_needed(tmp_path: Path, draw: Draw, options: DataOptions, folder: Path) -> None:
    with pytest.raises(UserError, match=r"has no text column, which this system learns from: metadata\.jsonl"):
        opened(folder, options)
    with pytest.raises(UserError, match="has no bbox column"):
        opened(captioned(tmp_path / "in", draw, ["a", "b"]), options, NEEDS | {"boxes"})
    with pytest.raises(UserError, match=r"holds 1 usable picture with text; at least 2 are needed; 01\.png: an empty"):
        opened(captioned(tmp_path / "in", draw, ["a", "", ""]), options)


@pytest.mark.parametrize(
    "text", ["ein Rotkehlchen", "雪の中のコマドリ", "🐢", "a\u2028b", "e\u0301 \U0001f1e9\U0001f1ea"]
)
def test_any_language(tmp_path: Path, draw: Draw, options: DataOptions, text: str) -> None:
    """Kept as it is, through the cache and a prepared folder, as .jsonl and as .csv."""
    folder = captioned(tmp_path / "in", draw, [text, [text, "x"]])
    assert opened(folder, options).captions == [[text], [text, "x"]]
    prepare_data(folder, tmp_path / "out", options, size=18)
    again = opened(tmp_path / "out", options)
    assert again.captions == [[text], [text, "x"]]
    assert torch.allclose(again.conditions([0])["text"][0], vector(text))
    (folder / "metadata.jsonl").unlink()
    rows = "\n".join(["file_name,text", f'00.png,"{text}"', f'01.png,"{text}"'])
    (folder / "metadata.csv").write_text(rows, encoding="utf-8")
    assert opened(folder, options).captions == [[text], [text]]


def test_half_a_character(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    """JSON can hold what UTF-8 cannot."""
    assert captions_of("a \ud83d b") == ["a ? b"]
    assert len(opened(captioned(tmp_path / "in", draw, ["a \ud83d b", "c"]), options)) == 2
    with pytest.raises(Unusable):
        captions_of({"a": 1})


def test_the_hash_tells_what_is_said(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    """It changes with a caption, a box or the encoder, and not with where the data lies."""
    box = [[0, 0, 5, 5]] * 3
    first = opened(captioned(tmp_path / "a", draw, ["a", "b", "c"], bbox=box), options)
    assert first.hash == opened(captioned(tmp_path / "b", draw, ["a", "b", "c"], bbox=box), options).hash
    others = [
        opened(captioned(tmp_path / "c", draw, ["a", "b", "d"], bbox=box), options),
        opened(tmp_path / "a", options, NEEDS | {"boxes"}),
        opened(captioned(tmp_path / "d", draw, ["a", "b", "c"], bbox=[[0, 0, 5, 6]] * 3), options, NEEDS | {"boxes"}),
        replace(first, encoder={"name": "other"}),
    ]
    assert len({data.hash for data in [first, *others]}) == 5


@pytest.mark.parametrize("kind", ["npy", "npy3", "safetensors"])
def test_given_embeddings(tmp_path: Path, draw: Draw, options: DataOptions, kind: str) -> None:
    """In the order of the pictures or by their names; captions are not needed, and those there are kept to be shown."""
    folder = captioned(tmp_path / "in", draw, ["a", ..., ""], bbox=[[1, 1, 5, 5], None, [2, 2, 5, 5]])
    values = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    path = tmp_path / ("e.safetensors" if kind == "safetensors" else "e.npy")
    if kind == "safetensors":
        save_file({f"{i:02d}.png": torch.from_numpy(values[i].copy()) for i in range(3)}, path)
    else:
        np.save(path, values if kind == "npy3" else values[:, 0])
    options = replace(options, embeddings=path, captions=2)
    data = opened(folder, options)
    expected = values[:, 0] if kind == "npy" else values.mean(1)
    assert len(data) == 3 and data.embedding == 4 and [data.texts(i) for i in range(3)] == [["a"], [], []]
    assert data.conditions(range(3))["text"].numpy() == pytest.approx(expected, abs=1e-6)
    assert data.encoder == {"name": path.name, "hash": hashlib.sha256(path.read_bytes()).hexdigest(), "dim": 4}
    boxed = opened(folder, options, NEEDS | {"boxes"})
    assert boxed.rows.tolist() == [0, 2]
    assert boxed.conditions([1])["text"].numpy() == pytest.approx(expected[2:], abs=1e-6)
    np.save(tmp_path / "short.npy", values[:2, 0])
    with pytest.raises(UserError, match=r"2 pictures, and the data has 3"):
        opened(folder, replace(options, embeddings=tmp_path / "short.npy"))


def test_check_tells_of_captions(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    """Counted by hand."""
    report = check_data(captioned(tmp_path / "in", draw, ["a", ["b", "c"], ..., "", ["d", ""], "e"]), options)
    text = "\n".join(report.lines())
    assert "captions a picture: 0 (2), 1 (3), 2 (1)" in text and "captions, empty or missing (3):" in text
    for line in ("02.png: no text", "03.png: an empty text", "04.png: 1 of its 2 texts are empty"):
        assert f"  {line}" in text
    assert json.loads(json.dumps(report.to_json()))["annotations"]["captions"] == {"0": 2, "1": 3, "2": 1}
    assert "boxes" not in text and "keypoints" not in text


def test_pictures_share_a_caption(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    """The same caption has the same numbers wherever it stands."""
    data = opened(captioned(tmp_path / "in", draw, ["a", ["b", "a"], ["a"]]), replace(options, captions=1))
    found = data.conditions([0, 2])["text"]
    assert torch.equal(found[0], found[1]) and torch.allclose(found[0], vector("a"))
