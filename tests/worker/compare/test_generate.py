"""The answering worker: each column answers as stock mlx-lm does, and no request can take the server down."""

from __future__ import annotations

import io
import json
import queue
import shutil
import threading
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import generate, load

from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.client import started_job
from app.core.protocol.command import Ask, Command, EndOfInput, heard_command
from app.core.protocol.event import Answered, Event, parse_event
from app.core.protocol.job import GenerateJob
from app.core.protocol.question import Question
from app.core.system.atomic_file import write_bytes
from app.worker.compare import answer as answering
from app.worker.compare.generate import serve
from app.worker.process.channel import Channel
from tests.worker.answering_model import make_adapter, make_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    make_model(root / "base")
    make_model(root / "plain", template=False)
    for kind in ("lora", "dora", "full"):
        make_adapter(root / "base", root / kind, kind)
    return root


class Server:
    """The server in a thread of this process, with the real channel on a pipe of its own."""

    def __init__(self, model: Path, adapters: list[str | None], strengths: tuple[float, ...] = ()) -> None:
        self._commands: queue.Queue[Command] = queue.Queue()
        self._lines: queue.Queue[str] = queue.Queue()
        job = GenerateJob(model=str(model), adapters=tuple(adapters), strengths=strengths)
        channel = Channel(_Lines(self._lines), self._commands)
        self._thread = threading.Thread(target=serve, args=(channel, model, job))
        self.said: list[Event] = []
        self._thread.start()
        self.until(event.Ready)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._commands.put(EndOfInput())
        self._thread.join(60)
        assert not self._thread.is_alive()

    def send(self, command: str, **arguments: Any) -> None:
        """Tells the server a command as a parent's line would."""
        self._commands.put(heard_command(json.dumps({"command": command} | arguments)))

    def put(self, request: int = 0, columns: list[int] | None = None, **question: Any) -> None:
        """Asks without waiting for the answer."""
        self.send("ask", request=request, columns=columns, question=question)

    def next(self) -> Event:
        found = parse_event(self._lines.get(timeout=60))
        self.said.append(found)
        return found

    def until(self, kind: type[Event]) -> Event:
        while not isinstance(found := self.next(), kind):
            pass
        return found

    def ask(self, answers: int = 1, **request: Any) -> list[tuple[str, Answered]]:
        """The text and the last piece of each column."""
        self.put(**request)
        ended: list[tuple[str, Answered]] = []
        text = ""
        while len(ended) < answers:
            found = self.until(Answered)
            assert isinstance(found, Answered)
            text += found.text
            if found.done:
                ended.append((text, found))
                text = ""
        return ended


class _Lines(io.StringIO):
    def __init__(self, lines: queue.Queue[str]) -> None:
        super().__init__()
        self._lines = lines

    def write(self, text: str) -> int:
        self._lines.put(text)
        return len(text)


def test_every_column_answers_as_stock_mlx_lm_with_the_same_adapter(models: Path) -> None:
    adapters = [None, str(models / "lora"), str(models / "dora"), str(models / "full"), None]
    with Server(models / "base", adapters) as server:
        answers = server.ask(5, prompt="Who made this violin?", max_tokens=30)
    for name, (text, last) in zip(adapters, answers, strict=True):
        model, tokenizer = load(str(models / "base"), adapter_path=name)
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": "Who made this violin?"}], tokenize=False, add_generation_prompt=True
        )
        tokens = tokenizer.encode(prompt, add_special_tokens=False)
        assert text == generate(model, tokenizer, tokens, max_tokens=30)
        assert last.prompt_tokens == len(tokens)
        assert 1 <= last.generation_tokens <= 30
        assert last.tokens_per_second > 0
        assert last.first_token_s > 0
        assert last.peak_memory_gb > 0
        assert last.finish_reason in ("length", "stop")
    assert len({text for text, _ in answers}) == 4, "base twice, and three different adapters"


def test_each_column_answers_at_its_own_strength(models: Path, tmp_path: Path) -> None:
    """0 is the base, 1 the adapter; half of a LoRA is stock mlx-lm's answer with half of its second matrices."""
    shutil.copytree(models / "lora", tmp_path / "half")
    file = tmp_path / "half" / "adapters.safetensors"
    weights = mx.load(str(file))
    assert isinstance(weights, dict)
    mx.save_safetensors(str(file), {n: a * 0.5 if n.endswith("lora_b") else a for n, a in weights.items()})
    names = [str(models / kind) for kind in ("lora", "dora", "full", "lora")]
    asked: dict[str, Any] = {"prompt": "Who made this violin?", "max_tokens": 20}
    with Server(models / "base", [None, *names], (1.0, 0.0, 0.0, 0.0, 0.5)) as server:
        base, *none, half = [text for text, _ in server.ask(5, **asked)]
        again = [text for text, _ in server.ask(5, **asked)]
        server.send("load_adapters", adapters=[None, *names[:3]], strengths=[1.0, 1.0, 1.0, 1.0])
        server.until(event.Ready)
        whole = [text for text, _ in server.ask(4, **asked)]
    assert none == [base] * 3
    assert again == [base, *none, half]
    with Server(models / "base", [None, str(tmp_path / "half"), *names[:3]]) as server:
        expected = [text for text, _ in server.ask(5, **asked)]
    assert half == expected[1]
    assert whole == [base, *expected[2:]]
    assert len({*whole, half}) == 5


def test_columns_share_the_seed_and_a_seed_gives_the_same_answer_again(models: Path) -> None:
    asked: dict[str, Any] = {"prompt": "a", "temp": 1.5, "top_p": 0.9, "top_k": 40, "min_p": 0.01, "max_tokens": 20}
    with Server(models / "base", [None, None]) as server:
        (first, _), (second, _) = server.ask(2, **asked)
        (seeded, _), _ = server.ask(2, seed=7, **asked)
        (again, _), _ = server.ask(2, seed=7, **asked)
        (other, _), _ = server.ask(2, seed=8, **asked)
    assert first == second
    assert seeded == again
    assert seeded != other


def test_a_conversation_and_one_column_of_several(models: Path) -> None:
    said = ("abc", "de", "f")
    turns = [
        {"role": role, "content": text} for role, text in zip(("user", "assistant", "user"), said, strict=True)
    ]
    with Server(models / "base", [None, str(models / "lora")]) as server:
        [(_, last)] = server.ask(1, messages=turns, columns=[1], request=9, max_tokens=4)
    assert (last.column, last.request) == (1, 9)
    assert last.prompt_tokens == len("".join(said)) + 2 * len(turns) + 1


@pytest.mark.parametrize(
    "prompt", ['say "hi"', "{x} {{y}} {% z %}", "🎻🎶", "a\x00b", "'; import os", "\udcff", "x" * 1000]
)
def test_whatever_is_in_a_prompt_it_is_just_a_prompt(models: Path, prompt: str) -> None:
    with Server(models / "base", [None]) as server:
        [(_, last)] = server.ask(prompt=prompt, max_tokens=3)
    assert last.finish_reason in ("length", "stop")
    assert last.prompt_tokens == len(prompt.encode("utf-8", "replace")) + 3


def test_a_prompt_of_a_hundred_thousand_characters_is_just_a_prompt(models: Path) -> None:
    with Server(models / "base", [None]) as server:
        server.put(prompt="lute " * 20_000, max_tokens=2)
        reading = server.until(event.Progressed)
        assert isinstance(reading, event.Progressed)
        assert reading.total > 20_000
        server.send("stop")
        last = server.until(Answered)
        assert isinstance(last, Answered)
        assert last.finish_reason == "stopped"
        [(_, last)] = server.ask(prompt="a", max_tokens=2)
        assert last.finish_reason in ("length", "stop")


def test_columns_with_answers_of_their_own_have_conversations_of_their_own(models: Path) -> None:
    def said(answer: str) -> list[dict[str, str]]:
        turns = [("user", "a"), ("assistant", answer), ("user", "b")]
        return [{"role": role, "content": text} for role, text in turns]

    with Server(models / "base", [None, str(models / "lora")]) as server:
        both = server.ask(2, conversations=[said("xyz"), said("x")], columns=[1, 0], max_tokens=3)
        alone = server.ask(1, messages=said("x"), columns=[0], max_tokens=3)
    assert [(last.column, last.prompt_tokens) for _, last in both] == [(1, 12), (0, 10)]
    assert both[1][0] == alone[0][0]


@pytest.mark.parametrize(
    "setting, same_as_greedy",
    [
        ({"temp": 0.0}, True),
        ({"temp": 5.0}, False),
        ({"temp": 5.0, "top_p": 1e-6}, True),
        ({"temp": 5.0, "top_k": 1}, True),
        ({"temp": 5.0, "min_p": 1.0}, True),
        ({"repetition_penalty": 1.0}, True),
        ({"repetition_penalty": 10.0}, False),
    ],
)
def test_every_setting_of_the_sampler_counts(models: Path, setting: dict[str, Any], same_as_greedy: bool) -> None:
    asked: dict[str, Any] = {"prompt": "Who made this violin?", "max_tokens": 12, "seed": 1}
    with Server(models / "base", [None]) as server:
        [(greedy, last)] = server.ask(**asked)
        assert last.generation_tokens == 12
        [(found, _)] = server.ask(**asked, **setting)
    assert (found == greedy) is same_as_greedy


def test_raw_gives_the_prompt_as_it_is(models: Path) -> None:
    with Server(models / "base", [None]) as server:
        [(_, last)] = server.ask(prompt="abc", raw=True, max_tokens=2)
    assert last.prompt_tokens == 3


def test_without_a_chat_template_the_prompt_is_plain_text_and_it_is_said_once(models: Path) -> None:
    with Server(models / "plain", [None]) as server:
        for _ in range(2):
            [(_, last)] = server.ask(prompt="abc", max_tokens=2)
            assert last.prompt_tokens == 3
    said = [e.message for e in server.said if isinstance(e, event.Warned)]
    assert len(said) == 1
    assert "no chat template" in said[0]


@pytest.mark.parametrize(
    "request_, words",
    [
        ({}, "neither a prompt nor a message"),
        ({"prompt": "", "raw": True}, "empty"),
        ({"prompt": "a", "temp": "hot"}, "temp"),
        ({"prompt": "a", "top_p": 2}, "top_p"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "a", "columns": [3]}, "no column 3"),
        ({"messages": [{"role": "judge", "content": "a"}]}, "no judges here"),
        ({"messages": "a"}, "messages"),
        ({"conversations": [[]]}, "neither a prompt nor a message"),
        ({"conversations": [[{"role": "user", "content": "a"}]] * 2}, "2 conversations for 1 columns"),
    ],
)
def test_an_unusable_request_is_told_and_the_next_one_is_answered(
    models: Path, request_: dict[str, Any], words: str
) -> None:
    with Server(models / "base", [None]) as server:
        [(text, last)] = server.ask(request=1, **request_)
        assert (text, last.finish_reason) == ("", "unusable")
        assert words in last.message
        [(_, last)] = server.ask(request=2, prompt="a", max_tokens=2)
        assert last.finish_reason in ("length", "stop")


def test_every_column_of_an_unusable_request_is_told(models: Path) -> None:
    with Server(models / "base", [None, None]) as server:
        ended = server.ask(2, prompt="a", temp=-1, columns=[0, 1])
    assert [(last.column, last.finish_reason) for _, last in ended] == [(0, "unusable"), (1, "unusable")]


def test_an_adapter_that_changed_on_disk_answers_as_it_is_now(models: Path, tmp_path: Path) -> None:
    path = make_adapter(models / "base", tmp_path / "adapter", rank=2)
    with Server(models / "base", [str(path)]) as server:
        [(before, _)] = server.ask(prompt="a", max_tokens=12)
        make_adapter(models / "base", path, rank=3)
        [(after, _)] = server.ask(prompt="a", max_tokens=12)
        # As a run that still trains writes it: a file of the same size.
        file = path / "adapters.safetensors"
        content = file.read_bytes()
        begin = 8 + int.from_bytes(content[:8], "little")
        weights = -2 * np.frombuffer(content[begin:], np.float32)
        write_bytes(file, content[:begin] + weights.tobytes())
        [(again, _)] = server.ask(prompt="a", max_tokens=12)
    assert len({before, after, again}) == 3


def test_a_request_that_fails_in_the_model_costs_only_its_own_answer(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(models / "base", [None]) as server:
        with monkeypatch.context() as patched:
            patched.setattr(answering, "make_logits_processors", lambda **_: [_failing])
            [(_, last)] = server.ask(prompt="a")
        assert last.finish_reason == "error"
        assert last.message == "ValueError: no logits today"
        [(_, last)] = server.ask(prompt="a", max_tokens=2)
        assert last.finish_reason in ("length", "stop")


def _failing(_tokens: Any, _logits: Any) -> Any:
    raise ValueError("no logits today")


def test_more_likeliest_tokens_than_there_are_is_refused_beforehand(models: Path) -> None:
    vocabulary = load(str(models / "base"))[0].args.vocab_size
    with Server(models / "base", [None]) as server:
        [(_, last)] = server.ask(prompt="a", temp=1.0, top_k=vocabulary, max_tokens=2)
        assert last.finish_reason == "unusable"
        assert f"the model has {vocabulary:,} tokens to choose from" in last.message
        [(_, last)] = server.ask(prompt="a", temp=1.0, top_k=vocabulary - 1, max_tokens=2)
        assert last.finish_reason in ("length", "stop")
        [(_, last)] = server.ask(prompt="a", temp=0.0, top_k=vocabulary, max_tokens=2)
        assert last.finish_reason in ("length", "stop"), "the likeliest is always one of them"


def test_a_column_that_does_not_fit_says_why_and_the_others_answer(models: Path, tmp_path: Path) -> None:
    wide = make_model(tmp_path / "wide", hidden_size=128)
    foreign = make_adapter(wide, tmp_path / "foreign")
    with Server(models / "base", [None, str(foreign), str(tmp_path / "nowhere")]) as server:
        (_, base), (_, other), (_, nowhere) = server.ask(3, prompt="a", max_tokens=2)
    assert base.finish_reason in ("length", "stop")
    assert other.finish_reason == nowhere.finish_reason == "unusable"
    assert "128 × 4" in other.message
    assert "no such adapter" in nowhere.message
    described = next(e.data["columns"] for e in server.said if isinstance(e, event.Result))
    assert [column["kind"] for column in described] == ["base", "", ""]


def test_columns_can_be_changed_while_it_runs(models: Path) -> None:
    with Server(models / "base", [None]) as server:
        [(base, _)] = server.ask(prompt="a", max_tokens=12)
        server.send("load_adapters", adapters=[str(models / "lora"), None])
        server.until(event.Ready)
        (tuned, _), (again, _) = server.ask(2, prompt="a", max_tokens=12)
    assert base == again != tuned


def all_answers(
    server: Server, asks: list[dict[str, Any]], count: int
) -> dict[tuple[int, int], tuple[str, Answered]]:
    """By request and column: the text and the last piece."""
    server.send("ask_all", asks=asks)
    texts: dict[tuple[int, int], str] = {}
    ended: dict[tuple[int, int], tuple[str, Answered]] = {}
    while len(ended) < count:
        found = server.until(Answered)
        assert isinstance(found, Answered)
        key = found.request, found.column
        assert key not in ended
        texts[key] = texts.get(key, "") + found.text
        if found.done:
            ended[key] = texts[key], found
    return ended


def test_questions_asked_together_are_answered_as_each_alone(models: Path) -> None:
    questions: list[dict[str, Any]] = [
        {"prompt": "a", "max_tokens": 12},
        {"prompt": "Who made this violin?", "max_tokens": 20, "temp": 1.0, "seed": 4},
        {"messages": [{"role": "system", "content": "Be brief."}], "prompt": "b" * 90, "max_tokens": 7, "seed": 1},
    ]
    with Server(models / "base", [None, str(models / "lora"), str(models / "dora")]) as server:
        alone = [server.ask(2, columns=[0, 1], **question) for question in questions]
        orders = [[0, 1], [1, 0], [0, 1]]
        asks = [
            {"request": 10 + n, "columns": order, "question": question}
            for n, (order, question) in enumerate(zip(orders, questions, strict=True))
        ]
        together = all_answers(server, asks, 6)
        # The first place of each before the second of any.
        ends = [
            (e.request, e.column) for e in server.said if isinstance(e, Answered) and e.done and e.request >= 10
        ]
    for number, found in enumerate(alone):
        for column, (text, last) in enumerate(found):
            said, its_end = together[10 + number, column]
            assert said == text
            assert (its_end.prompt_tokens, its_end.generation_tokens) == (
                last.prompt_tokens,
                last.generation_tokens,
            )
            assert its_end.finish_reason == last.finish_reason
            assert last.together == 1
    assert set(ends[:3]) == {(10, 0), (11, 1), (12, 0)}
    assert together[10, 0][1].together == together[12, 0][1].together == 2
    assert together[11, 1][1].together == 1
    assert its_end.tokens_per_second > 0
    assert its_end.first_token_s > 0
    assert its_end.peak_memory_gb > 0


def test_one_of_several_questions_that_cannot_be_asked_costs_itself_only(models: Path, tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = [
        {"prompt": "a", "max_tokens": 3},
        {"messages": [{"role": "judge", "content": "b"}], "max_tokens": 3},
        {"prompt": "c", "max_tokens": 3},
    ]
    with Server(models / "base", [None, str(tmp_path / "none")]) as server:
        found = all_answers(server, [{"request": n, "question": q} for n, q in enumerate(questions)], 6)
        assert server.ask(2, prompt="a", max_tokens=3)[0][0] == found[0, 0][0]
    reasons = {key: last.finish_reason for key, (_, last) in found.items()}
    unusable = {(0, 1), (1, 0), (1, 1), (2, 1)}
    assert {key for key, reason in reasons.items() if reason == "unusable"} == unusable
    assert "no judges here" in found[1, 0][1].message
    assert "There is no such adapter" in found[2, 1][1].message
    assert {reasons[0, 0], reasons[2, 0]} == {"length"}


def test_a_long_set_is_answered_part_by_part(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.worker.compare.generate.ASKED_TOGETHER", 2)
    with Server(models / "base", [None, str(models / "lora")]) as server:
        asks = [{"request": n, "question": {"prompt": "abc"[n], "max_tokens": 3}} for n in range(3)]
        all_answers(server, asks, 6)
        ends = [(e.request, e.column) for e in server.said if isinstance(e, Answered) and e.done]
    assert [sorted(ends[:2]), sorted(ends[2:4]), ends[4:]] == [[(0, 0), (1, 0)], [(0, 1), (1, 1)], [(2, 0), (2, 1)]]


def test_stop_ends_all_that_were_asked_together_and_what_is_asked_next_is_answered(models: Path) -> None:
    with Server(models / "base", [None, str(models / "lora")]) as server:
        asks = [{"request": n, "question": {"prompt": "ab"[n], "max_tokens": 400}} for n in range(2)]
        server.send("ask_all", asks=asks)
        first = server.until(Answered)
        assert isinstance(first, Answered)
        assert not first.done
        server.send("stop")
        server.put(5, [0], prompt="c", max_tokens=4)
        last: dict[tuple[int, int], str] = {}
        while (5, 0) not in last:
            found = server.until(Answered)
            assert isinstance(found, Answered)
            if found.done:
                last[found.request, found.column] = found.finish_reason
    assert last == {**{(n, column): "stopped" for n in range(2) for column in range(2)}, (5, 0): "length"}


def test_stop_ends_the_answer_and_those_behind_it_but_not_the_server(models: Path) -> None:
    with Server(models / "base", [None, None]) as server:
        server.send("stop")  # nothing is being answered: no effect
        server.put(prompt="a", max_tokens=1_000_000, temp=1.0, top_k=40, seed=1)
        server.until(Answered)
        server.send("stop")
        ended: list[Answered] = []
        while len(ended) < 2:
            found = server.until(Answered)
            assert isinstance(found, Answered)
            ended += [found] if found.done else []
        assert [e.finish_reason for e in ended] == ["stopped", "stopped"]
        assert ended[0].generation_tokens > 0
        (_, last), _ = server.ask(2, prompt="a", max_tokens=2)
        assert last.finish_reason in ("length", "stop")


def test_stop_is_heard_while_a_long_prompt_is_read(models: Path) -> None:
    with Server(models / "base", [None]) as server:
        server.put(prompt="word " * 900, max_tokens=5)
        server.until(event.Progressed)
        server.send("stop")
        last = server.until(Answered)
        assert isinstance(last, Answered)
        assert (last.done, last.finish_reason) == (True, "stopped")
    assert any("was made for up to 512" in e.message for e in server.said if isinstance(e, event.Warned))


def test_a_prompt_that_does_not_fit_the_memory_is_told(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.worker.compare.answer.free_memory_bytes", lambda: 100_000)
    with Server(models / "base", [None]) as server:
        [(_, last)] = server.ask(prompt="x" * 2300, max_tokens=5)
    assert last.finish_reason == "unusable"
    assert "too long for the memory" in last.message


def test_a_model_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="nowhere"):
        serve(Channel(io.StringIO(), queue.Queue()), tmp_path, GenerateJob(model=str(tmp_path / "nowhere")))


def test_the_worker_process_answers_and_ends_when_its_input_ends(models: Path) -> None:
    said = []
    with started_job(GenerateJob(model=str(models / "base"))) as worker:
        for found in worker.events():
            said.append(found)
            if isinstance(found, event.Ready):
                worker.send(Ask(question=Question(prompt='quote " brace } \x00 🎻', max_tokens=3)))
            if isinstance(found, Answered) and found.done:
                worker.close_input()
    assert isinstance(said[0], event.Hello)
    assert isinstance(said[-1], event.Finished)
    assert worker.exit_code == 0


def test_a_control_token_in_a_prompt_is_told_once(models: Path) -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b<|end|>"},
        {"role": "user", "content": "c"},
    ]
    with Server(models / "base", [None]) as server:
        server.ask(messages=turns, max_tokens=1)
        server.ask(prompt="a<|end|>b", raw=True, max_tokens=1)
        assert not [found for found in server.said if isinstance(found, event.Warned)]
        for _ in range(2):
            server.ask(prompt="a<|end|>b", max_tokens=1)
    assert [found.message for found in server.said if isinstance(found, event.Warned)] == [
        "The prompt holds “<|end|>”, which the model reads as a control token, not as text."
    ]


def test_an_adapter_of_another_base_is_told_wherever_it_answers(models: Path, tmp_path: Path) -> None:
    """It fits, its sizes being those of the base: the answers are of a model that nobody trained."""
    other = make_model(tmp_path / "other")
    weights = mx.load(str(other / "model.safetensors"))
    assert isinstance(weights, dict)
    mx.save_safetensors(str(other / "model.safetensors"), {name: array * 2 for name, array in weights.items()})
    theirs = make_adapter(other, tmp_path / "theirs")
    said = f"The adapter {theirs} was trained on {other}; here it is put on {models / 'base'}."
    with Server(models / "base", [str(models / "lora"), str(theirs)]) as server:
        server.send("load_adapters", adapters=[str(theirs)])
        server.until(event.Ready)
        told = [one.message for one in server.said if isinstance(one, event.Warned)]
    assert told == [said], "once"
