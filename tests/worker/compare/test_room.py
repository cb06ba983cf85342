"""Room for answers, what ends them early, and what is said where they cannot be had."""

from __future__ import annotations

import io
import json
import queue
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlx_lm.models.cache import KVCache

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import CancelledError
from app.core.model.answer_size import CACHE_STEP
from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol.command import Command, EndOfInput, Pause, Refused, Stop
from app.core.protocol.question import Question
from app.worker.compare import answer as module
from app.worker.compare import score as score_module
from app.worker.compare.answer import AnswerPiece, AskedPrompt, streamed_answers
from app.worker.compare.generate import AnswerServer
from app.worker.compare.score import Scoring
from app.worker.process.channel import Channel


def test_as_many_stand_together_as_half_of_the_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_memory_bytes", lambda: 1_000_000)
    room = module._Room(token=10, fixed=440)
    assert room.rows(1) == room.rows(CACHE_STEP) == int(500_000 / (10 * CACHE_STEP + 440))
    assert room.rows(CACHE_STEP + 1) == int(500_000 / (20 * CACHE_STEP + 440))

    def divided(*lengths: int, fits: int) -> tuple[list[int], list[int]]:
        """Of lengths, up to one of which two fit: those in a batch and those alone."""
        rows: list[Any] = [SimpleNamespace(longest=length) for length in lengths]
        some: Any = SimpleNamespace(rows=lambda longest: 2 if longest <= fits else 1)
        batched, alone = module._divided(rows, some)
        return [row.longest for row in batched], [row.longest for row in alone]

    assert divided(3, 9, 5, fits=5) == ([5, 3], [9])
    assert divided(3, 9, 5, fits=9) == ([9, 5, 3], [])
    assert divided(3, 9, 5, fits=3) == ([], [3, 9, 5]), "one is no batch"
    assert divided(3, 9, fits=1) == ([], [3, 9])
    rows: list[Any] = [SimpleNamespace(longest=1)] * 2
    assert module._divided(rows, None) == ([], rows)


def test_a_prompt_that_outgrows_the_memory_is_refused_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kept(KVCache):
        """100 bytes for each of 4 tokens that there is room for."""

        nbytes = 400

        def __init__(self) -> None:
            self.keys: Any = SimpleNamespace(shape=(1, 2, 4, 8))

    monkeypatch.setattr(module, "free_memory_bytes", lambda: 2_000_000_000)
    module._check_memory([Kept(), Kept(), object()], 9_000_000)  # 1.8 GB, which is nine tenths
    with pytest.raises(UnusableError) as caught:
        module._check_memory([Kept(), Kept()], 9_000_001)
    said = "The prompt is too long for the memory: it needs 1.8\u00a0GB more, 2.0\u00a0GB are free."
    assert caught.value.problems == [Problem("prompt", said, hint="Shorten it, or use a smaller model.")]


@pytest.mark.parametrize(("error", "said"), [
    (MemoryError(), None), (RuntimeError("[malloc] Unable to allocate 3 bytes"), None),
    (RuntimeError("[METAL] Insufficient Memory"), None), (module._NoRoomError(), None),
    (KeyError("x"), "KeyError: 'x'"),
])  # fmt: skip
def test_a_failed_answer_is_told(error: Exception, said: str | None) -> None:
    memory = "The memory is not enough for this answer. Shorten the prompt, or ask for fewer tokens."
    assert module._in_words(error) == (memory if said is None else said)


def test_a_stop_before_a_prompt_is_read_ends_it_without_a_word() -> None:
    class Silent:
        last_segment = ""

        def finalize(self) -> None: ...

    tokenizer: Any = SimpleNamespace(detokenizer=Silent())
    model: Any = None
    (piece,) = streamed_answers(model, tokenizer, [AskedPrompt([1, 2], Question(prompt="x"))], lambda: True)
    assert piece == AnswerPiece(0, finish_reason="stopped")


# -- the worker -----------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Any:
    said = io.StringIO()
    commands: queue.Queue[Command] = queue.Queue()
    model: Any = SimpleNamespace(named_modules=lambda: [])
    made: Any = AnswerServer(Channel(said, commands), model, SimpleNamespace())
    made.said, made.commands = said, commands
    return made


def told(server: Any) -> list[tuple[str, str]]:
    found = [json.loads(line) for line in server.said.getvalue().splitlines()]
    return [(one["type"], one["message"]) for one in found]


def test_what_means_nothing_to_it_is_told_and_a_stop_of_nothing_is_none(server: Any) -> None:
    for command in (Stop(), Pause(), EndOfInput(), Pause()):
        server.commands.put(command)
    server.run()
    assert told(server) == [("warned", "The command `pause` means nothing to this task.")]
    assert server.commands.qsize() == 1, "what comes after the end is not heard"


def test_what_is_no_question_and_cannot_be_read_is_told(server: Any) -> None:
    server._refuse(Refused(reason="It is no command.", tree={"command": "other", "request": 3}))
    server._refuse(Refused(reason="No.", tree={"command": "ask", "request": 3, "columns": [0, "x", 2]}))
    server._refuse(Refused(reason="No.", tree={"command": "ask", "request": "x", "columns": [1]}))
    found = [json.loads(line) for line in server.said.getvalue().splitlines()]
    assert found[0]["message"] == "It is no command."
    answers = [
        (one["request"], one["column"], one["done"], one["finish_reason"], one["message"]) for one in found[1:]
    ]
    assert answers == [(*place, True, "unusable", "No.") for place in ((3, 0), (3, 2), (0, 1))]


def test_a_template_without_an_end_is_told_in_its_own_words(server: Any) -> None:
    for error, words in ((UnusableError([Problem("model", "It comes to no end.")]), "It comes to no end."),
                         (KeyError("x"), "The model's chat template refuses this conversation: 'x'.")):  # fmt: skip

        def refuse(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        server._tokenizer.apply_chat_template = refuse
        with pytest.raises(UnusableError) as caught:
            server._templated([])
        assert caught.value.problems[0].message == words


# -- scores ---------------------------------------------------------------------------------------------------


def exchange(prompt: str) -> Any:
    return SimpleNamespace(prompt=prompt, answer="a", asked=({"role": "user", "content": prompt},))


def test_answers_to_be_scored_are_put_together_and_end_with_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[AnswerPiece] = []
    asked: list[AskedPrompt] = []

    def stream(model: Any, tokenizer: Any, prompts: Any, stopped: Any) -> Any:
        assert (model, stopped()) == ("model", False)
        assert tokenizer.has_chat_template is False
        asked[:] = prompts
        return iter(pieces)

    monkeypatch.setattr(score_module, "streamed_answers", stream)
    tokenizer: Any = SimpleNamespace(has_chat_template=False, encode=lambda text: [len(text)])
    done: list[tuple[str, int, int]] = []
    reporter: Any = SimpleNamespace(
        stopped=lambda: False, phase=lambda name: lambda at, total: done.append((name, at, total))
    )
    scoring = Scoring((exchange("ab"), exchange("c")), 5, 7, TrainConfig(), "")
    model: Any = "model"
    pieces[:] = [
        AnswerPiece(1, "x"), AnswerPiece(0, "p"), AnswerPiece(1, "y", "stop"), AnswerPiece(0, "q", "length"),
    ]  # fmt: skip
    assert scoring._answers(model, tokenizer, reporter, "Answers") == (["pq", "xy"], 1)
    assert [(one.tokens, one.question.max_tokens) for one in asked] == [([2], 7), ([1], 7)]
    assert done == [("Answers", at, 2) for at in (0, 0, 0, 1, 2)]
    pieces[:] = [AnswerPiece(0, "x", "stopped")]
    with pytest.raises(CancelledError):
        scoring._answers(model, tokenizer, reporter, "Answers")
    pieces[:] = [AnswerPiece(0, "", "error", message="No room.")]
    with pytest.raises(TaskError, match=r"No room\."):
        scoring._answers(model, tokenizer, reporter, "Answers")


def test_a_reward_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "rewards.py"
    config = TrainConfig(reward_functions_file=str(file))
    for text in (None, "def f(:\n"):
        if text is not None:
            file.write_text(text)
        with pytest.raises(UnusableError) as caught:
            score_module._declared(config)
        (problem,) = caught.value.problems
        assert problem.message.startswith("The reward file cannot be read: ")
        assert (problem.path, problem.file) == ("reward_functions_file", str(file))
    file.write_text("def f(prompts, completions, answer, types=None):\n    return [1]\n")
    assert score_module._declared(config) == ["f"]
    assert score_module._declared(TrainConfig()) == []
