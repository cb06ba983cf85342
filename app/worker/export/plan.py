"""The plan of an export: what is written from what, with which options; everything known before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mlx.nn as nn

from app.core.export.format import ExportFormat
from app.core.export.option import OptionValue
from app.core.export.source import ExportSource
from app.core.json_text import parsed_json
from app.core.model.adapter_file import ADAPTER_CONFIG, is_peft
from app.core.model.folder import read_config
from app.core.problem import Problem, UnusableError
from app.worker.model.build import UnknownModelError, build_model


@dataclass(frozen=True)
class ExportPlan:
    """``base`` is the base model's folder, ``out`` the folder that comes to be; ``values`` has every option."""

    format: ExportFormat
    source: ExportSource
    base: Path
    out: Path
    values: Mapping[str, OptionValue]

    @property
    def scale(self) -> float:
        """How strongly the adapter acts: 1 as trained."""
        return float(self.values.get("scale", 1.0))

    @property
    def content(self) -> str:
        """The format that the folder is in: an upload holds another one's."""
        return str(self.values.get("content", self.format.name))

    @cached_property
    def base_config(self) -> dict[str, Any]:
        """The base's ``config.json`` as it is."""
        return read_config(self.base)

    @property
    def model_type(self) -> str:
        """The architecture's name in ``config.json``."""
        return str(self.base_config.get("model_type", ""))

    @cached_property
    def adapter_config(self) -> dict[str, Any]:
        """The adapter's own ``adapter_config.json``, mlx-lm's or PEFT's."""
        tree: dict[str, Any] = parsed_json((self.source.folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        return tree

    @property
    def kind(self) -> str:
        """``lora``, ``dora`` or ``full``."""
        if is_peft(self.adapter_config):
            return "dora" if self.adapter_config.get("use_dora") else "lora"
        return str(self.adapter_config.get("fine_tune_type") or "lora")

    @cached_property
    def architecture(self) -> nn.Module:
        """The base's modules, shapes but no weights; raises `UnusableError` for what mlx-lm cannot build."""
        try:
            return build_model(self.base)[0]
        except UnknownModelError as error:
            raise UnusableError([Problem("model", str(error))]) from error
