"""A browser, small trained runs, and studios that serve them; each is made when a test first asks for it."""

import contextlib
import threading
import time

import pytest

import ganvas
from ganvas.engine.folder import RunFolder

DATA = {
    "pix2pix": "openmoji-outlines:train",
    "discogan": "openmoji::openmoji",
    "simgan": "openmoji::openmoji",
    "gancls": "shapes:test",
    "gawwn": "openmoji-layout",
}
"""What smoke runs are trained on, where it is not the pictures of emoji."""

SETTINGS = {"cgan": {"classes": "auto"}}


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A function from a system's name, and settings, to the folder of a run of its smoke preset of a few steps."""
    made = {}

    def train(system, preset="smoke", data=None, **settings):
        settings = SETTINGS.get(system, {}) | settings
        key = (system, preset, data, tuple(sorted(settings.items())))
        if key not in made:
            out = tmp_path_factory.mktemp("runs") / system
            ganvas.train(system, preset, data=data or DATA.get(system, "openmoji"), out=out, **settings)
            made[key] = out
        return made[key]

    return train


@pytest.fixture(scope="session")
def studio_at(tmp_path_factory):
    """A function from folders of runs to the address of a studio that has them open, in this process."""
    pytest.importorskip("gradio", reason="needs gradio")
    import uvicorn

    from ganvas.studio.guard import Door
    from ganvas.studio.serving import guarded, listening
    from ganvas.studio.studio import Studio

    made = {}
    with contextlib.ExitStack() as stack:

        def serve(*runs, public=False, door=None, work=None):
            key = (runs, public, door, work)
            if key not in made:
                # Without names those in runs/ here are opened: there are none in a new folder.
                with contextlib.chdir(tmp_path_factory.mktemp("here")):
                    studio = Studio.of(runs, public=public, work=work or tmp_path_factory.mktemp("work"))
                place = listening("127.0.0.1", 0)
                config = uvicorn.Config(guarded(studio, door or Door(True)), log_level="error")
                server = uvicorn.Server(config)
                thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
                thread.start()
                stack.callback(thread.join, 10)
                stack.callback(setattr, server, "should_exit", True)
                while not server.started:
                    time.sleep(0.02)
                made[key] = f"http://127.0.0.1:{place.getsockname()[1]}"
            return made[key]

        yield serve


@pytest.fixture
def page(chromium):
    """A new person's page. Afterwards: no error of a script, and nothing asked of another machine."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(90_000)
    page = context.new_page()
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert not errors
    assert not [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]


def steps_of(run):
    """Steps of the checkpoints of a run."""
    return RunFolder(run).checkpoints().steps()
