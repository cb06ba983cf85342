"""Files that ship with Luthier: found in a checkout, an installed wheel and a frozen bundle alike."""

from __future__ import annotations

import sys
from pathlib import Path


def resource(*parts: str) -> Path:
    """The path of a file or folder under ``resources/``; raises `FileNotFoundError` if it did not ship."""
    app = Path(__file__).resolve().parents[1]
    frozen = Path(getattr(sys, "_MEIPASS", app))
    for root in (frozen / "resources", app.parent / "resources", app / "_resources"):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"resources/{'/'.join(parts)} is missing from this installation")
