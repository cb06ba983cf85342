"""llama.cpp itself (`xllamacpp`), opened on a file: what it tokenizes, renders and answers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class LlamaEngine:
    """One file, answering on one thread with float32 keys and values; adapters of llama.cpp's own kind on it."""

    def __init__(
        self, file: Path, adapter: Path | None = None, context: int = 256, broken: Iterable[int] = ()
    ) -> None:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(file)
        settings = {
            "n_ctx": context, "n_parallel": 1, "warmup": False, "verbosity": -1,
            "cache_type_k": xllamacpp.ggml_type.GGML_TYPE_F32, "cache_type_v": xllamacpp.ggml_type.GGML_TYPE_F32,
            "flash_attn_type": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
        }  # fmt: skip
        for threads in (parameters.cpuparams, parameters.cpuparams_batch):
            setattr(threads, "n_threads", 1)  # noqa: B010
        if adapter is not None:
            settings["lora_adapters"] = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        for name, value in settings.items():
            setattr(parameters, name, value)
        self._server = xllamacpp.Server(parameters)
        # What a token may not be, so that an answer is never a part of a character.
        self._broken = [[number, False] for number in broken]

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self._server.listening_address}/{path}", json.dumps(body).encode(), headers
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def tokens(self, text: str) -> list[int]:
        """The ids of a text, with what stands at its beginning, special tokens read as such."""
        found: list[int] = self._post("tokenize", {"content": text, "add_special": True, "parse_special": True})[
            "tokens"
        ]
        return found

    def rendered(self, messages: list[dict[str, str]]) -> str:
        """A conversation as the file's own chat template writes it, up to the answer."""
        text: str = self._post("apply-template", {"messages": messages})["prompt"]
        return text

    def next(self, prompt: list[int], choices: int = 3) -> dict[int, float]:
        """The likeliest tokens after a prompt, the best first, with their log-probabilities.

        They are those of the model itself. What is sampled is a whole character: an answer that ends in the midst
        of one comes without any figures.
        """
        body = {"prompt": prompt, "n_predict": 1, "temperature": 0, "n_probs": choices, "return_tokens": True,
                "logit_bias": self._broken}  # fmt: skip
        answer = self._post("completion", body)
        (step,) = answer["completion_probabilities"]
        return {choice["id"]: choice["logprob"] for choice in step["top_logprobs"]}

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """A greedy answer of ``count`` tokens, one asked for after the other, so that the end does not end it."""
        found: list[int] = []
        for _ in range(count):
            found.append(next(iter(self.next(prompt + found, 1))))
        return found


def typical_difference(steps: list[dict[int, float]], logits: npt.NDArray[np.float32]) -> float:
    """How far the engine's log-probabilities lie from those of ``logits`` (steps × vocabulary).

    The root mean square, as a share of the deviation of the logits.
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    apart = [
        value - float(row[number]) for step, row in zip(steps, logs, strict=True) for number, value in step.items()
    ]
    return float(np.sqrt(np.mean(np.square(apart))) / logits.std())
