"""A model in few bits that answers as it did: bits where they are needed, then scales tuned to its own answers.

The teacher is the tuned model itself, in floats. Each matrix is packed alone to see how far the answers move
(Kullback–Leibler divergence at the learned tokens); bits go where they move most. Then scales and offsets are
trained to move them back, as mlx-lm's DWQ does (mlx_lm.quant.dwq), on the run's own training examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import numpy.typing as npt
from mlx.utils import tree_flatten, tree_unflatten

from app.core.export.bit_choice import BIT_CHOICES, spread_bits
from app.core.language import tr
from app.core.problem import TaskError
from app.worker.array import scalar
from app.worker.process.progress import Progress
from app.worker.token.token_set import TokenSet

GROUP_SIZE = 64
_FLOAT_BITS = 16
SCALE_BITS = 2 * _FLOAT_BITS / GROUP_SIZE  # a scale and an offset of 16 bits a group
ROUNDS, RATE = 3, 1e-3  # of tuning; the rate is relative to the scales
_BATCH = 4
_SHARE_CHECKED = 8  # one of so many training examples is kept to see when tuning goes too far
_CHECK_EVERY = 20
_CHOOSING_BATCHES = 2  # that each matrix is tried with: a pass through the whole model for every matrix
# What is held in memory of a batch, whatever the vocabulary: tokens of a row, and places in it whose answers count.
_LONGEST, _PLACES = 512, 64
_FEWEST_STEPS, _MOST_STEPS = 120, 600  # of tuning, however few or many examples there are


@dataclass(frozen=True, slots=True)
class PackingBatch:
    """Rows of tokens (rows, width), and the places in all of them, row by row, that a learned token follows."""

    tokens: mx.array
    places: mx.array


@dataclass(frozen=True, slots=True)
class AnswerDivergence:
    """How far the packed model's answers are from the teacher's, in nats a token: before and after tuning."""

    packed: float
    tuned: float


class FewBits:
    """One model, whose matrices are those of the teacher or their packed ones, whichever is put in."""

    def __init__(self, model: nn.Module, examples: TokenSet, max_length: int) -> None:
        self.model = model
        decide = getattr(model, "quant_predicate", None)
        self.floats = {
            path: module
            for path, module in model.named_modules()
            if hasattr(module, "to_quantized")
            and module.weight.shape[-1] % GROUP_SIZE == 0
            and (decide is None or decide(path, module))
        }
        self.packed: dict[str, nn.Module] = {}
        self._examples, self._longest = examples, min(max_length, _LONGEST)
        numbers = np.unique(np.linspace(0, len(examples) - 1, _MOST_STEPS * _BATCH, dtype=int))
        numbers = np.array([number for number in numbers if self._places(number).size])
        if not numbers.size:
            said = tr(
                "No example of the run has an answer within its first {longest} tokens.", longest=self._longest
            )
            raise TaskError(said, tr("Choose other weights."))
        self._checked = numbers[:: max(2, min(_SHARE_CHECKED, len(numbers)))][: 4 * _BATCH]
        self._learned = np.setdiff1d(numbers, self._checked) if len(numbers) > 1 else numbers

    def choose(self, average: float, progress: Progress) -> dict[str, int]:
        """Bits by path; packs the matrices so.

        ``average`` are those a weight of the whole model, with scales, and with what stays as floats of 16 bits.
        Where even the fewest bits for all matrices are more than that, they get those.
        """
        sizes = {path: int(module.weight.size) for path, module in self.floats.items()}
        every = sum(int(array.size) for _, array in tree_flatten(self.model.parameters()))
        inside = sum(sizes.values())
        average = (average * every - _FLOAT_BITS * (every - inside)) / inside - SCALE_BITS
        batches = self._checks()[:_CHOOSING_BATCHES]
        teacher = [self._teacher(batch) for batch in batches]
        harms = {}
        for done, (path, module) in enumerate(self.floats.items()):
            self._put({path: _pack(module, BIT_CHOICES[0])})
            harms[path] = self._apart(batches, teacher)
            self._put({path: module})
            progress(done + 1, len(sizes))
        bits = spread_bits(harms, sizes, average)
        self.packed = {path: _pack(module, bits[path]) for path, module in self.floats.items()}
        return bits

    def tune(self, rounds: int, rate: float, progress: Progress) -> AnswerDivergence:
        """Trains scales and offsets for about ``rounds`` passes; what was best on the examples kept aside stays.

        Leaves the packed matrices in the model. ``rate`` is relative to the scales.
        """
        checks = self._checks()
        self._put(self.floats)
        teacher = [self._teacher(batch) for batch in checks]
        start = {path: (module.scales, module.biases) for path, module in self.packed.items()}
        size = {path: mx.abs(module.scales.astype(mx.float32)) + 1e-12 for path, module in self.packed.items()}
        params = {
            path: {"scales": mx.zeros(one.shape), "biases": mx.zeros(one.shape)} for path, one in size.items()
        }

        def put(params: dict[str, dict[str, mx.array]]) -> None:
            for path, module in self.packed.items():
                scales, biases = start[path]
                moved = {name: size[path] * params[path][name] for name in ("scales", "biases")}
                module.scales = (scales.astype(mx.float32) + moved["scales"]).astype(scales.dtype)
                module.biases = (biases.astype(mx.float32) + moved["biases"]).astype(biases.dtype)

        def loss(params: dict[str, dict[str, mx.array]], batch: PackingBatch, wanted: mx.array) -> mx.array:
            put(params)
            return _divergence(self._answers(batch), wanted)

        steps = min(max(rounds * len(self._learned) // _BATCH, _FEWEST_STEPS), _MOST_STEPS)
        schedule = optim.cosine_decay(rate, steps)
        optimizer = optim.Adam(learning_rate=schedule, bias_correction=True)
        step = mx.value_and_grad(loss)
        self._put(self.packed)
        first = best = self._apart(checks, teacher)
        kept = params
        for done, batch in enumerate(self._order(steps)):
            self._put(self.floats)
            wanted = self._teacher(batch)
            self._put(self.packed)
            _, grads = step(params, batch, wanted)
            params = optimizer.apply_gradients(grads, params)
            mx.eval(params, optimizer.state)
            if (done + 1) % _CHECK_EVERY == 0 or done + 1 == steps:
                put(params)
                if (now := self._apart(checks, teacher)) < best:
                    best, kept = now, params
            progress(done + 1, steps)
        put(kept)
        mx.eval([module.parameters() for module in self.packed.values()])
        return AnswerDivergence(first, best)

    def use_packed(self) -> nn.Module:
        """The model in few bits."""
        self._put(self.packed)
        return self.model

    def quantization(self) -> dict[str, Any]:
        """What ``config.json`` says of the packed matrices, as mlx-lm reads it."""
        least = BIT_CHOICES[0]
        told: dict[str, Any] = {"group_size": GROUP_SIZE, "bits": least, "mode": "affine"}
        for path, module in self.packed.items():
            if module.bits != least:
                told[path] = {"group_size": GROUP_SIZE, "bits": module.bits, "mode": "affine"}
        return told

    def _checks(self) -> list[PackingBatch]:
        parts = np.array_split(self._checked, max(1, len(self._checked) // _BATCH))
        return [self._batch(numbers) for numbers in parts]

    def _put(self, modules: dict[str, nn.Module]) -> None:
        self.model.update_modules(tree_unflatten(list(modules.items())))

    def _teacher(self, batch: PackingBatch) -> mx.array:
        logits = self._answers(batch)
        mx.eval(logits)
        return logits

    def _answers(self, batch: PackingBatch) -> mx.array:
        """The logits at the batch's places, (places, vocabulary)."""
        logits = self.model(batch.tokens)
        return logits.reshape(-1, logits.shape[-1])[batch.places]

    def _apart(self, batches: list[PackingBatch], wanted: list[mx.array]) -> float:
        counts = [batch.places.size for batch in batches]
        apart = [
            scalar(_divergence(self._answers(batch), logits)) for batch, logits in zip(batches, wanted, strict=True)
        ]
        return sum(a * c for a, c in zip(apart, counts, strict=True)) / sum(counts)

    def _order(self, steps: int) -> Iterator[PackingBatch]:
        source = np.random.default_rng(0)
        numbers: list[int] = []
        for _ in range(steps):
            if len(numbers) < _BATCH:
                numbers = source.permutation(self._learned).tolist()
            yield self._batch(np.array([numbers.pop() for _ in range(min(_BATCH, len(numbers)))]))

    def _batch(self, numbers: Any) -> PackingBatch:
        parts = [self._examples[int(number)] for number in numbers]
        width = max(min(len(part.tokens), self._longest) for part in parts) - 1
        tokens = np.zeros((len(parts), width), np.int32)
        places = []
        for row, (number, part) in enumerate(zip(numbers, parts, strict=True)):
            length = min(len(part.tokens), width)
            tokens[row, :length] = part.tokens[:length]
            places.append(row * width + self._places(number))
        return PackingBatch(mx.array(tokens), mx.array(np.concatenate(places).astype(np.int32)))

    def _places(self, number: Any) -> npt.NDArray[np.int64]:
        """Where in an example the next token is a learned one: evenly spaced ones, if they are many."""
        found = np.flatnonzero(self._examples[int(number)].trained[1 : self._longest])
        return found[np.unique(np.linspace(0, len(found) - 1, _PLACES, dtype=int))] if found.size else found


def _pack(module: Any, bits: int) -> nn.Module:
    made: nn.Module = module.to_quantized(group_size=GROUP_SIZE, bits=bits)
    return made


def _divergence(logits: mx.array, wanted: mx.array) -> mx.array:
    """The mean Kullback–Leibler divergence of ``logits`` from the teacher's, both (places, vocabulary), in nats."""
    own = logits.astype(mx.float32)
    own = own - mx.logsumexp(own, axis=-1, keepdims=True)
    right = wanted.astype(mx.float32)
    right = right - mx.logsumexp(right, axis=-1, keepdims=True)
    return (mx.exp(right) * (right - own)).sum(axis=-1).mean()
