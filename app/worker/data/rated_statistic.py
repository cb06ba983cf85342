"""Statistics of pairs and prompts: lengths of their parts, what the maximum length cuts, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.setup.chosen_method import prompt_limit
from app.core.setup.plan import iterations_per_epoch
from app.core.source.finding import Findings
from app.worker.array import Bools, Ints
from app.worker.batch.pair_batch import PairPlan
from app.worker.batch.shape import Costs
from app.worker.batch.step_count import StepCount, count_sampled_steps, count_steps
from app.worker.data.statistic import histogram
from app.worker.token.cache import Tokenized
from app.worker.token.rated_answer import LabelledAnswers, Pairs, RatedAnswers
from app.worker.token.token_set import Example, TokenSet

PAIR_PARTS = ("prompt", "chosen", "rejected")


@dataclass(frozen=True, slots=True)
class RowLengths:
    """Lengths of the rows of a tokenized file, in tokens.

    ``kind`` is pairs, answers (each with a prompt of its own) or prompts. ``whole`` (rows, sequences) are prompt
    and answer together, ``prompt`` (rows,) the prompt alone, ``learned`` (rows, sequences) the trained ones within
    ``limit``, to which sequences are cut; a prompt longer than ``limit`` leaves no room for an answer.
    """

    kind: str
    whole: Ints
    prompt: Ints
    learned: Ints
    limit: int

    @classmethod
    def of(cls, tokenized: Tokenized, config: TrainConfig) -> RowLengths:
        """Those of what `app.worker.token.rated_token.tokenize_rated` gives."""
        token_set, lengths = tokenized.token_set, tokenized.token_set.lengths
        if tokenized.target == "prompt":
            learned = np.zeros((len(lengths), 1), np.int64)
            return cls("prompts", lengths[:, None], lengths, learned, prompt_limit(config))
        rows = max(len(np.unique(tokenized.lines)), 1)
        each = max(len(lengths) // rows, 1)
        begin, limit = token_set.starts[:-1], config.max_seq_length
        sums = np.concatenate([[0], np.cumsum(token_set.trained, dtype=np.int64)])
        # The first token of a sequence is never a target: nothing precedes it.
        learned = sums[begin + np.minimum(lengths, limit)] - sums[begin + np.minimum(lengths, 1)]
        marked = np.flatnonzero(token_set.trained)
        first = marked[np.searchsorted(marked, begin)] - begin if len(begin) else begin
        kind = "pairs" if each == 2 else "answers"
        return cls(kind, lengths.reshape(-1, each), first[::each], learned.reshape(-1, each), limit)

    @property
    def longest(self) -> Ints:
        """Of each row its longest sequence."""
        found: Ints = self.whole.max(axis=1, initial=0)
        return found

    @property
    def over(self) -> Bools:
        """Rows that are longer than the limit."""
        found: Bools = self.longest > self.limit
        return found

    @property
    def left_out(self) -> Bools:
        """Rows that are not trained on: a prompt that is too long, or one that leaves an answer no token."""
        if self.kind == "prompts":
            return self.over
        found: Bools = (self.learned == 0).any(axis=1)
        return found

    def parts(self) -> dict[str, Ints]:
        """The lengths of prompt and answers."""
        if self.kind == "prompts":
            return {"prompt": self.prompt}
        answers = [self.whole[:, at] - self.prompt for at in range(self.whole.shape[1])]
        names = PAIR_PARTS if self.kind == "pairs" else ("prompt", "answer")
        return dict(zip(names, [self.prompt, *answers], strict=True))


def rated_statistics(tokenized: Tokenized, config: TrainConfig, costs: Costs | None = None) -> dict[str, Any]:
    """The figures of one split, as plain JSON values, as `app.worker.data.statistic.statistics` has them.

    ``tokens`` counts what the model reads: of a pair the prompt with each answer. ``kept_tokens`` is what remains
    when sequences are cut and rows are left out; ``limit`` the length that cuts or leaves out.
    """
    found = RowLengths.of(tokenized, config)
    longest, used = found.longest, ~found.left_out
    kept = np.minimum(found.whole, found.limit)[used]
    edges, counts = histogram(longest)
    trained = int(found.learned[used].sum())
    steps = _steps(tokenized, found, config, costs)
    return {
        "kind": found.kind,
        "examples": len(longest),
        "usable_examples": int(used.sum()),
        "tokens": int(found.whole.sum()),
        "kept_tokens": int(kept.sum()),
        "trained_tokens": trained,
        "trained_share": trained / max(int(kept.sum()), 1),
        "over_length": int(found.over.sum()),
        "cut_tokens": int((found.whole[used]).sum() - kept.sum()),
        "untrained_examples": int((~used).sum()),
        "shortest": int(longest.min(initial=2**62)) if len(longest) else 0,
        "longest": int(longest.max(initial=0)),
        "longest_used": int(kept.max(initial=0)),
        "mean_length": float(longest.mean()) if len(longest) else 0.0,
        "median_length": float(np.median(longest)) if len(longest) else 0.0,
        "max_seq_length": config.max_seq_length,
        "limit": found.limit,
        "parts": {name: _part(lengths) for name, lengths in found.parts().items()},
        "histogram": {"edges": edges, "counts": counts},
        "padding_share": {},
        "steps": steps.rows,
        "step_batches": steps.batches,
        "iterations_per_epoch": iterations_per_epoch(config, int(used.sum())),
    }


def _steps(tokenized: Tokenized, found: RowLengths, config: TrainConfig, costs: Costs | None) -> StepCount:
    """Those of the plan that the run follows; of sampled answers as if each were as long as it may be."""
    if found.kind == "prompts":
        return count_sampled_steps(found.prompt, config, costs or Costs())
    each = found.whole.shape[1] if found.whole.ndim == 2 else 1
    rows = np.flatnonzero(~found.left_out)
    if not len(rows):
        return StepCount()
    token_set, limit = tokenized.token_set, found.limit
    places = (each * rows[:, None] + np.arange(each)).reshape(-1)
    answers = TokenSet.from_examples([
        Example(one.tokens[:limit], one.trained[:limit]) for one in (token_set[int(at)] for at in places)
    ])  # fmt: skip
    pairs: RatedAnswers = Pairs(answers, 0, 0)
    if each == 1:
        pairs = LabelledAnswers(answers, 0, 0, desirable=np.zeros(len(rows), np.bool_))
    return count_steps(PairPlan(pairs, None, config, costs))


def _part(lengths: Ints) -> dict[str, float]:
    if not len(lengths):
        return {"median": 0.0, "longest": 0}
    return {"median": float(np.median(lengths)), "longest": int(lengths.max())}


def add_rated_findings(
    findings: Findings, tokenized: Tokenized, config: TrainConfig, where: Callable[[int], tuple[str, int]]
) -> None:
    """Rows whose prompt leaves no room for an answer, which are left out, and answers that are cut."""
    found = RowLengths.of(tokenized, config)
    lines = np.unique(tokenized.lines)
    left_out, limit = found.left_out, found.limit
    for at in np.flatnonzero(found.over | left_out).tolist():
        kind = "no_room" if left_out[at] else "over_length"
        if findings.is_full(kind):
            findings.count(kind, 1)
            continue
        said = _left_out(found, at, config) if left_out[at] else _cut(found, at, limit)
        findings.add(kind, *where(int(lines[at])), said)


def _left_out(found: RowLengths, at: int, config: TrainConfig) -> str:
    said = tr("The prompt has {prompt:,} tokens", prompt=found.prompt[at])
    if found.kind == "prompts":
        with_answer = tr(
            "{max_completion_length:,} of an answer", max_completion_length=config.max_completion_length
        )
        return tr(
            "{said}; with {with_answer} that is more than {max_seq_length:,}: the row is left out.",
            said=said,
            with_answer=with_answer,
            max_seq_length=config.max_seq_length,
        )
    return tr(
        "{said} and leaves no room for an answer within {limit:,}: the row is left out.",
        said=said,
        limit=found.limit,
    )


def _cut(found: RowLengths, at: int, limit: int) -> str:
    names = (tr("chosen answer"), tr("rejected answer")) if found.kind == "pairs" else (tr("answer"),)
    whole = [(name, int(length)) for name, length in zip(names, found.whole[at], strict=True) if length > limit]
    parts = tr(" and ").join(
        tr("{length:,} tokens with the {name}", length=length, name=name) for name, length in whole
    )
    lost = sum(length - limit for _, length in whole)
    return tr("{parts}; {lost:,} beyond the maximum of {limit:,} are cut.", parts=parts, lost=lost, limit=limit)
