"""A conversation with several columns: each keeps its own answers, and columns come and go."""

from __future__ import annotations

from pathlib import Path

from app.core.compare.candidate import BASE, Candidate
from app.core.compare.conversation import Conversation, opened
from app.core.compare.prompt_set import Prompt
from app.core.protocol.event import Answered

TUNED = Candidate("tuned", Path("/a"))


def say(found: Conversation, column: int, text: str, reason: str = "stop") -> None:
    reply = found.last.replies[column]
    for piece in text:
        reply.take(Answered(request=1, column=column, text=piece))
    reply.take(Answered(request=1, column=column, done=True, finish_reason=reason))


def contents(found: Conversation, column: int) -> list[str]:
    return [message["content"] for message in found.messages(column)]


def test_each_column_has_its_own_answers_before_the_next_prompt() -> None:
    found = opened(Prompt("a"), [BASE, TUNED], "Sing.")
    say(found, 0, "one")
    say(found, 1, "two", "stopped")
    assert found.last.is_answered
    assert found.answers == ["one", "two"]
    found.add("b")
    assert not found.last.is_answered
    assert contents(found, 0) == ["Sing.", "a", "one", "b"]
    assert [message["role"] for message in found.messages(1)] == ["system", "user", "assistant", "user"]
    assert [message["content"] for message in found.asked()] == ["Sing.", "a", "b"]


def test_what_was_not_answered_is_left_out() -> None:
    found = opened(Prompt("a"), [BASE, TUNED])
    say(found, 0, "half", "error")
    say(found, 1, "", "unusable")
    assert found.last.has_replies
    assert not found.last.is_answered
    found.add("b")
    assert contents(found, 0) == contents(found, 1) == ["b"]


def test_a_prompt_with_a_system_prompt_of_its_own_keeps_it() -> None:
    own = ({"role": "system", "content": "Own."},)
    assert contents(opened(Prompt("a", own), [BASE], "Sing."), 0) == ["Own.", "a"]
    earlier = ({"role": "user", "content": "x"}, {"role": "assistant", "content": "y"})
    assert contents(opened(Prompt("a", earlier), [BASE], "Sing."), 0) == ["Sing.", "x", "y", "a"]


def test_columns_come_go_and_change_and_the_others_keep_their_answers() -> None:
    found = opened(Prompt("a"), [BASE, TUNED])
    say(found, 0, "one")
    say(found, 1, "two")
    found.set_candidate(2, None)
    assert found.answers == ["one", "two", ""]
    found.set_candidate(1, TUNED)
    assert found.answers == ["one", "two", ""]
    found.set_candidate(1, Candidate("other", Path("/b")))
    assert found.answers == ["one", "", ""]
    found.remove(0)
    assert (found.answers, found.candidates) == (["", ""], [Candidate("other", Path("/b")), None])


def test_what_a_turn_has_come_to() -> None:
    """Of two columns: nothing, half an answer, one that was stopped before it began, and one that failed."""
    pieces = {
        "nothing": None, "half": Answered(request=1, column=0, text="one"),
        "stopped": Answered(request=1, column=0, done=True, finish_reason="stopped"),
        "failed": Answered(request=1, column=0, done=True, finish_reason="error"),
    }  # fmt: skip
    states = {}
    for name, piece in pieces.items():
        last = opened(Prompt("a"), [BASE, TUNED]).last
        if piece is not None:
            last.replies[0].take(piece)
        states[name] = (last.has_replies, last.has_begun, last.replies[0].is_answer, last.has_ended)
    assert states == {
        "nothing": (False, False, False, False), "half": (True, True, True, False),
        "stopped": (True, False, False, False), "failed": (True, True, False, False),
    }  # fmt: skip


def test_another_system_prompt_counts_from_the_next_turn_on_unless_the_prompt_brought_one() -> None:
    found = opened(Prompt("a"), [BASE, TUNED], "Sing.")
    say(found, 0, "one")
    found.set_system("Whisper.")
    found.add("b")
    assert contents(found, 0) == ["Whisper.", "a", "one", "b"]
    found.set_system("")
    assert contents(found, 0) == ["a", "one", "b"]
    own = opened(Prompt("a", ({"role": "system", "content": "Own."},)), [BASE], "Sing.")
    own.set_system("Whisper.")
    assert contents(own.copied(), 0) == ["Own.", "a"]
