"""A row with an error and warnings: told with all of them, counted once, held back or left out as an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.problem import UnusableError, errors
from tests.core.data.written import checked, file_of, trained


def chat(*turns: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


GOOD = [chat(("user", f"question {n}"), ("assistant", f"answer {n}")) for n in range(4)]
BOTH = chat(("user", "caf\u00c3\u00a9"), ("user", "again"), ("assistant", ""))
WARNED = chat(("user", "caf\u00c3\u00a9"), ("assistant", "coffee"))
ROWS = [*GOOD[:2], BOTH, WARNED, *GOOD[2:]]


def test_it_is_told_by_line_with_all_that_is_wrong(tmp_path: Path) -> None:
    report = checked(tmp_path, ROWS)
    assert [(one.line, one.kind) for one in report.errors] == [(3, "empty_field")]
    assert [(one.line, one.kind) for one in report.warnings] == [
        (3, "repeated_role"), (3, "mojibake"), (4, "mojibake"),
    ]  # fmt: skip
    assert (report.error_count, report.warning_count) == (1, 3)
    assert (report.rows, report.examples) == (6, 5)
    assert not report.usable


def test_its_error_holds_the_training_back(tmp_path: Path) -> None:
    with pytest.raises(UnusableError) as refused:
        trained(tmp_path, ROWS)
    assert [problem.line for problem in errors(refused.value.problems)] == [3]


def test_left_out_it_is_not_trained_and_a_row_with_warnings_is(tmp_path: Path) -> None:
    config = TrainConfig().with_values({"skip_bad_rows": True})
    report = check_files([file_of(tmp_path, ROWS)], config=config)
    assert report.usable
    assert report.examples == 5
    rows = trained(tmp_path, ROWS, skip_bad_rows=True)
    said = sorted(turn["content"] for row in rows for turn in row["messages"] if turn["role"] == "assistant")
    assert said == ["answer 0", "answer 1", "answer 2", "answer 3", "coffee"]
