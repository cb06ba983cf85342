"""The head: where a model ends and its logits begin, so that the loss can run the two apart.

mlx-lm's models compute body and head in one call. Nearly all are built alike, though, so the likely ways to take
one apart are tried, and one counts only if it gives the model's own logits on a real input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from app.core.language import tr

BODY_NAMES = ("model", "transformer", "backbone", "gpt_neox")
PROBE_TOKENS = 8
# Relative to the largest logit. Rounding alone may differ, by the order in which a fused kernel adds.
HEAD_TOLERANCES = {mx.float32: 1e-4, mx.float16: 5e-3, mx.bfloat16: 3e-2}

Logits = Callable[[mx.array], mx.array]


@dataclass(frozen=True, slots=True)
class Head:
    """A model taken apart: ``logits(body(inputs, cache=None))`` is what the model computes.

    ``body`` gives hidden states (rows, width, hidden size); ``logits`` takes any leading shape.
    """

    body: Callable[..., mx.array]
    logits: Logits
    vocabulary: int
    hidden_size: int
    description: str


@dataclass(frozen=True, slots=True)
class NoHead:
    """Why a model cannot be taken apart."""

    reason: str
    vocabulary: int = 0


def find_head(model: nn.Module, *, trained: bool = True) -> Head | NoHead:
    """Takes the model apart and checks the result numerically; leaves modes and random state as they are.

    A head that is ``trained`` itself stays with its model. Where it is only measured, it may be anything.
    """
    was_training = model.training
    model.eval()
    try:
        return _find(model, trained)
    finally:
        model.train(was_training)


def _find(model: nn.Module, trained: bool) -> Head | NoHead:
    probe = (mx.arange(PROBE_TOKENS, dtype=mx.int32) % 50)[None]
    wanted = model(probe)
    vocabulary = wanted.shape[-1]
    reason = tr("its parts are not where models usually have them")
    for text in _text_models(model):
        for name, body in _bodies(text):
            hidden = _hidden(body, probe)
            if hidden is None:
                continue
            for (head_name, part, to_logits), (post_name, post) in product(_heads(text, body), _posts(text)):
                if not _accepts(part, hidden, vocabulary) or not _equal(post(to_logits(hidden)), wanted):
                    continue
                if trained and tree_flatten(part.trainable_parameters()):
                    reason = tr("its head is trained too")
                    continue
                return Head(
                    body, _joined(to_logits, post), vocabulary, hidden.shape[-1], f"{name} + {head_name}{post_name}"
                )
    return NoHead(reason, vocabulary)


def _hidden(body: nn.Module, probe: mx.array) -> mx.array | None:
    """What a body gives when it is called by itself; None where it wants more than tokens (masks, states)."""
    try:
        hidden = body(probe, cache=None)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        return None
    return hidden if isinstance(hidden, mx.array) and hidden.ndim == 3 else None


def _text_models(model: nn.Module) -> Iterator[nn.Module]:
    """The model and the language models inside it, as multimodal ones have them."""
    found: Any = model
    while isinstance(found, nn.Module):
        yield found
        found = found.get("language_model")


def _bodies(text: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name in BODY_NAMES:
        if isinstance(body := text.get(name), nn.Module):
            yield name, body


def _heads(text: nn.Module, body: nn.Module) -> Iterator[tuple[str, nn.Module, Logits]]:
    """Everything that could turn hidden states into logits: own heads first, then shared embeddings."""
    for name, part in text.children().items():
        if isinstance(part, nn.Module) and part is not body and name not in BODY_NAMES:
            yield name, part, part
    for owner in (body, text):
        for name, part in owner.children().items():
            if isinstance(part, nn.Module) and hasattr(part, "as_linear"):
                yield name, part, part.as_linear


def _posts(text: nn.Module) -> Iterator[tuple[str, Logits]]:
    """What models do with the raw logits: nothing, a soft cap, or a scale."""
    yield "", lambda logits: logits
    for owner in (text, getattr(text, "args", None), getattr(text.get("model"), "args", None)):
        if (cap := _number(owner, "final_logit_softcapping")) is not None:
            yield tr(", soft cap {cap:g}", cap=cap), _capped(cap)
        if (scale := _number(owner, "logit_scale")) is not None:
            yield f", × {scale:g}", _scaled(scale)
        if (scale := _number(owner, "logits_scaling")) is not None:
            yield f", ÷ {scale:g}", _scaled(1 / scale)
        size, base = _number(owner, "hidden_size"), _number(owner, "dim_model_base")
        if size is not None and base is not None:
            yield f", ÷ {size / base:g}", _scaled(base / size)


def _capped(cap: float) -> Logits:
    return lambda logits: mx.tanh(logits / cap) * cap


def _scaled(factor: float) -> Logits:
    return lambda logits: logits * factor


def _number(owner: object, name: str) -> float | None:
    value = getattr(owner, name, None)
    return float(value) if isinstance(value, (int, float)) and value else None


def _accepts(part: nn.Module, hidden: mx.array, vocabulary: int) -> bool:
    """True if ``part`` is a matrix from the hidden size to the vocabulary (a quantized one has packed columns)."""
    weight = part.get("weight")
    if not isinstance(weight, mx.array):
        parameters = dict(tree_flatten(part.parameters()))
        weight = next((a for name, a in parameters.items() if name.endswith("weight") and a.ndim == 2), None)
    if weight is None or weight.ndim != 2 or weight.shape[0] != vocabulary:
        return False
    return weight.shape[1] == hidden.shape[-1] or "bits" in vars(part) or weight.dtype == mx.uint32


def _equal(found: mx.array, wanted: mx.array) -> bool:
    if found.shape != wanted.shape:
        return False
    tolerance = HEAD_TOLERANCES.get(wanted.dtype, 1e-4)
    found, wanted = found.astype(mx.float32), wanted.astype(mx.float32)
    return bool((mx.abs(found - wanted).max() <= tolerance * mx.abs(wanted).max()).item())


def _joined(to_logits: Logits, post: Logits) -> Logits:
    return lambda hidden: post(to_logits(hidden))
