"""One HTML file that needs nothing but itself: templates, style, script and plotly inside it.

Text from files reaches the page escaped, as Jinja2 does by itself. Should a script ever get in all the same, the page's
content security policy lets no script run without this page's nonce, and nothing be loaded from anywhere.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ganvas.engine.folder import ganvas_version
from ganvas.report.charts import Chart


def render(template: str, charts: Sequence[Chart], **values: Any) -> bytes:
    """Fills in a page.

    Args:
        template: File name of a template of this package, which extends `base.html`.
        charts: What the page's script draws.
        **values: What else the template names.

    Returns:
        The file's content.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain_text
    page = environment.get_template(template).render(
        nonce=secrets.token_urlsafe(16),
        charts=[dataclasses.asdict(chart) for chart in charts],
        plotly=packed_plotly() if charts else "",
        version=ganvas_version(),
        written=datetime.now(UTC),
        **values,
    )
    return page.encode("utf-8", "replace")


def plain_text(value: Any) -> str:
    """A value of a JSON file for people to read."""
    if isinstance(value, list):
        return ", ".join(map(plain_text, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain_text(part)}" for key, part in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def script(name: str) -> str:
    """A script of this package, for other pages."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


@cache
def packed_plotly() -> str:
    """plotly.js, packed: 2 MB instead of 5. The browser unpacks it."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()
