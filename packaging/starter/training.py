"""Pre-training of the starter model: a small Llama, from random weights, on conversations packed into rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx_lm.models.llama import Model, ModelArgs

from chat import Messages
from tokenizer import ChatEncoder

# Rows are filled from this many waiting conversations, so that little of a row stays empty.
POOL_SIZE = 64


@dataclass(frozen=True)
class Plan:
    """How long and how fast: one step trains `rows` × `row_tokens` tokens."""

    steps: int
    rows: int = 16
    row_tokens: int = 80
    peak_learning_rate: float = 5e-3
    warmup_steps: int = 60
    matrix_learning_rate: float = 0.03
    decay_share: float = 0.5
    asked_weight: float = 0.1


# The starter's training: at a high rate, and then with a falling one.
LEARNING, SETTLING = Plan(2500, decay_share=0.0), Plan(1400, decay_share=13 / 14)


def model_config(vocabulary_size: int, end_token: int, pad_token: int) -> dict[str, Any]:
    """`config.json`: a Llama with tied embeddings, complete for mlx-lm and for `transformers`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "intermediate_size": 512,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "max_position_embeddings": 1024,
        "vocab_size": vocabulary_size,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "initializer_range": 0.02,
        "use_cache": True,
        "bos_token_id": None,
        "eos_token_id": end_token,
        "pad_token_id": pad_token,
        "torch_dtype": "float32",
        "dtype": "float32",
    }


def build_model(config: dict[str, Any]) -> Model:
    """The model with random weights."""
    return Model(ModelArgs.from_dict(config))


def packed_rows(
    conversations: Iterator[Messages], encoder: ChatEncoder, row_tokens: int
) -> Iterator[tuple[list[int], list[float]]]:
    """Rows of `row_tokens + 1` tokens, each with as many whole conversations as fit (best fit of a pool)."""
    size = row_tokens + 1
    pool: list[tuple[list[int], list[float]]] = []
    while True:
        tokens: list[int] = []
        weights: list[float] = []
        while True:
            while len(pool) < POOL_SIZE:
                encoded = encoder.encode(next(conversations))
                if len(encoded[0]) <= size:
                    pool.append(encoded)
            room = size - len(tokens)
            fitting = [i for i, (ids, _) in enumerate(pool) if len(ids) <= room]
            if not fitting:
                break
            # The first conversation of a row is the one that waits longest; then the longest that fits.
            best = max(fitting, key=lambda i: len(pool[i][0])) if tokens else 0
            ids, weight = pool.pop(best)
            tokens += ids
            weights += weight
        empty = size - len(tokens)
        yield tokens + [0] * empty, weights + [0.0] * empty


def batches(
    conversations: Iterator[Messages], encoder: ChatEncoder, plan: Plan
) -> Iterator[tuple[mx.array, mx.array]]:
    """Pairs of token ids and loss weights, each `(rows, row_tokens + 1)`."""
    rows = packed_rows(conversations, encoder, plan.row_tokens)
    while True:
        chunk = [next(rows) for _ in range(plan.rows)]
        yield mx.array(np.array([ids for ids, _ in chunk])), mx.array(np.array([w for _, w in chunk], np.float32))


def _loss(model: Model, tokens: mx.array, weights: mx.array) -> mx.array:
    losses = nn.losses.cross_entropy(model(tokens[:, :-1]), tokens[:, 1:])
    mean: mx.array = (losses * weights[:, 1:]).sum() / weights[:, 1:].sum()
    return mean


def _schedule(peak: float, plan: Plan) -> Callable[[mx.array], mx.array]:
    """Up in a line, flat, and down to zero in a line over the last part, if there is one."""
    falling = round(plan.steps * plan.decay_share)
    parts = [optim.linear_schedule(peak / 100, peak, plan.warmup_steps), optim.linear_schedule(peak, peak, 1)]
    ends = [plan.warmup_steps]
    if falling:
        parts.append(optim.linear_schedule(peak, 0.0, falling))
        ends.append(plan.steps - falling)
    joined: Callable[[mx.array], mx.array] = optim.join_schedules(parts, ends)
    return joined


def _optimizer(plan: Plan) -> optim.MultiOptimizer:
    """Muon for the matrices of the blocks, Adam for embeddings and norms: half the steps of Adam alone."""
    muon = optim.Muon(_schedule(plan.matrix_learning_rate, plan), weight_decay=0.0)
    adam = optim.Adam(_schedule(plan.peak_learning_rate, plan), betas=[0.9, 0.98])
    return optim.MultiOptimizer([muon, adam], [lambda path, value: value.ndim == 2 and "layers" in path])


def _compiled_step(model: Model, optimizer: optim.Optimizer) -> Callable[[mx.array, mx.array], mx.array]:
    """One update, on one core: the same machine makes the same weights whatever else it does."""
    loss_and_gradient = nn.value_and_grad(model, _loss)
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(tokens: mx.array, weights: mx.array) -> mx.array:
        loss, gradients = loss_and_gradient(model, tokens, weights)
        gradients, _ = optim.clip_grad_norm(gradients, 1.0)
        optimizer.update(model, gradients)
        return mx.array(loss)

    return step


def train(model: Model, conversations: Iterator[Messages], encoder: ChatEncoder, plan: Plan) -> None:
    """Train `model` in place; prints the loss every 100 steps."""
    optimizer = _optimizer(plan)
    optimizer.init(model.trainable_parameters())
    step = _compiled_step(model, optimizer)
    model.train()
    started = time.perf_counter()
    recent: list[float] = []
    for number, (tokens, weights) in zip(
        range(1, plan.steps + 1), batches(conversations, encoder, plan), strict=False
    ):
        loss = step(tokens, weights)
        mx.eval(loss, model.state, optimizer.state)
        recent.append(float(loss))
        if number % 100 == 0:
            elapsed_s = time.perf_counter() - started
            print(f"step {number:5d}  loss {sum(recent) / len(recent):.4f}  {elapsed_s:6.0f} s", flush=True)
            recent = []
    model.eval()
