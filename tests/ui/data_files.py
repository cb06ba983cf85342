"""Data files and a tokenizer for tests of the data panel: small, real, and with the faults that files have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.worker.tiny_tokenizer import save_tokenizer

SYSTEM = "You are a luthier. Answer briefly."
TOOL = {"type": "function", "function": {"name": "humidity", "parameters": {"type": "object", "properties": {}}}}
LONG = "Wood takes up water and swells across the grain. " * 6


def write_tokenizer(folder: Path) -> Path:
    """A model folder with a real tokenizer and a ChatML template (of the worker's tests), without weights."""
    return save_tokenizer(folder)


def write_rows(path: Path, rows: list[Any]) -> Path:
    """JSONL; a text stands as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def chat(number: int) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"How do I tune string {number}?"},
            {"role": "assistant", "content": "Slowly. " * (1 + number % 7)},
        ]
    }


def tool_chat() -> dict[str, Any]:
    """A chat with a system prompt, a tool call and a long answer."""
    call = {"type": "function", "function": {"name": "humidity", "arguments": {"city": "Cremona"}}}
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": "How humid is it in Cremona?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": '{"humidity": 61}'},
            {"role": "assistant", "content": LONG},
        ],
        "tools": [TOOL],
    }


def write_chats(path: Path, count: int = 40) -> Path:
    """Chats, the first of them with a tool call."""
    return write_rows(path, [tool_chat(), *(chat(number) for number in range(1, count))])


def write_broken(path: Path) -> Path:
    """Twelve chats with broken JSON in line 2, an empty line 4, and no answer in line 6."""
    rows: list[Any] = [chat(number) for number in range(12)]
    rows[1], rows[3] = '{"messages": [{"role": "user"', ""
    rows[5] = {"messages": [{"role": "user", "content": "Hello?"}]}
    return write_rows(path, rows)


def write_table(path: Path) -> Path:
    """A CSV whose columns no one knows."""
    lines = [f'"Was kostet Bogen {n}?",{n * 10} Euro je nach Holz,Preise' for n in range(1, 31)]
    path.write_text("frage,antwort,thema\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path
