"""What each command does. PyTorch is imported only by those that compute, so that `--help` answers at once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from ganvas import systems
from ganvas.cli.options import (
    Checking,
    Comparing,
    Describing,
    Evaluating,
    Exporting,
    Inspecting,
    Listing,
    Preparing,
    Resuming,
    Sampling,
    Serving,
    Studying,
    StudyPreparing,
    StudyScoring,
    TestPreparing,
    TestScoring,
    Training,
    Translating,
)
from ganvas.cli.parsing import (
    numbers,
    parse,
    parse_with_options,
    parse_with_settings,
    seeds,
    system_and_preset,
    which,
)
from ganvas.errors import UserError


def list_systems(words: list[str]) -> None:
    """`ganvas list`."""
    arguments = parse(Listing, words, "list")
    modules = {name: systems.find(name) for name in systems.names()}
    if arguments.json:
        found = {name: {"presets": [*m.PRESETS], "paper": m.PAPER} for name, m in modules.items()}
        print(json.dumps({"systems": found}))
        return
    width = max(map(len, modules), default=0)
    for name, module in modules.items():
        print(f"{name:{width}}  {module.PAPER}  {', '.join(module.PRESETS)}")


def describe(words: list[str]) -> None:
    """`ganvas describe`."""
    system, preset = system_and_preset(words, "describe")
    arguments, chosen = parse_with_settings(Describing, words, "describe", system, preset)
    from ganvas.launch import describe as facts

    found = facts(system, preset, chosen)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{system} {preset}, needs {', '.join(found['needs'])}")
    for name, network in found["networks"].items():
        print(f"  {name}: {network['parameters']:,} parameters")
    for part in ("config", "training", "data"):
        print(part)
        for name, value in found[part].items():
            print(f"  {name} = {value}")


def train(words: list[str]) -> None:
    """`ganvas train`."""
    system, preset = system_and_preset(words, "train")
    arguments, chosen = parse_with_settings(Training, words, "train", system, preset)
    from ganvas.launch import start

    out = arguments.out
    start(system, preset, chosen, data=arguments.data, out=out, init_from=arguments.init_from)
    tell_where(out)


def resume(words: list[str]) -> None:
    """`ganvas resume`."""
    arguments = parse(Resuming, words, "resume")
    from ganvas.launch import resume

    resume(arguments.run, steps=arguments.steps, data=arguments.data, device=arguments.device)
    tell_where(arguments.run)


def sample(words: list[str]) -> None:
    """`ganvas sample`."""
    arguments = parse(Sampling, words, "sample")
    from ganvas.run import load

    run = load(arguments.run, device=arguments.device, checkpoint=which(arguments.checkpoint))
    run.save_samples(
        arguments.out,
        arguments.n,
        arguments.seed,
        arguments.truncation,
        classes=arguments.classes,
        to_text=arguments.to_text,
        to_box=numbers(arguments.to_box, "--to-box"),
        frames=arguments.frames,
        text=arguments.text or None,
        embeddings=arguments.embeddings,
        box=numbers(arguments.box, "--box"),
        keypoints=arguments.keypoints,
        complete=arguments.complete,
    )
    captions = [*arguments.text, *filter(None, [arguments.to_text])]
    if captions and (doubts := run.encoder.doubts(captions)):
        print(f"ganvas: note: {doubts}", file=sys.stderr)
    print(arguments.out)


def translate(words: list[str]) -> None:
    """`ganvas translate`."""
    arguments = parse(Translating, words, "translate")
    from ganvas.translation.command import translate

    given = {name: value for name, value in vars(arguments).items() if name not in ("json", "debug")}
    given |= {"checkpoint": which(arguments.checkpoint)}
    found = translate(**given, progress=True)
    print(json.dumps(found.to_json()) if arguments.json else "\n".join(found.lines()))


def export(words: list[str]) -> None:
    """`ganvas export`."""
    arguments = parse(Exporting, words, "export")
    from ganvas.shipping.export import export

    given = {name: value for name, value in vars(arguments).items() if name not in ("without_noise", "json", "debug")}
    given |= {"checkpoint": which(arguments.checkpoint), "noise": not arguments.without_noise}
    found = export(**given)
    print(json.dumps(found.to_json()) if arguments.json else "\n".join(found.lines()))


def evaluate(words: list[str]) -> None:
    """`ganvas evaluate`."""
    arguments, options = parse_with_options(Evaluating, words, "evaluate")
    from ganvas.data import DataOptions
    from ganvas.metrics.evaluate import evaluate

    given = {name: value for name, value in vars(arguments).items() if name not in ("subject", "json", "debug")}
    given |= {"checkpoint": which(arguments.checkpoint), "options": None if options == DataOptions() else options}
    evaluation = evaluate(arguments.subject, **given, progress=True)
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(evaluation.to_json()) if arguments.json else "\n".join(evaluation.lines()))


def inspect(words: list[str]) -> None:
    """`ganvas inspect`."""
    arguments = parse(Inspecting, words, "inspect")
    from ganvas.inspect import inspect
    from ganvas.report import write_report

    run = arguments.run
    pages = inspect(
        run,
        data=arguments.data,
        out=arguments.out,
        seed=arguments.seed,
        device=arguments.device,
        walk=arguments.walk,
        walk_seeds=seeds(arguments.walk_seeds, "--walk-seeds"),
        walk_frames=arguments.walk_frames,
        arithmetic=() if arguments.arithmetic is None else arguments.arithmetic,
        label=arguments.classes,
    )
    folder = arguments.out or run / "inspect"
    for page in pages:
        for name in (page.file, *page.files):
            print(f"{folder / name}  {page.title}" if name else f"not made: {page.title}: {page.note}")
    if arguments.out is None:
        try:
            print(f"report: {write_report(run)}")
        except OSError as error:
            raise UserError(f"cannot write {run / 'report.html'}: {error.strerror or error}") from error


def compare(words: list[str]) -> None:
    """`ganvas compare`."""
    arguments = parse(Comparing, words, "compare")
    if not arguments.runs:
        raise UserError("compare takes the folders of runs, `ganvas compare RUN RUN ...`")
    from ganvas.compare import compare

    comparison = compare(arguments.runs)
    if arguments.curves:
        comparison.write_curves(arguments.curves)
    print(json.dumps(comparison.to_json()) if arguments.json else "\n".join(comparison.lines()))


def studio(words: list[str]) -> None:
    """`ganvas studio`."""
    arguments = parse(Serving, words, "studio")
    from ganvas.studio import serve

    given = {name: value for name, value in vars(arguments).items() if name not in ("runs", "debug")}
    serve(arguments.runs, **given)


def study(words: list[str]) -> None:
    """`ganvas study`."""
    arguments = parse(Studying, words, "study")
    from ganvas.study import study

    study(
        arguments.file,
        out=arguments.out,
        results=arguments.results,
        parallel=arguments.parallel,
        dry_run=arguments.dry_run,
    )


def check_data(words: list[str]) -> None:
    """`ganvas data check`."""
    arguments, options = parse_with_options(Checking, words, "data check")
    from ganvas.data import check_data

    report = check_data(arguments.source, options, sides=arguments.sides, progress=True)
    if arguments.json:
        print(json.dumps(report.to_json()))
    else:
        print("\n".join(report.lines()))


def prepare_data(words: list[str]) -> None:
    """`ganvas data prepare`."""
    arguments, options = parse_with_options(Preparing, words, "data prepare")
    from ganvas.data import prepare_data

    size, channels = arguments.size, arguments.channels
    prepared = prepare_data(arguments.source, arguments.out, options, size=size, channels=channels, progress=True)
    skipped = f", {len(prepared.skipped)} files skipped" if prepared.skipped else ""
    print(f"{len(prepared)} pictures in {arguments.out}{skipped}")


def prepare_test(words: list[str]) -> None:
    """`ganvas turing prepare`."""
    arguments = parse(TestPreparing, words, "turing prepare")
    from ganvas.metrics.turing import prepare

    given = {name: value for name, value in vars(arguments).items() if name != "debug"}
    folder = prepare(**given | {"checkpoint": which(arguments.checkpoint)}, progress=True)
    print(f"{folder / 'README.txt'} says how; keep {folder / 'key.json'} from those who are asked")


def score_test(words: list[str]) -> None:
    """`ganvas turing score`."""
    arguments = parse(TestScoring, words, "turing score")
    from ganvas.metrics.turing import score

    found = score(arguments.folder, arguments.answers)
    print(json.dumps(found.to_json()) if arguments.json else "\n".join(found.lines()))


def prepare_study(words: list[str]) -> None:
    """`ganvas mos prepare`."""
    arguments = parse(StudyPreparing, words, "mos prepare")
    from ganvas.metrics.mos import prepare

    given = {name: value for name, value in vars(arguments).items() if name != "debug"}
    study = prepare(**given | {"checkpoint": which(arguments.checkpoint)}, progress=True)
    count = f"{len(study.items)} pictures, {len(study.orders)} orders"
    print(f"{count}: {study.folder / 'README.txt'} says how; keep {study.folder / 'key.json'} from them")


def score_study(words: list[str]) -> None:
    """`ganvas mos score`."""
    arguments = parse(StudyScoring, words, "mos score")
    from ganvas.metrics.mos import score

    found = score(arguments.study, arguments.answers)
    print(json.dumps(found.to_json()) if arguments.json else "\n".join(found.lines()))


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "list": list_systems,
    "describe": describe,
    "train": train,
    "resume": resume,
    "sample": sample,
    "translate": translate,
    "export": export,
    "evaluate": evaluate,
    "inspect": inspect,
    "compare": compare,
    "studio": studio,
    "study": study,
    "data check": check_data,
    "data prepare": prepare_data,
    "turing prepare": prepare_test,
    "turing score": score_test,
    "mos prepare": prepare_study,
    "mos score": score_study,
}


def tell_where(path: Path) -> None:
    """Prints where a run and its newest grid are."""
    if os.environ.get("RANK", "0") != "0":
        return
    from ganvas.engine.folder import RunFolder

    if grid := RunFolder(path).newest_grid():
        print(f"samples: {grid}")
    print(f"run: {path}")
