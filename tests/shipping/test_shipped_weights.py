"""Folders of weights: they open as runs, draw the same, and tell no paths of this machine."""

import json
import shutil

import numpy as np
import pytest
import safetensors
import torch
from PIL import Image
from safetensors.torch import load_file

import ganvas
from ganvas import UserError, cli, systems
from ganvas.engine.checkpoint import MODEL
from ganvas.shipping.export import export


def smallest():
    """Every system in each of its presets for tests; with `make test` in the first of them."""
    found = [(name, preset) for name in systems.names() for preset in systems.find(name).PRESETS if "smoke" in preset]
    return [pytest.param(*one, marks=[pytest.mark.slow] if one[1] != "smoke" else []) for one in found]


@pytest.mark.parametrize(("system", "preset"), smallest())
def test_pictures_are_bit_for_bit_those_of_the_run(system, preset, trained, tmp_path):
    run = ganvas.load(trained(system, preset), device="cpu")
    folder = export(run, tmp_path / "out", format="safetensors").path
    again = ganvas.load(folder, device="cpu")
    assert again.shipped and again.step == run.step == 2 and again.classes == run.classes
    if run.system.sides:
        pictures = torch.rand(2, run.config.source_channels, 40, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
        for direction in run.system.directions:
            assert torch.equal(again.translate(pictures, 7, direction), run.translate(pictures, 7, direction))
    else:
        assert torch.equal(again.sample(5, 3), run.sample(5, 3))
        assert torch.equal(again.sample(2, 300, 0.5), run.sample(2, 300, 0.5))


def test_the_file_is_plain_safetensors_of_the_averaged_weights(trained, tmp_path):
    """Against the average in the checkpoint, read by the safetensors library alone."""
    run = ganvas.load(trained("unetgan"), device="cpu")
    export(run, tmp_path / "out", format="safetensors")
    with safetensors.safe_open(tmp_path / "out" / MODEL, "pt") as file:
        names = set(file.keys())
        assert names == set(run.system.state_dict())
        average = run.checkpoint.weights("average")
        parameters = {name for name, _ in run.system.generator.named_parameters(prefix="generator")}
        assert parameters <= set(average)
        assert all(torch.equal(file.get_tensor(name), average[name]) for name in parameters)


def test_no_training_is_needed_and_other_commands_work(trained, pictures, tmp_path, capsys):
    """Sampling, translating, exporting again and scoring, from a folder that was moved."""
    export(trained("dcgan"), tmp_path / "out", format="safetensors")
    export(trained("simgan"), tmp_path / "sides", format="safetensors")
    here = shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    for words in (
        ["sample", str(here), "--n", "4", "--out", str(tmp_path / "grid.png")],
        ["translate", str(tmp_path / "sides"), str(pictures / "plain" / "a" / "0.png"), str(tmp_path / "t.png")],
        ["export", str(here), str(tmp_path / "x.onnx")],
        ["export", str(here), str(tmp_path / "again"), "--format", "safetensors"],
    ):
        assert cli.run(words) == 0, capsys.readouterr().err
    first, second = (load_file(folder / MODEL) for folder in (tmp_path / "elsewhere", tmp_path / "again"))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    assert (tmp_path / "again" / "README.md").read_text() == (tmp_path / "elsewhere" / "README.md").read_text()
    pytest.importorskip("efficientnet_lite_pytorch")
    scores = ganvas.evaluate(here, data=pictures / "plain", metrics=("kd",), n=4, device="cpu").scores
    run = trained("dcgan")
    expected = ganvas.evaluate(run, data=pictures / "plain", metrics=("kd",), n=4, device="cpu", keep=False).scores
    assert scores["kd_efficientnet_lite0"].value == expected["kd_efficientnet_lite0"].value


def test_no_path_of_this_machine_is_told(trained, pictures, tmp_path):
    for system, preset in (("gancls", "smoke"), ("stackgan", "smoke-stage2"), ("simgan", "smoke")):
        out = tmp_path / f"{system}-{preset}"
        export(trained(system, preset), out, format="safetensors")
        for name in ("config.json", "README.md"):
            assert str(pictures) not in (out / name).read_text() and "/tmp" not in (out / name).read_text()
    options = json.loads((tmp_path / "gancls-smoke" / "config.json").read_text())["data"]
    assert options["source"] == "described" and options["options"]["embeddings"] == "captions.npy"


def test_what_somebody_elses_settings_name_is_not_followed(trained, tmp_path):
    """A folder from elsewhere could name any place of this machine as a cache to write to."""
    export(trained("dcgan"), tmp_path / "out", format="safetensors")
    path = tmp_path / "out" / "config.json"
    values = json.loads(path.read_text())
    values["data"]["options"] |= {"cache": "/etc/ganvas", "embeddings": "/etc/passwd"}
    path.write_text(json.dumps(values))
    options = ganvas.load(tmp_path / "out").settings.chosen.data
    assert options.cache is None and str(options.embeddings) == "passwd"


def test_generated_pictures_that_a_loss_has_kept_stay_here(trained, tmp_path):
    run = trained("simgan", history=8)
    export(run, tmp_path / "out", format="safetensors")
    with safetensors.safe_open(tmp_path / "out" / MODEL, "pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys() if "history" in name}  # noqa: SIM118
    assert kept and all(value.numel() <= 1 and not value.any() for value in kept.values())
    full = ganvas.load(run, device="cpu").system.state_dict()
    assert any(full[name].numel() > 1 for name in kept)
    assert ganvas.load(tmp_path / "out", device="cpu").translate(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)


def test_a_grid_of_what_it_makes(trained, tmp_path):
    """Against the run's own grid of the same seeds."""
    run = ganvas.load(trained("dcgan"), device="cpu")
    export(run, tmp_path / "out", format="safetensors")
    run.save_samples(tmp_path / "expected.png", 36)
    found, expected = (
        np.asarray(Image.open(path)) for path in (tmp_path / "out/samples.png", tmp_path / "expected.png")
    )
    assert np.array_equal(found, expected)


def test_damage_and_other_steps_are_refused_in_one_line(trained, tmp_path):
    export(trained("dcgan"), tmp_path / "out", format="safetensors")
    with pytest.raises(UserError, match="holds the networks of step 2 alone, not of 5"):
        ganvas.load(tmp_path / "out", checkpoint=5)
    assert ganvas.load(tmp_path / "out", checkpoint=2).step == 2
    path = tmp_path / "out" / MODEL
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="it is torn or damaged"):
        ganvas.load(tmp_path / "out")
    path.write_bytes(b"")
    with pytest.raises(UserError, match="cannot read"):
        ganvas.load(tmp_path / "out")


def test_folders_that_are_in_use(trained, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("x")
    words = ["export", str(trained("dcgan")), str(out), "--format", "safetensors"]
    assert cli.run(words) == 2
    assert "is not empty: give --force" in capsys.readouterr().err
    assert cli.run([*words, "--force", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(told["files"]) == {"README.md", "config.json", "mine.txt", MODEL, "samples.png"}
    assert (out / "mine.txt").read_text() == "x"
    assert cli.run(["export", words[1], str(out / "mine.txt"), "--format", "safetensors"]) == 2
    assert "is a file, not a folder" in capsys.readouterr().err


def test_another_training_may_begin_from_it_but_it_is_none(trained, pictures, tmp_path):
    """Its first weights are those of the file."""
    folder = export(trained("dcgan"), tmp_path / "out", format="safetensors").path
    with pytest.raises(UserError, match="holds networks without their training: start a new run with --init-from"):
        ganvas.resume(folder)
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", MODEL, "samples.png"}
    run = ganvas.train(
        "dcgan", "smoke", data=pictures / "plain", out=tmp_path / "new", steps=1, device="cpu", score_every=0,
        init_from=folder, ema=0.0, generator_rate=1e-9,
    )  # fmt: skip
    found, given = run.system.state_dict(), load_file(folder / MODEL)
    names = [name for name, _ in run.system.generator.named_parameters(prefix="generator")]
    assert all(torch.allclose(found[name], given[name], atol=1e-6) for name in names)
