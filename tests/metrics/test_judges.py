"""Judges trained on real pictures: what they learn, and their scores against scikit-learn and by hand."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import accuracy_score, balanced_accuracy_score, jaccard_score

from ganvas.errors import UserError
from ganvas.metrics.colour import to_lab
from ganvas.metrics.judges import (
    UNLABELLED,
    accuracies,
    segmentation_scores,
    train_classifier,
    train_on,
    train_segmenter,
)
from ganvas.metrics.label_maps import label_maps, label_maps_from


def test_the_three_scores_of_a_matrix_made_by_hand():
    """Truth 0: 3 right, 1 taken for 1. Truth 1: 1 right, 1 taken for 2. Class 2 is never the truth, 3 is nowhere."""
    truth = torch.tensor([[[0, 0, 0, 0], [1, 1, UNLABELLED, UNLABELLED]]])
    predicted = torch.tensor([[[0, 0, 0, 1], [1, 2, 2, 0]]])
    found = segmentation_scores(predicted, truth, 4)
    assert found.pixel_accuracy == pytest.approx(4 / 6)
    assert found.class_accuracy == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found.mean_iou == pytest.approx((3 / 4 + 1 / 3 + 0) / 3)
    assert segmentation_scores(truth.clamp_min(0), truth.clamp_min(0), 4) == (1, 1, 1)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_the_scores_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    truth = random.integers(0, 5, (4, 9, 7))
    predicted = np.where(random.random(truth.shape) < 0.6, truth, random.integers(0, 6, truth.shape))
    found = segmentation_scores(torch.from_numpy(predicted), torch.from_numpy(truth), 7)
    a, b = truth.ravel(), predicted.ravel()
    assert found.pixel_accuracy == pytest.approx(accuracy_score(a, b))
    assert found.class_accuracy == pytest.approx(balanced_accuracy_score(a, b))
    assert found.mean_iou == pytest.approx(jaccard_score(a, b, average="macro"))
    swapped = segmentation_scores(torch.from_numpy(truth), torch.from_numpy(predicted), 7)
    assert swapped.class_accuracy != pytest.approx(found.class_accuracy)


def shapes(n, seed, side=16):
    """Pictures in [-1, 1] of a bright square or disc on a dark ground, noisy, with labels and label maps."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    y, x = np.mgrid[:side, :side]
    maps = np.zeros((n, side, side), np.int64)
    for i, label in enumerate(labels):
        cy, cx = random.integers(5, side - 5, 2)
        inside = np.maximum(abs(y - cy), abs(x - cx)) <= 3 if label else (y - cy) ** 2 + (x - cx) ** 2 <= 20
        maps[i][inside] = 1 + label
    pixels = np.where(maps > 0, 0.6, -0.6)[:, None] + random.normal(0, 0.2, (n, 3, side, side))
    return torch.from_numpy(pixels.clip(-1, 1)).float(), torch.from_numpy(labels), torch.from_numpy(maps)


def test_a_classifier_learns_and_the_same_seed_is_the_same_judge():
    pictures, labels, _ = shapes(300, 0)
    others, truth, _ = shapes(200, 1)
    before = torch.get_rng_state()
    judge = train_classifier(pictures, labels, 2, epochs=6, shift=1)
    assert torch.equal(torch.get_rng_state(), before) and not judge.network.training
    assert judge.accuracy_on(others, truth) > 0.8
    assert judge.accuracy_on(others, truth) == (judge.classes(others) == truth).double().mean()
    assert torch.equal(judge.logits(others), judge.network[-1](judge.features(others)))
    again, other = (train_classifier(pictures, labels, 2, epochs=6, shift=1, seed=seed) for seed in (0, 1))
    assert torch.equal(again.logits(others), judge.logits(others))
    assert not torch.equal(other.logits(others), judge.logits(others))


def test_what_was_trained_on_wrong_labels_is_at_chance_on_real_pictures():
    """Train on synthetic, test on real: the labels of the synthetic ones are what it can learn."""
    pictures, labels, _ = shapes(300, 2)
    others, truth, _ = shapes(200, 3)
    shuffled = labels[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    arms = {"right": lambda seed: (pictures, labels), "wrong": lambda seed: (pictures, shuffled)}
    found = accuracies(arms, (others, truth), 2, (0, 1), epochs=6)
    assert min(found["right"]) > 0.8 and all(abs(value - 0.5) < 0.2 for value in found["wrong"])
    assert found["right"][1] == train_on(pictures, labels, (others, truth), 2, seed=1, epochs=6)
    assert found["right"][0] != found["right"][1]
    with pytest.raises(UserError, match="right 300, wrong 300, fewer 100"):
        accuracies(arms | {"fewer": lambda seed: (pictures[:100], labels[:100])}, (others, truth), 2, (0,), epochs=1)


def test_a_segmenter_sees_where_things_are():
    """Beside the best that a judge can do who sees no pixel: everything is ground."""
    pictures, _, maps = shapes(300, 4)
    others, _, truth = shapes(100, 5)
    before = torch.get_rng_state()
    judge = train_segmenter(pictures, maps, 3, steps=120)
    assert torch.equal(torch.get_rng_state(), before)
    found = segmentation_scores(judge.classes(others), truth, 3)
    blind = segmentation_scores(torch.zeros_like(truth), truth, 3)
    assert found.pixel_accuracy > 0.97 > blind.pixel_accuracy and found.class_accuracy > 0.8 and found.mean_iou > 0.7
    # What it recognises is where it was drawn, not mirrored: mirroring in training takes the maps along.
    assert segmentation_scores(judge.classes(others).flip(2), truth, 3).mean_iou < 0.6
    again = train_segmenter(pictures, maps, 3, steps=120)
    assert torch.equal(again.classes(others), judge.classes(others))


def test_pixels_without_a_label_teach_nothing():
    """All that is labelled is of class 2: so is the rest, then. As a class of its own it would not be."""
    pictures, _, maps = shapes(40, 6)
    maps[:, :, :8], maps[:, :, 8:] = UNLABELLED, 2
    judge = train_segmenter(pictures, maps, 3, steps=20)
    assert (judge.classes(pictures) == 2).double().mean() > 0.99
    with pytest.raises(UserError, match="no pixel is labelled"):
        segmentation_scores(torch.zeros_like(maps), torch.full_like(maps, UNLABELLED), 3)


def test_clusters_are_the_colours_that_there_are():
    """Three colours with a little noise, found in the order from dark to light at every pixel."""
    colours = torch.tensor([[-0.9, -0.9, -0.2], [0.8, -0.6, -0.6], [0.9, 0.9, 0.5]])
    truth = torch.randint(3, (6, 8, 10), generator=torch.Generator().manual_seed(0))
    pictures = colours[truth].permute(0, 3, 1, 2) + 0.02 * torch.randn(6, 3, 8, 10)
    maps, centres = label_maps_from(pictures.clamp(-1, 1), 3)
    assert torch.equal(maps, truth) and centres[:, 0].diff().min() > 0
    assert (centres - to_lab(colours[:, :, None, None])[:, :, 0, 0]).abs().max() < 3
    assert torch.equal(label_maps(pictures.clamp(-1, 1)[2:4], centres), truth[2:4])


def test_clusters_are_as_tight_as_those_of_scikit_learn():
    pictures = torch.rand(4, 3, 20, 20, generator=torch.Generator().manual_seed(1)) * 2 - 1
    pictures[:, 1] *= 0.3
    maps, centres = label_maps_from(pictures, 6)
    points = to_lab(pictures).permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    expected = KMeans(6, n_init=10, random_state=0).fit(points)
    ours = ((points - centres.numpy()[maps.numpy().ravel()]) ** 2).sum()
    assert ours < 1.03 * expected.inertia_
    assert all(torch.equal(a, b) for a, b in zip(label_maps_from(pictures, 6), (maps, centres), strict=True))


def test_gray_pictures_have_clusters_too():
    ramp = torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
    maps, centres = label_maps_from(ramp, 4)
    assert maps.flatten().diff().min() >= 0 and maps.unique().tolist() == [0, 1, 2, 3]
    assert centres[:, 1:].abs().max() < 1e-6
    with pytest.raises(UserError, match="fewer colours"):
        label_maps_from(torch.zeros(1, 1, 4, 4), 2)


def test_labels_that_do_not_fit():
    pictures, labels, maps = shapes(10, 7)
    for call, said in (
        (lambda: train_classifier(pictures, labels[:5], 2), "5 labels of 10 pictures"),
        (lambda: train_classifier(pictures, labels + 1, 2), "from 0 to 1, not from 1 to 2"),
        (lambda: train_segmenter(pictures, maps - 2, 3), "not from -2"),
        (lambda: train_segmenter(pictures[..., :-1], maps[..., :-1], 3), "multiples of 4"),
        (lambda: segmentation_scores(maps - 1, maps, 3), "not from -1"),
    ):
        with pytest.raises(UserError, match=said):
            call()
