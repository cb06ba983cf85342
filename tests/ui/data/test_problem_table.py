"""The table of findings says in words what its first column shows as a sign."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from app.core.problem import Severity
from app.core.source.finding import Finding
from app.ui.data.problem_table import ProblemTable


@pytest.mark.parametrize(
    "severity, word", [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.NOTE, "note")]
)
def test_the_sign_of_a_finding_is_a_word_for_those_who_do_not_see_it(severity: Severity, word: str) -> None:
    table = ProblemTable()
    table.set_rows([Finding("/d/rows.jsonl", 1234, "It is empty.", "broken_json", severity)])
    cells = [table.index(0, column) for column in range(4)]
    assert cells[0].data(Qt.ItemDataRole.AccessibleTextRole) == word
    assert [cell.data() for cell in cells] == ["", "rows.jsonl:1,234", "Broken JSON", "It is empty."]
    assert cells[1].data(Qt.ItemDataRole.AccessibleTextRole) is None
    assert cells[3].data(Qt.ItemDataRole.ToolTipRole).splitlines()[:2] == ["/d/rows.jsonl:1234", "It is empty."]
