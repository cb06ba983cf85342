"""What a worker was asked to do, read from its job file."""

from __future__ import annotations

import json
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.setup.config_file import parse_config


def job_config(job: dict[str, Any]) -> TrainConfig:
    """The config of a job: a tree of values, or YAML text, under ``config``. Raises `UnusableError`."""
    given = job.get("config") or {}
    text = given if isinstance(given, str) else json.dumps(given)
    return parse_config(text, name="config").config
