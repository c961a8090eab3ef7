"""Two hundred odd requests and many at once: the studio goes on serving, and answers as before."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from asking import Client

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


@pytest.fixture(scope="module")
def client(studio_at, trained):
    return Client(studio_at(*(trained(name) for name in ("unetgan", "cgan", "pix2pix"))))


def drawing(client, run, **changes):
    return {"run": run, "seed": 0, "n": 1, **changes}


def test_odd_requests_leave_it_serving(client):
    good = drawing(client, "unetgan")
    before = client("generate.draw", good)["pictures"]
    count = 0
    for page_and_action, component in client.components.items():
        action = page_and_action.partition(".")[2]
        for odd in ODD:
            bodies = [odd, {"run": odd}, {"run": "unetgan", "seed": odd, "n": odd, "label": odd, "truncation": odd}]
            for data in bodies[: 3 if action in ("draw", "look", "walk") else 2]:
                try:
                    answer = client.post(component, action, data)
                except (UnicodeEncodeError, ValueError):
                    continue  # no request can hold it
                count += 1
                assert answer.status_code < 600
                if answer.status_code == 200:
                    found = answer.json()
                    assert "root:" not in answer.text
                    assert isinstance(found, dict) and ("error" not in found or "\n" not in found["error"])
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
    assert client("generate.draw", good)["pictures"] == before


def test_many_clicks_at_once_each_get_their_own_answer(client):
    def click(seed):
        return client("generate.draw", drawing(client, "unetgan", seed=seed % 5))["pictures"]

    alone = [click(seed) for seed in range(5)]
    assert len({pictures[0] for pictures in alone}) > 1
    with ThreadPoolExecutor(16) as pool:
        for seed, pictures in enumerate(pool.map(click, range(60))):
            assert pictures == alone[seed % 5]
