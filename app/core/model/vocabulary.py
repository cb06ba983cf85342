"""The vocabulary of a model folder: the tokens that end an answer, those added to the tokenizer, and how many
ids the embedding knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from app.core.model.facts import model_facts
from app.core.model.folder import read_config
from app.core.model.safetensors_header import read_headers, weight_files
from app.core.problem import UnusableError

_EMBEDDING = re.compile(
    r"(^|\.)(embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|embeddings?|token_embd|embed)\.weight$"
)
# Places for pictures and sound: no text holds them, and many models of words alone have them beyond their rows.
_OTHER_MEDIA = re.compile(r"image|img|video|audio|vision|speech|sound|media", re.IGNORECASE)


def end_tokens(folder: Path) -> frozenset[int]:
    """The ids at which the model stops, as ``generation_config.json`` and ``config.json`` have them."""
    config = _tree(folder / "config.json")
    nested = config.get("text_config")
    parts = (config, nested if isinstance(nested, dict) else {}, _tree(folder / "generation_config.json"))
    return frozenset(number for part in parts for number in _numbers(part.get("eos_token_id")))


def added_tokens(folder: Path) -> dict[int, str]:
    """The tokens added to the tokenizer's own vocabulary, by id."""
    found = {int(token["id"]): str(token["content"]) for token in _listed(_tree(folder / "tokenizer.json"))}
    decoder = _tree(folder / "tokenizer_config.json").get("added_tokens_decoder")
    for number, token in decoder.items() if isinstance(decoder, dict) else ():
        if str(number).isdigit() and isinstance(token, dict):
            found.setdefault(int(number), str(token.get("content", "")))
    for text, number in _tree(folder / "added_tokens.json").items():
        if isinstance(number, int):
            found.setdefault(number, str(text))
    return found


def embedding_rows(folder: Path) -> int:
    """How many token ids the model's embedding knows, by its weight files or else its config; 0 if unsaid."""
    try:
        headers = read_headers(folder) if weight_files(folder) else []
        shapes = [tensor.shape for tensor in headers if _EMBEDDING.search(tensor.name)]
        rows = max((int(shape[0]) for shape in shapes if len(shape) == 2), default=0)
        return rows or model_facts(read_config(folder)).vocab_size
    except (UnusableError, OSError, ValueError):
        return 0


def tokens_beyond(folder: Path) -> dict[int, str]:
    """The added tokens that the embedding has no row for, by id: their numbers point outside of its memory."""
    rows = embedding_rows(folder)
    beyond = {number: text for number, text in sorted(added_tokens(folder).items()) if number >= rows > 0}
    return {number: text for number, text in beyond.items() if not _OTHER_MEDIA.search(text)}


def _tree(path: Path) -> dict[str, Any]:
    """A JSON object in a file; empty if there is none, or none that can be read."""
    try:
        tree = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _listed(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for token in tree.get("added_tokens") or ():
        if isinstance(token, dict) and isinstance(token.get("id"), int) and "content" in token:
            yield token


def _numbers(value: Any) -> Iterator[int]:
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int) and not isinstance(number, bool):
            yield number
