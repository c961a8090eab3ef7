"""Judges of pictures beside captions: R-precision against closed forms and brute force, and what a matcher learns."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from ganvas.errors import UserError
from ganvas.metrics.agreement import (
    caption_accuracy,
    caption_ranks,
    distinct,
    kinds_of,
    most_candidates,
    r_precision,
    train_matcher,
)
from ganvas.metrics.judges import as_seen, split, train_classifier


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("candidates", [10, 100])
def test_random_vectors_are_found_by_chance(candidates):
    """Closed form: r / candidates, to four standard errors of a binomial."""
    n = 2000
    images, own = normal(n, 16), normal(n, 16, seed=1)
    for r in (1, 5):
        found = r_precision(images, own, own, candidates=candidates, r=r)
        chance = r / candidates
        assert abs(found.mean - chance) < 4 * (chance * (1 - chance) / n) ** 0.5
        assert found.n == n and found.low < found.mean < found.high


def test_perfect_vectors_are_always_found_and_opposite_ones_never():
    own = normal(300, 8)
    assert r_precision(3 * own, own, own).mean == 1  # cosines: lengths do not count
    assert r_precision(-own, own, own).mean == 0
    assert r_precision(own, own, own).low is None  # no spread, no interval


def test_ties_are_put_in_order_at_random():
    """A picture that shows nothing, and captions that are all alike but for their kind: chance."""
    images, own = torch.zeros(50, 4).double(), normal(50, 4)
    found = caption_ranks(images + 1e-30, own, own, candidates=20)
    assert found.nearer.sum() == 0 and (found.equal == 19).all()  # a row of next to nothing has no direction
    assert r_precision(images, own, own, candidates=20).mean == pytest.approx(1 / 20)
    same, kinds = torch.ones(50, 4), torch.arange(50)
    assert r_precision(normal(50, 4), same, same, kinds=(kinds, kinds), candidates=20).mean == pytest.approx(1 / 20)


def test_ranks_among_all_mismatches_are_those_of_a_plain_matrix():
    """With every mismatch a candidate nothing is drawn: the rank is the number of larger cosines, in any blocks."""
    images, own, kinds = normal(60, 5), normal(60, 5, seed=1), torch.arange(60) % 6
    x, y = images.numpy(), own.numpy()
    cosines = (x @ y.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
    strange = kinds.numpy()[:, None] != kinds.numpy()
    nearer = ((cosines > np.diag(cosines)[:, None]) & strange).sum(1)
    for block in (7, 256):
        found = caption_ranks(images, own, own, kinds=(kinds, kinds), candidates=51, block=block)
        assert found.nearer.tolist() == nearer.tolist() and found.equal.sum() == 0
    few = [caption_ranks(images, own, own, kinds=(kinds, kinds), candidates=9, block=b).nearer for b in (7, 256)]
    assert torch.equal(*few) and not torch.equal(few[0], found.nearer)


def test_captions_of_the_same_kind_are_no_mistakes():
    """Pictures point at the middle of their class: found with classes, by chance within them without."""
    classes = torch.arange(200) % 4
    middle = 10 * torch.eye(4).double()[classes]
    own = middle + 0.01 * normal(200, 4)
    assert r_precision(middle, own, own, kinds=(classes, classes)).mean == 1
    # 49 of the 199 others are as near on average, of 99 drawn 24.4: one of 25.4 is the first.
    assert r_precision(middle, own, own).mean < 0.15
    # A caption that is there twice is no mismatch of itself.
    twice = torch.cat([own, own])
    assert caption_ranks(own, own, twice, candidates=399).nearer.max() < 399
    with pytest.raises(UserError, match="picture 0 has 398 captions that do not belong to it, and 399 are wanted"):
        caption_ranks(own, own, twice, candidates=400)


def test_what_cannot_be_ranked_is_refused():
    own = normal(5, 3)
    for call, said in (
        (lambda: caption_ranks(own, own[:4], own), "4 captions of 5 pictures"),
        (lambda: caption_ranks(own, own, own), "picture 0 has 4 captions that do not belong to it, and 99"),
        (lambda: caption_ranks(own, own, own, candidates=1), "2 candidates or more"),
        (lambda: caption_ranks(own, own, own[:, :2]), "3 and of 2 dimensions"),
        (lambda: caption_ranks(own * torch.nan, own, own), "not finite"),
        (lambda: train_matcher(torch.zeros(4, 3, 8, 8), own), "5 caption vectors of 4 pictures"),
        (lambda: train_matcher(torch.zeros(1, 3, 8, 8), own[:1]), "at least 2 pairs"),
    ):
        with pytest.raises(UserError, match=said):
            call()


def test_equal_captions_are_of_one_kind():
    vectors = torch.tensor([[1.0, 2], [0, 0], [1, 2], [3, 1]])
    kinds = kinds_of(vectors)
    assert kinds[0] == kinds[2] and len(kinds.unique()) == 3
    assert distinct(vectors).tolist() == [0, 1, 3]
    assert most_candidates(kinds) == 3  # the kind of two leaves two others
    assert most_candidates(torch.arange(500)) == 100 and most_candidates(torch.zeros(9).long()) == 1


COLOURS = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1], [-1, 1, 1], [1, -1, 1]])


def pairs(n, seed, side=16):
    """Bright bars, lying or standing, of six colours, and what is said of them: a vector of the two, and noise."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.randint(6, (n,), generator=generator)
    lying = torch.randint(2, (n,), generator=generator)
    place = torch.randint(2, side - 4, (n,), generator=generator)
    images = 0.1 * torch.randn(n, 3, side, side, generator=generator)
    for i in range(n):
        bar = slice(int(place[i]), int(place[i]) + 3)
        where = (slice(None), bar) if lying[i] else (slice(None), slice(None), bar)
        images[i][where] = COLOURS[colour[i]][:, None, None] * 0.8
    kinds = 2 * colour + lying
    words = torch.randn(12, 20, generator=torch.Generator().manual_seed(99))
    return images.clamp(-1, 1), words[kinds] + 0.1 * torch.randn(n, 20, generator=generator), kinds


@pytest.fixture(scope="module")
def matcher():
    images, vectors, kinds = pairs(500, 0)
    return train_matcher(images, vectors, kinds=kinds, steps=150)


def test_a_matcher_finds_captions_of_pictures_it_has_not_seen(matcher):
    """Far above chance on new pairs, as on those held out; at what a blind one gets on exchanged pictures."""
    images, vectors, kinds = pairs(300, 1)
    places, texts = matcher.of_pictures(images), matcher.of_texts(vectors)
    whose = (kinds, kinds)
    found = r_precision(places, texts, texts, kinds=whose)
    assert found.mean > 0.9 and matcher.real.mean > 0.9
    assert matcher.candidates == 100 and matcher.real.n == len(matcher.held_out) == 100
    exchanged = r_precision(places.roll(7, 0), texts, texts, kinds=whose)
    assert exchanged.mean < 0.3  # one of 12 kinds by luck
    assert torch.allclose(places.norm(dim=1), torch.ones(300).double())


def test_half_a_caption_is_half_an_agreement(matcher):
    """Pictures of the right colour that lie where they should stand: the own caption is then not the nearest."""
    images, vectors, kinds = pairs(300, 2)
    turned = matcher.of_pictures(images.transpose(2, 3))
    texts = matcher.of_texts(vectors)
    assert r_precision(turned, texts, texts, kinds=(kinds, kinds)).mean < 0.2
    # It says what it sees: the caption of the same colour the other way.
    other = texts[[int((kinds == (kind ^ 1)).nonzero()[0]) for kind in kinds]]
    assert r_precision(turned, other, texts, kinds=(kinds ^ 1, kinds)).mean > 0.85


def test_the_same_seed_is_the_same_matcher_and_no_random_state_moves(matcher):
    images, vectors, kinds = pairs(500, 0)
    before = torch.get_rng_state()
    again = train_matcher(images, vectors, kinds=kinds, steps=150)
    assert torch.equal(torch.get_rng_state(), before) and not again.network.training
    assert torch.equal(again.of_pictures(images), matcher.of_pictures(images)) and again.real == matcher.real
    other = train_matcher(images, vectors, steps=2, seed=1)
    assert not torch.equal(other.held_out, again.held_out)
    # Bytes are the same pictures, to half a gray level; a sampler of vectors is asked for the rows of each batch.
    stored = ((images + 1) * 127.5).round().to(torch.uint8)
    near = (matcher.of_pictures(stored) * matcher.of_pictures(images)).sum(1)
    assert near.min() > 0.99
    asked = []
    train_matcher(images, lambda rows, generator: asked.append(rows) or vectors[rows], steps=3, batch=32)
    assert [len(rows) for rows in asked] == [400, 32, 32, 32, 500]


def test_nothing_held_out_and_nothing_to_tell_apart():
    images, vectors, _ = pairs(20, 3)
    assert train_matcher(images, vectors, held_out=0.0, steps=2).real is None
    assert train_matcher(images, vectors, kinds=torch.zeros(20).long(), steps=2).real is None
    few = train_matcher(images, vectors, steps=2)
    assert few.candidates == 20 and few.real.n == 4


def test_the_accuracy_of_captions_is_that_of_scikit_learn():
    images, _, kinds = pairs(300, 4)
    judge = train_classifier(images, kinds, 12, epochs=6)
    others, _, truth = pairs(100, 5)
    found = caption_accuracy(judge, others, truth)
    assert found.mean == pytest.approx(accuracy_score(truth, judge.classes(others))) and found.mean > 0.6
    with pytest.raises(UserError, match="99 labels of 100"):
        caption_accuracy(judge, others, truth[:99])


def test_both_parts_of_a_split_are_all_there_is():
    train, rest = split(103, 0.2, 5)
    assert len(train) == 83 and len(rest) == 20
    assert sorted([*train.tolist(), *rest.tolist()]) == list(range(103))
    assert not torch.equal(rest, split(103, 0.2, 6)[1]) and torch.equal(rest, split(103, 0.2, 5)[1])


def test_judges_see_means_of_larger_pictures():
    """Closed form: means of 2 x 2; bytes 0 and 255 are -1 and 1; what is small enough stays."""
    images = torch.rand(2, 3, 8, 8)
    means = images.unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5))
    assert torch.allclose(as_seen(images, 4), means) and as_seen(images, 8) is images
    assert as_seen(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2), 8).flatten().tolist() == [-1, 1]
