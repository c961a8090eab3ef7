"""How the studio looks, and which pages it has."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import gradio as gr
from gradio.components.navbar import Navbar

from ganvas.studio.judging import page as judging_page
from ganvas.studio.pages import compare, enlarge, generate, judge, latent, place, translate, watch
from ganvas.studio.panel import asset
from ganvas.studio.studio import Studio

PAGES: tuple[ModuleType, ...] = (generate, latent, translate, enlarge, place, compare, judge)
"""Each has TITLE, ADDRESS, WORDS (what one does there), `fits(studio)` and `build(studio)`; `watch` comes first."""


def look() -> dict[str, Any]:
    """What every page looks like: fonts of the system, since nothing may come from elsewhere."""
    return {
        "theme": gr.themes.Default(
            primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
        ),
        "css": asset("studio.css"),
        "head": f"<script>{asset('studio.js')}</script>",
    }


def pages(studio: Studio) -> gr.Blocks:
    """The pages that the open runs are good for, and the one that shows what is there."""
    blocks = gr.Blocks(title="ganvas studio", analytics_enabled=False)
    with blocks:
        top(watch)
        watch.build(studio)
    for page in PAGES:
        if page.fits(studio):
            with blocks.route(page.TITLE, page.ADDRESS):
                top(page)
                page.build(studio)
    return blocks


def judges_pages(studio: Studio) -> gr.Blocks:
    """What those who judge see, and nothing else."""
    with gr.Blocks(title="What do you see?", analytics_enabled=False) as blocks:
        judging_page.build(studio)
    return blocks


def top(page: ModuleType) -> None:
    """What every page begins with: the way to the others, its title, and what one does there."""
    Navbar(main_page_name=watch.TITLE)
    gr.HTML(f"<h1>{page.TITLE}</h1><p>{page.WORDS}</p>", apply_default_css=False, elem_classes="heading")
