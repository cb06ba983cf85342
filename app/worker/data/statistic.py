"""Statistics of tokenized data: totals, lengths, what the maximum length cuts, padding, iterations an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.config.train_config import Batching, TrainConfig
from app.core.language import tr
from app.core.setup.plan import iterations_per_epoch
from app.core.source.finding import Findings
from app.worker.batch.examples import Examples
from app.worker.batch.plan import BatchPlan
from app.worker.batch.shape import Costs
from app.worker.batch.step_count import StepCount, count_steps
from app.worker.token.cache import Tokenized
from app.worker.token.token_set import TokenSet

HISTOGRAM_BINS = 40
BATCHINGS: tuple[Batching, ...] = ("bucket", "pack", "file_order")


def statistics(token_set: TokenSet, config: TrainConfig, costs: Costs | None = None) -> dict[str, Any]:
    """The figures of one split, as plain JSON values.

    ``costs`` are the model's, by which batches are cut. ``steps`` are the distinct sizes of the steps of an epoch
    (`app.worker.batch.step_count.StepCount.rows`) that ``step_batches`` batches make.

    ``tokens`` and ``cut_tokens`` count before and beyond the maximum length, ``kept_tokens`` what is left,
    ``trained_tokens`` those of them that are targets; ``padding_share`` by way of batching; the histogram's edges
    are lengths in tokens (one more than counts).
    """
    examples = Examples.of(token_set, config.max_seq_length)
    lengths = token_set.lengths
    kept = np.minimum(lengths, config.max_seq_length)
    edges, counts = histogram(lengths)
    trained = int(examples.targets.sum())
    counts_of = {name: _counted(examples, config, name, costs) for name in BATCHINGS}
    chosen = counts_of[config.batching]
    return {
        "kind": "examples",
        "examples": len(token_set),
        "usable_examples": len(examples),
        "tokens": int(lengths.sum()),
        "kept_tokens": int(kept.sum()),
        "trained_tokens": trained,
        "trained_share": trained / max(int(kept.sum()), 1),
        "over_length": examples.truncated,
        "cut_tokens": int((lengths - kept).sum()),
        "untrained_examples": examples.skipped,
        "shortest": int(lengths.min()) if len(lengths) else 0,
        "longest": int(lengths.max()) if len(lengths) else 0,
        "longest_used": int(kept.max()) if len(kept) else 0,
        "mean_length": float(lengths.mean()) if len(lengths) else 0.0,
        "median_length": float(np.median(lengths)) if len(lengths) else 0.0,
        "max_seq_length": config.max_seq_length,
        "limit": config.max_seq_length,
        "parts": {},
        "histogram": {"edges": edges, "counts": counts},
        "padding_share": {name: _padding(count) for name, count in counts_of.items()},
        "steps": chosen.rows,
        "step_batches": chosen.batches,
        "iterations_per_epoch": iterations_per_epoch(config, len(examples)),
    }


def histogram(lengths: npt.NDArray[np.int64], bins: int = HISTOGRAM_BINS) -> tuple[list[int], list[int]]:
    """Edges (whole tokens, one more than counts) and counts; at most ``bins`` of equal width."""
    if not len(lengths):
        return [0, 1], [0]
    low, high = int(lengths.min()), int(lengths.max()) + 1
    width = max(-(-(high - low) // bins), 1)
    edges = np.arange(low, high + width, width)
    counts, _ = np.histogram(lengths, edges)
    return edges.tolist(), counts.tolist()


def _counted(examples: Examples, config: TrainConfig, batching: Batching, costs: Costs | None) -> StepCount:
    if not len(examples):
        return StepCount()
    return count_steps(BatchPlan(examples, config.batch_size, batching, config.seed, costs=costs))


def _padding(count: StepCount) -> float:
    """Share of the positions that hold no token."""
    return 1 - count.tokens / count.positions if count.positions else 0.0


def add_length_findings(
    findings: Findings, tokenized: Tokenized, max_length: int, where: Callable[[int], tuple[str, int]]
) -> None:
    """Rows over the maximum length, with what they lose, and rows of which no token is trained."""
    token_set = tokenized.token_set
    lengths = token_set.lengths
    for at in np.flatnonzero(lengths > max_length).tolist():
        if findings.is_full("over_length"):
            findings.count("over_length", 1)
            continue
        lost = int(lengths[at]) - max_length
        said = tr(
            "{lengths:,} tokens; {lost:,} beyond the maximum of {max_length:,} are cut.",
            lengths=int(lengths[at]),
            lost=lost,
            max_length=max_length,
        )
        findings.add("over_length", *where(int(tokenized.lines[at])), said)
    usable = np.zeros(len(token_set), np.bool_)
    usable[Examples.of(token_set, max_length).indices] = True
    for at in np.flatnonzero(~usable).tolist():
        if findings.is_full("no_trained_token"):
            findings.count("no_trained_token", 1)
            continue
        cut = token_set[at].trained.any() and lengths[at] > max_length
        said = tr("The whole answer is cut off.") if cut else tr("No token of the row is trained.")
        findings.add("no_trained_token", *where(int(tokenized.lines[at])), said)
