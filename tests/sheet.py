"""Lists that were looked at: a test compares with one, and says where what it found differs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import unified_diff
from pathlib import Path


def compare(lines: Iterable[str], sheet: Path) -> None:
    """Fails where lines differ from a sheet; with ``LUTHIER_SHEET=1`` writes it anew, to be looked at."""
    found = "".join(f"{line}\n" for line in lines)
    if "LUTHIER_SHEET" in os.environ:
        sheet.write_text(found, encoding="utf-8")
    seen = sheet.read_text(encoding="utf-8")
    assert found == seen, "\n".join(
        unified_diff(seen.splitlines(), found.splitlines(), "seen", "now", lineterm="", n=1)
    )
