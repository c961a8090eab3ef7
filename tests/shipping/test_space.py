"""Folders that are Spaces: what they hold, and that they serve."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request

import pytest
import torch

import ganvas
from ganvas.shipping import space
from ganvas.shipping.export import export

pytest.importorskip("gradio", reason="needs gradio")


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("space") / "out"
    export(trained("dcgan"), out, format="space")
    return out


def test_what_it_holds(folder, trained):
    """The front matter as the hub's own library reads it; the run as it is; every module of the package."""
    hub = pytest.importorskip("huggingface_hub")
    data = hub.RepoCard.load(folder / "README.md").data.to_dict()
    import gradio

    assert (data["sdk"], data["sdk_version"], data["app_file"]) == ("gradio", gradio.__version__, "app.py")
    run = ganvas.load(trained("dcgan"), device="cpu")
    assert torch.equal(ganvas.load(folder / "model", device="cpu").sample(3, 4), run.sample(3, 4))
    source = space.Path(ganvas.__file__).parent
    wanted = {path.relative_to(source) for path in source.rglob("*.py")}
    assert {path.relative_to(folder / "ganvas") for path in (folder / "ganvas").rglob("*.py")} >= wanted
    assert not list(folder.rglob("*.pyc")) and (folder / "ganvas" / "py.typed").is_file()


def test_requirements_are_the_versions_that_are_here(folder):
    lines = (folder / "requirements.txt").read_text().split()
    public = torch.__version__.partition("+")[0]
    assert f"torch=={public}" in lines
    assert not [line for line in lines if re.match("pytest|ruff|mypy|openmoji|wandb", line)]


def test_captions_need_their_encoder(trained, monkeypatch):
    class Stated:
        requires = (
            "torch>=2",
            'never-there>=6; extra == "text"',
            'gradio>=6; extra == "studio"',
            'pytest; extra == "dev"',
        )

    monkeypatch.setattr(space, "distribution", lambda _: Stated)
    found = {system: space.requirements(ganvas.load(trained(system), device="cpu")) for system in ("dcgan", "gancls")}
    names = {system: [re.split("[>=]", line)[0] for line in lines] for system, lines in found.items()}
    assert names == {"dcgan": ["gradio", "torch"], "gancls": ["gradio", "never-there", "torch"]}
    assert "never-there>=6" in found["gancls"]


def test_the_app_answers(folder, tmp_path):
    """With the copy of the package beside it, and from any folder."""
    environment = os.environ | {"HOST": "127.0.0.1", "PORT": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    place = shutil.copytree(folder, tmp_path / "space")
    (place / "app.py").write_text(
        "import ganvas\nprint(ganvas.__file__, flush=True)\n" + (place / "app.py").read_text()
    )
    process = subprocess.Popen(
        [sys.executable, str(place / "app.py")], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline().strip() == str(place / "ganvas" / "__init__.py")
        address = re.search(r"http://\S+", process.stdout.readline())[0]
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.status == 200 and b"gradio" in answer.read()
    finally:
        process.terminate()
        process.wait(15)
