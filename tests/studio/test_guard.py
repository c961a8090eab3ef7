"""Who may come in, over real HTTP."""

import contextlib
import socket
import time

import httpx
import pytest
from asking import Client

from ganvas.cli import run as command
from ganvas.errors import UserError
from ganvas.studio import guard

pytest.importorskip("gradio", reason="needs gradio")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "give --password"),
        (["--host", "192.0.2.7"], "give --password"),
        (["--host", "::"], "give --password"),
        (["--host", "0.0.0.0", "--password", ""], "--password"),
        (["--judges-password", "x"], "give both"),
        (["--port", "70000"], "no port 70000"),
        (["/nowhere/run"], "not a run"),
        (["--public"], "no run is given"),
        (["--host", "no.such.host.invalid", "--password", "x"], "cannot listen"),
    ],
)
def test_what_is_refused_before_anything_is_served(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(["studio", *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_port_that_is_taken_is_said(tmp_path):
    from ganvas.studio.serving import listening

    with listening("127.0.0.1", 0) as taken:
        place = taken.getsockname()[1]
        with pytest.raises(UserError, match="another --port"):
            listening("127.0.0.1", place)


def test_small_answers_do_not_wait(studio_at):
    """Less than the 40 ms for which a receiver holds back what it has to say, where the sender waits for that."""
    client = Client(studio_at())
    client("watch.overview", {})
    times = []
    for _ in range(60):
        start = time.perf_counter()
        client("watch.overview", {})
        times.append(time.perf_counter() - start)
    assert min(times) < 0.035


def test_only_names_of_this_machine_are_answered(studio_at):
    base = studio_at()
    assert httpx.get(base).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost@evil.example"):
        assert httpx.get(base, headers={"host": host}).status_code in (400, 403)


def test_pages_of_other_sites_can_ask_for_nothing(studio_at):
    base = studio_at()
    address = f"{base}/gradio_api/component_server/"
    for origin in ("http://evil.example", "null", "http://localhost:1", "https://[broken"):
        assert httpx.post(address, headers={"origin": origin}, json={}).status_code == 403
    assert httpx.post(address, headers={"origin": base}, json={}).status_code != 403


def test_passwords(studio_at, monkeypatch):
    monkeypatch.setattr(guard, "SLOW_DOWN", 0.3)
    base = studio_at(door=guard.Door(True, "open sesame ü", "judge me"))
    paths = ("/", "/config", "/gradio_api/startup-events", "/theme.css", "/static/img/logo.svg", "/assets/x.js")
    for path in paths:
        answer = httpx.get(base + path)
        assert answer.status_code == 401 and "Basic" in answer.headers["www-authenticate"]
    start = time.perf_counter()
    assert httpx.get(base, auth=("me", "wrong")).status_code == 401
    assert time.perf_counter() - start >= 0.3
    for header in ("Basic", "Basic !!!", "Bearer open sesame", "Basic " + "A" * 5000):
        assert httpx.get(base, headers={"authorization": header}).status_code == 401
    owner = httpx.BasicAuth("anything", "open sesame ü".encode())
    assert httpx.get(base, auth=owner).status_code == 200
    assert httpx.get(f"{base}/judge/", auth=owner).status_code == 200
    judge = ("me", "judge me")
    assert httpx.get(f"{base}/judge/", auth=judge).status_code == 200
    for path in ("/", "/config", "/judging", "/studies", "/judge/../config", "//judge/../", "/judge%2f..%2fconfig"):
        assert httpx.get(base + path, auth=judge).status_code in (401, 404), path


def raw(base, request):
    """The beginning of the answer to bytes that no client would send."""
    host, port = base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(200)


def test_bodies_are_bounded(studio_at):
    base = studio_at()
    address = f"{base}/gradio_api/component_server/"
    for length, status in ((b"1000000000000", b"413"), (b"-5", b"400"), (b"x", b"400"), (b"9" * 400, b"400")):
        request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + b"\r\n\r\n"
        assert raw(base, request).startswith(b"HTTP/1.1 " + status)

    def pieces():
        for _ in range(guard.MOST_BODY // 2**20 + 2):
            yield b" " * 2**20

    # The answer may come, and the connection be closed, while there is more to send.
    with contextlib.suppress(httpx.TransportError):
        assert httpx.post(address, content=pieces(), timeout=60).status_code == 413
    assert httpx.get(base).status_code == 200


def test_gradios_ways_to_files_are_closed(studio_at, tmp_path):
    base = studio_at()
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    for way in ("/gradio_api/file=", "/gradio_api/file/", "/gradio_api/proxy=", "/judge/gradio_api/file="):
        for path in (str(secret), f"..{secret}", "../../etc/passwd", "pyproject.toml", "http://127.0.0.1:1/"):
            answer = httpx.get(f"{base}{way}{path}")
            assert answer.status_code == 404 and "secret" not in answer.text
    sent = httpx.post(f"{base}/gradio_api/upload", files={"files": ("../../x.txt", b"data")})
    assert sent.status_code == 404
    for path in ("/static/../../../etc/passwd", "/assets/..%2f..%2f..%2fetc%2fpasswd", "/custom_component/../x"):
        assert "root:" not in httpx.get(base + path).text


def test_every_answer_keeps_other_sites_out(studio_at):
    for path in ("/", "/no/such/page", "/gradio_api/upload"):
        policy = httpx.get(studio_at() + path).headers["content-security-policy"]
        assert "default-src 'self'" in policy


def test_strangers_get_no_page_that_changes_anything(studio_at, trained):
    run = trained("unetgan")
    private, public = Client(studio_at(run)), Client(studio_at(run, public=True))
    closed = {"generate.neighbours", "watch.stop_training", "watch.resume_training"}
    assert {"generate.draw", *closed} <= private.components.keys()
    assert "generate.draw" in public.components and not closed & public.components.keys()
    assert not [name for name in public.components if name.startswith(("studies.", "judging."))]
    asked = {"run": "unetgan", "step": None}
    assert "picture" in private("watch.grid", asked) and "training pictures" in public("watch.grid", asked)["error"]
    assert httpx.get(f"{public.base}/judge/").status_code == 404
