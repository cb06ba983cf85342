"""Tools and tool calls, from every way in which files write them, in the form that chat templates take."""

from __future__ import annotations

from typing import Any

from app.core.data.column import TOOL_COLUMNS, as_list, as_object
from app.core.json_text import spelled_text
from app.core.source.json_stream import without_padding

ToolCall = dict[str, Any]


def tools_of(row: dict[str, Any]) -> list[Any]:
    """The tools of a row, each as ``{"type": "function", "function": {…}}``; empty if it has none."""
    for column in TOOL_COLUMNS:
        tools = as_list(row.get(column))
        if isinstance(tools, dict):
            tools = [tools]
        if isinstance(tools, list) and tools:
            return [_wrapped(as_object(without_padding(tool))) for tool in tools]
    return []


def _wrapped(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    if isinstance(tool.get("function"), dict):
        return tool if "type" in tool else {"type": "function"} | tool
    if "name" not in tool or tool.get("type", "function") != "function":
        return tool
    function = {key: value for key, value in tool.items() if key != "type" and value is not None}
    if "parameters" not in function and "input_schema" in function:
        function["parameters"] = function.pop("input_schema")
    return {"type": "function", "function": function}


def tool_call(call: Any) -> Any:
    """A call as ``{"type": "function", "function": {"name": …, "arguments": {…}}}``.

    Arguments that are the text of an object become that object: a template writes them as JSON itself, and would
    write a text as JSON of JSON. Of a call that is an object, what is null is padding, as tables and files made of
    tables have it; in a text a null is meant. What is no call stays as it is.
    """
    call = as_object(without_padding(call))
    if not isinstance(call, dict):
        return call
    function = call.get("function")
    if isinstance(function, dict):
        parsed = with_arguments(function)
        return call if parsed == function and "type" in call else {"type": "function"} | call | {"function": parsed}
    if isinstance(call.get("name"), str):
        beside = {key: call[key] for key in ("id",) if call.get(key) is not None}
        return beside | {"type": "function", "function": with_arguments(_named_arguments(call))}
    return call


def _named_arguments(call: dict[str, Any]) -> dict[str, Any]:
    given = next((call[key] for key in ("arguments", "parameters", "input", "args") if key in call), None)
    return {"name": call["name"], "arguments": {} if given is None else given}


def with_arguments(function: dict[str, Any]) -> dict[str, Any]:
    """A function of a call with its arguments parsed, where they are the text of an object."""
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        return function
    parsed = as_object(arguments) if arguments.strip() else {}
    return function | {"arguments": parsed} if isinstance(parsed, dict) else function


def calls_in(value: Any) -> list[ToolCall] | None:
    """The calls that the text of a ``function_call`` turn holds, one or a list of them; None if it holds none."""
    value = as_object(as_list(value))
    found = [tool_call(call) for call in (value if isinstance(value, list) else [value])]
    good = found and all(isinstance(call, dict) and isinstance(call.get("function"), dict) for call in found)
    return found if good else None


def tool_result_text(content: Any) -> Any:
    """What a tool gave, as text: objects and lists as JSON, as a model sees them when it calls the tool."""
    if content is None or isinstance(content, str):
        return content
    try:
        return spelled_text(content)
    except (TypeError, ValueError):
        return str(content)
