"""Rows for preference and reward training: pairs of answers, labelled answers, and prompts with a reference answer.

Written rows are ``{"prompt": [message, …], "chosen": [message, …], "rejected": [message, …]}``,
``{"prompt": [message, …], "completion": [message, …], "label": true or false}`` and
``{"prompt": [message, …], "answer": text}`` (with ``type`` where the row has one, without ``answer`` where a judge
needs none), each with the row's ``tools`` where it has any: what TRL reads as well.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from app.core.data.column import JUDGED, message_list, plain_text, quoted, value_at
from app.core.data.format import Format, Layout
from app.core.data.label import label_of
from app.core.data.message import (
    RowMessage,
    accepted_answers,
    answer_of,
    messages_of,
    prompt_turns,
    transcript,
    turns_from,
    turns_of,
    with_system,
)
from app.core.data.tool import tool_result_text
from app.core.language import code, tr
from app.core.method.method import Goal
from app.core.method.table import METHODS
from app.core.visible import is_blank

SERVING: dict[Goal, frozenset[Format]] = {
    "preference": frozenset([Format.PREFERENCE]),
    "labelled": frozenset([Format.LABELLED]),
    "prompt": frozenset([Format.GRPO, Format.COMPLETION, Format.ALPACA, Format.CHAT, Format.SHAREGPT]),
}
NEEDED: dict[Goal, str] = {
    "preference": tr("It needs pairs: rows with `prompt`, `chosen` and `rejected`."),
    "labelled": tr(
        "It can also use labelled answers: rows with `prompt`, `completion` and `label` (true or false)."
    ),
    "prompt": tr("It needs prompts with reference answers: rows with `prompt` and `answer`, or chats."),
}
RATED_COLUMNS: dict[Goal, tuple[str, ...]] = {
    "preference": ("prompt", "chosen", "rejected"), "labelled": ("prompt", "completion", "label"),
    "prompt": ("prompt", "answer"),
}  # fmt: skip


def goal_of(train_mode: str, kind: Format) -> Goal | None:
    """The form in which a way of training takes rows of a format; None if it has no use for them."""
    return next((goal for goal in METHODS[train_mode].goals if kind in SERVING[goal]), None)


def needs_of(train_mode: str) -> str:
    """What rows a way of training needs, in words."""
    return " ".join(NEEDED[goal] for goal in METHODS[train_mode].goals)


BEFORE_ANSWERS = ("system", "user", "tool")  # the roles of what an answer follows
LAST_TURN = tr("Of an answer of several turns the last is learned")
# How pairs are written.
WRITTEN_PAIR = Layout(Format.PREFERENCE, prompt="prompt", chosen="chosen", rejected="rejected")


class Pair(NamedTuple):
    """One preference: the turns that both answers follow, and the two answers (one or more turns each)."""

    prompt: list[RowMessage]
    chosen: list[RowMessage]
    rejected: list[RowMessage]


def pair_of_answers(row: dict[str, Any], layout: Layout) -> Pair:
    """The pair in a row. Where the answers are whole conversations, what they begin with alike belongs to the
    prompt: behind the turns of a prompt of its own, of which it may repeat some."""
    chosen, rejected = _conversations(row, layout)
    prompt = _asked(row, layout)
    shared = _shared(chosen, rejected)
    if shared:
        prompt, chosen, rejected = _joined(prompt, chosen[:shared]), chosen[shared:], rejected[shared:]
    else:  # one of them may repeat the prompt
        chosen, rejected = _without(chosen, prompt), _without(rejected, prompt)
    return Pair(with_system(prompt, row, layout), chosen, rejected)


def has_other_question(row: dict[str, Any], layout: Layout) -> bool:
    """Whether the prompt of a row is none of its pair's: both answers bring another question with them."""
    chosen, rejected = _conversations(row, layout)
    asked, shared = _asked(row, layout), _shared(chosen, rejected)
    return bool(asked and shared) and not _are_joined(asked, chosen[:shared])


def _conversations(row: dict[str, Any], layout: Layout) -> tuple[list[RowMessage], list[RowMessage]]:
    """The better answer and the other one, with what stands before them in their columns."""
    chosen, rejected = _either(row.get(layout.chosen)), _either(row.get(layout.rejected))
    return (rejected, chosen) if layout.verdict and better_of(row, layout) == 1 else (chosen, rejected)


def _joined(asked: list[RowMessage], begun: list[RowMessage]) -> list[RowMessage]:
    """One conversation of a prompt's turns and those that answers begin with; of two questions the answers' own."""
    if not _are_joined(asked, begun) or _holds(begun, asked):
        return begun
    return [*asked, *begun[_overlap(asked, begun) :]]


def _are_joined(asked: list[RowMessage], begun: list[RowMessage]) -> bool:
    """Whether nothing of the prompt is lost, and nobody speaks twice: the answers begin with its turns, or go on
    from them."""
    if not asked or _holds(begun, asked) or _overlap(asked, begun):
        return True
    last, first = str(asked[-1].get("role")), str(begun[0].get("role"))
    return first != "system" and (last == "system" or (last == "assistant") != (first == "assistant"))


def _holds(turns: list[RowMessage], part: list[RowMessage]) -> bool:
    """Whether the turns of ``part`` stand one after the other among ``turns``."""
    places = range(len(turns) - len(part) + 1)
    return any(_are_alike(turns[start : start + len(part)], part) for start in places)


def _overlap(asked: list[RowMessage], begun: list[RowMessage]) -> int:
    """How many turns at the end of the prompt the answers begin with once more."""
    most = min(len(asked), len(begun))
    return next((n for n in range(most, 0, -1) if _are_alike(asked[-n:], begun[:n])), 0)


def _without(turns: list[RowMessage], prompt: list[RowMessage]) -> list[RowMessage]:
    """An answer without the prompt that it repeats."""
    is_repeated = 0 < len(prompt) < len(turns) and _are_alike(turns[: len(prompt)], prompt)
    return turns[len(prompt) :] if is_repeated else turns


def _are_alike(some: list[RowMessage], others: list[RowMessage]) -> bool:
    """Whether these are the same turns, but for white space around what they say."""
    return len(some) == len(others) and all(map(_is_alike, some, others))


def _is_alike(one: RowMessage, other: RowMessage) -> bool:
    says, said = one.get("content"), other.get("content")
    if isinstance(says, str) and isinstance(said, str) and says.strip() == said.strip():
        return {**one, "content": ""} == {**other, "content": ""}
    return one == other


def better_of(row: dict[str, Any], layout: Layout) -> int | None:
    """Which of two answers is the better one, 0 for the first and 1 for the second; None where neither is."""
    rule = next(rule for *_, name, rule in JUDGED if name == layout.verdict.strip().lower())
    value = row.get(layout.verdict)
    if rule == "name":
        word = value.strip().lower().rpartition("_")[2] if isinstance(value, str) else ""
        return {"a": 0, "b": 1}.get(word)
    text = plain_text(value)
    try:
        number = float(text or "")
    except ValueError:
        return None
    if rule == "sign":
        return 0 if number < 0 else 1 if number > 0 else None
    number -= rule == "number"  # they count from 1
    return int(number) if number in (0, 1) else None


def _asked(row: dict[str, Any], layout: Layout) -> list[RowMessage]:
    """The turns before an answer that stands in a column of its own."""
    if layout.chat:
        turns = turns_from(message_list(row.get(layout.chat)) or [])
        while turns and turns[-1].get("role") == "assistant":
            turns.pop()  # an answer once more
        return turns
    if layout.prompt and row.get(layout.prompt) is not None:
        return prompt_turns(row, layout)
    return []


def _shared(chosen: list[RowMessage], rejected: list[RowMessage]) -> int:
    """How many turns two conversations begin with alike, up to the last that is not of the assistant."""
    alike = 0
    for number, (one, other) in enumerate(zip(chosen, rejected, strict=False), 1):
        if one != other:
            break
        if one.get("role") != "assistant":
            alike = number
    return alike


def prompt_of(row: dict[str, Any], layout: Layout) -> tuple[list[RowMessage], str]:
    """The turns before the answer, and the reference answer as text."""
    if layout.format is Format.GRPO:
        prompt = _asked(row, layout)
        return with_system(prompt, row, layout), reference_of(row, layout)
    *prompt, last = messages_of(row, layout)
    said = str(last.get("content") or "")
    if is_blank(said) and last.get("tool_calls"):
        calls = [call.get("function", call) if isinstance(call, dict) else call for call in last["tool_calls"]]
        return prompt, str(tool_result_text(calls))
    return prompt, final_answer(said)


def reference_of(row: dict[str, Any], layout: Layout) -> str:
    """The reference answer as text: of a worked answer what it comes to, of a list of accepted ones the first."""
    value = value_at(row, layout.completion) if layout.completion else None
    if accepted := accepted_answers(layout.completion, value):
        value = accepted[0]
    elif isinstance(value, list) and value and (len(value) == 1 or all(isinstance(item, str) for item in value)):
        value = value[0]
    if value is None:
        return ""
    if layout.choices and isinstance(value, int):
        return str(answer_of(row, layout))
    turns = message_list(value)
    if turns is not None:
        value = turns_from(turns)[-1].get("content")
    text = plain_text(value)
    return final_answer(text) if text is not None else str(tool_result_text(value))


def final_answer(text: str) -> str:
    """What a worked answer comes to: what follows the last ``####`` (GSM8K), or stands in the last ``\\boxed{}``;
    any other text as it is."""
    _, mark, last = text.rpartition("####")
    if mark and last.strip() and "\n" not in last.strip():
        return final_answer(last.strip())
    boxed = _boxed(text)
    return final_answer(boxed) if boxed else text


def _boxed(text: str) -> str:
    """What stands in the last box, its braces counted; empty where there is none."""
    start = text.rfind("\\boxed{")
    depth, begin = 0, start + len("\\boxed")
    for at in range(begin, len(text) if start >= 0 else 0):
        depth += (text[at] == "{") - (text[at] == "}")
        if not depth:
            return text[begin + 1 : at].strip()
    return ""


def rated_row(row: dict[str, Any], layout: Layout, goal: Goal) -> dict[str, Any]:
    """The row as it is written; it must have passed its check."""
    if goal == "preference":
        return pair_of_answers(row, layout)._asdict()
    if goal == "labelled":
        return labelled_answer(row, layout)
    prompt, answer = prompt_of(row, layout)
    kind = row.get("type")
    given = {"answer": answer} if layout.completion or layout.chat else {}
    return {"prompt": prompt} | given | ({"type": str(kind)} if kind is not None else {})


def is_written(row: dict[str, Any], goal: Goal) -> bool:
    """True if the row is already in the form that `rated_row` writes."""
    columns = set(RATED_COLUMNS[goal])
    if not columns - {"answer"} <= set(row) <= columns | {"type", "tools"} or not _are_messages(row["prompt"]):
        return False
    if not isinstance(row.get("tools", []), list):
        return False
    if goal == "preference":
        if not (_are_messages(row["chosen"]) and _are_messages(row["rejected"])):
            return False
        # Whatever the answers repeat of the prompt would stand there twice.
        return pair_of_answers(row, WRITTEN_PAIR)._asdict() == {name: row[name] for name in Pair._fields}
    if goal == "labelled":
        if not (_are_messages(row["completion"]) and isinstance(row["label"], bool)):
            return False
        return row["completion"][0]["role"] not in BEFORE_ANSWERS
    answer = row.get("answer", "")
    return isinstance(answer, str) and final_answer(answer) == answer


def pair_faults(row: dict[str, Any], layout: Layout) -> list[tuple[str, str]]:
    """What is wrong with a preference row whose columns are texts or lists of messages."""
    pair = pair_of_answers(row, layout)
    faults = []
    if layout.verdict and better_of(row, layout) is None:
        said = tr(
            "{verdict} is {get!r}: neither answer is the better one.",
            verdict=quoted(layout.verdict),
            get=str(row.get(layout.verdict))[:40],
        )
        faults.append(("undecided", said))
    if not pair.prompt:
        told = (
            tr("`prompt` is missing") if not layout.chat else tr("{chat} holds no turn", chat=quoted(layout.chat))
        )
        faults.append(("missing_field", tr("{told}, and the answers do not begin with it.", told=told)))
    for name, turns in ((layout.chosen, pair.chosen), (layout.rejected, pair.rejected)):
        if not _ends_with_answer(turns):
            faults.append(("no_answer", tr("{name} has no answer of the assistant at its end.", name=quoted(name))))
    if not faults:
        faults += _likeness_faults(pair, {"chosen": quoted(layout.chosen), "rejected": quoted(layout.rejected)})
    return faults


def _likeness_faults(pair: Pair, names: dict[str, str]) -> list[tuple[str, str]]:
    """What keeps two answers from being a preference: other questions before them, or no difference."""
    if pair.chosen == pair.rejected:
        return [("wrong_type", tr("{chosen} and {rejected} are the same.", **names))]
    if any(turns[0].get("role") in BEFORE_ANSWERS for turns in (pair.chosen, pair.rejected)):
        return [
            ("other_question", tr("What is asked in {chosen} is not what is asked in {rejected}.", **names)),
        ]
    if pair.chosen[-1] == pair.rejected[-1]:
        said = tr("{chosen} and {rejected} end with the same turn, which alone is learned.", **names)
        return [("wrong_type", said)]
    return []


def pair_notes(row: dict[str, Any], layout: Layout) -> list[tuple[str, str]]:
    """What is worth telling of a good preference row."""
    notes = []
    if has_other_question(row, layout):
        notes.append(_other_question(layout.prompt or layout.chat))
    pair = pair_of_answers(row, layout)
    if max(len(pair.chosen), len(pair.rejected)) > 1:
        notes.append(("last_turn", LAST_TURN))
    return notes


def _ends_with_answer(turns: list[RowMessage]) -> bool:
    """True if the last turn is of the assistant and says something, or calls a tool."""
    if not turns or turns[-1].get("role") != "assistant":
        return False
    return bool(turns[-1].get("tool_calls") or not is_blank(str(turns[-1].get("content") or "")))


def labelled_answer(row: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """Prompt, answer (one or more turns) and label of a row, as they are written; of a chat the last turn is the
    answer."""
    if layout.chat:
        *prompt, last = turns_of(row, layout)
        answer = [last]
    else:
        begun, answer = _begun(answer_turns(row.get(layout.completion)))
        prompt = _joined(prompt_turns(row, layout), begun) if begun else prompt_turns(row, layout)
    prompt = with_system(prompt, row, layout)
    return {"prompt": prompt, "completion": answer, "label": label_of(row[layout.label])}


def _other_question(column: str) -> tuple[str, str]:
    said = tr("{column} is not used: the answers bring another question with them", column=quoted(column))
    return "unused_column", said


def _begun(turns: list[RowMessage]) -> tuple[list[RowMessage], list[RowMessage]]:
    """What an answer brings with it of the conversation before, where it begins with that, and the answer."""
    if not turns or turns[0].get("role") not in BEFORE_ANSWERS:
        return [], turns
    end = max(number for number, turn in enumerate(turns, 1) if turn.get("role") in BEFORE_ANSWERS)
    return turns[:end], turns[end:]


def label_notes(row: dict[str, Any], layout: Layout) -> list[tuple[str, str]]:
    """What is worth telling of a good labelled row."""
    if layout.chat:
        return []
    begun, answer = _begun(answer_turns(row.get(layout.completion)))
    notes = [("last_turn", LAST_TURN)] if len(answer) > 1 else []
    if begun and not _are_joined(prompt_turns(row, layout), begun):
        notes.append(_other_question(layout.prompt))
    return notes


def label_faults(row: dict[str, Any], layout: Layout) -> list[tuple[str, str]]:
    """What is wrong with the label of a row."""
    value = row.get(layout.label)
    if value is None:
        return [
            (
                "missing_field",
                tr(
                    "`{label}` is {value}.",
                    label=layout.label,
                    value="null" if layout.label in row else tr("missing"),
                ),
            )
        ]
    if label_of(value) is not None:
        return []
    said = code(value[:40]) if isinstance(value, str) else f"{value!r:.40}"
    return [
        (
            "wrong_type",
            tr(
                "`{label}` is {said}, neither true (a good answer) nor false (a bad one).",
                label=layout.label,
                said=said,
            ),
        )
    ]


def answer_faults(row: dict[str, Any], layout: Layout) -> list[tuple[str, str]]:
    """What is wrong with the answer of a labelled row whose columns are texts or lists of messages."""
    if _ends_with_answer(answer_turns(row.get(layout.completion))):
        return []
    return [
        (
            "no_answer",
            tr("{completion} has no answer of the assistant at its end.", completion=quoted(layout.completion)),
        )
    ]


def answer_turns(value: Any) -> list[RowMessage]:
    """An answer as turns: messages as they are, and everything else, the text of a JSON list too, as one turn."""
    turns = message_list(value)
    if turns is not None:
        return turns_from(turns)
    text = plain_text(value)
    return [{"role": "assistant", "content": value if text is None else text}]


def _either(value: Any) -> list[RowMessage]:
    """One of two answers, which may be a whole conversation, as messages or as a transcript."""
    return transcript(value) or answer_turns(value)


def _are_messages(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    if not all(isinstance(turn, dict) and "role" in turn for turn in value):
        return False
    return turns_from(value) == value


def rated_texts(row: dict[str, Any]) -> dict[str, str]:
    """The parts of a written row as plain texts: ``prompt`` and what it has of ``chosen``, ``rejected`` and
    ``answer``; nothing for a row of another kind."""
    if not isinstance(row.get("prompt"), list):
        return {}
    found: dict[str, str] = {
        name: plain_turns(row[name]) for name in ("prompt", "chosen", "rejected") if name in row
    }
    if "completion" in row:
        found["answer"] = plain_turns(row["completion"])
    elif "answer" in row:
        found["answer"] = str(row["answer"])
    return found


def plain_turns(turns: list[RowMessage]) -> str:
    """What one turn says, or of several who says what."""
    if len(turns) == 1:
        return str(turns[0].get("content") or "")
    return "\n\n".join(f"{turn.get('role')}: {turn.get('content') or ''}" for turn in turns)
