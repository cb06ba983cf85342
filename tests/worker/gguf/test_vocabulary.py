"""Odd vocabularies: what becomes of tokens, ends and spaces, and how llama.cpp merges pieces, by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from gguf import TokenType

from app.core.problem import UnusableError
from app.worker.gguf import vocabulary
from app.worker.gguf.piece_merge import PieceMerger
from app.worker.gguf.vocabulary import GgufVocabulary, gguf_vocabulary

NORMAL, CONTROL, OWN, BYTE = TokenType.NORMAL, TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.BYTE
UNKNOWN, UNUSED = TokenType.UNKNOWN, TokenType.UNUSED
# A few pieces with their types and scores; of merges the best score is first.
PIECES = [
    ("<unk>", UNKNOWN, 0), ("<s>", CONTROL, 0), ("</s>", CONTROL, 0), ("<s>x", OWN, 0), ("<0x43>", BYTE, 0),
    ("▁", NORMAL, -9), ("a", NORMAL, -9), ("b", NORMAL, -9), ("▁a", NORMAL, -3), ("ab", NORMAL, -2),
    ("▁ab", NORMAL, -4), ("aa", NORMAL, -5), ("ba", NORMAL, -2),
]  # fmt: skip
U, S, E, SX, BYTE_C, SPACE, A, B, SPACE_A, AB, SPACE_AB, AA, BA = range(len(PIECES))


def merger(prefix: bool, strips: bool = False) -> PieceMerger:
    texts, types, scores = zip(*PIECES, strict=True)
    return PieceMerger(texts, types, scores, prefix, strips)


def test_pieces_are_merged_as_llama_cpp_merges_them() -> None:
    """The best sum first, of equals the leftmost; what is no piece is bytes, and a byte without a token unknown."""
    plain, spaced, stripping = merger(False), merger(True), merger(False, strips=True)
    assert plain.encode("") == spaced.encode("") == []
    assert plain.encode("ab") == [AB]
    assert spaced.encode("ab") == [SPACE_AB], "the best is ab, and then it takes the space"
    assert spaced.encode("aab") == [SPACE_A, AB]
    assert plain.encode("aaa") == [AA, A], "of equals the leftmost"
    assert plain.encode("aba") == [AB, A]
    assert plain.encode("bab") == [BA, B]
    assert plain.encode("a ab") == [A, SPACE_AB]
    assert plain.encode("aCé") == [A, BYTE_C, U, U]
    assert plain.encode("ab<s>ab</s> b") == [AB, S, AB, E, SPACE, B]
    assert spaced.encode("b<s>ab") == [SPACE, B, S, SPACE_AB], "a space is in front of what follows a special token"
    assert plain.encode("<s>xa<s>") == [SX, A, S], "the longest of the special ones"
    assert plain.encode("<unk>") == [U]
    assert stripping.encode("</s> \n b<s> b") == [E, B, S, SPACE, B], "the beginning takes no spaces after it"
    assert stripping.encode("</s>  </s> ") == [E, E]
    assert stripping.encode("<s>x a") == [SX, A]
    assert PieceMerger(["<unk>", "a"], [NORMAL, NORMAL], [0, 0], False, False).encode("<s>a") == [0, 0, 0, 1]


def tree(**more: Any) -> dict[str, Any]:
    """A `tokenizer.json` that merges bytes, as GPT-2's."""
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "a a": 5}, "merges": ["a b"], "ignore_merges": False}
    made: dict[str, Any] = {
        "pre_tokenizer": {"type": "ByteLevel"},
        "normalizer": None,
        "added_tokens": [],
        "model": model,
    }
    return made | more | {"model": model | more.get("model", {})}


class Inner:
    """What transformers' tokenizer tells, of a `tokenizer.json` that only stands for one."""

    def __init__(self, of: dict[str, Any], **more: Any) -> None:
        self.backend_tokenizer = SimpleNamespace(to_str=lambda: json.dumps(of), encode=self._encode_plain)
        self.bos_token_id: int | None = None
        self.eos_token_id: int | None = None
        self.all_special_ids: list[int] = []
        self.added_tokens_decoder: dict[int, str] = {}
        self.begins, self.closes = False, False
        self.after: list[int] = []
        self.words: dict[str, list[int]] = {}
        for name, value in more.items():
            setattr(self, name, value)

    def _encode_plain(self, text: str, add_special_tokens: bool = False) -> Any:
        assert not add_special_tokens
        return SimpleNamespace(ids=self.words.get(text, []))

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        if text == "END":
            return self.after
        begin, end = ([self.bos_token_id] if self.begins else []), ([self.eos_token_id] if self.closes else [])
        return [*begin, 0, *end] if add_special_tokens else [0]  # type: ignore[list-item]

    def apply_chat_template(self, turns: list[dict[str, str]], tokenize: bool) -> str:
        assert (turns[-1]["role"], tokenize) == ("assistant", False)
        return f"{turns[0]['content']}{turns[-1]['content']}END"


def test_tokens_are_of_the_kinds_that_llama_cpp_knows() -> None:
    """A row that has no token, or one whose text was there before, is padding; so is an empty text."""
    added = [
        {"id": 3, "content": "<|end|>", "special": True}, {"id": 4, "content": "<tool>", "special": False},
        {"id": 6, "content": "b", "special": False}, {"id": 7, "content": "", "special": True},
        {"id": 9, "content": "<beyond>", "special": True}, {"id": 8, "content": "a", "special": True},
    ]  # fmt: skip
    made = gguf_vocabulary(Inner(tree(added_tokens=added, model={"unk_token": "a"})), 9)
    assert (made.model, made.pre, made.merges, made.scores) == ("gpt2", "gpt-2", ["a b"], [])
    assert list(zip(made.tokens, made.types, strict=True)) == [
        ("a", UNKNOWN), ("b", NORMAL), ("ab", NORMAL), ("<|end|>", CONTROL), ("<tool>", OWN), ("a a", NORMAL),
        ("[PAD6]", UNUSED), ("[PAD7]", UNUSED), ("[PAD8]", UNUSED),
    ]  # fmt: skip
    assert made.notes == ["Left out: 1 token without a row in the embedding."]
    assert (made.strips, made.chat_template, made.special) == (False, "", {})
    assert made.flags == {"add_bos_token": False, "add_eos_token": False}


def test_a_vocabulary_without_merges_has_one_that_never_happens() -> None:
    made = gguf_vocabulary(Inner(tree(model={"merges": [], "ignore_merges": True}, normalizer={"type": "NFC"})), 3)
    assert made.merges == ["\x01 \x01"]
    assert made.notes == [
        "Left out: 1 token without a row in the embedding.",
        "Letters with their marks apart (é as e and ´) are put together here, and not by llama.cpp.",
    ]
    assert gguf_vocabulary(Inner(tree(model={"merges": [["a", "b"]]})), 6).merges == ["a b"]


@pytest.mark.parametrize(("inner", "words"), [
    (SimpleNamespace(), "The tokenizer is a program of its own, not a file that can be converted."),
    (Inner(tree(model={"type": "Unigram"})), "The tokenizer is of the kind Unigram, not one that merges."),
    (Inner(tree(normalizer={"type": "Lowercase"})),
     "The tokenizer changes texts first (Lowercase), which llama.cpp does not."),
    (Inner(tree(pre_tokenizer={"type": "Whitespace"})),
     "llama.cpp has no name for the rule by which this tokenizer cuts a text (pre_tokenizer)."),
])  # fmt: skip
def test_a_tokenizer_of_another_kind_is_refused(inner: Any, words: str) -> None:
    with pytest.raises(UnusableError) as caught:
        gguf_vocabulary(SimpleNamespace(_tokenizer=inner), 6)
    (problem,) = caught.value.problems
    assert (problem.path, problem.message, problem.hint) == ("model", words, "Export as hf or fused instead.")


def ended(ends: set[int], texts: list[str], **inner: Any) -> GgufVocabulary:
    made = GgufVocabulary("gpt2", "gpt-2", list(texts), [NORMAL] * len(texts))
    vocabulary._add_special(made, Inner({}, **inner), ends)
    return made


def test_ends_have_their_places_and_those_that_find_none_are_told() -> None:
    """The end of the turn has the first place after the end of a text; those that llama.cpp knows need none."""
    texts = ["a", "<eos>", "<turn>", "<|im_end|>", "<x>", "<y>"]
    made = ended({1, 2}, texts, eos_token_id=1, bos_token_id=0, pad_token_id=6, sep_token_id=5, unk_token_id=4)
    assert made.special == {"bos": 0, "eos": 1, "unknown": 4, "seperator": 5, "eot": 2}
    assert made.types == [NORMAL, CONTROL, CONTROL, NORMAL, NORMAL, NORMAL]
    assert ended({0, 2, 6}, texts).special == {"eos": 0, "eot": 2}
    assert ended({1}, texts, mask_token_id=-1, pad_token_id=0).special == {"eos": 1, "padding": 0}
    made = ended({1, 2, 3, 4}, texts, eos_token_id=1, after=[0, 4, 3], all_special_ids=[4])
    assert (made.special, made.notes) == ({"eos": 1, "eot": 4, "eom": 2}, [])
    made = ended({2, 3, 4, 5}, texts, eos_token_id=1, after=[0, 3], added_tokens_decoder={3: "x"})
    assert made.special == {"eos": 1, "eot": 3, "eom": 2}
    assert made.notes == ["A GGUF file has no room for more end tokens: <x>, <y> will not end an answer."]


def test_what_stands_around_a_text_is_said_and_an_odd_template_is_no_hindrance() -> None:
    texts = ["a", "<eos>", "<bos>"]
    both = {"bos_token_id": 2, "eos_token_id": 1}
    for begins, closes in ((True, False), (False, True)):
        flags = ended(set(), texts, **both, begins=begins, closes=closes).flags
        assert flags == {"add_bos_token": begins, "add_eos_token": closes}

    def raise_error(*_arguments: object, **_options: object) -> None:
        raise TypeError

    assert ended({1, 2}, texts, apply_chat_template=raise_error).special == {"eos": 1, "eot": 2}
    assert vocabulary._template(SimpleNamespace(chat_template={"default": "x", "tool": "y"})) == "x"
    assert vocabulary._template(SimpleNamespace(chat_template={"tool": "y"})) == ""
    assert vocabulary._template(SimpleNamespace(chat_template="x")) == "x"


def test_spaces_after_special_tokens_are_told_where_llama_cpp_keeps_them() -> None:
    takes = {"id": 3, "content": "<|end|>", "special": True, "rstrip": True}
    made = gguf_vocabulary(Inner(tree(added_tokens=[takes])), 6)
    assert made.notes == ["Spaces after <|end|> become tokens in llama.cpp, and are dropped here."]
    assert not made.strips
    named = [{"id": 6 + n, "content": text} for n, text in enumerate(("<unk>", "<s>", "</s>", "<|endoftext|>"))]
    made = gguf_vocabulary(Inner(tree(added_tokens=[takes, *named])), 10)
    assert (made.strips, made.notes) == (True, [])
    assert not gguf_vocabulary(Inner(tree(added_tokens=named)), 10).strips


def pieces(words: dict[str, list[int]], *texts: str, prepend: bool = False) -> GgufVocabulary:
    """A vocabulary of pieces whose tokenizer reads texts as these ids."""
    vocab = {text: number for number, (text, *_) in enumerate(PIECES)}
    merges = ["b a", "a b", "▁ a", ["▁", "ab"], ["a", "a"], ["b", "a"]]
    added = [{"id": S, "content": "<s>", "special": True}, {"id": U, "content": "<unk>", "special": True}]
    model = {"vocab": vocab, "merges": merges, "byte_fallback": True, "unk_token": "<unk>"}
    normalizer = {"type": "Prepend", "prepend": "▁"} if prepend else {"type": "Replace"}
    inner = Inner(tree(added_tokens=added, normalizer=normalizer, model=model), words=words)
    return gguf_vocabulary(inner, len(PIECES) + 1, texts=texts)


def test_pieces_have_scores_by_their_first_merge_and_spaces_as_the_tokenizer_reads_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vocabulary, "PROBES", ("ab",))
    made = pieces({"ab": [SPACE_AB]}, prepend=True)
    assert (made.model, made.pre, made.flags["add_space_prefix"], made.merges) == ("llama", "default", True, [])
    kinds = [UNKNOWN, CONTROL, NORMAL, NORMAL, BYTE, *[NORMAL] * 8, UNUSED]
    assert made.types == kinds
    never = -1000.0
    assert made.scores == [never, never, 0, 0, never, 0, 0, 0, -2.0, -1.0, -3.0, -4.0, 0, -10000.0]
    assert pieces({"ab": [AB]}).flags["add_space_prefix"] is False
    other = pieces({"ab": [AB]}, prepend=True)
    assert (other.flags["add_space_prefix"], other.notes) == (False, []), "it is tried, whatever the file says"
    # What is talked in counts more than a text without a template.
    talked = pieces({"ab": [A, B], "<s>b": [S, SPACE, B]}, "<s>b")
    assert talked.flags["add_space_prefix"] is True
    assert talked.notes == ["Text without a chat template can become other tokens in llama.cpp, such as 'ab'."]
    for texts in ((), ("<s>b",)):
        with pytest.raises(UnusableError, match=r"llama\.cpp would read 'ab' as other tokens than"):
            pieces({"ab": [A, B], "<s>b": [A]}, *texts)


@pytest.mark.parametrize(("normalizer", "pre_tokenizer", "prepends"), [
    (None, None, False), ({"type": "Prepend", "prepend": "▁"}, None, True),
    (None, {"type": "Metaspace", "prepend_scheme": "first"}, True),
    (None, {"type": "Metaspace", "prepend_scheme": "always"}, True),
    (None, {"type": "Metaspace", "prepend_scheme": "never"}, False),
])  # fmt: skip
def test_whether_a_tokenizer_puts_a_space_in_front(normalizer: Any, pre_tokenizer: Any, prepends: bool) -> None:
    assert vocabulary._prepends({"normalizer": normalizer, "pre_tokenizer": pre_tokenizer}) == prepends
