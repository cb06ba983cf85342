"""The version of the protocol grows with every change of a job, a command or an event that the other end can see.

`wire.txt` lists what this version says. When the test fails because you changed something on purpose, raise
`PROTOCOL_VERSION` by one and write the list anew:

    .venv/bin/python -m tests.core.protocol.test_wire
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from app.core.protocol.command import COMMANDS, PackedArray
from app.core.protocol.event import EVENTS
from app.core.protocol.job import JOBS, AskedScores
from app.core.protocol.question import ChatMessage, Question
from app.core.protocol.wire import PROTOCOL_VERSION

LIST = Path(__file__).with_name("wire.txt")
PARTS: dict[str, type[BaseModel]] = {
    "AskedScores": AskedScores, "ChatMessage": ChatMessage, "PackedArray": PackedArray, "Question": Question,
}  # fmt: skip


def listing() -> str:
    """Every kind with its fields, their types and defaults, a line each."""
    lines = [f"protocol {PROTOCOL_VERSION}"]
    tables: dict[str, dict[str, type[BaseModel]]] = {
        "job": dict(JOBS), "command": dict(COMMANDS), "event": dict(EVENTS), "part": PARTS,
    }  # fmt: skip
    for what, table in tables.items():
        for name, kind in table.items():
            lines += ["", f"{what} {name}", *(f"    {line}" for line in _fields(kind))]
    return "\n".join(lines) + "\n"


def _fields(kind: type[BaseModel]) -> list[str]:
    """By JSON schema, which says the same under every version of Python."""
    schema = kind.model_json_schema()
    needed = schema.get("required", [])
    return [
        f"{name}{'' if name in needed else '?'} {json.dumps({k: v for k, v in told.items() if k != 'title'})}"
        for name, told in schema["properties"].items()
        if "const" not in told and name != "protocol"
    ]


def test_what_is_said_changes_only_with_the_version() -> None:
    assert listing() == LIST.read_text(encoding="utf-8"), "see the first lines of this file"


if __name__ == "__main__":
    LIST.write_text(listing(), encoding="utf-8")
