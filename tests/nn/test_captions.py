"""Captions that do not belong, mixed ones and those that are kept, against what the definitions say."""

import pytest
import torch

from ganvas import UserError
from ganvas.nn.text import STANDING, Standing, mismatched, mixed, tiled


def test_mismatched_captions_are_of_another_class():
    label = torch.tensor([0, 0, 1, 1, 0, 2])
    text = torch.arange(6.0)[:, None].expand(6, 3)
    # The next of another class, round the end.
    assert mismatched(text, label)[:, 0].tolist() == [2, 2, 4, 4, 5, 0]


def test_mismatched_captions_are_others_where_there_are_no_classes():
    text = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]])
    assert mismatched(text).tolist() == [[1.0, 3.0], [1.0, 3.0], [1.0, 2.0]]
    many = torch.randn(64, 24).repeat_interleave(2, 0)
    assert (mismatched(many) != many).any(1).all()


def test_a_batch_without_another_caption():
    text = torch.ones(3, 2)
    assert torch.equal(mismatched(text), text)
    with pytest.raises(UserError, match="--micro-batch 2"):
        mismatched(text[:1])


def test_mixed_captions_are_of_both_halves():
    text = torch.randn(5, 4)
    torch.testing.assert_close(
        mixed(text, 0.25), torch.stack([0.25 * text[0] + 0.75 * text[2], 0.25 * text[1] + 0.75 * text[3]])
    )
    assert torch.equal(mixed(text, 1.0), text[:2]) and torch.equal(mixed(text, 0.0), text[2:4])


def test_a_tiled_caption_is_the_same_everywhere():
    text, maps = torch.randn(2, 3), torch.zeros(2, 5, 4, 6, dtype=torch.bfloat16)
    found = tiled(text, maps)
    assert found.shape == (2, 3, 4, 6) and found.dtype == torch.bfloat16
    assert (found == text.bfloat16()[:, :, None, None]).all()


def test_standing_conditions_are_kept_and_stand_in():
    standing = Standing(text=torch.zeros(3), boxes=torch.tensor([0.25, 0.25, 0.5, 0.5]))
    assert standing.filled([7], {})["boxes"].tolist() == [[0.25, 0.25, 0.5, 0.5]]
    batches = [{"text": torch.randn(100, 3) * 0.05, "boxes": torch.rand(100, 4)} for _ in range(4)]
    read = []
    standing.keep(read.append(i) or batch for i, batch in enumerate(batches))
    assert read == [0, 1, 2]  # no more than it needs
    assert torch.equal(standing.text, torch.cat([b["text"] for b in batches])[:STANDING])
    found = standing.filled([3, STANDING + 4], {"boxes": torch.ones(2, 4)})
    assert torch.equal(found["text"], standing.text[[3, 4]]) and torch.equal(found["boxes"], torch.ones(2, 4))
    # Of text alone comes the scale: the mean square becomes 1.
    assert float(standing.scaled(standing.text).square().mean()) == pytest.approx(1, rel=1e-5)


def test_few_standing_conditions_are_repeated_and_saved():
    standing = Standing(text=torch.zeros(2))
    standing.keep([{"text": torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])}])
    assert torch.equal(standing.text[3:6], standing.text[:3])
    other = Standing(text=torch.zeros(2))
    other.load_state_dict(standing.state_dict())
    assert torch.equal(other.text, standing.text) and other.scale == standing.scale
