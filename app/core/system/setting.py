"""Settings: the user's choices that belong to no run, kept in one YAML file."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.core.system import place
from app.core.system.atomic_file import set_aside, write_text
from app.core.system.yaml_text import bounded_yaml, dumped_yaml

RECENT_LIMIT = 12


class Settings(BaseModel):
    """All settings; unknown ones (of a newer version) are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    theme: Literal["system", "light", "dark"] = "system"
    language: Literal["system", "en", "de"] = "system"
    runs_dir: str = ""
    models_dir: str = ""
    exports_dir: str = ""  # where the last export went
    last_folder: str = ""  # where a panel for files was left
    model_folders: tuple[str, ...] = ()
    recent_models: tuple[str, ...] = ()
    recent_data: tuple[str, ...] = ()
    recent_configs: tuple[str, ...] = ()
    alpha_convention: Literal["scale", "peft"] = "peft"
    chart_smoothing: float = 0.6
    chart_x: Literal["iterations", "epochs", "tokens", "time"] = "iterations"
    chart_log: bool = False
    chart_without_spike: bool = False
    offline: bool = False
    proxy: str = ""  # http://host:port; empty: what the environment says
    default_setup: str = ""  # a config that a new setup begins as; empty: the declared values
    notifications: bool = True  # when a run ends or needs an answer
    keep_awake: bool = True  # while a run, the queue or an export works; never the display
    wire_memory: bool = True  # on a Mac, for runs that need most of it
    relax_gpu_limit: bool = False  # on a Mac: the GPU's work may take longer, which costs smoothness
    spare_worker: bool = True  # a process with a worker's imports stands ready for the next job
    check_updates: bool = False
    updates_asked: str = ""  # the day on which the releases page was asked last
    silence_s: int = Field(120, ge=5, le=1_000_000)  # how long a worker may say nothing before that is told
    trusted_reward_files: tuple[str, ...] = ()
    window: dict[str, Any] = {}

    def with_recent(self, field: str, path: str) -> Settings:
        """The same settings with ``path`` first in the list of recent ones."""
        old = [item for item in getattr(self, field) if item != path]
        return self.model_copy(update={field: (path, *old[: RECENT_LIMIT - 1])})


def load_settings() -> Settings:
    """The saved settings; defaults for whatever is missing or unreadable, so that the window always opens."""
    tree = _saved() or {}
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        bad = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
        return Settings.model_validate({key: value for key, value in tree.items() if key not in bad})


def _saved() -> dict[str, Any] | None:
    """What is in the file; empty if there is none, None if it cannot be read."""
    path = place.settings_path()
    try:
        tree = deepcopy(_parsed(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return None
    tree = {} if tree is None else tree
    return {key: value for key, value in tree.items() if isinstance(key, str)} if isinstance(tree, dict) else None


# The window asks for them many times a second; the file is read each time, for other programs write it too.
_parsed = lru_cache(maxsize=2)(bounded_yaml)


def save_settings(settings: Settings) -> None:
    """Writes the settings completely or not at all. A file that could not be read is set aside, not lost."""
    if _saved() is None:
        set_aside(place.settings_path())
    write_text(place.settings_path(), dumped_yaml(settings.model_dump(mode="json"), in_unicode=False))


def keep_settings(**values: object) -> None:
    """Changes some settings on disk; the others stay as they are there."""
    save_settings(load_settings().model_copy(update=values))
