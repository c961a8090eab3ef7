"""What stands before the web server: who may come in, and how much of what may be asked for."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ganvas.studio.pictures import MOST_TEXT

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MOST_BODY = 2 * MOST_TEXT + 2**16
"""Bytes of a request: two pictures and what is asked of them."""

TOO_LARGE = f"more than {MOST_BODY:,} bytes at once"

LOCAL = ("localhost", "127.0.0.1", "::1")
"""Names of this machine that no other machine reaches."""

UNUSED = ("/upload", "/file", "/proxy", "/stream", "/process_recording", "/vibe", "/undo-vibe", "/run-history", "/runs",
          "/dev", "/custom_component", "/deep_link", "/info", "/openapi", "/call", "/api", "/token")  # fmt: skip
"""Beginnings of Gradio's addresses that no page of the studio asks for: files never go in or out."""

SLOW_DOWN = 1.0
"""Seconds that a wrong password takes."""

HEADERS = {
    # Gradio makes functions of text and styles of attributes. Nothing comes from elsewhere.
    "content-security-policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'; "
    "base-uri 'self'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class TooLarge(Exception):
    """The body of a request has more bytes than any page sends."""


@dataclass(frozen=True)
class Door:
    """Who may come in.

    Attributes:
        local: Whether only pages that were reached under a name of this machine are served. Otherwise a foreign page
            whose name was pointed at this machine could read what it holds.
        password: What the browser has to send, whatever the user's name; None for nothing.
        judges: Another password, with which only addresses under `/judge` are open.
    """

    local: bool
    password: str | None = None
    judges: str | None = None

    def refusal(self, scope: Message) -> tuple[int, str] | None:
        """Status and plain words for whoever may not come in; None for who may."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if self.local and host_of(f"//{host}") not in LOCAL:
            return 403, "the studio answers on this machine alone: open it as localhost"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if scope["method"] == "POST" and origin and urlsplit_safely(origin) != host:
            return 403, "asked for by a page of another site"
        if self.password is not None:
            given = password_of(headers.get(b"authorization", b""))
            allowed = [self.password]
            if self.judges is not None and in_judge(scope["path"]):
                allowed.append(self.judges)
            if given is None or not any(hmac.compare_digest(given.encode(), known.encode()) for known in allowed):
                return 401, "give the password that the studio was started with; the name does not matter"
        return None


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: App, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes on what is allowed."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no page opens a web socket
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self.door.refusal(scope)
        if refusal is None and unused(scope["path"]):
            refusal = 404, "there is nothing here"
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if refusal is None and (not length.isdigit() or int(length) > MOST_BODY):
            refusal = 413, TOO_LARGE
        if refusal is not None:
            if refusal[0] == 401 and b"authorization" in dict(scope["headers"]):
                await asyncio.sleep(SLOW_DOWN)
            await answer(send, *refusal)
            return
        seen, started = 0, False

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MOST_BODY:
                raise TooLarge
            return message

        async def with_headers(message: Message) -> None:
            nonlocal started
            if seen > MOST_BODY and not started:
                return  # whatever was made of the failure to read; it is answered below
            if message["type"] == "http.response.start":
                started = True
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            await self.app(scope, bounded, with_headers)
        except Exception as error:  # odd requests meet bugs of the libraries: one of them is no reason to say more
            if not isinstance(error, TooLarge):
                print(f"ganvas: studio: {scope['path'][:100]!r} failed: {type(error).__name__}", file=sys.stderr)
        if not started:
            await answer(send, *((413, TOO_LARGE) if seen > MOST_BODY else (500, "this request cannot be answered")))


def unused(path: str) -> bool:
    """Whether an address is one of those that no page needs."""
    _, found, rest = path.partition("/gradio_api")
    return rest.startswith(UNUSED) if found else "/monitoring" in path


def in_judge(path: str) -> bool:
    """Whether an address belongs to the pages of those who judge."""
    return path == "/judge" or path.startswith("/judge/")


def host_of(address: str) -> str:
    """The name of the machine of an address, without its port; empty if it is no address."""
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def urlsplit_safely(address: str) -> str:
    """Machine and port of an address; empty if it is no address."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return ""


def password_of(header: bytes) -> str | None:
    """The password of an `Authorization` header (RFC 7617); None if there is none."""
    kind, _, text = header.partition(b" ")
    if kind.lower() != b"basic":
        return None
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return None


async def answer(send: Send, status: int, words: str) -> None:
    """A whole response in plain words."""
    body = json.dumps({"error": words}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="ganvas studio", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
