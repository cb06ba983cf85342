"""The config that a job names, read as a config file is."""

from __future__ import annotations

from app.core.config.train_config import CONFIG_VERSION, TrainConfig
from app.core.protocol.job import ConfigSource
from app.core.setup.config_file import parse_config
from app.core.system.yaml_text import dumped_yaml


def job_config(source: ConfigSource) -> TrainConfig:
    """The config of a job: a tree of values, or YAML text. Raises `UnusableError`."""
    # A part of a config in a job is Luthier's: mlx-lm's defaults are for files that people bring.
    # Not JSON's text: YAML takes its escapes of a 😀 for two halves of a character.
    text = (
        source
        if isinstance(source, str)
        else dumped_yaml({"config_version": CONFIG_VERSION} | source, in_unicode=False)
    )
    return parse_config(text, name="config").config
