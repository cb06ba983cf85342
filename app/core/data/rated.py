"""Rows for preference and reward training: pairs of answers, labelled answers, and prompts with a reference answer.

Written rows are ``{"prompt": [message, …], "chosen": [message, …], "rejected": [message, …]}``,
``{"prompt": [message, …], "completion": [message, …], "label": true or false}`` and
``{"prompt": [message, …], "answer": text}`` (with ``type`` where the row has one, without ``answer`` where a judge
needs none): what TRL reads as well.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from app.core.data.format import Format, Layout
from app.core.data.label import label_of
from app.core.data.message import RowMessage, as_list, clean_message, messages_of, sharegpt_message
from app.core.method.method import Goal
from app.core.method.table import METHODS

SERVING: dict[Goal, frozenset[Format]] = {
    "preference": frozenset([Format.PREFERENCE]),
    "labelled": frozenset([Format.LABELLED]),
    "prompt": frozenset([Format.GRPO, Format.COMPLETION, Format.ALPACA, Format.CHAT, Format.SHAREGPT]),
}
NEEDED: dict[Goal, str] = {
    "preference": "It needs pairs: rows with `prompt`, `chosen` and `rejected`.",
    "labelled": "It can also use labelled answers: rows with `prompt`, `completion` and `label` (true or false).",
    "prompt": "It needs prompts with reference answers: rows with `prompt` and `answer`, or chats.",
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


class Pair(NamedTuple):
    """One preference: the turns that both answers follow, and the two answers (one or more turns each)."""

    prompt: list[RowMessage]
    chosen: list[RowMessage]
    rejected: list[RowMessage]


def pair_of_answers(row: dict[str, Any], layout: Layout) -> Pair:
    """The pair in a row. Where the answers are whole conversations, what they begin with alike is the prompt."""
    chosen, rejected = _turns(row.get(layout.chosen), "assistant"), _turns(row.get(layout.rejected), "assistant")
    prompt = _turns(row[layout.prompt], "user") if layout.prompt and row.get(layout.prompt) is not None else []
    shared = _shared(chosen, rejected)
    if shared:
        prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    return Pair(_with_system(prompt, row, layout), chosen, rejected)


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
        answer = row.get(layout.completion)
        prompt = _turns(row.get(layout.prompt), "user")
        return _with_system(prompt, row, layout), "" if answer is None else str(answer)
    *prompt, last = messages_of(row, layout)
    return prompt, str(last.get("content") or "")


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
    if not columns - {"answer"} <= set(row) <= columns | {"type"} or not _are_messages(row["prompt"]):
        return False
    if goal == "preference":
        return _are_messages(row["chosen"]) and _are_messages(row["rejected"])
    if goal == "labelled":
        return _are_messages(row["completion"]) and isinstance(row["label"], bool)
    return isinstance(row.get("answer", ""), str)


def pair_faults(row: dict[str, Any], layout: Layout) -> list[tuple[str, str]]:
    """What is wrong with a preference row whose columns are texts or lists of messages."""
    pair = pair_of_answers(row, layout)
    faults = []
    if not pair.prompt:
        faults.append(("missing_field", "`prompt` is missing, and the answers do not begin with it."))
    for name, turns in ((layout.chosen, pair.chosen), (layout.rejected, pair.rejected)):
        if not turns or turns[-1].get("role") != "assistant" or not str(turns[-1].get("content") or "").strip():
            faults.append(("no_answer", f"`{name}` has no answer of the assistant at its end."))
    if not faults and pair.chosen == pair.rejected:
        faults.append(("wrong_type", "`chosen` and `rejected` are the same."))
    return faults


def labelled_answer(row: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """Prompt, answer (one or more turns) and label of a row, as they are written."""
    prompt = _with_system(_turns(row[layout.prompt], "user"), row, layout)
    answer = _turns(row[layout.completion], "assistant")
    return {"prompt": prompt, "completion": answer, "label": label_of(row[layout.label])}


def label_faults(row: dict[str, Any], layout: Layout) -> list[tuple[str, str]]:
    """What is wrong with the label of a row."""
    value = row.get(layout.label)
    if value is None:
        return [("missing_field", f"`{layout.label}` is {'null' if layout.label in row else 'missing'}.")]
    if label_of(value) is not None:
        return []
    said = f"`{value[:40]}`" if isinstance(value, str) else f"{value!r:.40}"
    return [("wrong_type", f"`{layout.label}` is {said}, neither true (a good answer) nor false (a bad one).")]


def answer_faults(row: dict[str, Any], layout: Layout) -> list[tuple[str, str]]:
    """What is wrong with the answer of a labelled row whose columns are texts or lists of messages."""
    turns = _turns(row[layout.completion], "assistant")
    if turns[-1].get("role") == "assistant" and str(turns[-1].get("content") or "").strip():
        return []
    return [("no_answer", f"`{layout.completion}` has no answer of the assistant at its end.")]


def _turns(value: Any, role: str) -> list[RowMessage]:
    """A text as one turn; a list of messages or of ShareGPT's turns as messages."""
    turns = as_list(value)
    if isinstance(turns, dict):
        turns = turns.get("messages", [turns])
    if isinstance(turns, list):
        return [sharegpt_message(turn) if "from" in turn else clean_message(turn) for turn in turns]
    return [{"role": role, "content": value}]


def _with_system(prompt: list[RowMessage], row: dict[str, Any], layout: Layout) -> list[RowMessage]:
    system = row.get(layout.system) if layout.system else None
    if isinstance(system, str) and system.strip() and not (prompt and prompt[0].get("role") == "system"):
        return [{"role": "system", "content": system}, *prompt]
    return prompt


def _are_messages(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(turn, dict) and "role" in turn for turn in value)
