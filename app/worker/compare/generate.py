"""The answering worker: one loaded base model, a column for it and for each adapter, answers streamed.

The job names the base and one adapter a column, none for the base itself. After `Ready` it takes `Ask`,
`LoadAdapters`,
``stop`` (the answer in progress) and the end of its input. An adapter that does not fit, or a request that fails,
costs its own answer and nothing else: the last `Answered` of that column says why.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm import stream_generate
from mlx_lm.models.cache import KVCache, make_prompt_cache
from mlx_lm.sample_utils import make_logits_processors, make_sampler

from app.core.model.folder import locate_model
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.command import Ask, Command, EndOfInput, LoadAdapters, Refused, Stop
from app.core.protocol.job import GenerateJob
from app.core.protocol.question import Question
from app.worker.model.adapter_switch import Adapter, AdapterSwitch
from app.worker.model.loading import load_model
from app.worker.process.channel import Channel
from app.worker.process.free_memory import free_memory_bytes
from app.worker.token.template_limit import limited_template

MEMORY_SHARE = 0.9


class _StoppedError(Exception):
    """Somebody asked to stop while the prompt was being read."""


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: an adapter (None for the base) and how much of it is used, or why it cannot answer.

    ``loaded`` is the adapter as it is on disk, ``adapter`` the same at the column's strength.
    """

    name: str | None
    strength: float = 1.0
    loaded: Adapter | None = None
    adapter: Adapter | None = None
    problem: str = ""

    def as_dict(self) -> dict[str, str | None]:
        """What the parent is told of it; ``kind`` is base, lora, dora, full, or empty if it cannot answer."""
        kind = "base" if self.name is None else self.adapter.kind if self.adapter is not None else ""
        return {"adapter": self.name, "kind": kind, "problem": self.problem}


def serve(channel: Channel, job_dir: Path, job: GenerateJob) -> None:
    """Loads the base once, then answers until the end of input. Raises `UnusableError` for an unusable model."""
    del job_dir
    channel.emit(event.Progressed(phase="Loading the model"))
    model, tokenizer = load_model(locate_model(job.model))
    server = AnswerServer(channel, model, tokenizer)
    server.load(job.adapters, job.strengths)
    channel.emit(event.Ready())
    server.run()
    channel.emit(event.Finished())


class AnswerServer:
    """Answers requests one after the other, each of its columns in turn, from one base model."""

    def __init__(self, channel: Channel, model: nn.Module, tokenizer: Any) -> None:
        self._channel = channel
        self._model = model
        self._tokenizer = tokenizer
        self._switch = AdapterSwitch(model)
        self._columns: list[_Column] = []
        self._waiting: deque[Command] = deque()
        channel.refuse = self._refuse
        self._said: set[str] = set()

    def run(self) -> None:
        """Takes commands until the end of input."""
        while True:
            command = self._waiting.popleft() if self._waiting else self._channel.wait()
            match command:
                case EndOfInput():
                    return
                case LoadAdapters():
                    self.load(command.adapters, command.strengths)
                    self._channel.emit(event.Ready())
                case Ask():
                    self.answer(command)
                case Stop():
                    pass  # nothing is being answered
                case _:
                    self._channel.decline(command)

    def load(self, names: Sequence[str | None], strengths: Sequence[float] = ()) -> None:
        """Makes one column for each of ``names`` and tells which of them fit the base.

        ``strengths`` are one for each; what is missing is 1.
        """
        given = [*strengths, *[1.0] * (len(names) - len(strengths))]
        self._columns = [self._column(name, strength) for name, strength in zip(names, given, strict=False)]
        self._switch.keep(column.loaded for column in self._columns)
        mx.clear_cache()
        self._channel.emit(event.Result(name="columns", data={"columns": [c.as_dict() for c in self._columns]}))

    def _column(self, name: str | None, strength: float, known: Adapter | None = None) -> _Column:
        """The column of an adapter; ``known`` is it as it was loaded before, at this strength by now."""
        if name is None:
            return _Column(None)
        try:
            loaded = self._switch.load(Path(name))
        except UnusableError as error:
            return _Column(name, strength, problem="\n".join(p.sentence() for p in error.problems))
        return _Column(name, strength, loaded, known or loaded.at(strength))

    def answer(self, asked: Ask) -> None:
        """Streams the answers to one question; a fault is told in the last piece of its column."""
        number, question = asked.request, asked.question
        try:
            columns = self._asked(asked)
            prompts = self._prompts(question, len(columns))
        except UnusableError as error:
            self._tell_unusable(number, asked.columns, "\n".join(p.sentence() for p in error.problems))
            return
        self._refresh()
        seed = question.seed if question.seed is not None else time.time_ns() % 2**32
        stopped = False
        for index, tokens in zip(columns, prompts, strict=True):
            if stopped:
                self._end(number, index, "stopped")
            elif problem := self._columns[index].problem:
                self._end(number, index, "unusable", problem)
            else:
                stopped = not self._answer_column(asked, index, tokens, seed)

    def _answer_column(self, asked: Ask, index: int, tokens: list[int], seed: int) -> bool:
        """Streams one column; False if it was stopped."""
        self._switch.use(self._columns[index].adapter)
        mx.random.seed(seed)
        mx.reset_peak_memory()
        try:
            return self._stream(asked, index, tokens)
        except _StoppedError:
            self._end(asked.request, index, "stopped")
            return False
        except UnusableError as error:
            self._end(asked.request, index, "unusable", error.problems[0].sentence())
        except Exception as error:  # one answer that fails must not take the loaded model with it
            traceback.print_exc()
            self._end(asked.request, index, "error", _in_words(error))
        finally:
            mx.clear_cache()
        return True

    def _stream(self, asked: Ask, index: int, tokens: list[int]) -> bool:
        started, first_token_s, stopped = time.perf_counter(), 0.0, False
        responses = self._responses(asked.question, tokens)
        for response in responses:
            first_token_s = first_token_s or time.perf_counter() - started
            stopped = response.finish_reason is None and self._is_stopped()
            if response.text and response.finish_reason is None and not stopped:
                self._channel.emit(event.Answered(request=asked.request, column=index, text=response.text))
            if stopped or response.finish_reason is not None:
                break
        responses.close()
        self._channel.emit(
            event.Answered(
                request=asked.request,
                column=index,
                text=response.text,
                done=True,
                prompt_tokens=response.prompt_tokens,
                generation_tokens=response.generation_tokens,
                tokens_per_second=response.generation_tps,
                first_token_s=first_token_s,
                peak_memory_gb=mx.get_peak_memory() / 1e9,
                finish_reason="stopped" if stopped else response.finish_reason,
            )
        )
        return not stopped

    def _responses(self, question: Question, tokens: list[int]) -> Generator[Any, None, None]:
        cache = make_prompt_cache(self._model)

        def reading(done: int, total: int) -> None:
            if self._is_stopped():
                raise _StoppedError
            if 0 < done < total:
                self._channel.emit(event.Progressed(phase="Reading the prompt", done=done, total=total))
                _check_memory(cache, total - done)

        responses: Generator[Any, None, None] = stream_generate(
            self._model,
            self._tokenizer,
            tokens,
            max_tokens=question.max_tokens,
            sampler=make_sampler(question.temp, question.top_p, question.min_p, top_k=question.top_k),
            logits_processors=make_logits_processors(repetition_penalty=question.repetition_penalty),
            prompt_cache=cache,
            prompt_progress_callback=reading,
        )
        return responses

    def _refuse(self, refused: Refused) -> None:
        """A question that cannot be read is answered with the reason: somebody waits for it."""
        if refused.tree.get("command") != Ask.model_fields["command"].default:
            self._channel.emit(event.Warned(message=refused.reason))
            return
        number, named = refused.tree.get("request"), refused.tree.get("columns")
        columns = [c for c in named if isinstance(c, int)] if isinstance(named, list) else []
        self._tell_unusable(number if isinstance(number, int) else 0, columns, refused.reason)

    def _tell_unusable(self, number: int, columns: Sequence[int] | None, why: str) -> None:
        for index in columns or range(len(self._columns)):
            self._end(number, index, "unusable", why)

    def _refresh(self) -> None:
        """Reads adapters again that changed on disk since they were loaded: a run may still be training them."""
        self._columns = [self._renewed(column) for column in self._columns]
        self._switch.keep(column.loaded for column in self._columns)

    def _renewed(self, column: _Column) -> _Column:
        found = self._column(column.name, column.strength, column.adapter)
        return found if found.loaded is column.loaded else self._column(column.name, column.strength)

    def _asked(self, asked: Ask) -> list[int]:
        count = len(self._columns)
        columns = list(range(count)) if asked.columns is None else list(asked.columns)
        if strange := [index for index in columns if not 0 <= index < count]:
            raise UnusableError([Problem("columns", f"There is no column {strange[0]}; there are {count}.")])
        return columns

    def _prompts(self, question: Question, columns: int) -> list[list[int]]:
        """The token ids that each column is given."""
        if question.is_empty:
            raise UnusableError([Problem("prompt", "There is neither a prompt nor a message.")])
        if not question.conversations:
            return [self._prompt_tokens(question, question.turns())] * columns
        if len(question.conversations) != columns:
            said = f"There are {len(question.conversations)} conversations for {columns} columns."
            raise UnusableError([Problem("conversations", said)])
        return [self._prompt_tokens(question, question.turns(place)) for place in range(columns)]

    def _prompt_tokens(self, question: Question, given: list[dict[str, str]]) -> list[int]:
        """The token ids of a conversation; the chat template is applied unless the question is raw."""
        turns = [{key: _clean(value) for key, value in turn.items()} for turn in given]
        templated = self._tokenizer.has_chat_template and not question.raw
        if templated:
            text = self._templated(turns)
        else:
            text = "\n".join(turn["content"] for turn in turns)
            if not question.raw:
                self._warn_once("The tokenizer has no chat template; the prompt is given to the model as it is.")
        tokens = list(self._tokenizer.encode(text, add_special_tokens=not templated))
        if not tokens:
            raise UnusableError([Problem("prompt", "The prompt is empty.")])
        self._warn_of_length(len(tokens))
        return tokens

    def _templated(self, turns: list[dict[str, str]]) -> str:
        try:
            with limited_template():
                return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        except UnusableError:
            raise
        except Exception as error:  # a template is a program of the model's author and may raise anything
            said = f"The model's chat template refuses this conversation: {error}."
            raise UnusableError([Problem("messages", said)]) from error

    def _warn_of_length(self, tokens: int) -> None:
        limit = getattr(getattr(self._model, "args", None), "max_position_embeddings", None)
        if isinstance(limit, int) and tokens > limit:
            self._warn_once(f"The prompt has {tokens:,} tokens; this model was made for up to {limit:,}.")

    def _warn_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._channel.emit(event.Warned(message=message))

    def _is_stopped(self) -> bool:
        """True if somebody asked to stop; other commands wait for their turn."""
        while (command := self._channel.poll()) is not None:
            if isinstance(command, Stop):
                return True
            self._waiting.append(command)
            if isinstance(command, EndOfInput):
                return True
        return False

    def _end(self, request: int, column: int, reason: str, message: str = "") -> None:
        self._channel.emit(
            event.Answered(request=request, column=column, done=True, finish_reason=reason, message=message)
        )


def _check_memory(cache: list[Any], left: int) -> None:
    """Raises `UnusableError` if the cache will not fit for the ``left`` tokens of the prompt still to be read."""
    # The room in a cache grows in steps: what it takes for a token is its size over its room, not over its content.
    each = sum(entry.nbytes / entry.keys.shape[2] for entry in cache if isinstance(entry, KVCache))
    needed, free = each * left, free_memory_bytes()
    if needed > free * MEMORY_SHARE:
        figures = f"it needs {needed / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free"
        said = f"The prompt is too long for the memory: {figures}."
        raise UnusableError([Problem("prompt", said, hint="Shorten it, or use a smaller model.")])


def _clean(text: str) -> str:
    """Text without lone surrogates (undecodable bytes of a command line), which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _in_words(error: Exception) -> str:
    text = str(error)
    if isinstance(error, MemoryError) or "allocate" in text or "Insufficient Memory" in text:
        return "The memory is not enough for this answer. Shorten the prompt, or ask for fewer tokens."
    return f"{type(error).__name__}: {text}"
