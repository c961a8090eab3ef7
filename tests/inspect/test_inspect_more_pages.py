"""Pages of walks, arithmetic, neighbours, spectra and probes of small runs, with a feature network; and the command."""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

import ganvas
from ganvas import cli
from ganvas.discriminators import Condition
from ganvas.inspect import Group, arithmetic, inspect, jumps, nearness, probe, truncation_sweep, walk
from ganvas.inspect.pages import PICTURES
from ganvas.inspect.subject import Subject
from ganvas.metrics.checkerboard import nyquist, phase_score
from ganvas.metrics.networks import find
from ganvas.run import Run, build
from ganvas.viz.grids import to_bytes

FILES = [file for file, _, _ in PICTURES]
TEXT = "some=3,17,42 - others=1,9,12 + more=5,6,7,8"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A conditional U-Net GAN and an unconditional DCGAN, whose latents are uniform, of 30 pictures in two classes."""
    base = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("GANVAS_CACHE", str(base / "cache"))
    generator = np.random.default_rng(0)
    for i in range(30):
        folder = base / "pictures" / ["dark", "light"][i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        noise = generator.integers(0, 128, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise + 120 * (i % 2)).save(folder / f"{i:02}.png")
    settings = {"data": base / "pictures", "device": "cpu", "steps": 4, "precision": "fp32"}
    ganvas.train("unetgan", "smoke", out=base / "unet", classes="auto", **settings)
    ganvas.train("dcgan", "smoke", out=base / "dcgan", **settings)
    yield base
    patch.undo()


@pytest.fixture(scope="module")
def unet(base):
    asked = {"walk_seeds": (3, 8, 5), "walk_frames": 4, "arithmetic": TEXT, "label": "light"}
    return dict(zip(FILES, inspect(base / "unet", n=12, device="cpu", **asked), strict=True))


@pytest.fixture(scope="module")
def run(base):
    return Run(base / "unet", "cpu")


def frames(path):
    with Image.open(path) as picture:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)])


def test_all_pages_are_made_and_listed(base, unet):
    assert [file for file, page in unet.items() if page.file is None] == ["translations.png", "scores.png"]
    written = json.loads((base / "unet/inspect/inspect.json").read_text())
    assert written["pages"] == [vars(page) for page in unet.values()]


def test_the_moving_walk_is_the_walk(base, unet, run):
    """Against the walk itself, drawn again, and read back from both files."""
    pictures = to_bytes(walk(run, (3, 8, 5), 4, label=1))
    found = frames(base / "unet/inspect/walk.gif")
    assert found.shape == (12, 192, 192, 3) and unet["walk.gif"].numbers["frames"] == 12
    middles = found[:, 3::6, 3::6].astype(int)
    assert np.abs(middles - pictures).mean() < 5  # 256 colours a frame
    assert not np.array_equal(found[0], found[1])
    av = pytest.importorskip("av", reason="needs PyAV")
    with av.open(base / "unet/inspect/walk.mp4") as container:
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert decoded.shape == found.shape
    assert np.abs(decoded[:, 3::6, 3::6].astype(int) - pictures).mean() < 8
    assert unet["walk.gif"].files == ["walk.mp4"] and "seeds 3, 8, 5" in unet["walk.gif"].caption
    assert "the class light" in unet["walk.gif"].caption


def test_the_rows_of_the_walk_begin_and_end_with_the_seeds(base, unet, run):
    """The sheet's cells at their places, against the seeds' pictures: 3 to 8 on an arc, then in a line, 8 to 5, ..."""
    with Image.open(base / "unet/inspect/walk.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    side, columns, gap, apart, top, left = 128, 9, 6, 18, 72, 150
    ends = (
        to_bytes(run.sample(1, 3, classes=1)),
        to_bytes(run.sample(1, 8, classes=1)),
        to_bytes(run.sample(1, 5, classes=1)),
    )
    for pair, (a, b) in enumerate(((0, 1), (1, 2), (2, 0))):
        for kind in (0, 1):
            y = top + (2 * pair + kind) * (side + gap) + pair * apart
            for column, end in ((0, a), (columns - 1, b)):
                x = left + column * (side + gap)
                cell = pixels[y + 2 : y + side : 4, x + 2 : x + side : 4]
                assert np.abs(cell - ends[end][0]).max() <= 2


def test_jumps_are_those_of_the_features(unet, run):
    """Both kinds of walk and 64 later seeds of the class, through the feature network once more."""
    network = find("efficientnet_lite0", device=torch.device("cpu"))

    def features(images):
        return network.features(torch.from_numpy(to_bytes(images))).vectors

    unrelated = features(run.sample(64, 9, classes="light"))
    for kind in ("spherical", "linear"):
        expected = jumps(features(walk(run, (3, 8, 5), 4, kind, 1)), unrelated, closed=True)
        numbers = unet["walk.png"].numbers[kind]
        assert numbers == {name: pytest.approx(value, rel=1e-4) for name, value in vars(expected).items()}
    assert unet["walk.png"].note == ""


def test_the_page_of_arithmetic(base, unet, run):
    """The middle of the block is the picture at the sum; its length against the norm of a usual latent."""
    groups = [Group("some", (3, 17, 42)), Group("others", (1, 9, 12), -1), Group("more", (5, 6, 7, 8))]
    found = arithmetic(run, groups, {"label": torch.tensor([1])})
    page = unet["arithmetic.png"]
    assert page.numbers["groups"] == [{**vars(group), "seeds": [*group.seeds]} for group in groups]
    assert page.numbers["length"] == pytest.approx(float(found.z.norm()) / 8**0.5)
    assert page.caption.startswith("some - others + more.")
    with Image.open(base / "unet/inspect/arithmetic.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    side = 160
    top = 46 + 3 * (side + 18 + 18) + side + 6  # the second row of the block
    middle = pixels[top + 2 : top + side : 5, 150 + side + 6 + 2 : 150 + 2 * side + 6 : 5]
    assert np.abs(middle - to_bytes(found.block[4:5])[0]).max() <= 2
    mean = pixels[46 + side + 36 + 2 : 46 + 2 * side + 36 : 5, 152 : 150 + side : 5]
    assert np.abs(mean - to_bytes(found.means[1:2])[0]).max() <= 2


def test_the_page_of_neighbours(base, unet, run):
    """Numbers once more from the pictures; the column of pixels against the training picture that is nearest."""
    subject = Subject(run, None, 12, 0)
    train = torch.from_numpy(np.array(subject.prepared.images))
    fake = torch.from_numpy(to_bytes(subject.fake["image"]))
    expected = nearness(fake, train, mirrored=True)
    assert unet["nearest.png"].numbers == vars(expected) and expected.pictures == 30
    last = to_bytes(run.sample(1, 4, classes=0))[0].astype(int)
    ways = [*train.numpy().astype(int), *train.flip(2).numpy().astype(int)]
    nearest = ways[int(np.argmin([((way - last) ** 2).sum() for way in ways])) % 30]
    with Image.open(base / "unet/inspect/nearest.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    side, left = 160, 150 + 5 * 166
    cell = pixels[72 + 2 : 72 + side : 5, left + 2 : left + side : 5]
    assert np.abs(cell - nearest).max() <= 1 or np.abs(cell - nearest[:, ::-1]).max() <= 1
    assert (
        "all 30 pictures" in unet["nearest.png"].caption
        and "efficientnet_lite0, among 30" in unet["nearest.png"].caption
    )


def test_the_page_of_truncation(unet, run):
    pictures = truncation_sweep(run, range(9), label=1)
    apart = {name: [] for name in ("none", "2", "1", "0.7", "0.5", "0.2")}
    for name, row in zip(apart, pictures.flatten(2), strict=True):
        apart[name] = np.mean([float((row[i] - row[j]).square().mean().sqrt()) for i in range(9) for j in range(i)])
    assert unet["truncation.png"].numbers["mean_distance"] == pytest.approx(apart, rel=1e-4)


def test_the_page_of_spectra(unet, run):
    subject = Subject(run, None, 12, 0)
    numbers = unet["spectrum.png"].numbers
    for name, images in (("samples", subject.fake["image"]), ("real pictures", subject.real["image"])):
        assert numbers[name]["phase_2"] == pytest.approx(float(phase_score(images, 2).mean()))
        assert numbers[name]["phase_4"] == pytest.approx(float(phase_score(images, 4).mean()))
        assert numbers[name]["nyquist_both"] == pytest.approx(nyquist(images).both)


def test_the_page_of_the_probe_tells_the_discriminator_no_class(unet, run):
    """The same pictures with a condition of zeros; fresh weights are those before the first step."""
    subject = Subject(run, None, 12, 0)
    images = torch.from_numpy(np.array(subject.prepared.images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    labels = torch.from_numpy(subject.prepared.labels)
    fresh = build(run.settings, run.device).discriminator
    condition = Condition(vector=torch.zeros(30, 2))
    expected = probe(run.system.discriminator, images, labels, condition=condition, fresh=fresh)
    numbers = unet["probe.png"].numbers
    assert numbers["trained"] == vars(expected.trained) and numbers["random"] == vars(expected.random)
    assert numbers["pixels"]["mean"] > 0.9 and (numbers["tested"], numbers["chance"]) == (10, 0.5)
    assert "was trained with the classes" in unet["probe.png"].caption


def test_uniform_latents_are_walked_in_straight_lines(base, monkeypatch):
    monkeypatch.setattr("ganvas.inspect.subject.find", missing)
    pages = dict(zip(FILES, inspect(base / "dcgan", n=4, device="cpu", walk_frames=2), strict=True))
    assert pages["walk.gif"].caption.startswith("A closed linear walk") and "are uniform" in pages["walk.png"].caption
    pictures = to_bytes(walk(Run(base / "dcgan", "cpu"), range(4), 2, "linear"))
    found = frames(base / "dcgan/inspect/walk.gif")[:, 3::6, 3::6]
    assert len(found) == 8 and np.abs(found.astype(int) - pictures).mean() < 5
    assert "without their classes" in pages["probe.png"].caption  # the data has them, the run does not
    asked = inspect(base / "dcgan", n=4, device="cpu", walk="spherical", walk_frames=2)
    assert dict(zip(FILES, asked, strict=True))["walk.gif"].caption.startswith("A closed spherical walk")


def test_without_pyav_there_is_a_gif_and_a_reason(base, tmp_path, monkeypatch):
    monkeypatch.setattr("ganvas.inspect.subject.find", missing)
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "walk.mp4").write_bytes(b"of earlier")
    page = dict(zip(FILES, inspect(base / "dcgan", out=tmp_path, n=4, device="cpu"), strict=True))["walk.gif"]
    assert page.file == "walk.gif" and page.files == [] and not (tmp_path / "walk.mp4").exists()
    assert page.note == 'there is no walk.mp4: MP4 files are written with PyAV: pip install "ganvas[video]"'


def test_without_scikit_learn_there_is_no_probe(base, tmp_path, monkeypatch):
    monkeypatch.setattr("ganvas.inspect.subject.find", missing)
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    page = dict(zip(FILES, inspect(base / "dcgan", out=tmp_path, n=4, device="cpu"), strict=True))["probe.png"]
    assert page.file is None and 'pip install "ganvas[analysis]"' in page.note


def test_a_long_timelapse_is_made_smaller_until_it_fits(base, tmp_path, monkeypatch):
    monkeypatch.setattr("ganvas.inspect.subject.find", missing)
    monkeypatch.setattr(importlib.import_module("ganvas.inspect.timelapse"), "BYTES", 20_000)
    inspect(base / "dcgan", out=tmp_path, n=4, device="cpu")
    assert 5_000 < (tmp_path / "through-training.gif").stat().st_size <= 20_000


def test_a_run_of_numbers_has_no_pictures_to_look_at(tmp_path):
    ganvas.train("gan", "density1d", data="normal1d", out=tmp_path / "run", steps=4, grid_every=2, device="cpu")
    pages = dict(zip(FILES, inspect(tmp_path / "run", n=4, device="cpu"), strict=True))
    kept = {"through-training.gif", "losses.png"}
    assert {page.file for page in pages.values()} == {None, *kept}
    for file, page in pages.items():
        others = {"scores.png": "no scores", "arithmetic.png": "no groups", "translations.png": "translates none"}
        assert file in kept or others.get(file, ", not pictures") in page.note, file
    assert pages["walk.png"].note == "the system draws numbers, not pictures"


def missing(*arguments, **options):
    raise ganvas.UserError("the feature network is missing here")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--walk", "zigzag"], "invalid choice 'zigzag' for argument '--walk'"),
        (["--walk-seeds", "3,x"], "--walk-seeds takes seeds with commas between them, such as 3,17,42, not '3,x'"),
        (["--walk-seeds", "3,,4"], "--walk-seeds takes seeds"),
        (["--walk-seeds", ""], "--walk-seeds takes seeds"),
        (["--walk-seeds", "3"], "two or more seeds"),
        (["--walk-frames", "0"], "1 frame or more"),
        (["--walk-frames", "many"], "--walk-frames: 'many' is not a whole number"),
        (["--arithmetic", "smile"], "arithmetic is not understood at 'smile': write"),
        (["--arithmetic", ""], "arithmetic is not understood at 'its end': write"),
        (["--arithmetic", "a=1,2,3 - man=5"], "'man' needs 3 or more different seeds, not 5"),
        (["--class", "blue"], "there is no class 'blue'"),
    ],
)
def test_mistakes_end_in_one_plain_line(words, said, base, capsys):
    assert cli.run(["inspect", str(base / "unet"), *words]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and error.startswith("ganvas: ") and said in error


def test_the_command_passes_all_on(base, capsys, monkeypatch):
    monkeypatch.setattr("ganvas.inspect.subject.find", missing)
    words = ["--walk", "linear", "--walk-seeds", "4,2", "--walk-frames", "3", "--class", "dark", "--arithmetic", TEXT]
    assert cli.run(["inspect", str(base / "unet"), *words]) == 0
    out = capsys.readouterr().out
    assert f"{base / 'unet/inspect/walk.mp4'}  A walk through latents\n" in out
    assert f"{base / 'unet/inspect/arithmetic.png'}" in out and "report: " in out
    written = json.loads((base / "unet/inspect/inspect.json").read_text())
    captions = {page["file"]: page["caption"] for page in written["pages"]}
    assert captions["walk.gif"].startswith("A closed linear walk through the latents of seeds 4, 2, 3 frames")
    assert all("of the class dark" in captions[file] for file in ("walk.gif", "walk.png", "arithmetic.png"))
    report = (base / "unet/report.html").read_text()
    assert "data:image/gif;base64," in report and "walk.mp4" in report and "some - others + more" in report
