"""What the cells of the lists say and show: of runs, column by column, and of differences of their configs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QIcon

from app.core.config.train_config import TrainConfig
from app.core.run.difference import config_differences
from app.core.run.folder import RunDir
from app.core.run.reader import RunReader
from app.core.run.summary import STATES, RunSummary, summary_of
from app.ui.platform.own_texts import created_text, weekday_name
from app.ui.runs.column import COLUMN_KEYS, NAME_COLUMN, RUN_COLUMNS, loss_kind, method_text
from app.ui.runs.difference_table import DifferenceTable
from app.ui.runs.table import RunFilter, RunTable, dot, search_text, state_color, tip
from app.ui.widget import theme
from app.ui.widget.table import ALIGN_LEFT, ALIGN_RIGHT

NOON = datetime(2023, 11, 14, 12, 30, 5).timestamp()
SHOWN, EDITED = Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole


def made(name: str = "alpha", **values: Any) -> RunSummary:
    """A run of which everything is known."""
    empty = summary_of(RunReader(RunDir(Path("/runs") / name)))
    known: dict[str, Any] = {
        "state": "finished", "base": "/models/llama", "method": "dpo lora", "data": "/d/chats.jsonl",
        "targets": "Full", "created": NOON, "iteration": 1500, "iterations": 2000, "best_val_loss": 1.25,
        "best_iteration": 1200, "trained_val_loss": 1.25, "last_train_loss": 0.5, "learned": 0.75, "forgot": 0.125,
        "trainable_parameters": 17_596_416, "tokens_per_second": 1823.4, "peak_memory_gb": 1.234, "elapsed_s": 90.0,
        "size_bytes": 70_400_000, "tags": ("good", "Demo"), "note": "Try Rank 64.",
        "message": "",
    }  # fmt: skip
    return replace(empty, name=name, **(known | values))


def bare() -> RunSummary:
    """A run of which nothing is known yet."""
    unknown = dict.fromkeys(("best_val_loss", "best_iteration", "last_train_loss", "learned", "forgot"))
    zero = dict.fromkeys(
        ("trainable_parameters", "tokens_per_second", "peak_memory_gb", "elapsed_s", "iteration", "iterations"), 0
    )
    return made("bare", state="new", base="", data="", tags=(), note="", **unknown, **zero)


def of_columns(one: RunSummary, what: str) -> dict[str, Any]:
    found = {column.key: getattr(column, what)(one) for column in RUN_COLUMNS}
    return {key: value for key, value in found.items() if key != "created"}


def test_every_column_says_what_is_known_and_what_is_not() -> None:
    assert of_columns(made(), "text") == {
        "state": "Finished", "name": "alpha", "curve": "", "best": "1.250", "forgot": "0.125", "learned": "0.750",
        "base": "llama", "method": "DPO, LoRA", "data": "chats", "targets": "Full", "parameters": "17.6\u00a0M",
        "speed": "1,823", "memory": "1.23\u00a0GB", "duration": "1\u00a0min 30\u00a0s",
        "iterations": "1,500 of 2,000", "size": "70.4\u00a0MB", "tags": "good, Demo",
    }  # fmt: skip
    dash = dict.fromkeys(
        ("best", "forgot", "learned", "base", "data", "parameters", "speed", "memory", "duration"), "–"
    )
    assert of_columns(bare(), "text") == dash | {
        "state": "Not started", "name": "bare", "curve": "", "method": "DPO, LoRA", "targets": "Full",
        "iterations": "0 of 0", "size": "70.4\u00a0MB", "tags": "",
    }  # fmt: skip


def test_every_column_is_sorted_by_its_value_and_what_is_not_known_comes_last() -> None:
    assert of_columns(made("Alpha", targets="Full"), "order") == {
        "state": STATES.index("finished"), "name": "alpha", "curve": 0.5, "best": 1.25, "forgot": 0.125,
        "learned": 0.75, "base": "llama", "method": "dpo lora", "data": "chats", "targets": "full",
        "parameters": 17_596_416, "speed": 1823.4, "memory": 1.234, "duration": 90.0, "iterations": 1500,
        "size": 70_400_000, "tags": "good, demo",
    }  # fmt: skip
    nothing = [key for key, value in of_columns(bare(), "order").items() if value is None]
    assert nothing == [
        "curve", "best", "forgot", "learned", "parameters", "speed", "memory", "duration", "tags",
    ]  # fmt: skip


def test_a_cell_tells_at_length_what_it_has_no_room_for() -> None:
    one, when = made(), datetime.fromtimestamp(NOON)
    learned = "How far the validation loss fell below the base model's, in nats a token"
    forgot = "How far the loss on neutral text rose above the base model's, in nats a token"
    same = ("method", "targets", "speed", "memory", "duration", "iterations", "size", "tags")
    told = {column.key: tip(one, column) for column in RUN_COLUMNS}
    assert told == {key: value for key, value in of_columns(one, "text").items() if key in same} | {
        "state": "Finished", "name": f"alpha\n{one.run.path}", "curve": "Last training loss 0.500",
        "best": "Best validation loss 1.250, at iteration 1,200", "forgot": forgot, "learned": learned,
        "created": f"{weekday_name(when)}, 2023-11-14 12:30:05", "base": "/models/llama", "data": "/d/chats.jsonl",
        "parameters": "17,596,416 trained parameters",
    }  # fmt: skip
    told = {column.key: tip(bare(), column) for column in RUN_COLUMNS}
    assert (told["forgot"], told["learned"], told["best"]) == ("It was not measured",) * 2 + ("–",)
    assert (told["curve"], told["base"]) == ("Last training loss –", "")
    failed = made(state="failed", message="No room.", rewarded=True, best_val_loss=-0.5)
    assert tip(failed, RUN_COLUMNS[0]) == "No room."
    best = next(column for column in RUN_COLUMNS if column.key == "best")
    assert tip(failed, best) == "Best mean reward 0.500, at iteration 1,200"


def test_a_search_looks_through_all_that_is_said_of_a_run() -> None:
    said = search_text(made()).split("\n")
    assert said == [
        "alpha", "alpha", "/models/llama", "dpo, lora", "/d/chats.jsonl", "full", "finished", "good", "demo",
        "try rank 64.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "method, words, kind",
    [("", "", "supervised"), ("my_own full", "MY OWN, Full", "MY OWN"), ("dora", "DoRA", "supervised")],
)
def test_a_method_is_called_as_people_call_it(method: str, words: str, kind: str) -> None:
    assert (method_text(method), loss_kind(method)) == (words, kind)


@pytest.fixture
def table(qapp: object) -> RunTable:
    assert qapp is not None
    found = RunTable()
    found.show([made("new", created=NOON + 9), made("old", state="failed"), made("older", created=NOON - 9)])
    return found


def names(table: RunTable) -> list[str]:
    return [one.name for one in table.runs]


def test_each_state_has_its_colour_and_each_column_its_side(table: RunTable) -> None:
    c = theme.colors()
    assert {state: state_color(state) for state in STATES} == {
        "preparing": c.accent, "running": c.accent, "elsewhere": c.accent, "paused": c.warning, "finished": c.good,
        "early_stopping": c.good, "stopped": c.faint, "failed": c.error, "crashed": c.error, "new": c.faint,
    }  # fmt: skip
    states = [table.data(table.index(row, 0), Qt.ItemDataRole.DecorationRole) for row in range(2)]
    for shown, color in zip(states, (c.good, c.error), strict=True):
        assert isinstance(shown, QIcon)
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):
            assert shown.pixmap(8, mode).toImage() == QIcon(dot(color)).pixmap(8).toImage(), (
                "also where it is selected"
            )
    cells = [table.index(0, column) for column in range(table.columnCount())]
    assert [table.data(cell, Qt.ItemDataRole.DecorationRole) for cell in cells[1:]] == [None] * (len(cells) - 1)
    muted = [COLUMN_KEYS[cell.column()] for cell in cells if table.data(cell, Qt.ItemDataRole.ForegroundRole)]
    assert muted == [key for key in COLUMN_KEYS if key not in ("state", "name", "best")]
    drawn = table.data(cells[2], Qt.ItemDataRole.ForegroundRole)
    assert isinstance(drawn, QColor)
    assert drawn.name() == c.muted
    sides = [table.data(cell, Qt.ItemDataRole.TextAlignmentRole) for cell in cells]
    right = [key for key, side in zip(COLUMN_KEYS, sides, strict=True) if side == ALIGN_RIGHT]
    assert right == [
        "best", "forgot", "learned", "parameters", "speed", "memory", "duration", "iterations", "size",
    ]  # fmt: skip
    heads = [(table.headerData(place, Qt.Orientation.Horizontal),
              table.headerData(place, Qt.Orientation.Horizontal, Qt.ItemDataRole.TextAlignmentRole))
             for place in range(3)]  # fmt: skip
    assert heads == [("State", ALIGN_LEFT), ("Name", ALIGN_LEFT), ("Loss", ALIGN_LEFT)]
    assert table.headerData(0, Qt.Orientation.Vertical) is None
    assert table.headerData(0, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole) is None
    theme.apply_theme("dark")
    table.redress()
    icon = table.data(table.index(0, 0), Qt.ItemDataRole.DecorationRole)
    assert isinstance(icon, QIcon)
    assert icon.pixmap(8).toImage() == QIcon(dot(theme.DARK.good)).pixmap(8).toImage()


def test_only_a_name_can_be_written_and_one_that_is_the_same_asks_for_nothing(table: RunTable) -> None:
    asked: list[tuple[str, str]] = []
    table.rename_asked.connect(lambda run, name: asked.append((run.name, name)))
    editable = [table.flags(table.index(0, place)) & Qt.ItemFlag.ItemIsEditable for place in range(3)]
    assert [bool(one) for one in editable] == [False, True, False]
    cell = table.index(0, NAME_COLUMN)
    assert table.data(cell, EDITED) == "new"
    assert table.setData(cell, " new ")
    assert table.setData(cell, f"  much \n better {'x' * 300}")
    assert not table.setData(table.index(0, 0), "x")
    assert not table.setData(cell, "x", SHOWN)
    [(run, name)] = asked
    assert (run, name[:13]) == ("new", "much better x")
    assert len(name) < 200, "as long as a name may be"


def test_what_changed_in_place_is_drawn_anew_and_all_is_begun_anew_where_rows_come_or_go(table: RunTable) -> None:
    told: list[object] = []
    table.dataChanged.connect(
        lambda first, last: told.append((first.row(), first.column(), last.row(), last.column()))
    )
    table.modelReset.connect(lambda: told.append("reset"))
    table.names_changed.connect(lambda: told.append("named"))
    first, second, third = table.runs
    table.show([first, second, third])
    assert told == []
    table.show([first, replace(second, iteration=9), replace(third, name="Ada")])
    assert told == [(1, 0, 2, len(RUN_COLUMNS) - 1), "named"]
    told.clear()
    table.show([first, second])
    assert told == ["reset"], "a row is gone"
    told.clear()
    table.show([first, third])
    assert told == ["reset"], "as many as before, but others"
    table.show([first, second, third])
    assert told == ["reset"] * 2, "one that comes had no other name"
    assert table.longest_name() == "older"
    table.show([first])
    assert table.longest_name() == "new"
    table.show([])
    assert table.longest_name() == ""


def test_what_is_equal_in_a_column_stays_the_newest_first(table: RunTable) -> None:
    table.sort(COLUMN_KEYS.index("best"), Qt.SortOrder.AscendingOrder)
    assert names(table) == ["new", "old", "older"]
    table.sort(COLUMN_KEYS.index("state"), Qt.SortOrder.DescendingOrder)
    assert names(table) == ["old", "new", "older"]
    chosen, laid_out = QPersistentModelIndex(table.index(1, 1)), list[int]()
    table.layoutChanged.connect(lambda: laid_out.append(1))
    table.sort(COLUMN_KEYS.index("created"), Qt.SortOrder.AscendingOrder)
    assert names(table) == ["older", "old", "new"]
    assert (chosen.row(), chosen.column(), laid_out) == (2, 1, [1]), "what was looked at goes along"
    table.show([*reversed(table.runs), made("unmeasured", created=NOON - 99, last_train_loss=None)])
    table.sort(COLUMN_KEYS.index("curve"), Qt.SortOrder.DescendingOrder)
    assert names(table) == ["new", "old", "older", "unmeasured"]
    table.sort(COLUMN_KEYS.index("curve"))
    assert names(table)[-1] == "unmeasured"


def test_a_filter_shows_what_holds_all_words_in_one_of_the_states(table: RunTable) -> None:
    found, resets = RunFilter(table), []
    table.modelReset.connect(lambda: resets.append(1))

    def shown() -> list[str]:
        return [str(found.index(row, NAME_COLUMN).data()) for row in range(found.rowCount())]

    assert shown() == ["new", "old", "older"]
    found.choose("OLD llama", frozenset())
    assert (shown(), resets) == (["old", "older"], [1])
    found.choose("llama  old", frozenset())
    found.choose("llama old", frozenset())
    assert (shown(), len(resets)) == (["old", "older"], 2), "the same words in the same order are no other choice"
    found.choose("old", frozenset(["failed"]))
    assert shown() == ["old"]
    found.choose("", frozenset(["finished", "failed"]))
    assert shown() == ["new", "old", "older"]
    first, second, third = table.runs
    found.choose("", frozenset(["failed"]))
    table.show([replace(first, state="failed"), second, third])
    assert shown() == ["new", "old"], "one that changed is judged anew"
    found.choose("", frozenset())
    resets.clear()
    table.show([first, second, third])
    assert resets == [], "nobody chose anything"
    found.sort(-1)
    assert shown() == ["new", "old", "older"]
    found.sort(NAME_COLUMN, Qt.SortOrder.DescendingOrder)
    assert shown() == ["older", "old", "new"]


def test_differences_are_told_by_field_and_run(qapp: object) -> None:
    assert qapp is not None
    table = DifferenceTable()
    assert (table.rowCount(), table.headerData(0, Qt.Orientation.Horizontal)) == (0, "Field")
    configs = [TrainConfig().with_value("lora_parameters.rank", rank) for rank in (8, 16)]
    table.show(["first", "second"], config_differences(configs))
    heads = [table.headerData(place, Qt.Orientation.Horizontal) for place in range(3)]
    assert heads == ["Field", "first", "second"]
    tips = Qt.ItemDataRole.ToolTipRole
    assert [table.headerData(place, Qt.Orientation.Horizontal, tips) for place in range(3)] == heads
    cells = [table.index(0, column) for column in range(3)]
    assert [table.data(cell) for cell in cells] == ["LoRA rank", "8", "16"]
    assert [table.data(cell, tips) for cell in cells] == ["lora_parameters.rank", "8", "16"]
    colors = [table.data(cell, Qt.ItemDataRole.ForegroundRole) for cell in cells]
    assert isinstance(colors[0], QColor)
    assert (colors[0].name(), colors[1:]) == (theme.colors().muted, [None, None])
    assert table.data(cells[0], Qt.ItemDataRole.FontRole) is None
    assert table.rowCount(QModelIndex()) == 1


def test_a_date_of_the_list_is_as_short_as_it_can_be() -> None:
    created = next(column for column in RUN_COLUMNS if column.key == "created")
    assert (created.text(made()), created.order(made())) == (created_text(NOON), NOON)
