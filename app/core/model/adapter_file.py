"""The names of an adapter's files, in mlx-lm's layout."""

from __future__ import annotations

ADAPTER_FILE = "adapters.safetensors"
