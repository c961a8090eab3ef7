"""Model cards: read by huggingface_hub, and every number in them by hand from the run's files."""

import json
import shutil

import pytest

import ganvas
from ganvas.report.read import read_run
from ganvas.shipping.card import card_of, limits

hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")

PROTOCOL = {"features": {"network": "net", "weights": "abc"}, "samples": {"n": 500, "source": "/home/me/run"}}
SCORE = {"value": 0.21345, "error": 0.0067, "lower_is_better": True, "protocol": PROTOCOL}


@pytest.fixture
def run(trained, tmp_path):
    """A function from changes to the folder of a run that may be changed."""

    def copied(system="dcgan", preset="smoke", licence="OpenMoji. License: CC BY-SA 4.0"):
        out = tmp_path / "run"
        shutil.copytree(trained(system, preset), out)
        values = json.loads((out / "config.json").read_text())
        values["data"]["licence"] = licence
        (out / "config.json").write_text(json.dumps(values))
        return out

    return copied


def test_the_hub_reads_the_front_matter(run):
    card = hub.ModelCard(card_of(ganvas.load(run(), device="cpu"), "user/name"))
    data = card.data.to_dict()
    assert (data["library_name"], data["license"]) == ("ganvas", "cc-by-sa-4.0")
    assert data["pipeline_tag"] == "unconditional-image-generation" and data["tags"] == ["ganvas", "gan", "dcgan"]
    assert 'run = ganvas.load("user/name")' in card.text and "![" in card.text


@pytest.mark.parametrize(
    ("system", "tag"),
    [("gancls", "text-to-image"), ("simgan", "image-to-image"), ("cgan", "unconditional-image-generation")],
)
def test_what_it_is_for(system, tag, run):
    card = hub.ModelCard(card_of(ganvas.load(run(system), device="cpu")))
    assert card.data.pipeline_tag == tag


@pytest.mark.parametrize(
    ("licence", "known"),
    [
        ("Shapes, MIT License", {"license": "mit"}),
        ('somebody\'s, all rights: "reserved"', {"license": "other"}),
        ("", {}),
    ],
)
def test_licences(licence, known, run):
    opened = ganvas.load(run(licence=licence), device="cpu")
    card = hub.ModelCard(card_of(opened))
    assert {key: value for key, value in card.data.to_dict().items() if key == "license"} == known
    assert ("The licence of the training pictures is not known" in card.text) == (not licence)
    assert licence in card.text


def test_scores_with_their_protocols_training_and_limits(run):
    out = run("unetgan")
    values = json.loads((out / "config.json").read_text())
    values["training"]["steps"] = 4
    (out / "config.json").write_text(json.dumps(values))
    batch = values["training"]["batch"]
    stats = [{"step": 1, "images_per_second": batch / 120}, {"step": 2, "images_per_second": batch / 60}]
    stats += [{"step": 2, "event": "grid", "diversity": 0.21}, {"step": 1, "event": "collapse", "diversity": 0.1}]
    (out / "stats.jsonl").write_text("\n".join(map(json.dumps, stats)))
    (out / "metrics.jsonl").write_text(json.dumps({"step": 1, "scores": {"kd_net": SCORE}, "flags": ["few samples"]}))
    opened = ganvas.load(out, device="cpu")
    text = card_of(opened)
    assert "**kd_net: 0.2135 ± 0.0067 (lower is better)**" in text
    assert "Of step 1, not 2. Protocol: features.network net; features.weights abc; samples.n 500." in text
    assert "/home/me" not in text
    assert f"| Steps | 2 of {batch} pictures, {2 * batch} in all |" in text
    assert "| Time | 3.0 minutes" in text  # 120 seconds and 60
    assert "| `classes` | 3 |" in text  # of the data, where the preset has none
    told = "\n".join(limits(opened, read_run(out)))
    assert "Pictures are 32 x 32 pixels, and no other size." in told and "12 training pictures" in told
    assert "they have 21% of its diversity" in told and "Samples were nearly alike at step 1." in told
    assert "Few samples." in told and "2 of 4 steps" in told and "never scored" not in told


def test_a_run_that_was_never_scored_says_so(run):
    text = card_of(ganvas.load(run(), device="cpu"))
    assert "It was not scored." in text and "Nothing says how good it is" in text
