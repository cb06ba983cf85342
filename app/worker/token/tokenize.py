"""Tokenization: prepared files as token sets, cached on disk, with what is to be said of their rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import Origins
from app.core.problem import Severity, UnusableError
from app.core.source.finding import Findings
from app.worker.process.progress import Progress
from app.worker.token import cache as token_cache
from app.worker.token.cache import CacheWriter, Tokenized
from app.worker.token.encode import Encoded, RowEncoder, refuse_unknown
from app.worker.token.row_file import RowFaults, row_batches

# Rows of these kinds have no example.
REFUSED = ("template_refused", "answer_not_found", "token_beyond")


def tokenize_rows(path: Path, tokenizer: Any, config: TrainConfig, progress: Progress | None = None) -> Tokenized:
    """The examples of a prepared file (`prepare_data`), from the cache when it was tokenized before, with all that
    is to be said of the rows; refused rows are left out and told, not raised (`refuse` raises).

    Tokens and masks are those of stock mlx-lm's data sets; with ``mask_turns: all`` every turn of the assistant is
    trained. ``progress(done, total)`` counts bytes. Raises `UnusableError` for a model without a chat template
    where one is needed.
    """
    key = token_cache.cache_key(path, tokenizer, config)
    cached = token_cache.load(key)
    if cached is not None:
        return cached
    total = path.stat().st_size
    writer = CacheWriter(key)
    faults = RowFaults()
    encoder: RowEncoder | None = None
    try:
        for rows, lines, done in row_batches(path):
            if encoder is None:
                encoder = RowEncoder(tokenizer, config, rows[0], file=str(path))
            encoded = encoder.encode(rows)
            refuse_unknown(encoded, tokenizer)
            writer.add(encoded, lines)
            _collect(encoded, lines, faults)
            if progress is not None:
                progress(done, total)
        return writer.finish(encoder.target if encoder else "", faults.kept, dict(faults.counts))
    except BaseException:
        writer.discard()
        raise


def _collect(encoded: list[Encoded], lines: list[int], faults: RowFaults) -> None:
    for item, line in zip(encoded, lines, strict=True):
        for kind, reason in item.faults:
            faults.add(kind, line, reason)
        if item.refused:
            faults.add(item.kind, line, item.refused)


def refuse(tokenized: Tokenized, path: Path, config: TrainConfig, origins: Origins | None = None) -> None:
    """Raises `UnusableError` if there are rows without an example and they may not be left out."""
    if not any(tokenized.counts.get(kind, 0) for kind in REFUSED) or (
        config.skip_bad_rows and len(tokenized.token_set)
    ):
        return
    findings = Findings()
    add_findings(findings, tokenized, path, origins)
    raise UnusableError(findings.problems(Severity.ERROR))


def add_findings(findings: Findings, tokenized: Tokenized, path: Path, origins: Origins | None) -> None:
    """The faults of a tokenized file as findings, in the user's own files where the origins tell."""
    shown: Counter[str] = Counter()
    for kind, line, reason in tokenized.faults:
        shown[kind] += 1
        findings.add(kind, *origin(path, line, origins), reason)
    for kind, count in tokenized.counts.items():
        findings.count(kind, count - shown[kind])


def origin(path: Path, line: int, origins: Origins | None) -> tuple[str, int]:
    """File and line that a row of a prepared file came from."""
    if origins is None or line > len(origins.line):
        return str(path), line
    return origins.files[int(origins.file[line - 1])], int(origins.line[line - 1])


# -- tasks ---------------------------------------------------------------------------------------------------
