"""`ganvas studio`: the pages that the open runs are good for, served until somebody stops it."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganvas.errors import UserError
from ganvas.studio.guard import LOCAL, App, Door, Guard
from ganvas.studio.studio import Studio

PORT = 7860
"""Gradio's own."""


def serve(
    runs: Sequence[str | Path] = (),
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    password: str | None = None,
    judges_password: str | None = None,
    public: bool = False,
    work: str | Path = "studio",
) -> None:
    """Serves the studio until it is interrupted.

    Args:
        runs: Folders of runs; with none those in `runs/` here.
        host: Address to listen on.
        port: To listen on; 0 for any that is free.
        password: What browsers are asked for; another host than this machine needs one, unless `public`.
        judges_password: With this one only the page of judges opens. Default: they need `password` too.
        public: Serve strangers without a password, such as in a Space: without the pages that change files or start
            processes.
        work: Folder for studies and their answers, made when it is first needed.

    Raises:
        UserError: A package is missing, a run is none, or the address cannot be had.
    """
    try:
        import gradio  # noqa: F401
        import uvicorn
    except ImportError:
        raise UserError('the studio is made with Gradio: pip install "ganvas[studio]"') from None
    if host not in LOCAL and not public and not password:
        raise UserError(
            f"the studio would be open to everybody who reaches {host}: give --password too, or leave --host out"
        )
    if password == "" or judges_password == "":
        raise UserError("an empty password is none: give --password one that is hard to guess")
    if judges_password is not None and password is None:
        raise UserError("--judges-password opens one page of those that --password closes: give both")
    if not 0 <= port < 2**16:
        raise UserError(f"there is no port {port}: they go from 0 to 65535")
    studio = Studio.of(runs, public=public, work=Path(work))
    if not studio.opened and public:
        raise UserError("no run is given: name the folder of one")
    app = guarded(studio, Door(host in LOCAL, password, judges_password))
    with listening(host, port) as place:
        shown = f"[{host}]" if ":" in host else host
        print(f"studio: http://{shown}:{place.getsockname()[1]}/  {runs_line(studio)}; Ctrl-C stops it", flush=True)
        config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2)
        uvicorn.Server(config).run(sockets=[place])


def guarded(studio: Studio, door: Door) -> App:
    """The whole application: the pages of the studio, those of the judges, and who may see them."""
    import gradio
    from fastapi import FastAPI

    from ganvas.studio import layout

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    settings: dict[str, Any] = {
        **layout.look(),
        "footer_links": [],
        "show_error": False,
        "max_file_size": 1,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "run_history": False,
        "enable_monitoring": False,
    }
    with warnings.catch_warnings():  # it warns that there is no rendering on the server, which nobody asked for
        warnings.simplefilter("ignore")
        if not studio.public:
            app = gradio.mount_gradio_app(app, layout.judges_pages(studio), "/judge", **settings)
        app = gradio.mount_gradio_app(app, layout.pages(studio), "/", **settings)
    return Guard(app, door)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        UserError: It cannot.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # With its protocol, or asyncio leaves Nagle's algorithm on: half of an answer waits 40 ms for the other half.
        place = socket.socket(found[0], found[1], socket.IPPROTO_TCP)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(found[4])
        place.listen(128)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; another --port may be free"
        ) from error
    return place


def runs_line(studio: Studio) -> str:
    """How many runs are open."""
    count = len(studio.opened)
    return "no runs in runs/ here: name their folders" if not count else f"{count} run{'s' * (count != 1)}"
