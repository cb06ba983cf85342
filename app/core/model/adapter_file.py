"""The names of an adapter's files, in mlx-lm's layout and in PEFT's."""

from __future__ import annotations

ADAPTER_FILE = "adapters.safetensors"
ADAPTER_CONFIG = "adapter_config.json"  # PEFT's has the same name
PEFT_FILE = "adapter_model.safetensors"
