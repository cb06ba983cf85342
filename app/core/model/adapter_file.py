"""The names of an adapter's files, in mlx-lm's layout and in PEFT's."""

from __future__ import annotations

from pathlib import Path

ADAPTER_FILE = "adapters.safetensors"
ADAPTER_CONFIG = "adapter_config.json"  # PEFT's has the same name
PEFT_FILE = "adapter_model.safetensors"


def has_adapter_file(folder: Path) -> bool:
    """Whether a folder holds an adapter's weights, in either layout."""
    return any((folder / name).is_file() for name in (ADAPTER_FILE, PEFT_FILE))
