"""Forgetting: the neutral set of a run, made once from the untouched base, and measured with each evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.setup.memory_method import neutral_answers
from app.core.setup.memory_term import LARGEST_PIECE
from app.core.system import starter
from app.core.typed_path import typed_path
from app.worker.model.head import Head, NoHead
from app.worker.neutral.own_text import own_text
from app.worker.neutral.text import NeutralText, counted_rows, kept_text, loss_on, save_text
from app.worker.objective.reference import Reference
from app.worker.process.channel import Channel
from app.worker.process.control import StoppedError
from app.worker.token.token_set import TokenSet
from app.worker.token.tokenize import tokenize_rows

# What a model that cannot be sampled raises, far inside of libraries.
UNSAMPLED = (UnusableError, ValueError, TypeError, RuntimeError, AttributeError, IndexError, NotImplementedError)


class Forgetting:
    """Measures the weights of one run on its neutral set."""

    def __init__(self, model: nn.Module, head: Head | NoHead, text: NeutralText, positions: int) -> None:
        self.text = text
        self._model, self._head, self._positions = model, head, positions

    def measured(self) -> tuple[float, float]:
        """The present weights' loss on the set, and how far that lies above the base's, nats a token."""
        loss = loss_on(self._model, self._head, self.text.token_set, self._positions)
        return loss, loss - self.text.base_loss


def forgetting(
    channel: Channel,
    run: Path,
    config: TrainConfig,
    model: nn.Module,
    head: Head | NoHead,
    tokenizer: Any,
    positions: int,
    cancelled: Callable[[], bool],
) -> Forgetting | None:
    """What measures a run's forgetting: on the set that its folder keeps, else on one that is made now.

    It reads ``positions`` at a time, those of the run's largest step: so it never is what a run does not fit for.

    ``model`` has its adapters and has not been trained by this process. None where it is turned off, or cannot be
    done, which is told. Raises `StoppedError`.
    """
    if not config.neutral_tokens:
        return None
    text = kept_text(run)
    if text is None:
        text = _made(channel, config, model, head, tokenizer, positions, cancelled)
        if text is not None:
            save_text(run, text)
    return Forgetting(model, head, text, positions) if text is not None else None


def _made(
    channel: Channel,
    config: TrainConfig,
    model: nn.Module,
    head: Head | NoHead,
    tokenizer: Any,
    positions: int,
    cancelled: Callable[[], bool],
) -> NeutralText | None:
    try:
        with untouched(model, head, config):
            return neutral_text(channel, config, model, head, tokenizer, cancelled, positions)
    except UNSAMPLED as error:
        channel.emit(unmeasured(error))
    finally:
        mx.clear_cache()
    return None


def neutral_text(
    channel: Channel,
    config: TrainConfig,
    model: nn.Module,
    head: Head | NoHead,
    tokenizer: Any,
    cancelled: Callable[[], bool],
    positions: int = LARGEST_PIECE,
) -> NeutralText | None:
    """The neutral set of a model, which must be the base as it is; None if there is none, which is told."""
    token_set, source = starter_text(config, tokenizer), "starter"
    if token_set is None:
        channel.emit(event.Progressed(phase=tr("Sampling neutral text")))
        together = neutral_answers(positions)
        token_set, source = (
            own_text(model, tokenizer, config.neutral_tokens, config.seed, cancelled, together=together),
            "sampled",
        )
    if token_set is None:
        raise StoppedError
    if not len(token_set):
        channel.emit(unmeasured(tr("the base model says nothing")))
        return None
    loss = loss_on(model, head, token_set, positions)
    if not math.isfinite(loss):
        channel.emit(unmeasured(tr("the base model's loss on its own text is no number")))
        return None
    return NeutralText(token_set, source, loss)


def starter_text(config: TrainConfig, tokenizer: Any) -> TokenSet | None:
    """The starter's own neutral set, for the starter model; None for others."""
    try:
        file = starter.neutral_file()
        is_starter = typed_path(config.model).resolve() == starter.model_dir().resolve()
    except FileNotFoundError:
        return None
    if not is_starter or not file.is_file():
        return None
    columns = {"data_format": "chat", "chat_feature": "messages", "mask_prompt": True, "mask_turns": "last"}
    found = tokenize_rows(file, tokenizer, config.with_values(columns)).token_set
    rows = (found[number] for number in range(len(found)))
    return counted_rows(rows, frozenset(tokenizer.eos_token_ids), config.neutral_tokens)


@contextmanager
def untouched(model: nn.Module, head: Head | NoHead, config: TrainConfig) -> Iterator[None]:
    """The base in the model's place; after a full fine-tune has begun there is none, and the model stays."""
    if config.fine_tune_type == "full":
        yield
        return
    with Reference(model, head, config.with_value("reference_model_path", "")).in_place():
        yield


def unmeasured(error: Exception | str) -> event.Warned:
    """Says why forgetting is not measured."""
    why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return event.Warned(
        message=tr("What is forgotten cannot be measured: {why}.", why=why), hint=tr("All else goes on without it.")
    )
