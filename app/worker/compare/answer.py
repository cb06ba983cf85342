"""Answers as they come: of one prompt alone as stock mlx-lm says it, of several in one batch.

In a batch every prompt has its own end, its own seed and its own fault, and is answered as it is alone, but for
rounding: a product of several rows may add in another order than that of one, so that logits differ in their last
bits. Where two tokens tie but for that, the batch may take the other one, as another machine may, and from there on
the answer is another. On a CPU that is rare: none of 2,400 tokens of the starter, in float32, both kinds of 16 bit
or 4 bits. A random model of 16 bit, whose tokens tie all the time, shows it (`tests.worker.compare.test_answer`).
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.generate import BatchGenerator, stream_generate
from mlx_lm.models.cache import ArraysCache, KVCache, make_prompt_cache
from mlx_lm.sample_utils import make_logits_processors, make_sampler

from app.core.language import tr
from app.core.model.answer_size import ANSWERS_AT_ONCE, CACHE_STEP
from app.core.problem import Problem, UnusableError
from app.core.protocol.question import Question
from app.worker.compare.seeded_sampler import DrawKeys, row_sampler
from app.worker.process.free_memory import free_memory_bytes

if TYPE_CHECKING:
    from app.worker.process.progress import Progress

MEMORY_SHARE = 0.9
BATCH_SHARE = 0.5  # of the free memory, for what a batch holds at its largest
EXPECTED_TOKENS = 1024  # of an answer, at most, when room is made for a batch; whoever says more is watched
READ_AT_ONCE = 2048  # positions of prompts between two looks at whether it was stopped, as stock mlx-lm reads
# That MLX holds at the peak: a cache while it grows, logits while tokens are drawn.
CACHE_COPIES, LOGITS_COPIES = 2, 6
WATCHED_EVERY = CACHE_STEP // 2  # tokens
SPOKEN_EVERY_S = 0.1  # text of a batch: dozens of answers at once would be thousands of events a second


@dataclass(frozen=True, slots=True)
class AskedPrompt:
    """The tokens of a prompt, how those of its answer are chosen (`Question`'s fields), and the seed."""

    tokens: list[int]
    question: Question
    seed: int = 0


@dataclass(frozen=True, slots=True)
class AnswerPiece:
    """A piece of the answer to prompt ``number``; the last one has the figures, or says why it is not whole.

    ``finish_reason`` is that of `app.core.protocol.event.Answered`, empty but in the last one.
    """

    number: int
    text: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    generation_tokens: int = 0
    tokens_per_second: float = 0.0
    first_token_s: float = 0.0
    message: str = ""
    together: int = 1


class _StoppedError(Exception):
    """Somebody asked to stop while a prompt was being read."""


class _NoRoomError(MemoryError):
    """The answers of a batch grow beyond the memory."""


def streamed_answers(
    model: nn.Module,
    tokenizer: Any,
    prompts: Sequence[AskedPrompt],
    stopped: Callable[[], bool],
    reading: Progress = lambda _done, _total: None,
) -> Iterator[AnswerPiece]:
    """The answers to all prompts, a last piece for each; as many together as there is room for.

    ``stopped`` is asked at every token; if it is true once, all answers in progress end. MLX's random state is
    changed by prompts that are answered alone. The model must be in evaluation mode.
    """
    rows = [_Row(number, prompt, tokenizer.detokenizer) for number, prompt in enumerate(prompts)]
    room = _Room.of(model) if len(rows) > 1 else None
    batched, alone = _divided(rows, room)
    done = False

    def heard() -> bool:
        nonlocal done
        done = done or stopped()
        return done

    if room is not None and batched:
        yield from _together(model, tokenizer, batched, room, heard, reading)
    for row in alone:
        yield from _alone(model, tokenizer, row, heard, reading)


@dataclass(slots=True)
class _Row:
    """One prompt in progress, and what is said by now."""

    number: int
    prompt: AskedPrompt
    detokenizer: Any
    said: list[int] = field(default_factory=list)
    first: float = 0.0
    is_done: bool = False

    @property
    def longest(self) -> int:
        """Tokens that room is made for."""
        return len(self.prompt.tokens) + min(self.prompt.question.max_tokens, EXPECTED_TOKENS)

    def piece(self, *, began: float, reason: str = "", message: str = "", together: int = 1) -> AnswerPiece:
        """What was said since the last piece."""
        if not reason:
            return AnswerPiece(self.number, self.detokenizer.last_segment)
        self.is_done = True
        self.detokenizer.finalize()
        spent = time.perf_counter() - self.first if self.first else 0.0
        rate = len(self.said) / spent if spent and len(self.said) > 1 else 0.0  # no time passes within one token
        return AnswerPiece(
            self.number,
            self.detokenizer.last_segment,
            reason,
            len(self.prompt.tokens) if self.said else 0,
            len(self.said),
            rate,
            self.first - began if self.first else 0.0,
            message,
            together,
        )


@dataclass(frozen=True, slots=True)
class _Room:
    """What one answer takes of a model's memory, in bytes: for each token, and once."""

    token: float
    fixed: float

    @classmethod
    def of(cls, model: nn.Module) -> _Room | None:
        """Without computing anything; None for a model whose cache holds one answer at a time."""
        cache = make_prompt_cache(model)
        if not all(hasattr(entry, "merge") for entry in cache):
            return None
        vocabulary = model(mx.zeros((1, 1), mx.int32), cache=cache).shape[-1]
        states = [entry for entry in cache if isinstance(entry, ArraysCache)]
        growing = [entry for entry in cache if not isinstance(entry, ArraysCache)]
        # What holds a token by now has room for a step of them.
        token = CACHE_COPIES * sum(entry.nbytes for entry in growing) / CACHE_STEP
        return cls(token, CACHE_COPIES * sum(e.nbytes for e in states) + LOGITS_COPIES * 4 * vocabulary)

    def rows(self, longest: int) -> int:
        """How many answers fit that grow to ``longest`` tokens."""
        steps = -(-longest // CACHE_STEP) * CACHE_STEP
        return int(free_memory_bytes() * BATCH_SHARE / (self.token * steps + self.fixed))


def _divided(rows: list[_Row], room: _Room | None) -> tuple[list[_Row], list[_Row]]:
    """Those that are answered in a batch, the longest first, and those that are too long to stand beside others."""
    if room is None:
        return [], rows
    ordered = sorted(rows, key=lambda row: -row.longest)
    first = next((at for at, row in enumerate(ordered) if room.rows(row.longest) >= 2), len(ordered))
    return (ordered[first:], ordered[:first]) if len(ordered) - first > 1 else ([], rows)


# -- several ------------------------------------------------------------------------------------------------------


def _together(
    model: nn.Module,
    tokenizer: Any,
    rows: list[_Row],
    room: _Room,
    stopped: Callable[[], bool],
    reading: Progress,
) -> Iterator[AnswerPiece]:
    """What fails is tried again with half as many at once, from where it was, until the one is known that fails."""
    began = time.perf_counter()
    most = at_once = min(ANSWERS_AT_ONCE, room.rows(rows[0].longest), len(rows))
    has_failed = False
    while waiting := [row for row in rows if not row.is_done]:
        # None moves up any more once something has failed: who stands there alone is the one that fails.
        now = waiting[:at_once] if has_failed else waiting
        try:
            yield from _batch(model, tokenizer, now, at_once, room, began, stopped, reading)
        except Exception as error:  # one answer that fails must not take the others with it
            has_failed = True
            if at_once > 1:
                at_once //= 2
                most = at_once if _is_short_of_memory(error) else most
                continue
            traceback.print_exc()
            yield now[0].piece(began=began, reason="error", message=_in_words(error))
            at_once = most
        finally:
            mx.clear_cache()


def _batch(
    model: nn.Module,
    tokenizer: Any,
    rows: list[_Row],
    at_once: int,
    room: _Room,
    began: float,
    stopped: Callable[[], bool],
    reading: Progress,
) -> Iterator[AnswerPiece]:
    with closing(
        BatchGenerator(
            model,
            stop_tokens=[[token] for token in tokenizer.eos_token_ids],
            completion_batch_size=at_once,
            prefill_batch_size=at_once,
            prefill_step_size=max(1, READ_AT_ONCE // at_once),
        )
    ) as generator:
        by_uid, read = _inserted(generator, rows), dict.fromkeys(range(len(rows)), 0)
        total = sum(len(row.prompt.tokens) for row in rows)
        told, steps, left = began, 0, len(rows)
        while left:
            if stopped():
                yield from (
                    row.piece(began=began, reason="stopped", together=at_once) for row in rows if not row.is_done
                )
                return
            prompts, answers = generator.next()
            for response in prompts:
                read[response.uid] = response.progress[0]
            if prompts:
                reading(min(sum(read.values()), total), total)
            now = time.perf_counter()
            for response in answers:
                row = by_uid[response.uid]
                if not row.said and _has_no_numbers(response):
                    left -= 1
                    if response.finish_reason is None:
                        generator.remove([response.uid])
                    message = _no_numbers().problems[0].sentence()
                    yield row.piece(began=began, reason="unusable", message=message, together=at_once)
                    continue
                row.said.append(int(response.token))
                row.first = row.first or now
                if response.finish_reason != "stop":
                    row.detokenizer.add_token(row.said[-1])
                if response.finish_reason is not None:
                    left -= 1
                    yield row.piece(began=began, reason=response.finish_reason, together=at_once)
            if now - told >= SPOKEN_EVERY_S:
                told = now
                yield from _new_texts(rows, began)
            steps += 1
            if steps % WATCHED_EVERY == 0 and at_once > 1 and room.token * CACHE_STEP * left > free_memory_bytes():
                raise _NoRoomError


def _new_texts(rows: list[_Row], began: float) -> Iterator[AnswerPiece]:
    for row in rows:
        if row.said and not row.is_done and (piece := row.piece(began=began)).text:
            yield piece


def _inserted(generator: Any, rows: list[_Row]) -> dict[int, _Row]:
    """Gives a generator the rows, each from where it is."""
    keys: dict[int, DrawKeys] = {}
    samplers, processors = [], []
    for row in rows:
        question, seed = row.prompt.question, row.prompt.seed
        samplers.append(row_sampler(question, keys.setdefault(seed, DrawKeys(seed)), len(row.said)))
        processors.append(make_logits_processors(repetition_penalty=question.repetition_penalty))
    uids = generator.insert(
        [[*row.prompt.tokens, *row.said] for row in rows],
        [row.prompt.question.max_tokens - len(row.said) for row in rows],
        samplers=samplers,
        logits_processors=processors,
    )
    return dict(zip(uids, rows, strict=True))


# -- one ----------------------------------------------------------------------------------------------------------


def _alone(
    model: nn.Module, tokenizer: Any, row: _Row, stopped: Callable[[], bool], reading: Progress
) -> Iterator[AnswerPiece]:
    began = time.perf_counter()
    if stopped():
        yield row.piece(began=began, reason="stopped")
        return
    try:
        yield from _one(model, tokenizer, row, stopped, reading, began)
    except _StoppedError:
        yield AnswerPiece(row.number, finish_reason="stopped")
    except UnusableError as error:
        yield AnswerPiece(row.number, finish_reason="unusable", message=error.problems[0].sentence())
    except Exception as error:  # one answer that fails must not take the loaded model with it
        traceback.print_exc()
        yield AnswerPiece(row.number, finish_reason="error", message=_in_words(error))
    finally:
        mx.clear_cache()


def _one(
    model: nn.Module, tokenizer: Any, row: _Row, stopped: Callable[[], bool], reading: Progress, began: float
) -> Iterator[AnswerPiece]:
    first_token_s, is_stopped = 0.0, False
    mx.random.seed(row.prompt.seed)
    responses = _responses(model, tokenizer, row.prompt, stopped, reading)
    for response in responses:
        if not first_token_s and _has_no_numbers(response):
            raise _no_numbers()
        first_token_s = first_token_s or time.perf_counter() - began
        is_stopped = response.finish_reason is None and stopped()
        if is_stopped or response.finish_reason is not None:
            break
        if response.text:
            yield AnswerPiece(row.number, response.text)
    responses.close()
    yield AnswerPiece(
        row.number,
        response.text,
        "stopped" if is_stopped else response.finish_reason,
        response.prompt_tokens,
        response.generation_tokens,
        response.generation_tps if response.generation_tokens > 1 else 0.0,  # no time passes within one token
        first_token_s,
    )


def _responses(
    model: nn.Module, tokenizer: Any, prompt: AskedPrompt, stopped: Callable[[], bool], reading: Progress
) -> Any:
    cache = make_prompt_cache(model)
    question = prompt.question

    def read(done: int, total: int) -> None:
        if stopped():
            raise _StoppedError
        if 0 < done < total:
            reading(done, total)
            _check_memory(cache, total - done)

    return stream_generate(
        model,
        tokenizer,
        prompt.tokens,
        max_tokens=question.max_tokens,
        sampler=make_sampler(question.temp, question.top_p, question.min_p, top_k=question.top_k),
        logits_processors=make_logits_processors(repetition_penalty=question.repetition_penalty),
        prompt_cache=cache,
        prompt_progress_callback=read,
    )


def _check_memory(cache: list[Any], left: int) -> None:
    """Raises `UnusableError` if the cache will not fit for the ``left`` tokens of the prompt still to be read."""
    # The room in a cache grows in steps: what it takes for a token is its size over its room, not over its content.
    each = sum(entry.nbytes / entry.keys.shape[2] for entry in cache if isinstance(entry, KVCache))
    needed, free = each * left, free_memory_bytes()
    if needed > free * MEMORY_SHARE:
        figures = tr(
            "it needs {needed:.1f}\u00a0GB more, {free:.1f}\u00a0GB are free", needed=needed / 1e9, free=free / 1e9
        )
        said = tr("The prompt is too long for the memory: {figures}.", figures=figures)
        raise UnusableError([Problem("prompt", said, hint=tr("Shorten it, or use a smaller model."))])


def _has_no_numbers(response: Any) -> bool:
    """Whether a token was drawn from what is no likelihood: it would be the first one of the vocabulary, whatever
    was asked."""
    return bool(mx.isnan(response.logprobs).any())


def _no_numbers() -> UnusableError:
    said = tr("There is no answer: the likelihoods of its tokens are no numbers.")
    hint = tr("The weights are too large to compute with. Try a lower strength, or an earlier checkpoint.")
    return UnusableError([Problem("adapters", said, hint=hint)])


def _is_short_of_memory(error: Exception) -> bool:
    """Whether MLX says that there is no memory left."""
    text = str(error)
    return isinstance(error, MemoryError) or "allocate" in text or "Insufficient Memory" in text


def _in_words(error: Exception) -> str:
    """What a failed answer is told by."""
    if _is_short_of_memory(error):
        return tr("The memory is not enough for this answer. Shorten the prompt, or ask for fewer tokens.")
    return f"{type(error).__name__}: {error}"
