"""Input files as people have them: every reader, format and fault, with what the check must say of each."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import zstandard
from pyarrow import parquet

Write = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One input. ``errors`` and ``warnings`` are all of them, as (line, kind); ``files`` are given to the check."""

    name: str
    write: Write
    format: str
    examples: int
    errors: list[tuple[int | None, str]] = field(default_factory=list)
    warnings: list[tuple[int | None, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    target: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return not self.errors


def chat(number: int, answer: str = "") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"Question {number}?"},
                         {"role": "assistant", "content": answer or f"Answer {number}."}]}  # fmt: skip


def talk(*turns: tuple[Any, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def pair(number: int) -> dict[str, Any]:
    return {"prompt": f"Question {number}?", "completion": f"Answer {number}."}


def lines(*rows: Any) -> bytes:
    """JSONL; bytes stand as they are."""
    parts = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
    return b"\n".join(parts) + b"\n"


def raw(content: bytes) -> Write:
    return lambda path: path.write_bytes(content)


def table(rows: list[list[str]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def folder(**files: Any) -> Write:
    """A folder; ``__`` in a name is a slash, ``_dot_`` a dot."""

    def write(path: Path) -> None:
        for name, content in files.items():
            file = path / name.replace("__", "/").replace("_dot_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(file)
            else:
                file.write_bytes(content)

    return write


def parquet_of(rows: list[dict[str, Any]]) -> Write:
    return lambda path: parquet.write_table(pa.Table.from_pylist(rows), path)


def arrow_stream(rows: list[dict[str, Any]]) -> Write:
    def write(path: Path) -> None:
        data = pa.Table.from_pylist(rows)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, data.schema) as writer:
            writer.write_table(data)

    return write


def arrow_file(rows: list[dict[str, Any]]) -> Write:
    def write(path: Path) -> None:
        data = pa.Table.from_pylist(rows)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, data.schema) as writer:
            writer.write_table(data)

    return write


def zip_bytes() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a.jsonl", lines(*PAIRS))
    return held.getvalue()


CHATS = [chat(n) for n in range(4)]
PAIRS = [pair(n) for n in range(4)]
SHAREGPT = {"conversations": [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "Hi"},
                              {"from": "gpt", "value": "Hello"}]}  # fmt: skip
ALPACA = {"instruction": "Add.", "input": "1 and 2", "output": "3"}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
TOOL_CHAT = {
    "messages": [
        {"role": "user", "content": "Add 1 and 2."},
        {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {}}}]},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "It is 3."},
    ],
    "tools": TOOLS,
}
PREFERENCE = {"prompt": "Hi", "chosen": "Hello", "rejected": "Go away"}
CHAT_PREFERENCE = {"chosen": chat(1)["messages"], "rejected": chat(1, "No.")["messages"]}
UMLAUT = [{"prompt": "Wie heißt die Straße?", "completion": "Größe für Anfänger, natürlich."}, PAIRS[1]]


class Recognised(TypedDict):
    """The format that a file's rows have, and the one that they are converted to."""

    format: str
    target: str


CONVERTED = ["converted"]
CHAT: Recognised = {"format": "chat", "target": "chat"}
PAIR: Recognised = {"format": "completion", "target": "completion"}
TEXT: Recognised = {"format": "text", "target": "text"}
UNKNOWN: Recognised = {"format": "unknown", "target": ""}

READERS = [
    Case("plain.jsonl", raw(lines(*CHATS)), **CHAT, examples=4),
    Case("bom.jsonl", raw(b"\xef\xbb\xbf" + lines(*CHATS)), **CHAT, examples=4),
    Case("crlf.jsonl", raw(lines(*CHATS).replace(b"\n", b"\r\n")), **CHAT, examples=4),
    Case("no-last-newline.jsonl", raw(lines(*CHATS).rstrip()), **CHAT, examples=4),
    Case("utf16.jsonl", raw(lines(*UMLAUT).decode().encode("utf-16")), **PAIR, examples=2, notes=["encoding"]),
    Case("utf16-without-mark.jsonl", raw(lines(*UMLAUT).decode().encode("utf-16-le")), **PAIR, examples=2,
         notes=["encoding"]),
    Case("latin1.jsonl", raw(lines(*UMLAUT).decode().encode("latin-1")), **PAIR, examples=2, notes=["encoding"]),
    Case("late-latin1.csv", raw(b"prompt,completion\n" + b"a,b\n" + "ä,ö\n".encode("latin-1")), **PAIR, examples=2,
         notes=["encoding"]),
    Case("utf8.jsonl", raw(lines(*UMLAUT)), **PAIR, examples=2),
    Case("gzip.jsonl.gz", lambda path: path.write_bytes(gzip.compress(lines(*CHATS))), **CHAT, examples=4),
    Case("zstd.jsonl.zst", lambda p: p.write_bytes(zstandard.ZstdCompressor().compress(lines(*CHATS))), **CHAT,
         examples=4),
    Case("gzip.csv.gz", lambda path: path.write_bytes(gzip.compress(table([["text"], ["a b"], ["c d"]]))), **TEXT,
         examples=2),
    Case("array.json", raw(json.dumps(CHATS, indent=2).encode()), **CHAT, examples=4),
    Case("array-in-one-line.json", raw(json.dumps(CHATS).encode()), **CHAT, examples=4),
    Case("object-with-list.json", raw(json.dumps({"version": 1, "data": PAIRS}, indent=1).encode()), **PAIR,
         examples=4),
    Case("object-in-one-line.json", raw(json.dumps({"version": 1, "data": PAIRS}).encode()), **PAIR, examples=4),
    Case("single-row.json", raw(json.dumps(chat(1), indent=2).encode()), **CHAT, examples=1, notes=["layout"]),
    Case("pretty-printed.jsonl", raw("\n".join(json.dumps(row, indent=2) for row in CHATS).encode()), **CHAT,
         examples=4, notes=["layout"]),
    Case("no-suffix", raw(lines(*CHATS)), **CHAT, examples=4),
    Case("jsonl-called.txt", raw(lines(*CHATS)), **CHAT, examples=4),
    Case("comma.csv", raw(table([["prompt", "completion"], ["a", "b"], ["c", "d"]])), **PAIR, examples=2),
    Case("semicolon.csv", raw(table([["prompt", "completion"], ["a", "b"], ["c", "d"]], ";")), **PAIR, examples=2),
    Case("tab.tsv", raw(table([["prompt", "completion"], ["a", "b"], ["c, e", "d"]], "\t")), **PAIR, examples=2),
    Case("many-lines.csv", raw(table([["prompt", "completion"], ["a\nb\nc", "d"], ["e", "f"]])), **PAIR,
         examples=2),
    Case("chat-in.csv", raw(table([["messages"], [json.dumps(CHATS[0]["messages"])], [str(CHATS[1]["messages"])]])),
         **CHAT, examples=2, notes=CONVERTED),
    Case("rows.parquet", parquet_of(CHATS), **CHAT, examples=4),
    Case("stream.arrow", arrow_stream(PAIRS), **PAIR, examples=4),
    Case("file.arrow", arrow_file(PAIRS), **PAIR, examples=4),
    Case("book.txt", raw(b"A first sentence. A second one.\n\nThe end.\n"), **TEXT, examples=1),
    Case("long.md", raw(b"".join(b"Paragraph %d has some words in it.\n\n" % n for n in range(200))), **TEXT,
         examples=3, config={"max_seq_length": 1024}),
    Case("two-documents.txt", raw(b"One.\n<|endoftext|>\nTwo.\n"), **TEXT, examples=2),
    Case("mlx-folder", folder(train_dot_jsonl=lines(*CHATS), valid_dot_jsonl=lines(chat(9)),
                              test_dot_jsonl=lines(chat(8)), README_dot_md=b"# Data"), **CHAT, examples=6,
         splits={"train": 4, "valid": 1, "test": 1}),
    Case("hub-folder", folder(**{"data__train-00000-of-00002_dot_parquet": parquet_of(PAIRS[:2]),
                                 "data__train-00001-of-00002_dot_parquet": parquet_of(PAIRS[2:]),
                                 "data__validation-00000-of-00001_dot_parquet": parquet_of([pair(9)]),
                                 "dataset_infos_dot_json": b"{}", "README_dot_md": b"# Data"}), **PAIR, examples=5,
         splits={"train": 4, "valid": 1}),
    Case("datasets--me--mine", folder(**{"refs__main": b"abc", "snapshots__old__train_dot_csv": b"a,b\n1,2\n",
                                         "snapshots__abc__train_dot_jsonl": lines(*CHATS)}), **CHAT, examples=4),
    Case("saved-to-disk", folder(**{"dataset_dict_dot_json": b'{"splits": ["train", "test"]}',
                                    "train__state_dot_json": b"{}", "train__dataset_info_dot_json": b"{}",
                                    "train__data-00000-of-00001_dot_arrow": arrow_stream(PAIRS),
                                    "test__data-00000-of-00001_dot_arrow": arrow_stream([pair(7)])}), **PAIR,
         examples=5, splits={"train": 4, "test": 1}),
    Case("card-folder", folder(**{"README_dot_md": b"---\nconfigs:\n- config_name: default\n  data_files:\n"
                                  b"  - split: train\n    path: good.jsonl\n---\n# Card\n",
                                  "good_dot_jsonl": lines(*CHATS), "other_dot_jsonl": b"{}"}), **CHAT, examples=4),
    Case("folder-of-texts", folder(a_dot_txt=b"Some text.", b_dot_md=b"Other text.", README_dot_md=b"# No"), **TEXT,
         examples=2),
    Case("folder-with-spare-file", folder(train_dot_csv=table([["prompt", "completion"], ["a", "b"]]),
                                          extra_dot_csv=b"x,y\n1,2\n"), **PAIR, examples=1, notes=["ignored_file"]),
]  # fmt: skip

FORMATS = [
    Case("tools.jsonl", raw(lines(TOOL_CHAT)), **CHAT, examples=1),
    Case("system.jsonl", raw(lines(talk(("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello")))), **CHAT,
         examples=1),
    Case("parts.jsonl", raw(lines(talk(("user", [{"type": "text", "text": "Hi"}]), ("assistant", "Hello")))),
         **CHAT,
         examples=1),
    Case("sharegpt.jsonl", raw(lines(SHAREGPT)), "sharegpt", 1, target="chat", notes=CONVERTED),
    Case("chat-called-conversations.jsonl", raw(lines({"conversations": chat(1)["messages"]})), **CHAT, examples=1,
         notes=CONVERTED),
    Case("alpaca.json", raw(json.dumps([ALPACA, ALPACA | {"input": ""}]).encode()), "alpaca", 2,
         target="completion",
         notes=CONVERTED),
    Case("alpaca-with-system.jsonl", raw(lines(ALPACA | {"system": "Be short."})), "alpaca", 1, target="chat",
         notes=CONVERTED),
    Case("dolly.jsonl", raw(lines({"instruction": "a", "context": "", "response": "b", "category": "qa"})),
         "alpaca",
         1, target="completion", notes=[*CONVERTED, "unused_text"]),
    Case("question-answer.jsonl", raw(lines({"question": "a", "answer": "b"})), **PAIR, examples=1,
         notes=CONVERTED),
    Case("problem-solution.jsonl", raw(lines({"problem": "a", "solution": "b"})), **PAIR, examples=1,
         notes=CONVERTED),
    Case("prompt-response.csv", raw(table([["Prompt", "Response"], ["a", "b"]])), **PAIR, examples=1,
         notes=CONVERTED),
    Case("conversational-pair.jsonl", raw(lines({"prompt": [{"role": "user", "content": "a"}],
                                                 "completion": [{"role": "assistant", "content": "b"}]})), **CHAT,
         examples=1, notes=CONVERTED),
    Case("text.jsonl", raw(lines({"text": "One."}, {"text": "Two."})), **TEXT, examples=2),
    Case("content.jsonl", raw(lines({"content": "One.", "id": 1})), **TEXT, examples=1, notes=CONVERTED),
    Case("preference.jsonl", raw(lines(PREFERENCE)), "preference", 1, [(1, "not_supervised")]),
    Case("chat-preference.jsonl", raw(lines(CHAT_PREFERENCE)), "preference", 1, [(1, "not_supervised")]),
    Case("preference-as-pairs.jsonl", raw(lines(PREFERENCE)), **PAIR, examples=1,
         config={"completion_feature": "chosen"}),
    Case("grpo.jsonl", raw(lines({"prompt": "2 + 2?", "answer": 4}, {"prompt": "1?", "answer": "1"})), "grpo", 2,
         [(1, "not_supervised")]),
    Case("grpo-as-pairs.jsonl", raw(lines({"prompt": "2 + 2?", "answer": "4"})), **PAIR, examples=1,
         config={"completion_feature": "answer"}),
    Case("mapped.csv", raw(table([["kunde", "antwort"], ["a", "b"]])), **PAIR, examples=1,
         config={"prompt_feature": "kunde", "completion_feature": "antwort"}),
    Case("mapped-system.csv", raw(table([["kunde", "antwort", "ton"], ["a", "b", "nett"]])), "completion", 1,
         target="chat", notes=CONVERTED,
         config={"prompt_feature": "kunde", "completion_feature": "antwort", "system_feature": "ton"}),
    Case("unmapped.csv", raw(table([["kunde", "antwort"], ["a", "b"], ["c", "d"]])), **UNKNOWN, examples=0,
         errors=[(2, "unknown_format")]),
]  # fmt: skip

FAULTS = [
    Case("broken.jsonl", raw(lines(chat(1), b'{"messages": [', chat(2), b"{'a': 1}")), **CHAT, examples=2,
         errors=[(2, "broken_json"), (4, "broken_json")]),
    Case("broken-first.jsonl", raw(lines(b'{"messages": [', chat(1), chat(2))), **CHAT, examples=2,
         errors=[(1, "broken_json")]),
    Case("broken-array.json", raw(json.dumps(PAIRS[:3], indent=1).replace('"Answer 1."', "Answer 1").encode()),
         **PAIR, examples=2, errors=[(6, "broken_json")]),
    Case("cut-array.json", raw(json.dumps(PAIRS[:3], indent=1).encode()[:-30]), **PAIR, examples=2,
         errors=[(10, "broken_json")]),
    Case("empty-lines.jsonl", raw(lines(chat(1), b"", chat(2), b"   ")), **CHAT, examples=2,
         warnings=[(2, "empty_line"), (4, "empty_line")]),
    Case("missing-field.jsonl", raw(lines(pair(1), {"prompt": "x"}, pair(2))), **PAIR, examples=2,
         errors=[(2, "missing_field")]),
    Case("null-field.jsonl", raw(lines(pair(1), {"prompt": "x", "completion": None})), **PAIR, examples=1,
         errors=[(2, "missing_field")]),
    Case("empty-field.jsonl", raw(lines(pair(1), {"prompt": "x", "completion": " "})), **PAIR, examples=1,
         errors=[(2, "empty_field")]),
    Case("empty-message.jsonl", raw(lines(chat(1), talk(("user", ""), ("assistant", "a")))), **CHAT, examples=1,
         errors=[(2, "empty_field")]),
    Case("no-messages.jsonl", raw(lines(chat(1), {"messages": []})), **CHAT, examples=1,
         errors=[(2, "empty_field")]),
    Case("wrong-type.jsonl", raw(lines(pair(1), {"prompt": ["a"], "completion": "x"})), **PAIR, examples=1,
         errors=[(2, "wrong_type")]),
    Case("messages-no-list.jsonl", raw(lines(chat(1), {"messages": 3})), **CHAT, examples=1,
         errors=[(2, "wrong_type")]),
    Case("text-messages.jsonl", raw(lines(chat(1), {"messages": ["hello"]})), **CHAT, examples=1,
         errors=[(2, "wrong_type")]),
    Case("picture.jsonl", raw(lines(chat(1), talk(("user", [{"type": "image_url"}]), ("assistant", "a")))), **CHAT,
         examples=1, errors=[(2, "wrong_type")]),
    Case("no-objects.jsonl", raw(lines(chat(1), [1, 2], 7, "text")), **CHAT, examples=1,
         errors=[(2, "not_an_object"), (3, "not_an_object"), (4, "not_an_object")]),
    Case("unknown-role.jsonl", raw(lines(chat(1), talk(("human", "a"), ("assistant", "b")))), **CHAT, examples=1,
         errors=[(2, "unknown_role")]),
    Case("unknown-speaker.jsonl", raw(lines(SHAREGPT, {"conversations": [{"from": "alien", "value": "a"}]})),
         "sharegpt", 1, [(2, "unknown_role")], target="chat", notes=CONVERTED),
    Case("no-role.jsonl", raw(lines(chat(1), {"messages": [{"content": "a"}]})), **CHAT, examples=1,
         errors=[(2, "missing_field")]),
    Case("two-users.jsonl", raw(lines(chat(1), talk(("user", "a"), ("user", "b"), ("assistant", "c")))), **CHAT,
         examples=2, warnings=[(2, "repeated_role")]),
    Case("late-system.jsonl", raw(lines(chat(1), talk(("user", "a"), ("system", "b"), ("assistant", "c")))), **CHAT,
         examples=2, warnings=[(2, "system_position")]),
    Case("no-answer.jsonl", raw(lines(chat(1), talk(("user", "a")))), **CHAT, examples=1,
         errors=[(2, "no_answer")]),
    Case("user-at-end.jsonl", raw(lines(chat(1), talk(("user", "a"), ("assistant", "b"), ("user", "c")))), **CHAT,
         examples=1, errors=[(2, "no_answer")]),
    Case("mixed.jsonl", raw(lines(chat(1), chat(2), {"text": "a"}, chat(3))), **CHAT, examples=3,
         errors=[(3, "mixed_format")]),
    Case("mixed-but-convertible.jsonl", raw(lines(chat(1), chat(2), pair(3))), **CHAT, examples=3,
         warnings=[(3, "converted_mix")]),
    Case("duplicates.jsonl", raw(lines(chat(1), chat(2), chat(1), chat(1))), **CHAT, examples=4,
         warnings=[(3, "duplicate"), (4, "duplicate")]),
    Case("leak", folder(train_dot_jsonl=lines(*CHATS), valid_dot_jsonl=lines(chat(9), chat(2))), **CHAT, examples=6,
         warnings=[(2, "leakage")], splits={"train": 4, "valid": 2}),
    Case("mojibake.jsonl", raw(lines(pair(1), {"prompt": "cafÃ©", "completion": "schÃ¶n"})), **PAIR, examples=2,
         warnings=[(2, "mojibake")]),
    Case("lost-characters.jsonl", raw(lines(pair(1), {"prompt": "caf�", "completion": "a"})), **PAIR, examples=2,
         warnings=[(2, "mojibake")]),
    Case("half-character.jsonl", raw(lines(pair(1), b'{"prompt": "\\ud83d", "completion": "a"}')), **PAIR,
         examples=1, errors=[(2, "half_character")]),
    Case("bad-byte.jsonl", raw(lines(pair(7), *UMLAUT, b'{"prompt": "\xff", "completion": "a"}')), **PAIR,
         examples=3, errors=[(4, "bad_encoding")]),
    Case("ragged.csv", raw(b"prompt,completion\na,b\nc\nd,e,f\n"), **PAIR, examples=1,
         errors=[(3, "broken_record"), (4, "broken_record")]),
    Case("open-quote.csv", raw(b'prompt,completion\na,b\nc,"d\ne,f\n'), **PAIR, examples=1,
         errors=[(3, "broken_record")]),
    Case("empty-rows.csv", raw(b"prompt,completion\na,b\n\nc,d\n"), **PAIR, examples=2, warnings=[(3,
         "empty_line")]),
    Case("empty-cell.csv", raw(b"prompt,completion\na,b\nc,\n"), **PAIR, examples=1, errors=[(3, "empty_field")]),
    Case("null-cell.parquet", parquet_of([pair(1), {"prompt": "a", "completion": None}]), **PAIR, examples=1,
         errors=[(2, "missing_field")]),
    Case("numbers.parquet", parquet_of([{"prompt": "a", "completion": 1}]), **PAIR, examples=1,
         notes=["number_as_text"]),
    Case("objects.parquet", parquet_of([{"prompt": "a", "completion": {"b": 1}}]), **PAIR, examples=0,
         errors=[(1, "wrong_type")]),
    Case("nothing.jsonl", raw(b""), **UNKNOWN, examples=0, errors=[(None, "empty_file")]),
    Case("only-newlines.jsonl", raw(b"\n\n\n"), **UNKNOWN, examples=0, errors=[(None, "empty_file")]),
    Case("header-only.csv", raw(b"prompt,completion\n"), **UNKNOWN, examples=0, errors=[(None, "no_examples")]),
    Case("cut.jsonl.gz", lambda path: path.write_bytes(gzip.compress(lines(*map(chat, range(500))))[:-20]),
         **CHAT, examples=-1,
         errors=[(-1, "damaged_file")]),
    Case("pickle.pkl", raw(pickle.dumps([1, 2])), **UNKNOWN, examples=0, errors=[(None, "unsupported_file")]),
    Case("archive.zip", lambda path: path.write_bytes(zip_bytes()), **PAIR, examples=4),
    Case("paper.pdf", raw(b"%PDF-1.7\n"), **UNKNOWN, examples=0, errors=[(None, "damaged_file")]),
    Case("zeros.jsonl", raw(b"\0" * 1000), **UNKNOWN, examples=0, errors=[(None, "unsupported_file")]),
    Case("broken.parquet", raw(b"PAR1 nothing more"), **UNKNOWN, examples=0, errors=[(1, "damaged_file")]),
    Case("broken.arrow", raw(b"ARROW1\0\0 nothing"), **UNKNOWN, examples=0, errors=[(1, "damaged_file")]),
    Case("empty-folder", folder(**{"sub__x_dot_log": b"x"}), **UNKNOWN, examples=0, errors=[(None, "no_examples")]),
    Case("not-there.jsonl", lambda _: None, **UNKNOWN, examples=0, errors=[(None, "unreadable_file")]),
    Case("two-lists.json", raw(json.dumps({"a": PAIRS[:1], "b": PAIRS[1:2]}, indent=1).encode()), **UNKNOWN,
         examples=0, errors=[(None, "unsupported_file")]),
    Case("deep.jsonl", raw(lines(pair(1), b"[" * 5000 + b"]" * 5000)), **PAIR, examples=1,
         errors=[(2, "broken_json")]),
]  # fmt: skip

CASES = [*READERS, *FORMATS, *FAULTS]
