"""What a certificate is made with: conversations and rows, held out from training where the run has such."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from app.core.compare.held_out import held_out_files
from app.core.config.train_config import TrainConfig
from app.core.quantity import plural
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config

LONGEST_ROW = 512  # tokens; what is longer is cut
Messages = list[dict[str, str]]
MaterialRow = tuple[list[int], list[bool]]

# Asked where there is nothing held out: short and long, several languages, code, and signs that templates mangle.
OWN_PROMPTS = (
    "Hello! Who are you?",
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "Explain in two sentences why the sky is blue.",
    "def fibonacci(n):",
    "Wie heißt der höchste Berg der Alpen?",
    "Translate to Spanish: The weather is nice today.",
    "List three primes greater than 10.",
    "¿Cuántos días tiene un año bisiesto?",
    "Summarize: The quick brown fox jumps over the lazy dog.",
    "  Keep   the  spaces,\n\nand the empty line.  ",
    "東京はどこにありますか？",
)


@dataclass(frozen=True, slots=True)
class Material:
    """``conversations``: up to the last question, and whole. ``prompts`` are the run's own tokens of the former;
    ``rows`` tokens with which of them count. ``source`` says where it comes from."""

    conversations: list[tuple[Messages, Messages]]
    prompts: list[list[int]]
    rows: list[MaterialRow]
    source: str


def material_of(run: Path | None, tokenizer: Any, limit: int) -> Material:
    """At most ``limit`` conversations of a run's held-out rows, else `OWN_PROMPTS` (which have no rows yet)."""
    found, source = _held_out(run, limit) if run is not None else ([], "")
    if not found:
        whole = [
            [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}] for text in OWN_PROMPTS
        ]
        found, source = whole[:limit], "prompts of Luthier's own, with the answers that the run's model gives"
        return Material(_asked(found), [prompt_tokens(tokenizer, one[:-1]) for one in found], [], source)
    rows = [row_of(tokenizer, whole) for whole in found]
    return Material(_asked(found), [prompt_tokens(tokenizer, one[:-1]) for one in found], rows, source)


def prompt_tokens(tokenizer: Any, messages: Messages) -> list[int]:
    """A conversation that waits for an answer, by its chat template; joined lines where there is none."""
    if getattr(tokenizer, "chat_template", None) is None:
        return list(tokenizer.encode("\n".join(one["content"] for one in messages)))
    found = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer.encode(found, add_special_tokens=False))


def conversation_tokens(tokenizer: Any, messages: Messages) -> list[int]:
    """A whole conversation, likewise."""
    if getattr(tokenizer, "chat_template", None) is None:
        return list(tokenizer.encode("\n".join(one["content"] for one in messages)))
    found = tokenizer.apply_chat_template(messages, tokenize=False)
    return list(tokenizer.encode(found, add_special_tokens=False))


def row_of(tokenizer: Any, whole: Messages) -> MaterialRow:
    """A conversation's tokens; its last answer counts, up to the end of its turn."""
    tokens, before = conversation_tokens(tokenizer, whole), prompt_tokens(tokenizer, whole[:-1])
    shared = next((at for at, (a, b) in enumerate(zip(tokens, before, strict=False)) if a != b), len(before))
    tokens = tokens[:LONGEST_ROW]
    return tokens, [at >= max(shared, 1) for at in range(len(tokens))]


def answered(material: Material, answers: list[list[int]]) -> Material:
    """The material with the answers to its prompts as rows, where it has none of its own."""
    rows: list[MaterialRow] = [
        (prompt + answer, [False] * len(prompt) + [True] * len(answer))
        for prompt, answer in zip(material.prompts, answers, strict=False)
        if answer
    ]
    return Material(material.conversations, material.prompts, rows, material.source)


def narrowed(material: Material, rows: int, tokens: int) -> Material:
    """At most so many rows with so many tokens that count, for programs that are asked token by token."""
    few: list[MaterialRow] = []
    for row, trained in material.rows[:rows]:
        places = [place for place, counts in enumerate(trained) if counts][:tokens]
        few.append((row, [place in places for place in range(len(row))]))
    return replace(material, rows=few)


def _asked(found: list[Messages]) -> list[tuple[Messages, Messages]]:
    return [(whole[:-1], whole) for whole in found]


def _held_out(run: Path, limit: int) -> tuple[list[Messages], str]:
    config = load_config(RunDir(run).config).config
    for split, file in held_out_files(run, config):
        if file.suffix != ".jsonl":
            continue
        with file.open(encoding="utf-8", errors="replace") as lines:
            rows = [_conversation(line, config) for line in islice(lines, 4 * limit)]
        if found := [row for row in rows if row is not None][:limit]:
            words = {"test": "test", "valid": "validation"}[split]
            return found, f"{plural(len(found), 'row')} of the run's {words} data"
    return [], ""


def _conversation(line: str, config: TrainConfig) -> Messages | None:
    """The plain texts of a row that ends with an answer; None for rows of other kinds, and with tools."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    turns, prompt, completion = (
        row.get(name) for name in (config.chat_feature, config.prompt_feature, config.completion_feature)
    )
    if isinstance(prompt, str) and isinstance(completion, str):
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    if not isinstance(turns, list) or len(turns) < 2:
        return None
    plain = [
        {"role": str(turn["role"]), "content": turn["content"]}
        for turn in turns
        if isinstance(turn, dict) and isinstance(turn.get("content"), str) and turn.get("role")
    ]
    whole = len(plain) == len(turns) and plain[-1]["role"] == "assistant"
    return plain if whole and not any("tool_calls" in turn for turn in turns) else None
