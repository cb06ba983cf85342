"""Answers in one batch: those of each prompt alone, as stock mlx-lm gives them, whatever the others are and do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm import load, stream_generate
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import KVCache
from mlx_lm.sample_utils import make_logits_processors, make_sampler

from app.core.protocol.question import Question
from app.worker.compare import answer
from app.worker.compare.answer import AnswerPiece, AskedPrompt, streamed_answers
from tests.worker.tiny_model import write_model

Answer = tuple[str, str, int, int]  # text, finish reason, tokens of the prompt and of the answer
PROMPTS = ["a", "Who made this violin?", "x" * 300, "In which year was that, and where?", "", "b" * 17]


def model_of(folder: Path, **more: Any) -> tuple[Any, Any]:
    """A model whose answers differ in length: every token of a vowel ends one."""
    write_model(folder, layers=2, hidden_size=64, **more)
    model, tokenizer = load(str(folder))
    tokenizer.eos_token_ids = {1, *(tokenizer.encode(vowel)[0] for vowel in "aeiou")}
    return model, tokenizer


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return model_of(tmp_path_factory.mktemp("model"))


def asked(tokenizer: Any, texts: list[str] = PROMPTS, **settings: Any) -> list[AskedPrompt]:
    question = Question(**{"max_tokens": 40, **settings})
    return [AskedPrompt([2, *tokenizer.encode(text), 3], question, question.seed or 0) for text in texts]


def answers(model: Any, tokenizer: Any, prompts: list[AskedPrompt], **more: Any) -> list[Answer]:
    """The pieces put together, in the order of the prompts; each has one last piece, and nothing behind it."""
    texts, last = dict.fromkeys(range(len(prompts)), ""), dict[int, AnswerPiece]()
    for piece in streamed_answers(model, tokenizer, prompts, more.pop("stopped", lambda: False), **more):
        assert piece.number not in last
        texts[piece.number] += piece.text
        if piece.finish_reason:
            last[piece.number] = piece
    return [
        (texts[n], last[n].finish_reason, last[n].prompt_tokens, last[n].generation_tokens) for n in sorted(texts)
    ]


def stock(model: Any, tokenizer: Any, prompt: AskedPrompt) -> Answer:
    """What mlx-lm's own loop says to one prompt."""
    question, text = prompt.question, ""
    mx.random.seed(prompt.seed)
    for found in stream_generate(
        model,
        tokenizer,
        prompt.tokens,
        max_tokens=question.max_tokens,
        sampler=make_sampler(question.temp, question.top_p, question.min_p, top_k=question.top_k),
        logits_processors=make_logits_processors(repetition_penalty=question.repetition_penalty),
    ):
        text += found.text
    return text, str(found.finish_reason), found.prompt_tokens, found.generation_tokens


SETTINGS: list[dict[str, Any]] = [
    {},
    {"max_tokens": 1},
    {"temp": 1.0, "seed": 5},
    {"temp": 0.7, "top_p": 0.8, "top_k": 50, "min_p": 0.01, "seed": 6},
    {"repetition_penalty": 1.3},
    {"temp": 1.5, "repetition_penalty": 1.1, "seed": 2**40},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_batch_answers_as_stock_mlx_lm_does_alone(loaded: tuple[Any, Any], settings: dict[str, Any]) -> None:
    model, tokenizer = loaded
    prompts = asked(tokenizer, **settings)
    found = answers(model, tokenizer, prompts)
    assert found == [stock(model, tokenizer, prompt) for prompt in prompts]
    if not settings:
        assert {reason for _, reason, _, _ in found} == {"stop", "length"}, "both ends come up"
        assert len({count for _, _, _, count in found}) > 2, "of different lengths"


def test_every_prompt_has_settings_and_a_seed_of_its_own(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    prompts = [found for at, given in enumerate(SETTINGS) for found in asked(tokenizer, [PROMPTS[at]], **given)]
    assert answers(model, tokenizer, prompts) == [stock(model, tokenizer, prompt) for prompt in prompts]


def test_more_prompts_than_stand_together_wait_for_a_place(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = loaded
    monkeypatch.setattr(answer, "ANSWERS_AT_ONCE", 3)
    prompts = asked(tokenizer, [text * times for text in PROMPTS for times in (1, 2)], temp=1.0, seed=9)
    assert answers(model, tokenizer, prompts) == [stock(model, tokenizer, prompt) for prompt in prompts]


def test_a_long_prompt_is_read_in_parts_between_which_a_stop_is_heard(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = loaded
    monkeypatch.setattr(answer, "READ_AT_ONCE", 64)
    prompts, read = asked(tokenizer), list[tuple[int, int]]()
    wanted = answers(model, tokenizer, prompts, reading=lambda done, total: read.append((done, total)))
    assert wanted == [stock(model, tokenizer, prompt) for prompt in prompts]
    total = sum(len(prompt.tokens) for prompt in prompts)
    assert sorted(read) == read
    assert read[-1] == (total, total)
    assert len(read) > 10
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        return looks > 4

    found = answers(model, tokenizer, prompts, stopped=stopped)
    assert looks == 5, "and nobody is asked again"
    assert [reason for _, reason, _, _ in found].count("stopped") >= 4


def test_a_stop_ends_all_and_keeps_what_was_said(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    prompts, looks = asked(tokenizer, max_tokens=30), 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        return looks > 8

    found = answers(model, tokenizer, prompts, stopped=stopped)
    whole = answers(model, tokenizer, prompts)
    assert "stopped" in {reason for _, reason, _, _ in found}
    for (text, reason, _, count), (all_of_it, its_end, _, its_count) in zip(found, whole, strict=True):
        assert all_of_it.startswith(text)
        assert reason == its_end if count == its_count else reason == "stopped"


def failing_at(model: Any, monkeypatch: pytest.MonkeyPatch, is_bad: Callable[[mx.array], bool]) -> None:
    """The model fails whenever it is given such inputs (rows, width)."""
    kind = type(model)
    plain = kind.__call__

    def call(self: Any, inputs: mx.array, *args: Any, **kwargs: Any) -> mx.array:
        if is_bad(inputs):
            raise RuntimeError("[metal::malloc] Attempting to allocate too much")
        return plain(self, inputs, *args, **kwargs)

    monkeypatch.setattr(kind, "__call__", call)


def test_a_prompt_that_fails_costs_its_own_answer_only(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever reads the poison fails; the others go on from where they were, and their answers are the same."""
    model, tokenizer = loaded
    prompts = asked(tokenizer, max_tokens=10)
    wanted = [stock(model, tokenizer, prompt) for prompt in prompts]
    said = {token for each in tokens_of(model, prompts, 1) for token in each}
    poison = next(token for token in range(4, 260) if token not in said.union(*(p.tokens for p in prompts)))
    failing_at(model, monkeypatch, lambda inputs: bool((inputs == poison).any()))
    found = answers(model, tokenizer, [*prompts[:3], replace(prompts[0], tokens=[2, poison, 3]), *prompts[3:]])
    assert found[3] == ("", "error", 0, 0)
    assert found[:3] + found[4:] == wanted


def test_where_memory_runs_out_in_the_middle_fewer_go_on_together(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = loaded
    prompts = asked(tokenizer, temp=1.0, seed=3)
    wanted = [stock(model, tokenizer, prompt) for prompt in prompts]
    steps = 0

    def is_bad(inputs: mx.array) -> bool:
        nonlocal steps
        steps += inputs.shape[1] == 1
        return bool(steps > 6 and inputs.shape[0] > 2)

    failing_at(model, monkeypatch, is_bad)
    assert answers(model, tokenizer, prompts) == wanted


def test_a_batch_is_as_large_as_there_is_room(loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers of two heads of 16 numbers of 4 bytes, keys and values, twice while they grow: 1,024 a token."""
    model, tokenizer = loaded
    rows: list[int] = []

    class Watched(BatchGenerator):  # type: ignore[misc,unused-ignore]
        def __init__(self, *args: Any, **more: Any) -> None:
            rows.append(more["completion_batch_size"])
            super().__init__(*args, **more)

    monkeypatch.setattr(answer, "BatchGenerator", Watched)
    prompts = asked(tokenizer, ["a" * 30] * 6, max_tokens=40)
    each = 1024 * 256 + 6 * 4 * 260
    monkeypatch.setattr(answer, "free_memory_bytes", lambda: 2 * each * 4 + 1000)
    whole = answers(model, tokenizer, prompts)
    assert rows == [4]
    # Where there is room for one only, they are answered one after the other.
    monkeypatch.setattr(answer, "free_memory_bytes", lambda: 2 * each + 1000)
    assert answers(model, tokenizer, prompts) == whole
    assert rows == [4]
    # One that is too long for that stands alone, and the others together.
    rows.clear()
    monkeypatch.setattr(answer, "free_memory_bytes", lambda: 2 * each * 3 + 1000)
    prompts = asked(tokenizer, ["a" * 30, "b" * 400, "c" * 50], max_tokens=40)
    assert answers(model, tokenizer, prompts) == [stock(model, tokenizer, prompt) for prompt in prompts]
    assert rows == [2]


def test_a_cache_that_holds_one_answer_only_is_asked_one_after_the_other(
    loaded: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = loaded
    prompts = asked(tokenizer)
    wanted = answers(model, tokenizer, prompts)
    monkeypatch.delattr(KVCache, "merge")
    monkeypatch.setattr(answer, "BatchGenerator", None)
    assert answers(model, tokenizer, prompts) == wanted


@pytest.mark.parametrize("kind", [mx.bfloat16, mx.float16])
def test_where_a_batch_says_another_token_the_two_tie_but_for_rounding(tmp_path: Path, kind: mx.Dtype) -> None:
    """Random weights of 16 bit, whose likeliest tokens often tie: what differs lies within steps of rounding."""
    model, tokenizer = model_of(tmp_path, dtype=kind)
    tokenizer.eos_token_ids = {1}
    prompts = asked(tokenizer, [text + mark for text in PROMPTS for mark in "?!.,"], max_tokens=30)
    step = {mx.bfloat16: 2.0**-8, mx.float16: 2.0**-11}[kind]
    compared = 0
    for prompt, together in zip(prompts, tokens_of(model, prompts, 24), strict=True):
        (single,) = tokens_of(model, [prompt], 1)
        same = next((at for at, (a, b) in enumerate(zip(single, together, strict=True)) if a != b), None)
        compared += len(single) if same is None else same
        if same is None:
            continue
        logits = model(mx.array([[*prompt.tokens, *single[:same]]]))[0, -1].astype(mx.float32)
        gap = abs(float(logits[single[same]] - logits[together[same]]))
        assert gap <= 4 * step * float(mx.abs(logits).max())
    assert compared > 100


def tokens_of(model: Any, prompts: list[AskedPrompt], rows: int) -> list[list[int]]:
    generator = BatchGenerator(model, completion_batch_size=rows, prefill_batch_size=rows)
    uids = generator.insert([prompt.tokens for prompt in prompts], [30] * len(prompts))
    found: dict[int, list[int]] = {uid: [] for uid in uids}
    while responses := generator.next_generated():
        for response in responses:
            found[response.uid].append(int(response.token))
    generator.close()
    return [found[uid] for uid in uids]


def test_one_token_alone_has_no_speed(loaded: tuple[Any, Any]) -> None:
    """No time passes between a token and itself; what stood there was thousands of tokens a second."""
    model, tokenizer = loaded
    for texts in (["x"], ["x", "xy"]):
        for tokens in (1, 6):
            prompts = asked(tokenizer, texts, max_tokens=tokens)
            pieces = list(streamed_answers(model, tokenizer, prompts, lambda: False))
            last = [piece for piece in pieces if piece.finish_reason]
            assert [piece.tokens_per_second > 0 for piece in last] == [p.generation_tokens > 1 for p in last]
            assert {piece.generation_tokens for piece in last} >= ({1} if tokens == 1 else {6})


def test_a_model_whose_values_overflow_has_no_answer(tmp_path: Path) -> None:
    """MLX takes the first token of the vocabulary for the likeliest where none is a number."""
    model, tokenizer = model_of(tmp_path)
    model.layers[0].mlp.down_proj.weight = mx.full(model.layers[0].mlp.down_proj.weight.shape, 3e38)
    for texts in (["x"], ["x", "xy", "z"]):
        pieces = list(streamed_answers(model, tokenizer, asked(tokenizer, texts), lambda: False))
        assert [(piece.finish_reason, piece.text) for piece in pieces] == [("unusable", "")] * len(texts)
        assert all("are no numbers" in piece.message for piece in pieces)
