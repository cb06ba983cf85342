"""Sampled answers follow from weights and seed alone; a greedy batch says what mlx-lm says to each prompt."""

from __future__ import annotations

import importlib
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm import generate

from app.core.problem import UnusableError
from app.core.system import starter
from app.worker.model.loading import load_model
from app.worker.rollout.read_prompt import ReadPrompts
from app.worker.rollout.sampling import SampledAnswer, sample, seed_of
from tests.worker.architectures import config_of
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


def built(name: str) -> nn.Module:
    """A tiny model of random weights."""
    mx.random.seed(3)
    module = importlib.import_module(f"mlx_lm.models.{name}")
    model: nn.Module = module.Model(module.ModelArgs.from_dict(config_of(name)))
    mx.eval(model.parameters())
    return model


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt_oss", "qwen3_next", "rwkv7", "falcon_h1", "deepseek_v32"])
def test_a_group_says_what_its_prompt_says_alone(name: str) -> None:
    """Whatever kind of cache is copied for each answer: keys and values, those of a sliding window (of 32 tokens,
    which the first prompt fills), states, several together."""
    model = built(name)
    random = np.random.default_rng(1)
    asked = [random.integers(0, 200, size).tolist() for size in (41, 23, 1)]
    options: dict[str, Any] = {"ends": [], "max_tokens": 6, "temperature": 0.0, "seed": 0}
    alone = [sample(model, [prompt], **options) for prompt in asked]
    found = sample(model, [prompt for prompt in asked for _ in range(3)], **options)
    assert found == [answer for one in alone for answer in (one or []) * 3]


def test_a_prompt_is_read_once_however_many_answer_it(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in positions that pass through the model: also where answers wait for a place, and where others of
    the same prompts went on."""
    model, tokenizer = loaded
    asked = [prompt for prompt in prompts(tokenizer) for _ in range(20)]
    plain = type(model).__call__
    read: list[int] = []

    def counted(self: Any, inputs: mx.array, *rest: Any, **options: Any) -> Any:
        if inputs.shape[1] > 1:
            read.append(inputs.size)
        return plain(self, inputs, *rest, **options)

    monkeypatch.setattr(type(model), "__call__", counted)
    answers(loaded, asked, max_tokens=3)
    first, second, third = (len(prompt) - 1 for prompt in prompts(tokenizer))
    assert read == [2 * max(first, second), third]


def test_what_was_read_is_forgotten_with_the_last_answer(loaded: tuple[Any, Any]) -> None:
    waiting = ReadPrompts(loaded[0], [[5, 6, 7]] * 3 + [[8, 9]] + [[4]] * 2)
    assert len(waiting) == 6
    inputs, (first, second) = waiting.begun(0, 2)
    assert inputs == [[7], [7]]
    assert first is second
    assert first is not None
    assert [cache.size() for cache in first] == [2] * len(loaded[0].layers)
    inputs, caches = waiting.begun(2, 4)
    assert inputs == [[7], [8, 9], [4], [4]]
    assert caches[0] is first
    assert caches[1:] == [None] * 3
    assert waiting._read == {}


def test_a_cache_that_holds_one_answer_only_is_told(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.rollout.sampling.make_prompt_cache", lambda _: [object()])
    with pytest.raises(UnusableError, match="several answers"):
        answers(loaded, prompts(loaded[1]))
