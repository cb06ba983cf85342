"""Conversion: rows of any known layout into the forms that mlx-lm reads (messages, prompt and completion, text)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from app.core.config.train_config import TrainConfig
from app.core.data.format import Features, Layout, Target
from app.core.data.layout import layout_of
from app.core.data.message import messages_of, pair_of
from app.core.data.rated import goal_of, rated_row
from app.core.data.row_check import full_check, is_good
from app.core.data.tool import tools_of
from app.core.source.finding import Findings
from app.core.source.reader import Chunking, read_rows
from app.core.source.source import find_sources


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


def first_examples(
    paths: Iterable[Path], config: TrainConfig, target: str, count: int
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """The first ``count`` rows that train, in the form ``target``, each with its file and line."""
    features, found = Features.of(config), 0
    for source in find_sources(paths, Findings()):
        for line, row in read_rows(source, None, Chunking.for_tokens(config.max_seq_length)):
            if found == count:
                return
            layout = layout_of(row, features) if isinstance(row, dict) else None
            if layout is None or not is_good(full_check(row, layout)) or not fits_target(layout, target, features):
                continue
            found += 1
            yield source.name, line, convert_row(row, layout, cast("Target", target), features)


def fits_target(layout: Layout, target: str, features: Features) -> bool:
    """True if rows of this layout can be written in the form ``target``."""
    if goal := goal_of(features.train_mode, layout.format):
        return goal == target
    return layout.target == target or (layout.target, target) == ("completion", "chat")
