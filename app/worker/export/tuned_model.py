"""The run's model: base and adapter in memory, the adapter as strong as the export wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from app.worker.export.plan import ExportPlan
from app.worker.model.adapter_switch import Adapter, AdapterSwitch
from app.worker.model.loading import load_model


class TunedModel:
    """``model`` answers as base or tuned (`tuned` to begin with); ``adapter`` is what is put on the base."""

    def __init__(self, base: Path, adapter_file: Path, scale: float = 1.0) -> None:
        self.model, self.tokenizer = load_model(base)
        self.switch = AdapterSwitch(self.model)
        self.adapter = _scaled(self.switch.load(adapter_file), scale)
        self.use_tuned()

    @classmethod
    def of(cls, plan: ExportPlan) -> TunedModel:
        """The model that ``plan`` exports. Raises `UnusableError` if the adapter does not fit the base."""
        return cls(plan.base, plan.source.adapter, plan.scale)

    def use_tuned(self) -> nn.Module:
        """The model with its adapter on."""
        self.switch.use(self.adapter)
        return self.model

    def release(self) -> None:
        """Drops the model; arrays that were made of it and are not computed yet keep what they need."""
        del self.model, self.switch, self.adapter

    def use_base(self) -> nn.Module:
        """The model without its adapter."""
        self.switch.use(None)
        return self.model


def _scaled(adapter: Adapter, scale: float) -> Adapter:
    """The same adapter acting ``scale`` times as strongly; its modules are changed in place."""
    if scale == 1.0:
        return adapter
    parts: dict[str, Any] = dict(adapter.parts)
    for path, part in parts.items():
        if isinstance(part, mx.array):
            base = adapter.base_parts[path]
            parts[path] = (base + scale * (part.astype(mx.float32) - base)).astype(base.dtype)
        else:
            part.scale = part.scale * scale
    return Adapter(adapter.path, adapter.kind, parts, adapter.base_parts)
