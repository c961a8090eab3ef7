"""Where latents come from, and drawing pictures at given ones."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from ganvas.engine.seeding import latents
from ganvas.engine.system import System
from ganvas.nn.latent import Prior


class Marks(nn.Module):
    """Pictures of 1 x 2 pixels that show the first number of the latent, and the class."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z, label):
        label = torch.full((len(z),), -1.0) if label is None else label.float()
        return self.scale * torch.stack([z[:, 0], label], 1)[:, None, None, :]


class Marked(System):
    """Draws the pictures above."""

    def __init__(self, classes):
        super().__init__()
        self.prior, self.classes, self.generator = Prior(2), classes, Marks()


def test_latents_and_classes_reach_the_generator_in_order():
    z = torch.tensor([[0.5, 9.0], [-2.0, 9.0]])
    assert Marked(3).from_latents(z, {"label": torch.tensor([2, 1])}).flatten().tolist() == [0.5, 2.0, -2.0, 1.0]
    assert Marked(0).from_latents(z, {"label": torch.tensor([2, 1])}).flatten().tolist() == [0.5, -1.0, -2.0, -1.0]


def test_seeds_draw_at_their_own_latents_with_classes_in_turn():
    seeds = [5, 0, 4]
    z = latents(seeds, 2)
    expected = Marked(3).from_latents(z, {"label": torch.tensor([2, 0, 1])})
    assert torch.equal(Marked(3).sample(seeds, {}), expected)
    chosen = {"label": torch.tensor([1, 1, 0])}
    assert torch.equal(Marked(3).sample(seeds, chosen), Marked(3).from_latents(z, chosen))
    assert Marked(0).sample([1], {}).flatten()[1] == -1


@pytest.mark.parametrize(
    ("prior", "distribution"),
    [
        (Prior(50, "normal"), stats.norm(0, 1)),
        (Prior(50, "uniform"), stats.uniform(-1, 2)),
        (Prior(50, "uniform", math.sqrt(3)), stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))),
        (Prior(50, "uniform", 0.5, 0.5), stats.uniform(0, 1)),
    ],
)
def test_fresh_and_seeded_latents_have_the_distribution(prior, distribution):
    """Kolmogorov and Smirnov's test against scipy's distributions."""
    torch.manual_seed(0)
    for z in (prior.draw(200), prior.seeded(range(200))):
        assert z.shape == (200, 50) and z.dtype == torch.float32
        assert stats.kstest(z.flatten().numpy(), distribution.cdf).pvalue > 0.01


def test_a_uniform_latent_is_narrowed_to_the_share_that_a_normal_one_keeps():
    """A normal cut off at one standard deviation keeps erf(1 / sqrt 2) of its probability."""
    z = Prior(500, "uniform", 0.5, 0.5).seeded(range(20), truncation=1.0)
    share = math.erf(1 / math.sqrt(2))
    assert abs(float(z.min()) - (0.5 - share / 2)) < 2e-3 and abs(float(z.max()) - (0.5 + share / 2)) < 2e-3
    whole = Prior(500, "uniform", 0.5, 0.5).seeded(range(20))
    torch.testing.assert_close(z - 0.5, (whole - 0.5) * share, rtol=1e-5, atol=1e-6)  # order kept, linearly


def test_a_system_without_a_prior_must_sample_itself():
    with pytest.raises(NotImplementedError, match="prior"):
        System().sample([0], {})
