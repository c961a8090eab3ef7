"""Smoke runs of every system on a few random pictures, each made when a test first asks for it; and a stand-in hub."""

import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganvas
from ganvas import systems

SETTINGS = {
    ("gawwn", "smoke-keypoints"): {"flip": False},
    ("gawwn", "smoke-completion"): {"flip": False},
}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of 12 pictures in three classes, with captions as vectors, boxes and keypoints; one without them."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    for i in range(12):
        for root in ("described", "plain"):
            path = folder / root / "abc"[i % 3] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(path)
    files = sorted(path.relative_to(folder / "described").as_posix() for path in (folder / "described").rglob("*.png"))
    points = [[0.1, 0.2, 1], [0.3, 0.4, 1], [0.5, 0.5, 0], [0.7, 0.7, 1]]
    rows = [json.dumps({"file_name": name, "bbox": [0.3, 0.2, 0.5, 0.6], "keypoints": points}) for name in files]
    (folder / "described" / "metadata.jsonl").write_text("\n".join(rows))
    np.save(folder / "captions.npy", generator.standard_normal((12, 2, 16)).astype(np.float32))
    return folder


@pytest.fixture(scope="session")
def trained(pictures, tmp_path_factory):
    """A function from a system's name, a preset and settings to the folder of a run of two steps."""
    patch = pytest.MonkeyPatch()
    patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
    made = {}

    def train(system, preset="smoke", **settings):
        key = (system, preset, tuple(sorted(settings.items())))
        if key in made:
            return made[key]
        module = systems.find(system)
        config = module.PRESETS[preset].config
        given = {"data": pictures / "plain"}
        if hasattr(config, "embedding"):
            given = {"data": pictures / "described", "embeddings": pictures / "captions.npy"}
        elif getattr(config, "scale", 1) > 1:
            given = {"data": pictures / "plain" / "a"}
        elif module.SYSTEM.sides:
            given = {"data": f"{pictures / 'plain'}::{pictures / 'plain'}"}
        if hasattr(config, "classes"):
            given["classes"] = "auto"
        if preset == "smoke-stage2":
            given["init_from"] = train(system)
        given |= SETTINGS.get((system, preset), {}) | settings
        out = tmp_path_factory.mktemp("runs") / f"{system}-{preset}"
        ganvas.train(system, preset, out=out, steps=2, device="cpu", score_every=0, **given)
        made[key] = out
        return out

    yield train
    patch.undo()


@pytest.fixture(scope="session")
def runtime():
    """The npm package onnxruntime-web, where `make install-dev` puts it."""
    folder = Path(sys.prefix) / "npm" / "node_modules" / "onnxruntime-web"
    if not folder.is_dir():
        pytest.skip("needs the npm package onnxruntime-web")
    return folder


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as it takes to create a repository, commit a folder and download one; one token may write."""

    def log_message(self, *_):
        pass

    def answer(self, status, values=None, headers=(), data=None):
        data = json.dumps(values or {}).encode() if data is None else data
        self.send_response(status)
        for name, value in (("Content-Length", str(len(data))), *headers):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while length := int(self.rfile.readline(), 16):
                body += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        server, parts = self.server, self.path.partition("?")[0].strip("/").split("/")
        server.asked.append((self.command, self.path))
        if self.headers.get("Authorization") != "Bearer hf_right":
            return self.answer(401, {"error": "Invalid credentials"}, [("X-Error-Message", "Invalid credentials")])
        if parts == ["api", "repos", "create"]:
            made = json.loads(body)
            name = f"{made.get('organization', 'user')}/{made['name']}"
            if not name.startswith("user/"):
                return self.answer(403, {"error": "Forbidden"})
            server.repositories.setdefault(name, {})
            server.made.append(made)
            return self.answer(200, {"url": f"{server.address}/{name}", "name": name})
        if parts == ["api", "validate-yaml"]:
            return self.answer(200, {"errors": [], "warnings": []})
        name = "/".join(parts[2:4])
        if parts[4] == "preupload":
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for file in json.loads(body)["files"]]  # fmt: skip
            return self.answer(200, {"files": files})
        for line in filter(None, body.splitlines()):
            entry = json.loads(line)
            if entry["key"] == "file":
                server.repositories[name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        sha = "a" * 40
        return self.answer(
            200, {"success": True, "commitOid": sha, "commitUrl": f"{server.address}/{name}/commit/{sha}"}
        )

    def do_GET(self):
        server, parts = self.server, self.path.partition("?")[0].strip("/").split("/")
        server.asked.append((self.command, self.path))
        sha = [("X-Repo-Commit", "a" * 40)]
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        files = server.repositories.get(name)
        if files is None:
            return self.answer(404, {"error": "not found"}, [("X-Error-Code", "RepoNotFound")])
        if parts[0] == "api" and "tree" in parts:
            rows = [{"type": "file", "path": path, "size": len(data), "oid": path} for path, data in files.items()]
            return self.answer(200, rows, [("Content-Type", "application/json")])
        if parts[0] == "api":
            siblings = [{"rfilename": path} for path in files]
            return self.answer(200, {"id": name, "sha": "a" * 40, "siblings": siblings})
        path = "/".join(parts[4:])
        if path not in files:
            return self.answer(404, headers=[*sha, ("X-Error-Code", "EntryNotFound")])
        return self.answer(200, headers=[*sha, ("ETag", f'"{path}"')], data=files[path])

    do_HEAD = do_GET


@pytest.fixture
def hub():
    """A stand-in for the Hugging Face hub on this machine: `address`, `repositories`, `made` and `asked`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    server.repositories, server.made, server.asked = {}, [], []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)
