"""Pre-tokenizers: the rule by which a tokenizer cuts a text before it merges bytes, and llama.cpp's name of it.

llama.cpp knows rules by name only (``tokenizer.ggml.pre``), and takes from the name also whether a whole word of
the vocabulary is left unmerged. A rule that it has no name for is refused: another would give other tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_CONTRACTIONS = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_ANY_CASE = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_WORD_START = r"[^\r\n\p{L}\p{N}]?"
_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SLASHED_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED = rf"{_WORD_START}{_UPPER}*{_LOWER}+{{0}}|{_WORD_START}{_UPPER}+{_LOWER}*{{0}}"

_LLAMA3 = rf"{_ANY_CASE}|{_WORD_START}\p{{L}}+|\p{{N}}{{1,3}}{_TAIL}"
_QWEN2 = rf"{_ANY_CASE}|{_WORD_START}\p{{L}}+|\p{{N}}{_TAIL}"
_QWEN35 = (
    rf"{_ANY_CASE}|{_WORD_START}[\p{{L}}\p{{M}}]+|\p{{N}}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TEKKEN = _CASED.replace("{0}", "") + r"|\p{N}" + _SLASHED_TAIL
_GPT4O = _CASED.replace("{0}", f"{_ANY_CASE}?") + r"|\p{N}{1,3}" + _SLASHED_TAIL
# ByteLevel's own rule, which GPT-2 began with.
_BYTE_LEVEL = "byte level"
_EACH_DIGIT = "each digit"

# (the cuts in their order, whether whole words are left unmerged) -> llama.cpp's name.
_NAMES: Mapping[tuple[tuple[str, ...], bool], str] = {
    ((_BYTE_LEVEL,), False): "gpt-2",
    ((_EACH_DIGIT, _BYTE_LEVEL), False): "smollm",
    ((_LLAMA3,), True): "llama-bpe",
    ((_LLAMA3,), False): "dbrx",
    ((_QWEN2,), False): "qwen2",
    ((_QWEN35,), False): "qwen35",
    ((_TEKKEN,), True): "tekken",
    ((_GPT4O,), False): "gpt-4o",
}


def pre_tokenizer_name(tokenizer: Mapping[str, Any]) -> str | None:
    """llama.cpp's name of the rule in a ``tokenizer.json`` whose model merges bytes; None if it has none."""
    cuts: list[str] = []
    for part in _parts(tokenizer.get("pre_tokenizer")):
        cut = _cut(part)
        if cut is None:
            return None
        cuts += [cut] if cut else []
    ignores = bool(tokenizer["model"].get("ignore_merges"))
    # Without merges there is no word to leave unmerged, so that both are one.
    either = (ignores,) if tokenizer["model"].get("merges") else (ignores, not ignores)
    found = (_NAMES.get((tuple(cuts), ignored)) for ignored in either)
    return next((name for name in found if name), None)


def _parts(rule: Any) -> list[Mapping[str, Any]]:
    if not isinstance(rule, dict):
        return []
    if rule.get("type") == "Sequence":
        return [inner for part in rule["pretokenizers"] for inner in _parts(part)]
    return [rule]


def _cut(part: Mapping[str, Any]) -> str | None:
    """One cut in a word that the table knows; empty if it cuts nothing, None if llama.cpp cannot know it."""
    kind = part.get("type")
    if kind == "ByteLevel":
        if part.get("add_prefix_space"):
            return None
        return _BYTE_LEVEL if part.get("use_regex", True) else ""
    if kind == "Digits":
        return _EACH_DIGIT if part.get("individual_digits") else None
    if kind == "Split" and part.get("behavior") == "Isolated" and not part.get("invert"):
        pattern = part.get("pattern")
        found = pattern.get("Regex") if isinstance(pattern, dict) else None
        return _as_written_here(found) if found else None
    return None


def _as_written_here(pattern: str) -> str:
    """The same pattern in one of the several ways to write it: contractions without regard to case."""
    text = pattern.replace(_CONTRACTIONS, _ANY_CASE)
    text = re.sub(r"\?\+", "?", text)  # possessive marks, which change the speed only
    return text.replace(r"\p{N}{1}", r"\p{N}")
