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
from ganvas.inspect.pages import PICTURES
from ganvas.inspect.subject import NotMade, Subject
from ganvas.inspect.verdicts import verdicts
from ganvas.launch import override
from ganvas.nn.latent import class_condition
from ganvas.run import Run

FILES = [file for file, _, _ in PICTURES]
FROM_LATENTS = {"walk.png", "walk.gif", "truncation.png"}
OF_SAMPLES = {"nearest.png", "spectrum.png"}
ALWAYS = {"through-training.gif", "losses.png"}
"""What needs no checkpoint."""
SCORES = [
    {"step": step, "n": 64, "seconds": 1.0, "scores": {"kd": {"value": 1 / (step + 1), "error": 0.1, "protocol": {}}}}
    for step in (0, 2, 4)
]


def by_file(pages):
    """Each page under the name of its file, whether that was made or not."""
    assert len(pages) == len(FILES)
    return dict(zip(FILES, pages, strict=True))


def made(pages):
    return {page.file for page in pages} - {None}


def lacking(*arguments, **options):
    raise ganvas.UserError("the feature network is missing here")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A class-conditional U-Net GAN with all its checkpoints, and an unconditional BigGAN with its last one.

    There is no feature network: what is done with it is tested in `test_inspect_more_pages.py`.
    """
    base = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("GANVAS_CACHE", str(base / "cache"))
    patch.setattr("ganvas.inspect.subject.find", lacking)
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
    return by_file(pages), json.loads((runs / "unet/inspect/inspect.json").read_text())


@pytest.fixture(scope="module")
def biggan(runs):
    return by_file(inspect(str(runs / "biggan"), out=runs / "elsewhere" / "deep", n=9, device="cpu"))


def test_every_picture_of_a_unet_run(runs, unet):
    pages, written = unet
    files = set(FILES) - {"translations.png", "arithmetic.png", "probe.png"}
    assert made(pages.values()) == files
    notes = {file: page.note for file, page in pages.items() if page.note}
    assert set(notes) == {"translations.png", "walk.png", "nearest.png", "arithmetic.png", "probe.png"}
    assert notes["walk.png"] == "jumps were not looked for: the feature network is missing here"
    assert notes["nearest.png"] == "no column of features: the feature network is missing here"
    assert "no groups of seeds were named" in notes["arithmetic.png"]
    assert "fewer than two classes have more than 10 pictures" in notes["probe.png"]
    assert all(pages[file].title and len(pages[file].caption) > 40 for file in files)
    there = sorted(path.name for path in (runs / "unet/inspect").iterdir())
    assert there == sorted([*files, "walk.mp4", "inspect.json"]) and pages["walk.gif"].files == ["walk.mp4"]
    for name in files:
        with Image.open(runs / "unet/inspect" / name) as picture:
            assert picture.width <= 1600 and len(picture.convert("RGB").getcolors(10**7)) > 10
    assert written["pages"] == [vars(page) for page in pages.values()]
    assert (written["system"], written["step"], written["seed"]) == ("unetgan", 4, 0)
    assert pages["through-training.png"].numbers["steps"] == [0, 2, 4]
    assert pages["scores.png"].numbers == {"kd": {"last_step": 4, "last_value": 0.2}}


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
    numbers = pages["agreement.png"].numbers
    for name, (encoder, decoder) in said.items():
        apart = [(float(e) > 0) != (float(d.mean()) > 0) for e, d in zip(encoder, decoder, strict=True)]
        assert numbers[name]["share"] == pytest.approx(sum(apart) / 9)
        of_means = np.corrcoef(encoder.double(), decoder.double().mean((1, 2)))[0, 1]
        assert numbers[name]["pearson"] == pytest.approx(of_means, abs=1e-4)
        assert pages["cutmix.png"].numbers[f"{name}_called_real"] == pytest.approx(float((encoder > 0).double().mean()))
    assert numbers["all"]["n"] == 18 and pages["cutmix.png"].numbers["n"] == 9
    pairs = said["real"][0][:, None] > said["generated"][0]
    assert numbers["encoder_separation"] == pytest.approx(float(pairs.double().mean()))
    assert 0 <= pages["cutmix.png"].numbers["localisation_iou"] <= 1
    assert 0 < pages["cutmix.png"].numbers["localisation_iou_all_real"] < 1


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
    """BigGAN with one checkpoint, no classes and no scores: what can be made is, and the rest says why not."""
    left_out = {"translations.png", "arithmetic.png", "classes.png", "scores.png", "agreement.png", "probe.png"}
    assert made(biggan.values()) == set(FILES) - left_out
    training, cutmix = biggan["through-training.png"], biggan["cutmix.png"]
    assert "no maps under the pictures: the discriminator has no head with a logit for every pixel" in training.note
    assert "only one checkpoint" in training.note and training.numbers["steps"] == [4]
    assert biggan["through-training.gif"].numbers["steps"] == [0, 2, 4]  # from grids, which are all there
    assert "no head with a logit for every pixel" in cutmix.note and "real_called_real" in cutmix.numbers
    assert "localisation_iou" not in cutmix.numbers
    assert biggan["walk.gif"].note == biggan["losses.png"].note == biggan["truncation.png"].note == ""
    assert "no scores were measured" in biggan["scores.png"].note
    assert "draws no classes" in biggan["classes.png"].note
    agreement = biggan["agreement.png"]
    assert "no head with a logit for every pixel" in agreement.note and not agreement.caption
    names = sorted(path.name for path in (runs / "elsewhere/deep").iterdir())
    assert names == sorted([*(set(FILES) - left_out), "walk.mp4", "inspect.json"])


def test_what_is_missing_is_said_and_old_pictures_of_it_are_removed(runs, unet, tmp_path):
    """The data has moved, the first checkpoint is damaged, nothing was logged, and no grid of samples is left."""
    shutil.copytree(runs / "unet", tmp_path / "run")
    (tmp_path / "run/stats.jsonl").unlink()
    shutil.rmtree(tmp_path / "run/samples")
    (tmp_path / "run/metrics.jsonl").write_text('{"step": 2, "n": 4, "scores": {"kd": {"value": NaN}}}\n{"st')
    damaged = tmp_path / "run/checkpoints/step-00000000.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-7])
    pages = by_file(inspect(tmp_path / "run", data=str(tmp_path / "gone"), n=4, device="cpu"))
    files = {"through-training.png", "classes.png", "spectrum.png", *FROM_LATENTS}
    assert made(pages.values()) == files
    training = pages["through-training.png"]
    assert training.numbers["steps"] == [2, 4] and "step 0 is left out" in training.note
    for file in ("cutmix.png", "agreement.png", "nearest.png", "probe.png", "spectrum.png"):
        assert "the real pictures are not there" in pages[file].note and "gone" in pages[file].note
    assert list(pages["spectrum.png"].numbers) == ["samples"]
    assert "no scores" in pages["scores.png"].note and "no losses" in pages["losses.png"].note
    assert "fewer than two grids of samples" in pages["through-training.gif"].note
    left = sorted(path.name for path in (tmp_path / "run/inspect").iterdir())
    assert left == sorted([*files, "walk.mp4", "inspect.json"])


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
    (tmp_path / "run/inspect").mkdir(exist_ok=True)
    (tmp_path / "run/inspect/walk.mp4").write_bytes(b"of earlier")
    pages = inspect(tmp_path / "run", n=4, device="cpu")
    assert made(pages) == ALWAYS
    others = {"scores.png": "no scores", "arithmetic.png": "no groups", "translations.png": ""}
    for file, page in by_file(pages).items():
        assert file in ALWAYS or others.get(file, "there is no checkpoint in") in page.note, file
    assert json.loads((tmp_path / "run/inspect/inspect.json").read_text())["step"] is None
    assert not (tmp_path / "run/inspect/walk.mp4").exists()


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
        return torch.zeros(len(seeds), 3, 32, 32) + torch.tensor(list(seeds))[:, None, None, None] % 2


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
    pages = by_file(inspect(runs / "biggan", out=tmp_path, n=4, device="cpu"))
    assert made(pages.values()) == {"through-training.png", *OF_SAMPLES, *ALWAYS}
    for file in ("through-training.png", "cutmix.png", "agreement.png"):
        assert note in pages[file].note
    for file in FROM_LATENTS:
        assert pages[file].note == "the system draws from no noise, so there are no latents to go to"


def test_conditions_that_are_not_known_here(runs, tmp_path, monkeypatch):
    other = Other()
    other.needs = frozenset({"image", "source"})
    monkeypatch.setattr(Run, "system", other)
    pages = inspect(runs / "biggan", out=tmp_path, n=4, device="cpu")
    assert made(pages) == ALWAYS
    others = {"scores.png": "no scores", "arithmetic.png": "no groups", "translations.png": ""}
    for file, page in by_file(pages).items():
        assert file in ALWAYS or others.get(file, "conditioned on source") in page.note


def test_what_cannot_be_asked_for(runs, tmp_path, monkeypatch):
    with pytest.raises(ganvas.UserError, match="at least 2 pictures"):
        inspect(runs / "biggan", n=1)
    with pytest.raises(ganvas.UserError, match="not a run"):
        inspect(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ganvas.UserError, match="cannot write to"):
        inspect(runs / "biggan", out=tmp_path / "file" / "out")
    for walk in ({"walk_seeds": (1,)}, {"walk_seeds": (1, -2)}):
        with pytest.raises(ganvas.UserError, match="two or more seeds of 0 or more, such as 3,17,42"):
            inspect(runs / "biggan", **walk)
    for walk in ({"walk_frames": 0}, {"walk_frames": 251}, {"walk_seeds": range(20), "walk_frames": 51}):
        with pytest.raises(ganvas.UserError, match="1 frame or more from seed to seed, and at most 1000 in all"):
            inspect(runs / "biggan", **walk)
    with pytest.raises(ganvas.UserError, match="arithmetic is not understood"):
        inspect(runs / "biggan", arithmetic="")
    with pytest.raises(ganvas.UserError, match="was trained without classes"):
        inspect(runs / "biggan", label="a")
    with pytest.raises(ganvas.UserError, match="there is no class 'd'"):
        inspect(runs / "unet", label="d")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ganvas.UserError, match=r'pip install "ganvas\[plots\]"'):
        inspect(runs / "biggan", out=tmp_path / "out")


def test_logits_of_hinge_runs_are_not_called_probabilities(runs):
    subject = Subject(Run(runs / "biggan", "cpu"), None, 4, 0)
    assert "no calibrated probability" in subject.reading()  # BigGAN is trained with hinge
    subject.run.settings = replace(
        subject.run.settings,
        chosen=override(subject.run.settings.chosen, {"objective": "non-saturating"}),
    )
    assert "calibrated" not in subject.reading()
