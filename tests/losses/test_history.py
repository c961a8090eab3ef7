"""The history of generated pictures against section 2.3 of the paper (Shrivastava et al. 2017), counted by hand."""

import pytest
import torch

from ganvas.discriminators import Condition
from ganvas.discriminators.conv import ConvDiscriminator
from ganvas.errors import UserError
from ganvas.losses.adversarial import AdversarialLoss
from ganvas.losses.history import History


def numbered(start, count):
    """Pictures that are all one number, to be told apart."""
    return torch.arange(start, start + count).float()[:, None, None, None].expand(-1, 1, 2, 2).contiguous()


def numbers(pictures):
    return pictures[:, 0, 0, 0].tolist()


def test_half_of_a_batch_is_new_and_half_is_old():
    torch.manual_seed(0)
    history = History(12)
    shown, _ = history(numbered(0, 8))
    assert numbers(shown) == list(range(8))  # nothing to draw from yet
    seen = set(range(4))
    for step in range(1, 6):
        before = set(numbers(history.pictures[: history.count]))
        shown, _ = history(numbered(8 * step, 8))
        new, old = numbers(shown)[:4], numbers(shown)[4:]
        assert new == [8 * step + i for i in range(4)]
        assert set(old) <= before and len(set(old)) == 4  # drawn without repeats, before the exchange
        seen |= set(new)
        assert set(numbers(history.pictures[: history.count])) <= seen


def test_it_grows_until_it_is_full_and_then_exactly_half_a_batch_is_replaced():
    torch.manual_seed(0)
    history = History(10)
    sizes = []
    for step in range(6):
        before = history.pictures.clone()
        history(numbered(8 * step, 8))
        sizes.append(history.count)
        if step >= 3:
            assert (before[:, 0, 0, 0] != history.pictures[:, 0, 0, 0]).sum() == 4
    assert sizes == [4, 8, 10, 10, 10, 10] and len(history.pictures) == 10


def test_places_are_replaced_at_random():
    """The popular port overwrites the front; here every place has its turn."""
    torch.manual_seed(0)
    history = History(8)
    for step in range(40):
        history(numbered(8 * step, 4))
    assert min(numbers(history.pictures)) > 8 * 4


def test_conditions_stay_with_their_pictures():
    torch.manual_seed(0)
    history = History(6)
    for step in range(5):
        fake = numbered(4 * step, 4)
        shown, condition = history(fake, Condition(vector=fake[:, :, 0, 0], maps=-fake))
        assert numbers(shown) == condition.vector[:, 0].tolist() == numbers(-condition.maps)
    assert condition.boxes is None


def test_no_gradient_is_kept_and_what_is_shown_may_be_changed():
    history = History(4)
    fake = numbered(0, 4).requires_grad_()
    shown, _ = history(fake)
    assert not shown.requires_grad and not history.pictures.requires_grad


def test_it_goes_on_from_a_saved_state():
    """Against the same history that was never saved, from the same random numbers."""
    torch.manual_seed(0)
    one, other = History(6), History(6)
    for step in range(3):
        one(numbered(4 * step, 4))
    other.load_state_dict(one.state_dict())
    shown = []
    for history in (one, other):
        torch.manual_seed(1)
        shown.append(history(numbered(100, 4))[0])
    assert torch.equal(*shown) and torch.equal(one.pictures, other.pictures)
    other.load_state_dict(History(6).state_dict())
    assert numbers(other(numbered(7, 4))[0]) == [7, 8, 9, 10]  # an empty one again


def test_the_loss_shows_old_pictures_to_the_discriminator_only():
    """Against the loss without history: equal at the first call, unequal later; the generator's is never touched."""
    torch.manual_seed(0)
    network = ConvDiscriminator(16, width=4, batch_norm="none")
    plain, remembering = AdversarialLoss(network), AdversarialLoss(network, history=8)
    assert set(dict(remembering.named_buffers())) > set(dict(plain.named_buffers()))
    real = torch.rand(4, 3, 16, 16)
    for step in range(3):
        fake = torch.rand(4, 3, 16, 16)
        with torch.no_grad():
            a, b = (loss.discriminator_terms(real, fake, step=step)["image"] for loss in (plain, remembering))
            c, d = (loss.generator_terms(fake)["image"] for loss in (plain, remembering))
        assert torch.equal(c, d)
        assert torch.equal(a, b) == (step == 0)


def test_what_does_not_go_together_is_refused():
    network = ConvDiscriminator(16, width=4)
    with pytest.raises(UserError, match="gradient_penalty 0, or history 0"):
        AdversarialLoss(network, history=8, gradient_penalty=1.0)
    with pytest.raises(UserError, match="number of pictures"):
        AdversarialLoss(network, history=-1)
