"""The config's data as the model reads it: prepared, and every split tokenized."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import PreparedData, prepare_data
from app.core.language import tr
from app.core.setup.chosen_method import method_of
from app.core.source.source import SPLITS
from app.worker.process.progress import Reporter
from app.worker.token.cache import Tokenized
from app.worker.token.rated_token import tokenize_rated
from app.worker.token.tokenize import tokenize_rows


@dataclass(frozen=True, slots=True)
class TokenizedData:
    """Prepared data and its token sets by split."""

    prepared: PreparedData
    tokenized: dict[str, Tokenized]


def tokenize_config(config: TrainConfig, folder: Path, tokenizer: Any, reporter: Reporter) -> TokenizedData:
    """Prepares the config's data into ``folder`` and tokenizes every split; the cache then serves training.

    Pairs and prompts are tokenized as their method does it, which does so again when it runs.
    """
    prepared = prepare_data(config, folder, reporter.phase(tr("Reading the data")), reporter.stopped)
    found = {}
    for split in SPLITS:
        path = prepared.path(split)
        if path is not None:
            tokenize_split = tokenize_rows if method_of(config).data == "examples" else tokenize_rated
            found[str(split)] = tokenize_split(path, tokenizer, config, reporter.phase(tr("Tokenizing")))
    return TokenizedData(prepared, found)
