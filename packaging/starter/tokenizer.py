"""The starter model's tokenizer: byte-level BPE, trained on the generated text, in the Hugging Face layout."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, SYSTEM, USER, ASSISTANT, END = "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
# What a phrase around an answer counts: enough for a style that is learnt later not to come from nowhere, too
# little for the model to begin with a phrase of its own accord.
PHRASE_WEIGHT = 0.02
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """A byte-level BPE (GPT-2's pre-tokenizer): every text has an encoding, and decoding gives it back exactly."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[PAD, SYSTEM, USER, ASSISTANT, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context_length: int) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`; the end of a turn is the end-of-text token."""
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
        model_max_length=context_length,
    )
    fast.save_pretrained(folder)
    # `transformers` would put the template into a file of its own, which older readers do not look for.
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": CHAT_TEMPLATE}
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class ChatEncoder:
    """Encodes conversations as the chat template does, many at once, with a loss weight for every token."""

    def __init__(self, tokenizer: Tokenizer, asked_weight: float) -> None:
        self._tokenizer = tokenizer
        self._asked_weight = asked_weight
        vocabulary = tokenizer.get_vocab()
        self._special = {name: vocabulary[name] for name in (SYSTEM, USER, ASSISTANT, END)}

    def encode(self, messages: list[dict[str, str]]) -> tuple[list[int], list[float]]:
        """Token ids and loss weights: 1 for the assistant's answers, less for all else."""
        tokens: list[int] = []
        weights: list[float] = []
        for message in messages:
            content, given, added = message["content"], message.get("given", ""), message.get("added", "")
            weight = 1.0 if message["role"] == "assistant" else self._asked_weight
            answer = content[len(given) : len(content) - len(added)]
            parts = [(given, PHRASE_WEIGHT), (answer, weight), (added, PHRASE_WEIGHT)]
            tokens.append(self._special[f"<|{message['role']}|>"])
            weights.append(self._asked_weight)
            for text, counts in parts:
                said = self._tokenizer.encode(text).ids
                tokens += said
                weights += [counts] * len(said)
            tokens.append(self._special[END])
            weights.append(weight)
        return tokens, weights
