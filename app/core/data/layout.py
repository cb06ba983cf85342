"""The layout of a row, recognised by the config's columns, by known names and by what stands in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.core.data.column import (
    CHAT_COLUMNS,
    CLASS_COLUMNS,
    CLASS_NAME_COLUMNS,
    CLASSIFIED_COLUMNS,
    CONTEXT_COLUMNS,
    HISTORY_COLUMNS,
    INSTRUCTION_ANSWERS,
    INSTRUCTION_COLUMNS,
    INSTRUCTION_INPUTS,
    JUDGED,
    KEYED_ANSWERS,
    PAIRS,
    PREFERENCES,
    PROMPT_COLUMNS,
    REFERENCE_COLUMNS,
    SYSTEM_COLUMNS,
    TEXT_COLUMNS,
    as_list,
    choice_columns,
    first_of,
    folded,
    message_list,
    plain_text,
    value_at,
)
from app.core.data.format import Features, Format, Layout, mlx_choice
from app.core.data.label import LABEL_COLUMNS, is_verdict
from app.core.data.message import called_in, transcript
from app.core.method.table import METHODS

Row = dict[Any, Any]

# Beside a role they say that a text is one message of a conversation (OpenAssistant's).
_THREAD_COLUMNS = frozenset(("parent_id", "message_id", "message_tree_id", "conversation_id", "thread_id"))


def layout_of(row: Row, features: Features) -> Layout | None:
    """The layout of a row, by the config's columns first and then by known names; None if it is not recognised.

    The order among the config's columns is mlx-lm's (`create_dataset`): prompt and completion, chat, text.
    """
    if labelled := _labelled(row, features):
        return labelled
    if features.data_format != "auto":
        return _chosen_layout(row, features)
    names = folded(row)
    if "preference" in METHODS[features.train_mode].goals and (preference := _preference(row, names, features)):
        return preference
    if "prompt" in METHODS[features.train_mode].goals and (referenced := _referenced(row, names, features)):
        return referenced
    if features.prompt in row and features.completion in row:
        return _pair(row, names, features, features.prompt, features.completion, native=True)
    if features.chat in row and features.chat != "messages":
        return _chat(row, names, features, features.chat, native=True)
    if preference := _preference(row, names, features):
        return preference
    if features.chat in row:
        return _chat(row, names, features, features.chat, native=True)
    if features.text in row and features.text != "text":
        return Layout(Format.TEXT, text=features.text, native=True)
    return _known_layout(row, names, features)


def _chosen_layout(row: Row, features: Features) -> Layout | None:
    """The layout under a format that the config fixes; known names are tried where its columns are not there."""
    names = folded(row)
    automatic = layout_of(row, replace(features, data_format="auto", train_mode="sft"))
    if features.data_format == "chat":
        if features.chat in row:
            native = mlx_choice(row, features) == "chat"
            return _chat(row, names, features, features.chat, native=native)
        return automatic if automatic and automatic.target in ("chat", "completion") else None
    if features.data_format == "completion":
        if features.prompt in row and features.completion in row:
            return _pair(row, names, features, features.prompt, features.completion, native=True)
        if automatic and automatic.format is Format.GRPO:
            return replace(automatic, format=Format.COMPLETION)
        return automatic if automatic and automatic.format in (Format.ALPACA, Format.COMPLETION) else None
    if features.text in row:
        return Layout(Format.TEXT, text=features.text, native=mlx_choice(row, features) == "text")
    if automatic and automatic.format is Format.TEXT:
        return automatic
    return _text_layout(row, names, features)


def _known_layout(row: Row, names: dict[str, str], features: Features) -> Layout | None:
    for column in CHAT_COLUMNS:
        if column in names and _looks_like_chat(row[names[column]]):
            return _chat(row, names, features, names[column], native=False)
    if instructed := _instructed(names, features):
        return instructed
    if "prompt" in names and "answer" in names:
        return Layout(Format.GRPO, prompt=names["prompt"], completion=names["answer"],
                      **_beside(names, features, names["prompt"], names["answer"]))  # fmt: skip
    for prompt, answer in PAIRS:
        if prompt in names and answer in names and not (answer == "a" and "b" in names):
            return _pair(row, names, features, names[prompt], names[answer], native=False)
    if (choices := choice_columns(names)) and (keyed := _keyed(names, features, choices)):
        return keyed
    if METHODS[features.train_mode].is_judged and "prompt" in names:
        # A judge compares answers with each other: a reference answer may be missing.
        return Layout(Format.GRPO, prompt=names["prompt"], **_beside(names, features, names["prompt"]))
    return _classified(row, names, features) or _text_layout(row, names, features)


def _instructed(names: dict[str, str], features: Features) -> Layout | None:
    """Alpaca's columns, and those of its many kin."""
    prompt, answer = first_of(names, INSTRUCTION_COLUMNS), first_of(names, INSTRUCTION_ANSWERS)
    if not prompt or not answer:
        return None
    beside = _beside(names, features, prompt, answer) | {"context": first_of(names, INSTRUCTION_INPUTS)}
    return Layout(Format.ALPACA, prompt=prompt, completion=answer, **beside)


def _keyed(names: dict[str, str], features: Features, choices: tuple[str, ...]) -> Layout | None:
    """A question with choices whose answer stands in a column of an exam's name."""
    prompt = first_of(names, PROMPT_COLUMNS)
    answer = next((names[name] for name in KEYED_ANSWERS if name in names and names[name] not in choices), "")
    if not prompt or not answer:
        return None
    return Layout(Format.COMPLETION, prompt=prompt, completion=answer, **_beside(names, features, prompt, answer))


def _classified(row: Row, names: dict[str, str], features: Features) -> Layout | None:
    """A text and its class; the class by its name where there is a column of names."""
    if features.text != "text":
        return None
    text = first_of(names, CLASSIFIED_COLUMNS)
    label = first_of(names, (*CLASS_NAME_COLUMNS, *CLASS_COLUMNS))
    if not text or not label or not isinstance(row[text], str) or isinstance(row[label], (list, dict)):
        return None
    if plain_text(row[label]) is None and row[label] is not None:
        return None
    return Layout(Format.COMPLETION, prompt=text, completion=label, **_beside(names, features, text, label))


def _text_layout(row: Row, names: dict[str, str], features: Features) -> Layout | None:
    """A column of text; one that is merely *called* content counts only when no other column holds text. Texts with
    a role are single messages of conversations, of which each alone teaches nothing."""
    if features.data_format != "text" and "role" in names and not _THREAD_COLUMNS.isdisjoint(names):
        return None
    if features.text in row:
        return Layout(Format.TEXT, text=features.text, native=True)
    texts = [name for name, value in row.items() if isinstance(value, str)]
    for column in TEXT_COLUMNS:
        if column in names and (column == "text" or texts == [names[column]]):
            return Layout(Format.TEXT, text=names[column])
    return None


def _beside(names: dict[str, str], features: Features, prompt: str, answer: str = "") -> dict[str, Any]:
    """The columns that belong to a prompt whatever it is called: system text, context, earlier turns, choices."""
    own = {prompt, answer}
    choices = choice_columns(names)
    return {
        "system": _system(names, features, own),
        "context": next((names[name] for name in CONTEXT_COLUMNS if name in names and names[name] not in own), ""),
        "history": next((names[name] for name in HISTORY_COLUMNS if name in names and names[name] not in own), ""),
        "choices": choices if own.isdisjoint(choices) else (),
    }


def _system(names: dict[str, str], features: Features, own: set[str]) -> str:
    if features.system and features.system in names.values() and features.system not in own:
        return features.system
    return next((names[name] for name in SYSTEM_COLUMNS if name in names and names[name] not in own), "")


# -- pairs of answers, labelled answers, reference answers -----------------------------------------------------


def _preference(row: Row, names: dict[str, str], features: Features) -> Layout | None:
    """Two answers, and where their prompt stands: in a column of its own, in a conversation, or before both."""
    chosen, rejected, verdict = _two_answers(names)
    if not chosen:
        return None
    found = (chosen, rejected)
    prompt = features.prompt if features.prompt in row else first_of(names, PROMPT_COLUMNS)
    if prompt in found:
        prompt = ""
    chat = "" if prompt else first_of(names, CHAT_COLUMNS)
    if not prompt and not chat:  # HelpSteer3's name for the conversation
        chat = next(
            (names[name] for name in CONTEXT_COLUMNS if name in names and message_list(row[names[name]])), ""
        )
    beside = _beside(names, features, prompt or chat)
    if prompt and prompt.strip().lower() in INSTRUCTION_COLUMNS:
        beside["context"] = first_of(names, INSTRUCTION_INPUTS)
    return Layout(Format.PREFERENCE, chat=chat, prompt=prompt, chosen=chosen, rejected=rejected, verdict=verdict,
                  **beside)  # fmt: skip


def _two_answers(names: dict[str, str]) -> tuple[str, str, str]:
    """The columns of two answers, the better one first, or with the column that says which it is; empty without."""
    for better, worse in PREFERENCES:
        if better in names and worse in names:
            return names[better], names[worse], ""
    for one, other, verdict, _ in JUDGED:
        if one in names and other in names and verdict in names:
            return names[one], names[other], names[verdict]
    return "", "", ""


def _labelled(row: Row, features: Features) -> Layout | None:
    """One answer and its label. Few methods read them: for others they are recognised so that they can be refused,
    unless the format is chosen, or the label may be something else than a verdict."""
    label = next((name for name in LABEL_COLUMNS if name in row), "")
    is_wanted = METHODS[features.train_mode].takes_labels
    is_verdict_wanted = features.good_only or (features.data_format == "auto" and is_verdict(row.get(label)))
    if not label or not (is_wanted or is_verdict_wanted):
        return None
    found = _with_label(row, features, label)
    if found is None or is_wanted or not features.good_only:
        return found
    # The good ones alone are examples as they would be without the label; the check leaves the others out.
    plain = layout_of({name: value for name, value in row.items() if name != label}, features)
    return replace(plain, label=label, native=False) if plain is not None else None


def _with_label(row: Row, features: Features, label: str) -> Layout | None:
    """The layout of an answer with its label, whatever the label says."""
    is_wanted = METHODS[features.train_mode].takes_labels
    names = folded(row)
    if features.data_format == "text" or any(a in names and b in names for a, b in PREFERENCES):
        return None
    if features.data_format != "chat":
        if alpaca := _instructed(names, features):
            return replace(alpaca, format=Format.LABELLED, label=label)
        pairs = ((features.prompt, features.completion), *(PAIRS if is_wanted else PAIRS[:2]))
        for prompt, answer in pairs:
            prompt, answer = names.get(prompt, prompt), names.get(answer, answer)
            if prompt in row and answer in row:
                beside = _beside(names, features, prompt, answer)
                return Layout(Format.LABELLED, prompt=prompt, completion=answer, label=label, **beside)
    chat = features.chat if features.chat in row else first_of(names, CHAT_COLUMNS)
    if chat and (is_wanted or message_list(row[chat]) is not None):
        return Layout(Format.LABELLED, chat=chat, label=label, system=_system(names, features, {chat, label}))
    return None


def _referenced(row: Row, names: dict[str, str], features: Features) -> Layout | None:
    """A prompt or a conversation, and what its answers are compared with in a column that is named for it."""
    if features.completion != "completion" and features.completion in row and features.prompt in row:
        return None  # columns that somebody chose
    prompt = features.prompt if features.prompt in row else first_of(names, PROMPT_COLUMNS)
    chat = ""
    if not prompt:
        chat = features.chat if features.chat in row else first_of(names, CHAT_COLUMNS)
    reference = _reference(row, names, prompt or chat)
    if not reference or not (prompt or chat):
        return None
    if chat and not isinstance(as_list(row[chat]), list):
        return None
    beside = _beside(names, features, prompt or chat, reference)
    if prompt and prompt.strip().lower() in INSTRUCTION_COLUMNS:
        beside["context"] = first_of(names, INSTRUCTION_INPUTS)
    return Layout(Format.GRPO, chat=chat, prompt=prompt, completion=reference, **beside)


def _reference(row: Row, names: dict[str, str], asked: str) -> str:
    for name in REFERENCE_COLUMNS:
        column, _, field = name.partition(".")
        if column in names and names[column] != asked:
            path = f"{names[column]}.{field}" if field else names[column]
            if not field or value_at(row, path) is not None:
                return path
    return ""


# -- chats and pairs -------------------------------------------------------------------------------------------


def _pair(
    row: Row, names: dict[str, str], features: Features, prompt: str, completion: str, *, native: bool
) -> Layout:
    """A prompt and its answer; both may be lists of messages (TRL's conversational form)."""
    beside = _beside(names, features, prompt, completion)
    if any(message_list(row[column]) is not None for column in (prompt, completion)) or transcript(row[prompt]):
        return Layout(Format.CHAT, prompt=prompt, completion=completion, **beside)
    if called_in(row, completion) is not None:
        return Layout(Format.CHAT, prompt=prompt, completion=completion, **beside)
    native = native and not any(beside.values())
    return Layout(Format.COMPLETION, prompt=prompt, completion=completion, native=native, **beside)


def _chat(row: Row, names: dict[str, str], features: Features, column: str, *, native: bool) -> Layout:
    value, system = row[column], _system(names, features, {column})
    if isinstance(value, list) and value and isinstance(value[0], dict) and "from" in value[0]:
        return Layout(Format.SHAREGPT, chat=column, system=system)
    native = native and not system and isinstance(value, list)
    return Layout(Format.CHAT, chat=column, system=system, native=native)


def _looks_like_chat(value: Any) -> bool:
    """A list of objects, or such a list written as text (as CSV files hold it)."""
    if isinstance(value, str):
        value = as_list(value) if "{" in value[:20] else value
    return isinstance(value, list) and (not value or isinstance(value[0], dict))
