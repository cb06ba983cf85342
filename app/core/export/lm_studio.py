"""LM Studio's models folder, as it is set there; models lie in it as publisher/name."""

from __future__ import annotations

from pathlib import Path

from app.core.json_text import parsed_json
from app.core.typed_path import typed_path

PUBLISHER = "luthier"
_POINTER = ".lmstudio-home-pointer"  # what LM Studio's own programs go by


def lm_studio_models() -> Path:
    """The folder that LM Studio looks for models in, whether or not it is there."""
    home = _home()
    try:
        tree = parsed_json((home / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        tree = {}
    chosen = tree.get("downloadsFolder") if isinstance(tree, dict) else None
    return typed_path(chosen) if isinstance(chosen, str) and chosen else home / "models"


def has_lm_studio() -> bool:
    """Whether LM Studio was ever started here, which makes its folders."""
    return _home().is_dir()


def _home() -> Path:
    pointer = Path.home() / _POINTER
    try:
        found = Path(pointer.read_text(encoding="utf-8").strip())
    except OSError:
        found = Path()
    if found.is_absolute() and found.is_dir():
        return found
    usual, older = Path.home() / ".lmstudio", Path.home() / ".cache" / "lm-studio"
    return older if older.is_dir() and not usual.is_dir() else usual
