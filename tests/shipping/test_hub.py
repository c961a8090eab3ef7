"""The hub: names, pushing and loading, against a server on this machine that speaks as much of its protocol."""

import os
import subprocess
import sys

import pytest
import torch

import ganvas
from ganvas import cli
from ganvas.engine.checkpoint import MODEL
from ganvas.shipping import hub as hubs

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")


def through(address, home, *words, token="hf_right", **more):
    """Runs a command of ganvas, or a line of Python, in a process that takes `address` for the hub."""
    known = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    settings = {
        "HF_ENDPOINT": address,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    if token:
        settings["HF_TOKEN"] = token
    command = [sys.executable, "-m", "ganvas", *words] if len(words) > 1 else [sys.executable, "-c", words[0]]
    return subprocess.run(command, env=known | settings | more, capture_output=True, text=True, timeout=120)


def test_a_folder_goes_there_and_comes_back_the_same(hub, trained, tmp_path):
    """The picture of a seed is bit for bit that of the run; nothing but the three files is downloaded."""
    run = trained("dcgan")
    done = through(hub.address, tmp_path / "home", "export", str(run), str(tmp_path / "out"), "--format", "safetensors",
                   "--push-to", "user/some.run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(f"pushed to {hub.address}/user/some.run")
    files = hub.repositories["user/some.run"]
    assert set(files) == {"README.md", "config.json", MODEL, "samples.png"}
    assert all(files[name] == (tmp_path / "out" / name).read_bytes() for name in files)
    assert 'ganvas.load("user/some.run")' in files["README.md"].decode()
    files |= {"evil.pkl": b"cos\nsystem\n", "model.bin": b"x"}
    line = (
        "import ganvas, torch; run = ganvas.load('user/some.run', device='cpu'); "
        f"torch.save(run.sample(3, 5), {str(tmp_path / 'there.pt')!r}); "
        "print(*sorted(path.name for path in run.path.iterdir()))"
    )
    done = through(hub.address, tmp_path / "other", line, token=None)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["README.md", "config.json", MODEL]
    assert torch.equal(torch.load(tmp_path / "there.pt"), ganvas.load(run, device="cpu").sample(3, 5))
    asked = " ".join(path for _, path in hub.asked)
    assert "evil.pkl" not in asked and "model.bin" not in asked


def test_kinds_of_repositories(monkeypatch, tmp_path):
    """What the library asks of huggingface_hub for each kind."""
    import huggingface_hub

    asked = []

    class Api:
        def create_repo(self, name, **given):
            asked.append((name, given))
            return f"https://hub/{name}"

        def upload_folder(self, **given):
            asked.append(given)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    for kind, repo_type, sdk in (
        ("model", "model", None),
        ("gradio", "space", "gradio"),
        ("static", "space", "static"),
    ):
        asked.clear()
        assert hubs.pushed(tmp_path, "a/b", kind) == "https://hub/a/b"
        assert asked[0] == ("a/b", {"repo_type": repo_type, "exist_ok": True, "space_sdk": sdk})
        assert (asked[1]["repo_id"], asked[1]["folder_path"], asked[1]["repo_type"]) == ("a/b", tmp_path, repo_type)


@pytest.mark.parametrize(
    ("token", "name", "says"),
    [
        (None, "user/x", "hf auth login"),
        ("hf_wrong", "user/x", "hf auth login"),
        ("hf_right", "somebody/x", "name a repository of your own"),
    ],
)
def test_refusals_in_one_line(token, name, says, hub, trained, tmp_path):
    words = ["export", str(trained("dcgan")), str(tmp_path / "out"), "--format", "safetensors", "--push-to", name]
    done = through(hub.address, tmp_path / "home", *words, token=token)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert says in done.stderr and "is written, but cannot be pushed" in done.stderr
    assert (tmp_path / "out" / MODEL).is_file()


def test_a_hub_that_cannot_be_reached(trained, tmp_path):
    words = ["sample", "user/model", "--out", str(tmp_path / "x.png")]
    done = through("http://127.0.0.1:9", tmp_path / "home", *words)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "cannot get user/model, which is no folder here, from the hub: it cannot be reached" in done.stderr


def test_a_repository_that_is_none_or_no_run(hub, tmp_path):
    hub.repositories["user/other"] = {"config.json": b"{}"}
    for name, says in (("user/nothing", "no such repository"), ("user/other", "is no model of ganvas")):
        done = through(hub.address, tmp_path / "home", "sample", name, "--out", str(tmp_path / "x.png"))
        assert done.returncode == 2 and says in done.stderr, done.stderr


def test_what_is_a_name_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert hubs.is_on_hub("user/model") and hubs.is_on_hub("user/model-1.0_x")
    for other in ("runs/photos", "model", "/user/model", "a/b/c", "../b", "./b", "~/b", "user/", "-a/b", "a b/c"):
        assert not hubs.is_on_hub(other), other


@pytest.mark.parametrize("name", ["model", "a/b/c", "a/b--c", "a/../b", "https://hub/a/b", "a/b c"])
def test_names_are_refused_before_anything_is_computed(name, trained, tmp_path, capsys):
    run = trained("dcgan")
    capsys.readouterr()
    assert cli.run(["export", str(run), str(tmp_path / "out"), "--format", "safetensors", "--push-to", name]) == 2
    assert "give --push-to USER/NAME" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
