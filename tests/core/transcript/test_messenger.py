"""What people wrote in Telegram, Discord, Slack and WhatsApp: who, what and when, and the rest counted."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.core.transcript.messenger import discord_utterances, slack_names, slack_utterances, telegram_utterances
from app.core.transcript.program import transcript_program
from app.core.transcript.utterance import LeftOut, Utterance
from app.core.transcript.whatsapp import DateOrder, date_order, is_whatsapp, whatsapp_utterances

PICTURE, LINE, FORWARD, DELETED = "picture or file", "line of the program", "forwarded message", "deleted message"
NEW_YEAR_S = 1704067200.0  # of 2024, in UTC


def test_messages_of_telegram() -> None:
    def message(text: Any, **more: Any) -> tuple[str, dict[str, Any]]:
        return "messages", {"type": "message", "from": "Bo", "date_unixtime": "7", "text": text} | more

    left_out = LeftOut()
    members = [
        ("id", 4), ("name", "Bo"), ("about", "boats"), ("id", 5), ("messages", "none"),
        message("Free?"), message(" Yes. ", **{"from": None, "from_id": "user2"}),
        message("", type="service"), message("Fun!", forwarded_from="Cy"), message("", photo="a.jpg"),
        message("Whose?", **{"from": 3}), message([7, "A ", {"text": "big"}, {"text": None}, " boat"]),
        message("Now.", date_unixtime="soon", date="2024-01-01T00:01:00+00:00"),
        message("Then.", date_unixtime=None), ("name", "Cy"), message("Mine?"),
    ]  # fmt: skip
    assert list(telegram_utterances(members, left_out)) == [
        Utterance(1, "Bo5", "Bo", "Free?", 7.0),
        Utterance(2, "Bo5", "user2", "Yes.", 7.0),
        Utterance(7, "Bo5", "Bo", "A big boat", 7.0),
        Utterance(8, "Bo5", "Bo", "Now.", NEW_YEAR_S + 60),
        Utterance(9, "Bo5", "Bo", "Then.", None),
        Utterance(10, "Cy", "Bo", "Mine?", 7.0),
    ]
    assert left_out.counts == {LINE: 1, FORWARD: 1, PICTURE: 2}
    assert left_out.sentence() == "Left out: 2 pictures and files, 1 line of the program, 1 forwarded message."


def test_messages_of_discord() -> None:
    def message(text: Any, author: Any, **more: Any) -> tuple[str, dict[str, Any]]:
        return "messages", {"content": text, "author": author, "timestamp": "2024-01-01T00:00:01Z"} | more

    bo = {"name": "bo", "nickname": "Bo"}
    left_out = LeftOut()
    members = [
        ("guild", {"content": "x"}), ("messages", 5),
        message("Free?", bo), message(" Yes. ", {"name": "ada", "nickname": ""}, type=19),
        message("Joined.", bo, type="GuildMemberJoin"), message("Pinned.", bo, type=6), message("  ", bo),
        message(None, bo), message("Whose?", None), message("No.", bo, type="Reply", timestamp=None),
        message("0?", bo, type=0),
    ]  # fmt: skip
    assert list(discord_utterances(members, left_out)) == [
        Utterance(1, "", "Bo", "Free?", NEW_YEAR_S + 1),
        Utterance(2, "", "ada", "Yes.", NEW_YEAR_S + 1),
        Utterance(8, "", "Bo", "No.", None),
        Utterance(9, "", "Bo", "0?", NEW_YEAR_S + 1),
    ]
    assert left_out.counts == {LINE: 2, PICTURE: 3}


def test_messages_of_slack_stand_by_their_threads() -> None:
    names = slack_names([
        {"id": "U1", "name": "bo", "real_name": "Bo B.", "profile": {"display_name": "", "real_name": "Bo"}},
        {"id": "U2", "name": "ada", "profile": None}, {"id": "U3", "real_name": "Cy"}, {"id": "U4", "name": 4},
        {"id": 5, "name": "five"}, "odd",
    ])  # fmt: skip
    assert names == {"U1": "Bo", "U2": "ada", "U3": "Cy", "U4": "U4"}
    assert slack_names({"id": "U1"}) == {}

    def message(user: Any, text: Any, at: Any, **more: Any) -> dict[str, Any]:
        return {"type": "message", "user": user, "text": text, "ts": at} | more

    left_out = LeftOut()
    links = (
        "<@U2> <@U9> <@U1|B> <#C1|pier> <#C2> <!here> <https://a.b> <https://a.b|it> <mailto:a@b.c> 1 &lt; 2 &amp;"
    )
    pier = [
        message("U2", "In a thread.", "4", thread_ts="2"), message("U1", "Later.", "3"),
        message("U9", "Sooner.", "2"), "odd",
        message("U1", "First.", None), message("U1", "Half.", "0.5"), message("U1", "Came.", "5", subtype="x"),
        message("U1", "Me.", "6", subtype="me_message"), message("U1", "All.", "7", subtype="thread_broadcast"),
        message("U1", " ", "8"), message(None, "x", "9"), message("U1", None, "9"), {"type": "y"},
    ]  # fmt: skip
    found = slack_utterances([("pier", pier), ("bay", [message("U1", links, "1")])], names, left_out)
    assert list(found) == [
        Utterance(1, "pier/", "Bo", "First.", None),
        Utterance(3, "pier/", "Bo", "Half.", 0.5),
        Utterance(4, "pier/", "U9", "Sooner.", 2.0),
        Utterance(5, "pier/", "Bo", "Later.", 3.0),
        Utterance(7, "pier/", "Bo", "Me.", 6.0),
        Utterance(8, "pier/", "Bo", "All.", 7.0),
        Utterance(12, "pier/2", "ada", "In a thread.", 4.0),
        Utterance(13, "bay/", "Bo",
                  "@ada @U9 @B #pier #C2 @here https://a.b it a@b.c 1 < 2 &", 1.0),
    ]  # fmt: skip
    assert left_out.counts == {LINE: 2, PICTURE: 3}


@pytest.mark.parametrize(
    "begins, order, day, second",
    [
        ("1/2/24, 0:05", "day", (2024, 2, 1), 300),
        ("1/2/24, 0:05", "month", (2024, 1, 2), 300),
        ("1/2/24, 12:05 AM", "day", (2024, 2, 1), 300),
        ("1/2/24, 12:05 PM", "day", (2024, 2, 1), 43500),
        ("1/2/24, 1:05 p. m.", "day", (2024, 2, 1), 47100),
        ("1/2/24, 11:59:59 am", "day", (2024, 2, 1), 43199),
        ("1/2/24, 11:05 م", "day", (2024, 2, 1), 83100),
        ("1/2/24, 12:05 ص", "day", (2024, 2, 1), 300),
        ("2024-01-02, 23:59:58", "day", (2024, 1, 2), 86398),
        ("2024/1/2 上午12:05", "day", (2024, 1, 2), 300),
        ("1.2.2099 um 7.30", "day", (2099, 2, 1), 27000),
        ("1/2/99, 7:30", "day", (2099, 2, 1), 27000),
        ("1/2/100, 7:30", "day", (100, 2, 1), 27000),
        ("30/2/24, 7:30", "day", None, None),
    ],
)
def test_when_a_message_of_whatsapp_was_written(
    begins: str, order: DateOrder, day: tuple[int, int, int] | None, second: int | None
) -> None:
    (found,) = whatsapp_utterances([f"{begins} - Bo: Free?\n"], order, LeftOut())
    time = None if day is None or second is None else 86400.0 * date(*day).toordinal() + second
    assert found == Utterance(1, "", "Bo", "Free?", time)


@pytest.mark.parametrize(
    "said, text, counted",
    [
        ("Bo: Free?", "Free?", ""),
        ("~\u200eBo : Free?", "Free?", ""),
        ("Bo: Fr\u200eee? <This message was edited>", "Free?", ""),
        ("Bo: a <b>", "a <b>", ""),
        ("Bo: No. \u200e<Diese Nachricht wurde bearbeitet>", "No.", ""),
        ("Bo: ", "", PICTURE),
        ("Bo: <Media omitted>", "", PICTURE),
        ("Bo: a.jpg (file attached)", "", PICTURE),
        ("Bo: null", "", PICTURE),
        ("Bo: You deleted this message.", "", DELETED),
        ("Bo: \u200eThis message was deleted", "", DELETED),
        ("Bo: \u200e<attached: a.jpg>", "", PICTURE),
        ("Bo: \u200eGIF weggelassen", "", PICTURE),
        ("Bo: \u200eMissed voice call", "", LINE),
        ("Bo joined", "", LINE),
    ],
)
def test_what_a_line_of_whatsapp_says(said: str, text: str, counted: str) -> None:
    left_out = LeftOut()
    lines = ["Not yet.\n", f"1/2/24, 7:30 - {said}\n", "1/2/24, 7:31 - Ada: Yes.\r\n", "\n", "Come.  \n"]
    found = list(whatsapp_utterances(lines, "day", left_out))
    assert [(one.place, one.speaker, one.text) for one in found] == [
        *([(2, "Bo", text)] if text else []), (3, "Ada", "Yes.\n\nCome.")
    ]  # fmt: skip
    assert left_out.counts == ({counted: 1} if counted else {})


@pytest.mark.parametrize(
    "days, order",
    [
        (["1/2/24", "2/2/24"], "day"),
        (["2/1/24", "2/2/24", "3/1/24"], "month"),
        (["2/1/24", "2/13/24", "14/1/24"], "month"),
        (["2/1/24", "3/1/24", "13/2/24"], "day"),
        (["13/13/24"], "day"),
        (["2/12/24", "2/12/24"], "day"),
        (["3/1/24", "3/2/24", "4/1/24", "4/2/24", "5/1/24", "4/3/24"], "month"),
        (["3/1/24", "3/2/24", "4/1/24", "4/2/24", "5/1/24", "4/3/24", "13/1/24"], "day"),
        (["2024-13-01", "2/1/24", "2/13/24"], "month"),
        ([], "day"),
    ],
)
def test_whether_the_day_or_the_month_stands_first(days: list[str], order: str) -> None:
    assert date_order(f"{day}, 7:30 - Bo: x\n" for day in days) == order


DATED = "1/2/24, 7:30 - "


@pytest.mark.parametrize(
    "lines, expected",
    [
        ([f"{DATED}Bo: Free?"], True),
        ([f"{DATED}Bo: Free?", "", f"{DATED}Ada: Yes."], True),
        ([f"{DATED}Bo: Free?", "and now?"], False),
        ([f"{DATED}Bo joined"], False),
        ([f"{DATED}Bo joined", f"{DATED}Bo: Free?"], True),
        ([f"{DATED}Bo joined", f"{DATED}Cy joined", f"{DATED}Bo: Free?"], False),
        (["Boats", f"{DATED}Bo: Free?", f"{DATED}Ada: Yes."], False),
        ([f"{DATED}Bo joined"] * 2 + ["x"] * 58 + [f"{DATED}Bo: Free?"] * 9, False),
        ([""], False),
    ],
)
def test_how_a_chat_of_whatsapp_begins(lines: list[str], expected: bool) -> None:
    head = "\n".join(lines)
    assert is_whatsapp(head) is expected
    assert transcript_program(f"\ufeff{head}") == ("whatsapp" if expected else "")


@pytest.mark.parametrize(
    "head, program",
    [
        ('[{"mapping": {}, "current_node": "a"}]', "chatgpt"),
        ('\ufeff{"mapping": {"a": {"author": 1, "parent": 2, "children": []}}}', "chatgpt"),
        ('[{"mapping": {"a": {"author": 1, "parent": 2}}}]', ""),
        ('[{"current_node": "a", "author": 1, "parent": 2, "children": 3}]', ""),
        ('[{"uuid": 1, "chat_messages" : []}]', "claude"),
        ('[{"uuid": 1, "text": "\\"chat_messages\\": []"}]', ""),
        ('[{"chat_messages": [], "name": "uuid"}]', ""),
        ('{"messages": [{"type": 1, "date": 2, "from_id": 3}]}', "telegram"),
        ('{"messages": [{"type": 1, "from_id": 3}]}', ""),
        ('{"messages": [{"type": 1, "date": 3}]}', ""),
        ('{"guild": 1, "channel": 2, "messages": [{"author": 1}]}', "discord"),
        ('{"guild": 1, "channel": 2, "messages": []}', ""),
        ('{"channel": 2, "messages": [{"author": 1}]}', ""),
        (' [{"type": 1, "ts": 2, "user": 3, "text": 4}]', "slack"),
        ('{"type": 1, "ts": 2, "user": 3, "text": 4}', ""),
        ('[{"type": 1, "user": 3, "text": 4}]', ""),
        ('"mapping": {}, "current_node": "a"', ""),
    ],
)
def test_the_program_is_told_by_the_keys(head: str, program: str) -> None:
    assert transcript_program(head) == program
