"""Where Luthier keeps things: settings, the form, caches and runs; one environment variable moves them all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

HOME_VARIABLE = "LUTHIER_HOME"


def _place(kind: str) -> Path:
    """One of the places. XDG's variables do not count on a Mac: a shell has them and Finder has not, and runs and
    settings would be at two places."""
    if home := os.environ.get(HOME_VARIABLE):
        return Path(home) / kind
    if sys.platform == "darwin":
        return Path.home() / "Library" / ("Caches" if kind == "cache" else "Application Support") / "Luthier"
    usual = {
        "data": platformdirs.user_data_path, "config": platformdirs.user_config_path,
        "cache": platformdirs.user_cache_path,
    }  # fmt: skip
    return usual[kind]("Luthier", appauthor=False)


def data_dir() -> Path:
    """What must not be lost: runs, votes, the autosaved form."""
    return _place("data")


def settings_path() -> Path:
    """The user's choices that belong to no run (theme, recent models, where runs live)."""
    return _place("config") / "settings.yaml"


def cache_dir() -> Path:
    """What can be made again: inspections, tokenized data."""
    return _place("cache")


def form_path() -> Path:
    """The form as it was last edited, restored at the next start."""
    return data_dir() / "form.yaml"


def enhanced_path() -> Path:
    """The form of the Enhanced Setup tab, likewise."""
    return data_dir() / "enhanced.yaml"
