"""The names of an adapter's files, in mlx-lm's layout and in PEFT's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ADAPTER_FILE = "adapters.safetensors"
ADAPTER_CONFIG = "adapter_config.json"  # PEFT's has the same name
PEFT_FILE = "adapter_model.safetensors"


def has_adapter_file(folder: Path) -> bool:
    """Whether a folder holds an adapter's weights, in either layout."""
    return any((folder / name).is_file() for name in (ADAPTER_FILE, PEFT_FILE))


def is_peft(config: Mapping[str, Any]) -> bool:
    """Whether an ``adapter_config.json`` is PEFT's."""
    return "peft_type" in config
