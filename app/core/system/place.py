"""Where Luthier keeps things: settings, the form, caches and runs; one environment variable moves them all."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "LUTHIER_HOME"


def _place(default: Path, name: str) -> Path:
    home = os.environ.get(HOME_VARIABLE)
    return Path(home) / name if home else default


def data_dir() -> Path:
    """What must not be lost: runs, votes, the autosaved form."""
    return _place(platformdirs.user_data_path("Luthier", appauthor=False), "data")


def settings_path() -> Path:
    """The user's choices that belong to no run (theme, recent models, where runs live)."""
    return _place(platformdirs.user_config_path("Luthier", appauthor=False), "config") / "settings.yaml"


def cache_dir() -> Path:
    """What can be made again: inspections, tokenized data."""
    return _place(platformdirs.user_cache_path("Luthier", appauthor=False), "cache")


def form_path() -> Path:
    """The form as it was last edited, restored at the next start."""
    return data_dir() / "form.yaml"


def enhanced_path() -> Path:
    """The form of the Enhanced Setup tab, likewise."""
    return data_dir() / "enhanced.yaml"
