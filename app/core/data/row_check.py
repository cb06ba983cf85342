"""The check of one row: is everything there that its layout needs, and is it what it should be."""

from __future__ import annotations

from typing import Any, Protocol

import orjson

from app.core.data.column import MEDIA_COLUMNS, TOOL_COLUMNS, as_list, message_list, plain_text, quoted, value_at
from app.core.data.format import RATED, Format, Layout
from app.core.data.label import LABEL_COLUMNS, label_of
from app.core.data.message import (
    CALLERS,
    SPEAKERS,
    RowMessage,
    accepted_answers,
    choices_of,
    context_of,
    has_earlier_turns,
    messages_of,
    pair_of,
    system_text,
    turns_of,
    with_system,
)
from app.core.data.message_check import Fault, kind_of, media_word, message_faults, parts_told, role_faults
from app.core.data.rated import (
    answer_faults,
    is_written,
    label_faults,
    label_notes,
    labelled_answer,
    pair_faults,
    pair_notes,
    pair_of_answers,
    prompt_of,
    reference_of,
)
from app.core.data.tool import tools_of
from app.core.json_text import has_written_number, json_bytes
from app.core.language import joined, tr
from app.core.method.method import Goal
from app.core.problem import Severity
from app.core.source.finding import KINDS
from app.core.source.json_stream import TOO_DEEP, nests_too_deep
from app.core.visible import control_told, is_blank, may_hold_control, says_nothing, word_for_nothing

# Roles that stay as they are: rows with others, `function` and `developer` among them, are read in full.
_PLAIN_ROLES = frozenset(("system", "user", "assistant", "tool", "ipython"))
REMEMBERED_SEQUENCES = 10_000
_SEPARATOR = "\x1f"
_PAIR_ROLES = ("user", "assistant")


# Fingerprint (equal for rows that train alike), length in characters, faults, and whether mlx-lm reads the row as
# it is. A plain tuple: a class, even a named tuple, takes a tenth of the whole check.
RowResult = tuple[int, int, tuple[Fault, ...], bool]


class FastCheck(Protocol):
    """Checks a row; ``is_plain`` says that it certainly holds no control character."""

    def __call__(self, row: dict[str, Any], is_plain: bool = False, /) -> RowResult | None: ...


# Columns that need a look at what stands in them.
_FULL = frozenset((*TOOL_COLUMNS, *MEDIA_COLUMNS))


def fast_check(layout: Layout, columns: tuple[str, ...]) -> FastCheck:
    """A quick check for rows of this layout that are as they should be; it returns None for all others, which
    `full_check` then judges."""
    if any(name in columns for name in LABEL_COLUMNS if name not in (layout.prompt, layout.completion)):
        return _never  # it is by its value that a label says whether the row is of another layout
    if (
        layout.system
        or layout.history
        or layout.context
        or layout.choices
        or layout.label
        or not _FULL.isdisjoint(columns)
    ):
        return _never
    if layout.format is Format.CHAT and layout.chat:
        return _fast_chat(layout.chat, layout.native)
    if layout.format is Format.SHAREGPT:
        return _fast_sharegpt(layout.chat)
    if layout.format in (Format.COMPLETION, Format.ALPACA):
        return _fast_pair(layout.prompt, layout.completion, layout.native)
    if layout.format is Format.TEXT:
        return _fast_text(layout.text, layout.native)
    return _never


def _never(_row: dict[str, Any], _is_plain: bool = False) -> RowResult | None:
    return None


def _fast_chat(column: str, native: bool) -> FastCheck:
    known: dict[tuple[str, ...], tuple[Fault, ...]] = {}

    def check(row: dict[str, Any], is_plain: bool = False) -> RowResult | None:
        messages = row[column]
        if type(messages) is not list or not messages:
            return None
        try:
            roles = tuple([message["role"] for message in messages])
            contents = [message["content"] for message in messages]
            text = _SEPARATOR.join(contents)
            if sum(map(len, messages)) != 2 * len(messages):
                return None
            faults = known.get(roles)
        except (TypeError, KeyError):
            return None
        if says_nothing(contents) or (not is_plain and may_hold_control(text, len(contents) - 1)):
            return None
        if faults is None:
            if not _PLAIN_ROLES.issuperset(roles):
                return None
            faults = _remembered(known, roles)
        if not text.isascii():
            faults = faults + mojibake_faults(text)
        return hash((roles, text)), len(text), faults, native

    return check


# Speakers whose turns are what they are: calls of tools are not.
_FAST_SPEAKERS = {name: role for name, role in SPEAKERS.items() if role != "tool" and name not in CALLERS}


def _fast_sharegpt(column: str) -> FastCheck:
    known: dict[tuple[str, ...], tuple[Fault, ...]] = {}

    def check(row: dict[str, Any], is_plain: bool = False) -> RowResult | None:
        turns = row[column]
        if type(turns) is not list or not turns:
            return None
        try:
            roles = tuple([_FAST_SPEAKERS[turn["from"]] for turn in turns])
            contents = [turn["value"] for turn in turns]
            text = _SEPARATOR.join(contents)
            if sum(map(len, turns)) != 2 * len(turns):
                return None
        except (TypeError, KeyError):
            return None
        if says_nothing(contents) or (not is_plain and may_hold_control(text, len(contents) - 1)):
            return None
        faults = known.get(roles)
        if faults is None:
            faults = _remembered(known, roles)
        if not text.isascii():
            faults = faults + mojibake_faults(text)
        return hash((roles, text)), len(text), faults, False

    return check


def _remembered(known: dict[tuple[str, ...], tuple[Fault, ...]], roles: tuple[str, ...]) -> tuple[Fault, ...]:
    """The faults of a sequence of roles: there are few different ones, so each is judged once."""
    if len(known) > REMEMBERED_SEQUENCES:
        known.clear()
    faults = known[roles] = role_faults(roles)
    return faults


def _fast_pair(prompt: str, completion: str, native: bool) -> FastCheck:
    def check(row: dict[str, Any], is_plain: bool = False) -> RowResult | None:
        first, second = row[prompt], row[completion]
        if type(first) is not str or type(second) is not str or says_nothing((first, second)):
            return None
        # Perhaps messages, written as text, or a transcript.
        if first[0] == "[" or second[0] == "[" or first.startswith(("\n\nHuman:", "Human:")):
            return None
        text = first + _SEPARATOR + second
        if not is_plain and may_hold_control(text, 1):
            return None
        faults = () if text.isascii() else mojibake_faults(text)
        return hash((_PAIR_ROLES, text)), len(text), faults, native

    return check


def _fast_text(column: str, native: bool) -> FastCheck:
    def check(row: dict[str, Any], is_plain: bool = False) -> RowResult | None:
        text = row[column]
        if type(text) is not str or says_nothing((text,)) or (not is_plain and may_hold_control(text)):
            return None
        return hash(text), len(text), () if text.isascii() else mojibake_faults(text), native

    return check


# -- in full -------------------------------------------------------------------------------------------------


def full_check(row: dict[str, Any], layout: Layout) -> RowResult:
    """The check of any row against its layout, with every fault in words."""
    if nests_too_deep(row):
        return 0, 0, (("broken_json", TOO_DEEP),), False
    fingerprint, length, faults, native = _checked(row, layout)
    more = [*_media_faults(row), *_beside_faults(row, layout)]
    return (fingerprint, length, (*faults, *more), native) if more else (fingerprint, length, faults, native)


def is_good(result: RowResult) -> bool:
    """True if nothing keeps the row from training."""
    return not any(KINDS[kind].is_out for kind, _ in result[2])


def _checked(row: dict[str, Any], layout: Layout) -> RowResult:
    if layout.format is Format.TEXT:
        faults = _text_faults(row, layout.text)
        text = row.get(layout.text)
        return _result(hash(text) if isinstance(text, str) else 0, [text], faults, layout.native)
    if layout.format in RATED:
        return _check_rated(row, layout)
    if layout.format in (Format.COMPLETION, Format.ALPACA) and layout.target == "completion":
        faults = [*_prompt_faults(row, layout), *_answer_faults(row, layout), *_tool_faults(row)]
        faults += _spelling_faults(row, [])
        texts = list(pair_of(row, layout))
        native = layout.native and not isinstance(row.get("tools"), str)
        return _result(_fingerprint(_PAIR_ROLES, texts, row), texts, faults, native and not faults)
    return _check_messages(row, layout)


def _check_messages(row: dict[str, Any], layout: Layout) -> RowResult:
    faults = _own_column_faults(row, layout) + _tool_faults(row)
    if any(KINDS[kind].severity is Severity.ERROR for kind, _ in faults):
        return 0, 0, tuple(faults), False
    turns = turns_of(row, layout)
    faults += message_faults(turns) + _renamed_faults(row, layout, turns)
    messages = with_system(turns, row, layout)
    texts = [message.get("content") for message in messages]
    roles = tuple(str(message.get("role")) for message in messages)
    plain = all(len(message) == 2 for message in messages)
    fingerprint = _fingerprint(roles, texts, row) if plain else hash((dumped(messages), dumped(row.get("tools"))))
    faults += _spelling_faults(row, messages)
    native = layout.native and _is_unchanged(row.get(layout.chat), messages) and _are_own_tools(row)
    return _result(fingerprint, texts, faults, native)


def _are_own_tools(row: dict[str, Any]) -> bool:
    """True if the row's tools are given to the template as they stand."""
    return "functions" not in row and (row.get("tools") or []) == tools_of(row)


def _is_unchanged(before: Any, after: list[RowMessage]) -> bool:
    return isinstance(before, list) and before == after


def _own_column_faults(row: dict[str, Any], layout: Layout) -> list[Fault]:
    """Faults of the columns themselves, in their own names."""
    faults: list[Fault] = []
    if layout.chat:
        value = as_list(row.get(layout.chat))
        if value is None:
            faults.append(("missing_field", tr("`{chat}` is null.", chat=layout.chat)))
        elif not isinstance(value, list):
            faults.append(
                (
                    "wrong_type",
                    tr("`{chat}` is {kind_of}, not a list of messages.", chat=layout.chat, kind_of=kind_of(value)),
                )
            )
        elif not value:
            faults.append(("empty_field", tr("`{chat}` is an empty list.", chat=layout.chat)))
    elif layout.format is not Format.CHAT:
        faults += [*_prompt_faults(row, layout), *_answer_faults(row, layout)]
    return faults


def _beside_faults(row: dict[str, Any], layout: Layout) -> list[Fault]:
    """What stands beside the prompt and cannot be used, so that it is not left out without a word."""
    faults: list[Fault] = []
    if layout.label and layout.format is not Format.LABELLED:
        faults += label_faults(row, layout)
        if label_of(row.get(layout.label)) is False:
            faults.append(
                ("bad_answer", tr("Answers that {label} calls bad are left out", label=quoted(layout.label)))
            )
    system = system_text(row.get(layout.system)) if layout.system else None
    if system is not None and not isinstance(system, str):
        faults.append(
            (
                "wrong_type",
                tr("{system} is {kind_of}, not a text.", system=quoted(layout.system), kind_of=kind_of(system)),
            )
        )
    elif system and layout.chat and layout.format is not Format.PREFERENCE:
        own = messages_of(row, layout)[:1]
        if own and own[0].get("role") == "system" and own[0].get("content") != system:
            faults.append(
                ("unused_column", tr("{system} is not used beside a system turn", system=quoted(layout.system)))
            )
    if layout.context and not context_of(row, layout) and not _is_nothing(row.get(layout.context)):
        value = row[layout.context]
        if layout.format is Format.ALPACA:
            faults.append(
                (
                    "wrong_type",
                    tr(
                        "{context} is {kind_of}, not a text.",
                        context=quoted(layout.context),
                        kind_of=kind_of(value),
                    ),
                )
            )
        else:
            faults.append(
                (
                    "unused_column",
                    tr(
                        "{context} is not used, being {kind_of}",
                        context=quoted(layout.context),
                        kind_of=kind_of(value),
                    ),
                )
            )
    if (
        layout.context
        and not isinstance(row.get(layout.context), str)
        and plain_text(row.get(layout.context)) is not None
    ):
        faults.append(_number_told(layout.context))
    if layout.history and not has_earlier_turns(row, layout):
        faults.append(
            ("unused_column", tr("{history} is not used: it holds no turns", history=quoted(layout.history)))
        )
    if layout.choices and not choices_of(row, layout):
        faults += [("unused_column", tr("{name} is not used: it holds no choices", name=quoted(name)))
                   for name in layout.choices if not _is_nothing(row.get(name))]  # fmt: skip
    return faults


def _is_nothing(value: Any) -> bool:
    return value is None or value == [] or value == {} or (isinstance(value, str) and is_blank(value))


def _media_faults(row: dict[str, Any]) -> list[Fault]:
    """Columns of pictures, sound or films; one that merely names a picture in words is a column like others."""
    faults: list[Fault] = []
    for column in MEDIA_COLUMNS:
        value = as_list(row.get(column))
        if not value or (isinstance(value, str) and not column.endswith("s")):
            continue
        faults.append(
            (
                "media",
                tr(
                    "{column} holds {media_word}, which cannot be trained.",
                    column=quoted(column),
                    media_word=media_word(column),
                ),
            )
        )
    return faults


def _tool_faults(row: dict[str, Any]) -> list[Fault]:
    faults = []
    for column in TOOL_COLUMNS:
        tools = as_list(row.get(column))
        if not _is_nothing(tools) and not isinstance(tools, (list, dict)):
            faults.append(
                (
                    "wrong_type",
                    tr("`{column}` is {kind_of}, not a list of tools.", column=column, kind_of=kind_of(tools)),
                )
            )
    return faults


def _spelling_faults(row: dict[str, Any], turns: list[RowMessage]) -> list[Fault]:
    """Numbers in tools and in calls of them: the template writes those as JSON, in Python's spelling."""
    if not has_written_number([tools_of(row), *(turn.get("tool_calls") for turn in turns)]):
        return []
    said = tr("Numbers in tools and calls are trained as JSON spells them (1.10 as 1.1, 1e5 as 100000.0)")
    return [("respelled_number", said)]


def _prompt_faults(row: dict[str, Any], layout: Layout) -> list[Fault]:
    """Faults of a prompt; a number, true or false is one as it is an answer, and told."""
    value = row.get(layout.prompt)
    return [] if isinstance(value, str) and not is_blank(value) else _plain_faults(row, layout.prompt)


def _plain_faults(row: dict[str, Any], column: str) -> list[Fault]:
    value = row.get(column)
    if isinstance(value, str) or plain_text(value) is None:
        return _text_faults(row, column)
    return [_number_told(column)]


def _number_told(column: str) -> Fault:
    return "number_as_text", tr("Numbers, true or false in {column} are trained as text", column=quoted(column))


def _answer_faults(row: dict[str, Any], layout: Layout) -> list[Fault]:
    """Faults of an answer; what is no text but is trained as one is told."""
    column, value = layout.completion, row.get(layout.completion)
    if isinstance(value, str) or value is None or plain_text(value) is not None:
        return _plain_faults(row, column)
    accepted = accepted_answers(column, value)
    if accepted is not None:
        if not accepted or is_blank(accepted[0]):
            said = tr("begins with an empty text") if accepted else tr("holds no answer")
            return [("empty_field", joined((quoted(column), " ", said, "."), ""))]
        return [("first_answer", tr("Of several answers in {column} the first is trained", column=quoted(column)))]
    return _text_faults(row, column)


def _text_faults(row: dict[str, Any], column: str) -> list[Fault]:
    if column not in row:
        return [("missing_field", tr("{column} is missing.", column=quoted(column)))]
    value = row[column]
    if value is None:
        return [("missing_field", tr("{column} is null.", column=quoted(column)))]
    if not isinstance(value, str):
        return [
            ("wrong_type", tr("{column} is {kind_of}, not a text.", column=quoted(column), kind_of=kind_of(value)))
        ]
    if not is_blank(value):
        return []
    if value.strip():
        return [("empty_field", tr("{column} holds nothing but invisible characters.", column=quoted(column)))]
    return [("empty_field", tr("{column} is empty.", column=quoted(column)))]


def _renamed_faults(row: dict[str, Any], layout: Layout, turns: list[RowMessage]) -> list[Fault]:
    """Roles that were read as others, each once a row; of ShareGPT's speakers that is the rule."""
    before = as_list(row.get(layout.chat)) if layout.chat and layout.format is Format.CHAT else None
    if not isinstance(before, list) or len(before) != len(turns):
        return []
    pairs = {
        (turn["role"], message.get("role"))
        for turn, message in zip(before, turns, strict=True)
        if isinstance(turn, dict) and isinstance(turn.get("role"), str)
    }
    return [("renamed_role", tr("The role {old} is read as `{new}`", old=quoted(old), new=new))
            for old, new in sorted(pairs, key=str) if new != old]  # fmt: skip


def _check_rated(row: dict[str, Any], layout: Layout) -> RowResult:
    """Preference, labelled and GRPO rows: the columns are there and are texts or messages."""
    faults, notes = _tool_faults(row), list[Fault]()
    for column in layout.needed:
        if column == layout.label:
            faults += label_faults(row, layout)
        elif column == layout.chat:
            faults += _own_column_faults(row, layout)
        elif layout.format is Format.GRPO and column == layout.completion:
            faults += _reference_faults(row, column)
        elif message_list(row.get(column)) is None:
            told = _plain_faults(row, column)
            notes += [fault for fault in told if fault[0] == "number_as_text"]
            faults += [fault for fault in told if fault[0] != "number_as_text"]
    values = [*(value_at(row, column) for column in layout.read), *tools_of(row)]
    turns: list[RowMessage] = []
    if not faults:
        turns, faults = _rated_turns(row, layout)
    written = not faults and is_written(row, _WRITTEN[layout.format]) and _are_own_tools(row)
    texts = [turn.get("content") for turn in turns]
    fingerprint, length, found, _ = _result(hash(dumped(values)), texts, faults, written)
    if not faults:
        notes += pair_notes(row, layout) if layout.chosen else label_notes(row, layout) if layout.label else []
        found = (*found, *notes, *_reference_notes(row, layout), *_spelling_faults(row, turns))
    return fingerprint, length, found, written


_WRITTEN: dict[Format, Goal] = {
    Format.PREFERENCE: "preference", Format.LABELLED: "labelled", Format.GRPO: "prompt",
}  # fmt: skip


def _rated_turns(row: dict[str, Any], layout: Layout) -> tuple[list[RowMessage], list[Fault]]:
    """All turns of a row whose columns are there, and what is wrong with them."""
    if layout.chosen:
        pair = pair_of_answers(row, layout)
        turns, faults = [*pair.prompt, *pair.chosen, *pair.rejected], pair_faults(row, layout)
    elif layout.label and layout.chat:
        turns = turns_of(row, layout)
        faults = message_faults(turns)
    elif layout.label:
        answer = labelled_answer(row, layout)
        turns, faults = [*answer["prompt"], *answer["completion"]], answer_faults(row, layout)
    else:
        turns, _ = prompt_of(row, layout)
        said = tr("{chat} holds no question.", chat=quoted(layout.chat or layout.prompt))
        faults = [] if any(turn.get("role") != "system" for turn in turns) else [("empty_field", said)]
    for number, turn in enumerate(turns, 1):
        content, role = turn.get("content"), turn.get("role")
        if not isinstance(role, str):
            faults.append(("missing_field", tr("Message {number} has no role.", number=number)))
        elif isinstance(content, list):
            faults.append(
                ("wrong_type", tr("Message {number} {parts_told}.", number=number, parts_told=parts_told(content)))
            )
        elif not isinstance(content, str) and not turn.get("tool_calls"):
            faults.append(
                (
                    "wrong_type",
                    tr(
                        "The content of message {number} is {kind_of}, not a text.",
                        number=number,
                        kind_of=kind_of(content),
                    ),
                )
            )
    return turns, list(dict.fromkeys(faults))


def _reference_faults(row: dict[str, Any], column: str) -> list[Fault]:
    value = value_at(row, column)
    if value is None:
        return [
            (
                "missing_field",
                tr("{column} is {value}.", column=quoted(column), value="null" if column in row else tr("missing")),
            )
        ]
    return [("empty_field", tr("{column} is empty.", column=quoted(column)))] if _is_nothing(value) else []


def _reference_notes(row: dict[str, Any], layout: Layout) -> list[Fault]:
    value = value_at(row, layout.completion) if layout.format is Format.GRPO and layout.completion else None
    if isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) for item in value):
        return [
            (
                "first_answer",
                tr(
                    "Of several answers in {completion} the first is the reference",
                    completion=quoted(layout.completion),
                ),
            )
        ]
    if isinstance(value, str) and reference_of(row, layout) != value and message_list(value) is None:
        said = tr(
            "The reference is what {completion} comes to (after ####, or in \\boxed{{}})",
            completion=quoted(layout.completion),
        )
        return [("final_answer", said)]
    return []


def _result(fingerprint: int, texts: list[Any], faults: list[Fault], native: bool) -> RowResult:
    parts = [text for text in texts if isinstance(text, str)]
    joined = _SEPARATOR.join(parts)
    if not joined.isascii():
        faults = [*faults, *mojibake_faults(joined)]
    if may_hold_control(joined, len(parts) - 1):
        told = next(filter(None, map(control_told, parts)), "")
        faults = [*faults, ("control_character", told)] if told else faults
    if word := word_for_nothing(parts):
        faults = [*faults, ("missing_value", tr("A text is only {word}", word=quoted(word)))]
    return fingerprint, len(joined), tuple(faults), native


def _fingerprint(roles: tuple[str, ...], texts: list[Any], row: dict[str, Any]) -> int:
    if not all(isinstance(text, str) for text in texts):
        return hash(dumped([roles, texts]))
    key = (roles, _SEPARATOR.join(texts))
    return hash((*key, dumped(row["tools"]))) if row.get("tools") else hash(key)


def dumped(value: Any) -> bytes:
    """The same bytes for equal values, whatever order their keys have."""
    try:
        return json_bytes(value, orjson.OPT_SORT_KEYS)
    except TypeError:  # half of a character
        return repr(value).encode("utf-8", "replace")


def mojibake_faults(text: str) -> tuple[Fault, ...]:
    """A fault if the text was read in the wrong encoding somewhere on its way."""
    if text.isascii() or not _has_sign(text):
        return ()
    if "�" in text:
        return (
            ("mojibake", tr("Characters were lost (�), near {around!r}.", around=_around(text, text.index("�")))),
        )
    import ftfy

    for line in text.split("\n"):
        if line.isascii() or not _has_sign(line):
            continue
        fixed = ftfy.fix_encoding(line[:2000])
        if fixed != line[:2000]:
            start = next((i for i, (a, b) in enumerate(zip(line, fixed, strict=False)) if a != b), 0)
            said = tr(
                "Text looks garbled, near {around!r}; meant is probably {around2!r}.",
                around=_around(line, start),
                around2=_around(fixed, start),
            )
            return (("mojibake", said),)
    return ()


def _has_sign(text: str) -> bool:
    """What UTF-8 read as Latin-1 or cp1252 begins with, and cp1252's quotes, dashes and euro read as Latin-1: a
    cheap sign, after which ftfy decides. Written out because a loop over the signs costs as much as the whole rest
    of the row's check."""
    return (
        "Ã" in text or "Â" in text or "â€" in text or "�" in text or "Ð" in text or "ð" in text
        or "\x92" in text or "\x93" in text or "\x84" in text or "\x96" in text or "\x85" in text or "\x80" in text
    )  # fmt: skip


def _around(text: str, position: int) -> str:
    return text[max(position - 12, 0) : position + 12].replace(_SEPARATOR, " ")
