"""llama.cpp as an engine (the package `xllamacpp`), which is used where it is installed and is no dependency.

It is spoken to as its own server is: over the loopback. The figures of a token that is a part of a character are
not told, so such tokens may not be sampled; what is read are the model's own log-probabilities, before that.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.installation import package_version
from app.core.language import tr

CONTEXT = 2048
CHOICES = 2000  # likeliest tokens that are looked through for the one that counts
# Texts at which llama.cpp stops by itself, whatever a file says.
STOPS = (
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>",
    "<EOT>",
)  # fmt: skip
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")


def has_llama_cpp() -> bool:
    """Whether llama.cpp can be opened here."""
    return importlib.util.find_spec("xllamacpp") is not None


class LlamaEngine:
    """One GGUF file, with an adapter of its kind on it; ``broken`` are the tokens that are parts of characters."""

    def __init__(self, file: Path, broken: Sequence[int] = (), adapter: Path | None = None) -> None:
        import xllamacpp

        self.name = tr("llama.cpp (xllamacpp {version})", version=package_version("xllamacpp"))
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(file)
        settings = {
            "n_ctx": CONTEXT, "n_parallel": 1, "warmup": False, "verbosity": -1,
            "cache_type_k": xllamacpp.ggml_type.GGML_TYPE_F32, "cache_type_v": xllamacpp.ggml_type.GGML_TYPE_F32,
            "flash_attn_type": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
        }  # fmt: skip
        # Its threads wait for each other without sleeping: one for each core crawls where other work runs too.
        for threads in (parameters.cpuparams, parameters.cpuparams_batch):
            setattr(threads, "n_threads", max(1, (os.cpu_count() or 2) // 2))  # noqa: B010  (its fields are in no stub)
        if adapter is not None:
            settings["lora_adapters"] = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        for name, value in settings.items():
            setattr(parameters, name, value)
        self._key = secrets.token_urlsafe(24)  # its port is on the loopback, where other users may be
        parameters.api_keys = [self._key]
        self._server = xllamacpp.Server(parameters)
        self._broken = [[number, False] for number in broken]
        self._ends = end_ids(file)

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """See `Engine`."""
        text = self._post("apply-template", {"messages": list(messages)})["prompt"]
        return self._tokens(text)

    def ends(self) -> frozenset[int]:
        """See `Engine`."""
        return self._ends

    def log_probabilities(self, tokens: Sequence[int], places: Sequence[int]) -> npt.NDArray[np.float64]:
        """See `Engine`; of a token that is not among the `CHOICES` likeliest, that of the last of those."""
        found = []
        for place in places:
            likely = self._next(tokens[:place], CHOICES)
            found.append(likely.get(tokens[place], min(likely.values())))
        return np.array(found, np.float64)

    def answer(self, tokens: Sequence[int], limit: int) -> tuple[list[int], list[float]]:
        """See `Engine`."""
        found: list[int] = []
        margins = []
        for _ in range(limit):
            (token, first), (_other, second) = list(self._next([*tokens, *found], 2).items())[:2]
            margins.append(first - second)
            if token in self._ends:
                break
            found.append(token)
        return found, margins

    def _tokens(self, text: str) -> list[int]:
        asked = {"content": text, "add_special": False, "parse_special": True}
        return [int(one) for one in self._post("tokenize", asked)["tokens"]]

    def _next(self, tokens: Sequence[int], choices: int) -> dict[int, float]:
        """The likeliest tokens after a prompt, the best first."""
        asked = {
            "prompt": list(tokens), "n_predict": 1, "temperature": 0, "n_probs": choices, "return_tokens": True,
            "logit_bias": self._broken,
        }  # fmt: skip
        (step,) = self._post("completion", asked)["completion_probabilities"]
        return {int(one["id"]): float(one["logprob"]) for one in step["top_logprobs"]}

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        address = f"{self._server.listening_address}/{path}"
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as answer:  # nosec B310 # the address is the server's own
            return json.load(answer)


def end_ids(file: Path) -> frozenset[int]:
    """The tokens at which llama.cpp ends an answer with this file: those that it names, and `STOPS`."""
    from gguf import GGUFReader

    fields = GGUFReader(str(file)).fields
    found = {int(fields[name].contents()) for key in _END_KEYS if (name := f"tokenizer.ggml.{key}") in fields}
    listed = fields["tokenizer.ggml.tokens"]
    texts = {bytes(listed.parts[index]).decode("utf-8", "replace"): row for row, index in enumerate(listed.data)}
    return frozenset(found | {texts[stop] for stop in STOPS if stop in texts})


def broken_tokens(tokenizer: Any, known: int) -> list[int]:
    """The tokens that are no whole characters by themselves."""
    return [number for number in range(known) if "\ufffd" in tokenizer.decode([number])]
