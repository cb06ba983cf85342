"""A prepared file tokenized as training does it: rows that the template refuses end it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.worker.process.progress import Progress
from app.worker.token.token_set import TokenSet
from app.worker.token.tokenize import refuse, tokenize_rows


def tokenize_file(path: Path, tokenizer: Any, config: TrainConfig, progress: Progress | None = None) -> TokenSet:
    """The examples of the file; raises `UnusableError` as training does."""
    tokenized = tokenize_rows(path, tokenizer, config, progress)
    refuse(tokenized, path, config)
    return tokenized.token_set
