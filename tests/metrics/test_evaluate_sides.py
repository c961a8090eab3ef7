"""Evaluation of translations: of runs with two sides, of folders paired by name, and while training."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from test_evaluate import Tiny

import ganvas
from ganvas.cli import run as run_command
from ganvas.data import DataOptions, open_data
from ganvas.engine.distributed import Ranks
from ganvas.engine.log import read_stats
from ganvas.errors import UserError
from ganvas.metrics import networks
from ganvas.metrics.evaluate import evaluate
from ganvas.metrics.pictures import Choice, of_chunks
from ganvas.viz.grids import to_bytes

PAIRS = 40
OF_PIXELS = {
    "l1", "psnr", "ssim", "sharpness_ratio", "lab_intersection_l", "lab_intersection_a", "lab_intersection_b",
    "retrieval_pixels", "retrieval_top5_pixels", "retrieval_rank_pixels",
}  # fmt: skip
OF_FEATURES = {"feature_distance_tiny", "retrieval_tiny", "retrieval_top5_tiny", "retrieval_rank_tiny"}


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "tiny.pt"
    torch.jit.script(Tiny().eval()).save(str(path))
    return str(path)


def rectangle(seed, side=32):
    """A coloured rectangle on white, and where it is."""
    random = np.random.default_rng(seed)
    pixels = np.full((side, side, 3), 255, np.uint8)
    top, left = random.integers(0, side // 2, 2)
    height, width = random.integers(4, side // 2, 2)
    place = np.s_[top : top + height, left : left + width]
    pixels[place] = random.integers(0, 200, 3)
    return pixels, place


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Pairs: black rectangles as sources, the same ones in colour as targets, named in another order than drawn."""
    root = tmp_path_factory.mktemp("pairs")
    for name in ("source", "target"):
        (root / name).mkdir()
    for seed in range(PAIRS):
        pixels, place = rectangle(seed)
        plain = np.full_like(pixels, 255)
        plain[place] = 0
        Image.fromarray(plain).save(root / "source" / f"{seed * 7 % PAIRS:03}.png")
        Image.fromarray(pixels).save(root / "target" / f"{seed * 7 % PAIRS:03}.png")
    return root


@pytest.fixture(scope="module")
def pix2pix(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("runs") / "pix2pix"
    return ganvas.train("pix2pix", "smoke", data=data, out=path, device="cpu", score_every=0, steps=2, grid_every=0)


@pytest.fixture(scope="module")
def discogan(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("runs") / "discogan"
    return ganvas.train("discogan", "smoke", data=data, out=path, device="cpu", score_every=0, steps=2, grid_every=0)


def test_a_run_on_pairs_is_compared_picture_by_picture(pix2pix, data, tiny):
    """Against translations made one by one and compared by numpy and scikit-image, in another order."""
    found = evaluate(pix2pix, features=tiny, keep=False)
    assert {*found.scores} >= OF_PIXELS | OF_FEATURES | {"kd_tiny", "precision_tiny", "copies_tiny"}
    assert found.n == found.reference == PAIRS
    sides = open_data(str(data), DataOptions(), size=32, sides="paired")
    order = Choice.of_sides(sides, None, 0, 32).rows
    assert sides.target.names == sorted(sides.target.names) and [*order] != sorted(order)
    l1s, psnrs, ssims = [], [], []
    for number, row in enumerate(order):
        name = f"{row:03}.png"
        source = torch.from_numpy(np.array(Image.open(data / "source" / name))).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.no_grad():
            ours = to_bytes(pix2pix.system.translate(source, [number]))[0] / 255
        truth = np.array(Image.open(data / "target" / name)) / 255
        l1s.append(np.abs(ours - truth).mean())
        psnrs.append(peak_signal_noise_ratio(truth, ours, data_range=1))
        gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        ssims.append(structural_similarity(ours, truth, data_range=1, channel_axis=2, **gaussian))
    # A translation alone and among 32 others differs in rounding: now and then a pixel by one step of 8 bits.
    for name, values in (("l1", l1s), ("psnr", psnrs), ("ssim", ssims)):
        score = found.scores[name]
        assert score.value == pytest.approx(np.mean(values), rel=1e-4)
        assert score.error == pytest.approx(np.std(values, ddof=1) / PAIRS**0.5, rel=1e-3)
        assert score.interval[0] < score.value < score.interval[1]
        assert score.interval[1] - score.interval[0] == pytest.approx(2 * 1.96 * score.error, rel=0.3)
        assert score.lower_is_better == (name == "l1") and score.protocol["channels"] == "RGB"
        assert score.protocol["border"] == 0 and "features" not in score.protocol


def test_the_protocol_says_what_was_translated_and_how(pix2pix, data, tiny):
    found = evaluate(pix2pix, features=tiny)
    sides = open_data(str(data), DataOptions(), size=32, sides="paired")
    for score in found.scores.values():
        samples = score.protocol["samples"]
        assert samples["direction"] == "AtoB" and samples["paired"] is True
        assert samples["translated"] | {"n": PAIRS, "hash": sides.source.hash} == samples["translated"]
        assert score.protocol["reference"]["hash"] == sides.target.hash
    assert found.scores["feature_distance_tiny"].protocol["features"]["network"] == "tiny"
    assert found.scores["lab_intersection_a"].protocol["bins"] == 111
    assert found.scores["retrieval_pixels"].protocol["chance"] == 1 / PAIRS
    assert {name: score.lower_is_better for name, score in found.scores.items() if name in OF_PIXELS | OF_FEATURES} == {
        name: name in ("l1", "retrieval_rank_pixels", "retrieval_rank_tiny", "feature_distance_tiny")
        for name in OF_PIXELS | OF_FEATURES
    }
    written = json.loads((pix2pix.path / "evaluation.json").read_text())
    assert written["scores"]["psnr"]["interval"] == [*found.scores["psnr"].interval]


def test_held_out_pairs_and_fewer_of_them(pix2pix, data, tiny, tmp_path):
    """Only some pairs are compared: the same pictures, whatever their number, since each depends on its seed alone."""
    few = evaluate(pix2pix, data=data, features=tiny, metrics=("translation",), reference=12, keep=False)
    assert few.n == few.reference == 12 and few.scores["l1"].protocol["n"] == 12
    # Drawn twice from each source: the first counts.
    twice = evaluate(pix2pix, features=tiny, metrics=("translation",), reference=12, n=24, keep=False)
    assert twice.n == 24 and twice.scores["l1"].value == few.scores["l1"].value
    # With a picture missing on one side the rows of the sides are no longer alike, and it is named.
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
        for path in (data / name).iterdir():
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    (tmp_path / "source" / "003.png").unlink()
    found = evaluate(pix2pix, data=tmp_path, features=tiny, metrics=("translation",), keep=False)
    assert found.n == PAIRS - 1 and any("1 of" in flag and "003.png" in flag for flag in found.flags)
    whole = evaluate(pix2pix, features=tiny, metrics=("translation",), keep=False).scores["l1"]
    assert found.scores["l1"].value == pytest.approx(whole.value, abs=4 * whole.error)


def test_pictures_are_not_cut_that_a_run_translates(data, tiny, tmp_path):
    """Jitter in training, 40 pixels cut to 32, is not for evaluation: the same as of a run without it."""
    runs, seen = [], []
    for load_size in (0, 40):
        given = {"device": "cpu", "score_every": 0, "steps": 1, "grid_every": 0, "load_size": load_size}
        runs.append(ganvas.train("pix2pix", "smoke", data=data, out=tmp_path / str(load_size), **given))
    for run in runs:
        found = evaluate(run, features=tiny, metrics=("translation",), keep=False)
        pictures = found.scores["l1"].protocol["pictures"]
        seen.append((found.scores["l1"].protocol["reference"]["hash"], pictures["size"], "cut" in pictures))
    assert seen[0] == seen[1] and seen[0][1:] == (32, False)


def test_without_pairs_only_sets_are_compared(discogan, tiny):
    found = evaluate(discogan, features=tiny, keep=False)
    assert not {*found.scores} & (OF_PIXELS | OF_FEATURES) and "kd_tiny" in found.scores
    assert found.scores["kd_tiny"].protocol["samples"]["paired"] is False
    assert not any("translation" in flag for flag in found.flags)


def test_hidden_pairs_are_compared_where_it_is_asked_for(discogan, data, tiny):
    """In both directions: what is translated and what it is compared with change places."""
    scores = {}
    for direction in ("AtoB", "BtoA"):
        given = {"features": tiny, "metrics": ("kd", "translation"), "direction": direction, "keep": False}
        found = evaluate(discogan, data=data, **given)
        assert {*found.scores} == OF_PIXELS | OF_FEATURES | {"kd_tiny"}
        scores[direction] = found.scores
        protocol = found.scores["l1"].protocol
        assert protocol["samples"]["direction"] == direction
        scores[direction + "hashes"] = protocol["samples"]["translated"]["hash"], protocol["reference"]["hash"]
    assert scores["AtoBhashes"] == scores["BtoAhashes"][::-1]
    sides = open_data(str(data), DataOptions(), size=32, sides="paired")
    choice = Choice.of_sides(sides, None, 0, 32, "BtoA")
    colours = choice.conditions(range(PAIRS))["source"]
    assert colours.std(1).max() > 0.1 > choice(range(PAIRS)).float().std(3).max()  # black rectangles are the truth
    with torch.no_grad():
        ours = to_bytes(discogan.system.translate(colours, range(PAIRS), "BtoA"))
    expected = np.abs(ours / 255.0 - choice(range(PAIRS)).numpy() / 255).mean()
    assert scores["BtoA"]["l1"].value == pytest.approx(expected, rel=1e-4)
    assert scores["AtoB"]["l1"].value != pytest.approx(expected, rel=1e-2)


def test_pairs_stay_together_and_unpaired_sources_do_not(data):
    """Rows of both sides by name; without pairs all sources are translated in an order of their own."""
    paired = Choice.of_sides(open_data(str(data), DataOptions(), size=32, sides="paired"), 10, 3, 32)
    assert len(paired) == len(paired.sources) == 10 and paired.paired
    names = [[choice.data.names[row] for row in choice.rows] for choice in (paired, paired.sources)]
    assert names[0] == names[1] and len({*names[0]}) == 10
    sources = paired.conditions([0, 9, 10])["source"]
    assert torch.equal(sources[0], sources[2])  # past the last they start again
    dark = sources.mean(1) < -0.99
    rectangles = paired([0, 9]).float().mean(3) < 254
    assert torch.equal(dark[:2], rectangles)
    unpaired = Choice.of_sides(open_data(str(data), DataOptions(), size=32, sides="unpaired"), 10, 3, 32)
    assert len(unpaired) == 10 and len(unpaired.sources) == PAIRS and not unpaired.paired
    assert sorted(unpaired.sources.rows) == [*range(PAIRS)]
    assert [*unpaired.sources.rows[:10]] != [*unpaired.rows]


def test_a_folder_of_translations_is_paired_by_name(data, tiny, tmp_path):
    """Perfect ones, of which one has a name of its own and one is of another format; then all of them exchanged."""
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for path in (data / "target").iterdir():
        with Image.open(path) as picture:
            picture.save(outputs / (path.stem + (".webp" if path.stem == "002" else ".png")), lossless=True)
    (outputs / "005.png").rename(outputs / "five.png")
    given = {"data": data / "target", "features": tiny, "metrics": ("translation",)}
    found = evaluate(outputs, **given)
    scores = {name: score.value for name, score in found.scores.items()}
    assert found.n == PAIRS - 1 and {*scores} == OF_PIXELS | OF_FEATURES
    assert (scores["l1"], scores["psnr"]) == (0, 100) and scores["ssim"] == pytest.approx(1)
    assert scores["sharpness_ratio"] == pytest.approx(1) and scores["lab_intersection_b"] == pytest.approx(1)
    assert scores["retrieval_pixels"] == scores["retrieval_tiny"] == scores["retrieval_rank_tiny"] == 1
    assert scores["feature_distance_tiny"] == pytest.approx(0, abs=1e-12)
    assert found.scores["l1"].interval is None  # equal values say nothing of others
    (flag,) = found.flags
    assert re.search(r"^2 of .*five\.png.*005\.png", flag)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for seed in range(PAIRS):
        name = f"{seed:03}.png"
        (wrong / name).write_bytes((data / "target" / f"{(seed + 1) % PAIRS:03}.png").read_bytes())
    worse = {name: score.value for name, score in evaluate(wrong, **given).scores.items()}
    assert worse["retrieval_pixels"] == worse["retrieval_tiny"] == 0 and worse["l1"] > 0.05 and worse["psnr"] < 20
    assert worse["lab_intersection_a"] == pytest.approx(1) and worse["sharpness_ratio"] == pytest.approx(1)


def test_half_as_colourful_and_blurred(data, tiny, tmp_path):
    """What L1 alone is known for shows in colours and sharpness."""
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for path in (data / "target").iterdir():
        pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None].float()
        blurred = torch.nn.functional.avg_pool2d(pixels, 5, 1, 2, count_include_pad=False)
        mixed = 0.3 * blurred + 0.7 * blurred.mean(1, keepdim=True)
        Image.fromarray(mixed[0].permute(1, 2, 0).round().byte().numpy()).save(outputs / path.name)
    found = evaluate(outputs, data=data / "target", features=tiny, metrics=("translation",)).scores
    assert found["sharpness_ratio"].value < 0.5 and found["lab_intersection_a"].value < 0.92
    low, high = found["sharpness_ratio"].interval
    assert low < found["sharpness_ratio"].value < high < 1
    assert found["retrieval_top5_pixels"].value > 0.9


def test_scores_while_training(data, tiny, tmp_path):
    given = {"device": "cpu", "steps": 2, "grid_every": 0, "score_features": tiny, "score_samples": 16}
    run = ganvas.train(
        "pix2pix", "smoke", data=data, out=tmp_path / "run", score_every=1, score_metrics=("kd", "translation"), **given
    )
    lines = read_stats(run.folder.metrics)
    assert [line["step"] for line in lines] == [1, 2] and not lines[-1]["flags"]
    scores = lines[-1]["scores"]
    assert next(iter(scores)) == "kd_tiny" and {*scores} == OF_PIXELS | OF_FEATURES | {"kd_tiny"}
    assert scores["l1"]["protocol"]["samples"]["translated"]["n"] == 16
    alone = evaluate(run, features=tiny, metrics=("kd", "translation"), reference=16, n=16, keep=False).scores
    for name, score in scores.items():
        assert score["value"] == pytest.approx(alone[name].value, rel=1e-2, abs=1e-6), name
    unpaired = ganvas.train("discogan", "smoke", data=data, out=tmp_path / "unpaired", score_every=2, **given)
    assert [*read_stats(unpaired.folder.metrics)[0]["scores"]] == ["kd_tiny"]


@pytest.mark.slow
def test_two_processes_give_the_same_numbers_as_one(pix2pix, tiny, tmp_path):
    words = ["evaluate", str(pix2pix.path), "--features", tiny, "--metrics", "kd", "translation", "--json"]
    found = []
    for processes in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "ganvas"]
        how = launcher if processes > 1 else ["-m", "ganvas"]
        whole = [sys.executable, *how, *words, "--cache", str(tmp_path / str(processes))]
        threads = os.environ | {"OMP_NUM_THREADS": "1"}  # torchrun sets it too; other threads, other rounding
        ended = subprocess.run(whole, env=threads, capture_output=True, text=True, timeout=200, check=True)
        (line,) = (line for line in ended.stdout.splitlines() if line.startswith("{"))
        found.append(json.loads(line)["scores"])
    assert found[0] == found[1] and {*found[0]} == OF_PIXELS | OF_FEATURES | {"kd_tiny"}


def test_chunks_come_back_in_order_however_they_are_shared():
    """Each process's part as `gather` would give it, put together as one process has it."""
    alone = of_chunks(list, 100, Ranks())
    assert [number for chunk in alone for number in chunk] == [*range(100)] and len(alone) == 4

    class Process(Ranks):
        def gather(self, value):
            every = [[*map(list, (range(s, min(s + 32, 100)) for s in range(32 * r, 100, 96)))] for r in range(3)]
            assert value == every[self.rank]
            return every

    for rank in range(3):
        assert of_chunks(list, 100, Process(rank, 3)) == alone

    class Broken(Ranks):
        def gather(self, value):
            return [value, UserError("not finite")]

    with pytest.raises(UserError, match="not finite"):
        of_chunks(list, 100, Broken(0, 2))


def test_features_of_some_rows_are_not_those_of_others_in_the_cache(pix2pix, data, tiny, tmp_path, monkeypatch):
    """Pairs leave rows out: as many pictures of the same data by the same seed, but not the same ones."""
    seen = []
    original = networks.FeatureNetwork.features
    monkeypatch.setattr(
        networks.FeatureNetwork, "features", lambda self, images: seen.append(len(images)) or original(self, images)
    )
    options = DataOptions(cache=tmp_path / "cache")
    part = tmp_path / "part"
    part.mkdir()
    for path in sorted((data / "source").iterdir())[PAIRS // 2 :]:
        (part / path.name).write_bytes(path.read_bytes())
    given = {"features": tiny, "metrics": ("kd",), "options": options, "keep": False, "n": 4}
    evaluate(pix2pix, data=data, reference=PAIRS // 2, **given)
    first = sum(seen)
    evaluate(pix2pix, data=f"{part}::{data / 'target'}", **given)
    assert first == PAIRS // 2 + 4 and sum(seen) == 2 * first
    evaluate(pix2pix, data=f"{part}::{data / 'target'}", **given)
    assert sum(seen) == 2 * first + 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{pix2pix}", "--direction", "BtoA"], "pix2pix has no direction 'BtoA'; it has AtoB"),
        (["{pix2pix}", "--truncation", "1"], "translates pictures: --truncation"),
        (["{pix2pix}", "--size", "40"], "multiples of 32 pixels, not of 40"),
        (["{pix2pix}", "--data", "{target}"], "two sides of .* cannot be told"),
        (["{pix2pix}", "--data", "mixtures2d"], "points|size"),
        (["{target}", "--data", "{source}", "--direction", "BtoA"], "is not a run: .*--direction"),
        (["{target}", "--data", "{other}", "--metrics", "translation"], "holds no pairs"),
        (["{target}", "--data", "{source}", "--swap"], "--swap is for systems that translate"),
        (["{noise}", "--direction", "BtoA"], "does not translate pictures: leave out --direction"),
        (["{noise}", "--metrics", "translation"], "draws pictures from noise"),
    ],
)
def test_mistakes_end_in_one_line(words, said, pix2pix, data, tiny, tmp_path, tmp_path_factory, capsys):
    other = tmp_path / "other"
    other.mkdir()
    for seed in range(3):
        Image.fromarray(rectangle(seed)[0]).save(other / f"x{seed}.png")
    noise = tmp_path / "noise"
    if "{noise}" in words:
        given = {"device": "cpu", "score_every": 0, "steps": 1, "grid_every": 0}
        ganvas.train("unetgan", "smoke", data=data / "target", out=noise, **given)
        capsys.readouterr()
    places = {"pix2pix": pix2pix.path, "target": data / "target", "source": data / "source", "other": other}
    words = [word.format(**places, noise=noise) for word in words]
    assert run_command(["evaluate", *words, "--features", tiny]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(said, error), error


def test_pictures_that_no_feature_network_sees(tmp_path, tiny):
    """Four channels: refused in one line by evaluate, and no reason to stop training that scores by itself."""
    for name in ("source", "target"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for seed in range(8):
            pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{seed}.png")
    given = {"device": "cpu", "steps": 1, "grid_every": 0, "channels": 4, "score_features": tiny}
    run = ganvas.train("pix2pix", "smoke", data=tmp_path / "data", out=tmp_path / "run", score_every=0, **given)
    with pytest.raises(UserError, match=r"gray or RGB pictures, and those of .* have 4 channels"):
        evaluate(run, features=tiny, keep=False)
    with pytest.raises(UserError, match="gray or RGB pictures"):
        ganvas.train("pix2pix", "smoke", data=tmp_path / "data", out=tmp_path / "two", score_every=1, **given)
    # Sources may have any number of channels: only what is drawn is looked at.
    sources = given | {"channels": 3, "source_channels": 4}
    run = ganvas.train("pix2pix", "smoke", data=tmp_path / "data", out=tmp_path / "three", score_every=0, **sources)
    assert "l1" in evaluate(run, features=tiny, metrics=("translation",), keep=False).scores
