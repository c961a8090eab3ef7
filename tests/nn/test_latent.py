"""Drawing pictures at given latents."""

import torch
from torch import nn

from ganvas.engine.seeding import latents
from ganvas.nn.latent import draw_at, draw_seeded


class Marks(nn.Module):
    """Pictures of 1 x 2 pixels that show the first number of the latent, and the class."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z, label):
        label = torch.full((len(z),), -1.0) if label is None else label.float()
        return self.scale * torch.stack([z[:, 0], label], 1)[:, None, None, :]


def test_latents_and_classes_reach_the_generator_in_order():
    z = torch.tensor([[0.5, 9.0], [-2.0, 9.0]])
    assert draw_at(Marks(), z, {"label": torch.tensor([2, 1])}, 3).flatten().tolist() == [0.5, 2.0, -2.0, 1.0]
    assert draw_at(Marks(), z, {"label": torch.tensor([2, 1])}, 0).flatten().tolist() == [0.5, -1.0, -2.0, -1.0]


def test_seeds_draw_at_their_own_latents_with_classes_in_turn():
    seeds = [5, 0, 4]
    z = latents(seeds, 2)
    expected = draw_at(Marks(), z, {"label": torch.tensor([2, 0, 1])}, 3)
    assert torch.equal(draw_seeded(Marks(), seeds, {}, 2, 3, None), expected)
    chosen = {"label": torch.tensor([1, 1, 0])}
    assert torch.equal(draw_seeded(Marks(), seeds, chosen, 2, 3, None), draw_at(Marks(), z, chosen, 3))
