"""How soon answers of people who judge at once are stored: `python benchmarks/judging.py`. Goal: 200 ms.

The studio runs in a process of its own. Each person is a connection that is kept, as a browser's is, and sends what the
page sends; a time is that from sending an answer until it is stored and the next picture has come. All read for some
seconds what the study is about, and nobody thinks after that: the next answer follows at once, so ten people ask more
often here than hundreds who look at the pictures would.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from ganvas.engine.folder import environment
from ganvas.metrics import mos, turing
from ganvas.studio.judging.blind import Judging

SERVE = "import sys; from ganvas.studio import serve; serve(port=0, work=sys.argv[1])"

GOAL = 200
"""Milliseconds."""

READING = 4
"""Seconds between the arrival of people and their first answer."""


def pictures(folder: Path, count: int, width: int, height: int, seed: int) -> Path:
    """Noise as smooth as photographs are, so that PNG files are as large."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        rough = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
        rough.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def make_studies(place: Path, answers: int, size: int, width: int) -> dict[str, Path]:
    """A test of squares, and opinions on photos of three versions each: as many pictures as answers, or a few more."""
    real, made = (pictures(place / name, (answers + 1) // 2, size, size, seed) for seed, name in enumerate("ab"))
    test = turing.prepare(real, made, place / "test", n=(answers + 1) // 2, size=size)
    photos = pictures(place / "photos", -(-answers // 3), width, width * 3 // 4, 2)
    study = mos.prepare(photos, ["bicubic"], place / "study")
    return {f"turing test, {size}x{size}": test, f"opinions, {width}x{width * 3 // 4}": study.folder}


class Person:
    """A browser that judges."""

    def __init__(self, address: str, study: str) -> None:
        place = urlsplit(address)
        self.connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        self.study = study
        self.connection.request("GET", "/judge/config")
        parts = json.loads(self.connection.getresponse().read())["components"]
        (self.part,) = (of["id"] for of in parts if of["props"].get("elem_id") == "judging")

    def ask(self, name: str, **asked: Any) -> dict[str, Any]:
        """What the page asks, and the answer."""
        body = {"component_id": self.part, "fn_name": name, "session_hash": "bench", "data_type": "component_server"}
        text = json.dumps(body | {"data": {"study": self.study, **asked}})
        self.connection.request(
            "POST", "/judge/gradio_api/component_server/", text, {"content-type": "application/json"}
        )
        answer = json.loads(self.connection.getresponse().read())
        if "error" in answer or "detail" in answer:
            raise SystemExit(f"{name}: {answer}")
        return answer

    def judge(self, count: int, choices: list[str], start: threading.Barrier, times: list[float]) -> None:
        """Arrives, agrees, and answers what is shown."""
        self.ask("arrive", token="")
        time.sleep(READING)
        token = self.ask("join", agreed=True)["token"]
        view = self.ask("see", token=token)
        start.wait()
        for number in range(count):
            before = time.perf_counter()
            view = self.ask("answer", token=token, place=view["place"], said=choices[number % len(choices)])
            times.append(time.perf_counter() - before)


def measure(address: str, judging: Judging, folder: Path, people: int, count: int) -> dict[str, Any]:
    """Times of one study, milliseconds."""
    study = judging.add(folder)
    choices = [*judging.content(study).choices]
    start, times = threading.Barrier(people), [[] for _ in range(people)]
    threads = [
        threading.Thread(target=Person(address, study).judge, args=(count, choices, start, own)) for own in times
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = 1000 * np.array(times)
    with closing(sqlite3.connect(judging.store.path)) as database:
        query = "SELECT count(*) FROM answer JOIN person ON person.id = answer.person WHERE person.study = ?"
        (stored,) = database.execute(query, (study,)).fetchone()
    return {
        "people": people,
        "answers": found.size,
        "stored": stored,
        "median_ms": round(float(np.median(found)), 1),
        "p95_ms": round(float(np.quantile(found, 0.95)), 1),
        "largest_ms": round(float(found.max()), 1),
        "answers_per_second": round(1000 * found.size / float(found.sum(1).max()), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--answers", type=int, default=30, help="of each")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures of the test, pixels")
    parser.add_argument("--width", type=int, default=512, help="of the photos that opinions are asked of, pixels")
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    args = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.environ["GANVAS_CACHE"] = str(place / "cache")
        folders = make_studies(place, args.answers, args.size, args.width)
        judging = Judging(place / "work")
        words = [sys.executable, "-c", SERVE, str(judging.place)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=place) as server:
            try:
                assert server.stdout is not None
                line = next((line for line in server.stdout if "http://" in line), "")
                if not (found := re.search(r"http://\S+?:\d+", line)):
                    raise SystemExit("the studio did not start")
                for title, folder in folders.items():
                    rows[title] = measure(found[0], judging, folder, args.people, args.answers)
            finally:
                server.terminate()
    print(f"{args.people} people at once, {args.answers} answers each; milliseconds until stored, goal {GOAL}")
    print(f"{'':24}  median     95 %  largest  answers/s  stored")
    for title, row in rows.items():
        print(
            f"{title:24} {row['median_ms']:7.1f} {row['p95_ms']:8.1f} {row['largest_ms']:8.1f}"
            f" {row['answers_per_second']:10.1f} {row['stored']:4} of {row['answers']}"
        )
    if args.out:
        about = {"command": " ".join(["python", *sys.argv]), "environment": environment()}
        args.out.write_text(json.dumps(about | {"goal_ms": GOAL, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
