"""The reference: the model that answers are compared with, in the same memory as the model that is trained.

It is the base with the adapter off: for the time of a measurement the adapters' places in the module tree are taken
by the modules that they wrap. After a full fine-tune the trained arrays' first values stand in for their present
ones. Only another model, where the config names one, is a second model in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.typed_path import typed_path
from app.worker.model.head import Head, NoHead, find_head
from app.worker.model.loading import load_model, trainable
from app.worker.model.strength import WRAPPED
from app.worker.objective.log_probability import answer_log_probabilities


class Reference:
    """Gives log-probabilities of the reference. Make it before the first update: it keeps what a full fine-tune
    changes."""

    def __init__(self, model: nn.Module, head: Head | NoHead, config: TrainConfig) -> None:
        """Raises `UnusableError` if the config names another model that cannot stand in."""
        self._model, self._head = model, head
        self._adapters = _adapters(model)
        self._first = trainable(model) if config.fine_tune_type == "full" else {}
        if config.reference_model_path:
            self._model, self._head = _other(config.reference_model_path, head)
            self._adapters, self._first = [], {}

    def log_probabilities(self, arrays: dict[str, mx.array], temperature: float = 1.0) -> mx.array:
        """As `answer_log_probabilities`, computed when this returns."""
        with self.in_place():
            found = answer_log_probabilities(self._model, self._head, arrays, temperature)
            mx.eval(found)
        return found

    @property
    def model(self) -> nn.Module:
        """The model in memory whose log-probabilities these are, once its adapters are off."""
        return self._model

    @property
    def head(self) -> Head | NoHead:
        """How it is taken apart."""
        return self._head

    @contextmanager
    def in_place(self) -> Iterator[nn.Module]:
        """The reference, as long as this lasts: it stands where the trained model does, without dropout."""
        was_training = self._model.training
        now = trainable(self._model) if self._first else {}
        self._model.eval()
        try:
            for parent, key, _, base in self._adapters:
                parent[key] = base
            _load(self._model, self._first)
            yield self._model
        finally:
            for parent, key, adapter, _ in self._adapters:
                parent[key] = adapter
            _load(self._model, now)
            self._model.train(was_training)


def _load(model: nn.Module, arrays: dict[str, mx.array]) -> None:
    if arrays:
        model.load_weights(list(arrays.items()), strict=False)


def _adapters(model: nn.Module) -> list[tuple[Any, Any, nn.Module, nn.Module]]:
    """(container, key, adapter, wrapped module) of every adapter in the model."""
    found: list[tuple[Any, Any, nn.Module, nn.Module]] = []
    for _, module in model.named_modules():
        for parent, key, child in _children(module):
            if isinstance(child, nn.Module) and "lora_a" in child:
                base = next(child[name] for name in WRAPPED if name in child)
                found.append((parent, key, child, base))
    return found


def _children(container: Any) -> Iterator[tuple[Any, Any, Any]]:
    for key, child in list(container.items() if isinstance(container, dict) else enumerate(container)):
        if isinstance(child, list) or (isinstance(child, dict) and not isinstance(child, nn.Module)):
            yield from _children(child)
        else:
            yield container, key, child


def _other(name: str, own: Head | NoHead) -> tuple[nn.Module, Head | NoHead]:
    model, _ = load_model(typed_path(name))
    model.freeze()
    head = find_head(model)
    if head.vocabulary != own.vocabulary:
        said = tr(
            "The reference model has {vocabulary:,} tokens, the trained one {vocabulary2:,}.",
            vocabulary=head.vocabulary,
            vocabulary2=own.vocabulary,
        )
        hint = tr("Both must have the same tokenizer; leave it empty to compare with the base.")
        raise UnusableError([Problem("reference_model_path", said, hint=hint)])
    return model, head
