"""A page's own part: markup, style and script from `assets/`, and the actions that its script can call."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import gradio as gr

from ganvas.studio.actions import Action


def asset(name: str) -> str:
    """The text of a file of `assets/`."""
    return (resources.files("ganvas.studio") / "assets" / name).read_text(encoding="utf-8")


def panel(name: str, actions: Sequence[Action], facts: Any, script: str = "") -> gr.HTML:
    """The part of a page that `assets/NAME.html` and `assets/NAME.js` make.

    The script sees `element` (the part), `facts` (what is given here), and `call(action, asked)`, which answers what
    the action answers, or null after it has shown on the page what is wrong; see `assets/studio.js`.

    Args:
        name: Of the files.
        actions: What the script can call, by the names of these functions.
        facts: What it knows from the start, JSON types.
        script: What comes before it, such as functions that it uses.
    """
    tools = "const {facts, call, latest, say} = ganvas.page(element, props, server);"
    return gr.HTML(
        value=facts,
        html_template=asset(f"{name}.html"),
        js_on_load=f"{tools}\n{script}{asset(f'{name}.js')}",
        server_functions=list(actions),
        apply_default_css=False,
        elem_id=name,
    )
