"""Scores of enlarged photos: against scikit-image and Pillow, computed here picture by picture from files."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from test_evaluate import Tiny

import ganvas
from ganvas import systems
from ganvas.cli import run as run_command
from ganvas.data import DataOptions
from ganvas.data.cache import hash_file
from ganvas.engine.distributed import Ranks
from ganvas.errors import UserError
from ganvas.losses.perceptual import VGG
from ganvas.metrics.enlarged import Scoring
from ganvas.metrics.evaluate import evaluate
from ganvas.metrics.translation import laplacian_variance, ssim
from ganvas.metrics.turing import prepare
from ganvas.translation.tiles import translate_tiled

SIZES = [(70, 58), (61, 95), (48, 48)]
"""Widths and heights; only the last is a multiple of 3."""
GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


@pytest.fixture(scope="module", autouse=True)
def _systems_and_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(systems, "__path__", [*systems.__path__, str(Path(__file__).parent / "enlarging_systems")])
        patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "tiny.pt"
    torch.jit.script(Tiny().eval()).save(str(path))
    return str(path)


def photo(width: int, height: int, seed: int) -> np.ndarray:
    """Smooth colours with edges and noise."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = random.integers(0, 256, 3)
    return (pixels + random.integers(-12, 13, pixels.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number, (width, height) in enumerate(SIZES):
        Image.fromarray(photo(width, height, number)).save(folder / f"photo{number}.png")
    return folder


@pytest.fixture(scope="module")
def make_run(tmp_path_factory):
    """A run of the system with these settings, trained for a step on pairs."""
    folder = tmp_path_factory.mktemp("runs")

    def make(**settings: Any) -> ganvas.Run:
        scale = settings.setdefault("scale", 3)
        settings["size"] = 8 * scale
        for side, length in (("low", 8), ("high", 8 * scale)):
            for number in range(2):
                place = folder / f"{side}{scale}" / f"{number}.png"
                place.parent.mkdir(exist_ok=True)
                Image.fromarray(photo(length, length, number)).save(place)
        data, out = f"{folder / f'low{scale}'}::{folder / f'high{scale}'}", folder / str(len([*folder.iterdir()]))
        return ganvas.train("enlarging", "smoke", data=data, out=out, device="cpu", **settings)

    return make


def nearest_of(truth: np.ndarray, scale: int) -> np.ndarray:
    """A photo's small version as Pillow reduces it, which has the same kernel, each pixel a square."""
    height, width, _ = truth.shape
    # Pillow renormalises the kernel at borders where imresize continues the picture: continue it here.
    wide = np.pad(truth, ((4 * scale,) * 2, (4 * scale,) * 2, (0, 0)), mode="symmetric")
    size = (width // scale + 8, height // scale + 8)
    # As floats: Pillow would round 8-bit pixels between rows and columns.
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in wide.transpose(2, 0, 1)]
    small = np.stack([np.asarray(plane.resize(size, Image.Resampling.BICUBIC)) for plane in planes], 2)
    return small[4:-4, 4:-4].round().clip(0, 255).astype(np.uint8).repeat(scale, 0).repeat(scale, 1)


def luma(pixels: np.ndarray, border: int) -> np.ndarray:
    inside = slice(border, -border or None)
    return rgb2ycbcr(pixels[inside, inside])[:, :, 0]


@pytest.mark.parametrize("border", [None, 0, 5])
def test_scores_of_a_run_are_those_of_scikit_image(make_run, photos, tiny, border):
    """Whole photos, cut to a multiple of 3 at the right and the bottom, a border of 3 unless told otherwise."""
    run = make_run()
    found = evaluate(run, data=photos, features=tiny, border=border, keep=False)
    own = {name.removeprefix("nearest_"): score for name, score in found.scores.items() if "bicubic" not in name}
    cut = 3 if border is None else border
    expected: dict[str, list[float]] = {"psnr_y": [], "ssim_y": [], "psnr_rgb": [], "ssim_rgb": []}
    expected |= {"laplacian_variance": [], "laplacian_of_truth": []}
    for number, (width, height) in enumerate(SIZES):
        truth = photo(width, height, number)[: height // 3 * 3, : width // 3 * 3]
        result = nearest_of(truth, 3)
        ours, theirs = luma(result, cut), luma(truth, cut)
        expected["psnr_y"].append(peak_signal_noise_ratio(theirs, ours, data_range=255))
        expected["ssim_y"].append(structural_similarity(theirs, ours, data_range=255, **GAUSSIAN))
        inside = slice(cut, -cut or None)
        ours, theirs = result[inside, inside], truth[inside, inside]
        expected["psnr_rgb"].append(peak_signal_noise_ratio(theirs, ours, data_range=255))
        expected["ssim_rgb"].append(structural_similarity(theirs, ours, data_range=255, channel_axis=2, **GAUSSIAN))
        for name, pixels in (("laplacian_variance", result), ("laplacian_of_truth", truth)):
            expected[name].append(ndimage.laplace(luma(pixels, 0))[1:-1, 1:-1].var())
        row = found.pictures[number]
        assert (row["name"], row["width"], row["height"]) == (f"photo{number}.png", truth.shape[1], truth.shape[0])
        assert row["result"]["psnr_y"] == row["nearest"]["psnr_y"] == pytest.approx(expected["psnr_y"][-1], abs=1e-4)
    of_truth = expected.pop("laplacian_of_truth")
    for name, values in expected.items():
        for score in (found.scores[name], found.scores[f"nearest_{name}"]):
            assert score.value == pytest.approx(np.mean(values), abs=1e-4 if "lap" not in name else 1e-2)
            assert score.error == pytest.approx(np.std(values, ddof=1) / 3**0.5, abs=1e-2)
            assert score.interval[0] < score.value < score.interval[1]
    assert found.scores["laplacian_variance"].protocol["of_the_data"] == pytest.approx(np.mean(of_truth), rel=1e-9)
    assert own["psnr_y"].protocol["border"] == cut
    assert "Y of BT.601" in own["psnr_y"].protocol["channels"] and own["psnr_rgb"].protocol["channels"] == "RGB"
    pictures = own["psnr_y"].protocol["pictures"]
    assert pictures["scale"] == 3 and "imresize" in pictures["small"] and "multiple of 3" in pictures["cut"]


def test_bicubic_beside_it(make_run, photos, tiny):
    """Better than squares in all that compares; scores that a network gives are there for all three."""
    scores = evaluate(make_run(), data=photos, features=tiny, keep=False).scores
    for name in ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"):
        assert scores[f"bicubic_{name}"].value > scores[f"nearest_{name}"].value == scores[name].value
        assert scores[f"bicubic_{name}"].protocol["method"] == "bicubic" and "method" not in scores[name].protocol
    assert scores["feature_distance_tiny"].value == scores["nearest_feature_distance_tiny"].value > 0
    assert scores["feature_distance_tiny"].lower_is_better and not scores["psnr_y"].lower_is_better
    assert scores["bicubic_sharpness_ratio"].value < 1
    assert scores["psnr_y"].protocol["reference"]["n"] == 3


def test_given_pairs(make_run, photos, tiny, tmp_path):
    """Small versions as they are given; those that are not exactly a third are left out, with both sizes."""
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    for number, (width, height) in enumerate(SIZES):
        truth = photo(width, height, number)[: height // 3 * 3, : width // 3 * 3]
        Image.fromarray(truth[:, :]).save(tmp_path / "target" / f"{number}.png")
        small = truth[1::3, 1::3]
        Image.fromarray(small[:, : -1 if number == 1 else None]).save(tmp_path / "source" / f"{number}.png")
    run = make_run()
    for spec in (str(tmp_path), f"{tmp_path / 'source'}::{tmp_path / 'target'}"):
        found = evaluate(run, data=spec, features=tiny, keep=False)
        assert found.n == 2 and [row["name"] for row in found.pictures] == ["0.png", "2.png"]
        assert any("60x93 pixels are not 3 times the 19x31 of its small version" in flag for flag in found.flags)
        truth = photo(*SIZES[2], 2)
        ours = truth[1::3, 1::3].repeat(3, 0).repeat(3, 1)
        expected = peak_signal_noise_ratio(truth[3:-3, 3:-3], ours[3:-3, 3:-3], data_range=255)
        assert found.pictures[1]["result"]["psnr_rgb"] == pytest.approx(expected, abs=1e-9)
        assert found.scores["psnr_y"].protocol["pictures"]["small"] == "given"
    with pytest.raises(UserError, match=r"no picture of .* can be scored; the first: 0.png: .* are not 2 times"):
        evaluate(make_run(scale=2), data=str(tmp_path), features=tiny, keep=False)


def test_two_folders(photos, tiny, tmp_path):
    """What other programs wrote, of any size, beside the photos of the same names; a border of 4."""
    for number, (width, height) in enumerate(SIZES):
        truth = photo(width, height, number)[: height // 4 * 4, : width // 4 * 4]
        Image.fromarray(nearest_of(truth, 4)).save(tmp_path / f"photo{number}.webp", lossless=True)
    found = evaluate(tmp_path, data=photos, features=tiny, metrics=("super-resolution",))
    for row, number in zip(found.pictures, range(3), strict=True):
        truth = photo(*SIZES[number], number)[: SIZES[number][1] // 4 * 4, : SIZES[number][0] // 4 * 4]
        expected = peak_signal_noise_ratio(luma(truth, 4), luma(nearest_of(truth, 4), 4), data_range=255)
        assert row["result"]["psnr_y"] == pytest.approx(expected, abs=1e-9)
        expected = structural_similarity(luma(truth, 4), luma(nearest_of(truth, 4), 4), data_range=255, **GAUSSIAN)
        assert row["result"]["ssim_y"] == pytest.approx(expected, abs=1e-9)
    assert found.scores["psnr_y"].protocol["border"] == 4 and "bicubic_psnr_y" not in found.scores
    Image.new("RGB", (60, 58)).save(tmp_path / "photo0.webp", lossless=True)
    (tmp_path / "photo1.webp").unlink()
    found = evaluate(tmp_path, data=photos, features=tiny, metrics=("super-resolution",))
    assert found.n == 1 and found.scores["psnr_y"].interval is None
    assert any(re.search(r"70x58 pixels, and its partner in .* has 60x58", flag) for flag in found.flags)
    assert any("has no partner" in flag for flag in found.flags)


def test_equal_pictures_and_the_table(photos, tiny, capsys):
    words = ["evaluate", str(photos), "--data", str(photos), "--metrics", "super-resolution", "--features", tiny]
    assert run_command([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    values = {name: score["value"] for name, score in said["scores"].items()}
    assert values["psnr_y"] == values["psnr_rgb"] == 100 and values["ssim_rgb"] == pytest.approx(1)
    assert values["sharpness_ratio"] == 1 and values["feature_distance_tiny"] == 0
    assert len(said["pictures"]) == 3 and said["n"] == 3
    assert run_command([*words, "--border", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["result", "95", "%", "interval"]
    assert any(line.split()[:2] == ["psnr_y", "100"] and line.endswith("higher is better") for line in lines)


def test_gray_runs(make_run, photos, tiny):
    found = evaluate(make_run(channels=1, source_channels=1), data=photos, features=tiny, keep=False)
    assert {"psnr_gray", "ssim_gray", "laplacian_variance"} <= {*found.scores} and "psnr_y" not in found.scores
    truth = np.asarray(Image.fromarray(photo(*SIZES[2], 2)).convert("L"))
    expected = peak_signal_noise_ratio(truth[3:-3, 3:-3], nearest_of(truth[:, :, None].repeat(3, 2), 3)[3:-3, 3:-3, 0])
    assert found.pictures[2]["result"]["psnr_gray"] == pytest.approx(expected, abs=1e-3)


def test_fewer_photos_are_the_same_photos(make_run, photos, tiny):
    run = make_run()
    whole = {row["name"]: row for row in evaluate(run, data=photos, features=tiny).pictures}
    few = evaluate(run, data=photos, features=tiny, n=2, keep=False)
    assert few.n == 2 and all(whole[row["name"]] == row for row in few.pictures)
    kept = json.loads((run.path / "evaluation.json").read_text())
    assert [row["name"] for row in kept["pictures"]] == [*whole]
    other = evaluate(run, data=photos, features=tiny, n=1, seed=1, keep=False)
    assert other.n == 1 and other.scores["psnr_y"].interval is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metrics": ("kd", "super-resolution")}, "compares whole photos, and kd pictures of one size"),
        ({"size": 32}, "leave out --size"),
        ({"direction": "BtoA"}, "has one direction"),
        ({"n": 0}, "--n 0 is too few"),
        ({"border": 30}, r"no picture of .* can be scored; the first: photo0.png: 69x57 pixels; 71 or more a side"),
    ],
)
def test_what_it_does_not_do(make_run, photos, tiny, given, said):
    with pytest.raises(UserError, match=said):
        evaluate(make_run(), data=photos, features=tiny, keep=False, **given)


def test_data_that_cannot_be_scored(make_run, photos, tiny, tmp_path):
    run = make_run()
    Image.new("RGB", (17, 200)).save(tmp_path / "thin.png")
    with pytest.raises(UserError, match=r"no picture of .*thin.png: 15x198 pixels; 17 or more a side are needed"):
        evaluate(run, data=tmp_path, features=tiny, keep=False)
    with pytest.raises(UserError, match="There is no folder or zip file nowhere"):
        evaluate(run, data="nowhere", features=tiny, keep=False)
    with pytest.raises(UserError, match="numbers that are not finite: this run has diverged"):
        evaluate(make_run(rule="nothing"), data=photos, features=tiny, keep=False)
    with pytest.raises(UserError, match="--border and --vgg-weights are for super-resolution"):
        evaluate(photos, data=photos, features=tiny, border=4)
    (tmp_path / "thin.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"the first: thin.png: not a picture"):
        evaluate(run, data=tmp_path, features=tiny, keep=False)


@pytest.mark.parametrize("height", [70, 74, 75, 200])
def test_ssim_in_blocks_is_that_of_scikit_image(height):
    """Also where a block ends at the last place or has a single row: 64 places a block, 11 pixels a window."""
    a = photo(150, height, 3)
    b = photo(150, height, 4) // 2 + a // 2
    ours, theirs = (torch.from_numpy(of).permute(2, 0, 1)[None].double() / 127.5 - 1 for of in (a, b))
    expected = structural_similarity(a, b, data_range=255, channel_axis=2, **GAUSSIAN)
    assert ssim(ours, theirs).item() == pytest.approx(expected, abs=1e-12)


def test_variance_of_the_laplacian():
    """A checkerboard of 10 gray levels: the Laplacian is -4 x 10 and 4 x 10 in turn (x 219 / 255 of Y), so 1600."""
    board = (torch.arange(21)[:, None] + torch.arange(22)) % 2
    gray = (100 + 10 * board).double()[None, None] / 127.5 - 1
    assert laplacian_variance(gray[..., :-1, :]).item() == pytest.approx(1600, rel=1e-2)
    colour = laplacian_variance(gray.expand(-1, 3, -1, -1))
    assert (colour / laplacian_variance(gray)).item() == pytest.approx((219 / 255) ** 2, rel=1e-9)
    assert laplacian_variance(torch.zeros(2, 3, 9, 9)).tolist() == [0, 0]
    random = torch.rand(1, 1, 30, 20, dtype=torch.float64) * 2 - 1
    expected = ndimage.laplace((random[0, 0].numpy() + 1) * 127.5)[1:-1, 1:-1].var()
    assert laplacian_variance(random).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("given", [False, True])
def test_scores_while_training(photos, tiny, tmp_path, given):
    """The middles of the data's squares of 40 pixels, 24 a side, small versions made or given, a border of 3."""
    for number, (width, height) in enumerate(SIZES):
        truth = photo(width, height, number)[: height // 3 * 3, : width // 3 * 3]
        for side, pixels in (("low", truth[::3, ::3]), ("high", truth)):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / side / f"{number}.png")
    settings: dict[str, Any] = {"fit": "tiles", "load_size": 39, "size": 24, "device": "cpu", "steps": 2}
    settings |= {"score_every": 1, "score_features": tiny, "score_metrics": ("super-resolution", "kd")}
    data = f"{tmp_path / 'low'}::{tmp_path / 'high'}" if given else str(tmp_path / "high")
    run = ganvas.train("enlarging", "smoke", data=data, out=tmp_path / "run", **settings)
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    scores = lines[0]["scores"]
    assert next(iter(scores)) == "psnr_y" and {"ssim_y", "psnr_rgb", "feature_distance_tiny", "kd_tiny"} <= {*scores}
    assert run.folder.read_settings()["training"]["score_metrics"][0] == "super-resolution"
    values = []
    for number, (width, height) in enumerate(SIZES):
        truth = photo(width, height, number)[: height // 3 * 3, : width // 3 * 3]
        tops, lefts = (starts(length // 3 * 3, 39, given) for length in (height, width))
        for top, left in itertools.product(tops, lefts):
            square = truth[top : top + 39, left : left + 39]
            middle = square[6:30, 6:30]
            ours = square[::3, ::3][2:10, 2:10].repeat(3, 0).repeat(3, 1) if given else nearest_of(middle, 3)
            values.append(peak_signal_noise_ratio(luma(middle, 3), luma(ours, 3), data_range=255))
    assert scores["psnr_y"]["value"] == pytest.approx(np.mean(values), abs=1e-3)
    assert scores["psnr_y"]["protocol"]["border"] == 3 and scores["psnr_y"]["protocol"]["n"] == len(values)


def starts(length: int, side: int, given: bool) -> list[int]:
    """Evenly spaced tiles that cover a side: of pairs at pixels of the small picture."""
    count = -(-length // side)
    unit = 3 if given else 1
    whole = (length - side) // unit
    return [unit * round(i * whole / max(1, count - 1)) for i in range(count)]


def test_processes_share_the_photos(make_run, photos):
    """Two of them do each some, and both end with what one would have found."""
    run, options = make_run(), DataOptions()
    scoring = Scoring(run, {"source": "test"}, str(photos), options, None, None, 0, [])
    alone = scoring(Ranks(), lambda *told: None)
    done: dict[int, list] = {}

    class First(Ranks):
        def gather(self, value):
            done[self.rank] = value
            raise InterruptedError

    class Second(Ranks):
        def gather(self, value):
            return [done[0], done[1]]

    for rank in (0, 1):
        with pytest.raises(InterruptedError):
            scoring(First(rank, 2), lambda *told: None)
    assert [len(done[0]), len(done[1])] == [2, 1]
    for rank in (0, 1):
        assert scoring(Second(rank, 2), lambda *told: None) == alone


def test_the_distance_of_vgg(make_run, photos, tiny, tmp_path):
    """Named after the network whose weights are given; the better enlargement is nearer."""
    torch.manual_seed(0)
    torch.save(VGG("vgg16").state_dict(), tmp_path / "vgg.pth")
    found = evaluate(make_run(), data=photos, features=tiny, vgg_weights=tmp_path / "vgg.pth", n=1, keep=False)
    scores = found.scores
    assert 0 < scores["bicubic_vgg16_distance"].value < scores["vgg16_distance"].value
    assert scores["vgg16_distance"].lower_is_better
    assert scores["vgg16_distance"].protocol["features"]["weights"] == hash_file(tmp_path / "vgg.pth")
    with pytest.raises(UserError, match="there is no file"):
        evaluate(make_run(), data=photos, features=tiny, vgg_weights=tmp_path / "nowhere", keep=False)


def test_enlargements_in_a_test_of_people(make_run, photos, tmp_path):
    """`ganvas turing` shows what a run makes of the small versions of its photos' middles."""
    given = {"scale": 3, "size": 24, "fit": "tiles", "device": "cpu"}
    run = ganvas.train("enlarging", "smoke", data=photos, out=tmp_path / "run", **given)
    made = prepare(photos, run, tmp_path / "test", n=4)
    key = json.loads((made / "key.json").read_text())["pictures"]
    kinds = {"real": 0, "generated": 0}
    for name, entry in key.items():
        pixels = np.asarray(Image.open(made / "pictures" / name)).astype(int)
        assert pixels.shape == (24, 24, 3)
        flat = np.ptp(pixels.reshape(8, 3, 8, 3, 3), axis=(1, 3)).max() == 0
        assert flat == (entry["is"] == "generated") and entry["from"].startswith("photo")
        kinds[entry["is"]] += 1
    assert kinds == {"real": 4, "generated": 4}


def test_large_photos_are_enlarged_in_tiles(make_run, tiny, tmp_path, monkeypatch):
    """The same as in one piece, by a rule without a seam: small versions of 70 pixels in tiles of 32."""
    Image.fromarray(photo(210, 150, 0)).save(tmp_path / "photo.png")
    run = make_run()
    whole = evaluate(run, data=tmp_path, features=tiny, keep=False).pictures
    monkeypatch.setattr("ganvas.translation.tiles.ENLARGED_TILE", 96)
    counted = []
    monkeypatch.setattr(
        "ganvas.metrics.photos.translate_tiled", lambda *given: counted.append(1) or translate_tiled(*given)
    )
    assert evaluate(run, data=tmp_path, features=tiny, keep=False).pictures == whole and counted == [1]
