"""Some thousand odd requests and many at once: the studio goes on serving, and answers as before."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from asking import Client

from ganvas.studio.pictures import uri_of

pytest.importorskip("gradio", reason="needs gradio")

ODD = [
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    "",
    "x",
    "../../etc/passwd",
    "/etc/passwd",
    "file:///etc/passwd",
    "\x00",
    "%00",
    "\ud800x",
    "'; DROP TABLE answers; --",
    "{{7*7}}",
    "${7*7}",
    "<script>alert(1)</script>",
    "x" * 100_000,
    [],
    {},
    [[]],
    [None] * 1000,
    {"path": "/etc/passwd"},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"__class__": {}},
    {"$ne": None},
    "data:image/png;base64,AAAA",
    "data:image/png;base64," + "A" * 10_000,
]


PICTURE = uri_of(np.zeros((8, 8, 3), np.uint8))

GOOD = {
    "generate.draw": {"run": "unetgan", "seed": 0, "n": 1, "label": None, "truncation": 1.0},
    "generate.look": {"run": "cgan", "seed": 0, "label": 1, "truncation": None},
    "latent.walk": {"run": "unetgan", "seeds": [0, 1], "steps": 2, "kind": "linear", "closed": True, "label": None},
    "latent.add": {"run": "unetgan", "groups": [{"name": "a", "seeds": [1, 2, 3], "sign": 1}]},
    "translate.translate": {"run": "pix2pix", "direction": "AtoB", "picture": PICTURE, "side": 8, "seed": 0},
    "enlarge.enlarge": {"run": "srgan", "small": PICTURE, "original": None},
    "place.draw": {"run": "gawwn", "seed": 0, "n": 1, "box": [0.1, 0.1, 0.5, 0.5], "share": 0.5},
    "compare.draw": {"run": "cgan", "seed": 0, "n": 1, "label": None, "text": ""},
    "watch.follow": {"run": "unetgan", "version": ""},
    "watch.grid": {"run": "unetgan", "step": 4},
}
"""What pages ask for, as it should be."""


@pytest.fixture(scope="module")
def client(studio_at, trained):
    return Client(studio_at(*(trained(name) for name in ("unetgan", "cgan", "pix2pix", "srgan", "gawwn"))))


def asked(client, name, data):
    """Asks what may be odd; how many requests that were: none, where no request can hold it."""
    try:
        answer = client.post(client.components[name], name.partition(".")[2], data)
    except (UnicodeEncodeError, ValueError):
        return 0
    assert "root:" not in answer.text and "Traceback" not in answer.text
    if answer.status_code == 200:
        found = answer.json()
        assert isinstance(found, dict) and ("error" not in found or "\n" not in found["error"])
    return 1


def test_odd_requests_leave_it_serving(client):
    before = client("generate.draw", GOOD["generate.draw"])["pictures"]
    assert not [name for name, good in GOOD.items() if "error" in client(name, good)]
    count = 0
    for name, odd in itertools.product(client.components, ODD):
        count += asked(client, name, odd) + asked(client, name, {"run": odd})
    for name, good in GOOD.items():
        for field, odd in itertools.product(good, ODD):
            count += asked(client, name, good | {field: odd})
    for component, action in itertools.product((-1, 10**9, "x", None), ("draw", "__init__", "load", "", None)):
        assert client.post(component, action, {}).status_code in (400, 404, 422, 500)
        count += 1
    some = next(iter(client.components.values()))
    for action in ("__class__", "preprocess", "postprocess", "process_example", "api_info", "../draw", "draw\x00"):
        assert client.post(some, action, {}).status_code in (404, 422, 500)
        count += 1
    for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":' * 10_000):
        assert client.http.post("/gradio_api/component_server/", content=body).status_code >= 400
        count += 1
    for path in ("queue/join", "run/predict", "cancel", "reset", "queue/data?session_hash=x", "heartbeat/x/y"):
        assert (
            client.http.post(
                f"/gradio_api/{path}", json={"fn_index": 10**9, "data": ODD[:3], "session_hash": "x"}
            ).status_code
            >= 400
        )
        count += 1
    assert count >= 200
    assert client("generate.draw", GOOD["generate.draw"])["pictures"] == before


def test_many_clicks_at_once_each_get_their_own_answer(client):
    def click(seed):
        return client("generate.draw", GOOD["generate.draw"] | {"seed": seed % 5})["pictures"]

    alone = [click(seed) for seed in range(5)]
    assert len({pictures[0] for pictures in alone}) > 1
    with ThreadPoolExecutor(16) as pool:
        for seed, pictures in enumerate(pool.map(click, range(60))):
            assert pictures == alone[seed % 5]
