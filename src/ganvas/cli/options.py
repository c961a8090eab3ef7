"""The options of every command: their help is what `ganvas COMMAND --help` shows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass
class Common:
    """Options of every command."""

    debug: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show the whole traceback of an error."""


@dataclass
class Listing(Common):
    """Systems and their presets."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Describing(Common):
    """Networks, parameter counts and settings."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Training(Common):
    """Train a system on pictures."""

    data: str = dataclasses.field(kw_only=True)
    """The pictures: a folder, a zip or the name of built-in data; where one kind is translated FIRST::SECOND."""

    out: Path = dataclasses.field(kw_only=True)
    """Folder of the new run."""

    init_from: Path | None = None
    """A run whose weights to start from."""


@dataclass
class Resuming(Common):
    """Go on with a run that stopped, as if it had not."""

    run: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """The run's folder."""

    steps: int | None = None
    """Steps of training in all, if other than the run was started with."""

    data: str | None = None
    """Where the same pictures are now, if they have moved."""

    device: Literal["auto", "cpu", "cuda", "mps"] | None = None
    """Where to compute, if elsewhere than before."""


@dataclass
class Sampling(Common):
    """Draw pictures from a run's averaged weights."""

    run: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """The run's folder."""

    out: Path = dataclasses.field(kw_only=True)
    """A .png file for one grid, or a folder for one file a picture; of points, a .csv file."""

    n: int = 64
    """Pictures; of each caption, where several are given; rows on the way to another caption or box."""

    seed: int = 0
    """Seed of the first picture; the next ones count on from it."""

    truncation: float | None = None
    """Where latents are cut off, in standard deviations: 2 is mild, 0.5 is strong. Default: nowhere."""

    classes: Annotated[str | None, tyro.conf.arg(name="class")] = None
    """Draw this class only, by name or number from 0; several with commas between them in turn: cat,dog."""

    text: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """What to draw, of a run that learnt captions. Given several times, the same seeds are drawn for each caption.
    Default: captions of training pictures."""

    embeddings: Path | None = None
    """Instead of --text: a .npy file of their vectors (N, E), for a run that learnt from such."""

    box: str | None = None
    """Where the object is to be, of a run that learnt boxes: x,y,width,height as shares of the picture, x and y of the
    upper left corner, such as 0.25,0.25,0.5,0.5. Default: boxes of training pictures."""

    keypoints: Path | None = None
    """Where its parts are to be, of a run that learnt keypoints: a JSON file {part: [x, y]}, or a list of
    [x, y, visible] in the order of the parts, in shares of the picture. Default: keypoints of training pictures."""

    complete: Path | None = None
    """A run that completes keypoints: it places the parts that --keypoints leaves out."""

    to_text: str | None = None
    """Draw the way from --text to this caption, a row for each seed."""

    to_box: str | None = None
    """Draw the way from --box to this one, a row for each seed."""

    frames: int = 9
    """Pictures of a row, on a way."""

    checkpoint: str = "newest"
    """Which checkpoint: newest, best (by score), or its step."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""


@dataclass
class Translating(Common):
    """Turn pictures into others with a run that has learnt to, each at its own size."""

    run: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """The run's folder."""

    input: tyro.conf.Positional[str] = dataclasses.field(kw_only=True)
    """A picture, a folder, a zip or the name of built-in data; of data with two sides the one to start from."""

    output: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """A file for a picture, else a folder, in which the structure of the input is kept."""

    direction: str = "AtoB"
    """AtoB, or BtoA where the run has learnt it; a-b and "A->B" too, which needs the quotes: a shell takes a bare >
    for its own."""

    seed: int = 0
    """Of the first picture, for runs that draw at random; those of the next ones count on from it."""

    size: int | None = None
    """Pixels: resize the shorter side to this first, such as to the size that the run was trained at. Default: no."""

    scale: int | None = None
    """By how much the run must enlarge each way; nothing is done if it does otherwise. Default: whatever it does."""

    tile: int | None = None
    """Side of the tiles that larger pictures are translated in, pixels; 0 translates each in one piece. Default: 512,
    or of a run that enlarges what becomes 2048."""

    overlap: int | None = None
    """Pixels that neighbouring tiles share at least. Default: an eighth of a tile; of a run that enlarges 24."""

    batch: int | None = None
    """Pictures of one size, or tiles, at once. Default: as many as memory suggests."""

    format: Literal["png", "jpg", "webp", "tiff"] | None = None
    """Of the pictures of a folder. Default: png. The name of a single file says its own."""

    quality: int = 92
    """Of jpg and webp, 1 to 100."""

    compare: Path | None = None
    """Show each picture before and after in this .png file, or in a folder: beside its bicubic enlargement where the
    run enlarges."""

    force: tyro.conf.FlagCreatePairsOff[bool] = False
    """Overwrite what is there."""

    go_on: Annotated[tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(name="continue")] = False
    """Leave out pictures that are there, such as after an interruption."""

    strict: tyro.conf.FlagCreatePairsOff[bool] = False
    """Stop at a file that cannot be used, where otherwise it is skipped and counted."""

    checkpoint: str = "newest"
    """Which checkpoint: newest, best (by score), or its step."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format inside the network: auto is bf16 where the machine gains from it."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Exporting(Common):
    """Write a trained run for others: for programs without PyTorch, for ganvas elsewhere, as a page, as a Space.

    An ONNX file takes any number of pictures, and sources of any height and width as far as the network does; what it
    computes is compared with PyTorch before it is written.
    """

    run: tyro.conf.Positional[str] = dataclasses.field(kw_only=True)
    """The run's folder, or its name on the Hugging Face hub."""

    out: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """The new file, which ends in .onnx; of the other formats the new folder."""

    format: Literal["onnx", "safetensors", "web", "space"] = "onnx"
    """What to write: a network as ONNX; a folder of weights with a model card, which `ganvas.load` opens; a page that
    draws or translates in the browser, for any web server; or a Space of the Hugging Face hub with the studio."""

    direction: str = "AtoB"
    """Of onnx and web: AtoB, or BtoA where the run has learnt it."""

    without_noise: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of onnx and web: leave out the dropout that a run of pix2pix draws at random, which these cannot hold."""

    text: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Of web: a caption that the page offers; give it several times for several."""

    runtime: Path | None = None
    """Of web: a folder of the npm package onnxruntime-web. Default: node_modules here or further up, else npm brings
    it into ganvas's cache."""

    push_to: str | None = None
    """USER/NAME: upload the folder there, to the Hugging Face hub; `hf auth login` first."""

    force: tyro.conf.FlagCreatePairsOff[bool] = False
    """Write over what is there."""

    checkpoint: str = "newest"
    """Which checkpoint: newest, best (by score), or its step."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Evaluating(Common):
    """Score a run's samples, or any pictures, against other pictures."""

    subject: tyro.conf.Positional[str] = dataclasses.field(kw_only=True)
    """A run's folder, or pictures: a folder, a zip or the name of built-in data."""

    data: str | None = None
    """The pictures to compare with. A run's own training data, if not given."""

    metrics: tuple[str, ...] | None = None
    """Scores: fd, kd, prdc, is, diversity, copies, parzen, translation, super-resolution, agreement, layout,
    caption_diversity. Default: all that these pictures allow but parzen; of a run that enlarges super-resolution alone.

    That one, a log-likelihood, wants --data that the run was not trained on. translation compares each picture with
    its true partner: by default of runs that learnt from pairs; of others it takes the data for pairs, and it pairs
    the pictures of two folders by their names. super-resolution compares enlargements with whole photos, each at its
    own size: of a run, beside bicubic and nearest-neighbour enlargement, or of a folder, by names. agreement and
    caption_diversity are of runs that draw from captions, layout of those that draw from boxes or keypoints; judges are
    trained for them on the data, which takes minutes.
    """

    n: Annotated[int | None, tyro.conf.arg(aliases=["--samples"])] = None
    """Pictures to score. Default: of a run as many as the data has, at most 10,000; of a folder all.

    Under torchrun write --samples: it takes --n for an option of its own.
    """

    reference: int | None = None
    """Pictures of the data to compare with. Default: all."""

    features: str = "efficientnet_lite0"
    """Feature network: efficientnet_lite0, inception, dinov2, or a TorchScript or ONNX file."""

    weights: Path | None = None
    """The feature network's weights, where they are not to be downloaded."""

    checkpoint: str = "newest"
    """Which of the run's checkpoints: newest, best, or its step."""

    seed: int = 0
    """Seed of the first sample, and of the choice of pictures where not all are used."""

    truncation: float | None = None
    """Where latents are cut off, in standard deviations. Default: nowhere."""

    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Of a run with two sides: source to image (AtoB) or, where it can, back."""

    size: int | None = None
    """Side in pixels that samples and data are brought to, so that runs of two sizes can be compared at one. Default:
    the run's, or that of the folder's first picture."""

    border: int | None = None
    """Of super-resolution: pixels cut off at each edge for PSNR and SSIM. Default: the run's scale; of folders 4."""

    vgg_weights: Path | None = None
    """Of super-resolution: a file with the weights of VGG16 or VGG19, whose distance is computed too."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format inside the feature network; the scores themselves are computed in float64."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Inspecting(Common):
    """Make pictures of a run: what its latents mean, samples beside the data, what its discriminator sees, curves."""

    run: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """The run's folder."""

    out: Path | None = None
    """Folder for the pictures. Default: inspect/ in the run."""

    data: str | None = None
    """Where the run's pictures are now, if they have moved."""

    seed: int = 0
    """Seed of the first latent."""

    walk: Literal["spherical", "linear"] | None = None
    """How walks lead from latent to latent. Default: spherical for normal latents, linear for uniform ones."""

    walk_seeds: str | None = None
    """Seeds that the walk leads through and back, such as 3,17,42. Default: four from --seed on."""

    walk_frames: int = 16
    """Frames of the moving walk from one seed to the next."""

    arithmetic: str | None = None
    """Groups of three or more seeds whose mean latents are added and subtracted.

    Such as "smiling woman=3,17,42 - neutral woman=1,9,12 + neutral man=5,6,7".
    """

    classes: Annotated[str | None, tyro.conf.arg(name="class")] = None
    """Class of the pictures of walks, arithmetic and truncation, by name or number. Default: that of the first seed."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""


@dataclass
class Comparing(Common):
    """A table over runs: those that differ in their seed alone are one row, mean and 95 % interval."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = dataclasses.field(kw_only=True)
    """Folders of runs."""

    curves: Path | None = None
    """Write curves over the steps to this .html or .png file."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Serving(Common):
    """Open pages in a browser to watch, play with, compare and judge runs; Ctrl-C ends it."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of runs. Default: those in runs/ here."""

    host: str = "127.0.0.1"
    """Address to listen on; another than this machine's own needs --password."""

    port: int = 7860
    """To listen on; 0 takes any that is free."""

    password: str | None = None
    """What browsers are asked for. It travels as it is: put a server that speaks TLS before the studio where others
    could listen."""

    judges_password: str | None = None
    """With this one only the pages of judges open. Default: they need --password too."""

    public: tyro.conf.FlagCreatePairsOff[bool] = False
    """Serve strangers without a password: without the pages that start or stop training, show training pictures or
    hold studies."""

    work: Path = Path("studio")
    """Folder for studies and their answers, made when it is first needed."""


@dataclass
class Studying(Common):
    """Train variants times seeds, score them and write what came of it. Run it again to go on."""

    file: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """The study, a TOML file."""

    out: Path | None = None
    """Folder of the runs. Default: runs/NAME, the file's name without its ending."""

    results: Path = Path("results")
    """Folder that NAME.json is written to."""

    parallel: int = 1
    """Runs at the same time."""

    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the commands only."""


@dataclass
class Checking(Common):
    """What a folder, zip or built-in holds, and every file that cannot be used."""

    source: tyro.conf.Positional[str] = dataclasses.field(kw_only=True)
    """The pictures; of data with two sides FIRST::SECOND, or one source that holds both."""

    sides: Literal["", "paired", "unpaired"] = ""
    """What data with two sides is for: pairs, or unpaired. Default: pairs, of what can only be read so."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class Preparing(Common):
    """Read and resize pictures once, into a folder to train from."""

    source: tyro.conf.Positional[str] = dataclasses.field(kw_only=True)
    """The pictures."""

    out: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """A new folder."""

    size: int = dataclasses.field(kw_only=True)
    """Side of the prepared pictures, pixels."""

    channels: int = 3
    """3 for colour, 1 for gray; 4 and 2 with opacity; as many as they have for arrays (.npy)."""


@dataclass
class TestPreparing(Common):
    """Pictures for a visual Turing test: real and generated ones, mixed, of one size and without a trace of which."""

    real: str = dataclasses.field(kw_only=True)
    """The real pictures: a folder, a zip or the name of built-in data."""

    generated: str = dataclasses.field(kw_only=True)
    """A run, which draws or translates them, or pictures."""

    out: Path = dataclasses.field(kw_only=True)
    """A new folder."""

    n: int = 50
    """Real pictures, and as many generated ones."""

    seed: int = 0
    """Of the choice and order of the pictures, and of the first that is drawn."""

    size: int | None = None
    """Side that all are brought to, pixels. Default: the run's, or that of the first generated picture."""

    direction: str = "AtoB"
    """Of a run that translates."""

    checkpoint: str = "newest"
    """Of a run: newest, best (by score), or its step."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""


@dataclass
class TestScoring(Common):
    """How well people told real pictures from generated ones."""

    folder: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """What `ganvas turing prepare` made."""

    answers: tuple[Path, ...] = ()
    """A filled-in file of answers for each person. Default: answers.csv in the folder."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""


@dataclass
class StudyPreparing(Common):
    """Enlarged photos for people to rate from 1 (bad) to 5 (excellent), without a trace of what made them."""

    truth: str = dataclasses.field(kw_only=True)
    """The photos: a folder, a zip or the name of built-in data."""

    methods: tuple[str, ...] = dataclasses.field(kw_only=True)
    """What is compared, NAME=RUN or NAME=FOLDER each, or bicubic. Nearest-neighbour and originals are added."""

    out: Path = dataclasses.field(kw_only=True)
    """A new folder."""

    raters: int = 1
    """People, who have each an order of their own."""

    seed: int = 0
    """Of the choice of photos, the orders and the names of files."""

    n: int | None = None
    """Photos that are rated. Default: all."""

    scale: int | None = None
    """By how much photos are enlarged. Default: that of the runs, else 4."""

    checkpoint: str = "newest"
    """Of runs: newest, best (by score), or its step."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where runs compute."""


@dataclass
class StudyScoring(Common):
    """Mean opinion scores of a study, with intervals, and differences of methods."""

    study: tyro.conf.Positional[Path] = dataclasses.field(kw_only=True)
    """What `ganvas mos prepare` made."""

    answers: tyro.conf.Positional[tuple[Path, ...]] = ()
    """A filled-in file for each rater. Default: those in the study's answers/ that are not empty."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object."""
