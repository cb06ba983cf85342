"""The answering worker: one loaded base model, a column for it and for each adapter, answers streamed.

The job names the base and one adapter a column, none for the base itself. After `Ready` it takes `Ask`, `AskAll`,
`LoadAdapters`, ``stop`` (the answers in progress) and the end of its input. An adapter that does not fit, or a
request that fails, costs its own answer and nothing else: the last `Answered` of that column says why.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from app.core.language import tr
from app.core.model.folder import locate_model
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.command import Ask, AskAll, Command, EndOfInput, LoadAdapters, Refused, Stop
from app.core.protocol.job import GenerateJob
from app.core.protocol.question import Question
from app.worker.compare.answer import AnswerPiece, AskedPrompt, streamed_answers
from app.worker.model.adapter_switch import Adapter, AdapterSwitch, base_warning
from app.worker.model.loading import load_model
from app.worker.process.channel import Channel
from app.worker.token.template_limit import limited_template
from app.worker.token.tokenizer import control_texts, top_k_problems

ASKED_TOGETHER = 64  # questions of a set: the first ones have all their answers long before a long set has ended


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


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one column is asked by a request, and the place of the column among those that are asked."""

    request: int
    place: int
    column: int
    prompt: AskedPrompt


def serve(channel: Channel, job_dir: Path, job: GenerateJob) -> None:
    """Loads the base once, then answers until the end of input. Raises `UnusableError` for an unusable model."""
    del job_dir
    channel.emit(event.Progressed(phase=tr("Loading the model")))
    base = locate_model(job.model)
    model, tokenizer = load_model(base)
    server = AnswerServer(channel, model, tokenizer, base)
    server.load(job.adapters, job.strengths)
    channel.emit(event.Ready())
    server.run()
    channel.emit(event.Finished())


class AnswerServer:
    """Answers requests from one base model, each of its columns in turn; those asked together in batches."""

    def __init__(self, channel: Channel, model: nn.Module, tokenizer: Any, base: Path | None = None) -> None:
        """``base`` is the model's folder, where it has one."""
        self._channel = channel
        self._base = base
        self._model = model
        self._tokenizer = tokenizer
        self._switch = AdapterSwitch(model)
        self._columns: list[_Column] = []
        self._waiting: deque[Command] = deque()
        channel.refuse = self._refuse
        self._said: set[str] = set()
        self._control = control_texts(getattr(tokenizer, "_tokenizer", tokenizer))
        self._is_ending = False  # somebody asked to stop what is being answered

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
                    self.answer([command])
                case AskAll():
                    self.answer(command.asks)
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
            if self._base is not None and (said := base_warning(Path(name), self._base)):
                self._warn_once(said)
        except UnusableError as error:
            return _Column(name, strength, problem="\n".join(p.sentence() for p in error.problems))
        return _Column(name, strength, loaded, known or loaded.at(strength))

    def answer(self, asks: Sequence[Ask]) -> None:
        """Streams the answers to questions; a fault is told in the last piece of its column.

        Of so many as are `ASKED_TOGETHER` all are asked of their first column, then of their second, and so on.
        """
        for start in range(0, len(asks), ASKED_TOGETHER):
            self._refresh()
            asked = [found for ask in asks[start : start + ASKED_TOGETHER] for found in self._read(ask)]
            for place in range(max((one.place for one in asked), default=-1) + 1):
                groups: dict[int, list[_Asked]] = {}
                for one in asked:
                    if one.place == place:
                        groups.setdefault(one.column, []).append(one)
                for index, group in groups.items():
                    self._answer_column(index, group)
        self._is_ending = False

    def _read(self, ask: Ask) -> list[_Asked]:
        """What each column of a question is given; nothing where it cannot be asked, which is told."""
        question = ask.question
        try:
            if question.temp and (problems := top_k_problems(question.top_k, self._tokenizer)):
                raise UnusableError(problems)
            columns = self._asked(ask)
            prompts = self._prompts(question, len(columns))
        except UnusableError as error:
            self._tell_unusable(ask.request, ask.columns, "\n".join(p.sentence() for p in error.problems))
            return []
        seed = question.seed if question.seed is not None else time.time_ns() % 2**32
        return [
            _Asked(ask.request, place, index, AskedPrompt(tokens, question, seed))
            for place, (index, tokens) in enumerate(zip(columns, prompts, strict=True))
        ]

    def _answer_column(self, index: int, asked: list[_Asked]) -> None:
        """Streams what one column answers to several questions."""
        problem = self._columns[index].problem
        if self._is_ending or problem:
            for one in asked:
                self._end(one.request, index, "stopped" if self._is_ending else "unusable", problem)
            return
        self._switch.use(self._columns[index].adapter)
        mx.reset_peak_memory()
        prompts = [one.prompt for one in asked]
        for piece in streamed_answers(self._model, self._tokenizer, prompts, self._is_stopped, self._reading):
            self._tell(asked[piece.number].request, index, piece)

    def _reading(self, done: int, total: int) -> None:
        self._channel.emit(event.Progressed(phase=tr("Reading the prompt"), done=done, total=total))

    def _tell(self, request: int, column: int, piece: AnswerPiece) -> None:
        if not piece.finish_reason:
            self._channel.emit(event.Answered(request=request, column=column, text=piece.text))
            return
        if piece.message or not piece.generation_tokens:
            self._end(request, column, piece.finish_reason, piece.message, piece.text)
            return
        self._channel.emit(
            event.Answered(
                request=request,
                column=column,
                text=piece.text,
                done=True,
                prompt_tokens=piece.prompt_tokens,
                generation_tokens=piece.generation_tokens,
                tokens_per_second=piece.tokens_per_second,
                first_token_s=piece.first_token_s,
                peak_memory_gb=mx.get_peak_memory() / 1e9,
                finish_reason=piece.finish_reason,
                together=piece.together,
            )
        )

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
            raise UnusableError(
                [
                    Problem(
                        "columns",
                        tr("There is no column {strange}; there are {count}.", strange=strange[0], count=count),
                    )
                ]
            )
        return columns

    def _prompts(self, question: Question, columns: int) -> list[list[int]]:
        """The token ids that each column is given."""
        if question.is_empty:
            raise UnusableError([Problem("prompt", tr("There is neither a prompt nor a message."))])
        if not question.conversations:
            return [self._prompt_tokens(question, question.turns())] * columns
        if len(question.conversations) != columns:
            said = tr(
                "There are {conversations} conversations for {columns} columns.",
                conversations=len(question.conversations),
                columns=columns,
            )
            raise UnusableError([Problem("conversations", said)])
        return [self._prompt_tokens(question, question.turns(place)) for place in range(columns)]

    def _prompt_tokens(self, question: Question, given: list[dict[str, str]]) -> list[int]:
        """The token ids of a conversation; the chat template is applied unless the question is raw."""
        turns = [{key: _clean(value) for key, value in turn.items()} for turn in given]
        templated = self._tokenizer.has_chat_template and not question.raw
        if templated:
            self._warn_of_control(turns)
            text = self._templated(turns)
        else:
            text = "\n".join(turn["content"] for turn in turns)
            if not question.raw:
                self._warn_once(
                    tr("The tokenizer has no chat template; the prompt is given to the model as it is.")
                )
        tokens = list(self._tokenizer.encode(text, add_special_tokens=not templated))
        if not tokens:
            raise UnusableError([Problem("prompt", tr("The prompt is empty."))])
        self._warn_of_length(len(tokens))
        return tokens

    def _templated(self, turns: list[dict[str, str]]) -> str:
        try:
            with limited_template():
                return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        except UnusableError:
            raise
        except Exception as error:  # a template is a program of the model's author and may raise anything
            said = tr("The model's chat template refuses this conversation: {error}.", error=error)
            raise UnusableError([Problem("messages", said)]) from error

    def _warn_of_control(self, turns: list[dict[str, str]]) -> None:
        """A text that ends a turn does so in a prompt, too: what stands behind it is no longer said by who asks."""
        given = "\n".join(turn["content"] for turn in turns if turn["role"] != "assistant")
        for name in self._control:
            if name in given:
                self._warn_once(
                    tr(
                        "The prompt holds “{name}”, which the model reads as a control token, not as text.",
                        name=name,
                    )
                )

    def _warn_of_length(self, tokens: int) -> None:
        limit = getattr(getattr(self._model, "args", None), "max_position_embeddings", None)
        if isinstance(limit, int) and tokens > limit:
            self._warn_once(
                tr(
                    "The prompt has {tokens:,} tokens; this model was made for up to {limit:,}.",
                    tokens=tokens,
                    limit=limit,
                )
            )

    def _warn_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._channel.emit(event.Warned(message=message))

    def _is_stopped(self) -> bool:
        """True from when somebody asked to stop on; other commands wait for their turn."""
        while not self._is_ending and (command := self._channel.poll()) is not None:
            if not isinstance(command, Stop):
                self._waiting.append(command)
            self._is_ending = isinstance(command, (Stop, EndOfInput))
        return self._is_ending

    def _end(self, request: int, column: int, reason: str, message: str = "", text: str = "") -> None:
        self._channel.emit(
            event.Answered(
                request=request, column=column, text=text, done=True, finish_reason=reason, message=message
            )
        )


def _clean(text: str) -> str:
    """Text without lone surrogates (undecodable bytes of a command line), which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
