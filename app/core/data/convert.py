"""Conversion: rows of any known layout into the forms that mlx-lm reads (messages, prompt and completion, text)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from app.core.config.train_config import TrainConfig
from app.core.data.format import Features, Format, Layout, Target
from app.core.data.layout import layout_of
from app.core.data.message import SPEAKERS, messages_of, pair_of
from app.core.data.rated import goal_of, rated_row
from app.core.data.row_check import FastCheck, fast_check, full_check, is_good
from app.core.data.tool import tools_of
from app.core.document.passage import Chunking
from app.core.source.data_file import find_sources
from app.core.source.finding import Findings
from app.core.source.reader import read_rows
from app.core.source.reading import FileReading

KNOWN_LAYOUTS = 5000


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


class RowConverter:
    """Converts accepted rows one after another; the layout of rows with the same columns is found once, as long as
    the quick check says that they are as they should be."""

    def __init__(self, target: Target, features: Features) -> None:
        self._target = target
        self._features = features
        self._known: dict[tuple[Any, ...], tuple[FastCheck, Layout]] = {}

    def convert(self, row: dict[str, Any]) -> dict[str, Any]:
        """What `convert_row` makes of the row."""
        columns = tuple(row)
        check, layout = self._known.get(columns) or self._added(row, columns)
        result = check(row)
        if result is None:
            layout = _layout(row, self._features)
        elif result[3] and layout.chat and self._target == "chat":
            return {self._features.chat: row[layout.chat]}  # plain messages, which mlx-lm reads as they are
        elif layout.format is Format.SHAREGPT and self._target == "chat":
            turns = row[layout.chat]  # plain ones too: a speaker that is known, and a text
            return {self._features.chat: [{"role": SPEAKERS[t["from"]], "content": t["value"]} for t in turns]}
        return convert_row(row, layout, self._target, self._features)

    def _added(self, row: dict[str, Any], columns: tuple[Any, ...]) -> tuple[FastCheck, Layout]:
        if len(self._known) > KNOWN_LAYOUTS:
            self._known.clear()
        layout = _layout(row, self._features)
        known = self._known[columns] = fast_check(layout, columns), layout
        return known


def _layout(row: dict[str, Any], features: Features) -> Layout:
    layout = layout_of(row, features)
    assert layout is not None  # the check accepted the row
    return layout


def first_examples(
    paths: Iterable[Path], config: TrainConfig, target: str, count: int
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """The first ``count`` rows that train, in the form ``target``, each with its file and line."""
    features, found = Features.of(config), 0
    for source in find_sources(paths, Findings(), reading=FileReading.of(config)):
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
