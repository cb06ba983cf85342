"""The config that a job names, read as a config file is."""

from __future__ import annotations

import json

from app.core.config.train_config import CONFIG_VERSION, TrainConfig
from app.core.protocol.job import ConfigSource
from app.core.setup.config_file import parse_config


def job_config(source: ConfigSource) -> TrainConfig:
    """The config of a job: a tree of values, or YAML text. Raises `UnusableError`."""
    # A part of a config in a job is Luthier's: mlx-lm's defaults are for files that people bring.
    text = source if isinstance(source, str) else json.dumps({"config_version": CONFIG_VERSION} | source)
    return parse_config(text, name="config").config
