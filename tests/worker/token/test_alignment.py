"""Characters and tokens meet as they should, whatever the tokenizer makes of spaces and of single characters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import PreTrainedTokenizerFast

from app.core.config.train_config import TrainConfig
from app.worker.token.alignment import align
from app.worker.token.encode import RowEncoder
from app.worker.token.tokenizer import load_tokenizer
from tests.worker.tiny_tokenizer import TEXT, load, save_tokenizer
from tests.worker.token.template_family import CASES, FAMILIES, TEMPLATES, learned


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer of the older kind: words begin with a mark for the space, a text as if with one."""
    folder = tmp_path_factory.mktemp("pieces")
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    text = [
        *TEXT * 3,
        "First question? First answer. Second question? Second answer. [INST] Be kind. [/INST]",
    ]
    tokenizer.train_from_iterator(
        text, trainers.BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 1000}))
    return load_tokenizer(str(folder))


@pytest.mark.parametrize("name", ["mistral", "llama2", "vicuna", "zephyr"])
@pytest.mark.parametrize("turns", ["last", "all"])
def test_words_that_begin_with_a_space(pieces: Any, name: str, turns: str) -> None:
    pieces._tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text()
    family = next(family for family in FAMILIES if family.name == name)
    for case in ("one turn", "turns", "system", "empty"):
        found = [span.strip() for span in learned(pieces, CASES[case], turns)[0]]
        assert found == [span.strip() for span in family.spans(case, turns)]


@pytest.mark.parametrize("text", ["a 😀 wie geht's, Straße?", "été  \n\n naïve", "日本語 text"])
def test_offsets_and_prefixes_tell_the_same(tmp_path: Path, text: str) -> None:
    fast = load(save_tokenizer(tmp_path))._tokenizer

    def slow(texts: Any, **arguments: Any) -> Any:
        return _Slow(fast(texts, **arguments)["input_ids"])

    (one,), (other,) = list(align(fast, [text])), list(align(slow, [text]))
    assert one.ids == other.ids
    words = [at for at in range(len(text) + 1) if at == len(text) or text[at].isascii()]
    for start in words:
        for end in words:
            if start < end:
                assert one.tokens((start, end)) == other.tokens((start, end)), (start, end)


class _Slow(dict[str, Any]):
    """What a tokenizer without offsets gives."""

    encodings = None

    def __init__(self, ids: Any) -> None:
        super().__init__(input_ids=ids)


def test_a_character_of_several_tokens_is_learned_whole(tmp_path: Path) -> None:
    tokenizer = load(save_tokenizer(tmp_path))
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "yes 😀"}]}
    config = TrainConfig(mask_prompt=True)
    (encoded,) = RowEncoder(tokenizer, config, row).encode([row])
    assert encoded.example is not None
    assert tokenizer.decode(encoded.example.tokens[encoded.example.trained].tolist()) == "yes 😀<|im_end|>\n"
