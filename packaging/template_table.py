"""The table of chat templates: for each family and kind of conversation, whether exactly the answers are learned.

    python packaging/template_table.py            # exit code 1 if anything is wrong, with what

A cell has two marks, of the last answer and of every answer: ✓ as expected, ✗ not; – where the family has no such
conversations. What is expected stands, written by hand, in tests/worker/token/template_family.py.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tests.worker.token.template_family import CASES, FAMILIES, Family, tokenizer_of, verdict

TURNS = ("last", "all")


def cells(family: Family, wrong: list[str]) -> list[str]:
    """The marks of one family; what is wrong is added to ``wrong``."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = tokenizer_of(family, Path(folder))
    found = []
    for case in CASES:
        if case not in family.cases:
            found.append("–")
            continue
        said = [verdict(family, case, turns, tokenizer) for turns in TURNS]
        wrong += [f"{family.name}, {case}, {turns}: {one}" for turns, one in zip(TURNS, said, strict=True) if one]
        found.append(" ".join("✗" if one else "✓" for one in said))
    return found


def main() -> int:
    """Prints the table; 1 if a cell is wrong."""
    wrong: list[str] = []
    rows = [["family", *CASES], *([family.name, *cells(family, wrong)] for family in FAMILIES)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\n{len(FAMILIES)} families, {len(wrong)} wrong.", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
