"""Trust in reward files: they are code, and code runs only after a person's word, remembered by its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from app.core.system.setting import load_settings, save_settings


def content_hash(file: Path) -> str:
    """Names the file's content: one changed letter, and the word has to be given again."""
    return hashlib.sha256(file.expanduser().read_bytes()).hexdigest()


def is_trusted(file: Path) -> bool:
    """True if somebody at this computer said that this very content may run."""
    return content_hash(file) in load_settings().trusted_reward_files


def trust(file: Path) -> str:
    """Remembers that the file's present content may run; returns its hash."""
    name, settings = content_hash(file), load_settings()
    if name not in settings.trusted_reward_files:
        known = (*settings.trusted_reward_files, name)
        save_settings(settings.model_copy(update={"trusted_reward_files": known}))
    return name
