"""A fuzz of everything that reads data: each way of training × reader × encoding, over damaged and bent inputs.

    nice python -m tests.core.data.fuzz --minutes 10 [--seed 1] [--keep FOLDER]

Minutes are of the processor. What raises anything but a problem in words is told with its traceback, and its
input is kept; the last line has the rounds, the minutes and the number of such failures. Each becomes a test.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import csv
import gzip
import io
import json
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard
from pyarrow import parquet

from app.command.check_output import mapping_options, marked_example, plain_example
from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.convert import first_examples
from app.core.data.edit import read_window, save_repaired
from app.core.data.format import Features
from app.core.data.mapping import suggest_mapping
from app.core.data.prepare import prepare_data
from app.core.data.report import DataReport, report_json
from app.core.method.table import MODES
from app.core.problem import UnusableError
from app.core.system.plain_text import harmless_text
from app.ui.data.column_page import trained_turns
from app.worker.data.preview import shown_example
from app.worker.token.tokenizer import load_tokenizer
from tests.core.data.corpus import CASES
from tests.core.data.layouts import LAYOUTS
from tests.worker.tiny_tokenizer import save_tokenizer

Rows = list[Any]

NAMES = (
    "messages", "conversations", "conversation", "dialog", "turns", "prompt", "completion", "text", "instruction",
    "output", "input", "question", "answer", "answers", "chosen", "rejected", "system", "system_prompt", "tools",
    "functions", "role", "content", "from", "value", "history", "label", "context", "choices", "options", "A", "B",
    "images", "weight", "type", "ground_truth", "reward_model", "function_call", "tool_calls", "preferred_output",
    "non_preferred_output", "name", "arguments", "response", "query", "solution", "problem", "source", "target",
    "translation", "data", "train", "test", "columns", "paragraphs", "qas", "patterns", "responses", "kto_tag",
)  # fmt: skip
TEXTS = (
    "", " ", "\n", "\0", "[]", "{}", "[1, 2]", '[{"role": "user"}]', "[[", '{"name": "a", "arguments": "{"}', "nan",
    "Human:", "\n\nHuman: a\n\nAssistant: b", "#### 5", "\\boxed{1", "\\boxed{}", "####", "<image>", "true", "0",
    "\ud83d", "é\u0301", "ß" * 50, "<|im_end|>", "<|endoftext|>", "{{ messages }}", "=1+1", '"', "'", "\r", "\x1f",
    "\u2028", "﷽", "a" * 3000, "[" * 400, "version https://git-lfs.github.com/spec/v1", "assistant", "user", "gpt",
    "human", "tool", "developer", "function_call", "tool_result", "thinking",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, 10**400, -(10**30), 0.0, -0.0, 1e308, float("nan"), float("inf"), 0.1)
ENCODINGS = (
    "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be",
    "latin-1", "cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256",
    "mac_roman", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "iso2022_jp", "cp437", "utf-7",
)  # fmt: skip
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".md", "", ".parquet", ".arrow", ".xlsx", ".zip", ".html",
            ".srt", ".jsonl.gz", ".json.zst", ".docx", ".pdf", ".tmx", ".db")  # fmt: skip
COLUMN_KEYS = ("prompt_feature", "completion_feature", "chat_feature", "text_feature", "system_feature",
               "group_feature")  # fmt: skip


# -- bending -------------------------------------------------------------------------------------------------------


def wild(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON value, mostly small, sometimes absurd."""
    kind = chance.random()
    if kind < 0.35 or depth > 3:
        return chance.choice(TEXTS)
    if kind < 0.5:
        return chance.choice(NUMBERS)
    if kind < 0.6:
        return chance.choice((None, True, False))
    if kind < 0.75:
        return [wild(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    if kind < 0.97:
        return {name_of(chance): wild(chance, depth + 1) for _ in range(chance.randint(0, 3))}
    value: Any = "deep"
    for _ in range(chance.choice((50, 150, 250, 600))):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value


def name_of(chance: random.Random) -> str:
    """A name that means something, or nearly."""
    name = chance.choice(NAMES)
    return chance.choice((name, name, name, name.upper(), f" {name} ", f"{name}s", "", chance.choice(TEXTS)[:60]))


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key of a value, so that one of them can be changed in place."""
    found: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        at = pending.pop()
        keys: Any = list(at) if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ()
        for key in keys:
            found.append((at, key))
            if len(found) < 2000:
                pending.append(at[key])
    return found


def bent(rows: Rows, chance: random.Random) -> Rows:
    """Rows with a few values, names and types changed."""
    rows = copy.deepcopy(rows)
    for _ in range(chance.choice((0, 1, 1, 2, 3, 6))):
        found = places(rows)
        if not found:
            return [wild(chance)]
        holder, key = chance.choice(found)
        value = holder[key]
        match chance.randrange(9):
            case 0 | 1:
                holder[key] = wild(chance)
            case 2:
                with contextlib.suppress(TypeError, ValueError, RecursionError):
                    holder[key] = json.dumps(value)  # a value as its text
            case 3:
                holder[key] = chance.choice(([value], {"text": value}, {"messages": value}, [value, value]))
            case 4 if isinstance(holder, dict):
                del holder[key]
            case 5 if isinstance(holder, dict):
                holder[name_of(chance)] = holder.pop(key)
            case 6 if isinstance(holder, dict):
                holder[name_of(chance)] = copy.deepcopy(value) if chance.random() < 0.5 else wild(chance)
            case 7 if isinstance(value, str):
                at = chance.randint(0, len(value))
                holder[key] = value[:at] + chance.choice(TEXTS) + value[at:]
            case _:
                other, its = chance.choice(found)
                if other is not holder and not isinstance(value, (dict, list)):
                    with contextlib.suppress(KeyError, IndexError):
                        other[its] = value
    return rows


def broken(content: bytes, chance: random.Random) -> bytes:
    """Bytes changed, dropped, doubled or cut off."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        if not data:
            return bytes(data)
        at = chance.randrange(len(data))
        match chance.randrange(6):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.choice((1, 2, 20))]
            case 2:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 3))))
            case 3:
                del data[at:]
            case 4:
                data[at:at] = data[at : at + 40]
            case _:
                data[at:at] = chance.choice((b"\r\n", b"\0", b"\n\n", b'"', b"[", b"{", b"]", b"\xff\xfe", b",",
                                             b"\xef\xbb\xbf", b"\x1f\x8b", b"\t", b"[" * 500))  # fmt: skip
    return bytes(data)


# -- writing -------------------------------------------------------------------------------------------------------


def text_of(rows: Rows, chance: random.Random) -> tuple[str, str]:
    """The rows as a text of some form, and a suffix that fits."""
    ascii_only = chance.random() < 0.5

    def dumped(value: Any, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    match chance.randrange(9):
        case 0:
            return dumped(rows, chance.choice((None, 1))), ".json"
        case 1:
            return "\n".join(dumped(row, 2) for row in rows), ".json"
        case 2:
            return dumped({chance.choice(("data", "rows", "train", "examples")): rows, "version": 1}), ".json"
        case 3:
            return dumped({"train": rows, "test": rows[:1]}, chance.choice((None, 1))), ".json"
        case 4 | 5:
            return table_of(rows, chance)
        case 6:
            columns: dict[str, list[Any]] = {}
            for name in dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row):
                columns[name] = [row.get(name) if isinstance(row, dict) else row for row in rows]
            return dumped(columns), ".json"
        case _:
            return chance.choice(("\n", "\n", "\r\n", ",\n")).join(dumped(row) for row in rows), ".jsonl"


def table_of(rows: Rows, chance: random.Random) -> tuple[str, str]:
    """The rows as a table; nested values as JSON or as Python writes them."""
    names = list(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row)) or ["text"]
    delimiter = chance.choice((",", ";", "\t", "|"))
    held = io.StringIO()
    writer = csv.writer(held, delimiter=delimiter)
    if chance.random() < 0.9:
        writer.writerow(names)
    write = chance.choice((json.dumps, str))
    for row in rows:
        values = [row.get(name, "") if isinstance(row, dict) else row for name in names]
        with contextlib.suppress(RecursionError, csv.Error):
            writer.writerow([value if isinstance(value, str) else write(value) for value in values])
    return held.getvalue(), ".tsv" if delimiter == "\t" else ".csv"


def binary_of(rows: Rows, chance: random.Random) -> tuple[bytes, str] | None:
    """The rows as Parquet or Arrow; None where their types do not go together."""
    held = io.BytesIO()
    try:
        table = pa.Table.from_pylist([row for row in rows if isinstance(row, dict)])
        if chance.random() < 0.5:
            parquet.write_table(table, held)
            return held.getvalue(), ".parquet"
        with pa.ipc.new_stream(held, table.schema) as writer:
            writer.write_table(table)
        return held.getvalue(), ".arrow"
    except (pa.ArrowException, TypeError, ValueError, OverflowError, RecursionError, NotImplementedError):
        return None


def content_of(rows: Rows, chance: random.Random) -> tuple[bytes, str]:
    """A file of the rows."""
    if chance.random() < 0.12 and (found := binary_of(rows, chance)):
        return found
    try:
        text, suffix = text_of(rows, chance)
    except (RecursionError, ValueError):
        return repr(rows)[:10_000].encode("utf-8", "replace"), ".json"
    content = text.encode(chance.choice(ENCODINGS), chance.choice(("replace", "ignore", "replace")))
    if chance.random() < 0.06:
        return gzip.compress(content), f"{suffix}.gz"
    if chance.random() < 0.04:
        return zstandard.compress(content), f"{suffix}.zst"
    return content, suffix


@cache
def sources() -> tuple[list[Rows], list[tuple[bytes, str]]]:
    """What is bent: rows of every layout, and the files of the corpus as they stand."""
    files: list[tuple[bytes, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(CASES):
            path = Path(folder) / f"{number}-{case.name}"
            case.write(path)
            found = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            files += [(p.read_bytes(), p.suffix) for p in found if p.stat().st_size < 200_000]
    return [list(layout.rows) for layout in LAYOUTS], files


def config_of(path: Path, chance: random.Random) -> TrainConfig:
    """A way of training, and choices of columns, masks and lengths."""
    values: dict[str, Any] = {
        "data": str(path), "train_mode": chance.choice(tuple(MODES)), "mask_prompt": chance.random() < 0.5,
        "mask_turns": chance.choice(("last", "all")), "max_seq_length": chance.choice((16, 64, 1024)),
        "skip_bad_rows": chance.random() < 0.7,
    }  # fmt: skip
    if chance.random() < 0.3:
        values["data_format"] = chance.choice(("chat", "completion", "text"))
    for key in COLUMN_KEYS:
        if chance.random() < 0.05:
            values[key] = chance.choice(NAMES)
    values |= {key: chance.choice(choices) for key, choices in CHOSEN.items() if chance.random() < 0.15}
    return TrainConfig().with_values(values)


# What else a person may choose of how files are read.
CHOSEN: dict[str, tuple[Any, ...]] = {
    "encoding": (*ENCODINGS, "klingon", "base64", " "), "skip_bad_answers": (True,), "sheet": ("Sheet1", "x"),
    "answers_by": ("assistant", "Ann", "gpt", "user"),
}  # fmt: skip


# -- reading -------------------------------------------------------------------------------------------------------


def read(path: Path, folder: Path, config: TrainConfig, tokenizer: Any) -> None:
    """All that Luthier does with data before it trains; raises whatever goes wrong."""
    report = check_files([path], config=config)
    tree = report_json(report)
    json.dumps(tree).encode("utf-8")
    DataReport.from_dict(json.loads(json.dumps(tree)))
    mapping_options(report)
    suggest_mapping(report.columns, report.preview)
    for row in report.preview[:3]:
        trained_turns(row, Features.of(config))
    if report.target:
        for _, _, row in first_examples([path], config, report.target, 2):
            shown = plain_example(row, config)
            shown["file"], shown["line"] = str(path), 1
            harmless_text(marked_example(1, shown)).encode("utf-8")  # as the command line says it
            json.dumps(shown_example(row, tokenizer, config)).encode("utf-8")
    with contextlib.suppress(UnusableError):
        read_window(path, 1, 5, config)
    with contextlib.suppress(UnusableError):
        save_repaired([path], config, folder / "repaired.jsonl")
    try:
        prepared = prepare_data(config, folder / "out")
    except UnusableError as error:
        if not error.problems:
            raise AssertionError("It is refused without a reason.") from error
        return
    lines = prepared.train.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    if len(lines) != prepared.counts["train"] and prepared.written:
        raise AssertionError(f"{len(lines)} rows are written, {prepared.counts['train']} are told.")
    for line in lines:
        if not isinstance(json.loads(line), dict):
            raise AssertionError("A written row is no object.")


# -- rounds --------------------------------------------------------------------------------------------------------


def file_for(chance: random.Random) -> tuple[bytes, str]:
    """One input: rows of a layout bent and written somehow, a file of the corpus, or bytes; often damaged."""
    layouts, files = sources()
    kind = chance.random()
    if kind < 0.62:
        rows = chance.choice(layouts) * chance.choice((1, 1, 2, 3))
        if chance.random() < 0.3:
            rows = rows + chance.choice(layouts)
        content, suffix = content_of(bent(rows, chance), chance)
    elif kind < 0.9:
        content, suffix = chance.choice(files)
    else:
        content, suffix = content_of([wild(chance) for _ in range(chance.randint(1, 4))], chance)
    if chance.random() < 0.45:
        content = broken(content, chance)
    return content, chance.choice(SUFFIXES) if chance.random() < 0.15 else suffix


def one_round(seed: str, folder: Path, tokenizer: Any) -> Exception | None:
    """One input read in one way; the failure, unless it was told in words."""
    chance = random.Random(seed)
    try:
        content, suffix = file_for(chance)
    except RecursionError:  # nested too deeply to be bent
        return None
    path = folder / f"{chance.choice(('data', 'train', 'test'))}{suffix}"
    path.write_bytes(content)
    try:
        read(path, folder, config_of(path, chance), tokenizer)
    except UnusableError:
        pass
    except Exception as error:
        return error
    return None


def main() -> int:
    """Runs rounds until the time is up; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="of the processor")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--round", type=int, help="only this one, with its traceback")
    parser.add_argument("--keep", type=Path, help="where inputs that fail are kept")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        tokenizer = load_tokenizer(str(save_tokenizer(Path(place) / "model")))
        start, number = time.process_time(), 0
        while time.process_time() - start < 60 * arguments.minutes:
            at = number if arguments.round is None else arguments.round
            number += 1
            with tempfile.TemporaryDirectory(dir=place) as folder:
                error = one_round(f"{arguments.seed}-{at}", Path(folder), tokenizer)
                if error is not None:
                    keep(error, at, Path(folder), arguments.keep, seen)
            if arguments.round is not None:
                break
        minutes = (time.process_time() - start) / 60
    for where, count in seen.most_common():
        print(f"{count:,} x {where}")
    print(f"seed {arguments.seed}: {number:,} rounds, {minutes:.1f} minutes, {seen.total():,} failures")
    return bool(seen)


def keep(error: Exception, number: int, folder: Path, target: Path | None, seen: Counter[str]) -> None:
    """Tells of a failure; the first one of each place in the code with its traceback and its input."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/app/" in frame.filename]
    last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} in {last.filename.rpartition('/app/')[2]}:{last.lineno} {error!s:.80}"
    is_new = not any(known.split(" ")[:3] == where.split(" ")[:3] for known in seen)
    seen[where] += 1
    if not is_new:
        return
    print(f"round {number}: {where}", flush=True)
    print("".join(traceback.format_exception(error)), flush=True)
    if target is not None:
        target.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            if file.is_file():
                (target / f"round-{number}-{file.name}").write_bytes(file.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
