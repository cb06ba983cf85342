"""Who answers, where a conversation begins, and what of it trains."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.transcript.conversation import Conversations, Transcript, transcript_of
from app.core.transcript.utterance import LeftOut, TranscriptKind, Utterance

HOURS_S = 3600.0


def test_who_could_answer_is_told_with_eight_names() -> None:
    speakers = (("system", 99), *((f"P{number}", 10 - number) for number in range(9)))
    eight = ", ".join(f"P{number} ({10 - number} messages)" for number in range(8))
    asked = "It is not chosen whose words are the answers."
    assert Transcript("telegram", speakers).question("") == f"{asked} It is a chat of {eight} and 1 more."
    assert Transcript("telegram", speakers[:9]).question("") == f"{asked} It is a chat of {eight}."
    unknown = Transcript("telegram", (("B" * 50, 1),)).question("A" * 50)
    assert unknown == f"Nobody in this chat is called `{'A' * 40}`. It is a chat of {'B' * 40} (1 message)."
    assert Transcript("telegram").question("") == f"{asked} It is a chat of nobody."


@pytest.mark.parametrize(
    "program, names, wanted, chosen, groups",
    [
        ("telegram", "Ada Bo", "", "", ""),
        ("telegram", "Ada Bo", "ADA", "Ada", ""),
        ("telegram", "Ada ada Bo", "ADA", "", "x"),
        ("telegram", "Ada ada Bo", "ada", "ada", "x"),
        ("chatgpt", "user assistant system", "", "assistant", ""),
        ("claude", "human assistant", "human", "human", ""),
    ],
)
def test_whose_words_are_the_answers(
    program: TranscriptKind, names: str, wanted: str, chosen: str, groups: str
) -> None:
    found = [Utterance(1, "x", name, "a") for name in names.split()] + [Utterance(1, "y", "Bo", "a")] * 2
    transcript = transcript_of(program, found, wanted, "day")
    assert transcript.speakers[0] == ("Bo", 3 if "Bo" in names else 2)
    assert (transcript.answers_by, transcript.date_order) == (chosen, "day")
    assert transcript.groups == frozenset(groups)


def talks(
    said: list[tuple[Any, ...]], program: TranscriptKind = "telegram", limit: int = 99, groups: str = ""
) -> tuple[list[tuple[int, list[str]]], str]:
    """The conversations of (speaker, text, time and chat where they matter), each with its place."""
    left_out = LeftOut()
    answers_by = "assistant" if program in ("chatgpt", "claude") else "Ada"
    of = Conversations(Transcript(program, answers_by=answers_by, groups=frozenset(groups)), limit, left_out)
    found = [Utterance(number, one[3] if len(one) > 3 else "", one[0], one[1], one[2] if len(one) > 2 else None)
             for number, one in enumerate(said, 11)]  # fmt: skip
    rows = [
        (place, [f"{turn['role']}: {turn['content']}" for turn in row["messages"]]) for place, row in of.rows(found)
    ]
    return rows, of.account()


PAUSE = "A pause of 4 hours begins another, as does the maximum length."


def test_a_pause_of_four_hours_begins_another_conversation() -> None:
    pair = [("Bo", "a", 0.0), ("Ada", "b", 9.0)]
    rows, said = talks(
        [*pair, ("Bo", "c", 9 + 4 * HOURS_S), ("Ada", "d", None), ("Bo", "e", 99 * HOURS_S), pair[1]]
    )
    assert rows == [(1, ["user: a", "assistant: b"]), (2, ["user: c", "assistant: d", "user: e", "assistant: b"])]
    assert said == f"Telegram: 2 conversations of 6 messages, answers by Ada. {PAUSE}"
    rows, _ = talks([*pair, ("Bo", "c", 8 + 4 * HOURS_S), ("Ada", "d", 8 + 4 * HOURS_S)], "whatsapp")
    assert rows == [(11, ["user: a", "assistant: b", "user: c", "assistant: d"])]
    rows, _ = talks([*pair, ("Bo", "c", 0.0, "other"), ("Ada", "d", 0.0, "other")], "whatsapp")
    assert [place for place, _ in rows] == [11, 13]


def test_a_conversation_that_is_too_long_ends_after_an_answer() -> None:
    """Bytes are counted, and neither a second question nor an answer begins anew."""
    said = [("Bo", "aa"), ("Bo", "ä"), ("Ada", "bb"), ("Bo", "cc"), ("Ada", "dd"), ("Ada", "ee")]
    whole = ["user: aa\nä", "assistant: bb", "user: cc", "assistant: dd\nee"]
    assert talks(said, limit=8)[0] == [(1, whole)]
    assert talks(said, limit=7)[0] == [(1, whole[:2]), (2, whole[2:])]
    assert talks(said, limit=1)[0] == [(1, whole[:2]), (2, whole[2:])]


def test_what_nobody_asked_or_answered_is_left_out() -> None:
    rows, said = talks([("Ada", "a"), ("Ada", "b"), ("Bo", "c"), ("Ada", "d"), ("Bo", "e"), ("Bo", "f")])
    assert rows == [(1, ["user: c", "assistant: d"])]
    unpaired = "messages without a question before or an answer after them"
    assert said == f"Telegram: 1 conversation of 6 messages, answers by Ada. {PAUSE} Left out: 4 {unpaired}."
    assert talks([("Bo", "a")])[0] == talks([("Ada", "a")])[0] == talks([])[0] == []


def test_in_groups_each_who_asks_is_named_once() -> None:
    speakers = ("Bo", "Bo", "Cy", "Ada", "Cy", "Bo", "Ada")
    said = [(who, text, 0.0, "g") for who, text in zip(speakers, "abcdefg", strict=True)]
    rows, told = talks(said, groups="g")
    assert rows == [(1, ["user: Bo: a\nb\nCy: c", "assistant: d", "user: Cy: e\nBo: f", "assistant: g"])]
    assert told.endswith(f"{PAUSE} In groups the name of who asks stands before the words.")


def test_chats_with_a_model_are_whole_and_begin_with_its_instructions() -> None:
    said = [("system", "s"), ("user", "a", 0.0), ("user", "b"), ("assistant", "c", 99 * HOURS_S)]
    said += [("user", "d" * 200), ("assistant", "e")]
    rows, told = talks(said, "chatgpt")
    assert rows == [(1, ["system: s", "user: a\n\nb", "assistant: c", f"user: {'d' * 200}", "assistant: e"])]
    assert told == "ChatGPT: 1 conversation of 5 messages, answers by assistant."
    assert talks([("system", "a"), ("Ada", "b")])[0] == [(1, ["user: a", "assistant: b"])]
