"""Turns of a conversation as messages, from every way in which files write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.core.data.column import as_list, as_object, message_list, plain_text
from app.core.data.format import RATED, Format, Layout
from app.core.data.tool import calls_in, tool_call, tool_result_text, tools_of
from app.core.visible import is_blank

# ShareGPT's names of speakers, and others found in the wild.
SPEAKERS = {
    "human": "user", "user": "user", "prompter": "user", "gpt": "assistant", "assistant": "assistant",
    "chatgpt": "assistant", "bot": "assistant", "chatbot": "assistant", "model": "assistant", "ai": "assistant",
    "bard": "assistant", "bing": "assistant", "system": "system", "developer": "system",
    "tool": "tool", "function_response": "tool", "tool_response": "tool", "observation": "tool",
    "function": "tool", "function_call": "assistant", "tool_call": "assistant",
}  # fmt: skip
# The same where a turn has a text a speaker, as Capybara's and XTuner's do.
_EXCHANGE = {name: role for name, role in SPEAKERS.items() if role in ("system", "user", "assistant")} | {
    "input": "user", "question": "user", "prompt": "user", "output": "assistant", "answer": "assistant",
    "response": "assistant",
}  # fmt: skip
CALLERS = frozenset(("function_call", "tool_call"))
ROLES = frozenset(("system", "developer", "user", "assistant", "tool", "function", "ipython"))
_KEPT_ROLES = ROLES - {"function"}
# Names of roles that mean a known one wherever they stand. `human` and `gpt` are ShareGPT's: beside `assistant` or
# `user` they are as likely a slip, and are told.
_OTHER_ROLES = {"model": "assistant", "ai": "assistant", "bot": "assistant", "chatbot": "assistant",
                "prompter": "user", "function": "tool"}  # fmt: skip
# Fields by which a turn says that it is not to be learned: OpenAI's, Axolotl's, others'.
_WEIGHTS = ("weight", "loss_weight", "train", "training", "loss")
_REASONING_PARTS = ("thinking", "reasoning")
_PLACED_PARTS = (*_REASONING_PARTS, "redacted_thinking", "tool_use")
_TEXT_PARTS = ("text", "input_text", "output_text")
SHORT_CONTEXT = 20  # characters; a shorter one may stand in a prompt by chance
_TRANSCRIPT = re.compile(r"(?:^|\n\n)(Human|Assistant):")

RowMessage = dict[str, Any]


def pair_of(row: dict[str, Any], layout: Layout) -> tuple[Any, Any]:
    """Prompt and answer: what belongs to the prompt follows it after an empty line, the answer is text."""
    given = row.get(layout.prompt)
    prompt = plain_text(given)
    if prompt is None:
        return given, answer_of(row, layout)
    return "\n\n".join([prompt, *_prompt_parts(row, layout, prompt)]), answer_of(row, layout)


def answer_of(row: dict[str, Any], layout: Layout) -> Any:
    """The answer of a pair as text, or what stands there instead: numbers and truth values as in JSON, the first of
    a list of accepted ones, the letter of a choice that is given by its place."""
    answer: Any = row.get(layout.completion)
    if isinstance(answer, str):
        return answer
    if isinstance(answer, int) and not isinstance(answer, bool) and layout.choices:
        choices = choices_of(row, layout)
        texts = [text for _, text in choices]
        if 0 <= answer < len(texts) and str(answer) not in texts:
            return choices[answer][0]
    if accepted := accepted_answers(layout.completion, answer):
        return accepted[0]
    text = plain_text(answer)
    return answer if text is None else text


def accepted_answers(column: str, value: Any) -> list[str] | None:
    """Answers that are right, of which one is enough: a list in ``answers`` and the like, or SQuAD's object with
    them as ``text``; None for everything else."""
    plural = column.rpartition(".")[2].strip().lower() in ("answer", "answers", "responses", "targets", "outputs")
    if isinstance(value, dict) and {"text"} <= set(value) <= {"text", "answer_start"}:
        value, is_empty = value["text"], value["text"] == []
        if is_empty:
            return []
    if not plural or not isinstance(value, list) or not value:
        return None
    return value if all(isinstance(item, str) for item in value) else None


def _prompt_parts(row: dict[str, Any], layout: Layout, prompt: str) -> Iterator[str]:
    """What stands beside a prompt and belongs to it: its context, and its choices a line each."""
    context = context_of(row, layout)
    if context and (len(context) < SHORT_CONTEXT or context not in prompt):
        yield context
    choices = choices_of(row, layout)
    if choices and not all(_stands_in(prompt, key, text) for key, text in choices):
        yield "\n".join(f"{key}. {text}" for key, text in choices)


def _stands_in(prompt: str, key: str, text: str) -> bool:
    """True if the prompt holds the choice already: its letter, a sign or two, and its text."""
    return re.search(rf"(?<!\w){re.escape(key)}\W{{1,3}}{re.escape(text)}", prompt) is not None


def context_of(row: dict[str, Any], layout: Layout) -> str:
    """The context as text, of a list of texts all of them; empty where there is none or it is something else."""
    value = row.get(layout.context) if layout.context else None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = "\n\n".join(value)
    text = plain_text(value)
    return text if text is not None and not is_blank(text) else ""


def choices_of(row: dict[str, Any], layout: Layout) -> list[tuple[str, str]]:
    """The choices of a question, each with its letter; empty where there are none or they are of no known form."""
    if len(layout.choices) > 1:
        values = [plain_text(row.get(column)) for column in layout.choices]
        return [(_letter(at), text) for at, text in enumerate(values) if text is not None and not is_blank(text)]
    value = as_object(as_list(row.get(layout.choices[0]))) if layout.choices else None
    if isinstance(value, dict) and isinstance(value.get("text"), list):  # ARC
        keys, value = value.get("label"), value["text"]
        if isinstance(keys, list) and len(keys) == len(value):
            return _keyed(zip(keys, value, strict=True))
    if isinstance(value, dict):
        return _keyed(value.items())
    if not isinstance(value, list):
        return []
    if all(isinstance(item, dict) for item in value):
        return _keyed((item.get("label", item.get("key", item.get("id"))), item.get("text", item.get("content")))
                      for item in value)  # fmt: skip
    return _keyed((_letter(at), item) for at, item in enumerate(value))


def _keyed(pairs: Any) -> list[tuple[str, str]]:
    found = [(plain_text(key), plain_text(text)) for key, text in pairs]
    good = [(key, text) for key, text in found if key is not None and text is not None]
    return good if len(good) == len(found) else []


def _letter(at: int) -> str:
    return chr(ord("A") + at) if at < 26 else str(at + 1)


# -- rows --------------------------------------------------------------------------------------------------------


def messages_of(row: dict[str, Any], layout: Layout) -> list[RowMessage]:
    """The row as chat messages, with the text of its system column in front if it has one."""
    return with_system(turns_of(row, layout), row, layout)


def turns_of(row: dict[str, Any], layout: Layout) -> list[RowMessage]:
    """The row as chat messages, without its system column."""
    if layout.chat:
        value = as_list(row.get(layout.chat))
        return turns_from(value if isinstance(value, list) else [], sharegpt=layout.format is Format.SHAREGPT)
    answer = row.get(layout.completion)
    turns = message_list(answer)
    if (calls := called_in(row, layout.completion)) is not None:
        answers = [{"role": "assistant", "content": "", "tool_calls": calls}]
    else:
        answers = [{"role": "assistant", "content": answer_of(row, layout)}] if turns is None else turns_from(turns)
    return [*prompt_turns(row, layout), *answers]


def called_in(row: dict[str, Any], column: str) -> list[Any] | None:
    """The calls that an answer is made of, all of them of the row's own tools; None for any other answer."""
    names = [tool["function"].get("name") for tool in tools_of(row)
             if isinstance(tool, dict) and isinstance(tool.get("function"), dict)]  # fmt: skip
    calls = calls_in(row.get(column)) if names else None
    return calls if calls and all(call["function"].get("name") in names for call in calls) else None


def prompt_turns(row: dict[str, Any], layout: Layout) -> list[RowMessage]:
    """The turns up to the answer, without the system column: earlier ones, the prompt and what belongs to it."""
    value = row.get(layout.prompt)
    turns = message_list(value)
    if turns is None:
        turns = transcript(value) if layout.format in RATED or layout.format is Format.CHAT else []
        text = plain_text(value)
        asked = turns or [{"role": "user", "content": value if text is None else text}]
    else:
        asked = turns_from(turns)
    last = asked[-1]
    if last.get("role") == "user" and isinstance(last.get("content"), str):
        known = "\n".join(str(turn.get("content")) for turn in asked)
        whole = "\n\n".join([last["content"], *_prompt_parts(row, layout, known)])
        asked = [*asked[:-1], last | {"content": whole}]
    return [*(_earlier_turns(row, layout) or []), *asked]


def with_system(messages: list[RowMessage], row: dict[str, Any], layout: Layout) -> list[RowMessage]:
    """The messages with the text of the row's system column in front, unless they have a system turn there."""
    system = system_text(row.get(layout.system)) if layout.system else None
    if isinstance(system, str) and not is_blank(system) and not (messages and messages[0].get("role") == "system"):
        return [{"role": "system", "content": system}, *messages]
    return messages


def system_text(value: Any) -> Any:
    """A system text; one that comes in parts is put together. Everything else stays what it is."""
    if isinstance(value, list) and value and all(_is_text_part(part) for part in value):
        return "".join(_part_text(part) for part in value)
    return value


def has_earlier_turns(row: dict[str, Any], layout: Layout) -> bool:
    """False if the row's history is of no known form, so that it is left out."""
    return _earlier_turns(row, layout) is not None


def _earlier_turns(row: dict[str, Any], layout: Layout) -> list[RowMessage] | None:
    """The turns of the history: pairs of texts or of named texts, or messages; None if it is something else."""
    history = as_list(row.get(layout.history)) if layout.history else None
    if history is None or history in ("", []):
        return []
    turns = message_list(history)
    if turns is not None:
        return turns_from(turns)
    found: list[RowMessage] = []
    for pair in history if isinstance(history, list) else [None]:
        if isinstance(pair, dict) and len(pair) == 2:
            pair = list(pair.values())
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(isinstance(p, str) for p in pair):
            return None
        found += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return found


def transcript(value: Any) -> list[RowMessage]:
    """The turns of a text that is a conversation of a human and an assistant (Anthropic's HH-RLHF); else none."""
    if not isinstance(value, str) or not value.lstrip().startswith(("Human:", "Assistant:")):
        return []
    marks = list(_TRANSCRIPT.finditer(value.lstrip()))
    text = value.lstrip()
    turns = []
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        said = text[mark.end() : following.start() if following else len(text)].strip()
        turns.append({"role": SPEAKERS.get(mark[1].lower(), mark[1].lower()), "content": said})
    if len(turns) < 2 or turns[0]["role"] == turns[1]["role"]:
        return []
    if turns[-1]["role"] == "assistant" and not turns[-1]["content"]:
        turns.pop()  # where the answer begins
    return turns


# -- turns -------------------------------------------------------------------------------------------------------


def turns_from(turns: list[Any], *, sharegpt: bool = False) -> list[RowMessage]:
    """Turns of any form as messages; a speaker that is not known stays, for the check to tell."""
    found: list[RowMessage] = []
    for turn in turns:
        if exchange := _exchange_of(turn):
            found += exchange
            continue
        is_said = isinstance(turn, dict) and "from" in turn and (sharegpt or "role" not in turn)
        found += [sharegpt_message(turn)] if is_said else clean_messages(turn)
    names = {str(turn.get("role")).strip().lower() for turn in turns if isinstance(turn, dict)}
    renamed = {"developer": "system"} if "developer" in names and "system" not in names else {}
    if "human" in names and not names & {"user", "assistant"}:
        renamed |= {"human": "user", "gpt": "assistant", "chatgpt": "assistant"}
    return [_renamed(message, renamed) for message in found] if renamed else found


def _exchange_of(turn: Any) -> list[RowMessage]:
    """The messages of a turn that has a text a speaker (``input`` and ``output``, ``human`` and ``assistant``), the
    system's first; empty for a turn that is one message."""
    if not isinstance(turn, dict) or "role" in turn or "from" in turn:
        return []
    said = {name: text for name, text in turn.items() if isinstance(text, str)}
    roles = {name: _EXCHANGE.get(name.strip().lower(), "") for name in said}
    if not said or not all(roles.values()) or len(set(roles.values())) < len(roles):
        return []
    is_masked = turn.get("output_with_loss") is False or _weight_of(turn) == {"weight": 0}
    order = ("system", "user", "assistant")
    return [
        {"role": roles[name], "content": text} | ({"weight": 0} if is_masked and roles[name] == order[-1] else {})
        for name, text in sorted(said.items(), key=lambda item: order.index(roles[item[0]]))
        if not is_blank(text) or roles[name] != "system"
    ]


def _renamed(message: RowMessage, names: dict[str, str]) -> RowMessage:
    """`human` is the user where the other speaker is not called `assistant` either; `developer` is the system turn,
    which all templates know, where there is no other."""
    role = message.get("role")
    meant = names.get(role.strip().lower()) if isinstance(role, str) else None
    return message | {"role": meant} if meant else message


def sharegpt_message(turn: Any) -> RowMessage:
    """A ``from``/``value`` turn as a message, calls of tools and their results as such."""
    if not isinstance(turn, dict):
        return {"role": None, "content": turn}
    if "from" not in turn:
        return clean_message(turn)
    speaker, value = turn["from"], turn.get("value")
    name = speaker.strip().lower() if isinstance(speaker, str) else ""
    role = SPEAKERS.get(name, speaker)
    weight = _weight_of(turn)
    if name in CALLERS and (calls := calls_in(value)) is not None:
        return {"role": role, "content": "", "tool_calls": calls} | weight
    if role == "tool":
        value = tool_result_text(value)
    return {"role": role, "content": value} | weight


def clean_messages(turn: Any) -> list[RowMessage]:
    """A message as one or, where it holds results of tools beside what is said, as several."""
    message = clean_message(turn)
    content = message.get("content")
    if not isinstance(content, list):
        return [message]
    results = [part for part in content if _part_type(part) == "tool_result"]
    if not results:
        return [message]
    found = []
    for part in results:
        its = clean_message({"role": "tool", "content": part.get("content")})
        named = {"tool_call_id": part["tool_use_id"]} if part.get("tool_use_id") is not None else {}
        found.append(named | its | {"content": tool_result_text(its.get("content"))})
    rest = [part for part in content if _part_type(part) != "tool_result"]
    return [*found, *([clean_message(message | {"content": rest})] if rest else [])]


def clean_message(turn: Any) -> RowMessage:
    """A message without the empty fields that columnar files add, with the usual name of its role, parts of text
    joined to one text, calls of tools in one form, and its weight under one name."""
    if not isinstance(turn, dict):
        return {"role": None, "content": turn}
    message = {key: value for key, value in turn.items() if value is not None or key == "content"}
    weight = _weight_of(message)
    message = {key: value for key, value in message.items() if key not in _WEIGHTS or key in weight} | weight
    role = message.get("role")
    if isinstance(role, str) and role not in _KEPT_ROLES:
        message["role"] = _role(role)
    _take_parts(message)
    _take_calls(message)
    if message.get("role") == "tool" and isinstance(message.get("content"), dict):
        message["content"] = tool_result_text(message["content"])
    return message


def usual_role(role: Any) -> Any:
    """The role that a name of any convention means; an unknown one stays."""
    if not isinstance(role, str) or role in _KEPT_ROLES:
        return role
    name = role.strip().lower()
    return name if name in _KEPT_ROLES else SPEAKERS.get(name, role)


def _role(role: str) -> str:
    name = role.strip().lower()
    return name if name in _KEPT_ROLES else _OTHER_ROLES.get(name, role)


def _weight_of(turn: dict[str, Any]) -> dict[str, Any]:
    """Whether the turn is learned, as OpenAI's ``weight``: 0 where one of the fields for it says no."""
    for name in _WEIGHTS:
        value = turn.get(name)
        if name == "weight" and value is not None:
            return {"weight": value}
        if isinstance(value, (bool, int, float)):
            return {} if value else {"weight": 0}
    return {}


def _take_calls(message: RowMessage) -> None:
    """Calls of tools in one form, the one call of the old ``function_call`` too."""
    calls = as_list(message.get("tool_calls"))
    if isinstance(calls, list):
        if calls:
            message["tool_calls"] = [tool_call(call) for call in calls]
        elif message.get("content"):
            del message["tool_calls"]
    old = as_object(message.get("function_call"))
    if isinstance(old, dict) and isinstance(old.get("name"), str):
        del message["function_call"]
        message.setdefault("tool_calls", [tool_call(old)])
    if message.get("tool_calls") and message.get("content") is None:
        message["content"] = ""  # as mlx-lm's server has it: templates refuse a turn without, or one of null


def _take_parts(message: RowMessage) -> None:
    """Parts of a message's content where they belong: texts joined, thoughts and calls of tools under their names;
    parts of other kinds stay, for the check to tell."""
    content = message.get("content")
    if not isinstance(content, list) or not content:
        return
    thoughts = [part for part in content if _part_type(part) in _REASONING_PARTS]
    calls = [part for part in content if _part_type(part) == "tool_use"]
    rest = [part for part in content if _part_type(part) not in _PLACED_PARTS]
    if not all(_is_text_part(part) for part in rest):
        return
    message["content"] = "".join(_part_text(part) for part in rest)
    if thoughts and "reasoning_content" not in message:
        message["reasoning_content"] = "\n".join(_part_text(part) for part in thoughts)
    if calls and "tool_calls" not in message:
        message["tool_calls"] = [tool_call(part) for part in calls]


def _part_type(part: Any) -> str:
    return str(part.get("type", "")) if isinstance(part, dict) else ""


def _is_text_part(part: Any) -> bool:
    if isinstance(part, str):
        return True
    return isinstance(part, dict) and part.get("type", "text") in _TEXT_PARTS and bool(_part_keys(part))


def _part_keys(part: dict[str, Any]) -> list[str]:
    return [key for key in ("text", "value", "content", *_REASONING_PARTS) if isinstance(part.get(key), str)]


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    keys = _part_keys(part)
    return str(part[keys[0]]) if keys else ""
