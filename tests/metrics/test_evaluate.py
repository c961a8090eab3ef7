"""Evaluation end to end, with a feature network small enough to be quick, and once with the real one."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import logsumexp

import ganvas
from ganvas.cli import run as run_command
from ganvas.data import DataOptions, open_data
from ganvas.engine.distributed import Ranks
from ganvas.errors import UserError
from ganvas.metrics import networks
from ganvas.metrics.evaluate import evaluate, first_side
from ganvas.metrics.extract import extract
from ganvas.metrics.pictures import Choice, drawn, features_of

DIMENSIONS = 6


class Tiny(torch.nn.Module):
    """Blurs, then projects: enough to tell shapes from noise."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.project = torch.nn.Linear(3 * 8 * 8, 6)
        self.classify = torch.nn.Linear(6, 4)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        small = torch.nn.functional.adaptive_avg_pool2d(images, (8, 8)).flatten(1)
        features = self.project(small)
        return features, self.classify(features)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "tiny.pt"
    torch.jit.script(Tiny().eval()).save(str(path))
    return str(path)


def shapes(folder, seeds, side=16):
    """Pictures of one coloured rectangle each, one a seed."""
    folder.mkdir()
    for seed in seeds:
        random = np.random.default_rng(seed)
        pixels = np.full((side, side, 3), 255, np.uint8)
        top, left = random.integers(0, side // 2, 2)
        height, width = random.integers(3, side // 2, 2)
        pixels[top : top + height, left : left + width] = random.integers(0, 200, 3)
        Image.fromarray(pixels).save(folder / f"{seed:04}.png")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    noise = root / "noise"
    noise.mkdir()
    for seed in range(60):
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(noise / f"{seed}.png")
    return {
        "one": shapes(root / "one", range(120)),
        "other": shapes(root / "other", range(120, 240)),
        "noise": noise,
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory, folders):
    path = tmp_path_factory.mktemp("runs") / "run"
    return ganvas.train(
        "unetgan", "smoke", data=folders["one"], out=path, device="cpu", score_every=0, steps=2, grid_every=0
    )


def test_halves_of_the_same_are_near_and_noise_is_far(folders, tiny):
    near = evaluate(folders["other"], data=folders["one"], features=tiny).scores
    far = evaluate(folders["noise"], data=folders["one"], features=tiny).scores
    assert near["fd_tiny"].value < 0.1 * far["fd_tiny"].value
    assert abs(near["kd_tiny"].value) < 3 * near["kd_tiny"].error + 1e-9 < 0.1 * far["kd_tiny"].value
    assert near["precision_tiny"].value > 0.8 > 0.2 > far["precision_tiny"].value
    assert near["coverage_tiny"].value > 0.8 > 0.2 > far["coverage_tiny"].value


def test_the_same_pictures_are_at_distance_zero(folders, tiny):
    scores = evaluate(folders["one"], data=folders["one"], features=tiny, metrics=("fd", "prdc")).scores
    assert scores["fd_tiny"].value == pytest.approx(0, abs=1e-9)
    assert scores["precision_tiny"].value == scores["recall_tiny"].value == scores["coverage_tiny"].value == 1


def test_a_folder_of_copies_is_flagged_and_a_half_of_the_data_is_not(tmp_path, folders, tiny):
    copies = tmp_path / "copies"
    copies.mkdir()
    for number in range(60):
        with Image.open(folders["one"] / f"{number % 40:04}.png") as picture:
            picture.save(copies / f"{number}.png")
    found = evaluate(copies, data=folders["one"], features=tiny, metrics=("copies",))
    score = found.scores["copies_tiny"]
    assert any("copying" in flag for flag in found.flags) and score.value > 0.5 and score.protocol["repeats"] > 0.2
    assert score.protocol["likeliest"][0]["distance"] == 0
    assert not evaluate(folders["other"], data=folders["one"], features=tiny, metrics=("copies",)).flags


def test_the_named_picture_is_the_one_that_was_copied(tmp_path, folders, tiny):
    # One copy among pictures of something else: its original must be named, whatever order the data was drawn in.
    mixed = shapes(tmp_path / "mixed", range(500, 540))
    with Image.open(folders["one"] / "0077.png") as picture:
        picture.save(mixed / "copy.png")
    score = evaluate(mixed, data=folders["one"], features=tiny, metrics=("copies",)).scores["copies_tiny"]
    assert score.protocol["likeliest"][0]["picture"] == "0077.png"


def test_names_and_their_order_do_not_matter(tmp_path, folders, tiny):
    shuffled = tmp_path / "shuffled"
    shuffled.mkdir()
    for number, path in enumerate(sorted(folders["other"].iterdir(), key=lambda path: hash(path.name))):
        (shuffled / f"{number}.png").write_bytes(path.read_bytes())
    given = {"data": folders["one"], "features": tiny, "metrics": ("fd", "kd", "prdc")}
    ours, theirs = evaluate(folders["other"], **given).scores, evaluate(shuffled, **given).scores
    for name, score in ours.items():
        assert theirs[name].value == pytest.approx(score.value, rel=1e-9, abs=1e-12)


def test_every_score_says_how_it_was_made(trained, folders, tiny):
    found = evaluate(trained.path, features=tiny, n=40)
    assert found.n == 40 and found.reference == 120
    prepared = open_data(str(folders["one"]), trained.settings.chosen.data, size=32)
    for name, score in found.scores.items():
        assert name.endswith("_tiny")
        protocol = score.protocol
        assert protocol["samples"]["n"] == 40 and protocol["samples"]["seed"] == 0
        assert protocol["samples"]["source"] == "unetgan smoke, step 2"
        assert protocol["reference"]["hash"] == prepared.hash and protocol["reference"]["n"] == 120
        assert protocol["pictures"]["size"] == 32 and "Lanczos" in protocol["pictures"]["filter"]
        assert len(protocol["features"]["weights"]) == 64 and protocol["features"]["resize"]
        assert protocol["estimator"]
    written = json.loads((trained.path / "evaluation.json").read_text())
    assert written["scores"]["kd_tiny"] == json.loads(json.dumps(found.scores["kd_tiny"].to_json()))


def test_two_processes_give_the_same_numbers_as_one(trained, tiny, tmp_path):
    words = [
        "evaluate",
        str(trained.path),
        "--features",
        tiny,
        "--samples",
        "70",
        "--metrics",
        "fd",
        "kd",
        "prdc",
        "is",
        "--json",
    ]
    values = []
    for processes in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "ganvas"]
        how = launcher if processes > 1 else ["-m", "ganvas"]
        whole = [sys.executable, *how, *words, "--cache", str(tmp_path / str(processes))]
        threads = os.environ | {"OMP_NUM_THREADS": "1"}  # torchrun sets it too; other threads, other rounding
        ended = subprocess.run(whole, env=threads, capture_output=True, text=True, timeout=200, check=True)
        lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
        assert len(lines) == 1
        values.append({name: score["value"] for name, score in json.loads(lines[0])["scores"].items()})
    assert values[0] == values[1] and len(values[0]) == 7


def test_features_do_not_depend_on_how_the_work_is_shared(folders, tiny):
    network = networks.find(tiny, device=torch.device("cpu"))
    data = open_data(str(folders["one"]), DataOptions(), size=16)
    choice = Choice.draw(data, 100, 0, 16)
    whole = extract(network, [choice(range(100))])

    def share(world):
        """Processes as threads, which meet where the parts are gathered."""
        parts, meeting = [None] * world, Barrier(world)

        class Process(Ranks):
            def gather(self, value):
                parts[self.rank] = value
                meeting.wait(60)
                return list(parts)

        with ThreadPoolExecutor(world) as pool:
            return list(pool.map(lambda rank: features_of(network, choice, 100, Process(rank, world)), range(world)))

    whole_choice = choice

    def broken(numbers):
        if 32 in numbers:  # in the second chunk, so in one process alone
            raise UserError("not finite")
        return whole_choice(numbers)

    choice = broken
    with pytest.raises(UserError, match="not finite"):
        share(2)
    choice = whole_choice
    for world in (2, 3, 5):  # of 5 processes, one has nothing to do
        for found in share(world):
            assert torch.equal(found.vectors, whole.vectors) and torch.equal(found.probabilities, whole.probabilities)


def test_the_data_is_looked_at_once(folders, tiny, tmp_path, monkeypatch):
    seen = []
    original = networks.FeatureNetwork.features
    monkeypatch.setattr(
        networks.FeatureNetwork, "features", lambda self, images: seen.append(len(images)) or original(self, images)
    )
    options = DataOptions(cache=str(tmp_path))
    given = {"data": folders["one"], "features": tiny, "metrics": ("kd",), "options": options, "n": 32}
    first = evaluate(folders["noise"], **given)
    assert sum(seen) == 120 + 32
    again = evaluate(folders["noise"], **given)
    assert sum(seen) == 120 + 32 + 32
    assert first.scores["kd_tiny"].value == again.scores["kd_tiny"].value
    evaluate(folders["noise"], **given | {"reference": 50})  # other pictures of the data: not those in the cache
    assert sum(seen) == 120 + 32 + 32 + 50 + 32


def test_samples_are_of_the_datas_classes_in_its_proportions(tmp_path, tiny):
    for name, seeds in (("a", range(30)), ("b", range(30, 40))):
        shapes_of = tmp_path / "classes" / name
        shapes_of.parent.mkdir(exist_ok=True)
        shapes(shapes_of, seeds)
    data = open_data(str(tmp_path / "classes"), DataOptions(), size=16)
    labels = Choice.draw(data, None, 0, 16).conditions(range(80))["label"]
    assert labels.bincount().tolist() == [60, 20]


def test_parzen_alone_is_of_pixels_and_needs_no_network(trained, folders, monkeypatch):
    """Against SciPy on the pictures as they are on disk, split as the protocol says."""
    monkeypatch.setattr(networks, "find", lambda *given, **more: pytest.fail("no network is needed"))
    found = evaluate(folders["other"], data=folders["one"], metrics=("parzen",))
    score = found.scores["parzen_pixels"]
    assert list(found.scores) == ["parzen_pixels"] and not score.lower_is_better
    protocol = score.protocol
    assert "features" not in protocol and protocol["samples"]["n"] == 120 and protocol["reference"]["n"] == 120
    assert (protocol["validation"], protocol["test"], protocol["dimensions"]) == (24, 96, 16 * 16 * 3)
    assert "[0, 1]" in protocol["pixels"] and "held out" in protocol["estimator"] and len(protocol["sigmas"]) == 10

    def pixels(folder, order=slice(None)):
        paths = sorted(folder.iterdir())
        return np.stack([np.asarray(Image.open(path)).ravel() / 255 for path in paths])[order]

    order = Choice.draw(open_data(str(folders["one"]), DataOptions(), size=16), None, 0, 16).rows
    real, fake = pixels(folders["one"], order), pixels(folders["other"])
    squared = np.square(real[:, None] - fake).sum(2)
    by_sigma = {
        sigma: logsumexp(-squared / (2 * sigma**2), axis=1) - np.log(120) - 768 * np.log(sigma * np.sqrt(2 * np.pi))
        for sigma in np.logspace(-1, 0, 10)
    }
    best = max(by_sigma, key=lambda sigma: by_sigma[sigma][:24].mean())
    assert protocol["sigma"] == pytest.approx(best, abs=1e-4)
    assert score.value == pytest.approx(by_sigma[best][24:].mean(), rel=1e-5)
    assert score.error == pytest.approx(by_sigma[best][24:].std() / 96**0.5, rel=1e-4)
    # Another seed is another split, and noise is far less likely.
    again = evaluate(folders["other"], data=folders["one"], metrics=("parzen",), seed=1).scores["parzen_pixels"]
    assert again.value != score.value and abs(again.value - score.value) < 3 * (again.error + score.error)
    noise = evaluate(folders["noise"], data=folders["one"], metrics=("parzen",)).scores["parzen_pixels"]
    assert noise.value < score.value - 5 * score.error
    assert any("sigma" in flag and "end of those tried" in flag for flag in found.flags) == (best in (0.1, 1.0))


def test_parzen_is_computed_where_it_is_named_and_beside_the_others(trained, folders, tiny):
    """The same number alone and beside a score of features; flagged against the run's own training pictures."""
    alone = evaluate(trained, metrics=("parzen",), n=20, keep=False)
    beside = evaluate(trained, metrics=("kd", "parzen"), features=tiny, n=20, keep=False)
    assert list(beside.scores) == ["kd_tiny", "parzen_pixels"]
    assert beside.scores["parzen_pixels"].to_json() == alone.scores["parzen_pixels"].to_json()
    assert alone.scores["parzen_pixels"].protocol["samples"]["source"] == "unetgan smoke, step 2"
    for found, flagged in (
        (alone, True),
        (beside, True),
        (evaluate(trained, data=folders["other"], metrics=("parzen",), n=20, keep=False), False),
    ):
        assert any("is what the run was trained on" in flag for flag in found.flags) == flagged
    assert "parzen_pixels" not in evaluate(trained, features=tiny, n=20, keep=False).scores


def test_parzen_of_too_few_pictures(folders):
    with pytest.raises(UserError, match="4 are too few: give at least 5"):
        evaluate(folders["other"], data=folders["one"], metrics=("parzen",), reference=4)


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    root = tmp_path_factory.mktemp("conditional")
    for name, seeds in (("ant", range(20)), ("bee", range(20, 40)), ("cat", range(40, 60))):
        (root / "data").mkdir(exist_ok=True)
        shapes(root / "data" / name, seeds)
    given = {"device": "cpu", "score_every": 0, "steps": 1, "grid_every": 0, "classes": "auto"}
    return ganvas.train("biggan", "smoke", data=root / "data", out=root / "run", **given)


@pytest.mark.parametrize(("names", "expected"), [(("bee", "cat"), {1, 2}), (("ant", "cat"), {0, 2})])
def test_classes_of_other_data_are_told_apart_by_their_names(tmp_path, conditional, tiny, monkeypatch, names, expected):
    """Data that lacks a class numbers the others otherwise: what is drawn must still be of those names."""
    (tmp_path / "data").mkdir()
    for i, name in enumerate(names):
        shapes(tmp_path / "data" / name, range(100 + 10 * i, 110 + 10 * i))
    asked, sample = [], type(conditional.system).sample
    monkeypatch.setattr(
        type(conditional.system),
        "sample",
        lambda self, seeds, given, cut: asked.extend(given["label"].tolist()) or sample(self, seeds, given, cut),
    )
    evaluate(conditional, data=tmp_path / "data", features=tiny, metrics=("kd",), keep=False)
    assert set(asked) == expected and len(asked) == 20


def test_classes_that_the_run_does_not_know_are_refused(tmp_path, conditional, tiny):
    (tmp_path / "data").mkdir()
    for i, name in enumerate(("ant", "cats")):
        shapes(tmp_path / "data" / name, range(10 * i, 10 * i + 10))
    said = r"has a class 'cats' that .*run was not trained on: did you mean cat\?"
    with pytest.raises(UserError, match=said):
        evaluate(conditional, data=tmp_path / "data", features=tiny, keep=False)
    # Without labels, classes go in turn.
    assert evaluate(conditional, data=tmp_path / "data" / "ant", features=tiny, metrics=("kd",), keep=False).n == 10


def test_pictures_prepared_larger_are_cut_in_the_middle(folders):
    data = open_data(str(folders["one"]), DataOptions(load_size=20), size=16)
    choice = Choice.draw(data, 4, 0, 16)
    assert np.array_equal(choice([0, 3]), data.images[choice.rows[[0, 3]], 2:18, 2:18])


def test_a_run_that_diverged_is_not_scored(trained, tiny):
    system = ganvas.load(trained.path).system
    next(system.generator.parameters()).data.fill_(torch.nan)
    with pytest.raises(UserError, match="not finite"):
        drawn(system, lambda numbers: {}, 0, None)(range(4))


def test_what_is_not_defined_is_refused_if_asked_for_and_flagged_if_not(folders, tiny, capsys):
    given = {"data": folders["one"], "features": tiny, "n": DIMENSIONS}
    with pytest.raises(UserError, match=f"at least {DIMENSIONS + 1} pictures"):
        evaluate(folders["other"], **given, metrics=("fd",))
    found = evaluate(folders["other"], **given)
    assert "fd_tiny" not in found.scores and any(flag.startswith("no fd: ") for flag in found.flags)
    assert any(flag.startswith("no diversity: tiny shows no inner layers") for flag in found.flags)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{one}"], "is not a run, so --data"),
        (["{one}", "--data", "{other}", "--metrics", "fdd"], "no metric 'fdd'.*did you mean fd"),
        (["{one}", "--data", "{other}", "--truncation", "1"], "is not a run: --truncation"),
        (["{one}", "--data", "{other}", "--n", "1"], "--n 1 is too few"),
        (["{one}", "--data", "{missing}"], "There is no folder"),
        (["{one}", "--data", "normal1d"], "normal1d makes points without end, not pictures"),
        (["normal1d", "--data", "{one}"], "normal1d makes points without end, not pictures"),
        (["{run}", "--data", "normal1d:4,1"], "normal1d:4,1 makes points without end, not pictures"),
        (["{missing}", "--data", "{one}"], "There is no folder"),
        (["{one}", "--data", "{other}", "--features", "vgg"], "no feature network 'vgg'"),
        (["{run}", "--checkpoint", "last"], "newest, best or a number"),
        (["{run}", "--checkpoint", "77"], "no checkpoint of step 77"),
        (["{run}", "--checkpoint", "best"], "no scores"),
    ],
)
def test_mistakes_end_in_one_line(words, said, folders, trained, tiny, tmp_path, capsys):
    places = {name: str(path) for name, path in folders.items()} | {
        "run": str(trained.path),
        "missing": str(tmp_path / "no"),
    }
    features = [] if "--features" in words else ["--features", tiny]
    assert run_command(["evaluate", *(word.format(**places) for word in words), *features]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(said, error), error


def test_the_size_of_folders_is_that_of_the_first_picture(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (40, 24)).save(folder / "a.png")
    Image.new("RGB", (90, 90)).save(folder / "b.png")
    assert first_side(str(folder), DataOptions(), 224) == 24


def test_the_offline_network_tells_emoji_from_noise(tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("resvg_py")
    data = open_data("openmoji:animals-nature", DataOptions(), size=32)
    for number in range(80):
        folder = tmp_path / ("one", "other")[number % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.asarray(data.images[number])).save(folder / f"{number}.png")
    noise = tmp_path / "noise"
    noise.mkdir()
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(noise / f"{number}.png")
    given = {"data": tmp_path / "one", "metrics": ("kd", "prdc")}
    near, far = evaluate(tmp_path / "other", **given).scores, evaluate(noise, **given).scores
    name = "kd_efficientnet_lite0"
    assert abs(near[name].value) < 4 * near[name].error < 0.2 * far[name].value
    assert far["precision_efficientnet_lite0"].value == 0 < 0.5 < near["precision_efficientnet_lite0"].value
