"""`inspect` on runs of a few steps: which pictures are made, what is said where one cannot be, and the numbers."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ganvas
from ganvas.engine.system import System
from ganvas.inspect import inspect
from ganvas.inspect.cutmix import caption
from ganvas.inspect.subject import NotMade, Subject
from ganvas.inspect.verdicts import verdicts
from ganvas.nn.latent import class_condition
from ganvas.run import Run

FILES = ["through-training.png", "cutmix.png", "interpolation.png", "scores.png", "agreement.png", "losses.png"]
SCORES = [
    {"step": step, "n": 64, "seconds": 1.0, "scores": {"kd": {"value": 1 / (step + 1), "error": 0.1, "protocol": {}}}}
    for step in (0, 2, 4)
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A class-conditional U-Net GAN with all its checkpoints, and an unconditional BigGAN with its last one."""
    base = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("GANVAS_CACHE", str(base / "cache"))
    generator = np.random.default_rng(0)
    for i in range(12):
        folder = base / "pictures" / ["a", "b", "a name of a class that is long"][i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    settings = {"data": base / "pictures", "device": "cpu", "steps": 4, "precision": "fp32"}
    ganvas.train("unetgan", "smoke", out=base / "unet", keep=9, classes="auto", **settings)
    ganvas.train("biggan", "smoke", out=base / "biggan", keep=1, **settings)
    yield base
    patch.undo()


@pytest.fixture(scope="module")
def unet(runs):
    (runs / "unet" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in SCORES))
    run = Run(runs / "unet", "cpu")
    before = {name: value.clone() for name, value in run.system.state_dict().items()}
    torch.manual_seed(5)
    pages = inspect(run, n=9)
    drawn = torch.rand(2)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(2), drawn)  # the caller's random numbers are left alone
    after = run.system.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    return pages, json.loads((runs / "unet/inspect/inspect.json").read_text())


@pytest.fixture(scope="module")
def biggan(runs):
    return inspect(str(runs / "biggan"), out=runs / "elsewhere" / "deep", n=9, device="cpu")


def test_every_picture_of_a_unet_run(runs, unet):
    pages, written = unet
    assert [page.file for page in pages] == FILES
    assert [page.note for page in pages] == [""] * 6
    assert all(page.title and len(page.caption) > 40 for page in pages)
    assert sorted(path.name for path in (runs / "unet/inspect").iterdir()) == sorted([*FILES, "inspect.json"])
    for name in FILES:
        with Image.open(runs / "unet/inspect" / name) as picture:
            assert picture.width <= 1600 and len(picture.convert("RGB").getcolors(10**7)) > 10
    assert written["pages"] == [vars(page) for page in pages]
    assert (written["system"], written["step"], written["seed"]) == ("unetgan", 4, 0)
    assert pages[0].numbers["steps"] == [0, 2, 4]
    assert pages[3].numbers == {"kd": {"last_step": 4, "last_value": 0.2}}


def test_numbers_of_the_pictures_are_those_of_the_verdicts(runs, unet):
    """Worked out once more from the run itself, its labels and its own sampling."""
    pages, _ = unet
    run = Run(runs / "unet", "cpu")
    real = Subject(run, None, 9, 0).real
    fake = run.sample(9, conditions={"label": real["label"]})
    condition = class_condition(real, 3)
    said = {
        "real": verdicts(run.system.discriminator, real["image"], condition),
        "generated": verdicts(run.system.discriminator, fake, condition),
    }
    numbers = pages[4].numbers
    for name, (encoder, decoder) in said.items():
        apart = [(float(e) > 0) != (float(d.mean()) > 0) for e, d in zip(encoder, decoder, strict=True)]
        assert numbers[name]["share"] == pytest.approx(sum(apart) / 9)
        of_means = np.corrcoef(encoder.double(), decoder.double().mean((1, 2)))[0, 1]
        assert numbers[name]["pearson"] == pytest.approx(of_means, abs=1e-4)
        assert pages[1].numbers[f"{name}_called_real"] == pytest.approx(float((encoder > 0).double().mean()))
    assert numbers["all"]["n"] == 18 and pages[1].numbers["n"] == 9
    pairs = said["real"][0][:, None] > said["generated"][0]
    assert numbers["encoder_separation"] == pytest.approx(float(pairs.double().mean()))
    assert 0 <= pages[1].numbers["localisation_iou"] <= 1
    assert 0 < pages[1].numbers["localisation_iou_all_real"] < 1


def test_every_checkpoint_is_judged_by_its_own_discriminator(runs):
    subject = Subject(Run(runs / "unet", "cpu"), None, 4, 0)
    for step in (0, 2, 4):
        weights = Run(runs / "unet", "cpu", checkpoint=step).checkpoint
        system = subject.system_at(step)
        name = "discriminator.image_head.weight"
        assert torch.equal(system.state_dict()[name], weights.weights("system")[name])
        name = "generator.start.weight"
        assert torch.equal(system.state_dict()[name], weights.weights("average")[name])


def test_a_run_without_a_decoder_head(runs, biggan):
    """BigGAN with one checkpoint and no scores: what can be made is, and the rest says why not."""
    assert [page.file for page in biggan] == [*FILES[:3], None, None, FILES[5]]
    training, cutmix, interpolation, scores, agreement, losses = biggan
    assert "no maps under the pictures: the discriminator has no head with a logit for every pixel" in training.note
    assert "only one checkpoint" in training.note and training.numbers["steps"] == [4]
    assert "no head with a logit for every pixel" in cutmix.note and "real_called_real" in cutmix.numbers
    assert "localisation_iou" not in cutmix.numbers
    assert interpolation.note == losses.note == ""
    assert "no scores were measured" in scores.note
    assert "no head with a logit for every pixel" in agreement.note and not agreement.caption
    names = sorted(path.name for path in (runs / "elsewhere/deep").iterdir())
    assert names == sorted([*FILES[:3], FILES[5], "inspect.json"])


def test_what_is_missing_is_said_and_old_pictures_of_it_are_removed(runs, unet, tmp_path):
    """The data has moved, the first checkpoint is damaged, and nothing was logged."""
    shutil.copytree(runs / "unet", tmp_path / "run")
    (tmp_path / "run/stats.jsonl").unlink()
    (tmp_path / "run/metrics.jsonl").write_text('{"step": 2, "n": 4, "scores": {"kd": {"value": NaN}}}\n{"st')
    damaged = tmp_path / "run/checkpoints/step-00000000.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-7])
    pages = inspect(tmp_path / "run", data=str(tmp_path / "gone"), n=4, device="cpu")
    training, cutmix, interpolation, scores, agreement, losses = pages
    assert training.file and training.numbers["steps"] == [2, 4] and "step 0 is left out" in training.note
    assert interpolation.file and not interpolation.note
    assert {page.file for page in (cutmix, scores, agreement, losses)} == {None}
    assert "the real pictures are not there" in cutmix.note and "gone" in agreement.note
    assert "no scores" in scores.note and "no losses" in losses.note
    left = sorted(path.name for path in (tmp_path / "run/inspect").iterdir())
    assert left == ["inspect.json", "interpolation.png", "through-training.png"]


def test_data_that_is_elsewhere_or_other_data(runs, tmp_path):
    """The same pictures in another place are as good; fewer of them are said; other classes are refused."""
    shutil.copytree(runs / "pictures", tmp_path / "moved")
    run = Run(runs / "unet", "cpu")
    real = {name: value.clone() for name, value in Subject(run, None, 5, 0).real.items()}
    moved = Subject(run, str(tmp_path / "moved"), 5, 0)
    assert not moved.is_other_data and torch.equal(moved.real["image"], real["image"])
    assert not torch.equal(Subject(run, None, 5, 1).real["image"], real["image"])
    next((tmp_path / "moved/b").iterdir()).unlink()
    fewer = Subject(run, str(tmp_path / "moved"), 100, 0)
    assert fewer.is_other_data and len(fewer.real["image"]) == len(fewer.fake["image"]) == 11
    assert "it has changed since" in caption(fewer, fewer.judge(run.system, fewer.real["image"], fewer.real["label"]))
    shutil.rmtree(tmp_path / "moved/b")
    with pytest.raises(NotMade, match="are not those that the run was trained on"):
        _ = Subject(run, str(tmp_path / "moved"), 5, 0).fake


def test_a_run_without_checkpoints(runs, tmp_path):
    shutil.copytree(runs / "biggan", tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints")
    pages = inspect(tmp_path / "run", n=4, device="cpu")
    assert [page.file for page in pages] == [None] * 5 + ["losses.png"]
    assert all("there is no checkpoint in" in pages[i].note for i in (0, 1, 2, 4))
    assert json.loads((tmp_path / "run/inspect/inspect.json").read_text())["step"] is None


class Silent(nn.Module):
    """A discriminator that answers with a tensor."""

    def forward(self, images, condition=None):
        return images.mean((1, 2, 3))


class Other(System):
    """A system of another kind: two discriminators, no interface to its latents."""

    def __init__(self, **networks):
        super().__init__()
        self.generator = nn.Linear(1, 1)
        for name, network in networks.items():
            self.add_module(name, network)

    def sample(self, seeds, conditions, truncation=None):
        return torch.zeros(len(seeds), 3, 32, 32)


@pytest.mark.parametrize(
    ("networks", "note"),
    [
        ({"discriminator_a": Silent(), "discriminator_b": Silent()}, "no network named discriminator"),
        ({"discriminator": Silent()}, "could not be asked: the discriminator answers with a Tensor"),
        ({"discriminator": nn.Flatten()}, "could not be asked: "),
    ],
)
def test_systems_of_another_kind(networks, note, runs, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "system", Other(**networks))
    pages = inspect(runs / "biggan", out=tmp_path, n=4, device="cpu")
    assert [page.file for page in pages] == [FILES[0], None, None, None, None, FILES[5]]
    assert note in pages[0].note and note in pages[1].note and note in pages[4].note
    assert "does not draw pictures from given latents" in pages[2].note


def test_conditions_that_are_not_known_here(runs, tmp_path, monkeypatch):
    other = Other()
    other.needs = frozenset({"image", "source"})
    monkeypatch.setattr(Run, "system", other)
    pages = inspect(runs / "biggan", out=tmp_path, n=4, device="cpu")
    assert [page.file for page in pages] == [None] * 5 + ["losses.png"]
    assert all("conditioned on source" in pages[i].note for i in (0, 1, 2, 4))


def test_what_cannot_be_asked_for(runs, tmp_path, monkeypatch):
    with pytest.raises(ganvas.UserError, match="at least 2 pictures"):
        inspect(runs / "biggan", n=1)
    with pytest.raises(ganvas.UserError, match="not a run"):
        inspect(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ganvas.UserError, match="cannot write to"):
        inspect(runs / "biggan", out=tmp_path / "file" / "out")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ganvas.UserError, match=r'pip install "ganvas\[plots\]"'):
        inspect(runs / "biggan", out=tmp_path / "out")


def test_logits_of_hinge_runs_are_not_called_probabilities(runs):
    subject = Subject(Run(runs / "biggan", "cpu"), None, 4, 0)
    assert "no calibrated probability" in subject.reading()  # BigGAN is trained with hinge
    subject.run.settings = replace(
        subject.run.settings,
        chosen=replace(subject.run.settings.chosen, config=replace(subject.run.config, objective="non-saturating")),
    )
    assert "calibrated" not in subject.reading()
