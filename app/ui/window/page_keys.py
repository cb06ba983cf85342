"""The keys of pages, which no menu has: of the lists of runs, of votes and of the coverage."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtGui import QKeySequence

from app.core.language import tr
from app.ui.compare.pager import PAGE_KEYS
from app.ui.platform.key_text import MAIN_KEYS, native_keys


def page_keys() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Page by page, what a key does there and which, in the system's own form."""
    delete, find = (native_keys(one) for one in (QKeySequence.StandardKey.Delete, QKeySequence.StandardKey.Find))
    space, main = native_keys("Space"), native_keys(MAIN_KEYS)
    yield (
        tr("In Compare"),
        [
            (tr("Ask every column"), main),
            (tr("The answer in that column is better"), "1 – 4"),
            (tr("Tie"), "0"),
            (tr("All bad"), "−"),
            (tr("The question before, the next one"), " ".join(map(native_keys, PAGE_KEYS))),
        ],
    )
    yield (
        tr("In Runs"),
        [
            (tr("Open the run"), native_keys("Return")),
            (tr("Rename the run"), native_keys("F2")),
            (tr("Move to the Trash, or off the queue"), delete),
            (tr("Search runs"), find),
            (tr("Start the queue"), main),
        ],
    )
    yield (
        tr("In the coverage"),
        [
            (tr("Go from cell to cell"), "← → ↑ ↓"),
            (tr("Switch the cells on or off"), space),
            (tr("Switch the row"), "R"),
            (tr("Switch the column"), "C"),
        ],
    )
