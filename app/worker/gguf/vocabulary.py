"""The vocabulary of a GGUF file: tokens with their types, merges or scores, special ids, and the chat template."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gguf import GGUFWriter, TokenType

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.quantity import plural
from app.worker.gguf.piece_merge import NAMED_IN_STRIPPING, PieceMerger
from app.worker.gguf.pre_tokenizer import pre_tokenizer_name

_BYTE = re.compile(r"^<0x[0-9A-F]{2}>$")
_SPACE = "▁"
# llama.cpp wants merges; this one is of characters that no byte is written as, so that it never happens.
_NO_MERGE = "\x01 \x01"
# Scores of pieces that are never the result of a merge.
_ADDED_SCORE, _UNUSED_SCORE = -1000.0, -10000.0
# What llama.cpp ends an answer at by its text alone, whatever a file says.
KNOWN_ENDS = frozenset({
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>",
    "<EOT>", "_<EOT>", "<turn|>", "<|return|>", "<|call|>", "<|calls|>",
})  # fmt: skip
# Texts with what tokenizers differ in: spaces, digits, case, apostrophes, lines, other scripts, bytes.
PROBES = (
    "Hello world", " Hello", "hello  there   you", "It's 2024, isn't it? I'LL pay 12345.67 €.", "a\nb\n\nc\r\n d",
    "def f(x):\n    return x ** 2\n", "Größe naïve façade", "日本語のテキスト。", "Привет, мир!", "🙂👍🏽",
    "\t\ttabs", "x", "", "snake_case camelCase HTTPServer v1.2.3", "\u200bzero", "email@example.org/path?q=1&b=2",
)  # fmt: skip


@dataclass(slots=True)
class GgufVocabulary:
    """What a file says of its tokenizer. ``notes`` are for people: what is otherwise than it was, and why.

    ``strips`` if special tokens take the spaces after them, which llama.cpp knows by the model's name alone.
    """

    model: str
    pre: str
    tokens: list[str]
    types: list[TokenType]
    merges: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    special: dict[str, int] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=dict)
    chat_template: str = ""
    strips: bool = False
    notes: list[str] = field(default_factory=list)

    def write(self, writer: GGUFWriter) -> None:
        """Adds everything to the head of a file."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        if self.merges:
            writer.add_token_merges(self.merges)
        if self.scores:
            writer.add_token_scores(self.scores)
        for name, number in self.special.items():
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", number)
        for name, value in self.flags.items():
            writer.add_bool(f"tokenizer.ggml.{name}", value)
        if self.chat_template:
            writer.add_chat_template(self.chat_template)


def gguf_vocabulary(
    tokenizer: Any, rows: int, ends: Sequence[int] = (), texts: Sequence[str] = ()
) -> GgufVocabulary:
    """The vocabulary of mlx-lm's tokenizer, padded or cut to the ``rows`` of the model's embedding.

    ``ends`` are the ids that end an answer (`app.core.model.vocabulary.end_tokens`). ``texts`` are rendered
    conversations, by which spaces after special tokens are tried. Raises `UnusableError` in words if llama.cpp
    would read a text as other tokens.
    """
    inner = getattr(tokenizer, "_tokenizer", tokenizer)
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is None:
        raise _unwritable(tr("The tokenizer is a program of its own, not a file that can be converted"))
    tree: dict[str, Any] = json.loads(backend.to_str())
    if tree["model"].get("type") != "BPE":
        raise _unwritable(
            tr("The tokenizer is of the kind {type}, not one that merges", type=tree["model"].get("type"))
        )
    made = _pieces(tree, rows) if tree["model"].get("byte_fallback") else _bytes(tree, rows)
    _pad(made, rows)
    _add_special(
        made, inner, {int(number) for number in (*ends, *(getattr(tokenizer, "eos_token_ids", None) or ()))}
    )
    made.chat_template = _template(inner)
    takes = [added["content"] for added in tree.get("added_tokens") or () if added.get("rstrip")]
    made.strips = bool(takes) and set(made.tokens) >= NAMED_IN_STRIPPING
    if made.scores:
        _settle_spaces(made, tree, backend, texts)
    elif takes and not made.strips:
        made.notes.append(
            tr("Spaces after {takes} become tokens in llama.cpp, and are dropped here.", takes=takes[0])
        )
    return made


def _bytes(tree: Mapping[str, Any], rows: int) -> GgufVocabulary:
    """A vocabulary that merges bytes, as GPT-2's."""
    pre = pre_tokenizer_name(tree)
    if pre is None:
        raise _unwritable(
            tr("llama.cpp has no name for the rule by which this tokenizer cuts a text (pre_tokenizer)")
        )
    normalizer = tree.get("normalizer")
    if normalizer is not None and normalizer.get("type") != "NFC":
        raise _unwritable(
            tr("The tokenizer changes texts first ({type}), which llama.cpp does not", type=normalizer.get("type"))
        )
    tokens, types, notes = _tokens(tree, rows)
    if normalizer is not None:
        notes.append(
            tr("Letters with their marks apart (é as e and ´) are put together here, and not by llama.cpp.")
        )
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in tree["model"]["merges"]]
    merges = merges or [_NO_MERGE]
    return GgufVocabulary("gpt2", pre, tokens, types, merges=merges, notes=notes)


def _pieces(tree: Mapping[str, Any], rows: int) -> GgufVocabulary:
    """A vocabulary of pieces of text with bytes to fall back to, as SentencePiece's: scores for merges."""
    tokens, types, notes = _tokens(tree, rows)
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(tree["model"]["merges"]):
        left, right = pair.split(" ") if isinstance(pair, str) else pair
        ranks.setdefault(left + right, rank)
    scores = [
        _ADDED_SCORE if kind is not TokenType.NORMAL else -float(ranks.get(token, 0))
        for token, kind in zip(tokens, types, strict=True)
    ]
    return GgufVocabulary("llama", "default", tokens, types, scores=scores, notes=notes)


def _tokens(tree: Mapping[str, Any], rows: int) -> tuple[list[str], list[TokenType], list[str]]:
    own: Mapping[str, int] = tree["model"]["vocab"]
    unknown = tree["model"].get("unk_token")
    found: dict[int, tuple[str, TokenType]] = {}
    for text, number in own.items():
        kind = TokenType.BYTE if tree["model"].get("byte_fallback") and _BYTE.match(text) else TokenType.NORMAL
        found[number] = (text, TokenType.UNKNOWN if text == unknown else kind)
    for added in tree.get("added_tokens") or ():
        if added["content"] == unknown:
            continue
        kind = TokenType.CONTROL if added.get("special") else TokenType.USER_DEFINED
        found[added["id"]] = (added["content"], kind)
    beyond = [text for number, (text, _) in sorted(found.items()) if number >= rows]
    notes = (
        [tr("Left out: {beyond} without a row in the embedding.", beyond=plural(len(beyond), "token"))]
        if beyond
        else []
    )
    tokens = [found.get(number, (f"[PAD{number}]", TokenType.UNUSED)) for number in range(rows)]
    return [text for text, _ in tokens], [kind for _, kind in tokens], notes


def _pad(made: GgufVocabulary, rows: int) -> None:
    """llama.cpp takes no text twice, and none that is empty."""
    seen: set[str] = set()
    for number in range(rows):
        text = made.tokens[number]
        if text in seen or not text:
            made.tokens[number], made.types[number] = f"[PAD{number}]", TokenType.UNUSED
        seen.add(made.tokens[number])
        if made.scores and made.types[number] is TokenType.UNUSED:
            made.scores[number] = _UNUSED_SCORE


def _add_special(made: GgufVocabulary, inner: Any, ends: set[int]) -> None:
    rows = len(made.tokens)
    for name in ("bos", "eos", "unk", "sep", "pad", "mask"):
        number = getattr(inner, f"{name}_token_id", None)
        if isinstance(number, int) and 0 <= number < rows:
            made.special[{"unk": "unknown", "sep": "seperator", "pad": "padding"}.get(name, name)] = number
    others = sorted(number for number in ends if number < rows and number != made.special.get("eos"))
    if "eos" not in made.special and others:
        made.special["eos"] = others.pop(0)
    turn = _turn_end(inner)
    others.sort(key=lambda number: (number != turn, made.tokens[number] in KNOWN_ENDS))
    for name in ("eot", "eom"):
        if others:
            made.special[name] = others.pop(0)
    if unknown := [made.tokens[number] for number in others if made.tokens[number] not in KNOWN_ENDS]:
        made.notes.append(
            tr(
                "A GGUF file has no room for more end tokens: {unknown} will not end an answer.",
                unknown=", ".join(unknown),
            )
        )
    for number in ends & set(range(rows)):
        made.types[number] = TokenType.CONTROL if made.types[number] is TokenType.NORMAL else made.types[number]
    with_special, plain = inner.encode("a"), inner.encode("a", add_special_tokens=False)
    made.flags["add_bos_token"] = len(with_special) > len(plain) and with_special[0] == inner.bos_token_id
    made.flags["add_eos_token"] = len(with_special) > len(plain) and with_special[-1] == inner.eos_token_id


def _turn_end(inner: Any) -> int | None:
    """The token that the chat template ends an answer with; None if that cannot be seen."""
    answer = "answer"
    turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": answer}]
    try:
        text = inner.apply_chat_template(turns, tokenize=False)
        after = inner.encode(text[text.rindex(answer) + len(answer) :], add_special_tokens=False)
    except Exception:  # a template raises whatever it likes for a conversation that it does not take
        return None
    special = set(inner.all_special_ids) | set(inner.added_tokens_decoder)
    return next((number for number in after if number in special), None)


def _template(inner: Any) -> str:
    found = getattr(inner, "chat_template", None)
    if isinstance(found, dict):
        found = found.get("default")
    return found if isinstance(found, str) else ""


def _settle_spaces(made: GgufVocabulary, tree: Mapping[str, Any], backend: Any, texts: Sequence[str]) -> None:
    """Whether llama.cpp puts a space in front of texts; refuses a vocabulary that it would read otherwise."""
    wanted = {text: backend.encode(text, add_special_tokens=False).ids for text in (*PROBES, *texts)}
    first = _prepends(tree)
    faults: dict[bool, list[str]] = {}
    for prefix in (first, not first):
        merger = PieceMerger(made.tokens, made.types, made.scores, prefix, made.strips)
        faults[prefix] = [text for text, ids in wanted.items() if merger.encode(text) != ids]
        if not faults[prefix]:
            made.flags["add_space_prefix"] = prefix
            return
    for prefix in (first, not first):  # what is talked in counts more than text without a template
        if texts and not set(faults[prefix]) & set(texts):
            made.flags["add_space_prefix"] = prefix
            made.notes.append(
                tr(
                    "Text without a chat template can become other tokens in llama.cpp, such as {faults!r}.",
                    faults=faults[prefix][0],
                )
            )
            return
    fault = min(faults[first], key=len)
    raise _unwritable(tr("llama.cpp would read {fault!r} as other tokens than this tokenizer does", fault=fault))


def _prepends(tree: Mapping[str, Any]) -> bool:
    """Whether the tokenizer itself puts a space in front of a text."""
    said = json.dumps([tree.get("normalizer"), tree.get("pre_tokenizer")])
    return '"Prepend"' in said or '"prepend_scheme": "first"' in said or '"prepend_scheme": "always"' in said


def _unwritable(said: str) -> UnusableError:
    hint = tr("Export as hf or fused instead.")
    return UnusableError([Problem("model", f"{said}.", hint=hint)])
