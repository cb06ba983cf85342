"""Chats that programs export become conversations in which the chosen speaker answers, and all of it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.command.main import run_command
from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import read_window
from app.core.data.prepare import prepare_data
from app.core.data.report import DataReport
from app.core.transcript.assistant import chatgpt_utterances, claude_utterances
from app.core.transcript.utterance import LeftOut, Utterance

BOOKING = """12/31/23, 10:15\u202fPM - Messages and calls are end-to-end encrypted.
12/31/23, 10:15\u202fPM - Bo: Is the boat free?
12/31/23, 10:16\u202fPM - Bo: Hello?
12/31/23, 10:17\u202fPM - Ada: Yes.
It is at the pier: come.
12/31/23, 10:18\u202fPM - Ada: <Media omitted>
12/31/23, 10:19\u202fPM - Bo: This message was deleted
1/1/24, 9:00\u202fAM - Bo: And today?
1/1/24, 9:01\u202fAM - Ada: No. <This message was edited>
1/1/24, 9:05\u202fAM - Bo: Pity
"""


def chat(path: Path, content: Any, **values: object) -> DataReport:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return check_files([path], config=TrainConfig().with_values(values))


def turns(report: DataReport) -> list[list[tuple[str, str]]]:
    assert (report.usable, report.target) == (True, "chat")
    return [[(turn["role"], turn["content"]) for turn in row["messages"]] for row in report.preview]


def contents(report: DataReport) -> str:
    return next(note.reason for note in report.notes if note.kind == "contents")


MEMBERS = "It is a chat of Bo (4 messages), Ada (2 messages)."
ASKED = [("user", "Is the boat free?"), ("assistant", "Yes.")]


def test_a_chat_of_whatsapp(tmp_path: Path) -> None:
    report = chat(tmp_path / "chat.txt", BOOKING, answers_by="Ada")
    assert turns(report) == [
        [("user", "Is the boat free?\nHello?"), ("assistant", "Yes.\nIt is at the pier: come.")],
        [("user", "And today?"), ("assistant", "No.")],
    ]
    assert report.preview_lines == (2, 8)
    assert contents(report) == (
        "WhatsApp: 2 conversations of 6 messages, answers by Ada. A pause of 4 hours begins another, as does the "
        "maximum length. Left out: 1 line of the program, 1 picture or file, 1 deleted message, 1 message without "
        "a question before or an answer after it."
    )


def test_whose_words_are_the_answers_is_asked_with_the_names(tmp_path: Path) -> None:
    unnamed, unknown = "It is not chosen whose words are the answers.", "Nobody in this chat is called `Al`."
    for wanted, said in (("", unnamed), ("Al", unknown)):
        report = chat(tmp_path / "chat.txt", BOOKING, answers_by=wanted)
        assert (report.usable, report.speakers) == (False, {"Bo": 4, "Ada": 2})
        (error,) = report.errors
        assert (error.kind, error.line) == ("no_speaker", None)
        assert error.reason == f"{said} {MEMBERS}"
        assert "--answers-by" in error.hint
    assert chat(tmp_path / "chat.txt", BOOKING, answers_by="ada").examples == 2


@pytest.mark.parametrize(
    "first, second",
    [
        ("[31.12.23, 22:15:01] ", "\u200e[31.12.23, 22:16:01] "),
        ("31.12.23, 22:15 - ", "31.12.23, 22:16 - "),
        ("31/12/2023 à 22:15 - ", "31/12/2023 à 22:16 - "),
        ("31/12/2023, 10:15 p.\u00a0m. - ", "31/12/2023, 10:16 p.\u00a0m. - "),
        ("2023-12-31, 22:15 - ", "2023-12-31, 22:16 - "),
        ("\u200f31\u200f/12\u200f/2023، 10:15 م - ", "\u200f31\u200f/12\u200f/2023، 10:16 م - "),
        ("2023/12/31 下午10:15 - ", "2023/12/31 下午10:16 - "),
        ("[12/31/23, 10:15:01\u202fPM] ", "[12/31/23, 10:16:01\u202fPM] "),
    ],
)
def test_dates_of_many_languages(first: str, second: str, tmp_path: Path) -> None:
    text = f"{first}Bo: Is the boat free?\n{second}Ada: Yes.\n"
    assert turns(chat(tmp_path / "chat.txt", text, answers_by="Ada")) == [ASKED]


def test_what_an_iphone_marks_is_left_out(tmp_path: Path) -> None:
    text = (
        "[31.12.23, 22:15:01] Boats: \u200eMessages and calls are end-to-end encrypted.\n"
        "[31.12.23, 22:15:01] Bo: Is the boat free?\n\u200e[31.12.23, 22:15:09] Ada: \u200eimage omitted\n"
        "[31.12.23, 22:16:01] Ada: Yes.\n[31.12.23, 22:17:01] Cy: And mine?\n[31.12.23, 22:18:01] Ada: No.\n"
    )
    report = chat(tmp_path / "chat.txt", text, answers_by="Ada")
    assert turns(report) == [
        [("user", "Bo: Is the boat free?"), ("assistant", "Yes."), ("user", "Cy: And mine?"), ("assistant", "No.")]
    ]
    assert "Left out: 1 line of the program, 1 picture or file." in contents(report)


@pytest.mark.parametrize("days, count", [(["1/2/24", "2/2/24"], 2), (["2/1/24", "2/2/24", "3/1/24"], 3)])
def test_a_day_that_could_be_a_month_is_read_so_that_time_goes_on(
    days: list[str], count: int, tmp_path: Path
) -> None:
    text = "".join(f"{day}, 22:15 - Bo: Free on {day}?\n{day}, 22:16 - Ada: Yes.\n" for day in days)
    assert chat(tmp_path / "chat.txt", text, answers_by="Ada").examples == count


def test_a_long_talk_is_cut_before_a_question(tmp_path: Path) -> None:
    text = "".join(f"1/2/24, 22:{n:02} - {'Bo' if n % 2 == 0 else 'Ada'}: number {n}\n" for n in range(60))
    report = chat(tmp_path / "chat.txt", text, answers_by="Ada", max_seq_length=40)
    assert report.examples == report.rows > 4
    assert all(row["messages"][0]["role"] == "user" for row in report.preview)
    config = TrainConfig(data=str(tmp_path / "chat.txt"), answers_by="Ada", max_seq_length=40)
    assert read_window(tmp_path / "chat.txt", report.preview_lines[1], 1, config)[0][1] == report.preview[1]


def test_texts_with_dates_are_texts(tmp_path: Path) -> None:
    report = chat(tmp_path / "notes.txt", "12.05.2024: the tide was high.\n13.05.2024: it was low.\n")
    assert (report.target, report.examples) == ("text", 1)


def node(role: str, text: str, parent: str | None, *children: str, **more: Any) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    message = {"author": {"role": role}, "recipient": "all", "content": content, "metadata": {}} | more
    return {"message": message if role else None, "parent": parent, "children": list(children)}


CHATGPT: list[dict[str, Any]] = [
    {
        "title": "Boats",
        "mapping": {
            "root": node("", "", None, "rules"),
            "rules": node("system", "", "root", "ask", metadata={"is_visually_hidden_from_conversation": True}),
            "ask": node("user", "Is the boat free?", "rules", "old", "call"),
            "old": node("assistant", "Perhaps.", "ask"),
            "call": node("assistant", "search", "ask", "found", recipient="browser"),
            "found": node("tool", "free", "call", "yes"),
            "yes": node("assistant", "Yes.", "found"),
        },
        "current_node": "yes",
    },
    {"title": "Nothing", "mapping": {}, "current_node": None},
]
CLAUDE: list[dict[str, Any]] = [
    {
        "uuid": "1",
        "name": "Boats",
        "chat_messages": [
            {"uuid": "2", "sender": "human", "text": "", "content": [{"type": "text", "text": "Is the boat free?"}],
             "attachments": [{"file_name": "boats.txt"}]},
            {"uuid": "3", "sender": "assistant", "text": "Yes.",
             "content": [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": "Yes."}]},
        ],
    }
]  # fmt: skip


def test_chats_with_models_answer_by_the_model_unless_said_otherwise(tmp_path: Path) -> None:
    report = chat(tmp_path / "conversations.json", CHATGPT)
    assert turns(report) == [ASKED]
    left_out = "Left out: 2 steps between question and answer."
    assert contents(report) == f"ChatGPT: 1 conversation of 2 messages, answers by assistant. {left_out}"
    report = chat(tmp_path / "claude.json", CLAUDE)
    assert turns(report) == [ASKED]
    assert contents(report).endswith("Left out: 1 picture or file, 1 step between question and answer.")
    more = [*CLAUDE, {**CLAUDE[0], "chat_messages": [*CLAUDE[0]["chat_messages"], *CLAUDE[0]["chat_messages"]]}]
    report = chat(tmp_path / "claude.json", more, answers_by="human")
    assert turns(report) == [[("user", "Yes."), ("assistant", "Is the boat free?")]]


def test_a_branch_without_a_current_message_is_the_last_one(tmp_path: Path) -> None:
    shown = [CHATGPT[0] | {"current_node": None, "create_time": 1}]
    assert turns(chat(tmp_path / "conversations.json", shown)) == [ASKED]
    loop = {"a": node("user", "x", None, "b"), "b": node("assistant", "y", "a", "a")}
    assert chat(tmp_path / "conversations.json", [{"mapping": loop, "current_node": "gone"}]).examples == 1


def test_of_a_chat_with_chatgpt_the_branch_is_read_that_was_shown_last() -> None:
    """Not the last answer where another one was chosen; what is no chat is passed over and counted as one."""
    picture = {"content_type": "multimodal_text", "parts": [{"asset": 1}, "What is", "this?", {"asset": 2}]}
    code = {"content_type": "code", "text": "print()"}
    mapping = {
        "no": node("assistant", "A pier.", "ask"),
        "root": node("", "", None, "rules"),
        "rules": node("system", "Be brief.", "root", "odd"),
        "odd": node("system", "", "rules", "set", content={"content_type": "model_editable_context"}),
        "set": node("user", "Hidden.", "odd", "ask", metadata={"is_visually_hidden_from_conversation": True}),
        "ask": node("user", "", "set", "run", "no", content=picture),
        "run": node("assistant", "", "ask", "empty", content=code),
        "empty": node("tool", "", "run", "yes"),
        "yes": node("assistant", " A boat. ", "empty"),
    }
    left_out = LeftOut()
    chats = ["none", {"mapping": []}, {"mapping": mapping, "current_node": "yes"}, {"mapping": mapping}]
    asked = [("system", "Be brief."), ("user", "What is\nthis?")]
    assert list(chatgpt_utterances(chats, left_out)) == [
        *(Utterance(3, "3", who, text) for who, text in (*asked, ("assistant", "A boat."))),
        *(Utterance(4, "4", who, text) for who, text in (*asked, ("assistant", "A pier."))),
    ]
    assert +left_out.counts == {"picture or file": 4, "step between question and answer": 1}


@pytest.mark.parametrize(
    "links, current, read",
    [
        ({"a": ("gone", ["b"]), "b": ("a", [])}, "b", "ab"),  # the first message is not in the file
        ({"a": ("b", ["b"]), "b": ("a", ["a"])}, "a", "ba"),  # each is before the other
        ({"a": ("b", ["b"]), "b": ("a", ["a"])}, None, ""),
        ({"b": ("a", []), "a": (None, ["b"])}, None, "ab"),
        ({"a": (None, ["b"]), "b": ("a", ["a"])}, None, "ab"),  # the last child is its first message
        ({"a": (None, ["b"]), "b": ("a", [7])}, 7, "ab"),
        ({"a": (None, "b"), "b": ("a", [])}, "gone", "a"),
        ({"a": (None, ["b"]), "b": ("a", ["gone"])}, None, ""),
    ],
)
def test_a_chat_with_odd_links_is_read_as_far_as_they_lead(
    links: dict[str, tuple[str | None, Any]], current: Any, read: str
) -> None:
    mapping = {name: node("user", name, before) | {"children": after} for name, (before, after) in links.items()}
    found = chatgpt_utterances([{"mapping": mapping, "current_node": current}], LeftOut())
    assert "".join(one.text for one in found) == read


def test_of_a_chat_with_claude_files_and_thoughts_are_counted() -> None:
    said = [
        {"type": "text", "text": "Two boats."},
        {"type": "tool_use"},
        {"type": "text", "text": "Both free.\n"},
        7,
    ]
    messages = [
        {"sender": "human", "text": " How many? ", "content": [], "attachments": [1], "files": [1, 2]},
        {"sender": "assistant", "text": "no", "content": said, "files": None},
        {"sender": None, "text": "Nobody's."},
        {"sender": "human", "text": None},
        "odd",
    ]
    left_out = LeftOut()
    assert list(claude_utterances(["odd", {"chat_messages": 5}, {"chat_messages": messages}], left_out)) == [
        Utterance(3, "3", "human", "How many?"),
        Utterance(3, "3", "assistant", "Two boats.\n\nBoth free."),
    ]
    assert +left_out.counts == {"picture or file": 3, "step between question and answer": 2}


def telegram(number: int, who: str, text: Any, time: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "type": "message", "date": "2024-01-01T00:00:00", "date_unixtime": str(time), "from": who,
            "from_id": f"user{who}", "text": text} | more  # fmt: skip


TELEGRAM = {
    "name": "Bo", "type": "personal_chat", "id": 5,
    "messages": [
        {"id": 0, "type": "service", "date": "2024-01-01T00:00:00", "action": "phone_call", "text": ""},
        telegram(1, "Bo", ["Is the ", {"type": "bold", "text": "boat"}, " free?"], 1000),
        telegram(2, "Ada", "Yes.", 1060),
        telegram(3, "Ada", "", 1061, photo="boat.jpg"),
        telegram(4, "Ada", "Boats are fun!", 1062, forwarded_from="Cy"),
        telegram(5, "Bo", "And now?", 1000 + 4 * 3600),
        telegram(6, "Bo", "And then?", 1000 + 9 * 3600),
        telegram(7, "Ada", "No.", 1010 + 9 * 3600),
    ],
}  # fmt: skip


def test_telegram(tmp_path: Path) -> None:
    report = chat(tmp_path / "result.json", TELEGRAM, answers_by="Ada")
    assert turns(report) == [ASKED, [("user", "And then?"), ("assistant", "No.")]]
    assert "1 forwarded message" in contents(report)
    export = {"about": "All", "contacts": {"list": [{"first_name": "Bo"}]},
              "chats": {"about": "", "list": [TELEGRAM, {**TELEGRAM, "name": "Cy", "messages": [
                  telegram(1, "Cy", "Mine?", 1), telegram(2, "Ada", "No.", 2)]}]}}  # fmt: skip
    (tmp_path / "pretty.json").write_text(json.dumps(export, indent=1))
    for name in ("result.json", "pretty.json"):
        text = (tmp_path / name).read_text() if name == "pretty.json" else json.dumps(export)
        report = chat(tmp_path / name, text, answers_by="Ada")
        assert turns(report)[2] == [("user", "Mine?"), ("assistant", "No.")]


def discord(who: str, text: str, time: str, kind: str = "Default") -> dict[str, Any]:
    author = {"id": who, "name": who.lower(), "nickname": who, "isBot": False}
    return {"id": time, "type": kind, "timestamp": f"2024-01-01T{time}:00+00:00", "content": text, "author": author}


DISCORD = {
    "guild": {"id": "1", "name": "Boats"}, "channel": {"id": "2", "type": "GuildTextChat", "name": "pier"},
    "dateRange": {"after": None, "before": None},
    "messages": [discord("Bo", "Is the boat free?", "10:00"), discord("Ada", "Yes.", "10:01", "Reply"),
                 discord("Cy", "Joined.", "10:02", "GuildMemberJoin")],
    "messageCount": 3,
}  # fmt: skip


def test_discord(tmp_path: Path) -> None:
    report = chat(tmp_path / "pier.json", json.dumps(DISCORD, indent=2), answers_by="Ada")
    assert turns(report) == [ASKED]
    broken = chat(tmp_path / "pier.json", json.dumps(DISCORD, indent=2)[:-180], answers_by="Ada")
    assert (broken.usable, broken.examples) == (False, 1)
    assert [(error.line, error.kind) for error in broken.errors] == [(2, "broken_json")]


def slack(folder: Path) -> Path:
    (folder / "pier").mkdir(parents=True)
    people = [{"id": "U1", "name": "bo", "profile": {"display_name": "Bo"}},
              {"id": "U2", "name": "ada", "profile": {"display_name": "", "real_name": "Ada"}}]  # fmt: skip
    (folder / "users.json").write_text(json.dumps(people))
    (folder / "channels.json").write_text("[]")
    said = [
        ("U1", "Hi <@U2>, <https://boats.org|this> &amp; that?", 1.0, None),
        ("U2", "Both.", 2.0, None),
        ("U1", "Is the boat free?", 3.0, 3.0),
        ("U1", "Thanks", 4.0, None),
        ("U2", "Yes.", 5.0, 3.0),
    ]
    day: list[dict[str, Any]] = [{"type": "message", "subtype": "channel_join"}]
    for user, text, at, thread in said:
        within = {"thread_ts": f"{1704067200 + thread}"} if thread else {}
        day.append({"type": "message", "user": user, "text": text, "ts": f"{1704067200 + at}"} | within)
    (folder / "pier" / "2024-01-01.json").write_text(json.dumps(day))
    return folder


def test_slack(tmp_path: Path) -> None:
    report = check_files([slack(tmp_path / "boats")], config=TrainConfig(answers_by="Ada"))
    assert turns(report) == [[("user", "Hi @Ada, this & that?"), ("assistant", "Both.")], ASKED]
    assert contents(report).startswith("Slack: 2 conversations of 5 messages, answers by Ada.")


def test_a_run_trains_on_the_conversations(tmp_path: Path) -> None:
    chat(tmp_path / "chat.txt", BOOKING)
    config = TrainConfig(data=str(tmp_path / "chat.txt"), answers_by="Ada", valid_fraction=0, test_fraction=0)
    written = prepare_data(config, tmp_path / "out").train.read_text(encoding="utf-8").splitlines()
    assert json.loads(written[1]) == {"messages": [{"role": "user", "content": "And today?"},
                                                   {"role": "assistant", "content": "No."}]}  # fmt: skip


def test_check_takes_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat(tmp_path / "chat.txt", BOOKING)
    assert run_command(["check", str(tmp_path / "chat.txt"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["speakers"] == {"Bo": 4, "Ada": 2}
    assert run_command(["check", str(tmp_path / "chat.txt"), "--answers-by", "Ada", "--show", "1", "--json"]) == 0
    assert "Is the boat free?" in json.loads(capsys.readouterr().out)["preview"][0]["text"]
