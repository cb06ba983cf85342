"""Sampled answers follow from weights and seed alone; a greedy batch says what mlx-lm says to each prompt."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest
from mlx_lm import generate

from app.core.problem import UnusableError
from app.core.system import starter
from app.worker.model.loading import load_model
from app.worker.rollout.sampling import SampledAnswer, sample, seed_of
from tests.worker.training import random_words

QUESTIONS = ("What day comes after Thursday?", "Name the capital of Russia.", "Count the legs of a sheep.")


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    return load_model(starter.model_dir())


def prompts(tokenizer: Any) -> list[list[int]]:
    return [
        tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True)
        for question in QUESTIONS
    ]


def answers(loaded: tuple[Any, Any], inputs: list[list[int]], **options: Any) -> list[SampledAnswer]:
    model, tokenizer = loaded
    settings = {"max_tokens": 24, "temperature": 1.0, "seed": 3} | options
    found = sample(model, inputs, ends=sorted(tokenizer.eos_token_ids), **settings)
    assert found is not None
    return found


def test_greedy_is_mlx_lms(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    for found, prompt in zip(answers(loaded, prompts(tokenizer), temperature=0.0), prompts(tokenizer), strict=True):
        assert tokenizer.decode(found.tokens[:-1]) == generate(model, tokenizer, prompt, max_tokens=24)
        assert not found.cut
        assert found.tokens[-1] in tokenizer.eos_token_ids


def test_the_seed_decides(loaded: tuple[Any, Any]) -> None:
    """The global random state is neither read nor changed, and the model stays in its mode."""
    model, tokenizer = loaded
    inputs = prompts(tokenizer) * 3
    mx.random.seed(1)
    before = random_words()
    model.train()
    first = answers(loaded, inputs, temperature=1.5)
    assert model.training
    assert random_words() == before
    mx.random.seed(2)
    assert answers(loaded, inputs, temperature=1.5) == first
    assert answers(loaded, inputs, temperature=1.5, seed=4) != first
    assert len({tuple(found.tokens) for found in first}) > len(QUESTIONS)


def test_more_prompts_than_places_keep_their_order(loaded: tuple[Any, Any]) -> None:
    inputs = prompts(loaded[1]) * 14
    found = answers(loaded, inputs, temperature=0.0)
    assert found == answers(loaded, inputs[:3], temperature=0.0) * 14


def test_the_limit_cuts(loaded: tuple[Any, Any]) -> None:
    found = answers(loaded, prompts(loaded[1]), max_tokens=2)
    assert all(answer.cut and len(answer.tokens) == 2 for answer in found)


def test_it_can_be_cancelled(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    ends = sorted(tokenizer.eos_token_ids)
    found = sample(
        model,
        prompts(tokenizer),
        ends=ends,
        max_tokens=24,
        temperature=1.0,
        seed=3,
        cancelled=lambda: True,
    )
    assert found is None


def test_seeds_differ() -> None:
    assert len({seed_of(seed, number) for seed in range(20) for number in range(-1, 20)}) == 420


def test_a_group_is_generated_in_one_batch(loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """As many passes through the model as its longest answer alone takes; `tests/bench/bench_group.py` times it."""
    model, tokenizer = loaded
    prompt = prompts(tokenizer)[:1]
    plain = type(model).__call__
    rows: list[int] = []

    def counted(self: Any, inputs: mx.array, *rest: Any, **options: Any) -> Any:
        rows.append(inputs.shape[0])
        return plain(self, inputs, *rest, **options)

    monkeypatch.setattr(type(model), "__call__", counted)
    answers(loaded, prompt, temperature=0.0)
    alone = len(rows)
    rows.clear()
    answers(loaded, prompt * 8, temperature=0.0)
    assert len(rows) == alone
    assert max(rows) == 8


def test_a_cache_that_holds_one_answer_only_is_told(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.rollout.sampling.make_prompt_cache", lambda _: [object()])
    with pytest.raises(UnusableError, match="several answers"):
        answers(loaded, prompts(loaded[1]))
