"""What a run draws when asked for captions, boxes and keypoints: read off pictures that show what they were given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from worded_runs import PARTS, box_of, caption_of, equal, keypoints_of, known, latent_of, worded

import ganvas
from ganvas.engine.seeding import latents
from ganvas.nn.text import STANDING
from ganvas.text.encoders import find_encoder

BOX = (0.25, 0.5, 0.5, 0.25)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return worded(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def completion(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return worded(tmp_path_factory.mktemp("runs") / "completion", needs=("text", "keypoints"), completes=True)


def test_one_caption_is_drawn_from_every_seed(run: Any) -> None:
    pictures = run.sample(3, seed=5, text="a red circle", batch=2)
    assert equal(known("a red circle"), caption_of(pictures))
    assert torch.equal(latent_of(pictures), latents(range(5, 8), 8))


def test_several_captions_are_drawn_in_turn(run: Any) -> None:
    pictures = run.sample(5, text=["a red circle", "a blue square"])
    for place, text in enumerate(["a red circle", "a blue square"] * 2 + ["a red circle"]):
        assert torch.equal(caption_of(pictures)[place], known(text))


def test_what_is_not_asked_for_is_what_the_run_kept(run: Any) -> None:
    pictures = run.sample(3, seed=7, text="a red circle")
    kept = torch.linspace(0, 1, STANDING)[[7, 8, 9], None]
    assert equal(kept, box_of(pictures))
    assert equal(kept, caption_of(run.sample(3, seed=7, box=BOX)))
    assert run.sample(2).shape == (2, 3, 8, 8)


def test_a_box_and_keypoints_arrive_as_shares(run: Any, tmp_path: Path) -> None:
    assert equal(torch.tensor(BOX), box_of(run.sample(2, box=BOX)))
    expected = torch.tensor([[0.1, 0.2, 1], [0, 0, 0], [1, 0, 1]])
    by_name = {"right wing": [1, 0], "beak": [0.1, 0.2, 1], "left wing": None}
    as_list = [[0.1, 0.2], [0.3, 0.3, 0], [1, 0, 2]]
    (tmp_path / "named.json").write_text(json.dumps(by_name))
    (tmp_path / "list.json").write_text(json.dumps(as_list))
    for given in (by_name, {"beak": (0.1, 0.2), "right wing": (1, 0)}, as_list, tmp_path / "named.json",
                  str(tmp_path / "list.json"), expected):  # fmt: skip
        assert equal(expected, keypoints_of(run.sample(2, keypoints=given)))


def test_vectors_of_a_file_or_tensor_stand_in_for_captions(run: Any, tmp_path: Path) -> None:
    vectors = find_encoder("minilm").encode(["a red circle", "a blue square"])
    np.save(tmp_path / "rows.npy", vectors.numpy())
    by_text = run.sample(4, text=["a red circle", "a blue square"])
    assert torch.equal(run.sample(4, embeddings=tmp_path / "rows.npy"), by_text)
    assert torch.equal(run.sample(4, embeddings=vectors), by_text)


def test_conditions_are_tensors_of_n(run: Any) -> None:
    found = run.conditions(3, text="a red circle", box=BOX, keypoints={"beak": [0.5, 0.5]})
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    assert shapes == {"text": (3, 384), "boxes": (3, 4), "keypoints": (3, 3, 3)}
    assert run.conditions(3) == {}


def test_missing_keypoints_are_completed_and_the_given_ones_stay(run: Any, completion: Any) -> None:
    pictures = run.sample(3, seed=10, text="a red circle", keypoints={"beak": [0.75, 0.5]}, complete=completion)
    first = known("a red circle")[0]
    drawn = torch.stack([first.expand(3), torch.tensor([0.10, 0.11, 0.12]), torch.ones(3)], 1)
    expected = torch.stack([torch.tensor([0.75, 0.5, 1]).expand(3, 3), drawn, drawn], 1)
    torch.testing.assert_close(keypoints_of(pictures), expected)
    # From its folder, with no keypoint given, and captions of the run's own.
    pictures = run.sample(2, seed=4, complete=completion.path)
    drawn = torch.stack([torch.linspace(0, 1, STANDING)[[4, 5]], torch.tensor([0.04, 0.05]), torch.ones(2)], 1)
    torch.testing.assert_close(keypoints_of(pictures), drawn[:, None].expand(2, 3, 3))


def test_a_way_between_captions_is_straight_and_keeps_the_rest(run: Any) -> None:
    pictures = run.between(2, seed=3, text="a red circle", to_text="a blue square", frames=5, batch=3)
    assert pictures.shape == (2, 5, 3, 8, 8)
    start, end = known("a red circle"), known("a blue square")
    expected = torch.stack([start + (end - start) * share for share in (0, 0.25, 0.5, 0.75, 1)])
    for row in pictures:
        torch.testing.assert_close(caption_of(row), expected)
    assert torch.equal(caption_of(pictures[0])[0], start)
    assert torch.equal(caption_of(pictures[0])[-1], end)
    assert torch.equal(latent_of(pictures), latents([3, 4], 8)[:, None].expand(2, 5, 8))
    assert equal(torch.linspace(0, 1, STANDING)[[3, 4], None, None], box_of(pictures))


def test_a_way_between_boxes_is_straight_and_keeps_the_caption(run: Any) -> None:
    pictures = run.between(2, text="a red circle", box=(0, 0, 0.5, 0.25), to_box=(0.5, 0, 0.25, 0.75), frames=3)
    assert box_of(pictures)[1].tolist() == [[0, 0, 0.5, 0.25], [0.25, 0, 0.375, 0.5], [0.5, 0, 0.25, 0.75]]
    assert equal(known("a red circle"), caption_of(pictures))


def test_keypoints_are_completed_once_for_a_way(run: Any, completion: Any) -> None:
    pictures = run.between(2, seed=20, text="a red circle", to_text="a dog", complete=completion, frames=4)
    for row, seed in zip(keypoints_of(pictures), (0.2, 0.21), strict=True):
        drawn = torch.tensor([float(known("a red circle")[0]), seed, 1])
        torch.testing.assert_close(row, drawn.expand_as(row))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"text": ""}, "text 1 of 1 is empty"),
        ({"text": ["a", " "]}, "text 2 of 2 is empty"),
        ({"text": []}, "no caption is given"),
        ({"text": "a", "embeddings": "file.npy"}, "give one of them"),
        ({"embeddings": torch.zeros(2, 5)}, r"\(N, 384\) is wanted"),
        ({"embeddings": "nowhere.npy"}, "cannot read nowhere.npy"),
        ({"box": (0, 0, 1)}, "a box is four numbers"),
        ({"box": (0.5, 0, 0.6, 1)}, "0.5,0,0.6,1 is not inside of the picture"),
        ({"box": (-0.1, 0, 0.5, 0.5)}, "not inside"),
        ({"box": (0, 0, 0, 0.5)}, "not inside"),
        ({"box": (10, 20, 30, 40)}, "shares"),
        ({"box": (0, 0, float("nan"), 1)}, "a box is four numbers"),
        ({"keypoints": {"tail": [0, 0]}}, "no part 'tail'.*beak, left wing, right wing"),
        ({"keypoints": {"beek": [0, 0]}}, "did you mean beak"),
        ({"keypoints": [[0, 0]]}, "one for each of 3 parts, not 1"),
        ({"keypoints": {"beak": [12, 30]}}, "beak is outside of the picture"),
        ({"keypoints": {"beak": [0.5]}}, r"beak is \[x, y\] or"),
        ({"keypoints": {"beak": "0.5,0.5"}}, r"beak is \[x, y\] or"),
        ({"keypoints": {"beak": [True, 0.5]}}, r"beak is \[x, y\] or"),
        ({"keypoints": Path("nowhere.json")}, "cannot read the keypoints in nowhere.json"),
    ],
)
def test_what_cannot_be_is_one_line(run: Any, asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(ganvas.UserError, match=reason) as error:
        run.sample(1, **asked)
    assert "\n" not in str(error.value)


def test_a_file_of_keypoints_that_is_no_json_or_no_keypoints(run: Any, tmp_path: Path) -> None:
    for text, reason in (("{", "is no JSON file"), ("3", "one for each of 3 parts, not none"), ('"a"', "parts, not")):
        (tmp_path / "keypoints.json").write_text(text)
        with pytest.raises(ganvas.UserError, match=reason):
            run.sample(1, keypoints=tmp_path / "keypoints.json")


def test_a_run_refuses_what_it_never_learnt(tmp_path: Path, run: Any, completion: Any) -> None:
    plain = worded(tmp_path / "plain", encoder={}, needs=())
    for asked in ({"text": "a"}, {"embeddings": torch.zeros(1, 384)}, {"box": BOX}, {"keypoints": {}}):
        with pytest.raises(ganvas.UserError, match="was trained without"):
            plain.sample(1, **asked)
    assert plain.sample(1).shape == (1, 3, 8, 8)
    with pytest.raises(ganvas.UserError, match="completes no keypoints"):
        run.sample(1, complete=run)
    other = worded(tmp_path / "parts", needs=("text", "keypoints"), completes=True, parts=[*"abc"])
    with pytest.raises(ganvas.UserError, match=r"completes other parts \(a, b, c\)"):
        run.sample(1, complete=other)
    known = run.settings.data["encoder"] | {"hash": "f" * 64}
    other = worded(tmp_path / "encoder", needs=("text", "keypoints"), completes=True, encoder=known)
    with pytest.raises(ganvas.UserError, match="another encoder"):
        run.sample(1, complete=other)


def test_captions_are_read_by_the_encoder_of_the_training_alone(tmp_path: Path) -> None:
    changed = worded(tmp_path / "changed", encoder={"name": "minilm", "hash": "f" * 64, "dim": 384})
    with pytest.raises(ganvas.UserError, match="another version of the encoder minilm"):
        changed.sample(1, text="a red circle")
    given = worded(tmp_path / "given", encoder={"name": "birds.npy", "hash": "f" * 64, "dim": 384})
    with pytest.raises(ganvas.UserError, match=r"learnt from vectors in birds\.npy.*--embeddings"):
        given.sample(1, text="a red circle")
    assert equal(torch.ones(8) / 2, caption_of(given.sample(1, embeddings=torch.full((1, 384), 0.5))))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, "nothing changes"),
        ({"to_text": "a dog"}, "give one --text where it begins"),
        ({"to_text": "a dog", "text": ["a", "b"]}, "give one --text where it begins"),
        ({"to_text": " ", "text": "a"}, "empty"),
        ({"to_box": BOX}, "give --box where it begins"),
        ({"to_box": (0, 0, 2, 2), "box": BOX}, "not inside"),
        ({"to_text": "a dog", "text": "a", "frames": 1}, "at least 2 pictures"),
    ],
)
def test_a_way_without_an_end_is_one_line(run: Any, asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(ganvas.UserError, match=reason):
        run.between(1, **asked)


def read(path: Path) -> torch.Tensor:
    """A picture of a file, in [-1, 1]."""
    return torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1) / 127.5 - 1


def test_a_folder_has_a_file_for_each_caption_and_seed_and_a_list(run: Any, tmp_path: Path) -> None:
    captions = ["a red circle", "赤い  円\n"]
    run.save_samples(tmp_path / "out", 2, 9, text=captions, box=BOX)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["caption-001-seed-00000009.png", "caption-001-seed-00000010.png", "caption-002-seed-00000009.png",
                     "caption-002-seed-00000010.png", "captions.txt"]  # fmt: skip
    assert (tmp_path / "out" / "captions.txt").read_text() == "1\ta red circle\n2\t赤い 円\n"
    for number, text in enumerate(captions, 1):
        for seed in (9, 10):
            path = tmp_path / "out" / f"caption-{number:03d}-seed-{seed:08d}.png"
            expected = run.sample(1, seed, text=text, box=BOX)[0]
            torch.testing.assert_close(read(path), expected.clamp(-1, 1), atol=1 / 127, rtol=0)
            assert Image.open(path).info["Description"] == text
            assert Image.open(path).info["Copyright"] == "CC0"


def test_a_grid_has_the_same_seeds_for_each_caption(run: Any, tmp_path: Path) -> None:
    captions = ["a red circle", "a blue square"]
    run.save_samples(tmp_path / "grid.png", 3, 1, text=captions)
    picture = read(tmp_path / "grid.png")
    assert Image.open(tmp_path / "grid.png").info["Description"] == "a red circle\na blue square"
    # Pictures of 8 pixels are enlarged to 64, with a gap of 2 around each, beside 220 pixels of captions.
    for row, text in enumerate(captions):
        expected = run.sample(3, 1, text=text).clamp(-1, 1)
        for column in range(3):
            top, left = 8 + row * (68 + 8) + 2, 220 + 2 + column * 66
            cell = picture[:, top : top + 64, left : left + 64]
            torch.testing.assert_close(cell[:, 4::8, 4::8], expected[column], atol=1 / 127, rtol=0)
    for row in range(2):  # and something is written beside each
        assert picture[:, 8 + row * 76 : 76 + row * 76, :216].min() < 0


def test_a_way_is_written_as_a_row_for_each_seed(run: Any, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"text": "a red circle", "box": (0, 0, 0.5, 0.5), "to_box": (0.5, 0.5, 0.5, 0.5)}
    run.save_samples(tmp_path / "way.png", 2, frames=5, to_text="a dog", **asked)
    assert Image.open(tmp_path / "way.png").info["Description"] == "a red circle\na dog"
    run.save_samples(tmp_path / "way", 2, 3, frames=3, **asked)
    names = [f"seed-{seed:08d}-frame-{frame:03d}.png" for seed in (3, 4) for frame in (1, 2, 3)]
    assert sorted(path.name for path in (tmp_path / "way").iterdir()) == ["captions.txt", *names]
    expected = run.between(2, 3, frames=3, **asked)[1, 2].clamp(-1, 1)
    torch.testing.assert_close(read(tmp_path / "way" / names[-1]), expected, atol=1 / 127, rtol=0)


def test_nothing_is_made_where_nothing_can_be_drawn(run: Any, tmp_path: Path) -> None:
    for asked in ({"box": (0, 0, 2, 2)}, {"text": " "}, {"to_box": BOX}):
        with pytest.raises(ganvas.UserError):
            run.save_samples(tmp_path / "out", 2, **asked)
    assert not (tmp_path / "out").exists()


def test_the_command(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ganvas.cli import run as command

    def sample(*words: object) -> tuple[int, str, str]:
        status = command(["sample", str(run.path), "--device", "cpu", *map(str, words)])
        said = capsys.readouterr()
        return status, said.out, said.err

    (tmp_path / "keypoints.json").write_text('{"beak": [0.5, 0.25]}')
    words = [
        "--out",
        tmp_path / "out",
        "--n",
        2,
        "--text",
        "a red circle",
        "--text",
        "🐶",
        "--box",
        "0.25,0.5,0.5,0.25",
    ]
    status, out, err = sample(*words, "--keypoints", tmp_path / "keypoints.json")
    assert (status, out) == (0, f"{tmp_path / 'out'}\n")
    assert re.fullmatch(r"ganvas: note: 1 of 2 captions have no Latin letter.*\n", err)
    expected = run.sample(1, 1, text="🐶", box=BOX, keypoints=[[0.5, 0.25], None, None])[0].clamp(-1, 1)
    torch.testing.assert_close(read(tmp_path / "out/caption-002-seed-00000001.png"), expected, atol=1 / 127, rtol=0)

    way = ["--out", tmp_path / "way.png", "--n", 2, "--text", "a red circle", "--to-text", "a dog", "--frames", 4]
    assert sample(*way) == (0, f"{tmp_path / 'way.png'}\n", "")
    assert sample("--out", tmp_path / "kept.png", "--n", 2) == (0, f"{tmp_path / 'kept.png'}\n", "")
    for wrong, reason in (
        (["--box", "0.1,0.2,0.3"], "--box takes x,y,width,height"),
        (["--box", "0.9,0.9,0.3,0.3"], "not inside of the picture"),
        (["--to-box", "a,b,c,d", "--box", "0,0,1,1"], "--to-box takes x,y,width,height"),
        (["--text", ""], "text 1 of 1 is empty"),
        (["--keypoints", tmp_path / "no.json"], "cannot read the keypoints"),
        (["--complete", tmp_path / "no"], "is not a run"),
        (["--embeddings", tmp_path / "no.npy"], "cannot read"),
    ):
        status, out, err = sample("--out", tmp_path / "wrong.png", *wrong)
        assert (status, out) == (2, "")
        assert re.fullmatch(rf"ganvas: .*{re.escape(reason)}.*\n", err)
    assert not (tmp_path / "wrong.png").exists()


def test_parts_are_those_of_the_fixture(run: Any) -> None:
    assert run.settings.data["parts"] == PARTS
    assert run.needs == {"image", "text", "boxes", "keypoints"}
