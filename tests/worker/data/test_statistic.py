"""Figures and findings of tokenized files, worked out by hand: examples, pairs, labelled answers and prompts."""

from __future__ import annotations

import numpy as np
import pytest

from app.core.config.train_config import TrainConfig
from app.core.problem import Severity
from app.core.source.finding import Findings
from app.worker.data.rated_statistic import RowLengths, add_rated_findings, rated_statistics
from app.worker.data.statistic import add_length_findings, histogram, statistics
from app.worker.token.cache import Tokenized
from app.worker.token.token_set import Example, TokenSet


def tokenized(*rows: tuple[int, int, int], target: str = "preference") -> Tokenized:
    """Examples of (line, length, how many at the end are trained)."""
    examples = [
        Example(np.arange(length, dtype=np.int32), np.arange(length) >= length - trained)
        for _, length, trained in rows
    ]
    lines = np.array([line for line, *_ in rows], np.int64)
    return Tokenized(TokenSet.from_examples(examples), lines, [], {}, target)


def where(line: int) -> tuple[str, int]:
    return "own.jsonl", 100 + line


def told(findings: Findings) -> list[tuple[str, int | None, str, str]]:
    found = [one for severity in Severity for one in findings.kept(severity)]
    return [(one.file, one.line, one.kind, one.reason) for one in found]


class FullFindings(Findings):
    """A collection that has no room for more, and only counts."""

    def is_full(self, kind: str) -> bool:
        return bool(kind)


def test_figures_of_examples() -> None:
    """Of the second of the lengths 10, 40, 20 and 32 eight tokens are cut; of the third none is trained."""
    made = tokenized((1, 10, 4), (2, 40, 10), (3, 20, 0), (4, 32, 32))
    figures = statistics(made.token_set, TrainConfig(max_seq_length=32, batch_size=2))
    assert figures.pop("histogram") == {
        "edges": list(range(10, 42)), "counts": [int(n in (10, 20, 32, 40)) for n in range(10, 41)],
    }  # fmt: skip
    steps, batches, shares = (figures.pop(name) for name in ("steps", "step_batches", "padding_share"))
    assert steps
    assert batches == 2
    assert list(shares) == ["bucket", "pack", "file_order"]
    assert figures == {
        "kind": "examples", "examples": 4, "usable_examples": 3, "tokens": 102, "kept_tokens": 94,
        "trained_tokens": 37, "trained_share": 37 / 94, "over_length": 1, "cut_tokens": 8, "untrained_examples": 1,
        "shortest": 10, "longest": 40, "longest_used": 32, "mean_length": 25.5, "median_length": 26.0,
        "max_seq_length": 32, "limit": 32, "parts": {}, "iterations_per_epoch": 2,
    }  # fmt: skip
    in_order = statistics(made.token_set, TrainConfig(max_seq_length=32, batch_size=2, batching="file_order"))
    assert in_order["iterations_per_epoch"] == 1, "mlx-lm's own order leaves out the batch that is not full"
    alone = statistics(made.token_set, TrainConfig(max_seq_length=32, batch_size=8, batching="file_order"))
    assert alone["iterations_per_epoch"] == 1


def test_figures_of_nothing_are_nothing() -> None:
    for made in (statistics(tokenized().token_set, TrainConfig()), rated_statistics(tokenized(), TrainConfig())):
        assert {made[name] for name in ("shortest", "longest", "longest_used", "examples", "tokens")} == {0}
        assert (made["mean_length"], made["median_length"], made["trained_share"]) == (0.0, 0.0, 0.0)
        assert (made["steps"], made["step_batches"]) == ([], 0)
        assert made["histogram"] == {"edges": [0, 1], "counts": [0]}


def test_a_histogram_has_bins_of_whole_tokens() -> None:
    lengths = np.array([5, 5, 14, 15], np.int64)
    assert histogram(lengths, 4) == ([5, 8, 11, 14, 17], [2, 0, 0, 2])
    assert histogram(lengths[:2], 4) == ([5, 6], [2])
    assert histogram(np.array([1, 40, 41], np.int64), 40) == ([*range(1, 44, 2)], [1, *[0] * 18, 1, 1])


def test_rows_that_lose_something_are_told() -> None:
    made = tokenized((1, 10, 4), (2, 40, 8), (3, 20, 0), (5, 34, 10), (6, 32, 32))
    findings = Findings()
    add_length_findings(findings, made, 32, where)
    assert told(findings) == [
        ("own.jsonl", 102, "over_length", "40 tokens; 8 beyond the maximum of 32 are cut."),
        ("own.jsonl", 105, "over_length", "34 tokens; 2 beyond the maximum of 32 are cut."),
        ("own.jsonl", 102, "no_trained_token", "The whole answer is cut off."),
        ("own.jsonl", 103, "no_trained_token", "No token of the row is trained."),
    ]
    full = FullFindings()
    add_length_findings(full, made, 32, where)
    assert (told(full), dict(full.counts)) == ([], {"over_length": 2, "no_trained_token": 2})


PAIRS = [(1, 10, 4), (1, 12, 6), (4, 25, 5), (4, 23, 3), (5, 20, 14), (5, 8, 2)]


def test_figures_of_pairs() -> None:
    """The prompts have 6, 20 and 6 tokens: of 16 that fit, the second leaves no answer any, and one is cut by 4."""
    made = tokenized(*PAIRS)
    config = TrainConfig(train_mode="dpo", max_seq_length=16, batch_size=2)
    figures = rated_statistics(made, config)
    assert figures.pop("histogram") == {
        "edges": list(range(12, 27)), "counts": [int(n in (12, 20, 25)) for n in range(12, 26)],
    }  # fmt: skip
    assert figures.pop("steps")
    assert figures == {
        "kind": "pairs", "examples": 3, "usable_examples": 2, "tokens": 98, "kept_tokens": 46, "trained_tokens": 22,
        "trained_share": 22 / 46, "over_length": 2, "cut_tokens": 4, "untrained_examples": 1, "shortest": 12,
        "longest": 25, "longest_used": 16, "mean_length": 19.0, "median_length": 20.0, "max_seq_length": 16,
        "limit": 16, "padding_share": {}, "step_batches": 1, "iterations_per_epoch": 1,
        "parts": {
            "prompt": {"median": 6.0, "longest": 20}, "chosen": {"median": 5.0, "longest": 14},
            "rejected": {"median": 3.0, "longest": 6},
        },
    }  # fmt: skip
    findings = Findings()
    add_rated_findings(findings, made, config, where)
    assert told(findings) == [
        ("own.jsonl", 104, "no_room",
         "The prompt has 20 tokens and leaves no room for an answer within 16: the row is left out."),
        ("own.jsonl", 105, "over_length",
         "20 tokens with the chosen answer; 4 beyond the maximum of 16 are cut."),
    ]  # fmt: skip
    full = FullFindings()
    add_rated_findings(full, made, config, where)
    assert (told(full), dict(full.counts)) == ([], {"no_room": 1, "over_length": 1})
    findings = Findings()
    add_rated_findings(findings, tokenized((7, 20, 15), (7, 18, 13)), config, where)
    assert [reason for *_, reason in told(findings)] == [
        "20 tokens with the chosen answer and 18 tokens with the rejected answer; 6 beyond the maximum of 16 are "
        "cut."
    ]


def test_labelled_answers_and_prompts_have_parts_of_their_own() -> None:
    made = tokenized((1, 10, 4), (2, 40, 10))
    config = TrainConfig(train_mode="kto", max_seq_length=32, batch_size=1)
    figures = rated_statistics(made, config)
    assert (figures["kind"], figures["usable_examples"], figures["iterations_per_epoch"]) == ("answers", 2, 2)
    assert figures["parts"] == {
        "prompt": {"median": 18.0, "longest": 30}, "answer": {"median": 7.0, "longest": 10},
    }  # fmt: skip
    findings = Findings()
    add_rated_findings(findings, made, config, where)
    assert [reason for *_, reason in told(findings)] == [
        "40 tokens with the answer; 8 beyond the maximum of 32 are cut."
    ]
    prompts = tokenized((1, 10, 0), (2, 25, 0), (9, 24, 0), target="prompt")
    config = TrainConfig(train_mode="grpo", max_seq_length=40, max_completion_length=16)
    lengths = RowLengths.of(prompts, config)
    assert (lengths.kind, lengths.limit, lengths.left_out.tolist()) == ("prompts", 24, [False, True, False])
    findings = Findings()
    add_rated_findings(findings, prompts, config, where)
    assert told(findings) == [
        ("own.jsonl", 102, "no_room",
         "The prompt has 25 tokens; with 16 of an answer that is more than 40: the row is left out."),
    ]  # fmt: skip
    figures = rated_statistics(prompts, config)
    assert figures["parts"] == {"prompt": {"median": 24.0, "longest": 25}}
    assert (figures["trained_tokens"], figures["longest_used"], figures["cut_tokens"]) == (0, 24, 0)


@pytest.mark.parametrize(("limit", "learned"), [(8, [2, 2]), (9, [3, 3]), (100, [4, 6])])
def test_what_is_learned_ends_where_the_sequence_is_cut(limit: int, learned: list[int]) -> None:
    config = TrainConfig(train_mode="dpo", max_seq_length=limit)
    found = RowLengths.of(tokenized(*PAIRS[:2]), config)
    assert found.learned.tolist() == [learned]
    assert found.prompt.tolist() == [6]
    whole = RowLengths.of(tokenized((1, 5, 5), (1, 7, 7)), config)
    assert whole.learned.tolist() == [[4, min(limit, 7) - 1]], "nothing comes before the first token"
