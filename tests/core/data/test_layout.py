"""Every column is used where its meaning is known, told where it is not, whatever the layout of the rows is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.core.data.column import choice_columns, folded, reads_as_data
from app.core.data.format import Features, Format, Layout
from app.core.data.layout import layout_of
from app.core.problem import UnusableError
from tests.core.data.written import checked, told, trained

SYSTEM = {"role": "system", "content": "Speak as a lighthouse keeper."}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def answer(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


TALK = [user("Is it foggy?"), answer("Thick as wool.")]
PIRATE = "Speak as a lighthouse keeper."

CHATS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "system beside messages": ({"system": PIRATE, "messages": TALK}, [SYSTEM, *TALK]),
    "system prompt beside messages": ({"messages": TALK, "system_prompt": PIRATE}, [SYSTEM, *TALK]),
    "system in parts": ({"system": [{"text": PIRATE}], "messages": TALK}, [SYSTEM, *TALK]),
    "a system turn of its own": ({"system": PIRATE, "messages": [SYSTEM, *TALK]}, [SYSTEM, *TALK]),
    "system beside a pair": (
        {"id": "x", "system_message": PIRATE, "question": "Is it foggy?", "response": "Thick as wool."},
        [SYSTEM, *TALK],
    ),
    "system beside ShareGPT": (
        {"system": PIRATE, "conversations": [{"from": "human", "value": "Is it foggy?"},
                                             {"from": "gpt", "value": "Thick as wool."}]},
        [SYSTEM, *TALK],
    ),
    "history of pairs": (
        {"prompt": "And now?", "completion": "Clear.", "history": [["Is it foggy?", "Thick as wool."]]},
        [*TALK, user("And now?"), answer("Clear.")],
    ),
    "history of messages": (
        {"query": "And now?", "response": "Clear.", "history": TALK}, [*TALK, user("And now?"), answer("Clear.")],
    ),
    "history of named texts, as JSON": (
        {"input": "And now?", "output": "Clear.", "history": '[{"user": "Is it foggy?", "bot": "Thick as wool."}]'},
        [*TALK, user("And now?"), answer("Clear.")],
    ),
    "other names of roles": (
        {"messages": [{"role": "User", "content": "Is it foggy?"}, {"role": "model", "content": "Thick as wool."}]},
        TALK,
    ),
    "human and ai": (
        {"messages": [{"role": "human", "content": "Is it foggy?"}, {"role": "ai", "content": "Thick as wool."}]},
        TALK,
    ),
    "developer": ({"messages": [{"role": "developer", "content": PIRATE}, *TALK]}, [SYSTEM, *TALK]),
    "parts by another field": (
        {"messages": [{"role": "user", "content": [{"type": "text", "value": "Is it foggy?"}]},
                      {"role": "assistant", "content": [{"type": "output_text", "text": "Thick "}, "as wool."]}]},
        TALK,
    ),
    "thoughts as a part": (
        {"messages": [TALK[0], {"role": "assistant", "content": [{"type": "thinking", "thinking": "Look out."},
                                                                 {"type": "text", "text": "Yes."}]}]},
        [TALK[0], {"role": "assistant", "content": "Yes.", "reasoning_content": "Look out."}],
    ),
    "weights": (
        {"messages": [TALK[0], answer("No.") | {"train": False}, user("Look!"), answer("Yes.") | {"weight": 1}]},
        [TALK[0], answer("No.") | {"weight": 0}, user("Look!"), answer("Yes.") | {"weight": 1}],
    ),
    "ShareGPT weights": (
        {"conversations": [{"from": "human", "value": "Is it foggy?"},
                           {"from": "gpt", "value": "Thick as wool.", "loss_weight": 0}]},
        [TALK[0], TALK[1] | {"weight": 0}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", CHATS)
def test_rows_that_train_as_chat(form: str, tmp_path: Path) -> None:
    row, wanted = CHATS[form]
    assert trained(tmp_path, [row])[0]["messages"] == wanted


QUESTION = "Which burns longest?"
CHOICES = f"{QUESTION}\n\nA. oil\nB. wood\nC. straw"
PAIRS: dict[str, tuple[dict[str, Any], str, str]] = {
    "context beside a question": (
        {"question": "How many ships?", "context": "CREATE TABLE ships (id INT)", "answer": "SELECT COUNT(*)"},
        "How many ships?\n\nCREATE TABLE ships (id INT)", "SELECT COUNT(*)",
    ),
    "context beside prompt and completion": (
        {"prompt": "How many?", "completion": "Two.", "context": "Two ships came."},
        "How many?\n\nTwo ships came.", "Two.",
    ),
    "a context that the prompt holds": (
        {"prompt": "Two ships came into port. How many?", "completion": "2",
         "context": "Two ships came into port."},
        "Two ships came into port. How many?", "2",
    ),
    "several contexts": (
        {"question": "How many?", "context": ["Two came.", "One left."], "answer": "One."},
        "How many?\n\nTwo came.\n\nOne left.", "One.",
    ),
    "choices in columns": (
        {"question": QUESTION, "A": "oil", "B": "wood", "C": "straw", "answer": "A"}, CHOICES, "A",
    ),
    "choices in a list, the answer its place": (
        {"question": QUESTION, "choices": ["oil", "wood", "straw"], "answer": 1}, CHOICES, "B",
    ),
    "choices with keys": (
        {"question": QUESTION, "choices": {"text": ["oil", "wood", "straw"], "label": ["A", "B", "C"]},
         "answerKey": "C"}, CHOICES, "C",
    ),
    "options by letter": (
        {"instruction": QUESTION, "options": {"A": "oil", "B": "wood", "C": "straw"}, "output": "A"}, CHOICES, "A",
    ),
    "choices of numbers": (
        {"question": "6 * 7 = 42?", "choices": [4, 2], "answer": 2}, "6 * 7 = 42?\n\nA. 4\nB. 2", "2",
    ),
    "choices that the question lists": (
        {"question": "Which?\nA) oil\nB) wood", "A": "oil", "B": "wood", "answer": "B"}, "Which?\nA) oil\nB) wood",
        "B",
    ),
    "an exam's columns": (
        {"question": QUESTION, "opa": "oil", "opb": "wood", "opc": "straw", "cop": 2}, CHOICES, "C",
    ),
    "a number": ({"question": "6 * 7?", "answer": 42}, "6 * 7?", "42"),
    "a fraction": ({"prompt": "1 / 2?", "completion": 0.5}, "1 / 2?", "0.5"),
    "a truth": ({"question": "Is tar black?", "answer": True}, "Is tar black?", "true"),
    "accepted answers": ({"question": "Who?", "answers": ["Mara", "mara"]}, "Who?", "Mara"),
    "the text of a list": (
        {"prompt": "Crew?", "completion": '[{"name": "Mara"}]'}, "Crew?", '[{"name": "Mara"}]',
    ),
    "a text and its class": ({"text": "The lamp went out.", "label": "fault"}, "The lamp went out.", "fault"),
    "a text and the number of its class": ({"text": "All well.", "label": 0}, "All well.", "0"),
    "a text and the name of its class": (
        {"text": "All well.", "label": 0, "label_text": "fine"}, "All well.", "fine",
    ),
    "a review and its sentiment": ({"review": "Bright!", "sentiment": "glad"}, "Bright!", "glad"),
}  # fmt: skip


@pytest.mark.parametrize("form", PAIRS)
def test_rows_that_train_as_prompt_and_answer(form: str, tmp_path: Path) -> None:
    row, prompt, completion = PAIRS[form]
    assert trained(tmp_path, [row]) == [{"prompt": prompt, "completion": completion}]


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_row_does_not_decide_what_a_text_is(first: int, tmp_path: Path) -> None:
    rows = [{"prompt": "Crew?", "completion": '[{"name": "Mara"}]'}, {"prompt": "Hello", "completion": "Ahoy"}]
    report = checked(tmp_path, [rows[first], rows[1 - first]])
    assert (report.usable, report.format, report.examples) == (True, "completion", 2)


def test_columns_that_are_not_used_are_told_with_their_rows(tmp_path: Path) -> None:
    row = {"prompt": "a", "completion": "b", "source": "log", "explanation": "c", "rating": 3, "answer_id": "q7"}
    rows = [row | {"prompt": f"a{n}"} for n in range(3)] + [{"prompt": "z", "completion": "b", "explanation": ""}]
    report = checked(tmp_path, rows)
    assert report.usable
    assert told(report) == [
        ("unused_column", "`explanation` is not used: 3 rows."),
        ("unused_text", "Not used: `source` (3 rows), `answer_id` (3 rows)."),
    ]
    assert report.counts["unused_column"] == 3


@pytest.mark.parametrize(
    "row, reason",
    [
        ({"text": "a", "rationale": "b"}, "`rationale` is not used: 1 row."),
        ({"text": "a", "tools": [{"name": "c"}]}, "`tools` is not used: 1 row."),
        ({"prompt": "a", "completion": "b", "history": "earlier"},
         "`history` is not used: it holds no turns: 1 row."),
        ({"question": "a", "answer": "b", "context": {"page": 1}},
         "`context` is not used, being an object: 1 row."),
        ({"question": "a", "answer": "b", "choices": [["c"]]},
         "`choices` is not used: it holds no choices: 1 row."),
        ({"messages": [SYSTEM, *TALK], "system": "Be brief."},
         "`system` is not used beside a system turn: 1 row."),
        ({"messages": TALK, "context": "a"}, "`context` is not used: 1 row."),
        ({"problem": "a", "solution": "b", "answer": "c"}, "`answer` is not used: 1 row."),
    ],
)  # fmt: skip
def test_what_is_left_out_of_an_example_is_a_warning(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    report = checked(tmp_path, [row])
    assert [finding.reason for finding in report.warnings] == [reason]
    assert report.usable


def test_a_column_that_groups_rows_is_used(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "completion": "b", "topic": "lamps"}]
    assert told(checked(tmp_path, rows, group_feature="topic")) == []


METHOD_ROWS: dict[str, dict[str, Any]] = {
    "sft": {"messages": TALK},
    "dpo": {"prompt": "a", "chosen": "b", "rejected": "c"},
    "grpo": {"prompt": "a", "answer": "b"},
}


@pytest.mark.parametrize("column", ["images", "image", "audios", "videos"])
@pytest.mark.parametrize("mode", METHOD_ROWS)
def test_pictures_and_sound_are_refused_by_name(column: str, mode: str, tmp_path: Path) -> None:
    row = METHOD_ROWS[mode]
    report = checked(tmp_path, [row | {column: ["harbour.file"]}], mode)
    assert [(finding.line, finding.kind) for finding in report.errors] == [(1, "media")]
    assert f"`{column}` holds" in report.errors[0].reason
    assert checked(tmp_path, [row | {column: []}], mode).usable


@pytest.mark.parametrize(
    "part, said",
    [
        ({"type": "image_url", "image_url": {"url": "a"}}, "holds pictures (`image_url`)"),
        ({"type": "input_audio", "data": "a"}, "holds sound (`input_audio`)"),
        ({"image": "a.png"}, "holds pictures (`image`)"),
        ({"type": "chart", "rows": []}, "holds parts that are not text (`chart`)"),
        ({"type": "text"}, "holds a part without a text"),
    ],
)
def test_parts_that_are_not_text_are_called_what_they_are(part: Any, said: str, tmp_path: Path) -> None:
    report = checked(tmp_path, [{"messages": [{"role": "user", "content": [part]}, TALK[1]]}])
    (error,) = report.errors
    assert (error.kind, said in error.reason) == ("wrong_type", True)


def test_messages_keep_their_numbers_beside_a_system_column(tmp_path: Path) -> None:
    row = {"system": PIRATE, "messages": [TALK[0], {"role": "parrot", "content": "Fog!"}]}
    (error,) = checked(tmp_path, [row]).errors
    assert error.reason.startswith("Message 2 has the unknown role 'parrot'")


def test_a_role_read_as_another_is_told_with_its_rows(tmp_path: Path) -> None:
    rows = [{"messages": [user(f"Fog {n}?"), {"role": "bot", "content": "Yes."}]} for n in range(4)]
    assert told(checked(tmp_path, rows)) == [("renamed_role", "The role `bot` is read as `assistant`: 4 rows.")]


def test_advice_can_be_followed(tmp_path: Path) -> None:
    """What the check says of pairs in supervised training leads to examples, not to the next refusal."""
    row = {"query": "Fog?", "chosen": {"role": "assistant", "content": "Yes."}, "rejected": "No."}
    (error,) = checked(tmp_path, [row]).errors
    assert "choose `query` as the prompt column and `chosen` as the answer column" in error.reason
    rows = trained(tmp_path, [row], prompt_feature="query", completion_feature="chosen")
    assert rows == [{"messages": [user("Fog?"), answer("Yes.")]}]
    (error,) = checked(tmp_path, [{"messages": TALK, "label": True}]).errors
    assert "choose the format `chat`" in error.reason
    assert checked(tmp_path, [{"messages": TALK, "label": True}], data_format="chat").usable


def test_long_names_of_columns_are_cut(tmp_path: Path) -> None:
    report = checked(tmp_path, [{"a" * 500: 1}])
    assert len(report.errors[0].reason) < 120


def test_labelled_rows_are_refused_in_supervised_training_whatever_their_form(tmp_path: Path) -> None:
    for row in ({"messages": TALK}, {"instruction": "Fog?", "output": "Yes."}):
        with pytest.raises(UnusableError, match="labelled good or bad"):
            trained(tmp_path, [row | {"label": False}])


@pytest.mark.parametrize(
    "name, expected",
    [("context", True), ("System Prompt", True), ("modelAnswer", True), ("option_a", True), ("chat_history", True),
     ("prompt_id", False), ("answer_type", False), ("source", False), ("url", False), ("inputTokens", False),
     ("score_chosen", False), ("labels", True),
     ("", False), ("größe", False)],
)  # fmt: skip
def test_names_that_read_as_data(name: str, expected: bool) -> None:
    assert reads_as_data(name) is expected


@pytest.mark.parametrize(
    "columns, found",
    [
        ("q A B D", "A B D"),
        ("q a", ""),
        ("option_1 option_2", "option_1 option_2"),
        ("opa opb opc", "opa opb opc"),
        ("choices A B", "choices"),
        ("B C", ""),
    ],
)
def test_choice_columns(columns: str, found: str) -> None:
    assert choice_columns(folded(columns.split())) == tuple(found.split())


@pytest.mark.parametrize(
    "names", [("input", "output"), ("human", "assistant"), ("user", "bot"), ("question", "answer")]
)
def test_turns_that_have_a_text_a_speaker_are_messages(names: tuple[str, str], tmp_path: Path) -> None:
    asks, answers = names
    row = {"conversation": [{answers: "Thick as wool.", "system": PIRATE, asks: "Is it foggy?"},
                            {asks: "Still?", answers: "Still."}]}  # fmt: skip
    expected = [SYSTEM, *TALK, user("Still?"), answer("Still.")]
    assert trained(tmp_path, [row]) == [{"messages": expected}]


def test_turns_of_one_speaker_each_are_messages(tmp_path: Path) -> None:
    assert trained(tmp_path, [{"dialog": [{"user": "Is it foggy?"}, {"assistant": "Thick as wool."}]}]) == [
        {"messages": TALK}
    ]


def test_a_turn_without_loss_is_masked(tmp_path: Path) -> None:
    turns = [
        {"input": "Is it foggy?", "output": "Thick as wool.", "output_with_loss": False},
        {"input": "Still?", "output": "Still."},
    ]
    (row,) = trained(tmp_path, [{"conversation": turns}])
    assert [turn.get("weight") for turn in row["messages"]] == [None, 0, None, None]


def test_the_answers_of_a_flat_squad_row_are_used(tmp_path: Path) -> None:
    row = {"context": "High water comes at six.", "question": "When?", "answers": {"text": ["six", "at six"]}}
    assert trained(tmp_path, [row]) == [{"prompt": "When?\n\nHigh water comes at six.", "completion": "six"}]
    with_places = row | {"answers": {"text": ["at six"], "answer_start": [17]}}
    (rated,) = trained(tmp_path / "rated", [with_places], "grpo")
    assert rated["answer"] == "at six"
    none = row | {"answers": {"text": [], "answer_start": []}}
    (error,) = checked(tmp_path / "none", [row, none]).errors
    assert (error.line, error.reason) == (2, "`answers` holds no answer.")


@pytest.mark.parametrize(
    ("row", "chosen", "found"),
    [
        ({"instruction": "Foggy?", "output": "Thick."}, "completion", "alpaca"),
        ({"question": "Foggy?", "answer": "Thick."}, "completion", "completion"),
        ({"prompt": "Foggy?", "answer": "Thick."}, "completion", "completion"),
        ({"messages": TALK}, "completion", None),
        ({"text": "Thick fog."}, "completion", None),
        ({"height": 3}, "completion", None),
        ({"messages": TALK}, "chat", "chat"),
        ({"conversations": TALK}, "chat", "chat"),
        ({"text": "Thick fog."}, "chat", None),
        ({"height": 3}, "chat", None),
        ({"text": "Thick fog."}, "text", "text"),
        ({"content": "Thick fog."}, "text", "text"),
        ({"height": 3}, "text", None),
    ],
)
def test_a_format_that_is_chosen_is_followed_or_nothing_is(
    row: dict[str, Any], chosen: str, found: str | None
) -> None:
    layout = layout_of(row, Features(data_format=chosen))
    assert (layout and str(layout.format)) == found


SHARED = [{"from": "human", "value": "Is it foggy?"}]


@pytest.mark.parametrize(
    ("row", "features", "layout"),
    [
        (
            {"prompt": "a", "completion": "b"},
            {},
            Layout(Format.COMPLETION, prompt="prompt", completion="completion", native=True),
        ),
        (
            {"prompt": "a", "completion": "b", "context": "c"},
            {},
            Layout(Format.COMPLETION, prompt="prompt", completion="completion", context="context"),
        ),
        (
            {"ask": "a", "say": "b"},
            {"prompt": "ask", "completion": "say"},
            Layout(Format.COMPLETION, prompt="ask", completion="say", native=True),
        ),
        (
            {"prompt": TALK[:1], "completion": TALK[1:]},
            {},
            Layout(Format.CHAT, prompt="prompt", completion="completion"),
        ),
        (
            {"prompt": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c", "completion": "b"},
            {},
            Layout(Format.CHAT, prompt="prompt", completion="completion"),
        ),
        (
            {"prompt": "a", "completion": '{"name": "horn"}', "tools": [{"name": "horn"}]},
            {},
            Layout(Format.CHAT, prompt="prompt", completion="completion"),
        ),
        ({"messages": TALK}, {}, Layout(Format.CHAT, chat="messages", native=True)),
        ({"messages": TALK, "system": "s"}, {}, Layout(Format.CHAT, chat="messages", system="system")),
        ({"messages": str(TALK)}, {}, Layout(Format.CHAT, chat="messages")),
        ({"messages": SHARED}, {}, Layout(Format.SHAREGPT, chat="messages")),
        ({"talk": TALK}, {"chat": "talk"}, Layout(Format.CHAT, chat="talk", native=True)),
        (
            {"talk": TALK, "chosen": "a", "rejected": "b"},
            {"chat": "talk"},
            Layout(Format.CHAT, chat="talk", native=True),
        ),
        (
            {"messages": TALK, "chosen": "a", "rejected": "b"},
            {},
            Layout(Format.PREFERENCE, chat="messages", chosen="chosen", rejected="rejected"),
        ),
        (
            {"conversations": SHARED, "system_prompt": "s"},
            {},
            Layout(Format.SHAREGPT, chat="conversations", system="system_prompt"),
        ),
        ({"dialog": "[]"}, {}, None),
        ({"dialog": "x [{"}, {}, None),
        ({"turns": ["a"]}, {}, None),
        ({"body": "a", "note": "b"}, {"text": "body"}, Layout(Format.TEXT, text="body", native=True)),
        ({"text": "a", "note": "b"}, {}, Layout(Format.TEXT, text="text", native=True)),
        ({"content": "a", "n": 5}, {}, Layout(Format.TEXT, text="content")),
        ({"content": "a", "note": "b"}, {}, None),
        ({"role": "user", "text": "a", "message_id": 1}, {}, None),
        ({"role": "user", "text": "a"}, {}, Layout(Format.TEXT, text="text", native=True)),
        ({"role": "user", "content": "a", "message_id": 1}, {"data_format": "text"}, None),
        (
            {"instruction": "a", "output": "b", "input": "c", "system": "s"},
            {},
            Layout(Format.ALPACA, prompt="instruction", completion="output", context="input", system="system"),
        ),
        ({"instruction": "a", "output": "b"}, {}, Layout(Format.ALPACA, prompt="instruction", completion="output")),
        ({"instruction": "a"}, {}, None),
        ({"prompt": "a", "answer": "b"}, {}, Layout(Format.GRPO, prompt="prompt", completion="answer")),
        ({"q": "a", "a": "b"}, {}, Layout(Format.COMPLETION, prompt="q", completion="a")),
        ({"q": "a", "a": "b", "b": "c"}, {}, None),
        (
            {"question": "a", "choices": ["x"], "answer": 0, "history": []},
            {},
            Layout(
                Format.COMPLETION, prompt="question", completion="answer", history="history", choices=("choices",)
            ),
        ),
        (
            {"question": "a", "A": "x", "B": "y", "answerKey": "A"},
            {},
            Layout(Format.COMPLETION, prompt="question", completion="answerKey", choices=("A", "B")),
        ),
        (
            {"question": "a", "A": "x", "B": "y", "cop": 1},
            {},
            Layout(Format.COMPLETION, prompt="question", completion="cop", choices=("A", "B")),
        ),
        ({"A": "x", "B": "y", "cop": 1}, {}, None),
        ({"question": "a", "A": "x", "B": "y"}, {}, None),
        ({"text": "a", "label": 1}, {}, Layout(Format.COMPLETION, prompt="text", completion="label")),
        (
            {"text": "a", "label": 1, "label_text": "good"},
            {},
            Layout(Format.COMPLETION, prompt="text", completion="label_text"),
        ),
        ({"text": "a", "label": [1]}, {}, Layout(Format.TEXT, text="text", native=True)),
        ({"text": 5, "label": 1}, {}, Layout(Format.TEXT, text="text", native=True)),
        ({"text": "a", "label": float("nan")}, {}, Layout(Format.TEXT, text="text", native=True)),
        ({"text": "a", "label": None}, {}, Layout(Format.COMPLETION, prompt="text", completion="label")),
        ({"text": "a", "label": 1}, {"text": "other"}, Layout(Format.TEXT, text="text")),
        ({"sentence": "a", "class": "x"}, {}, Layout(Format.COMPLETION, prompt="sentence", completion="class")),
        ({"prompt": "a"}, {"train_mode": "grpo"}, None),
        ({"prompt": "a"}, {"train_mode": "online_dpo"}, Layout(Format.GRPO, prompt="prompt")),
        ({"prompt": "a"}, {}, None),
        (
            {"prompt": "a", "chosen": "b", "rejected": "c"},
            {},
            Layout(Format.PREFERENCE, prompt="prompt", chosen="chosen", rejected="rejected"),
        ),
        (
            {"prompt": "a", "chosen": "b", "rejected": "c"},
            {"train_mode": "dpo"},
            Layout(Format.PREFERENCE, prompt="prompt", chosen="chosen", rejected="rejected"),
        ),
        (
            {"prompt": "a", "completion": "x", "chosen": "b", "rejected": "c"},
            {"train_mode": "dpo"},
            Layout(Format.PREFERENCE, prompt="prompt", chosen="chosen", rejected="rejected"),
        ),
        (
            {"prompt": "a", "completion": "x", "chosen": "b", "rejected": "c"},
            {},
            Layout(Format.COMPLETION, prompt="prompt", completion="completion", native=True),
        ),
        (
            {"instruction": "a", "input": "i", "chosen": "b", "rejected": "c", "system": "s"},
            {"train_mode": "dpo"},
            Layout(
                Format.PREFERENCE,
                prompt="instruction",
                context="input",
                system="system",
                chosen="chosen",
                rejected="rejected",
            ),
        ),
        (
            {"chosen": TALK, "rejected": TALK},
            {"train_mode": "dpo"},
            Layout(Format.PREFERENCE, chosen="chosen", rejected="rejected"),
        ),
        (
            {"messages": TALK, "chosen": "b", "rejected": "c"},
            {"train_mode": "dpo"},
            Layout(Format.PREFERENCE, chat="messages", chosen="chosen", rejected="rejected"),
        ),
        (
            {"context": TALK, "response1": "b", "response2": "c", "overall_preference": 1},
            {"train_mode": "dpo"},
            Layout(
                Format.PREFERENCE,
                chat="context",
                chosen="response1",
                rejected="response2",
                verdict="overall_preference",
            ),
        ),
        (
            {"context": "x", "response1": "b", "response2": "c", "overall_preference": 1},
            {"train_mode": "dpo"},
            Layout(
                Format.PREFERENCE,
                context="context",
                chosen="response1",
                rejected="response2",
                verdict="overall_preference",
            ),
        ),
        (
            {"prompt": "p", "response_a": "b", "response_b": "c", "winner": "a"},
            {"train_mode": "dpo"},
            Layout(
                Format.PREFERENCE, prompt="prompt", chosen="response_a", rejected="response_b", verdict="winner"
            ),
        ),
        ({"prompt": "p", "response_a": "b", "response_b": "c"}, {"train_mode": "dpo"}, None),
        (
            {"question": "q", "chosen": "b", "rejected": "c"},
            {"train_mode": "dpo", "prompt": "chosen"},
            Layout(Format.PREFERENCE, chosen="chosen", rejected="rejected"),
        ),
        (
            {"prompt": "a", "completion": "b", "label": True},
            {"train_mode": "kto"},
            Layout(Format.LABELLED, prompt="prompt", completion="completion", label="label"),
        ),
        (
            {"prompt": "a", "completion": "b", "label": "x"},
            {"train_mode": "kto"},
            Layout(Format.LABELLED, prompt="prompt", completion="completion", label="label"),
        ),
        (
            {"prompt": "a", "completion": "b", "label": True},
            {},
            Layout(Format.LABELLED, prompt="prompt", completion="completion", label="label"),
        ),
        (
            {"prompt": "a", "completion": "b", "label": "x"},
            {},
            Layout(Format.COMPLETION, prompt="prompt", completion="completion", native=True),
        ),
        (
            {"prompt": "a", "completion": "b", "label": True},
            {"good_only": True},
            Layout(Format.COMPLETION, prompt="prompt", completion="completion", label="label"),
        ),
        (
            {"prompt": "a", "completion": "b", "label": True},
            {"data_format": "completion"},
            Layout(Format.COMPLETION, prompt="prompt", completion="completion", native=True),
        ),
        (
            {"messages": TALK, "label": True},
            {"train_mode": "kto"},
            Layout(Format.LABELLED, chat="messages", label="label"),
        ),
        (
            {"messages": TALK, "label": True},
            {"train_mode": "kto", "data_format": "chat"},
            Layout(Format.LABELLED, chat="messages", label="label"),
        ),
        ({"messages": TALK, "label": True}, {}, Layout(Format.LABELLED, chat="messages", label="label")),
        ({"messages": "x", "label": True}, {}, Layout(Format.CHAT, chat="messages")),
        (
            {"instruction": "a", "output": "b", "input": "i", "label": True},
            {"train_mode": "kto"},
            Layout(Format.LABELLED, prompt="instruction", completion="output", context="input", label="label"),
        ),
        (
            {"question": "a", "answer": "b", "label": True},
            {"train_mode": "kto"},
            Layout(Format.LABELLED, prompt="question", completion="answer", label="label"),
        ),
        (
            {"text": "a", "label": True},
            {"train_mode": "kto", "data_format": "text"},
            Layout(Format.TEXT, text="text", native=True),
        ),
        (
            {"prompt": "a", "chosen": "b", "rejected": "c", "label": True},
            {"train_mode": "kto"},
            Layout(Format.PREFERENCE, prompt="prompt", chosen="chosen", rejected="rejected"),
        ),
        (
            {"prompt": "a", "answer": "b"},
            {"train_mode": "grpo"},
            Layout(Format.GRPO, prompt="prompt", completion="answer"),
        ),
        (
            {"question": "a", "answer": "b", "solution": "c"},
            {"train_mode": "grpo"},
            Layout(Format.GRPO, prompt="question", completion="answer"),
        ),
        (
            {"prompt": TALK, "reward_model": {"ground_truth": "5"}},
            {"train_mode": "grpo"},
            Layout(Format.GRPO, prompt="prompt", completion="reward_model.ground_truth"),
        ),
        ({"prompt": "a", "reward_model": {"style": "5"}}, {"train_mode": "grpo"}, None),
        (
            {"messages": TALK, "ground_truth": "b"},
            {"train_mode": "grpo"},
            Layout(Format.GRPO, chat="messages", completion="ground_truth"),
        ),
        ({"messages": "x", "ground_truth": "b"}, {"train_mode": "grpo"}, Layout(Format.CHAT, chat="messages")),
        (
            {"instruction": "a", "input": "i", "answer": "b"},
            {"train_mode": "grpo"},
            Layout(Format.GRPO, prompt="instruction", completion="answer", context="input"),
        ),
        (
            {"ask": "a", "say": "b", "answer": "x"},
            {"train_mode": "grpo", "prompt": "ask", "completion": "say"},
            Layout(Format.COMPLETION, prompt="ask", completion="say", native=True),
        ),
        ({"answer": "b"}, {"train_mode": "grpo"}, None),
        ({"messages": TALK}, {"data_format": "chat"}, Layout(Format.CHAT, chat="messages", native=True)),
        (
            {"messages": TALK, "prompt": "a", "completion": "b"},
            {"data_format": "chat"},
            Layout(Format.CHAT, chat="messages"),
        ),
        (
            {"prompt": "a", "completion": "b"},
            {"data_format": "chat"},
            Layout(Format.COMPLETION, prompt="prompt", completion="completion", native=True),
        ),
        (
            {"prompt": "a", "completion": "b", "text": "t"},
            {"data_format": "text"},
            Layout(Format.TEXT, text="text"),
        ),
        ({"text": "t"}, {"data_format": "text"}, Layout(Format.TEXT, text="text", native=True)),
        ({"code": "t", "messages": TALK}, {"data_format": "text"}, Layout(Format.TEXT, text="code")),
        ({"code": "t"}, {"data_format": "text"}, Layout(Format.TEXT, text="code")),
        (
            {"prompt": "a", "answer": "b"},
            {"data_format": "completion"},
            Layout(Format.COMPLETION, prompt="prompt", completion="answer"),
        ),
        (
            {"prompt": "a", "completion": "b"},
            {"data_format": "completion", "train_mode": "dpo"},
            Layout(Format.COMPLETION, prompt="prompt", completion="completion", native=True),
        ),
    ],
)
def test_the_layout_of_a_row(row: dict[str, Any], features: dict[str, Any], layout: Layout | None) -> None:
    assert layout_of(row, Features(**features)) == layout
