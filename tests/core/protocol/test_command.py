"""Commands: told and heard as they were, refused in words where they are not understood, without a traceback."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.protocol import event, program
from app.core.protocol.command import (
    COMMANDS,
    Ask,
    Command,
    EndOfInput,
    GiveToken,
    PackedArray,
    ReadRows,
    Refused,
    SaveRows,
    Stop,
    heard_command,
    parse_command,
)
from app.core.protocol.event import parse_event
from app.core.protocol.job import RowsJob, write_job
from app.core.protocol.question import ChatMessage, Question, chat_of
from app.core.protocol.wire import RefusedError

HELLO = ({"role": "system", "content": "Sing."}, {"role": "user", "content": "Hi"})

# Values that a command of each name needs, and some more.
NEEDED: dict[str, dict[str, Any]] = {
    "ask": {"request": 3, "columns": (1, 0), "question": Question(messages=chat_of(HELLO), temp=0.5, seed=2**63)},
    "ask_all": {"asks": [{"question": {"prompt": "a"}}]},
    "load_adapters": {"adapters": (None, "/a")},
    "show_example": {"split": "valid", "index": 4},
    "search_examples": {"text": "ö", "start": 2},
    "configure": {"values": {"mask_prompt": True, "max_seq_length": 12}},
    "save_rows": {"target": Path("/x"), "changed": {3: {"a": [None, "b"]}}, "dropped": (1,), "added": ({"c": 1},)},
    "survey_rows": {"file": Path("/x"), "roles": {"human": "user"}},
    "give_token": {"token": "hf_secret"},
    "score_answers": {
        "names": ("own",),
        "prompts": ("p",),
        "completions": ("c",),
        "answers": ("",),
        "types": (None,),
    },
    "share": {
        "iteration": 3,
        "update": True,
        "seed": 7,
        "parts": ({"inputs": PackedArray(dtype="int32", shape=(1, 1), data="AQAAAA==")},),
    },
    "align": {"what": "collect"},
}


def command_of(name: str, **values: Any) -> Command:
    return COMMANDS[name](**NEEDED.get(name, {}) | values)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_heard_as_it_was_told(name: str) -> None:
    line = command_of(name).to_line()
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert heard_command(line.decode()) == command_of(name)
    assert json.loads(line)["command"] == name


@settings(deadline=None)
@given(st.text(st.characters()), st.lists(st.text(st.characters(categories=None))), st.integers(1, 10**6))
def test_any_text_is_asked_as_it_is(prompt: str, said: list[str], max_tokens: int) -> None:
    messages = chat_of({"role": "user", "content": text, "name": "left out"} for text in said)
    ask = Ask(question=Question(prompt=prompt, messages=messages, max_tokens=max_tokens))
    assert heard_command(ask.to_line().decode()) == ask


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_field_is_refused(name: str) -> None:
    tree = json.loads(command_of(name).to_line()) | {"mood": "good"}
    refused = heard_command(json.dumps(tree))
    assert isinstance(refused, Refused)
    assert refused.reason == f"The command `{name}` has no `mood`."
    with pytest.raises(ValidationError):
        command_of(name, mood="good")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stop", "no JSON"),
        ("5", "names no command"),
        ('{"command": "sing"}', "There is no command `sing`"),
        ('{"command": "end_of_input"}', "There is no command `end_of_input`"),
        ('{"command": ["stop"]}', "names no command"),
        ('{"command": "ask"}', "lacks `question`"),
        ('{"command": "ask", "question": {"temp": "hot", "mood": 1}}', "`question.temp` of the command `ask`"),
        ('{"command": "ask", "question": {"temp": NaN}}', "`question.temp` of the command `ask`"),
        ('{"command": "ask", "question": {"mood": 1}}', "has no `question.mood`"),
        ('{"command": "ask", "question": {"messages": [{"role": "user"}]}}', "lacks `question.messages.0.content`"),
        ('{"command": "read_rows", "line": 0}', "`line` of the command `read_rows`"),
    ],
)
def test_what_is_no_command_is_refused_in_words(line: str, words: str) -> None:
    refused = heard_command(line)
    assert isinstance(refused, Refused)
    assert words in refused.reason


def test_the_end_of_the_input_is_no_line() -> None:
    for command in (EndOfInput(), Refused(reason="", tree={})):
        with pytest.raises(RefusedError):
            parse_command(command.model_dump())


def test_a_token_is_not_shown() -> None:
    assert "hf_secret" not in repr(GiveToken(token="hf_secret"))
    refused = heard_command('{"command": "give_token", "token": "hf_secret", "mood": 1}')
    assert isinstance(refused, Refused)
    assert "hf_secret" not in refused.reason


@pytest.mark.parametrize(
    ("question", "is_empty"),
    [
        (Question(), True),
        (Question(prompt=""), False),
        (Question(messages=chat_of(HELLO)), False),
        (Question(conversations=(chat_of(HELLO), ())), True),
        (Question(conversations=(chat_of(HELLO), chat_of(HELLO))), False),
    ],
)
def test_a_question_knows_whether_something_is_asked(question: Question, is_empty: bool) -> None:
    assert question.is_empty is is_empty


def test_the_turns_of_a_question_end_with_its_prompt() -> None:
    own = (ChatMessage(role="user", content="a"),)
    assert Question(messages=chat_of(HELLO), prompt="b").turns() == [*HELLO, {"role": "user", "content": "b"}]
    assert Question(conversations=(own, chat_of(HELLO))).turns(1) == list(HELLO)


def test_a_worker_tells_what_it_refuses_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    write_job(tmp_path, RowsJob(file=tmp_path / "rows.jsonl"))
    lines = [
        b"stop\n",
        b'{"command": "read_rows", "mood": 1}\n',
        SaveRows(target=tmp_path / "rows.jsonl").to_line(),
        Ask(question=Question(prompt="Who?")).to_line(),
        ReadRows(count=1).to_line(),
        Stop().to_line(),
    ]
    done = subprocess.run(
        program.worker_command(tmp_path),
        env=program.worker_environment(),
        input=b"".join(lines),
        capture_output=True,
    )
    said = [parse_event(line) for line in done.stdout.splitlines()]
    assert [type(one) for one in said] == [
        event.Hello, event.Ready, event.Warned, event.Warned, event.Result, event.Warned, event.Result,
        event.Finished,
    ]  # fmt: skip
    warned = [one.message for one in said if isinstance(one, event.Warned)]
    assert warned[0].startswith("What was told is no JSON")
    assert warned[1:] == [
        "The command `read_rows` has no `mood`.",
        "The command `ask` means nothing to this task.",
    ]
    assert [one.name for one in said if isinstance(one, event.Result)] == ["refused", "rows"]
    assert b"Traceback" not in done.stderr
