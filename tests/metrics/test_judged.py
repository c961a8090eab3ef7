"""Scores of samples beside captions, boxes and keypoints, of systems that are known to heed them or not."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_evaluate import Tiny

import ganvas
from ganvas import systems
from ganvas.data import DataOptions, open_data
from ganvas.engine.distributed import Ranks
from ganvas.errors import UserError
from ganvas.metrics import judged
from ganvas.metrics.diversity import caption_diversity, perceptual_distance
from ganvas.metrics.evaluate import evaluate
from ganvas.metrics.layout_scores import box_iou, box_of, largest_part
from ganvas.metrics.pictures import Choice, drawn, features_of, to_side
from ganvas.metrics.watch import Watch
from ganvas.viz.grids import to_bytes

COUNT, SIDE = 160, 24
SYSTEMS = str(Path(__file__).parent / "describing_systems")


@pytest.fixture(scope="module", autouse=True)
def _systems_and_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(systems, "__path__", [*systems.__path__, SYSTEMS])
        patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        # These pictures are learnt in a tenth of the time.
        patch.setattr(judged, "MATCHED_STEPS", 60)
        patch.setattr(judged, "PLACED_STEPS", 60)
        patch.setattr(judged, "SEEN", 1500)
        yield


def rows_of(count, seed):
    """What is asked of pictures: colour, box and the two ends of its middle line, the second hidden now and then."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 6, count)
    size = random.integers(9, 15, (count, 2))
    corner = (random.random((count, 2)) * (SIDE - size + 1)).astype(int)
    boxes = np.concatenate([corner, size], 1) / SIDE
    points = np.ones((count, 2, 3))
    points[:, 0, 0], points[:, 1, 0] = boxes[:, 0] + 1.5 / SIDE, boxes[:, 0] + boxes[:, 2] - 1.5 / SIDE
    points[:, :, 1] = (boxes[:, 1] + (size[:, 1] // 2 + 0.5) / SIDE)[:, None]
    points[random.random(count) < 0.2, 1] = 0
    return colours, boxes, points


def described(folder, count=COUNT, seed=0):
    """A folder of pictures that the system would draw, with noise, and their captions as numbers."""
    from ganvas.systems.describing import draw  # found in the test's folder

    folder.mkdir()
    colours, boxes, points = rows_of(count, seed)
    text = torch.eye(6)[colours]
    given = {"text": text, "boxes": torch.from_numpy(boxes), "keypoints": torch.from_numpy(points)}
    noise = 0.1 * torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    lines = []
    for i, pixels in enumerate(to_bytes(draw(given, SIDE, noise).clamp(-1, 1))):
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
        known = {"text": f"colour {colours[i]}", "bbox": boxes[i].tolist(), "label": int(colours[i])}
        parts = dict(zip(("first", "second"), points[i].tolist(), strict=True))
        lines.append(json.dumps({"file_name": f"{i:03}.png", "keypoints": parts, **known}) + "\n")
    (folder / "metadata.jsonl").write_text("".join(lines))
    np.save(folder.with_suffix(".npy"), text.numpy())
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory, _systems_and_cache):
    return described(tmp_path_factory.mktemp("data") / "one")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "tiny.pt"
    torch.jit.script(Tiny().eval()).save(str(path))
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    """Makes a run of the system with these settings."""
    root = tmp_path_factory.mktemp("runs")

    def make(name, **settings):
        if not (root / name).exists():
            settings = {"embeddings": data.with_suffix(".npy"), **settings}
            ganvas.train("describing", "smoke", data=data, out=root / name, device="cpu", **settings)
        return root / name

    return make


JUDGES = ("agreement", "layout")


def test_what_is_drawn_as_asked_is_found_and_what_is_not_is_at_chance(trained, tiny):
    """Against the same judges on real pictures, and against samples that are exchanged: closed cases at both ends."""
    given = {"features": tiny, "metrics": JUDGES}
    heeding = evaluate(trained("all"), **given).scores
    blind = evaluate(trained("blind", heeds=("noise",)), **given).scores
    assert set(heeding) == set(blind) == {"accuracy", "r_precision", "box_iou", "keypoint_distance"}
    for name, score in heeding.items():
        theirs, best, chance = blind[name], score.protocol["of_the_data"], score.protocol["chance"]
        worst = abs(best - chance)
        assert abs(score.value - best) < 0.15 * worst + 0.01, name
        assert abs(theirs.value - theirs.protocol["chance"]) < 0.1 * worst, name
        assert abs(score.value - theirs.value) > 0.6 * worst, name
        assert score.lower_is_better == (name == "keypoint_distance")
        # The judges are the same, whatever they judge.
        assert {**theirs.protocol, "samples": 0, "chance": 0} == {**score.protocol, "samples": 0, "chance": 0}
    assert heeding["r_precision"].value > 0.95 and heeding["r_precision"].protocol["candidates"] == 6
    assert abs(blind["r_precision"].value - 1 / 6) < 0.08 and abs(blind["accuracy"].value - 1 / 6) < 0.08
    assert heeding["box_iou"].value > 0.85 > 0.6 > blind["box_iou"].value
    assert heeding["keypoint_distance"].value < 0.03 < 0.1 < blind["keypoint_distance"].value
    protocol = heeding["accuracy"].protocol
    assert protocol["trained_on"] == 128 and protocol["held_out"] == 32 and protocol["n"] == COUNT
    assert protocol["samples"]["drawn_from"] == ["boxes", "keypoints", "label", "text"] and "features" not in protocol


@pytest.mark.slow
def test_each_score_sees_its_own_condition(trained, tiny):
    """A system without ears draws the box, but one colour; one without eyes the colour, but one box."""
    given = {"features": tiny, "metrics": JUDGES}
    deaf = evaluate(trained("deaf", heeds=("boxes", "keypoints", "noise")), **given).scores
    aimless = evaluate(trained("aimless", heeds=("text", "noise")), **given).scores
    assert deaf["box_iou"].value > 0.8 > 0.6 > aimless["box_iou"].value
    assert aimless["r_precision"].value > 0.9 > 0.3 > deaf["r_precision"].value
    assert deaf["keypoint_distance"].value < aimless["keypoint_distance"].value / 4


def test_by_default_of_runs_that_draw_from_such(trained, tiny):
    """And never otherwise: a folder of the same pictures has no captions that it was drawn from."""
    only_text = trained("text", needs=("text",), heeds=("text",))
    found = evaluate(only_text, features=tiny)
    assert {"accuracy", "r_precision"} <= set(found.scores) and "box_iou" not in found.scores
    assert any(flag.startswith("no caption_diversity: this network shows no inner layers") for flag in found.flags)
    data = found.data
    plain = evaluate(data, data=data, features=tiny)
    assert not {"accuracy", "r_precision"} & set(plain.scores) and not any("agreement" in flag for flag in plain.flags)
    for metric, what in (("agreement", "text"), ("layout", "boxes or keypoints"), ("caption_diversity", "text")):
        with pytest.raises(UserError, match=f"samples drawn from {what}, and these are not"):
            evaluate(data, data=data, features=tiny, metrics=(metric,))
    with pytest.raises(UserError, match="samples drawn from boxes or keypoints"):
        evaluate(only_text, features=tiny, metrics=("layout",))


def test_samples_that_are_no_pictures_are_compared_with_what_they_are_like(trained, tiny, data):
    """Drawings of one colour: at distance zero from drawings of the same boxes, far from the photographs."""
    run = trained("else", shows="drawings", heeds=("boxes",))
    found = evaluate(run, features=tiny, metrics=("fd",))
    photos = evaluate(trained("boxes", heeds=("boxes",)), features=tiny, metrics=("fd",))
    assert abs(found.scores["fd_tiny"].value) < 1e-6 < photos.scores["fd_tiny"].value / 100
    with pytest.raises(UserError, match="no pictures like the data's"):
        evaluate(run, features=tiny, metrics=("layout",))
    assert "box_iou" not in evaluate(run, features=tiny).scores


@pytest.mark.slow
def test_the_same_numbers_of_two_processes(trained, tiny, tmp_path):
    values = []
    for processes in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        script = tmp_path / "score.py"
        script.write_text(
            "import json, sys, os\nfrom ganvas import systems\n"
            f"systems.__path__.append({SYSTEMS!r})\nfrom ganvas.metrics import judged\n"
            "from ganvas.metrics.evaluate import evaluate\njudged.MATCHED_STEPS, judged.SEEN = 60, 1500\n"
            f"given = {{'features': {tiny!r}, 'metrics': ('agreement',), 'n': 70, 'device': 'cpu'}}\n"
            f"found = evaluate({str(trained('all'))!r}, **given)\n"
            "if os.environ.get('RANK', '0') == '0':\n    print('found', json.dumps(found.to_json()['scores']))\n"
        )
        words = [sys.executable, *(launcher if processes > 1 else []), str(script)]
        ended = subprocess.run(
            words, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
        )
        assert ended.returncode == 0, ended.stderr
        values += [line for line in ended.stdout.splitlines() if line.startswith("found")]
    assert len(values) == 2 and values[0] == values[1]


@pytest.mark.parametrize("size", [SIDE, pytest.param(2 * SIDE, marks=pytest.mark.slow)])
def test_runs_of_two_sizes_are_scored_at_one(trained, tiny, size, monkeypatch):
    """Samples are those of the run, resized by Pillow's Lanczos; protocols differ in what was resized alone."""
    seen = []

    def noted(network, pictures, *rest):
        seen.append(tuple(pictures(range(2)).shape))
        return features_of(network, pictures, *rest)

    monkeypatch.setattr(sys.modules["ganvas.metrics.evaluate"], "features_of", noted)
    small, large = trained("all"), trained("large", size=2 * SIDE)
    given = {"features": tiny, "metrics": ("fd", "layout"), "size": size, "n": 40}
    found = [evaluate(run, **given).scores for run in (small, large)]
    assert seen and {*seen} == {(2, size, size, 3)}
    resized = [scores["fd_tiny"].protocol["samples"].get("resized") for scores in found]
    said = f"{SIDE + SIDE * (size == SIDE)} to {size} pixels, antialiased Lanczos"
    assert resized == ([None, said] if size == SIDE else [said, None])
    for scores in found:
        assert scores["fd_tiny"].protocol["pictures"]["size"] == size
        assert scores["box_iou"].value > 0.8 and scores["keypoint_distance"].value < 0.05
    assert found[0]["fd_tiny"].protocol["reference"] == found[1]["fd_tiny"].protocol["reference"]
    run = ganvas.load(small, device="cpu")
    real = Choice.of_described(
        open_data(run.settings.source, run.settings.chosen.data, size=size, needs=run.system.needs), None, 0, size
    )
    ours = drawn(run.system, real.conditions, 0, None, size=size)(range(4)).numpy()
    plain = drawn(run.system, real.conditions, 0, None)(range(4)).numpy()
    for one, expected in zip(ours, plain, strict=True):
        picture = Image.fromarray(expected)
        if size != SIDE:
            picture = picture.resize((size, size), Image.Resampling.LANCZOS)
        assert np.array_equal(one, np.asarray(picture))
    assert to_side(plain[..., :1], size).shape == (4, size, size, 1)


def test_larger_pictures_for_random_squares_are_larger_at_a_larger_size(trained, tiny):
    """A run that learnt squares of 24 of 30 pixels is compared, at 48, with squares of 48 of 60: the same part."""
    run = trained("jittered", load_size=30)
    protocol = evaluate(run, features=tiny, metrics=("fd",), size=48).scores["fd_tiny"].protocol
    assert protocol["pictures"]["size"] == 48 and protocol["pictures"]["cut"] == "middle of 60 pixels"


def test_conditions_are_those_of_the_pictures_beside_them(data):
    """Drawn from its conditions by the rule, each picture is the data's; boxes are where the colour is."""
    from ganvas.systems.describing import draw

    for load_size in (0, 60):
        options = DataOptions(flip=False, embeddings=data.with_suffix(".npy"), load_size=load_size)
        prepared = open_data(str(data), options, size=SIDE, needs=frozenset({"text", "boxes", "keypoints"}))
        choice = Choice.of_described(prepared, 50, 3, SIDE)
        assert len(choice) == 50 and choice.data is prepared.pictures
        given = choice.conditions(range(48, 53))  # past the last they start again
        assert torch.equal(given["boxes"][2:], choice.conditions(range(3))["boxes"])
        assert torch.equal(given["text"].argmax(1), given["label"])
        real, given = choice(range(50)).permute(0, 3, 1, 2) / 127.5 - 1, choice.conditions(range(50))
        if not load_size:
            assert (real - draw(given, SIDE)).abs().mean((1, 2, 3)).max() < 0.1  # nearly all of it noise
        off = np.abs(prepared.boxes[choice.places, :2] + prepared.boxes[choice.places, 2:] / 2 - 0.5).max(1)
        moved = torch.from_numpy(off > 0.2) if load_size else torch.ones(50, dtype=torch.bool)  # not the middle square
        assert moved.sum() > 10
        coloured = real.amax(1) - real.amin(1) > 0.8
        assert box_iou(box_of(largest_part(coloured)), given["boxes"])[moved].median() > 0.8, load_size


def test_while_training_the_same_scores(trained, data, tiny):
    """The watch's numbers at the end are those of `evaluate` of the same pictures."""
    run = ganvas.load(trained("all"), device="cpu")
    options = run.settings.chosen.data
    prepared = open_data(run.settings.source, options, size=SIDE, needs=run.system.needs)
    training = dataclasses.replace(
        run.settings.chosen.training, score_features=tiny, score_metrics=("fd", "layout"), score_samples=COUNT
    )
    from contextlib import nullcontext

    watched = Watch(prepared, SIDE, options, training, Ranks()).score(run.system, nullcontext, {})
    found = evaluate(run, features=tiny, metrics=("fd", "layout"))
    for name, score in found.scores.items():
        assert watched["scores"][name]["value"] == pytest.approx(score.value, rel=1e-9), name
    assert watched["scores"]["fd_tiny"]["protocol"]["samples"]["drawn_from"] == ["boxes", "keypoints", "label", "text"]


def test_data_that_means_something_else_is_refused(trained, tiny, tmp_path, data):
    other = described(tmp_path / "other", 30, seed=5)
    run = trained("all")
    with pytest.raises(UserError, match="trained on embeddings from a file: give those of"):
        evaluate(run, data=other, features=tiny, metrics=("fd",))
    options = DataOptions(flip=False, embeddings=other.with_suffix(".npy"))
    found = evaluate(run, data=other, features=tiny, options=options, metrics=("layout",))
    assert found.reference == 30 and found.scores["box_iou"].protocol["trained_on"] == 24
    np.save(tmp_path / "longer.npy", np.ones((30, 7), np.float32))
    with pytest.raises(UserError, match=r"have 7 numbers, and those that .* was trained on 6"):
        evaluate(
            run, data=other, features=tiny, options=dataclasses.replace(options, embeddings=tmp_path / "longer.npy")
        )
    renamed = tmp_path / "other" / "metadata.jsonl"
    renamed.write_text(renamed.read_text().replace('"second"', '"third"'))
    with pytest.raises(UserError, match=r"keypoints first, third, and .* was trained on first, second"):
        evaluate(run, data=other, features=tiny, options=options)


class Means:
    """Stands in for a feature network: one stage, the mean colour at one place."""

    @staticmethod
    def stages(images):
        return [images.float().mean((1, 2))[:, :, None, None] / 255]


def test_the_diversity_per_caption_by_hand():
    """Closed form: unit vectors of colours, squared distances 0 and 2; the second samples of other captions."""
    red, green = torch.zeros(2, 4, 4, 3, dtype=torch.uint8).unbind()
    red[..., 0], green[..., 1] = 200, 90
    same = caption_diversity(Means.stages, torch.stack([red, green]), torch.stack([red, green]))
    assert same.within.tolist() == [0, 0] and same.across.tolist() == pytest.approx([2, 2])
    crossed = caption_diversity(Means.stages, torch.stack([red, green, red]), torch.stack([green, green, red]), batch=2)
    assert crossed.within.tolist() == pytest.approx([2, 0, 0])
    assert crossed.across.tolist() == pytest.approx([2, 2, 2])
    random = torch.randint(0, 256, (2, 5, 4, 4, 3), dtype=torch.uint8)
    found = caption_diversity(Means.stages, *random, batch=2)
    expected = perceptual_distance(Means.stages(random[0]), Means.stages(random[1]))
    assert torch.allclose(found.within, expected)
    with pytest.raises(UserError, match="two captions or more"):
        caption_diversity(Means.stages, random[0][:1], random[1][:1])
    with pytest.raises(UserError, match="no inner layers"):
        caption_diversity(lambda images: [], *random)


def test_the_diversity_of_a_run_that_ignores_its_noise_is_zero(trained, monkeypatch):
    """Same captions and boxes, other seeds: nothing changes but by the noise."""
    pytest.importorskip("efficientnet_lite_pytorch")
    monkeypatch.setattr(judged, "MOST_PAIRS", 8)
    scores = {}
    for name, heeds in (("all", ("text", "boxes", "keypoints", "noise")), ("dry", ("text", "boxes", "keypoints"))):
        found = evaluate(trained(name, heeds=heeds), metrics=("caption_diversity",), n=20, reference=20)
        scores[name] = found.scores["caption_diversity_efficientnet_lite0"]
    assert scores["dry"].value == 0 < scores["all"].value < scores["all"].protocol["of_different_captions"]
    assert scores["dry"].protocol["pairs"] == 8 and scores["dry"].protocol["also_the_same"] == ["boxes", "keypoints"]


def test_ways_to_mismatch():
    """One caption a class: one score. Several captions a class, or classes a caption: two."""
    labels = torch.tensor([0, 0, 1, 2])
    assert [*judged._ways(labels + 3, labels)] == ["r_precision"]
    assert [*judged._ways(torch.arange(4), labels)] == ["r_precision", "r_precision_captions"]
    assert [*judged._ways(torch.tensor([0, 1, 1, 2]), labels)] == ["r_precision", "r_precision_captions"]
    assert judged._ways(labels, None)["r_precision"][1] == "other captions"
    assert judged.default_names(frozenset({"text", "label"})) == ("agreement", "caption_diversity")
    assert judged.default_names(frozenset({"keypoints"})) == ("layout",) and not judged.default_names(
        frozenset({"label"})
    )
