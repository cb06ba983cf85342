"""Small real tokenizers with the chat templates that models have, saved as a model's folder has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT = [
    "You are a helpful assistant. Question and answer, one after the other.",
    "Wie heißt die Straße? It is 3. The quick brown fox jumps over the lazy dog.",
]

CHATML = """{%- if tools %}{{ '<tools>' + (tools | tojson) + '</tools>' }}{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\n' }}
{%- if message.content %}{{ message['content'] }}{% endif %}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>' + (call.function | tojson) + '</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

# As Qwen3: only the last answer gets an (empty) thinking block; it loses it when other turns follow.
THINKING = """{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\n' }}
{%- if message.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}
{{- message['content'] + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

# As Mistral: the system text goes into the *last* user turn, and roles must alternate.
MISTRAL = """{%- set system = messages[0].content if messages[0].role == 'system' else '' %}
{%- set turns = messages[1:] if system else messages %}
{%- for message in turns %}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('Conversation roles must alternate user and assistant') }}
{%- endif %}
{%- if message.role == 'user' %}
{%- if system and loop.index >= turns | length - 1 %}{{ '[INST] ' + system + ' ' + message.content + ' [/INST]' }}
{%- else %}{{ '[INST] ' + message.content + ' [/INST]' }}{% endif %}
{%- else %}{{ ' ' + message.content + '<|endoftext|>' }}{% endif %}
{%- endfor %}"""

# With marks around what the assistant says, and a count in front that changes with every turn.
MARKED = """{{- '(' + (messages | length | string) + ')' }}
{%- for message in messages %}
{%- if message.role == 'assistant' %}{{ '<|im_start|>assistant\n' }}
{%- generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}
{%- else %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

UNSTABLE = MARKED.replace("{%- generation %}", "").replace("{% endgeneration %}", "")

TEMPLATES = {"chatml": CHATML, "thinking": THINKING, "mistral": MISTRAL, "marked": MARKED, "unstable": UNSTABLE}


def save_tokenizer(folder: Path, template: str | None = CHATML, *, begin: bool = False) -> Path:
    """A byte-level BPE tokenizer; with ``begin`` it puts a token in front of every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXT, trainer)
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
        )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "model_max_length": 4096,
    }  # fmt: skip
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2"}), encoding="utf-8")
    return folder


def load(folder: Path) -> Any:
    """The tokenizer as mlx-lm loads it."""
    from mlx_lm.utils import load_tokenizer

    return load_tokenizer(folder)
