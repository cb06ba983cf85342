"""Conversion: rows of any known layout into the forms that mlx-lm reads (messages, prompt and completion, text)."""

from __future__ import annotations

from typing import Any

from app.core.data.format import Features, Layout, Target
from app.core.data.message import messages_of, pair_of
from app.core.data.rated import rated_row
from app.core.data.tool import tools_of


def convert_row(row: dict[str, Any], layout: Layout, target: Target, features: Features) -> dict[str, Any]:
    """The row in the form ``target``, under the column names that the config gives to mlx-lm.

    The row must have passed the check for its layout; no part of it is shared with the result's lists.
    """
    if target == "text":
        return {features.text: row[layout.text]}
    if target in ("preference", "labelled", "prompt"):
        return rated_row(row, layout, target) | ({"tools": found} if (found := tools_of(row)) else {})
    tools = {"tools": found} if (found := tools_of(row)) else {}
    if target == "completion":
        prompt, completion = pair_of(row, layout)
        return {features.prompt: prompt, features.completion: completion} | tools
    return {features.chat: messages_of(row, layout)} | tools
