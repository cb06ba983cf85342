"""A model's own text: what is asked and how often, also of a model whose cache holds one answer at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

from app.core.problem import UnusableError
from app.worker.neutral import own_text as module
from app.worker.neutral.own_text import OPENINGS, QUESTIONS, SEED, own_text
from app.worker.rollout.sampling import SampledAnswer, seed_of

END = 7


class Plain:
    """A tokenizer of a model without a chat template: a token for the number of an opening."""

    has_chat_template, eos_token_ids = False, (END, 6)

    def encode(self, text: str) -> list[int]:
        return [100 + OPENINGS.index(text)]


def asking(monkeypatch: pytest.MonkeyPatch, answer: Callable[[int], list[int] | None]) -> list[dict[str, Any]]:
    """Has answers of the test's own; gives what is asked for, each time with how many prompts."""
    asked: list[dict[str, Any]] = []
    count = [0]

    def sample(model: Any, prompts: Any, **options: Any) -> list[SampledAnswer] | None:
        assert model == "model"
        cancelled = options.pop("cancelled")
        asked.append({"prompts": [prompt[0] for prompt in prompts]} | options)
        found = []
        for _ in prompts:
            tokens = answer(count[0])
            count[0] += 1
            if tokens is None or cancelled():
                return None
            found.append(SampledAnswer(tokens, False))
        return found

    monkeypatch.setattr(module, "sample", sample)
    return asked


def test_as_much_is_asked_as_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each answer the two first tokens and the end do not count; 48 are expected to."""
    asked = asking(monkeypatch, lambda number: [1, 2, *[3] * 20, END] if number < 3 else [1, 2, *[3] * 48, END])
    model: Any = "model"
    found = own_text(model, Plain(), 100, 5, together=2)
    assert found is not None
    assert [int(row.trained.sum()) for row in (found[n] for n in range(len(found)))] == [20, 20, 20, 40]
    first = {"ends": [6, END], "max_tokens": 50, "temperature": 1.0}
    seeds = [seed_of(SEED, 5, 0), seed_of(SEED, 5, 1)]
    assert asked == [
        {"prompts": [100, 101], "seed": seed_of(seeds[0], 0)} | first,
        {"prompts": [102], "seed": seed_of(seeds[0], 2)} | first,
        {"prompts": [103], "seed": seed_of(seeds[1], 0)} | first,
    ]
    assert found[0].tokens.tolist() == [100, 1, 2, *[3] * 20]
    asked.clear()
    exact = own_text(model, Plain(), 96, 5)
    assert exact is not None
    assert (int(exact.trained.sum()), [len(one["prompts"]) for one in asked]) == (96, [2])


def test_who_says_little_is_asked_four_times(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asking(monkeypatch, lambda _number: [1, 2, 3, END])
    model: Any = "model"
    found = own_text(model, Plain(), 49 * 13, 5)
    assert found is not None
    rounds = [len(one["prompts"]) for one in asked]
    assert rounds == [14, 13, 13, 13]
    assert int(found.trained.sum()) == sum(rounds), "one of each"
    assert asked[0]["prompts"][:13] == [*range(100, 112), 100], "the openings in their order, and again"
    assert asked[1]["prompts"][0] == 102


def test_a_stop_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = "model"
    asking(monkeypatch, lambda number: None if number == 3 else [1, 2, 3])
    assert own_text(model, Plain(), 300, 5, together=2) is None


def test_questions_are_asked_in_the_template_and_openings_where_it_takes_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Encoder:
        def __init__(self, tokenizer: Any) -> None:
            self._takes = tokenizer.takes

        def encode(self, rows: list[Any]) -> list[Any]:
            asked = [(turn["role"], turn["content"]) for row in rows for turn in row["prompt"]]
            assert asked == [("user", question) for question in QUESTIONS]
            return [
                SimpleNamespace(tokens=[number] if number in self._takes else []) for number in range(len(rows))
            ]

    monkeypatch.setattr(module, "PromptEncoder", Encoder)
    templated: Any = Plain()
    templated.has_chat_template, templated.takes = True, {1, 3}
    assert module._prompts(templated) == [[1], [3]]
    templated.takes = set()
    assert module._prompts(templated) == [[100 + number] for number in range(len(OPENINGS))]


def test_a_cache_of_one_answer_is_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[bool] = []
    model: Any = SimpleNamespace(training=True, eval=lambda: modes.append(False), train=modes.append)
    drawn: list[int] = []

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise UnusableError([])

    def steps(prompt: mx.array, asked: Any, max_tokens: int, sampler: Any) -> Any:
        assert (asked, max_tokens, prompt.dtype) == (model, 50, mx.int32)
        for token in ([1, END, 9], [2, 3])[int(prompt[0])]:
            drawn.append(int(sampler(mx.zeros((1, 1000)))[0]))
            yield token, None

    monkeypatch.setattr(module, "sample", refuse)
    monkeypatch.setattr(sys.modules["mlx_lm.generate"], "generate_step", steps)
    found = module._answers(model, [[0], [1]], {END}, 3, lambda: False, 8)
    assert found == [SampledAnswer([1, END], False), SampledAnswer([2, 3], True)]
    assert modes == [False, True], "the model is left as it was"
    assert len(set(drawn)) == 4
    first, drawn[:] = list(drawn), []
    assert module._answers(model, [[0], [1]], {END}, 3, lambda: False, 8) == found
    assert drawn == first, "the same for the same seed"
    assert module._answers(model, [[0], [1]], {END}, 3, lambda: True, 8) is None
    assert modes[-1] is True
