"""transformers (and PEFT) as an engine, computing in 32-bit floats on the CPU."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.installation import package_version
from app.core.language import tr
from app.worker.certificate.material import prompt_tokens
from app.worker.token.tokenizer import NO_FOREIGN_CODE


def has_transformers() -> bool:
    """Whether transformers can compute here: it needs torch, which is no dependency."""
    return importlib.util.find_spec("torch") is not None


def has_peft() -> bool:
    """Whether PEFT is here."""
    return has_transformers() and importlib.util.find_spec("peft") is not None


class TorchEngine:
    """One model of transformers, with a PEFT adapter on it if one is given."""

    def __init__(self, model: Path, adapter: Path | None = None) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.name = tr("transformers {version}", version=package_version("transformers"))
        with _quiet():
            self._tokenizer = AutoTokenizer.from_pretrained(str(model), **NO_FOREIGN_CODE)  # nosec B615 # a folder
            self._model: Any = AutoModelForCausalLM.from_pretrained(  # nosec B615 # a folder
                str(model), dtype=torch.float32, **NO_FOREIGN_CODE
            )
            if adapter is not None:
                from peft import PeftModel

                self.name += tr(" with PEFT {version}", version=package_version("peft"))
                self._model = PeftModel.from_pretrained(self._model, str(adapter))
        self._model.eval()

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """See `Engine`."""
        return prompt_tokens(self._tokenizer, list(messages))

    def ends(self) -> frozenset[int]:
        """See `Engine`: what `generate` stops at (its generation config), and the tokenizer's own."""
        told = self._model.generation_config.eos_token_id
        listed = told if isinstance(told, list) else [told]
        return frozenset(int(one) for one in listed if one is not None)

    def log_probabilities(self, tokens: Sequence[int], places: Sequence[int]) -> npt.NDArray[np.float64]:
        """See `Engine`."""
        import torch

        with torch.no_grad(), _quiet():
            logits = self._model(torch.tensor([list(tokens)])).logits[0, :-1].float()
            chosen = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(list(tokens[1:]))[:, None])
        return np.array(chosen[:, 0].numpy(), np.float64)[np.array(places) - 1]

    def answer(self, tokens: Sequence[int], limit: int) -> tuple[list[int], list[float]]:
        """See `Engine`."""
        import torch

        found, margins, ends = list(tokens), [], self.ends()
        past: Any = None
        given = torch.tensor([found])
        for _ in range(limit):
            with torch.no_grad(), _quiet():
                made = self._model(given, past_key_values=past, use_cache=True)
            past = made.past_key_values
            likely = torch.log_softmax(made.logits[0, -1].float(), dim=-1)
            (first, second), (token, _) = likely.topk(2)
            margins.append(float(first - second))
            if int(token) in ends:
                break
            found.append(int(token))
            given = torch.tensor([[int(token)]])
        return found[len(tokens) :], margins


@contextmanager
def _quiet() -> Iterator[None]:
    """What transformers and PEFT warn of concerns their own versions; what matters is seen in the figures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
